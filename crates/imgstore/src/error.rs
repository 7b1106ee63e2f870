//! The error of this crate: one opaque type that says who must act.

use std::fmt;
use std::io;

use imgcore::{Digest, ErrorKind as CoreKind};

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a store could not do what it was asked for.
///
/// [`kind`](Self::kind) is what a caller may match on; the text names the thing and the place.
#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Who must act on an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The store's owner says no.
    Denied,
    /// The bytes are not the ones that the digest names.
    DigestMismatch {
        /// The digest that was asked for.
        expected: Digest,
        /// The digest that the bytes have.
        actual: Digest,
    },
    /// The caller's words cannot be used as they are.
    InvalidInput,
    /// The machine failed: disk, permissions, a file that vanished.
    Io,
    /// A document, layout or archive breaks its specification.
    Malformed,
    /// The store does not have the thing.
    NotFound,
    /// There are fewer or more bytes than announced.
    SizeMismatch {
        /// The size that was announced, in bytes.
        expected: u64,
        /// The bytes that came, as far as they were read.
        actual: u64,
    },
    /// Something is larger, deeper or more numerous than this crate takes from outside.
    TooLarge,
    /// The store cannot answer now; trying again may help.
    Unavailable,
}

impl ErrorKind {
    /// Returns whether the same call may succeed later.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Unavailable)
    }
}

impl Error {
    /// Makes an error with a text that names the thing and the place: lower case, no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            message: message.into(),
            source: None,
        }))
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Returns who must act.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Makes the error of a blob that is not there.
    pub fn not_found(digest: &Digest, place: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("no blob {digest} in {place}"))
    }

    /// Wraps an I/O error that happened while doing `what`.
    ///
    /// A failed verification inside (of [`imgcore::digest::VerifyingReader`]) or an error of this crate keeps its
    /// kind, and a missing file becomes [`ErrorKind::NotFound`].
    pub fn from_io(what: impl Into<String>, error: io::Error) -> Self {
        let inner = error.get_ref();
        let kind = if let Some(core) = inner.and_then(|inner| inner.downcast_ref()) {
            kind_of_core(core)
        } else if let Some(tar) = inner.and_then(|inner| inner.downcast_ref()) {
            kind_of_tar(tar)
        } else if let Some(own) = inner.and_then(|inner| inner.downcast_ref::<Self>()) {
            own.kind()
        } else if error.kind() == io::ErrorKind::NotFound {
            ErrorKind::NotFound
        } else {
            ErrorKind::Io
        };
        Self::new(kind, what).with_source(error)
    }

    /// Puts the place in front of the text.
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.0.message = format!("{place}: {}", self.0.message);
        self
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }

    pub(crate) fn digest_mismatch(expected: Digest, actual: Digest) -> Self {
        Self::new(
            ErrorKind::DigestMismatch { expected, actual },
            format!("content of {expected} has the digest {actual}"),
        )
    }

    pub(crate) fn size_mismatch(digest: &Digest, expected: u64, actual: u64) -> Self {
        let what = if actual > expected { "at least " } else { "" };
        Self::new(
            ErrorKind::SizeMismatch { expected, actual },
            format!("content of {digest} has {what}{actual} bytes instead of {expected}"),
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<imgcore::Error> for Error {
    fn from(error: imgcore::Error) -> Self {
        let source = std::error::Error::source(&error).map(|cause| cause.to_string().into());
        Self(Box::new(Parts {
            kind: kind_of_core(&error),
            message: error.to_string(),
            source,
        }))
    }
}

impl From<imgtar::Error> for Error {
    fn from(error: imgtar::Error) -> Self {
        let source = std::error::Error::source(&error).map(|cause| cause.to_string().into());
        Self(Box::new(Parts {
            kind: kind_of_tar(&error),
            message: error.to_string(),
            source,
        }))
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Denied => io::ErrorKind::PermissionDenied,
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
            ErrorKind::Io | ErrorKind::Unavailable => io::ErrorKind::Other,
            _ => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}

fn kind_of_core(error: &imgcore::Error) -> ErrorKind {
    match error.kind() {
        CoreKind::DigestMismatch { expected, actual } => {
            ErrorKind::DigestMismatch { expected, actual }
        }
        CoreKind::InvalidInput => ErrorKind::InvalidInput,
        CoreKind::SizeMismatch { expected, actual } => ErrorKind::SizeMismatch { expected, actual },
        CoreKind::TooLarge => ErrorKind::TooLarge,
        _ => ErrorKind::Malformed,
    }
}

fn kind_of_tar(error: &imgtar::Error) -> ErrorKind {
    match error.kind() {
        imgtar::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
        imgtar::ErrorKind::Io => ErrorKind::Io,
        imgtar::ErrorKind::TooLarge => ErrorKind::TooLarge,
        _ => ErrorKind::Malformed,
    }
}
