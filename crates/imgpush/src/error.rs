//! The error of this crate: who must act, on which thing, and every reason.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use imgcore::{Digest, Repository, Tag};

use crate::Location;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something could not be pushed. Cheap to clone: images that need the same blob fail for the same reason.
///
/// [`kind`](Self::kind) is what a caller may match on; the text names the thing, the place and, where it is known, the
/// next step.
#[derive(Clone, Debug)]
pub struct Error(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    kind: ErrorKind,
    what: String,
    attempts: Vec<Attempt>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

/// Who must act on an [`Error`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A layer is not in the registry, and layers must not be sent.
    ForbiddenLayer {
        /// The layer.
        layer: Digest,
    },
    /// A tag has another digest, and it may not or must not move.
    ImmutableTag {
        /// The tag.
        tag: Tag,
        /// The digest that it has, where that is known.
        have: Option<Digest>,
        /// The digest that it was to get.
        want: Digest,
    },
    /// The caller's words or settings cannot be used as they are.
    InvalidInput,
    /// A blob must be mounted, and the registry does not.
    MountRefused {
        /// The blob.
        digest: Digest,
        /// Where it was to be mounted from.
        from: Repository,
    },
    /// No source has a blob or document.
    NoSource {
        /// Which one.
        digest: Digest,
    },
    /// The registry did not do what it was asked for.
    Registry(imgregistry::ErrorKind),
    /// A source has something, and cannot give it or gives it wrong.
    Source(imgstore::ErrorKind),
}

impl ErrorKind {
    /// Returns whether the same push may succeed later. What arrived is not sent again then.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Registry(kind) => kind.is_retryable(),
            Self::Source(kind) => kind.is_retryable(),
            _ => false,
        }
    }
}

/// A place that was asked for a blob, and why it did not help.
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The name of the source.
    pub source: String,
    /// Why it did not help, with all causes.
    pub reason: String,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        Self::with_parts(kind, what.into(), Vec::new(), None)
    }

    fn with_parts(
        kind: ErrorKind,
        what: String,
        attempts: Vec<Attempt>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self(Arc::new(Parts {
            kind,
            what,
            attempts,
            source,
        }))
    }

    /// Makes the error of a blob that a repository and every source lack, with the reason of each source.
    pub(crate) fn no_source(to: &Location, digest: Digest, attempts: Vec<Attempt>) -> Self {
        let mut text = format!("{to} does not have {digest}, and no source has it");
        if attempts.is_empty() {
            text.push_str("; name one that does");
        }
        Self::with_attempts(ErrorKind::NoSource { digest }, text, attempts)
    }

    /// Makes the error of something that no source gives, with the reason of each.
    pub(crate) fn with_attempts(
        kind: ErrorKind,
        what: impl Into<String>,
        attempts: Vec<Attempt>,
    ) -> Self {
        Self::with_parts(kind, what.into(), attempts, None)
    }

    /// Makes an error of what a registry did not do.
    pub(crate) fn registry(what: impl Into<String>, cause: imgregistry::Error) -> Self {
        let kind = ErrorKind::Registry(cause.kind());
        Self::with_parts(kind, what.into(), Vec::new(), Some(Box::new(cause)))
    }

    /// Makes an error of what a source did not do.
    pub(crate) fn store(what: impl Into<String>, cause: imgstore::Error) -> Self {
        let kind = ErrorKind::Source(cause.kind());
        Self::with_parts(kind, what.into(), Vec::new(), Some(Box::new(cause)))
    }

    /// Returns who must act.
    pub fn kind(&self) -> &ErrorKind {
        &self.0.kind
    }

    /// Returns every source that was asked for a blob, in order, with its reason.
    pub fn attempts(&self) -> &[Attempt] {
        &self.0.attempts
    }

    /// Returns whether two errors are one and the same, such as that of a blob which two images need.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        for attempt in &self.0.attempts {
            write!(f, "\n  {}: {}", attempt.source, attempt.reason)?;
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
