mod cached;
mod layers;
mod origins;
mod selected;

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
