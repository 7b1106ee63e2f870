//! What the tests share: a registry that counts, a client of it, and images.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use imgcore::{Descriptor, Digest};
use imgpush::{Event, Image, Location, Options, Progress, Report, Sources, push};
use imgregistry::{Client, Remote, TagOrDigest};
use imgserve::distribution::Registry;
use imgserve::http::Handler;
use imgstore::MemoryStore;
use imgtar::Codec;
use imgtest::image::{Image as Built, ImageBuilder, ImageIndex};
pub(crate) use imgtest::noise;
use imgtest::registry::{InProcess, Recorder, RequestClass, Wire};
use imgtest::tar::{file, tar_of};

pub(crate) const HOST: &str = "registry.example.com";
pub(crate) const ORIGIN: &str = "https://registry.example.com";

/// A registry in memory that writes down what it is asked.
pub(crate) struct World {
    pub(crate) registry: Arc<Recorder>,
    pub(crate) client: Client,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(Arc::new(Registry::in_memory()))
    }

    pub(crate) fn with(handler: Arc<dyn Handler>) -> Self {
        let registry = Recorder::new(handler);
        let network = InProcess::new().with(ORIGIN, Arc::clone(&registry));
        let client = client(network);
        Self { registry, client }
    }

    /// Pushes with the default options; all must be well.
    pub(crate) async fn push(&self, images: impl IntoIterator<Item = Image>) -> Report {
        self.push_with(images, &Options::default()).await
    }

    /// Pushes; all must be well.
    pub(crate) async fn push_with(
        &self,
        images: impl IntoIterator<Item = Image>,
        options: &Options,
    ) -> Report {
        let report = self.try_push(images, options).await;
        assert!(report.is_success(), "{report}");
        report
    }

    pub(crate) async fn try_push(
        &self,
        images: impl IntoIterator<Item = Image>,
        options: &Options,
    ) -> Report {
        self.registry.clear();
        push(&self.client, images, options, &Progress::default()).await
    }

    /// Counts requests of several classes.
    pub(crate) fn count(&self, classes: &[RequestClass]) -> usize {
        classes
            .iter()
            .map(|class| self.registry.count(*class))
            .sum()
    }

    pub(crate) fn remote(&self, repository: &str) -> Remote {
        remote(&self.client, HOST, repository)
    }

    /// Checks that a tag leads to an image, and that every blob of it is there.
    pub(crate) async fn assert_has(
        &self,
        repository: &str,
        tag: &str,
        root: &Descriptor,
        blobs: &BTreeMap<Digest, Vec<u8>>,
    ) {
        assert_has(&self.remote(repository), tag, root, blobs).await;
    }
}

/// Requests that change something.
pub(crate) const WRITING: [RequestClass; 5] = [
    RequestClass::FinishUpload,
    RequestClass::Mount,
    RequestClass::PatchUpload,
    RequestClass::PutManifest,
    RequestClass::StartUpload,
];

pub(crate) fn client(network: InProcess) -> Client {
    let builder = Client::builder().transport(Arc::new(Wire(network)));
    builder.build().unwrap()
}

pub(crate) fn remote(client: &Client, host: &str, repository: &str) -> Remote {
    let (host, repository) = (host.parse().unwrap(), repository.parse().unwrap());
    client.repository(&host, &repository).unwrap()
}

pub(crate) async fn assert_has(
    remote: &Remote,
    tag: &str,
    root: &Descriptor,
    blobs: &BTreeMap<Digest, Vec<u8>>,
) {
    let at = TagOrDigest::Tag(tag.parse().unwrap());
    let fetched = remote.manifest(&at).await.unwrap();
    assert_eq!(fetched.descriptor.digest, root.digest);
    for (digest, bytes) in blobs {
        let is_document = imgcore::Document::classify(bytes, None).is_ok();
        if is_document {
            let at = TagOrDigest::Digest(*digest);
            assert_eq!(remote.manifest(&at).await.unwrap().document.bytes(), bytes);
        } else {
            let found = remote.head_blob(digest).await.unwrap();
            let size = bytes.len() as u64;
            assert_eq!(found, imgstore::Presence::Present { size }, "{digest}");
        }
    }
}

pub(crate) fn location(repository: &str) -> Location {
    Location::new(HOST.parse().unwrap(), repository.parse().unwrap())
}

/// An image whose layers are made of these numbers: the same number gives the same layer.
pub(crate) fn built(layers: &[u64]) -> Built {
    built_for("amd64", layers, 20_000)
}

pub(crate) fn built_for(architecture: &str, layers: &[u64], size: usize) -> Built {
    let builder = ImageBuilder::new().platform("linux", architecture, None);
    let tars = layers.iter().map(|seed| layer(*seed, size));
    tars.fold(builder, |builder, tar| builder.layer(&tar, Codec::None))
        .build()
}

pub(crate) fn layer(seed: u64, size: usize) -> Vec<u8> {
    tar_of([file(format!("file-{seed}"), noise(seed + 1, size))])
}

pub(crate) fn store_of(blobs: &BTreeMap<Digest, Vec<u8>>) -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    for bytes in blobs.values() {
        store.insert(bytes.clone());
    }
    Arc::new(store)
}

pub(crate) fn sources_of(blobs: &BTreeMap<Digest, Vec<u8>>) -> Sources {
    Sources::of("memory", store_of(blobs))
}

/// The push of an image with a tag.
pub(crate) fn to(built: &Built, repository: &str, tag: &str) -> Image {
    let sources = sources_of(&built.blobs);
    let mut image = Image::new(built.manifest.clone(), location(repository), sources);
    image.tags.push(tag.parse().unwrap());
    image
}

/// The push of an index with a tag.
pub(crate) fn index_to(built: &ImageIndex, repository: &str, tag: &str) -> Image {
    let sources = sources_of(&built.blobs);
    let mut image = Image::new(built.index.clone(), location(repository), sources);
    image.tags.push(tag.parse().unwrap());
    image
}

/// A progress that keeps what it hears.
pub(crate) fn heard() -> (Progress, Arc<Mutex<Vec<Event>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let keep = Arc::clone(&events);
    let progress = Progress::new(move |event| keep.lock().unwrap().push(event));
    (progress, events)
}
