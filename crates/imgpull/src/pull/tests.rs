use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Mutex;

use futures_core::future::BoxFuture;
use futures_util::{StreamExt, stream};
use imgcore::MediaType;
use imgcore::assemble::{IndexOptions, assemble_index};
use imgstore::{
    BlobSourceExt, BlobStream, DirectoryStore, LocalSource, MemoryStore, Presence,
    UnverifiedStream, blocking,
};
use imgtar::Codec;
use imgtest::image::{Image, ImageBuilder, index_of};
use imgtest::tar::{file, tar_of};

use super::*;
use crate::{Event, From, ManifestSource};

/// A repository in memory that notes what it is asked for, and can be made to fail.
#[derive(Default)]
struct Repository {
    blobs: MemoryStore,
    manifests: Mutex<HashMap<String, Vec<u8>>>,
    asked: Mutex<Vec<String>>,
    /// Streams end with an error after so many bytes.
    stops_after: Option<usize>,
    is_down: bool,
    /// This blob is answered with an error of this kind.
    refuses: Option<(Digest, ErrorKind)>,
}

impl Repository {
    fn with(blobs: &std::collections::BTreeMap<Digest, Vec<u8>>) -> Self {
        let repository = Self::default();
        repository.add(blobs);
        repository
    }

    fn add(&self, blobs: &std::collections::BTreeMap<Digest, Vec<u8>>) {
        for (digest, bytes) in blobs {
            if Document::classify(bytes, None).is_ok() {
                self.put(&digest.to_string(), bytes);
            } else {
                self.blobs.insert(bytes.clone());
            }
        }
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        let mut manifests = self.manifests.lock().unwrap();
        manifests.insert(name.to_owned(), bytes.to_vec());
    }

    fn note(&self, what: String) -> imgstore::Result<()> {
        self.asked.lock().unwrap().push(what);
        if self.is_down {
            let text = "status 503: the registry is down";
            return Err(imgstore::Error::new(ErrorKind::Unavailable, text));
        }
        Ok(())
    }

    /// Takes what it was asked for since the last time.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

impl ManifestSource for Repository {
    fn manifest<'a>(&'a self, at: &'a TagOrDigest) -> BoxFuture<'a, imgstore::Result<Document>> {
        Box::pin(async move {
            self.note(format!("manifest {at}"))?;
            let manifests = self.manifests.lock().unwrap();
            let Some(bytes) = manifests.get(&at.to_string()) else {
                let text = "status 404: MANIFEST_UNKNOWN";
                return Err(imgstore::Error::new(ErrorKind::NotFound, text));
            };
            Ok(Document::classify(bytes, None)?)
        })
    }
}

impl BlobSource for Repository {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, imgstore::Result<Vec<Presence>>> {
        self.asked.lock().unwrap().push("stat".into());
        self.blobs.stat(digests)
    }

    fn open<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, imgstore::Result<BlobStream>> {
        Box::pin(async move {
            self.note(format!("blob {}", descriptor.digest))?;
            if let Some((digest, kind)) = self.refuses
                && digest == descriptor.digest
            {
                return Err(imgstore::Error::new(kind, "the registry refuses"));
            }
            let stream = self.blobs.open(descriptor).await?;
            let Some(limit) = self.stops_after else {
                return Ok(stream);
            };
            let bytes = self.blobs.read_all(descriptor, u64::MAX).await?;
            let first = bytes.slice(..limit.min(bytes.len()));
            let reset = imgstore::Error::new(ErrorKind::Unavailable, "connection reset");
            Ok(BlobStream::verify(
                descriptor,
                stream::iter([Ok(first), Err(reset)]),
            ))
        })
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, imgstore::Result<UnverifiedStream>> {
        Box::pin(async move {
            self.note(format!("range {range:?} {}", descriptor.digest))?;
            self.blobs.open_range(descriptor, range).await
        })
    }

    fn local_path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}

/// A store that cannot write or read one blob.
#[derive(Default)]
struct Tampered {
    blobs: MemoryStore,
    unwritable: Option<(Digest, ErrorKind)>,
    unreadable: Option<(Digest, ErrorKind)>,
}

impl Tampered {
    fn none() -> Arc<Self> {
        Arc::default()
    }

    fn unwritable(blob: &Descriptor, kind: ErrorKind) -> Arc<Self> {
        Arc::new(Self {
            unwritable: Some((blob.digest, kind)),
            ..Self::default()
        })
    }

    /// Has the blobs of an image, and cannot read one of them.
    fn unreadable(image: &Image, blob: &Descriptor) -> Arc<Self> {
        let store = Self {
            unreadable: Some((blob.digest, ErrorKind::Io)),
            ..Self::default()
        };
        for bytes in image.blobs.values() {
            store.blobs.insert(bytes.clone());
        }
        Arc::new(store)
    }
}

fn failing(digest: &Digest, tampered: Option<(Digest, ErrorKind)>) -> imgstore::Result<()> {
    match tampered {
        Some((tampered, kind)) if tampered == *digest => {
            Err(imgstore::Error::new(kind, "input/output error"))
        }
        _ => Ok(()),
    }
}

impl BlobSink for Tampered {
    fn writer<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, imgstore::Result<imgstore::Begin>> {
        Box::pin(async move {
            failing(&descriptor.digest, self.unwritable)?;
            self.blobs.writer(descriptor).await
        })
    }
}

impl BlobSource for Tampered {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, imgstore::Result<Vec<Presence>>> {
        self.blobs.stat(digests)
    }

    fn open<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, imgstore::Result<BlobStream>> {
        Box::pin(async move {
            failing(&descriptor.digest, self.unreadable)?;
            self.blobs.open(descriptor).await
        })
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, imgstore::Result<UnverifiedStream>> {
        self.blobs.open_range(descriptor, range)
    }

    fn local_path(&self, digest: &Digest) -> Option<PathBuf> {
        self.blobs.local_path(digest)
    }
}

fn origin(name: &str, repository: &Arc<Repository>) -> Origin {
    let (manifests, blobs) = (Arc::clone(repository), Arc::clone(repository));
    Origin::new(name, manifests, blobs)
}

fn image(architecture: &str) -> Image {
    let shared = tar_of([file("shared", "the same in all")]);
    let own = tar_of([file("own", architecture)]);
    ImageBuilder::new()
        .platform("linux", architecture, None)
        .layer(&shared, Codec::None)
        .layer(&own, Codec::Gzip)
        .build()
}

/// An index of images for three platforms, as `latest`.
fn three() -> (Arc<Repository>, Vec<Image>, Descriptor) {
    let images: Vec<Image> = ["amd64", "arm64", "riscv64"].map(image).into();
    let index = index_of(&images);
    let repository = Repository::with(&index.blobs);
    repository.put("latest", &index.blobs[&index.index.digest]);
    (Arc::new(repository), images, index.index)
}

/// An index of entries as `latest`.
fn index_as_latest(repository: &Repository, entries: &[Descriptor]) -> Descriptor {
    let bytes = assemble_index(entries, &IndexOptions::default());
    let index = Descriptor::of(MediaType::OCI_INDEX, &bytes);
    repository.put(&index.digest.to_string(), &bytes);
    repository.put("latest", &bytes);
    index
}

fn latest() -> TagOrDigest {
    TagOrDigest::Tag("latest".parse().unwrap())
}

fn options(handling: Handling, platforms: &[&str]) -> PullOptions {
    PullOptions {
        handling,
        platforms: platforms.iter().map(|it| it.parse().unwrap()).collect(),
        ..PullOptions::default()
    }
}

/// Runs a pull, and returns what happened as well.
fn run(
    origins: &[Origin],
    at: &TagOrDigest,
    options: &PullOptions,
    store: &Arc<impl Store + 'static>,
) -> (Result<Pulled>, Vec<Event>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&events);
    let progress = Progress::new(move |event| sink.lock().unwrap().push(event));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let store = Arc::clone(store);
    let pulled = runtime.block_on(pull(origins, at, options, store, &progress));
    let events = events.lock().unwrap().clone();
    (pulled, events)
}

fn memory() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::new())
}

fn has(store: &impl LocalSource, descriptor: &Descriptor) -> bool {
    store.size_of(&descriptor.digest).unwrap() == Some(descriptor.size)
}

fn failures(events: &[Event]) -> Vec<String> {
    let text = |event: &Event| match event {
        Event::Failed { origin, reason, .. } => Some(format!("{origin}: {reason}")),
        _ => None,
    };
    events.iter().filter_map(text).collect()
}

#[test]
fn a_shallow_pull_asks_once_for_each_document_and_for_nothing_else() {
    let (repository, images, index) = three();
    let store = memory();
    let origins = [origin("app@example", &repository)];
    let (pulled, events) = run(
        &origins,
        &latest(),
        &options(Handling::Shallow, &[]),
        &store,
    );
    let pulled = pulled.unwrap();
    let asked = repository.asked();
    assert_eq!(asked.len(), 7, "{asked:#?}");
    assert!(!asked.contains(&"stat".to_owned()), "{asked:#?}");
    assert_eq!(pulled.root.digest, index.digest);
    assert!(pulled.is_complete);
    let found: Vec<_> = pulled
        .images
        .iter()
        .map(|it| it.descriptor.digest)
        .collect();
    assert_eq!(
        found,
        images
            .iter()
            .map(|it| it.manifest.digest)
            .collect::<Vec<_>>()
    );
    assert_eq!(pulled.layers.len(), 4, "one layer is shared");
    for layer in &pulled.layers {
        assert!(!layer.is_present && !has(&*store, &layer.descriptor));
        assert_eq!(layer.sources, ["app@example"]);
    }
    for image in &images {
        assert!(has(&*store, &image.manifest) && has(&*store, &image.config));
    }
    let resolved = Event::Resolved {
        root: Box::new(pulled.root),
        origin: "app@example".into(),
    };
    assert!(events.contains(&resolved), "{events:#?}");
}

#[test]
fn an_eager_pull_fetches_each_layer_once_and_a_second_one_nothing() {
    let (repository, images, index) = three();
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(DirectoryStore::create(directory.path()).unwrap());
    let origins = [origin("app@example", &repository)];
    let options = PullOptions {
        durability: Durability::Machine,
        ..options(Handling::Eager, &[])
    };
    let at = TagOrDigest::Digest(index.digest);
    let (pulled, events) = run(&origins, &at, &options, &store);
    assert!(pulled.unwrap().layers.iter().all(|layer| layer.is_present));
    assert_eq!(repository.asked().len(), 11);
    let layer = &images[0].layers[0];
    assert_eq!(
        blocking::read_all(&*store, layer, u64::MAX).unwrap(),
        images[0].blob(layer)
    );
    let finished = Event::Finished {
        digest: layer.digest,
        size: layer.size,
        from: From::Origin("app@example".into()),
    };
    assert_eq!(events.iter().filter(|it| **it == finished).count(), 1);
    let (pulled, _) = run(&origins, &at, &options, &store);
    assert_eq!(pulled.unwrap().images.len(), 3);
    assert_eq!(repository.asked(), Vec::<String>::new());
}

#[test]
fn what_is_damaged_in_the_store_is_fetched_again() {
    let (repository, images, index) = three();
    let directory = tempfile::tempdir().unwrap();
    let store = Arc::new(DirectoryStore::create(directory.path()).unwrap());
    let origins = [origin("app@example", &repository)];
    let (at, options) = (
        TagOrDigest::Digest(index.digest),
        options(Handling::Eager, &[]),
    );
    run(&origins, &at, &options, &store).0.unwrap();
    repository.asked();
    let damaged = [
        &index,
        &images[1].manifest,
        &images[1].config,
        &images[1].layers[1],
    ];
    for blob in damaged {
        let length = usize::try_from(blob.size).unwrap();
        fs_err::write(store.blob_path(&blob.digest), vec![b'x'; length]).unwrap();
    }
    run(&origins, &at, &options, &store).0.unwrap();
    assert_eq!(repository.asked().len(), damaged.len());
    for blob in damaged {
        blocking::read_all(&*store, blob, u64::MAX).unwrap();
    }
}

#[test]
fn what_the_store_cannot_read_is_an_error_and_not_fetched() {
    let image = image("amd64");
    let repository = Arc::new(Repository::with(&image.blobs));
    let origins = [origin("app@example", &repository)];
    let at = TagOrDigest::Digest(image.manifest.digest);
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    for blob in [&image.manifest, &image.config, &image.layers[0]] {
        for cache in [None, Some(cache.clone())] {
            let store = Tampered::unreadable(&image, blob);
            let options = PullOptions {
                cache,
                ..options(Handling::Eager, &[])
            };
            let error = run(&origins, &at, &options, &store).0.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
            assert_eq!(
                crate::error::chain(&error),
                format!(
                    "{} is in the store and cannot be read: input/output error",
                    blob.digest
                )
            );
        }
    }
}

#[test]
fn one_platform_costs_three_requests() {
    let (repository, images, _) = three();
    let store = memory();
    let origins = [origin("app@example", &repository)];
    let options = options(Handling::Shallow, &["linux/arm64"]);
    let pulled = run(&origins, &latest(), &options, &store).0.unwrap();
    assert_eq!(repository.asked().len(), 3);
    assert!(!pulled.is_complete);
    let [only] = pulled.images.as_slice() else {
        panic!("{:#?}", pulled.images);
    };
    assert_eq!(only.descriptor.digest, images[1].manifest.digest);
    assert_eq!(only.config.platform().architecture, "arm64");
    assert_eq!(pulled.layers.len(), 2);
}

#[test]
fn a_platform_without_an_image_is_an_error_that_lists_the_others() {
    let (repository, images, _) = three();
    let check = |at: &TagOrDigest| {
        let origins = [origin("app@example", &repository)];
        let options = options(Handling::Shallow, &["linux/s390x"]);
        let error = run(&origins, at, &options, &memory()).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        error.to_string()
    };
    insta::assert_snapshot!(check(&latest()), @"no image is for linux/s390x; there are images for linux/amd64, linux/arm64, linux/riscv64");
    let single = TagOrDigest::Digest(images[0].manifest.digest);
    insta::assert_snapshot!(check(&single), @"no image is for linux/s390x; there are images for linux/amd64");
}

#[test]
fn attestations_are_no_choice_and_come_with_their_image() {
    let (repository, images, _) = three();
    let in_toto = tar_of([file("attestation", "signed")]);
    let attestation = |image: &Image, number: &str| {
        let attestation = ImageBuilder::new()
            .platform("unknown", "unknown", None)
            .config("number", number)
            .layer(&in_toto, Codec::None)
            .build();
        repository.add(&attestation.blobs);
        let mut entry = attestation.manifest;
        entry.platform = Some(Platform::new("unknown", "unknown"));
        let about = [
            (
                "vnd.docker.reference.digest",
                image.manifest.digest.to_string(),
            ),
            (
                "vnd.docker.reference.type",
                "attestation-manifest".to_owned(),
            ),
        ];
        entry.annotations = about.map(|(key, value)| (key.to_owned(), value)).into();
        entry
    };
    let of = |image: &Image, architecture: &str| {
        let mut entry = image.manifest.clone();
        entry.platform = Some(Platform::new("linux", architecture));
        entry
    };
    let entries = [
        of(&images[0], "amd64"),
        of(&images[1], "arm64"),
        attestation(&images[0], "0"),
        attestation(&images[1], "1"),
    ];
    index_as_latest(&repository, &entries);
    let store = memory();
    let origins = [origin("app@example", &repository)];
    let options = options(Handling::Shallow, &["linux/arm64"]);
    let pulled = run(&origins, &latest(), &options, &store).0.unwrap();
    assert_eq!(pulled.images.len(), 1);
    assert_eq!(
        pulled.images[0].descriptor.digest,
        images[1].manifest.digest
    );
    assert_eq!(pulled.layers.len(), 3, "the attestation's layer is one");
    assert!(has(&*store, &entries[3]) && !has(&*store, &entries[2]));
    assert_eq!(repository.asked().len(), 5);
}

#[test]
fn nested_indexes_and_entries_without_platform_are_read_once() {
    let (repository, images, _) = three();
    let inner = index_as_latest(&repository, &[images[2].manifest.clone()]);
    let entries = [images[0].manifest.clone(), inner.clone()];
    index_as_latest(&repository, &entries);
    let store = memory();
    let origins = [origin("app@example", &repository)];
    for platforms in [
        &["linux/riscv64"][..],
        &["linux/riscv64", "linux/amd64"],
        &[],
    ] {
        let options = options(Handling::Shallow, platforms);
        let pulled = run(&origins, &latest(), &options, &store).0.unwrap();
        assert!(has(&*store, &inner));
        // All of them are in the order of the index.
        let riscv64 = &pulled.images[usize::from(platforms.is_empty())];
        assert_eq!(riscv64.descriptor.digest, images[2].manifest.digest);
    }
    let mut asked = repository.asked();
    asked.retain(|it| it != "manifest latest");
    asked.sort_unstable();
    let count = asked.len();
    asked.dedup();
    assert_eq!(asked.len(), count, "{asked:#?}");
    assert_eq!(count, 5);
}

#[test]
fn a_tower_of_indexes_is_refused() {
    let (repository, images, _) = three();
    let mut root = images[0].manifest.clone();
    for _ in 0..=imgcore::document::Nesting::MAX_DEPTH {
        root = index_as_latest(&repository, &[root]);
    }
    let origins = [origin("app@example", &repository)];
    let options = options(Handling::Shallow, &[]);
    let error = run(&origins, &latest(), &options, &memory()).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
}

/// An image whose manifest says that its config has another size, in a repository.
fn with_config_of_size(size: u64) -> (Arc<Repository>, Descriptor) {
    let image = image("amd64");
    let text = String::from_utf8(image.blob(&image.manifest).to_vec()).unwrap();
    let told = format!("\"size\":{}", image.config.size);
    let text = text.replacen(&told, &format!("\"size\":{size}"), 1);
    let repository = Repository::with(&image.blobs);
    let manifest = Descriptor::of(image.manifest.media_type, text.as_bytes());
    repository.put(&manifest.digest.to_string(), text.as_bytes());
    repository.put("latest", text.as_bytes());
    (Arc::new(repository), manifest)
}

#[test]
fn a_config_that_is_said_to_be_huge_is_refused_before_it_is_fetched() {
    let (repository, manifest) = with_config_of_size(1 << 40);
    let origins = [origin("app@example", &repository)];
    let check = |options: &PullOptions, documents: usize| {
        let error = run(&origins, &latest(), options, &memory()).0.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        let asked = repository.asked();
        assert_eq!(asked.len(), documents, "{asked:#?}");
        assert!(asked.iter().all(|it| it.starts_with("manifest ")));
        error.to_string()
    };
    let text = check(&options(Handling::Shallow, &[]), 1);
    let expected = "is said to have 1099511627776 bytes, which is more than 8388608";
    assert!(text.ends_with(expected), "{text}");
    check(&options(Handling::Eager, &[]), 1);
    // Where entries of an index do not say their platform, configs are read for it.
    index_as_latest(&repository, &[manifest]);
    check(&options(Handling::Shallow, &[]), 2);
    check(&options(Handling::Eager, &["linux/amd64"]), 2);
}

#[test]
fn configs_that_are_huge_together_are_refused_before_they_are_fetched() {
    let entries = (0..10).map(|number| {
        // The sizes differ, so that the manifests do; their config has one digest in each.
        let mut config = image("amd64").config;
        config.size = MAX_DOCUMENT - number;
        config.digest = Digest::sha256_of(number.to_string().as_bytes());
        config
    });
    let mut budget = documents::ConfigBudget::default();
    let taken = entries.map(|config| budget.take(&config).is_ok());
    let taken: Vec<bool> = taken.collect();
    assert_eq!(taken.iter().filter(|it| **it).count(), 8, "{taken:?}");
}

/// An image whose only layer is foreign, in a repository without that layer.
fn with_foreign_layer() -> (Repository, Descriptor) {
    let image = ImageBuilder::new()
        .layer(&tar_of([file("windows", "licensed")]), Codec::None)
        .build();
    let text = String::from_utf8(image.blob(&image.manifest).to_vec()).unwrap();
    let foreign = MediaType::OCI_FOREIGN_LAYER_TAR;
    let text = text.replace(image.layers[0].media_type.as_str(), foreign.as_str());
    let mut blobs = image.blobs.clone();
    blobs.remove(&image.layers[0].digest);
    let repository = Repository::with(&blobs);
    repository.put("latest", text.as_bytes());
    (repository, image.layers[0].clone())
}

#[test]
fn a_foreign_layer_that_nobody_has_is_left_out_and_told() {
    let (repository, layer) = with_foreign_layer();
    let origins = [origin("app@example", &Arc::new(repository))];
    let directory = tempfile::tempdir().unwrap();
    for cache in [None, Some(Cache::open(directory.path()).unwrap())] {
        let options = PullOptions {
            cache,
            ..options(Handling::Eager, &[])
        };
        let (pulled, events) = run(&origins, &latest(), &options, &memory());
        assert!(!pulled.unwrap().layers[0].is_present);
        let skipped = Event::Skipped {
            digest: layer.digest,
            size: layer.size,
        };
        assert!(events.contains(&skipped), "{events:#?}");
    }
}

#[test]
fn a_foreign_layer_that_fails_for_another_reason_is_an_error() {
    let check = |repository: Repository, store: &Arc<Tampered>| {
        let origins = [origin("app@example", &Arc::new(repository))];
        let options = options(Handling::Eager, &[]);
        let (pulled, events) = run(&origins, &latest(), &options, store);
        let is_skipped = |event: &Event| matches!(event, Event::Skipped { .. });
        assert!(!events.iter().any(is_skipped), "{events:#?}");
        pulled.unwrap_err().kind()
    };
    let (mut repository, layer) = with_foreign_layer();
    repository.refuses = Some((layer.digest, ErrorKind::Denied));
    let kind = check(repository, &Tampered::none());
    assert_eq!(kind, ErrorKind::Denied);
    let (mut repository, layer) = with_foreign_layer();
    repository.refuses = Some((layer.digest, ErrorKind::Unavailable));
    let kind = check(repository, &Tampered::none());
    assert_eq!(kind, ErrorKind::Unavailable);
    // The disk is full.
    let (repository, layer) = with_foreign_layer();
    let kind = check(repository, &Tampered::unwritable(&layer, ErrorKind::Io));
    assert_eq!(kind, ErrorKind::Io);
    // Its directory is gone.
    let (repository, layer) = with_foreign_layer();
    let kind = check(
        repository,
        &Tampered::unwritable(&layer, ErrorKind::NotFound),
    );
    assert_eq!(kind, ErrorKind::NotFound);
}

#[test]
fn another_document_than_the_one_of_the_digest_is_refused() {
    let (repository, images, index) = three();
    let store = memory();
    let other = images[0].blob(&images[0].manifest).to_vec();
    repository.put(&index.digest.to_string(), &other);
    let origins = [origin("app@example", &repository)];
    let (at, options) = (
        TagOrDigest::Digest(index.digest),
        options(Handling::Shallow, &[]),
    );
    let error = run(&origins, &at, &options, &store).0.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::DigestMismatch { .. }),
        "{error:?}"
    );
    assert!(!has(&*store, &index));
}

#[test]
fn an_origin_that_fails_is_told_and_the_next_one_helps() {
    let (repository, _, _) = three();
    let down = Arc::new(Repository {
        is_down: true,
        ..Repository::default()
    });
    let empty = Arc::new(Repository::default());
    let origins = [
        origin("app@down.example", &down),
        origin("app@empty.example", &empty),
        origin("app@example", &repository),
    ];
    let (pulled, events) = run(
        &origins,
        &latest(),
        &options(Handling::Eager, &[]),
        &memory(),
    );
    let pulled = pulled.unwrap();
    // Whoever lacks the root is not asked for what it leads to, unless nobody else has it.
    assert_eq!((down.asked().len(), empty.asked().len()), (1, 1));
    assert_eq!(pulled.layers[0].sources[0], "app@example");
    let failures = failures(&events);
    assert_eq!(
        failures,
        [
            "app@down.example: status 503: the registry is down",
            "app@empty.example: status 404: MANIFEST_UNKNOWN",
        ]
    );
}

#[test]
fn where_nobody_helps_every_reason_is_told() {
    let down = Arc::new(Repository {
        is_down: true,
        ..Repository::default()
    });
    let empty = Arc::new(Repository::default());
    let (one, two) = (origin("app@one", &empty), origin("app@two", &down));
    let options = options(Handling::Shallow, &[]);
    let error = run(&[one.clone(), two], &latest(), &options, &memory()).0;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    insta::assert_snapshot!(error, @r"
    no source has latest
      app@one: status 404: MANIFEST_UNKNOWN
      app@two: status 503: the registry is down
    ");
    let error = run(&[one], &latest(), &options, &memory()).0.unwrap_err();
    insta::assert_snapshot!(crate::error::chain(&error), @"cannot pull one/app:latest: status 404: MANIFEST_UNKNOWN");
}

#[test]
fn where_one_origin_stops_the_next_goes_on() {
    let (repository, images, index) = three();
    let broken = Repository {
        stops_after: Some(10),
        ..Repository::with(&index_of(&images).blobs)
    };
    let broken = Arc::new(broken);
    let origins = [
        origin("app@broken", &broken),
        origin("app@example", &repository),
    ];
    let at = TagOrDigest::Digest(images[0].manifest.digest);
    let store = memory();
    let (pulled, events) = run(&origins, &at, &options(Handling::Eager, &[]), &store);
    pulled.unwrap();
    let layer = &images[0].layers[0];
    let expected = format!("range 10..{} {}", layer.size, layer.digest);
    let asked = repository.asked();
    assert!(asked.contains(&expected), "{asked:#?}");
    assert_eq!(failures(&events)[0], "app@broken: connection reset");
    assert!(has(&*store, layer));
    assert!(index.size > 0);
}

#[test]
fn the_cache_spares_the_second_pull_the_layers() {
    let (repository, _, _) = three();
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    let origins = [origin("app@example", &repository)];
    let options = PullOptions {
        cache: Some(cache.clone()),
        ..options(Handling::Eager, &[])
    };
    let first = run(&origins, &latest(), &options, &memory()).0.unwrap();
    repository.asked();
    let damaged = &first.layers[0].descriptor;
    let length = usize::try_from(damaged.size).unwrap();
    fs_err::write(cache.blob_path(&damaged.digest), vec![b'x'; length]).unwrap();
    let store = memory();
    let (second, events) = run(&origins, &latest(), &options, &store);
    let blobs: Vec<_> = repository.asked();
    let blobs: Vec<_> = blobs.iter().filter(|it| it.starts_with("blob")).collect();
    assert_eq!(blobs, [&format!("blob {}", damaged.digest)]);
    let second = second.unwrap();
    assert!(second.layers.iter().all(|it| has(&*store, &it.descriptor)));
    let from_cache =
        |event: &&Event| matches!(event, Event::Finished { from, .. } if *from == From::Cache);
    // Three manifests, three configs, and the three other layers.
    assert_eq!(events.iter().filter(from_cache).count(), 9);
}

#[test]
fn a_digest_leads_to_a_whole_image_of_the_cache_without_any_origin() {
    let (repository, images, index) = three();
    let directory = tempfile::tempdir().unwrap();
    let options = PullOptions {
        cache: Some(Cache::open(directory.path()).unwrap()),
        ..options(Handling::Eager, &[])
    };
    let origins = [origin("app@example", &repository)];
    run(&origins, &latest(), &options, &memory()).0.unwrap();
    let store = memory();
    let at = TagOrDigest::Digest(index.digest);
    let pulled = run(&[], &at, &options, &store).0.unwrap();
    assert_eq!(pulled.images.len(), 3);
    assert!(has(&*store, &images[2].layers[1]));
    let unknown = TagOrDigest::Digest(Digest::sha256_of(b"unknown"));
    let error = run(&[], &unknown, &options, &store).0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn layers_left_behind_can_be_fetched_later() {
    let (repository, images, _) = three();
    let origins = [origin("app@example", &repository)];
    let options = options(Handling::Shallow, &["linux/amd64"]);
    let store = memory();
    let pulled = run(&origins, &latest(), &options, &store).0.unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let layers = &images[0].layers;
    let progress = Progress::default();
    let fetch = pulled.fetch_layers(
        layers,
        &options,
        Arc::<MemoryStore>::clone(&store),
        &progress,
    );
    runtime.block_on(fetch).unwrap();
    assert!(layers.iter().all(|layer| has(&*store, layer)));
}

#[test]
fn a_read_goes_on_at_the_next_origin() {
    let (repository, images, _) = three();
    let broken = Arc::new(Repository {
        stops_after: Some(10),
        ..Repository::with(&images[0].blobs)
    });
    let origins = vec![
        origin("app@broken", &broken),
        origin("app@example", &repository),
    ];
    let layer = &images[0].layers[0];
    let source = LayerSource::new(origins, None, Progress::default());
    let bytes = blocking::read_all(&source, layer, u64::MAX).unwrap();
    assert_eq!(bytes, images[0].blob(layer));
    let expected = format!("range 10..{} {}", layer.size, layer.digest);
    assert_eq!(repository.asked(), [expected]);
}

#[test]
fn the_size_of_a_digest_is_found_out() {
    let (repository, images, _) = three();
    let empty = Arc::new(Repository::default());
    let origins = vec![
        origin("app@empty", &empty),
        origin("app@example", &repository),
    ];
    let layer = &images[0].layers[0];
    let source = LayerSource::new(origins, None, Progress::default());
    let described = blocking::block_on(source.describe(&layer.digest)).unwrap();
    assert_eq!(described.size, layer.size);
    let unknown = Digest::sha256_of(b"unknown");
    let error = blocking::block_on(source.describe(&unknown)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.attempts().len(), 2);
}

#[test]
fn a_cache_out_of_service_is_told_and_done_without() {
    let (repository, _, _) = three();
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    fs_err::remove_dir_all(directory.path().join("tmp")).unwrap();
    fs_err::write(directory.path().join("tmp"), "in the way").unwrap();
    let origins = [origin("app@example", &repository)];
    let options = PullOptions {
        cache: Some(cache),
        ..options(Handling::Eager, &[])
    };
    let store = memory();
    let (pulled, events) = run(&origins, &latest(), &options, &store);
    assert!(
        pulled
            .unwrap()
            .layers
            .iter()
            .all(|it| has(&*store, &it.descriptor))
    );
    let failures = failures(&events);
    assert!(failures[0].starts_with("the cache "), "{failures:#?}");
}

#[test]
fn layers_are_read_from_whoever_has_them() {
    let (repository, images, _) = three();
    let empty = Arc::new(Repository::default());
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path()).unwrap();
    let origins = vec![
        origin("app@empty", &empty),
        origin("app@example", &repository),
    ];
    let layer = &images[0].layers[0];
    for cache in [None, Some(cache)] {
        let source = LayerSource::new(origins.clone(), cache, Progress::default());
        let bytes = blocking::read_all(&source, layer, u64::MAX).unwrap();
        assert_eq!(bytes, images[0].blob(layer));
        let part = blocking::block_on(async {
            let mut part = source.open_range(layer, 1..3).await.unwrap();
            part.next().await.unwrap().unwrap()
        });
        assert_eq!(part, images[0].blob(layer)[1..3]);
        imgstore::conformance::source(&source, images[0].blob(layer));
    }
    let nowhere = LayerSource::new(vec![origins[0].clone()], None, Progress::default());
    let error = blocking::read_all(&nowhere, layer, u64::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn futures_of_a_pull_can_be_sent() {
    fn is_sent<T: Send>(_: T) {}
    let (repository, _, _) = three();
    let origins = [origin("app@example", &repository)];
    let (at, options, progress) = (latest(), PullOptions::default(), Progress::default());
    is_sent(pull(&origins, &at, &options, memory(), &progress));
}
