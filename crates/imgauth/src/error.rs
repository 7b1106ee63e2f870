//! The error of this crate: one opaque type that says who must act.

use std::fmt;

/// Why something that holds credentials, or a program that knows some, could not be used.
///
/// [`kind`](Self::kind) is what a caller may match on. The text names the thing and the place, and never the content: what
/// stands in a config or comes from a helper may be a secret wherever it stands.
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<std::io::Error>,
}

/// The result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Who must act on an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A helper program ran and said that it failed.
    Helper,
    /// The caller's words cannot be used as they are.
    InvalidInput,
    /// A file cannot be read, or a program cannot be started.
    Io,
    /// A document or an answer breaks its format.
    Malformed,
    /// There is no such program.
    NotFound,
    /// A helper program did not end in time, and was ended.
    TimedOut,
    /// There is more than this crate takes from outside.
    TooLarge,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            source: None,
        }
    }

    pub(crate) fn io(message: impl Into<String>, source: std::io::Error) -> Self {
        Self {
            kind: ErrorKind::Io,
            message: message.into(),
            source: Some(source),
        }
    }

    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Malformed, message)
    }

    /// Returns who must act.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgauth::{ErrorKind, docker::DockerConfig};
    ///
    /// let error = DockerConfig::parse(b"{").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Malformed);
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The message with its cause, on one line, for a trail.
    pub(crate) fn chain(&self) -> String {
        match &self.source {
            Some(source) => format!("{}: {}", self.message, source.kind()),
            None => self.message.clone(),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
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
