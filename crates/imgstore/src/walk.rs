//! From a root document to everything that it leads to.

use std::collections::HashSet;

use imgcore::document::{Config, Document, Index, Manifest, Nesting, Raw};
use imgcore::platform::best_match;
use imgcore::{Descriptor, Digest, Platform};

use crate::{BlobSource, BlobSourceExt, Error, ErrorKind, MAX_DOCUMENT, Result};

/// More images than any index has that was not made to hurt.
const MAX_IMAGES: usize = 10_000;
/// More bytes than all documents of an index have that was not made to hurt: they are kept in memory.
const MAX_BYTES: u64 = 8 * MAX_DOCUMENT;

/// Everything that a root document leads to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Contents {
    /// Every index, the root first, each before what it leads to. Each digest once.
    pub indexes: Vec<Raw<Index>>,
    /// Every manifest, in the order of the indexes, with the entry that leads to it. Each digest once.
    pub manifests: Vec<(Descriptor, Raw<Manifest>)>,
}

impl Contents {
    /// Reads the documents that `roots` lead to; no configs and no layers.
    ///
    /// # Errors
    ///
    /// Those of the source, of documents that are none, and [`ErrorKind::TooLarge`] when there are too many.
    pub async fn read(source: &(impl BlobSource + ?Sized), roots: &[Descriptor]) -> Result<Self> {
        let mut contents = Self::default();
        let mut seen = HashSet::new();
        let start = roots.iter().rev().map(|root| (root.clone(), None));
        let mut waiting: Vec<(Descriptor, Option<Nesting>)> = start.collect();
        let mut bytes = 0_u64;
        while let Some((descriptor, nesting)) = waiting.pop() {
            if let Some(nesting) = &nesting
                && descriptor.media_type.is_index()
            {
                // Says no to circles and towers, which `seen` alone would only cut.
                nesting.enter(descriptor.digest)?;
            }
            if !seen.insert(descriptor.digest) {
                continue;
            }
            if seen.len() > MAX_IMAGES {
                let text = format!("an index leads to more than {MAX_IMAGES} documents");
                return Err(Error::too_large(text));
            }
            bytes = bytes.saturating_add(descriptor.size);
            if bytes > MAX_BYTES {
                let text = format!("an index leads to documents of more than {MAX_BYTES} bytes");
                return Err(Error::too_large(text));
            }
            match document(source, &descriptor).await? {
                Document::Manifest(manifest) => contents.manifests.push((descriptor, manifest)),
                Document::Index(index) => {
                    let nesting = match nesting {
                        None => Nesting::new(descriptor.digest),
                        Some(nesting) => nesting.enter(descriptor.digest)?,
                    };
                    let children = index.manifests.iter().rev();
                    waiting.extend(children.map(|it| (it.clone(), Some(nesting.clone()))));
                    contents.indexes.push(index);
                }
            }
        }
        Ok(contents)
    }

    /// Returns every layer of the manifests, in order, each digest once.
    pub fn layers(&self) -> Vec<&Descriptor> {
        let mut seen: HashSet<Digest> = HashSet::new();
        let layers = self
            .manifests
            .iter()
            .flat_map(|(_, manifest)| &manifest.layers);
        layers.filter(|layer| seen.insert(layer.digest)).collect()
    }
}

/// Reads a manifest or index.
///
/// # Errors
///
/// Those of the source, and [`ErrorKind::Malformed`] when the blob is neither or not what its descriptor says.
pub async fn document(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
) -> Result<Document> {
    let bytes = source.read_all(descriptor, MAX_DOCUMENT).await?;
    Document::classify(&bytes, Some(&descriptor.media_type))
        .map_err(|error| Error::from(error).at(descriptor.digest))
}

/// Reads the config of an image.
///
/// # Errors
///
/// Those of the source, and [`ErrorKind::Malformed`] when it is no config.
pub async fn config(
    source: &(impl BlobSource + ?Sized),
    manifest: &Manifest,
) -> Result<Raw<Config>> {
    let bytes = source.read_all(&manifest.config, MAX_DOCUMENT).await?;
    Raw::parse(&bytes).map_err(|error| Error::from(error).at(manifest.config.digest))
}

/// Finds the manifest of the image that is meant by some entries of an index (see
/// [`LayoutIndex::select`](crate::LayoutIndex::select)): the best one for `platform`, or the only one there is.
///
/// Where entries say no platform, the configs of their images do. Artifacts that are no images never count.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] when no image is for the platform, [`ErrorKind::InvalidInput`] when there are several and no
/// platform is given; both texts list what there is.
pub async fn find_image(
    source: &(impl BlobSource + ?Sized),
    roots: &[Descriptor],
    platform: Option<&Platform>,
) -> Result<Descriptor> {
    let contents = Contents::read(source, roots).await?;
    let mut images = Vec::new();
    for (descriptor, manifest) in &contents.manifests {
        if manifest.is_image() {
            let platform = match &descriptor.platform {
                Some(platform) => platform.clone(),
                None => config(source, manifest).await?.platform().clone(),
            };
            images.push((descriptor, platform));
        }
    }
    let chosen = match (platform, images.as_slice()) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(wanted), images) => {
            let offered = images.iter().map(|(_, platform)| Some(platform));
            best_match(&wanted.runnable(), offered).and_then(|place| images.get(place))
        }
    };
    if let Some((descriptor, _)) = chosen {
        return Ok((*descriptor).clone());
    }
    let offered: Vec<_> = images
        .iter()
        .map(|(_, platform)| platform.to_string())
        .collect();
    let offered = offered.join(", ");
    Err(match platform {
        _ if images.is_empty() => Error::new(ErrorKind::NotFound, "there is no image"),
        Some(wanted) => {
            let text = format!("no image is for {wanted}; there are images for {offered}");
            Error::new(ErrorKind::NotFound, text)
        }
        None => {
            let text = format!("several images are meant, for {offered}; a platform must be given");
            Error::new(ErrorKind::InvalidInput, text)
        }
    })
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;

    use super::*;
    use crate::{MemoryStore, blocking::block_on};

    fn put(store: &MemoryStore, media_type: MediaType, text: String) -> Descriptor {
        let descriptor = Descriptor::of(media_type, text.as_bytes());
        store.insert(text);
        descriptor
    }

    fn json(descriptor: &Descriptor) -> String {
        String::from_utf8(descriptor.to_json().to_compact()).unwrap()
    }

    /// An image without layers, of which only the config says the platform.
    fn image(store: &MemoryStore, architecture: &str) -> Descriptor {
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"linux","rootfs":{{"type":"layers","diff_ids":[]}}}}"#
        );
        let config = put(store, MediaType::OCI_CONFIG, config);
        manifest(store, &config)
    }

    fn manifest(store: &MemoryStore, config: &Descriptor) -> Descriptor {
        let text = format!(
            r#"{{"schemaVersion":2,"config":{},"layers":[]}}"#,
            json(config)
        );
        put(store, MediaType::OCI_MANIFEST, text)
    }

    fn index(store: &MemoryStore, entries: &[Descriptor]) -> Descriptor {
        let entries: Vec<_> = entries.iter().map(json).collect();
        let text = format!(
            r#"{{"schemaVersion":2,"manifests":[{}]}}"#,
            entries.join(",")
        );
        put(store, MediaType::OCI_INDEX, text)
    }

    #[test]
    fn the_image_for_a_platform_is_found_through_nested_indexes_and_configs() {
        let store = MemoryStore::new();
        let [amd64, arm64] = ["amd64", "arm64"].map(|it| image(&store, it));
        let artifact = put(&store, MediaType::from("application/x"), "{}".into());
        let artifact = manifest(&store, &artifact);
        let inner = index(&store, &[arm64.clone(), artifact.clone()]);
        let root = index(&store, &[artifact, amd64.clone(), inner]);
        let find = |platform: &str| {
            let platform = platform.parse().unwrap();
            block_on(find_image(
                &store,
                std::slice::from_ref(&root),
                Some(&platform),
            ))
        };
        assert_eq!(find("linux/amd64").unwrap(), amd64);
        assert_eq!(find("linux/arm64/v8").unwrap(), arm64);
        let error = find("linux/s390x").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        insta::assert_snapshot!(error, @"no image is for linux/s390x; there are images for linux/amd64, linux/arm64");
        let error = block_on(find_image(&store, &[root], None)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        insta::assert_snapshot!(error, @"several images are meant, for linux/amd64, linux/arm64; a platform must be given");
    }

    #[test]
    fn the_only_image_needs_no_platform() {
        let store = MemoryStore::new();
        let only = image(&store, "riscv64");
        let root = index(&store, std::slice::from_ref(&only));
        assert_eq!(block_on(find_image(&store, &[root], None)).unwrap(), only);
    }

    #[test]
    fn a_tower_of_indexes_is_refused() {
        let store = MemoryStore::new();
        let mut root = image(&store, "amd64");
        for _ in 0..=Nesting::MAX_DEPTH {
            root = index(&store, &[root]);
        }
        let error = block_on(Contents::read(&store, &[root])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn more_documents_than_fit_into_memory_are_refused() {
        let store = MemoryStore::new();
        let only = image(&store, "amd64");
        let padded = |number: u64| {
            let mut bytes = store.get(&only.digest).unwrap().to_vec();
            bytes.resize((MAX_DOCUMENT - number).try_into().unwrap(), b' ');
            let descriptor = Descriptor::of(MediaType::OCI_MANIFEST, &bytes);
            store.insert(bytes);
            descriptor
        };
        let many: Vec<_> = (0..9).map(padded).collect();
        let root = index(&store, &many);
        let error = block_on(Contents::read(&store, &[root])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn a_document_that_is_not_what_its_entry_says_is_refused() {
        let store = MemoryStore::new();
        let mut lying = image(&store, "amd64");
        lying.media_type = MediaType::OCI_INDEX;
        let error = block_on(Contents::read(&store, &[lying])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
    }
}
