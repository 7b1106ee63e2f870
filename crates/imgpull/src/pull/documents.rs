//! From the root to every document that is pulled.

use std::collections::HashSet;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt, stream};
use imgcore::document::{Index, Manifest, Nesting, Raw};
use imgcore::{Descriptor, Digest, Document, Platform};
use imgregistry::protocol::url::TagOrDigest;
use imgstore::{BlobSource, BlobStream, ErrorKind, MAX_DOCUMENT, Presence, UnverifiedStream, walk};

use super::blobs::Fetcher;
use super::{Digests, PullOptions, select};
use crate::{Error, From, Result};

/// More documents than any index has that was not made to hurt.
const MAX_DOCUMENTS: usize = 10_000;
/// More bytes than all documents of an index have that was not made to hurt: they are kept in memory.
const MAX_BYTES: u64 = 8 * MAX_DOCUMENT;

/// What was found: the descriptor of the root, and the root.
pub(super) type Root = (Descriptor, Document);

/// Finds the root, in the store if it is named by its digest, and puts it there.
pub(super) async fn root(fetcher: &mut Fetcher, at: &TagOrDigest) -> Result<Root> {
    if let Some(digest) = at.digest()
        && let Some((document, from)) = fetcher.find(&digest).await?
    {
        let descriptor = described(&document, at);
        fetcher.finished(&descriptor, from);
        return Ok((descriptor, document));
    }
    let (document, origin) = fetcher.first_document(at).await?;
    let descriptor = described(&document, at);
    fetcher.resolved(&descriptor, origin.clone());
    fetcher.keep(&descriptor, document.bytes()).await?;
    fetcher.finished(&descriptor, From::Origin(origin));
    Ok((descriptor, document))
}

/// Describes a document by the digest that it was asked for with.
fn described(document: &Document, at: &TagOrDigest) -> Descriptor {
    let mut descriptor = document.descriptor();
    if let Some(digest) = at.digest() {
        descriptor.digest = digest;
    }
    descriptor
}

/// Every document of what is pulled. All of them are in the store.
pub(super) struct Walk {
    root: Root,
    indexes: Vec<Descriptor>,
    manifests: Vec<(Descriptor, Raw<Manifest>)>,
    /// The images of the wanted platforms, in their order; `None` where all are wanted.
    chosen: Option<Vec<Digest>>,
    is_complete: bool,
}

impl Walk {
    /// Fetches what the root leads to, level by level.
    pub(super) async fn from(
        fetcher: &Arc<Fetcher>,
        root: Root,
        options: &PullOptions,
    ) -> Result<Self> {
        let chosen = match &root.1 {
            Document::Index(index) if !options.platforms.is_empty() => {
                Some(choose(fetcher, &root.0, index, &options.platforms).await?)
            }
            _ => None,
        };
        let mut walk = Self {
            root,
            indexes: Vec::new(),
            manifests: Vec::new(),
            chosen,
            is_complete: true,
        };
        let mut level = Vec::new();
        match walk.root.clone() {
            (descriptor, Document::Manifest(manifest)) => {
                walk.manifests.push((descriptor, manifest));
            }
            (descriptor, Document::Index(index)) => {
                let nesting = Nesting::new(descriptor.digest);
                walk.indexes.push(descriptor);
                level.push((index, nesting));
            }
        }
        let mut seen = HashSet::from([walk.root.0.digest]);
        let mut bytes = 0;
        while !level.is_empty() {
            let entries = walk.entries(&level, &mut seen)?;
            check_limits(&seen, &entries, &mut bytes)?;
            level = walk.next_level(fetcher, entries, options.jobs).await?;
        }
        Ok(walk)
    }

    /// Lists what the indexes of a level lead to and is pulled.
    fn entries(
        &mut self,
        level: &[(Raw<Index>, Nesting)],
        seen: &mut Digests,
    ) -> Result<Vec<(Descriptor, Nesting)>> {
        let chosen: Option<Digests> = self.chosen.clone().map(|it| it.into_iter().collect());
        let mut entries = Vec::new();
        for (index, nesting) in level {
            for entry in &index.manifests {
                if entry.media_type.is_index() {
                    // Says no to circles and towers, which `seen` alone would only cut.
                    nesting.enter(entry.digest).map_err(imgstore::Error::from)?;
                } else if !entry.media_type.is_manifest() {
                    // The specification has readers ignore what they do not know.
                    continue;
                } else if chosen
                    .as_ref()
                    .is_some_and(|it| !select::comes_with(entry, it))
                {
                    self.is_complete = false;
                    continue;
                }
                if seen.insert(entry.digest) {
                    entries.push((entry.clone(), nesting.clone()));
                }
            }
        }
        Ok(entries)
    }

    async fn next_level(
        &mut self,
        fetcher: &Arc<Fetcher>,
        entries: Vec<(Descriptor, Nesting)>,
        jobs: usize,
    ) -> Result<Vec<(Raw<Index>, Nesting)>> {
        let documents = entries.into_iter().map(|(entry, nesting)| async move {
            let document = fetcher.document(&entry).await?;
            Ok::<_, Error>((entry, nesting, document))
        });
        let mut found = stream::iter(documents).buffered(jobs.max(1));
        let mut next = Vec::new();
        while let Some((entry, nesting, document)) = found.try_next().await? {
            match document {
                Document::Manifest(manifest) => self.manifests.push((entry, manifest)),
                Document::Index(index) => {
                    let nesting = nesting.enter(entry.digest).map_err(imgstore::Error::from)?;
                    self.indexes.push(entry);
                    next.push((index, nesting));
                }
            }
        }
        Ok(next)
    }

    pub(super) fn root(&self) -> &Descriptor {
        &self.root.0
    }

    pub(super) fn root_document(&self) -> &Document {
        &self.root.1
    }

    pub(super) fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Lists indexes, manifests and configs.
    pub(super) fn documents(&self) -> impl Iterator<Item = &Descriptor> {
        let manifests = self.manifests.iter();
        let manifests = manifests.flat_map(|(entry, manifest)| [entry, &manifest.config]);
        self.indexes.iter().chain(manifests)
    }

    /// Returns every config, each digest once; an error if they are more than anyone wants to keep.
    pub(super) fn configs(&self) -> Result<Vec<Descriptor>> {
        let mut budget = ConfigBudget::default();
        let configs = self.manifests.iter().map(|(_, manifest)| &manifest.config);
        configs.clone().try_for_each(|it| budget.take(it))?;
        Ok(distinct(configs))
    }

    /// Returns every layer, each digest once.
    pub(super) fn layers(&self) -> Vec<Descriptor> {
        distinct(
            self.manifests
                .iter()
                .flat_map(|(_, manifest)| &manifest.layers),
        )
    }

    /// Lists the images: those of the wanted platforms in their order, or all in the order of the indexes.
    pub(super) fn images(&self) -> Vec<&(Descriptor, Raw<Manifest>)> {
        let Some(chosen) = &self.chosen else {
            let images = self.manifests.iter();
            return images.filter(|(_, manifest)| manifest.is_image()).collect();
        };
        let by_digest =
            |digest: &Digest| self.manifests.iter().find(|(it, _)| it.digest == *digest);
        chosen.iter().filter_map(by_digest).collect()
    }
}

/// Chooses the image for each platform. Only where entries do not say their platform, images are read for it.
async fn choose(
    fetcher: &Arc<Fetcher>,
    root: &Descriptor,
    index: &Index,
    platforms: &[Platform],
) -> Result<Vec<Digest>> {
    if let Some(chosen) = select::by_entries(&index.manifests, platforms) {
        return chosen;
    }
    let source = Documents {
        fetcher: Arc::clone(fetcher),
        configs: Mutex::default(),
    };
    let mut chosen = Vec::new();
    for platform in platforms {
        let roots = std::slice::from_ref(root);
        chosen.push(
            walk::find_image(&source, roots, Some(platform))
                .await?
                .digest,
        );
    }
    Ok(chosen)
}

fn check_limits(seen: &Digests, entries: &[(Descriptor, Nesting)], bytes: &mut u64) -> Result<()> {
    let new = entries.iter().map(|(entry, _)| entry.size);
    *bytes = new.fold(*bytes, u64::saturating_add);
    if seen.len() > MAX_DOCUMENTS {
        let text = format!("the index leads to more than {MAX_DOCUMENTS} documents");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    if *bytes > MAX_BYTES {
        let text = format!("the index leads to documents of more than {MAX_BYTES} bytes");
        return Err(Error::new(ErrorKind::TooLarge, text));
    }
    Ok(())
}

/// How many bytes of configs an image may make a pull fetch: a size is whatever a manifest says.
#[derive(Default)]
pub(super) struct ConfigBudget {
    seen: Digests,
    bytes: u64,
}

impl ConfigBudget {
    /// Counts a config, before it is fetched.
    pub(super) fn take(&mut self, config: &Descriptor) -> Result<()> {
        let Descriptor { digest, size, .. } = config;
        if *size > MAX_DOCUMENT {
            let text = format!(
                "config {digest} is said to have {size} bytes, which is more than {MAX_DOCUMENT}"
            );
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        if self.seen.insert(*digest) {
            self.bytes = self.bytes.saturating_add(*size);
        }
        if self.bytes > MAX_BYTES {
            let text = format!("the index leads to configs of more than {MAX_BYTES} bytes");
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        Ok(())
    }
}

fn distinct<'a>(blobs: impl Iterator<Item = &'a Descriptor>) -> Vec<Descriptor> {
    let mut seen = HashSet::new();
    blobs.filter(|it| seen.insert(it.digest)).cloned().collect()
}

/// The documents of an image as a source of blobs, which are kept in the store as they are read.
struct Documents {
    fetcher: Arc<Fetcher>,
    configs: Mutex<ConfigBudget>,
}

impl Documents {
    async fn bytes(&self, descriptor: &Descriptor) -> imgstore::Result<Bytes> {
        if descriptor.media_type.is_manifest() || descriptor.media_type.is_index() {
            let document = self.fetcher.document(descriptor).await;
            let document = document.map_err(Error::into_store_error)?;
            return Ok(Bytes::copy_from_slice(document.bytes()));
        }
        let counted = self
            .configs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(descriptor);
        counted.map_err(Error::into_store_error)?;
        let fetched = self.fetcher.fetch(descriptor).await;
        fetched.map_err(Error::into_store_error)?;
        let read = self.fetcher.read(descriptor, MAX_DOCUMENT).await;
        read.map_err(Error::into_store_error)
    }
}

impl BlobSource for Documents {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, imgstore::Result<Vec<Presence>>> {
        let answers = vec![Presence::Unknown; digests.len()];
        Box::pin(std::future::ready(Ok(answers)))
    }

    fn open<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, imgstore::Result<BlobStream>> {
        Box::pin(async move {
            let bytes = self.bytes(descriptor).await?;
            Ok(BlobStream::of_bytes(descriptor, bytes))
        })
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, imgstore::Result<UnverifiedStream>> {
        Box::pin(async move {
            let bytes = self.bytes(descriptor).await?;
            let within = |at| usize::try_from(at).ok().filter(|at| *at <= bytes.len());
            let part = match (within(range.start), within(range.end)) {
                (Some(start), Some(end)) if start <= end => bytes.slice(start..end),
                _ => {
                    let text = format!("{} has no such bytes", descriptor.digest);
                    return Err(imgstore::Error::new(ErrorKind::InvalidInput, text));
                }
            };
            Ok(UnverifiedStream::new(stream::iter([Ok(part)])))
        })
    }

    fn local_path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}
