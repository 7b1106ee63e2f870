//! What happens during a push, as values.

use std::sync::Arc;

use imgcore::{Descriptor, Digest, Repository};
use imgregistry::TagOrDigest;

use crate::Location;

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A repository has a blob now.
    BlobDone {
        /// Which one.
        blob: Box<Descriptor>,
        /// Which repository.
        to: Arc<Location>,
        /// How it came there.
        how: How,
    },
    /// Bytes of a blob are on their way.
    BlobProgress {
        /// Which one.
        digest: Digest,
        /// Which repository it goes to.
        to: Arc<Location>,
        /// How many of its bytes went out. Less than before: they are sent again.
        offset: u64,
    },
    /// A blob is going to be sent.
    BlobStarted {
        /// Which one.
        blob: Box<Descriptor>,
        /// Which repository it goes to.
        to: Arc<Location>,
    },
    /// Something does not get there.
    Failed {
        /// What: a digest, or a tag.
        what: String,
        /// Which repository it was for.
        to: Arc<Location>,
        /// Why, with all causes.
        reason: String,
    },
    /// A manifest or index has its digest or tag now.
    ManifestDone {
        /// Its digest.
        digest: Digest,
        /// Where it stands in the repository.
        at: TagOrDigest,
        /// Which repository.
        to: Arc<Location>,
        /// Whether it was written; otherwise it stood there.
        is_written: bool,
    },
    /// It is clear what is to be done.
    Planned {
        /// How many blobs there are, counted for each repository.
        blobs: usize,
        /// How many manifests, indexes and tags.
        manifests: usize,
        /// The bytes of the blobs, if none of them is there.
        bytes: u64,
    },
    /// A source did not help, and another is tried or the blob fails.
    SourceFailed {
        /// Which blob was wanted.
        digest: Digest,
        /// The name of the source.
        source: String,
        /// Why it did not help, with all causes.
        reason: String,
    },
}

/// How a repository came to have a blob.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// It was taken over from this repository.
    Mounted(Repository),
    /// It was sent, from the source of this name.
    Sent(String),
    /// It was there.
    Skipped,
}

/// Takes events. It is called from several tasks, and must not wait.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(Event) + Send + Sync>);

impl Progress {
    /// Calls `listener` with every event.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    pub(crate) fn tell(&self, event: Event) {
        (self.0)(event);
    }
}

impl Default for Progress {
    /// Nobody listens.
    fn default() -> Self {
        Self::new(|_| {})
    }
}

impl std::fmt::Debug for Progress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Progress")
    }
}
