//! The error of this crate: one opaque type that says who must act, where it happened, and what to do next.

use std::fmt;

use http::StatusCode;
use imgcore::{Digest, ErrorKind as CoreKind};
use imgstore::ErrorKind as StoreKind;

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
    next_step: Option<String>,
    earlier: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
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

/// What the client was doing when an [`Error`] happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Asking a token server for a token.
    Authorize,
    /// Asking whether a blob is there.
    CheckBlob,
    /// Asking which manifest a name stands for.
    CheckManifest,
    /// Making a client of its settings.
    Configure,
    /// Removing a blob.
    DeleteBlob,
    /// Removing a manifest or a tag.
    DeleteManifest,
    /// Reading which manifests refer to another.
    ListReferrers,
    /// Reading the tags of a repository.
    ListTags,
    /// Taking a blob over from another repository.
    MountBlob,
    /// Finding out how a registry is reached.
    Ping,
    /// Reading a blob.
    ReadBlob,
    /// Reading a manifest or an index.
    ReadManifest,
    /// Writing a blob.
    WriteBlob,
    /// Writing a manifest or an index.
    WriteManifest,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authorize => "getting a token",
            Self::CheckBlob => "checking blob",
            Self::CheckManifest => "checking manifest",
            Self::Configure => "setting up a registry client",
            Self::DeleteBlob => "deleting blob",
            Self::DeleteManifest => "deleting manifest",
            Self::ListReferrers => "listing referrers",
            Self::ListTags => "listing tags",
            Self::MountBlob => "mounting blob",
            Self::Ping => "connecting",
            Self::ReadBlob => "reading blob",
            Self::ReadManifest => "reading manifest",
            Self::WriteBlob => "writing blob",
            Self::WriteManifest => "writing manifest",
        })
    }
}

/// Where something happened: what was done, to which thing, at which host.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) operation: Operation,
    /// The repository, where the operation is about one.
    pub(crate) repository: Option<String>,
    /// A tag or a digest.
    pub(crate) subject: Option<String>,
    pub(crate) digest: Option<Digest>,
    pub(crate) host: String,
    pub(crate) role: Role,
}

impl Place {
    /// Returns the same place at another host, which a redirect or a challenge led to.
    pub(crate) fn at(&self, host: impl Into<String>, role: Role) -> Self {
        Self {
            host: host.into(),
            role,
            ..self.clone()
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(subject) = &self.subject {
            write!(f, " {subject}")?;
        }
        if let Some(repository) = &self.repository {
            let word = match self.operation {
                Operation::Authorize => "for",
                _ => "of",
            };
            write!(f, " {word} {repository}")?;
        }
        if !self.host.is_empty() {
            write!(f, " at {} {}", self.role, self.host)?;
        }
        Ok(())
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
            next_step: None,
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
        self.0.next_step = Some(next_step.into());
        self
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
        self.0.next_step.as_deref()
    }

    /// Returns why the mirrors that were tried before did not help, one text a mirror.
    pub fn earlier(&self) -> &[String] {
        &self.0.earlier
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &*self.0;
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
        if let Some(next_step) = &parts.next_step {
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

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::*;

    fn place() -> Place {
        Place {
            operation: Operation::ReadBlob,
            repository: Some("team/app".to_owned()),
            subject: Some("sha256:HELLO".to_owned()),
            digest: None,
            host: "registry.example:5000".to_owned(),
            role: Role::Registry,
        }
    }

    #[test]
    fn texts_have_all_that_is_known_and_nothing_else() {
        let check = |error: Error, expected: &str| assert_eq!(error.to_string(), expected);
        let new = |detail: &str| Error::new(ErrorKind::Unavailable, &place(), detail);
        check(
            new("connection refused"),
            "reading blob sha256:HELLO of team/app at registry registry.example:5000: connection refused",
        );
        check(
            new("")
                .with_status(StatusCode::BAD_GATEWAY)
                .with_attempts(6),
            "reading blob sha256:HELLO of team/app at registry registry.example:5000: \
             answered 502 Bad Gateway after 6 attempts",
        );
        check(
            new("")
                .with_status(StatusCode::NOT_FOUND)
                .with_next_step("check the name")
                .with_earlier(vec!["the mirror was asleep".to_owned()]),
            "reading blob sha256:HELLO of team/app at registry registry.example:5000: \
             answered 404 Not Found; check the name; before that, the mirror was asleep",
        );
        check(
            Error::configuration("no runtime"),
            "setting up a registry client: no runtime",
        );
        let storage = place().at("storage.example", Role::Storage);
        check(
            Error::new(ErrorKind::Protocol, &storage, "others were sent"),
            "reading blob sha256:HELLO of team/app at storage storage.example: others were sent",
        );
    }

    #[test]
    fn stores_hear_who_must_act_and_keep_the_cause() {
        let check = |kind: ErrorKind, expected: StoreKind, text: &str| {
            let error = imgstore::Error::from(Error::new(kind, &place(), ""));
            assert_eq!((error.kind(), error.to_string().as_str()), (expected, text));
            let source = error
                .source()
                .and_then(|source| source.downcast_ref::<Error>());
            assert!(source.is_some());
            assert_eq!(kind.is_retryable(), expected.is_retryable());
        };
        let host = "registry registry.example:5000";
        let text = |what: &str| format!("{what} {host}");
        check(ErrorKind::Denied, StoreKind::Denied, &text("no access to"));
        check(
            ErrorKind::Forbidden,
            StoreKind::Denied,
            &text("no access to"),
        );
        check(
            ErrorKind::NotFound,
            StoreKind::NotFound,
            &text("not found at"),
        );
        check(
            ErrorKind::Throttled,
            StoreKind::Unavailable,
            &text("no help from"),
        );
        check(
            ErrorKind::Unavailable,
            StoreKind::Unavailable,
            &text("no help from"),
        );
        check(
            ErrorKind::Protocol,
            StoreKind::Malformed,
            &text("trouble with"),
        );
        check(
            ErrorKind::TooLarge,
            StoreKind::TooLarge,
            &text("trouble with"),
        );
    }
}
