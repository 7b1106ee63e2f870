//! From a root document to everything that it leads to.

use std::collections::HashSet;

use imgcore::document::{Config, Document, Index, Manifest, Nesting, Raw};
use imgcore::platform::best_match;
use imgcore::{Descriptor, Digest, Platform};

use crate::{BlobSource, BlobSourceExt, Error, ErrorKind, MAX_DOCUMENT, REF_NAME, Result};

/// More images than any index has that was not made to hurt.
const MAX_IMAGES: usize = 10_000;
/// More bytes than all documents of an index have that was not made to hurt: they are kept in memory.
const MAX_BYTES: u64 = 8 * MAX_DOCUMENT;
/// The architecture of entries that are no images, like what a builder attests of them.
const UNKNOWN: &str = "unknown";

/// Everything that a root document leads to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Contents {
    /// Every index, the root first, each before what it leads to. Each digest once.
    pub indexes: Vec<Raw<Index>>,
    /// Every manifest, in the order of the indexes, with the entry that leads to it. Each digest once.
    pub manifests: Vec<(Descriptor, Raw<Manifest>)>,
    /// Entries of indexes whose document the source lacks: the platforms that a pull left out. Each digest once.
    pub missing: Vec<Descriptor>,
}

impl Contents {
    /// Reads the documents that `roots` lead to; no configs and no layers.
    ///
    /// # Errors
    ///
    /// Those of the source, of documents that are none, and [`ErrorKind::TooLarge`] when there are too many.
    pub async fn read(source: &(impl BlobSource + ?Sized), roots: &[Descriptor]) -> Result<Self> {
        let walked = walk(source, roots, Gaps::Refused).await?;
        Ok(walked.contents)
    }

    /// As [`read`](Self::read), and does without the entries of indexes that are [missing](Self::missing).
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read); a root must be there.
    pub async fn read_present(
        source: &(impl BlobSource + ?Sized),
        roots: &[Descriptor],
    ) -> Result<Self> {
        let walked = walk(source, roots, Gaps::Noted).await?;
        Ok(walked.contents)
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

/// Contents, and the root that leads to each first: its place.
#[derive(Default)]
struct Walked {
    contents: Contents,
    roots_of_manifests: Vec<usize>,
    roots_of_missing: Vec<usize>,
}

/// What becomes of entries of indexes whose document is not there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gaps {
    Refused,
    Noted,
}

async fn walk(
    source: &(impl BlobSource + ?Sized),
    roots: &[Descriptor],
    gaps: Gaps,
) -> Result<Walked> {
    let mut walked = Walked::default();
    let contents = &mut walked.contents;
    let mut seen = HashSet::new();
    let start = roots.iter().enumerate().rev();
    let start = start.map(|(origin, root)| (root.clone(), None, origin));
    let mut waiting: Vec<(Descriptor, Option<Nesting>, usize)> = start.collect();
    let mut bytes = 0_u64;
    while let Some((descriptor, nesting, origin)) = waiting.pop() {
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
        let document = match document(source, &descriptor).await {
            Err(error)
                if gaps == Gaps::Noted
                    && nesting.is_some()
                    && error.kind() == ErrorKind::NotFound =>
            {
                contents.missing.push(descriptor);
                walked.roots_of_missing.push(origin);
                continue;
            }
            document => document?,
        };
        match document {
            Document::Manifest(manifest) => {
                contents.manifests.push((descriptor, manifest));
                walked.roots_of_manifests.push(origin);
            }
            Document::Index(index) => {
                let nesting = match nesting {
                    None => Nesting::new(descriptor.digest),
                    Some(nesting) => nesting.enter(descriptor.digest)?,
                };
                let children = index.manifests.iter().rev();
                waiting.extend(children.map(|it| (it.clone(), Some(nesting.clone()), origin)));
                contents.indexes.push(index);
            }
        }
    }
    Ok(walked)
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
/// Where entries say no platform, the configs of their images do. Artifacts that are no images never count. Of equal
/// platforms within one index the first is taken, as the image specification wants it; between roots nothing is
/// chosen. An entry for a platform counts although the source lacks its manifest, so that no other image is taken for
/// the one that is meant; one whose platform nobody can tell does not.
///
/// # Errors
///
/// [`ErrorKind::NotFound`] when no image is for the platform, [`ErrorKind::InvalidInput`] when there are several and
/// no platform is given, or several roots have one for it; all texts list what there is.
pub async fn find_image(
    source: &(impl BlobSource + ?Sized),
    roots: &[Descriptor],
    platform: Option<&Platform>,
) -> Result<Descriptor> {
    let walked = walk(source, roots, Gaps::Noted).await?;
    let contents = &walked.contents;
    let mut images = Vec::new();
    let manifests = contents.manifests.iter().zip(walked.roots_of_manifests);
    for ((descriptor, manifest), origin) in manifests {
        if manifest.is_image() {
            let platform = match &descriptor.platform {
                Some(platform) => platform.clone(),
                None => config(source, manifest).await?.platform().clone(),
            };
            images.push(Candidate {
                descriptor,
                platform,
                origin,
            });
        }
    }
    let missing = contents.missing.iter().zip(walked.roots_of_missing);
    images.extend(missing.filter_map(|(descriptor, origin)| {
        let platform = descriptor.platform.clone()?;
        (platform.architecture != UNKNOWN).then_some(Candidate {
            descriptor,
            platform,
            origin,
        })
    }));
    choose(roots, &images, platform).map(|it| it.descriptor.clone())
}

/// An image that may be meant.
struct Candidate<'a> {
    descriptor: &'a Descriptor,
    platform: Platform,
    /// The place of its root.
    origin: usize,
}

fn choose<'a, 'd>(
    roots: &[Descriptor],
    images: &'a [Candidate<'d>],
    platform: Option<&Platform>,
) -> Result<&'a Candidate<'d>> {
    let Some(first) = images.first() else {
        return Err(Error::new(ErrorKind::NotFound, "there is no image"));
    };
    let offered = || shown(images.iter().map(|it| it.platform.to_string()));
    let Some(wanted) = platform else {
        if images.len() == 1 {
            return Ok(first);
        }
        let text = if images.iter().all(|it| it.origin == first.origin) {
            let offered = offered();
            format!("several images are meant, for {offered}; a platform must be given")
        } else {
            let named = shown(images.iter().map(|it| {
                let name = name_among(roots, it.origin);
                format!("{name} for {}", it.platform)
            }));
            format!("several images are meant, {named}; one must be named")
        };
        return Err(Error::new(ErrorKind::InvalidInput, text));
    };
    let platforms = images.iter().map(|it| Some(&it.platform));
    let best = best_match(&wanted.runnable(), platforms).and_then(|place| images.get(place));
    let Some(best) = best else {
        let text = format!(
            "no image is for {wanted}; there are images for {}",
            offered()
        );
        return Err(Error::new(ErrorKind::NotFound, text));
    };
    let equal = best.platform.normalized();
    let mut equals: Vec<usize> = images
        .iter()
        .filter(|it| it.platform.normalized() == equal)
        .map(|it| it.origin)
        .collect();
    equals.dedup();
    if equals.len() > 1 {
        let named = shown(equals.into_iter().map(|origin| name_among(roots, origin)));
        let text = format!("several images are for {wanted}, {named}; one must be named");
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    Ok(best)
}

/// Returns what only the root at `place` is called: its name, or else its digest.
fn name_among(roots: &[Descriptor], place: usize) -> String {
    let name = |root: &Descriptor| root.annotations.get(REF_NAME).cloned();
    let Some(root) = roots.get(place) else {
        return String::new();
    };
    match name(root) {
        Some(own)
            if roots
                .iter()
                .filter_map(name)
                .filter(|it| *it == own)
                .count()
                == 1 =>
        {
            format!("{own:?}")
        }
        _ => root.digest.to_string(),
    }
}

/// Lists items, but not thousands.
fn shown(items: impl Iterator<Item = String>) -> String {
    const SHOWN: usize = 10;
    let mut items: Vec<String> = items.collect();
    if items.len() > SHOWN {
        let more = format!("{} more", items.len() - SHOWN);
        items.truncate(SHOWN);
        items.push(more);
    }
    items.join(", ")
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
    fn between_names_of_a_layout_nothing_is_chosen() {
        let store = MemoryStore::new();
        let named = |mut descriptor: Descriptor, name: &str| {
            let annotation = (REF_NAME.to_owned(), name.to_owned());
            descriptor.annotations.extend([annotation]);
            descriptor
        };
        let [amd64, arm64] = ["amd64", "arm64"].map(|it| image(&store, it));
        let config = r#"{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":[]},"author":"x"}"#;
        let other = put(&store, MediaType::OCI_CONFIG, config.into());
        let other = manifest(&store, &other);
        let check = |roots: &[Descriptor], platform: Option<&str>| {
            let platform = platform.map(|text| text.parse().unwrap());
            let found = block_on(find_image(&store, roots, platform.as_ref()));
            found.map(|found| found.digest).map_err(|error| {
                assert_eq!(error.kind(), ErrorKind::InvalidInput);
                error.to_string()
            })
        };
        let roots = [named(amd64.clone(), "1"), named(other.clone(), "2")];
        insta::assert_snapshot!(check(&roots, None).unwrap_err(), @r#"several images are meant, "1" for linux/amd64, "2" for linux/amd64; one must be named"#);
        insta::assert_snapshot!(check(&roots, Some("linux/amd64")).unwrap_err(), @r#"several images are for linux/amd64, "1", "2"; one must be named"#);
        let same_name = [named(amd64.clone(), "1"), named(other.clone(), "1")];
        let error = check(&same_name, Some("linux/amd64")).unwrap_err();
        assert!(error.contains(&other.digest.to_string()), "{error}");
        let distinct = [named(amd64.clone(), "1"), named(arm64.clone(), "2")];
        assert_eq!(check(&distinct, Some("linux/arm64")), Ok(arm64.digest));
        // Within one index the first of equals is the one.
        let index = [index(&store, &[amd64.clone(), other])];
        assert_eq!(check(&index, Some("linux/amd64")), Ok(amd64.digest));
    }

    #[test]
    fn platforms_that_a_pull_left_out_are_missing_and_no_others_stand_in_for_them() {
        let store = MemoryStore::new();
        let amd64 = image(&store, "amd64");
        let left_out = |text: &str| {
            let mut entry = Descriptor::of(MediaType::OCI_MANIFEST, text.as_bytes());
            entry.platform = Some(text.parse().unwrap());
            entry
        };
        let [arm, attested] = ["linux/arm/v7", "unknown/unknown"].map(left_out);
        let root = [index(
            &store,
            &[amd64.clone(), arm.clone(), attested.clone()],
        )];
        let error = block_on(Contents::read(&store, &root)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let present = block_on(Contents::read_present(&store, &root)).unwrap();
        assert_eq!(present.manifests.len(), 1);
        let missing = present.missing.iter().map(|entry| entry.digest);
        assert!(missing.eq([arm.digest, attested.digest]));
        let find = |platform: &str| {
            let platform = platform.parse().unwrap();
            let found = block_on(find_image(&store, &root, Some(&platform)));
            found.unwrap().digest
        };
        assert_eq!(find("linux/amd64"), amd64.digest);
        assert_eq!(find("linux/arm/v7"), arm.digest);
        let error = block_on(find_image(&store, &root, None)).unwrap_err();
        insta::assert_snapshot!(error, @"several images are meant, for linux/amd64, linux/arm/v7; a platform must be given");
        let gone = block_on(Contents::read_present(&store, &[arm])).unwrap_err();
        assert_eq!(gone.kind(), ErrorKind::NotFound);
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
