//! From a name to an image in a store.

mod ask;
mod blobs;
mod documents;
mod layer_source;
mod select;
mod store_target;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::sync::Arc;

use imgcore::document::{Config, Manifest, Raw};
use imgcore::{Descriptor, Digest, Document, Platform};
use imgregistry::protocol::url::TagOrDigest;
use imgstore::{BlobSink, BlobSource, Durability, ErrorKind, MAX_DOCUMENT};
use tokio::task::JoinSet;

use self::ask::Origins;
pub use self::ask::{document, documents};
use self::blobs::Fetcher;
use self::documents::Walk;
pub use self::layer_source::LayerSource;
use crate::{Cache, Error, Origin, Progress, Result};

/// A store that a pull reads and writes.
pub trait Store: BlobSource + BlobSink {}

impl<S: BlobSource + BlobSink> Store for S {}

/// What is pulled of an image, and how.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PullOptions {
    /// The platforms whose images are pulled; all of an index if there are none.
    pub platforms: Vec<Platform>,
    /// What is pulled.
    pub handling: Handling,
    /// How many blobs are on their way at once, at least 1.
    pub jobs: usize,
    /// Where blobs are looked for first, and kept.
    pub cache: Option<Cache>,
    /// What the pulled blobs survive. With [`Durability::Machine`] they are flushed to the disk together, at the end.
    pub durability: Durability,
}

impl Default for PullOptions {
    fn default() -> Self {
        Self {
            platforms: Vec::new(),
            handling: Handling::default(),
            jobs: 10,
            cache: None,
            durability: Durability::default(),
        }
    }
}

/// What is pulled of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Handling {
    /// Everything.
    Eager,
    /// Documents: indexes, manifests and configs. Of layers it is known where they can be had.
    #[default]
    Shallow,
}

/// An image, or several of an index, that was pulled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Pulled {
    /// What the name means: a manifest or an index.
    pub root: Descriptor,
    /// Whether the store has everything that the root leads to, but for layers. Choosing platforms leaves out others.
    pub is_complete: bool,
    /// The images, in the order of the index; with platforms given, in the order of the platforms.
    pub images: Vec<PulledImage>,
    /// Every layer of what was pulled, each digest once.
    pub layers: Vec<PulledLayer>,
    origins: Vec<Origin>,
}

/// One image.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PulledImage {
    /// The entry of the index that leads to it, or the root.
    pub descriptor: Descriptor,
    /// Its manifest.
    pub manifest: Raw<Manifest>,
    /// Its config.
    pub config: Raw<Config>,
}

/// One layer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PulledLayer {
    /// The entry of the manifest that leads to it.
    pub descriptor: Descriptor,
    /// Whether the store has it.
    pub is_present: bool,
    /// The names of the origins that it can be had from, the best first.
    pub sources: Vec<String>,
}

impl Pulled {
    /// Makes a source of the blobs that were not pulled.
    pub fn layer_source(&self, cache: Option<Cache>, progress: Progress) -> LayerSource {
        LayerSource::new(self.origins.clone(), cache, progress)
    }

    /// Fetches layers into a store, as an eager pull does.
    ///
    /// # Errors
    ///
    /// Those of [`pull`] that are about blobs.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves in the store what is complete.
    pub async fn fetch_layers(
        &self,
        layers: &[Descriptor],
        options: &PullOptions,
        store: Arc<dyn Store>,
        progress: &Progress,
    ) -> Result<()> {
        let origins = Origins::new(self.origins.clone(), progress.clone());
        let fetcher = Arc::new(Fetcher::new(origins, options.cache.clone(), store));
        fetch_all(&fetcher, layers.to_vec(), options.jobs).await
    }
}

/// Pulls an image into a store.
///
/// Every document and blob is checked against its digest before it is visible in the store. What the store has already
/// is checked, too, and is not fetched. The origins are asked in order, and one that does not help is told as an
/// [`Event::Failed`](crate::Event::Failed). Attestations and other artifacts of an index count as no platform; they
/// come with the images that they are about.
///
/// # Errors
///
/// That no origin has a document or blob, with every origin's reason; that a document breaks its specification or is
/// larger than 8 MiB; that no image is for a platform; that the store cannot be written.
///
/// # Cancel safety
///
/// Dropping the future leaves in the store what is complete.
pub async fn pull(
    origins: &[Origin],
    at: &TagOrDigest,
    options: &PullOptions,
    store: Arc<dyn Store>,
    progress: &Progress,
) -> Result<Pulled> {
    let origins = Origins::new(origins.to_vec(), progress.clone());
    let mut fetcher = Fetcher::new(origins, options.cache.clone(), store);
    let root = documents::root(&mut fetcher, at).await?;
    let fetcher = Arc::new(fetcher);
    let walk = Walk::from(&fetcher, root, options).await?;
    let configs = walk.configs()?;
    fetch_all(&fetcher, configs, options.jobs).await?;
    let images = read_images(&fetcher, &walk, options).await?;
    let mut layers = walk.layers();
    if options.handling == Handling::Eager {
        fetch_all(&fetcher, layers.clone(), options.jobs).await?;
    }
    let missing = fetcher.missing(&layers).await?;
    if options.durability == Durability::Machine {
        let documents = walk.documents();
        let present = layers
            .iter()
            .filter(|layer| !missing.contains(&layer.digest));
        let all = documents.chain(present).map(|it| it.digest).collect();
        fetcher.flush(all).await?;
    }
    let names: Vec<String> = fetcher
        .origins()
        .iter()
        .map(|it| it.name().to_owned())
        .collect();
    let layers = layers.drain(..).map(|descriptor| PulledLayer {
        is_present: !missing.contains(&descriptor.digest),
        sources: names.clone(),
        descriptor,
    });
    Ok(Pulled {
        layers: layers.collect(),
        root: walk.root().clone(),
        is_complete: walk.is_complete(),
        images,
        origins: fetcher.origins().to_vec(),
    })
}

/// Fetches blobs side by side. The first that fails ends the others.
async fn fetch_all(fetcher: &Arc<Fetcher>, blobs: Vec<Descriptor>, jobs: usize) -> Result<()> {
    let mut waiting = blobs.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < jobs.max(1)
            && let Some(blob) = waiting.next()
        {
            let fetcher = Arc::clone(fetcher);
            running.spawn(async move { fetcher.fetch(&blob).await });
        }
        match running.join_next().await {
            None => return Ok(()),
            Some(Ok(outcome)) => outcome?,
            Some(Err(error)) => {
                let text = format!("a transfer ended early: {error}");
                return Err(Error::new(ErrorKind::Io, text));
            }
        }
    }
}

/// Reads the configs of the images that were pulled, and checks that they are for the platforms that were wanted.
async fn read_images(
    fetcher: &Fetcher,
    walk: &Walk,
    options: &PullOptions,
) -> Result<Vec<PulledImage>> {
    let mut images = Vec::new();
    for (descriptor, manifest) in walk.images() {
        let bytes = fetcher.read(&manifest.config, MAX_DOCUMENT).await?;
        let config: Raw<Config> = Raw::parse(&bytes).map_err(|error| {
            Error::because(format!("config {}", manifest.config.digest), error.into())
        })?;
        images.push(PulledImage {
            descriptor: descriptor.clone(),
            manifest: manifest.clone(),
            config,
        });
    }
    // The entries of an index were chosen by what they say; a single image says it in its config alone.
    if let (Document::Manifest(_), [image]) = (walk.root_document(), images.as_slice()) {
        select::check_only(image.config.platform(), &options.platforms)?;
    }
    Ok(images)
}

type Digests = HashSet<Digest>;
