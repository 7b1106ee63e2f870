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

/// Joins an error and its causes on one line, leaving out what was said already.
///
/// # Examples
///
/// ```
/// use imgstore::{Error, ErrorKind, with_causes};
///
/// let cause = Error::new(ErrorKind::Denied, "status 403");
/// let error = Error::new(ErrorKind::Denied, "cannot read app:1").with_source(cause);
/// assert_eq!(with_causes(&error), "cannot read app:1: status 403");
/// ```
pub fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut last = text.clone();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        if !last.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
            last = said;
        }
        source = cause.source();
    }
    text
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

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use imgcore::digest::VerifyingReader;

    use super::*;

    #[test]
    fn texts_name_the_thing_and_the_place() {
        let digest = Digest::sha256_of(b"hello");
        let other = Digest::sha256_of(b"other");
        let hello = digest.to_string();
        let check = |error: Error, expected: &str| {
            let text = error.to_string().replace(&hello, "sha256:HELLO");
            assert_eq!(text.replace(&other.to_string(), "sha256:OTHER"), expected);
        };
        check(
            Error::not_found(&digest, "memory"),
            "no blob sha256:HELLO in memory",
        );
        check(
            Error::digest_mismatch(digest, other),
            "content of sha256:HELLO has the digest sha256:OTHER",
        );
        check(
            Error::size_mismatch(&digest, 5, 4),
            "content of sha256:HELLO has 4 bytes instead of 5",
        );
        check(
            Error::size_mismatch(&digest, 5, 6),
            "content of sha256:HELLO has at least 6 bytes instead of 5",
        );
        check(
            Error::malformed("index.json is no list").at("image.tar"),
            "image.tar: index.json is no list",
        );
    }

    #[test]
    fn the_kind_survives_the_way_through_io() {
        let digest = Digest::sha256_of(b"hello");
        let failed = io::copy(
            &mut VerifyingReader::new(&b"hell"[..], digest, 5),
            &mut io::sink(),
        );
        let error = Error::from_io("reading", failed.unwrap_err());
        let expected = ErrorKind::SizeMismatch {
            expected: 5,
            actual: 4,
        };
        assert_eq!(error.kind(), expected);
        assert!(error.source().is_some());
        let again = Error::from_io("copying", io::Error::from(error));
        assert_eq!(again.kind(), expected);

        let missing = Error::from_io("opening", io::ErrorKind::NotFound.into());
        assert_eq!(missing.kind(), ErrorKind::NotFound);
        assert_eq!(io::Error::from(missing).kind(), io::ErrorKind::NotFound);
        let other = Error::from_io("opening", io::ErrorKind::StorageFull.into());
        assert_eq!(other.kind(), ErrorKind::Io);
    }

    #[test]
    fn only_unavailable_stores_are_asked_again() {
        assert!(ErrorKind::Unavailable.is_retryable());
        for kind in [
            ErrorKind::Denied,
            ErrorKind::NotFound,
            ErrorKind::Io,
            ErrorKind::Malformed,
        ] {
            assert!(!kind.is_retryable(), "{kind:?}");
        }
    }
}
