//! What the user allows a registry: `REGISTRY=HOST`.

use std::fmt;
use std::str::FromStr;

use imgcore::RegistryHost;
use url::{Host, Url};

/// A registry, and a host that it names. Without a port the host may have any.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Pair {
    registry: RegistryHost,
    /// As it was written.
    named: RegistryHost,
    /// As URLs have it.
    host: Host<String>,
}

impl Pair {
    fn parse(text: &str) -> Option<Self> {
        let (registry, named) = text.split_once('=')?;
        let named: RegistryHost = named.trim().parse().ok()?;
        Some(Self {
            registry: registry.trim().parse().ok()?,
            host: Host::parse(named.name()).ok()?,
            named,
        })
    }

    /// Returns whether this is about the registry, and the URL leads to the host.
    fn allows(&self, registry: &RegistryHost, url: &Url) -> bool {
        let has_port = self
            .named
            .port()
            .is_none_or(|port| url.port_or_known_default() == Some(port));
        let has_host = url.host().is_some_and(|host| host.to_owned() == self.host);
        let (own, asking) = (self.registry.as_str(), registry.as_str());
        has_host && has_port && asking.eq_ignore_ascii_case(own)
    }
}

impl fmt::Display for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.registry, self.named)
    }
}

/// A token server that may get credentials for a registry, though nothing shows that it belongs to it.
///
/// Written `REGISTRY=HOST`. Without a port the host may have any. It may be on a private network.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::realm::AllowedRealm;
///
/// let allowed: AllowedRealm = "registry.corp:5000=sso.corp".parse()?;
/// assert_eq!(allowed.to_string(), "registry.corp:5000=sso.corp");
/// # Ok::<(), imgregistry::protocol::realm::ParseAllowedRealmError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowedRealm(Pair);

/// Why a text is no `REGISTRY=HOST`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` does not say which token server is allowed: it must be REGISTRY=HOST")]
pub struct ParseAllowedRealmError {
    text: String,
}

impl AllowedRealm {
    pub(super) fn allows(&self, registry: &RegistryHost, realm: &Url) -> bool {
        self.0.allows(registry, realm)
    }
}

impl FromStr for AllowedRealm {
    type Err = ParseAllowedRealmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Pair::parse(text)
            .map(Self)
            .ok_or_else(|| ParseAllowedRealmError {
                text: text.to_owned(),
            })
    }
}

impl fmt::Display for AllowedRealm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A host on a private network that a registry may lead to, by a redirect to its storage or as the place of an upload.
///
/// Written `REGISTRY=HOST`. Without a port the host may have any. No credential goes there.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::address::AllowedHost;
///
/// let allowed: AllowedHost = "registry.corp=minio.corp:9000".parse()?;
/// assert_eq!(allowed.to_string(), "registry.corp=minio.corp:9000");
/// # Ok::<(), imgregistry::protocol::address::ParseAllowedHostError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AllowedHost(Pair);

/// Why a text is no `REGISTRY=HOST`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` does not say which private host is allowed: it must be REGISTRY=HOST")]
pub struct ParseAllowedHostError {
    text: String,
}

impl AllowedHost {
    pub(super) fn allows(&self, registry: &RegistryHost, url: &Url) -> bool {
        self.0.allows(registry, url)
    }
}

impl FromStr for AllowedHost {
    type Err = ParseAllowedHostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Pair::parse(text)
            .map(Self)
            .ok_or_else(|| ParseAllowedHostError {
                text: text.to_owned(),
            })
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
