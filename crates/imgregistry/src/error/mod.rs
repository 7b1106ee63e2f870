//! The error of this crate: one opaque type that says who must act, where it happened, and what to do next.

mod advice;
mod place;
#[cfg(test)]
mod tests;

use std::fmt;

use http::StatusCode;
use imgcore::{Digest, ErrorKind as CoreKind};
use imgstore::ErrorKind as StoreKind;

pub use self::place::Operation;
pub(crate) use self::place::Place;
use crate::Role;
use crate::protocol::error_body::ErrorBody;

/// What the functions of this crate return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a registry did not do what it was asked for.
///
/// [`kind`](Self::kind) is what a caller may match on. The text names the operation, the repository and the thing in it,
/// the host and its role, the status and the registry's own words, the number of attempts and, where there is one, the
/// next step. It holds no secret: URLs are written without their query, credentials are never written.
///
/// # Examples
///
/// ```
/// use imgregistry::{Error, ErrorKind};
///
/// fn is_worth_another_source(error: &Error) -> bool {
///     matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unavailable)
/// }
/// ```
pub struct Error(Box<Parts>);

struct Parts {
    kind: ErrorKind,
    place: Place,
    detail: String,
    status: Option<StatusCode>,
    said: ErrorBody,
    attempts: u32,
    next_step: NextStep,
    earlier: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

#[derive(Clone)]
enum NextStep {
    /// What is done about errors of this kind.
    Default,
    /// The text says it already.
    InText,
    /// To log in: nothing was there to show.
    LogIn(String),
    Own(String),
}

/// Who must act on an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The registry wants other credentials, or gives these no permission.
    Denied,
    /// The bytes are not the ones that the digest names.
    DigestMismatch {
        /// The digest that was asked for.
        expected: Digest,
        /// The digest that the bytes have.
        actual: Digest,
    },
    /// A server asked for something that a careful client does not do: a credential for a stranger, an address inside
    /// of the network, a step down to plain HTTP.
    Forbidden,
    /// A tag exists, and the registry does not let it move.
    Immutable,
    /// The caller's words or settings cannot be used as they are.
    InvalidInput,
    /// The registry does not have the thing.
    NotFound,
    /// A server breaks the protocol, or sends a document that breaks its specification.
    Protocol,
    /// There are fewer or more bytes than announced.
    SizeMismatch {
        /// The size that was announced, in bytes.
        expected: u64,
        /// The bytes that came, as far as they were read.
        actual: u64,
    },
    /// The registry is asked more often than it wants.
    Throttled,
    /// Something is larger or more numerous than this crate takes from outside.
    TooLarge,
    /// The server cannot be reached or does not answer as it should; trying again may help.
    Unavailable,
    /// The registry does not offer this.
    Unsupported,
}

impl ErrorKind {
    /// Returns whether the same call may succeed later.
    ///
    /// The client has already tried as often as its policy allows.
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable)
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, place: &Place, detail: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            kind,
            place: place.clone(),
            detail: detail.into(),
            status: None,
            said: ErrorBody::default(),
            attempts: 1,
            next_step: NextStep::Default,
            earlier: Vec::new(),
            source: None,
        }))
    }

    /// An error of the settings, before there is a host.
    pub(crate) fn configuration(detail: impl Into<String>) -> Self {
        let place = Place {
            operation: Operation::Configure,
            repository: None,
            subject: None,
            digest: None,
            host: String::new(),
            role: Role::Registry,
        };
        Self::new(ErrorKind::InvalidInput, &place, detail)
    }

    /// Returns the same error for somebody else who waited for the same thing. The cause stays with the first.
    pub(crate) fn echo(&self) -> Self {
        let parts = &*self.0;
        Self(Box::new(Parts {
            kind: parts.kind,
            place: parts.place.clone(),
            detail: parts.detail.clone(),
            status: parts.status,
            said: parts.said.clone(),
            attempts: parts.attempts,
            next_step: parts.next_step.clone(),
            earlier: parts.earlier.clone(),
            source: None,
        }))
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_said(mut self, said: ErrorBody) -> Self {
        self.0.said = said;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = self.0.attempts.max(attempts);
        self
    }

    pub(crate) fn with_next_step(mut self, next_step: impl Into<String>) -> Self {
        self.0.next_step = NextStep::Own(next_step.into());
        self
    }

    /// Says that nothing was there to log in with, and what to do about that.
    pub(crate) fn with_login(mut self, next_step: String) -> Self {
        self.0.next_step = NextStep::LogIn(next_step);
        self
    }

    /// Says that the text has the next step in it.
    pub(crate) fn with_next_step_in_text(mut self) -> Self {
        self.0.next_step = NextStep::InText;
        self
    }

    /// Returns whether somebody said more of the next step than the kind of the error does.
    pub(crate) fn has_own_next_step(&self) -> bool {
        !matches!(self.0.next_step, NextStep::Default)
    }

    /// Returns the text without a next step that goes without saying: for errors that stand behind others.
    pub(crate) fn summary(&self) -> String {
        let next_step = match &self.0.next_step {
            NextStep::LogIn(own) | NextStep::Own(own) => Some(own.as_str()),
            NextStep::Default | NextStep::InText => None,
        };
        Text {
            parts: &self.0,
            next_step,
        }
        .to_string()
    }

    /// Adds why the places that were tried before did not help.
    pub(crate) fn with_earlier(mut self, earlier: Vec<String>) -> Self {
        self.0.earlier = earlier;
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.0.source = Some(Box::new(source));
        self
    }

    /// Returns who must act.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns what the client was doing.
    pub fn operation(&self) -> Operation {
        self.0.place.operation
    }

    /// Returns the host that the error is about, with its port. Empty when there is none yet.
    pub fn host(&self) -> &str {
        &self.0.place.host
    }

    /// Returns what that host is to the client.
    pub fn role(&self) -> Role {
        self.0.place.role
    }

    /// Returns the repository, where the operation is about one.
    pub fn repository(&self) -> Option<&str> {
        self.0.place.repository.as_deref()
    }

    /// Returns the digest that the operation is about, where it is known.
    pub fn digest(&self) -> Option<Digest> {
        self.0.place.digest
    }

    /// Returns the status of the answer, where there was one.
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// Returns whether the registry wants somebody to log in, and no credential was found to do that with: whatever else
    /// is asked of the repository, the answer stays the same.
    pub fn wants_login(&self) -> bool {
        matches!(self.0.next_step, NextStep::LogIn(_))
            && self.0.status == Some(StatusCode::UNAUTHORIZED)
    }

    /// Returns the registry's own code, such as `MANIFEST_UNKNOWN`, where it gave one.
    pub fn code(&self) -> Option<&str> {
        let first = self.0.said.errors.first()?;
        (!first.code.is_empty()).then_some(first.code.as_str())
    }

    /// Returns the registry's own words, where it gave some.
    pub fn registry_message(&self) -> Option<&str> {
        let first = self.0.said.errors.first()?;
        (!first.message.is_empty()).then_some(first.message.as_str())
    }

    /// Returns everything that the registry said about its refusal.
    pub fn registry_said(&self) -> &ErrorBody {
        &self.0.said
    }

    /// Returns how often the client tried.
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Returns what to do about it, where that is known.
    pub fn next_step(&self) -> Option<&str> {
        match &self.0.next_step {
            NextStep::LogIn(own) | NextStep::Own(own) => Some(own),
            NextStep::InText => None,
            NextStep::Default => advice::default(self.0.kind, &self.0.place, self.0.status),
        }
    }

    /// Returns why the mirrors that were tried before did not help, one text a mirror.
    pub fn earlier(&self) -> &[String] {
        &self.0.earlier
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let next_step = self.next_step();
        Text {
            parts: &self.0,
            next_step,
        }
        .fmt(f)
    }
}

/// The text of an error, with a next step or without.
struct Text<'a> {
    parts: &'a Parts,
    next_step: Option<&'a str>,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { parts, next_step } = self;
        write!(f, "{}: {}", parts.place, parts.detail)?;
        if let Some(status) = parts.status {
            let separator = if parts.detail.is_empty() { "" } else { ", " };
            write!(f, "{separator}answered {status}")?;
        }
        if !parts.said.is_empty() {
            write!(f, " ({})", parts.said)?;
        }
        if parts.attempts > 1 {
            write!(f, " after {} attempts", parts.attempts)?;
        }
        if let Some(next_step) = next_step {
            write!(f, "; {next_step}")?;
        }
        for earlier in &parts.earlier {
            write!(f, "; before that, {earlier}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.to_string())
            .field("source", &self.0.source)
            .finish()
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

/// The way through the traits of [`imgstore`]: our error is the source of theirs, and says the same of who must act.
impl From<Error> for imgstore::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Denied | ErrorKind::Forbidden | ErrorKind::Immutable => StoreKind::Denied,
            ErrorKind::DigestMismatch { expected, actual } => {
                StoreKind::DigestMismatch { expected, actual }
            }
            ErrorKind::InvalidInput | ErrorKind::Unsupported => StoreKind::InvalidInput,
            ErrorKind::NotFound => StoreKind::NotFound,
            ErrorKind::Protocol => StoreKind::Malformed,
            ErrorKind::SizeMismatch { expected, actual } => {
                StoreKind::SizeMismatch { expected, actual }
            }
            ErrorKind::Throttled | ErrorKind::Unavailable => StoreKind::Unavailable,
            ErrorKind::TooLarge => StoreKind::TooLarge,
        };
        // What exactly happened, the source says.
        let place = &error.0.place;
        let host = format!("{} {}", place.role, place.host);
        let what = match kind {
            StoreKind::Denied => format!("no access to {host}"),
            StoreKind::NotFound => format!("not found at {host}"),
            StoreKind::Unavailable => format!("no help from {host}"),
            _ => format!("trouble with {host}"),
        };
        Self::new(kind, what).with_source(error)
    }
}

/// Says who must act on what [`imgcore`] finds wrong with a document.
pub(crate) fn kind_of_core(error: &imgcore::Error) -> ErrorKind {
    match error.kind() {
        CoreKind::DigestMismatch { expected, actual } => {
            ErrorKind::DigestMismatch { expected, actual }
        }
        CoreKind::SizeMismatch { expected, actual } => ErrorKind::SizeMismatch { expected, actual },
        CoreKind::TooLarge => ErrorKind::TooLarge,
        _ => ErrorKind::Protocol,
    }
}
