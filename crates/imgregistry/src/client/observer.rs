//! What the client tells about its work: requests, bytes and waits.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::Method;

use crate::{Operation, Role};

/// Hears of what the client does. It is called on the way of every chunk, so it must not wait.
pub trait Observer: Send + Sync {
    /// Hears of one event.
    fn observe(&self, event: &Event);
}

/// Something that the client did. No event carries a secret.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A place for credentials could not be asked, such as a helper that fails. The client goes on without it.
    #[non_exhaustive]
    CredentialWarning {
        /// The registry.
        host: String,
        /// What was asked, and what went wrong.
        text: String,
    },
    /// A mirror did not help. The next one is asked, or the registry itself.
    #[non_exhaustive]
    MirrorFailed {
        /// The mirror, with its port.
        host: String,
        /// Why, on one line.
        reason: String,
    },
    /// Bytes of an answer's body came.
    #[non_exhaustive]
    Received {
        /// What the host is.
        role: Role,
        /// How many.
        bytes: u64,
    },
    /// A request goes out.
    #[non_exhaustive]
    Request {
        /// What it is for.
        operation: Operation,
        /// Its method.
        method: Method,
        /// Where it goes, with the port.
        host: String,
        /// What the host is.
        role: Role,
    },
    /// Bytes of a blob went out.
    #[non_exhaustive]
    Sent {
        /// How many.
        bytes: u64,
    },
    /// An attempt failed, and the client waits before the next one.
    #[non_exhaustive]
    Waiting {
        /// The host, with its port.
        host: String,
        /// The number of the attempt that failed, from 1.
        attempt: u32,
        /// How long the client waits.
        pause: Duration,
        /// Why the attempt failed, on one line.
        reason: String,
    },
    /// The registry wants a person to know something: to be shown once, however often it comes.
    #[non_exhaustive]
    Warning {
        /// The host, with its port.
        host: String,
        /// What it says, on one line.
        text: String,
    },
}

/// An [`Observer`] that counts.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use imgregistry::{Client, Counters};
///
/// let counters = Arc::new(Counters::default());
/// let builder = Client::builder().observer(Arc::clone(&counters) as _);
/// assert_eq!(counters.requests(), 0);
/// # drop(builder);
/// ```
#[derive(Debug, Default)]
pub struct Counters {
    requests: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    waits: AtomicU64,
}

impl Counters {
    /// Returns how many requests went out, repeated ones and those for tokens included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Returns how many bytes of bodies came.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Returns how many bytes of blobs went out.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns how often the client waited before another attempt.
    pub fn waits(&self) -> u64 {
        self.waits.load(Ordering::Relaxed)
    }
}

impl Observer for Counters {
    fn observe(&self, event: &Event) {
        let (counter, amount) = match event {
            Event::Received { bytes, .. } => (&self.received, *bytes),
            Event::Request { .. } => (&self.requests, 1),
            Event::Sent { bytes } => (&self.sent, *bytes),
            Event::Waiting { .. } => (&self.waits, 1),
            Event::CredentialWarning { .. }
            | Event::MirrorFailed { .. }
            | Event::Warning { .. } => return,
        };
        counter.fetch_add(amount, Ordering::Relaxed);
    }
}

/// Tells two observers.
pub(super) struct Both(pub(super) Arc<dyn Observer>, pub(super) Arc<dyn Observer>);

impl Observer for Both {
    fn observe(&self, event: &Event) {
        self.0.observe(event);
        self.1.observe(event);
    }
}

/// Counts the bytes of one body for the observer, if there is one.
#[derive(Clone)]
pub(crate) struct Counted {
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) role: Role,
}

impl Counted {
    pub(crate) fn add(&self, bytes: usize) {
        if let Some(observer) = &self.observer {
            observer.observe(&Event::Received {
                role: self.role,
                bytes: bytes as u64,
            });
        }
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counted")
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}
