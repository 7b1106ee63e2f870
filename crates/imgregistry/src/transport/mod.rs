//! How requests travel: the trait, and its implementation on `reqwest`.

mod body;
mod http;
mod proxy;
mod resolver;
mod tls;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use http_body_util::combinators::UnsyncBoxBody;

pub(crate) use self::body::Progress;
pub use self::body::RequestBody;
pub use self::http::{HttpOptions, HttpTransport};
pub use self::proxy::{Proxies, ProxyError};
pub use self::tls::{ClientIdentity, TlsOptions};

use crate::protocol::address::{Class, ForbiddenAddress, Rules};

/// The body of an answer. Its errors say what broke.
pub type ResponseBody = UnsyncBoxBody<bytes::Bytes, TransportError>;

/// Sends one request and returns its answer, whatever its status.
///
/// # Contract
///
/// * Follows no redirect, adds no credential and no cookie, decodes no content: all of that is decided above.
/// * A body that ends before its announced length ends with an error.
/// * Dropping the future or the body gives the transfer up.
/// * No text of an error carries a secret or a query.
pub trait Transport: Send + Sync {
    /// Sends a request.
    ///
    /// # Errors
    ///
    /// Whatever kept the head of an answer from arriving.
    fn send(
        &self,
        request: ::http::Request<RequestBody>,
        route: Route,
    ) -> BoxFuture<'_, Result<::http::Response<ResponseBody>, TransportError>>;
}

/// What a host is to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// It stands before the registries and knows their credentials.
    Gateway,
    /// It has copies of what a registry has.
    Mirror,
    /// The registry that was named.
    Registry,
    /// A registry's redirect or a layer's `urls` led to it.
    Storage,
    /// A registry's challenge led to it.
    Token,
    /// A registry's upload location led to it.
    Upload,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gateway => "gateway",
            Self::Mirror => "mirror",
            Self::Registry => "registry",
            Self::Storage => "storage",
            Self::Token => "token server",
            Self::Upload => "upload host",
        })
    }
}

/// How a request gets to its host. A transport without sockets needs only the role.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Route {
    /// What the host is.
    pub role: Role,
    /// Whether the host's certificate must be good. Only the user's own words turn this off.
    pub verification: Verification,
    /// The addresses that the host's name may stand for.
    pub addresses: Addresses,
    /// The socket file to connect to instead of the host.
    pub socket: Option<Arc<Path>>,
}

impl Route {
    /// A way to a host that the user named: to whatever address its name has, with a checked certificate.
    pub fn new(role: Role) -> Self {
        Self {
            role,
            verification: Verification::Required,
            addresses: Addresses::Any,
            socket: None,
        }
    }
}

/// Whether certificates are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "either they are or they are not")]
pub enum Verification {
    /// They are.
    Required,
    /// The user said that this host's are not.
    Skipped,
}

/// The addresses that a host's name may stand for, checked once it was looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Addresses {
    /// Whatever it has: the user named the host.
    Any,
    /// What the rules for hosts that a server named allow.
    Checked(Rules),
}

/// Why no answer arrived, or not all of its body.
pub struct TransportError {
    kind: TransportErrorKind,
    message: String,
    /// Whether the address would be good if it were not on a private network.
    is_private: bool,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportErrorKind {
    /// The body of the answer ended early, or broke off.
    Body,
    /// The certificate is not one to trust.
    Certificate,
    /// There was no connection.
    Connect,
    /// The host has an address that it must not have.
    Forbidden,
    /// The exchange broke off before an answer.
    Reset,
    /// The server was silent for too long.
    Stalled,
    /// The handshake is not good.
    Tls,
}

impl TransportError {
    /// Makes an error with a text that names what broke: lower case, no full stop, no query of a URL.
    pub fn new(kind: TransportErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            is_private: false,
            source: None,
        }
    }

    /// The host has an address that it must not have.
    pub(crate) fn forbidden(address: &ForbiddenAddress) -> Self {
        Self {
            is_private: address.class() == Class::Private,
            ..Self::new(TransportErrorKind::Forbidden, address.to_string())
        }
    }

    /// Returns whether the address would be good if it were not on a private network, which the user may allow.
    pub(crate) fn is_private(&self) -> bool {
        self.is_private
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(
        mut self,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Returns what broke.
    pub fn kind(&self) -> TransportErrorKind {
        self.kind
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .finish_non_exhaustive()
    }
}

impl std::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
