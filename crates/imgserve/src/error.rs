//! The error of this crate: one opaque type that says who must act.

use std::fmt;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a server could not start or go on, or why a record could not be read or written.
///
/// What goes wrong with one request is no error of this type but a response. [`kind`](Self::kind) is what a caller may
/// match on; the text names the thing and the place.
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
    /// Another process uses the directory.
    InUse,
    /// The caller's words cannot be used as they are: a certificate, an address, a directory.
    InvalidInput,
    /// The machine failed: disk, permissions, a socket that cannot be opened.
    Io,
    /// A file of the registry's own records breaks their form.
    Malformed,
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

    /// Wraps an I/O error that happened while doing `what`.
    pub(crate) fn from_io(what: impl Into<String>, error: std::io::Error) -> Self {
        Self::new(ErrorKind::Io, what).with_source(error)
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
