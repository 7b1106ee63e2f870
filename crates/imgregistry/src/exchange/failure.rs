//! What went wrong with one attempt, as the retry policy and the caller want to know it.

use std::time::{Duration, SystemTime};

use http::StatusCode;
use imgcore::RegistryHost;

use super::Exchange;
use super::answer::{Answer, MAX_REFUSAL};
use crate::error::{Error, ErrorKind, Place};
use crate::protocol::error_body;
use crate::protocol::retry::{self, Class, Decision, Outcome, Policy};
use crate::{Role, TransportError, TransportErrorKind};

/// One attempt that failed.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) error: Error,
    cause: Cause,
    /// Whether the host is on a private network, and may be where the user allows it.
    is_private: bool,
}

#[derive(Debug)]
enum Cause {
    /// An answer that says no.
    Status {
        status: u16,
        retry_after: Option<String>,
        body: String,
    },
    /// No answer, or not all of it.
    Broken {
        how: retry::Failure,
        /// Whether another scheme might have worked.
        is_handshake: bool,
    },
}

impl Failure {
    /// The exchange broke off before the head of an answer.
    pub(crate) fn of_transport(place: &Place, error: TransportError) -> Self {
        let (kind, how) = match error.kind() {
            TransportErrorKind::Forbidden => (ErrorKind::Forbidden, retry::Failure::Permanent),
            TransportErrorKind::Certificate | TransportErrorKind::Tls => {
                (ErrorKind::Unavailable, retry::Failure::Permanent)
            }
            TransportErrorKind::Stalled => (ErrorKind::Unavailable, retry::Failure::Stalled),
            TransportErrorKind::Body => (ErrorKind::Unavailable, retry::Failure::Truncated),
            TransportErrorKind::Connect | TransportErrorKind::Reset => {
                (ErrorKind::Unavailable, retry::Failure::Connection)
            }
        };
        let is_handshake = matches!(
            error.kind(),
            TransportErrorKind::Certificate
                | TransportErrorKind::Tls
                | TransportErrorKind::Connect
                | TransportErrorKind::Reset
        );
        let next_step = match error.kind() {
            TransportErrorKind::Certificate | TransportErrorKind::Tls => {
                Some("give the certificate's authority as a CA file, or name the host as insecure")
            }
            TransportErrorKind::Connect => Some("check the host's name, port and proxy"),
            _ => None,
        };
        let is_private = error.is_private();
        let mut own = Error::new(kind, place, error.to_string());
        if let Some(next_step) = next_step {
            own = own.with_next_step(next_step);
        }
        Self {
            error: own.with_source(error),
            cause: Cause::Broken { how, is_handshake },
            is_private,
        }
    }

    /// The body of an answer broke off.
    pub(crate) fn of_body(place: &Place, error: TransportError) -> Self {
        let mut failure = Self::of_transport(place, error);
        if let Cause::Broken { is_handshake, .. } = &mut failure.cause {
            *is_handshake = false;
        }
        failure
    }

    /// The server says no. Reads what it says about that.
    pub(crate) async fn of_answer(mut answer: Answer) -> Self {
        let (status, place) = (answer.status, answer.place.clone());
        let content_type = answer.header(http::header::CONTENT_TYPE).map(str::to_owned);
        let retry_after = answer.header(http::header::RETRY_AFTER).map(str::to_owned);
        let bytes = answer.first_bytes(MAX_REFUSAL).await;
        let said = error_body::parse(&bytes, content_type.as_deref());
        let error = Error::new(of_status(status), &place, String::new())
            .with_status(status)
            .with_said(said);
        Self {
            error,
            cause: Cause::Status {
                status: status.as_u16(),
                retry_after,
                body: String::from_utf8_lossy(&bytes).into_owned(),
            },
            is_private: false,
        }
    }

    /// Something that no further attempt would change.
    pub(crate) fn permanent(error: Error) -> Self {
        Self {
            error,
            cause: Cause::Broken {
                how: retry::Failure::Permanent,
                is_handshake: false,
            },
            is_private: false,
        }
    }

    /// A body that ended early.
    pub(crate) fn truncated(error: Error) -> Self {
        Self {
            error,
            cause: Cause::Broken {
                how: retry::Failure::Truncated,
                is_handshake: false,
            },
            is_private: false,
        }
    }

    /// Says how the host is allowed, if its being on a private network is what is wrong: with a flag for the registry and
    /// the host.
    pub(super) fn allowed_by(mut self, flag: &str, registry: &RegistryHost, host: &str) -> Self {
        if self.is_private {
            let next_step = private_host(flag, registry, host);
            self.error = self.error.with_next_step(next_step);
        }
        self
    }

    /// Says that another attempt may help, whatever the status says.
    pub(crate) fn into_transient(self) -> Self {
        Self {
            cause: Cause::Broken {
                how: retry::Failure::Connection,
                is_handshake: false,
            },
            ..self
        }
    }

    /// Returns whether the server may have been spoken to in the wrong scheme.
    pub(crate) fn may_be_wrong_scheme(&self) -> bool {
        matches!(
            self.cause,
            Cause::Broken {
                is_handshake: true,
                ..
            }
        )
    }

    /// Returns whether the server showed a certificate that is not one to trust: it speaks TLS.
    pub(crate) fn is_untrusted(&self) -> bool {
        let source = std::error::Error::source(&self.error);
        let broken = source.and_then(|it| it.downcast_ref::<TransportError>());
        broken.is_some_and(|it| it.kind() == TransportErrorKind::Certificate)
    }

    /// Returns whether the server may have done what it was asked for, although nothing says so.
    pub(crate) fn may_be_obeyed(&self) -> bool {
        match &self.cause {
            Cause::Status { status, .. } => *status >= 499,
            Cause::Broken { how, .. } => *how != retry::Failure::Permanent,
        }
    }

    /// Returns whether a token server said no, and would say it again.
    pub(crate) fn is_refused_token(&self) -> bool {
        let is_no = |status: StatusCode| status.is_client_error();
        self.error.role() == Role::Token && self.error.status().is_some_and(is_no)
    }

    pub(crate) fn outcome(&self) -> Outcome<'_> {
        match &self.cause {
            Cause::Status {
                status,
                retry_after,
                body,
            } => Outcome::Status {
                status: *status,
                retry_after: retry_after.as_deref(),
                body,
            },
            Cause::Broken { how, .. } => Outcome::Broken(*how),
        }
    }

    /// Returns how long to wait before the next attempt; `None` when there is to be none.
    pub(super) fn pause(
        &self,
        exchange: Exchange<'_>,
        class: Class,
        attempt: u32,
    ) -> Option<Duration> {
        let clock = &exchange.client.clock;
        let policy = exchange.session.policy(exchange.client);
        let outcome = self.outcome();
        let decision = retry::decide(
            &policy,
            class,
            outcome,
            attempt,
            clock.wall(),
            clock.jitter(),
        );
        match decision {
            Decision::GiveUp => None,
            Decision::Retry { after } => Some(after),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::permanent(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Makes a failure of an answer that time may change.
pub(crate) async fn lasting(answer: Answer, class: Class) -> Result<Answer, Failure> {
    if is_transient(&answer, class) {
        return Err(Failure::of_answer(answer).await);
    }
    Ok(answer)
}

fn is_transient(answer: &Answer, class: Class) -> bool {
    let outcome = Outcome::Status {
        status: answer.status.as_u16(),
        retry_after: None,
        body: "",
    };
    let now = SystemTime::UNIX_EPOCH;
    retry::decide(&Policy::default(), class, outcome, 1, now, 0.0) != Decision::GiveUp
}

/// Says what a person can do about a host on a private network.
pub(crate) fn private_host(flag: &str, registry: &RegistryHost, host: &str) -> String {
    format!("if the registry may lead there, allow it with `{flag} {registry}={host}`")
}

/// Says who must act on a status.
pub(crate) fn of_status(status: StatusCode) -> ErrorKind {
    match status.as_u16() {
        401 | 403 => ErrorKind::Denied,
        404 => ErrorKind::NotFound,
        405 | 501 => ErrorKind::Unsupported,
        413 => ErrorKind::TooLarge,
        429 => ErrorKind::Throttled,
        408 | 425 | 499 | 500.. => ErrorKind::Unavailable,
        _ => ErrorKind::Protocol,
    }
}
