//! The error of this crate: one opaque type that says who must act.

use std::{fmt, io};

/// Why a layer could not be planned or written.
///
/// [`kind`](Self::kind) is what a caller may match on; the text names the thing and the place, and
/// [`source`](std::error::Error::source) adds the cause.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// Who must act on an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// This crate broke a rule of its own; please report it.
    Bug,
    /// A file is no longer what it was when the layer was planned.
    Changed,
    /// The caller's words cannot be used as they are.
    InvalidInput,
    /// Reading or writing failed.
    Io,
    /// An archive breaks its format.
    Malformed,
    /// A file that was asked for does not exist.
    NotFound,
    /// The input is understood, and this crate does not take it.
    Unsupported,
}

impl Error {
    /// Makes an error with a text that names the thing and the place: lower case, no full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Returns who must act.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Puts the place in front of the text.
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Makes an error of an I/O failure, whose kind tells a missing file from other trouble.
    pub(crate) fn io(message: impl Into<String>, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            _ => ErrorKind::Io,
        };
        Self::new(kind, message).with_source(source)
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
