//! What happens during a load, as values.

use std::fmt;
use std::sync::Arc;

use imgcore::{Descriptor, Digest};

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The engine has a blob now.
    BlobDone {
        /// Which one.
        blob: Box<Descriptor>,
        /// How it came there.
        how: How,
    },
    /// Bytes of a blob arrived.
    BlobProgress {
        /// Which one.
        digest: Digest,
        /// How many of its bytes the engine has. Less than before: it is sent again.
        offset: u64,
    },
    /// A blob is going to be sent.
    BlobStarted {
        /// Which one.
        blob: Box<Descriptor>,
        /// How many of its bytes the engine has from a load that broke off.
        offset: u64,
    },
    /// A name stands for the image now.
    Named {
        /// The name, as the engine writes it.
        name: String,
        /// The digest that it stands for.
        digest: Digest,
        /// What became of the name.
        change: Change,
    },
    /// It is clear what is to be done.
    Planned {
        /// How many blobs the image has for the platforms that were chosen, documents included.
        blobs: usize,
        /// How many of them the engine lacks.
        missing: usize,
        /// The bytes of those that it lacks.
        bytes: u64,
    },
    /// Somebody else writes a blob; this load waits for that.
    Waiting {
        /// Which one.
        digest: Digest,
    },
}

/// How an engine came to have a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum How {
    /// It was there, perhaps under another user's eyes only, and none of its bytes were sent.
    Present,
    /// It was sent, or the rest of it.
    Sent {
        /// How many bytes were.
        bytes: u64,
    },
}

/// What became of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// It is new.
    Created,
    /// It stood for something else.
    Moved,
    /// It stood for this image already.
    Unchanged,
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

impl fmt::Debug for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
