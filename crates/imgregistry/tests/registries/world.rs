//! What the tests share: a transport without sockets, images, and an ear for everything that the client says.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use imgauth::{RegistryCredential, RegistryKeychain};
use imgcore::{Descriptor, Digest, MediaType};
use imgregistry::{Client, ClientBuilder, Error, Event, Observer, Remote, TagOrDigest};
use imgserve::distribution::Registry;
use imgserve::http::Handler;
use imgstore::{Begin, BlobSink, BlobSourceExt as _};
use imgtar::Codec;
use imgtest::image::{Image, ImageBuilder};
pub(crate) use imgtest::noise;
use imgtest::registry::{CANARY, InProcess, Wire};
use imgtest::tar::{file, tar_of};

/// A registry in memory.
pub(crate) fn registry() -> Arc<dyn Handler> {
    Arc::new(Registry::in_memory())
}

/// A client on a network of handlers. What it says goes to the [`Ear`].
pub(crate) fn client(network: &InProcess) -> (ClientBuilder, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    let builder = Client::builder()
        .transport(Arc::new(Wire(network.clone())))
        .observer(Arc::clone(&ear) as _);
    (builder, ear)
}

/// A repository of a client with a keychain.
pub(crate) fn remote(
    network: &InProcess,
    keychain: impl RegistryKeychain + 'static,
    host: &str,
    repository: &str,
) -> (Remote, Arc<Ear>) {
    let (builder, ear) = client(network);
    let client = builder.keychain(Arc::new(keychain)).build().unwrap();
    (repository_of(&client, host, repository), ear)
}

/// A repository of a client.
pub(crate) fn repository_of(client: &Client, host: &str, repository: &str) -> Remote {
    client
        .repository(&host.parse().unwrap(), &repository.parse().unwrap())
        .unwrap()
}

/// A keychain with one credential.
pub(crate) fn login(host: &str, user: &str, password: &str) -> imgauth::Fixed {
    let credential = RegistryCredential::basic(user, password);
    imgauth::Fixed::default().with(host.parse().unwrap(), credential)
}

/// A tag.
pub(crate) fn tag(text: &str) -> TagOrDigest {
    TagOrDigest::from(text.parse::<imgcore::Tag>().unwrap())
}

/// A small image of two layers and a config.
pub(crate) fn image() -> Image {
    static IMAGE: LazyLock<Image> = LazyLock::new(|| image_with(&[20_000, 70_000]));
    IMAGE.clone()
}

/// An image with layers of about these sizes. They do not compress.
pub(crate) fn image_with(sizes: &[usize]) -> Image {
    let mut builder = ImageBuilder::new();
    for (number, size) in sizes.iter().enumerate() {
        let content = noise(number as u64 + 1, *size);
        let layer = tar_of([file(format!("file-{number}"), content)]);
        builder = builder.layer(&layer, Codec::None);
    }
    builder.build()
}

/// Puts an image into a registry, past everything that stands before it.
pub(crate) async fn seed(registry: &Arc<dyn Handler>, repository: &str, image: &Image, tag: &str) {
    for (digest, bytes) in &image.blobs {
        if *digest != image.manifest.digest {
            seed_blob(registry, repository, digest, bytes).await;
        }
    }
    let manifest = image.blob(&image.manifest);
    seed_manifest(
        registry,
        repository,
        tag,
        image.manifest.media_type.as_str(),
        manifest,
    )
    .await;
}

/// Puts a blob into a registry.
pub(crate) async fn seed_blob(
    registry: &Arc<dyn Handler>,
    repository: &str,
    digest: &Digest,
    bytes: &[u8],
) {
    let network = InProcess::new().with("http://seed", Arc::clone(registry));
    let start = format!("http://seed/v2/{repository}/blobs/uploads/");
    let started = network.request("POST", &start, &[], "").await.unwrap();
    assert_eq!(started.status, 202, "{started:?}");
    let location = started.headers[LOCATION].to_str().unwrap();
    let location = location.strip_prefix("http://seed").unwrap_or(location);
    let separator = if location.contains('?') { '&' } else { '?' };
    let end = format!("http://seed{location}{separator}digest={digest}");
    let bytes = Bytes::copy_from_slice(bytes);
    let ended = network.request("PUT", &end, &[], bytes).await.unwrap();
    assert_eq!(ended.status, 201, "{ended:?}");
}

/// Puts a manifest into a registry.
pub(crate) async fn seed_manifest(
    registry: &Arc<dyn Handler>,
    repository: &str,
    tag: &str,
    media_type: &str,
    bytes: &[u8],
) {
    let network = InProcess::new().with("http://seed", Arc::clone(registry));
    let uri = format!("http://seed/v2/{repository}/manifests/{tag}");
    let headers = [(CONTENT_TYPE.as_str(), media_type)];
    let bytes = Bytes::copy_from_slice(bytes);
    let put = network.request("PUT", &uri, &headers, bytes).await.unwrap();
    assert_eq!(put.status, 201, "{put:?}");
}

/// Pulls an image and compares every byte of it.
pub(crate) async fn pull(remote: &Remote, name: &str, image: &Image) -> Result<(), Failed> {
    let fetched = remote.manifest(&tag(name)).await?;
    assert_eq!(fetched.descriptor.digest, image.manifest.digest);
    for descriptor in std::iter::once(&image.config).chain(&image.layers) {
        let bytes = read(remote, descriptor).await?;
        assert_eq!(bytes, image.blob(descriptor));
    }
    Ok(())
}

/// Reads a blob.
pub(crate) async fn read(remote: &Remote, descriptor: &Descriptor) -> Result<Bytes, Failed> {
    Ok(remote.read_all(descriptor, 1 << 30).await?)
}

/// Pushes an image.
pub(crate) async fn push(remote: &Remote, name: &str, image: &Image) -> Result<(), Failed> {
    for descriptor in std::iter::once(&image.config).chain(&image.layers) {
        write(remote, descriptor, image.blob(descriptor)).await?;
    }
    let bytes = Bytes::copy_from_slice(image.blob(&image.manifest));
    let put = remote
        .put_manifest(&tag(name), &image.manifest.media_type, bytes)
        .await?;
    assert_eq!(put.digest, image.manifest.digest);
    Ok(())
}

/// Writes a blob, in pieces as a reader of files would.
pub(crate) async fn write(
    remote: &Remote,
    descriptor: &Descriptor,
    bytes: &[u8],
) -> Result<(), Failed> {
    match remote.writer(descriptor).await? {
        Begin::AlreadyExists => Ok(()),
        Begin::Writer(ingest) => feed(ingest, bytes).await,
    }
}

/// Writes the rest of a blob and commits it.
pub(crate) async fn feed(mut ingest: imgstore::Ingest, bytes: &[u8]) -> Result<(), Failed> {
    let start = usize::try_from(ingest.offset()).unwrap();
    for piece in bytes[start..].chunks(64 * 1024) {
        ingest.write(Bytes::copy_from_slice(piece)).await?;
    }
    Ok(ingest.commit().await?)
}

/// A blob out of nowhere.
pub(crate) fn blob(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER_TAR, bytes)
}

/// How an operation failed: with an error of the client, or with one of the store trait that may carry one.
#[derive(Debug)]
pub(crate) enum Failed {
    Client(Error),
    Store(imgstore::Error),
}

impl Failed {
    /// Returns the client's own error.
    pub(crate) fn error(&self) -> &Error {
        match self {
            Self::Client(error) => error,
            Self::Store(error) => {
                let source = std::error::Error::source(error);
                let found = source.and_then(|source| source.downcast_ref());
                found.unwrap_or_else(|| panic!("{error:?} is none of the client"))
            }
        }
    }

    /// Returns everything that a log could say of it.
    pub(crate) fn as_dyn(&self) -> &(dyn std::error::Error + 'static) {
        match self {
            Self::Client(error) => error,
            Self::Store(error) => error,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Client(error)
    }
}

impl From<imgstore::Error> for Failed {
    fn from(error: imgstore::Error) -> Self {
        Self::Store(error)
    }
}

/// Hears everything that the client says, and fails the test when a secret is in it.
#[derive(Default)]
pub(crate) struct Ear(Mutex<String>);

impl Ear {
    /// Hears an error with everything that hangs on it.
    pub(crate) fn error(&self, failed: &Failed) {
        let error = failed.as_dyn();
        let mut text = format!("{error}\n{error:?}\n{error:#?}\n");
        let mut source = error.source();
        while let Some(cause) = source {
            let _ = writeln!(text, "{cause}\n{cause:?}");
            source = cause.source();
        }
        self.hear(&text);
    }

    /// Hears what a value looks like in a log.
    pub(crate) fn debug(&self, value: &dyn std::fmt::Debug) {
        self.hear(&format!("{value:?}\n{value:#?}\n"));
    }

    fn hear(&self, text: &str) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        heard.push_str(text);
    }

    /// Checks that no secret was heard, and leaves what was heard for the sweep over the whole test run.
    pub(crate) fn assert_clean(&self) {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        leave(&heard);
        let leak = heard.lines().find(|line| line.contains(CANARY));
        assert!(leak.is_none(), "a secret was said: {leak:?}");
    }
}

/// Writes to the file of the test that runs, which its first text begins anew.
fn leave(text: &str) {
    static BEGUN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("main").replace("::", "-");
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("heard");
    fs_err::create_dir_all(&directory).unwrap();
    let file = directory.join(format!("{name}.log"));
    let mut begun = BEGUN.lock().unwrap_or_else(PoisonError::into_inner);
    let is_first = begun.insert(name);
    let mut file = fs_err::OpenOptions::new()
        .create(true)
        .write(true)
        .append(!is_first)
        .truncate(is_first)
        .open(file)
        .unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

impl Observer for Ear {
    fn observe(&self, event: &Event) {
        self.hear(&format!("{event:?}\n"));
    }
}
