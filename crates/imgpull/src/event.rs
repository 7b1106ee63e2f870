//! What happens during a pull, as values.

use std::sync::Arc;

use imgcore::{Descriptor, Digest};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A place did not help, and another one is tried or the pull fails.
    Failed {
        /// What was wanted: a digest, or a tag.
        what: String,
        /// The name of the place.
        origin: String,
        /// Why it did not help, with all causes.
        reason: String,
    },
    /// A blob is there, whole and checked.
    Finished {
        /// Which one.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
        /// Where it came from.
        from: From,
    },
    /// So much of a blob is there.
    Progress {
        /// Which one.
        digest: Digest,
        /// How many of its bytes are there.
        offset: u64,
    },
    /// The root document is there.
    Resolved {
        /// What the name means.
        root: Box<Descriptor>,
        /// Where that is so.
        origin: String,
    },
    /// A layer is left out: no place has it, and its media type lets it be elsewhere.
    Skipped {
        /// Which one.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
    /// A blob is on its way.
    Started {
        /// Which one.
        digest: Digest,
        /// Its size in bytes.
        size: u64,
    },
}

/// Where a blob came from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum From {
    /// The local cache.
    Cache,
    /// The origin with this name.
    Origin(String),
    /// It was in the store.
    Store,
}

/// Takes events. It is called from several tasks, and must not wait.
#[derive(Clone)]
pub struct Progress(Arc<dyn Fn(Event) + Send + Sync>);

impl Progress {
    /// Calls `listener` with every event.
    pub fn new(listener: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Tells an event: for callers that move blobs by themselves.
    pub fn tell(&self, event: Event) {
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
