//! What is loaded.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use imgcore::{Descriptor, Digest, Platform, Reference, RegistryHost, Repository};
use imgstore::BlobSource;

use crate::{Error, ErrorKind, Result};

/// An image or index that is loaded, with the names that it gets.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use imgcore::{Descriptor, MediaType};
/// use imgload::Image;
/// use imgstore::MemoryStore;
///
/// let store = MemoryStore::new();
/// let index = br#"{"schemaVersion":2,"manifests":[]}"#;
/// store.insert(&index[..]);
/// let root = Descriptor::of(MediaType::OCI_INDEX, index);
/// let image = Image::new(root, ["team/app:1".parse()?], Arc::new(store));
/// assert_eq!(image.full_names()?[0].to_string(), "docker.io/team/app:1");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Image {
    /// The manifest or index. What the descriptor says beside type, digest and size is not loaded.
    pub root: Descriptor,
    /// What it is called.
    pub names: Vec<Reference>,
    /// Which images of an index are loaded with their layers.
    pub platforms: Platforms,
    /// Where its documents and blobs are.
    pub source: Arc<dyn BlobSource>,
    /// Repositories that are known to have a blob, by its digest. An engine may note them, and use them when it pushes.
    pub origins: BTreeMap<Digest, Vec<Origin>>,
}

/// Which images of an index are loaded with their layers. The index itself stays whole, and keeps its digest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Platforms {
    /// All of them, and everything else that the index leads to.
    #[default]
    All,
    /// The best one for each of these platforms. Where one of them has none, the load fails.
    Only(Vec<Platform>),
    /// The best one for this platform, or the only one that there is.
    Prefer(Platform),
}

/// A repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a repository has these two names"
)]
pub struct Origin {
    /// The registry.
    pub registry: RegistryHost,
    /// The repository there.
    pub repository: Repository,
}

impl Image {
    /// Starts with what every image has; all platforms are loaded.
    pub fn new(
        root: Descriptor,
        names: impl IntoIterator<Item = Reference>,
        source: Arc<dyn BlobSource>,
    ) -> Self {
        Self {
            root,
            names: names.into_iter().collect(),
            platforms: Platforms::default(),
            source,
            origins: BTreeMap::new(),
        }
    }

    /// Returns the names as Docker and containerd write them: with the registry, with `library/` where Docker means it,
    /// and with the tag `latest` where there is neither tag nor digest. Each is there once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for a name that has the digest of another image, and for one that is none.
    pub fn full_names(&self) -> Result<Vec<Reference>> {
        let mut names: Vec<Reference> = Vec::new();
        for name in &self.names {
            let full = name
                .docker_normalized()
                .map_err(|error| {
                    Error::new(ErrorKind::InvalidInput, format!("name {name}")).because(error)
                })?
                .or_latest();
            if let Some(digest) = full.digest()
                && digest != self.root.digest
            {
                let root = self.root.digest;
                let text = format!(
                    "{name} is another image than {root}: leave the digest out, or name the image that has it"
                );
                return Err(Error::new(ErrorKind::InvalidInput, text));
            }
            if !names.contains(&full) {
                names.push(full);
            }
        }
        Ok(names)
    }
}

impl fmt::Debug for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Image")
            .field("root", &self.root)
            .field("names", &self.names)
            .field("platforms", &self.platforms)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;
    use imgstore::MemoryStore;

    use super::*;

    fn image(names: &[&str]) -> Image {
        let root = Descriptor::of(MediaType::OCI_MANIFEST, b"{}");
        let names = names.iter().map(|name| name.parse().unwrap());
        Image::new(root, names, Arc::new(MemoryStore::new()))
    }

    #[test]
    fn names_are_written_as_docker_and_containerd_write_them() {
        let own = Descriptor::of(MediaType::OCI_MANIFEST, b"{}").digest;
        let check = |name: &str, expected: &str| {
            let names = image(&[name]).full_names().unwrap();
            assert_eq!(names[0].to_string(), expected);
        };
        check("hello", "docker.io/library/hello:latest");
        check("hello:demo", "docker.io/library/hello:demo");
        check("team/app", "docker.io/team/app:latest");
        check("localhost/app", "localhost/app:latest");
        check("localhost:5000/app:1", "localhost:5000/app:1");
        check("[2001:db8::1]:5000/app:1", "[2001:db8::1]:5000/app:1");
        check("r.example/team/app:1.2_3-x", "r.example/team/app:1.2_3-x");
        check(
            &format!("hello@{own}"),
            &format!("docker.io/library/hello@{own}"),
        );
        let long = format!("r.example/{}:{}", "a/".repeat(100) + "b", "t".repeat(128));
        check(&long, &long);
    }

    #[test]
    fn each_name_is_there_once() {
        let names = image(&[
            "hello",
            "docker.io/library/hello:latest",
            "index.docker.io/hello",
        ]);
        assert_eq!(names.full_names().unwrap().len(), 1);
    }

    #[test]
    fn a_name_with_the_digest_of_another_image_is_refused() {
        let other = Digest::sha256_of(b"other");
        let error = image(&[&format!("hello@{other}")])
            .full_names()
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        insta::assert_snapshot!(error, @"hello@sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa is another image than sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a: leave the digest out, or name the image that has it");
    }
}
