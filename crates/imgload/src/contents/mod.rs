//! What of an image is loaded: its documents, and the blobs for the platforms that were chosen.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use imgcore::document::{Config, Document, Manifest, Nesting, Raw};
use imgcore::platform::best_match;
use imgcore::{Descriptor, Digest, Platform};
use imgstore::{BlobSourceExt, ErrorKind as StoreKind, MAX_DOCUMENT};

use crate::{Error, ErrorKind, Image, Platforms, Result};

/// More documents than any image has that was not made to hurt.
const MAX_DOCUMENTS: usize = 10_000;
/// More bytes than all documents of an image have that was not made to hurt: they are kept in memory.
const MAX_BYTES: u64 = 8 * MAX_DOCUMENT;

/// What travels.
#[derive(Debug)]
pub(crate) struct Contents {
    /// Manifests, then indexes; the root is the last.
    pub(crate) documents: Vec<Node>,
    /// Configs and layers, each digest once.
    pub(crate) blobs: Vec<Descriptor>,
    /// Images whose layers stay behind.
    pub(crate) left_out: u64,
}

/// A manifest or index.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) descriptor: Descriptor,
    pub(crate) bytes: Bytes,
    /// What it leads to, whether that travels or not.
    pub(crate) children: Vec<(Role, Digest)>,
}

/// What a document leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Config,
    Layer,
    Manifest,
}

/// Reads the documents of an image, and chooses.
///
/// # Errors
///
/// Those of the source, of documents that are none, and [`ErrorKind::NoPlatform`].
pub(crate) async fn read(image: &Image) -> Result<Contents> {
    let mut reader = Reader {
        image,
        indexes: Vec::new(),
        manifests: HashMap::new(),
        candidates: Vec::new(),
        bytes: 0,
    };
    reader.survey().await?;
    reader.take().await
}

struct Reader<'a> {
    image: &'a Image,
    /// The indexes, each before what it leads to.
    indexes: Vec<Node>,
    /// The manifests that were read.
    manifests: HashMap<Digest, Raw<Manifest>>,
    candidates: Vec<Candidate>,
    bytes: u64,
}

/// A manifest that may be meant.
struct Candidate {
    descriptor: Descriptor,
    /// The platform that it is for, where that is known.
    platform: Option<Platform>,
    /// Whether its entry does not say the platform: then an engine reads the documents to find out.
    is_silent: bool,
}

impl Reader<'_> {
    /// Reads all indexes, and of the manifests what is needed to choose.
    async fn survey(&mut self) -> Result<()> {
        let root = bare(&self.image.root);
        match self.document(&root).await? {
            Document::Manifest(manifest) => {
                let platform = match &self.image.platforms {
                    Platforms::Only(_) => self.platform_of(&manifest).await?,
                    _ => None,
                };
                self.manifests.insert(root.digest, manifest);
                self.candidates.push(Candidate {
                    descriptor: root,
                    platform,
                    is_silent: false,
                });
                Ok(())
            }
            Document::Index(index) => {
                let nesting = Nesting::new(root.digest);
                self.entries(root, nesting, index).await
            }
        }
    }

    async fn entries(
        &mut self,
        root: Descriptor,
        nesting: Nesting,
        index: Raw<imgcore::document::Index>,
    ) -> Result<()> {
        let mut seen = HashSet::from([root.digest]);
        let mut waiting = self.open_index(root, &index, &nesting);
        while let Some((entry, nesting)) = waiting.pop() {
            let inner = entry.media_type.is_index();
            let nesting = if inner {
                let entered = nesting.enter(entry.digest);
                entered.map_err(|error| invalid(&entry, error))?
            } else {
                nesting
            };
            if !seen.insert(entry.digest) {
                continue;
            }
            if seen.len() > MAX_DOCUMENTS {
                let root = self.image.root.digest;
                let text = format!("{root} leads to more than {MAX_DOCUMENTS} documents");
                return Err(Error::new(ErrorKind::Source(StoreKind::TooLarge), text));
            }
            if inner {
                match self.document_if_there(&entry).await? {
                    Some(Document::Index(index)) => {
                        waiting.extend(self.open_index(bare(&entry), &index, &nesting));
                    }
                    // What is called an index and is none was refused where it was read.
                    Some(Document::Manifest(_)) | None => {}
                }
            } else {
                self.candidate(entry).await?;
            }
        }
        Ok(())
    }

    /// Keeps an index; returns what it leads to, the first one last.
    fn open_index(
        &mut self,
        descriptor: Descriptor,
        index: &Raw<imgcore::document::Index>,
        nesting: &Nesting,
    ) -> Vec<(Descriptor, Nesting)> {
        let entries = index.manifests.iter();
        let children = entries.map(|it| (Role::Manifest, it.digest)).collect();
        self.indexes.push(Node {
            descriptor,
            bytes: Bytes::copy_from_slice(index.bytes()),
            children,
        });
        let entries = index.manifests.iter().rev();
        entries.map(|it| (it.clone(), nesting.clone())).collect()
    }

    async fn candidate(&mut self, entry: Descriptor) -> Result<()> {
        let is_silent = entry.platform.is_none();
        let mut platform = entry.platform.clone();
        if is_silent && self.image.platforms != Platforms::All {
            let Some(Document::Manifest(manifest)) = self.document_if_there(&entry).await? else {
                return Ok(());
            };
            platform = self.platform_of(&manifest).await?;
            self.manifests.insert(entry.digest, manifest);
        }
        self.candidates.push(Candidate {
            descriptor: bare(&entry),
            platform,
            is_silent,
        });
        Ok(())
    }

    /// Reads the platform in the config; an artifact that is no image has none.
    async fn platform_of(&self, manifest: &Raw<Manifest>) -> Result<Option<Platform>> {
        if !manifest.is_image() {
            return Ok(None);
        }
        let config = &manifest.config;
        let read = self.image.source.read_all(config, MAX_DOCUMENT).await;
        let bytes =
            read.map_err(|error| Error::store(format!("config {}", config.digest), error))?;
        let config = Raw::<Config>::parse(&bytes).map_err(|error| invalid(config, error))?;
        Ok(Some(config.platform().clone()))
    }

    /// Gathers what was chosen.
    async fn take(mut self) -> Result<Contents> {
        let chosen = self.choose()?;
        let mut contents = Contents {
            documents: Vec::new(),
            blobs: Vec::new(),
            left_out: 0,
        };
        let mut seen = HashSet::new();
        let mut add = |blob: &Descriptor, blobs: &mut Vec<Descriptor>| {
            if seen.insert(blob.digest) {
                blobs.push(blob.clone());
            }
        };
        for (place, candidate) in std::mem::take(&mut self.candidates).iter().enumerate() {
            let is_chosen = chosen.contains(&place);
            if !is_chosen
                && candidate
                    .platform
                    .as_ref()
                    .is_some_and(|it| it.os != "unknown")
            {
                contents.left_out += 1;
            }
            if !is_chosen && !candidate.is_silent {
                continue;
            }
            let manifest = self.manifest(&candidate.descriptor).await?;
            add(&manifest.config, &mut contents.blobs);
            if is_chosen {
                // What is had from elsewhere by its license is not sent.
                let layers = manifest.layers.iter();
                let layers =
                    layers.filter(|it| !it.media_type.is_foreign_layer() || it.urls.is_empty());
                layers.for_each(|layer| add(layer, &mut contents.blobs));
            }
            contents
                .documents
                .push(node(candidate.descriptor.clone(), &manifest));
        }
        contents.documents.extend(self.indexes.into_iter().rev());
        Ok(contents)
    }

    async fn manifest(&mut self, descriptor: &Descriptor) -> Result<Raw<Manifest>> {
        if let Some(manifest) = self.manifests.remove(&descriptor.digest) {
            return Ok(manifest);
        }
        match self.document(descriptor).await? {
            Document::Manifest(manifest) => Ok(manifest),
            Document::Index(_) => {
                let text = format!(
                    "document {} is an index called a manifest",
                    descriptor.digest
                );
                Err(Error::new(ErrorKind::Source(StoreKind::Malformed), text))
            }
        }
    }

    /// Returns the places of the candidates whose layers are loaded.
    fn choose(&self) -> Result<HashSet<usize>> {
        let best = |wanted: &Platform| {
            let platforms = self.candidates.iter().map(|it| it.platform.as_ref());
            best_match(&wanted.runnable(), platforms)
        };
        match &self.image.platforms {
            Platforms::All => Ok((0..self.candidates.len()).collect()),
            Platforms::Only(wanted) => wanted
                .iter()
                .map(|it| best(it).ok_or_else(|| self.nothing_for(it)))
                .collect(),
            Platforms::Prefer(wanted) => {
                if let Some(best) = best(wanted) {
                    return Ok(HashSet::from([best]));
                }
                let is_image = |it: &Candidate| match &it.platform {
                    Some(platform) => platform.os != "unknown",
                    // The root itself is not asked.
                    None => self.indexes.is_empty(),
                };
                let images = self.candidates.iter().enumerate();
                let images: Vec<usize> = images
                    .filter(|(_, it)| is_image(it))
                    .map(|(place, _)| place)
                    .collect();
                match images.as_slice() {
                    [only] => Ok(HashSet::from([*only])),
                    _ => Err(self.nothing_for(wanted)),
                }
            }
        }
    }

    fn nothing_for(&self, wanted: &Platform) -> Error {
        const SHOWN: usize = 10;
        let platforms = self.candidates.iter().filter_map(|it| it.platform.as_ref());
        let platforms = platforms.filter(|it| it.os != "unknown");
        let mut offered: Vec<String> = platforms.map(ToString::to_string).collect();
        if offered.len() > SHOWN {
            let more = offered.len() - SHOWN;
            offered.truncate(SHOWN);
            offered.push(format!("{more} more"));
        }
        let root = self.image.root.digest;
        let text = if offered.is_empty() {
            format!("{root} has no image for {wanted}, nor for any other platform")
        } else {
            let offered = offered.join(", ");
            format!("{root} has no image for {wanted}; it has images for {offered}")
        };
        Error::new(ErrorKind::NoPlatform, text)
    }

    /// Reads a document that may be missing where only some platforms are loaded.
    async fn document_if_there(&mut self, descriptor: &Descriptor) -> Result<Option<Document>> {
        match self.document(descriptor).await {
            Err(error)
                if error.kind() == ErrorKind::Source(StoreKind::NotFound)
                    && self.image.platforms != Platforms::All =>
            {
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    async fn document(&mut self, descriptor: &Descriptor) -> Result<Document> {
        self.bytes = self.bytes.saturating_add(descriptor.size);
        if self.bytes > MAX_BYTES {
            let root = self.image.root.digest;
            let text = format!("{root} leads to documents of more than {MAX_BYTES} bytes");
            return Err(Error::new(ErrorKind::Source(StoreKind::TooLarge), text));
        }
        let read = self.image.source.read_all(descriptor, MAX_DOCUMENT).await;
        let bytes =
            read.map_err(|error| Error::store(format!("document {}", descriptor.digest), error))?;
        Document::classify(&bytes, Some(&descriptor.media_type))
            .map_err(|error| invalid(descriptor, error))
    }
}

fn node(descriptor: Descriptor, manifest: &Raw<Manifest>) -> Node {
    let layers = manifest.layers.iter().map(|it| (Role::Layer, it.digest));
    let config = [(Role::Config, manifest.config.digest)];
    Node {
        descriptor,
        bytes: Bytes::copy_from_slice(manifest.bytes()),
        children: config.into_iter().chain(layers).collect(),
    }
}

/// What a descriptor says of the content itself, which is all that an engine keeps.
fn bare(descriptor: &Descriptor) -> Descriptor {
    let mut bare = Descriptor::new(
        descriptor.media_type.clone(),
        descriptor.digest,
        descriptor.size,
    );
    bare.data.clone_from(&descriptor.data);
    bare
}

fn invalid(descriptor: &Descriptor, error: imgcore::Error) -> Error {
    let error = imgstore::Error::from(error);
    Error::store(format!("document {}", descriptor.digest), error)
}

#[cfg(test)]
mod tests;
