//! The error of this crate: one opaque type that says who must act.

use std::{fmt, io};

/// Why an archive or a compressed stream could not be read, or a header not be written.
///
/// [`kind`](Self::kind) is what a caller may match on; the text names the entry and the place.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

/// Who must act on an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller asked for a header that no archive can hold.
    InvalidInput,
    /// The underlying reader failed; [`source`](std::error::Error::source) has its error.
    Io,
    /// The bytes break the format, or readers would disagree about what they say.
    Malformed,
    /// A limit of this reader or decoder was reached.
    TooLarge,
    /// The input ends before it says that it does.
    Truncated,
    /// The bytes are well formed, and use a feature that is refused.
    Unsupported,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Wraps an error of the underlying reader, or takes back one of ours that travelled in it.
    pub(crate) fn from_io(error: io::Error, doing: impl FnOnce() -> String) -> Self {
        match error.downcast::<Self>() {
            Ok(ours) => ours,
            Err(error) => Self {
                kind: ErrorKind::Io,
                message: doing(),
                source: Some(error),
            },
        }
    }

    /// Puts the place in front of the text.
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Returns who must act.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// Carries the error through [`io::Read`]; `io::Error::downcast` gives it back.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
            ErrorKind::Io => error
                .source
                .as_ref()
                .map_or(io::ErrorKind::Other, Self::kind),
            ErrorKind::Malformed | ErrorKind::TooLarge => io::ErrorKind::InvalidData,
            ErrorKind::Truncated => io::ErrorKind::UnexpectedEof,
            ErrorKind::Unsupported => io::ErrorKind::Unsupported,
        };
        Self::new(kind, error)
    }
}
