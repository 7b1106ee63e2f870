//! Images in memory, and a source that can be stopped.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, StreamExt};
use imgcore::{Descriptor, Digest, Reference};
use imgload::{Image, Progress, Report};
use imgstore::{BlobSource, BlobStream, MemoryStore, Presence, Result, UnverifiedStream};
use imgtar::Codec;
use imgtest::image::ImageBuilder;
use imgtest::noise;
use imgtest::tar::{file, tar_of};

/// An image with its blobs.
pub(crate) struct Sample {
    pub(crate) built: imgtest::image::Image,
    pub(crate) store: MemoryStore,
}

impl Sample {
    /// Makes an image of layers of noise, each with a size and a codec. The seed of a layer is its place, plus `seed` for the
    /// last one.
    pub(crate) fn new(seed: u64, layers: &[(usize, Codec)]) -> Self {
        let mut builder = ImageBuilder::new();
        for (place, (size, codec)) in layers.iter().enumerate() {
            let is_last = place + 1 == layers.len();
            let seed = 1000 + place as u64 + if is_last { seed } else { 0 };
            let tar = tar_of([file("data", noise(seed, *size))]);
            builder = builder.layer(&tar, *codec);
        }
        let built = builder.build();
        let store = MemoryStore::new();
        for bytes in built.blobs.values() {
            store.insert(bytes.clone());
        }
        Self { built, store }
    }

    pub(crate) fn image(&self, name: &str) -> Image {
        let name: Reference = name.parse().unwrap();
        let source = Arc::new(self.store.clone());
        Image::new(self.built.manifest.clone(), [name], source)
    }

    /// Returns the digests of all its blobs, sorted as texts.
    pub(crate) fn digests(&self) -> Vec<String> {
        let mut all: Vec<String> = self.built.blobs.keys().map(ToString::to_string).collect();
        all.sort();
        all
    }
}

pub(crate) async fn load(engine: &dyn imgload::Engine, image: &Image) -> Report {
    let loaded = engine.load(image, &Progress::default()).await;
    loaded.unwrap_or_else(|error| panic!("{}", imgstore::with_causes(&error)))
}

/// A source of which one blob stops after some bytes: nothing more comes, and no end.
pub(crate) struct Stopping {
    pub(crate) store: MemoryStore,
    pub(crate) blob: Digest,
    pub(crate) after: u64,
}

impl BlobSource for Stopping {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Presence>>> {
        self.store.stat(digests)
    }

    fn open<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream>> {
        self.store.open(descriptor)
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<UnverifiedStream>> {
        if descriptor.digest != self.blob {
            return self.store.open_range(descriptor, range);
        }
        Box::pin(async move {
            let end = range.end.min(self.after).max(range.start);
            let first = self.store.open_range(descriptor, range.start..end).await?;
            Ok(UnverifiedStream::new(first.chain(stream::pending())))
        })
    }

    fn local_path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}
