//! Where the bytes of a push are: stores by name, in the order in which they are asked.

use std::fmt;
use std::sync::Arc;

use imgstore::{BlobSource, Chain};

/// Stores with names, the near and cheap ones first. Cheap to clone; images share one.
///
/// A store counts for a blob only after it proved that it has it: its first bytes arrived. If it fails later, the next
/// one goes on.
#[derive(Clone, Default)]
pub struct Sources(Arc<[Source]>);

/// One store.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) name: Arc<str>,
    pub(crate) blobs: Arc<dyn BlobSource>,
}

impl Sources {
    /// Makes the list of one. The name is for messages and reports: it must hold no secret.
    pub fn of(name: &str, blobs: Arc<dyn BlobSource>) -> Self {
        Self::default().with(name, blobs)
    }

    /// Adds a store that is asked after the others.
    #[must_use]
    pub fn with(self, name: &str, blobs: Arc<dyn BlobSource>) -> Self {
        let name = Arc::from(name);
        let all = self.0.iter().cloned().chain([Source { name, blobs }]);
        Self(all.collect())
    }

    /// Returns the names in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|source| &*source.name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Source> {
        self.0.iter()
    }

    /// Returns whether two lists are one and the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// Takes the names with the sources.
impl From<&Chain> for Sources {
    fn from(chain: &Chain) -> Self {
        let sources = chain.named().map(|(name, blobs)| Source {
            name: Arc::from(name),
            blobs: Arc::clone(blobs),
        });
        Self(sources.collect())
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}
