//! What is pushed, and where to.

use std::collections::BTreeMap;
use std::fmt;

use imgcore::{Descriptor, Digest, RegistryHost, Repository, Tag};

use crate::Sources;

/// A repository of a registry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a repository has these two names"
)]
pub struct Location {
    /// The registry.
    pub registry: RegistryHost,
    /// The repository there.
    pub repository: Repository,
}

impl Location {
    /// Names a repository.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgpush::Location;
    ///
    /// let location = Location::new("registry.example".parse()?, "team/app".parse()?);
    /// assert_eq!(location.to_string(), "registry.example/team/app");
    /// # Ok::<(), imgcore::reference::ParseReferenceError>(())
    /// ```
    pub fn new(registry: RegistryHost, repository: Repository) -> Self {
        Self {
            registry,
            repository,
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)
    }
}

/// An image, an index or an artifact that goes to one repository.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use imgcore::{Descriptor, MediaType};
/// use imgpush::{Image, Location, Sources};
/// use imgstore::MemoryStore;
///
/// let store = MemoryStore::new();
/// let index = br#"{"schemaVersion":2,"manifests":[]}"#;
/// store.insert(&index[..]);
/// let root = Descriptor::of(MediaType::OCI_INDEX, index);
/// let to = Location::new("registry.example".parse()?, "team/app".parse()?);
/// let mut image = Image::new(root, to, Sources::of("memory", Arc::new(store)));
/// image.tags.push("v1".parse()?);
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Image {
    /// The manifest or index.
    pub root: Descriptor,
    /// Where it goes.
    pub destination: Location,
    /// The tags that it gets. Without any it is written under its digest.
    pub tags: Vec<Tag>,
    /// Tags of manifests that an index leads to, by their digests.
    pub child_tags: BTreeMap<Digest, Vec<Tag>>,
    /// Where its documents and blobs are.
    pub sources: Sources,
    /// Repositories of the destination's registry that probably have its blobs: those may be mounted from there.
    pub mount_from: Vec<Repository>,
    /// Repositories that have a blob, by its digest. From one of the destination's registry it is mounted; otherwise, and
    /// where that is refused, it is read from there if no source has it.
    pub layer_sources: BTreeMap<Digest, Vec<Location>>,
}

impl Image {
    /// Starts with what every image has.
    pub fn new(root: Descriptor, destination: Location, sources: Sources) -> Self {
        Self {
            root,
            destination,
            tags: Vec::new(),
            child_tags: BTreeMap::new(),
            sources,
            mount_from: Vec::new(),
            layer_sources: BTreeMap::new(),
        }
    }
}
