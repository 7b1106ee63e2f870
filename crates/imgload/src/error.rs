//! The error of this crate: who must act, on which thing, and every reason.

use std::error::Error as StdError;
use std::fmt;
use std::path::PathBuf;

use imgcore::Digest;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why an image could not be loaded.
///
/// [`kind`](Self::kind) is what a caller may match on; the text names the thing, the place and, where it is known, the
/// next step.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: ErrorKind,
    what: String,
    attempts: Vec<Attempt>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Who must act on an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Somebody else writes a blob, and does not get on with it.
    Busy {
        /// The blob.
        digest: Digest,
    },
    /// The engine's disk is full.
    DiskFull,
    /// The engine stopped answering in the middle. What it had got is not named as an image.
    Gone,
    /// The caller's words or settings cannot be used as they are.
    InvalidInput,
    /// No engine answers. [`attempts`](Error::attempts) has what was tried.
    NoEngine,
    /// The image has nothing for a platform that was asked for.
    NoPlatform,
    /// The engine did not do what it was asked for.
    Refused,
    /// The source lacks something, cannot give it, or gives it wrong.
    Source(imgstore::ErrorKind),
    /// This system or build of the program has no such engine.
    Unsupported,
}

impl ErrorKind {
    /// Returns whether the same load may succeed later. What arrived is not sent again then, unless the engine has
    /// collected it.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Busy { .. } | Self::Gone | Self::NoEngine => true,
            Self::Source(kind) => kind.is_retryable(),
            _ => false,
        }
    }
}

/// A place that was tried, and why nothing came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempt {
    /// The socket.
    pub place: PathBuf,
    /// Why it is of no use, with all causes.
    pub reason: String,
}

impl Attempt {
    pub(crate) fn new(place: impl Into<PathBuf>, reason: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            reason: reason.into(),
        }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            what: what.into(),
            attempts: Vec::new(),
            source: None,
        }))
    }

    /// Adds the cause.
    #[must_use]
    pub(crate) fn because(mut self, source: impl StdError + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Adds what was tried.
    #[must_use]
    pub(crate) fn with_attempts(mut self, attempts: Vec<Attempt>) -> Self {
        self.0.attempts = attempts;
        self
    }

    /// Makes an error of what a source did not do.
    pub(crate) fn store(what: impl Into<String>, cause: imgstore::Error) -> Self {
        Self::new(ErrorKind::Source(cause.kind()), what).because(cause)
    }

    /// Returns who must act.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns every place where an engine was looked for, in order, with its reason.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        for attempt in &self.0.attempts {
            write!(f, "\n  {}: {}", attempt.place.display(), attempt.reason)?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
