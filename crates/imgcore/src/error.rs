//! The error of this crate: one opaque type that says who must act.

use std::fmt;

use crate::Digest;

/// Why an operation of this crate failed.
///
/// [`kind`](Self::kind) is what a caller may match on; the text names the thing and the place.
pub struct Error {
    /// On the heap, so that a `Result` is as small as what it carries when all is well.
    inner: Box<Inner>,
}

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Who must act on an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The bytes are not the ones that the digest names.
    DigestMismatch {
        /// The digest that was asked for.
        expected: Digest,
        /// The digest that the bytes have.
        actual: Digest,
    },
    /// The caller's words cannot be used as they are.
    InvalidInput,
    /// A document breaks its specification.
    Malformed,
    /// There are fewer or more bytes than announced.
    SizeMismatch {
        /// The size that was announced.
        expected: u64,
        /// The bytes that came, as far as they were read.
        actual: u64,
    },
    /// A document is larger or deeper than this crate takes from outside.
    TooLarge,
}

impl Error {
    /// Makes an error with a text that names the thing and the place: lower case, no full stop.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::InvalidInput, "tag is empty");
    /// assert_eq!(error.to_string(), "tag is empty");
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                message: message.into(),
                source: None,
            }),
        }
    }

    /// Adds the cause.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::error::Error as _;
    /// use imgcore::{Digest, Error, ErrorKind};
    ///
    /// let cause = "sha256:1".parse::<Digest>().unwrap_err();
    /// let error = Error::new(ErrorKind::InvalidInput, "base has no digest").with_source(cause);
    /// assert!(error.source().is_some());
    /// ```
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.inner.source = Some(Box::new(source));
        self
    }

    /// Returns who must act.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::json::{Limits, Value};
    /// use imgcore::ErrorKind;
    ///
    /// let error = Value::parse(b"{", &Limits::default()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Malformed);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    pub(crate) fn digest_mismatch(expected: Digest, actual: Digest) -> Self {
        Self::new(
            ErrorKind::DigestMismatch { expected, actual },
            format!("content of {expected} has the digest {actual}"),
        )
    }

    pub(crate) fn size_mismatch(digest: Digest, expected: u64, actual: u64) -> Self {
        let what = if actual > expected { "at least " } else { "" };
        Self::new(
            ErrorKind::SizeMismatch { expected, actual },
            format!("content of {digest} has {what}{actual} bytes instead of {expected}"),
        )
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner {
            kind,
            message,
            source,
        } = &*self.inner;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("message", message)
            .field("source", source)
            .finish()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as _)
    }
}
