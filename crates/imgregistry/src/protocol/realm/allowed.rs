//! Token servers that the user allows: `REGISTRY=HOST`.

use std::fmt;
use std::str::FromStr;

use imgcore::RegistryHost;
use url::{Host, Url};

/// A token server that may get credentials for a registry, though nothing shows that it belongs to it.
///
/// Written `REGISTRY=HOST`. Without a port the host may have any.
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
pub struct AllowedRealm {
    registry: RegistryHost,
    /// As it was written.
    server: RegistryHost,
    /// As URLs have it.
    host: Host<String>,
}

/// Why a text is no `REGISTRY=HOST`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` does not say which token server is allowed: it must be REGISTRY=HOST")]
pub struct ParseAllowedRealmError {
    text: String,
}

impl AllowedRealm {
    /// Returns whether this is about the registry, and the URL leads to the host.
    pub(super) fn allows(&self, registry: &RegistryHost, realm: &Url) -> bool {
        let has_port = self
            .server
            .port()
            .is_none_or(|port| realm.port_or_known_default() == Some(port));
        let has_host = realm
            .host()
            .is_some_and(|host| host.to_owned() == self.host);
        has_host
            && has_port
            && registry
                .as_str()
                .eq_ignore_ascii_case(self.registry.as_str())
    }
}

impl FromStr for AllowedRealm {
    type Err = ParseAllowedRealmError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let (registry, server) = text.split_once('=')?;
            let server: RegistryHost = server.trim().parse().ok()?;
            Some(Self {
                registry: registry.trim().parse().ok()?,
                host: Host::parse(server.name()).ok()?,
                server,
            })
        };
        parse().ok_or_else(|| ParseAllowedRealmError {
            text: text.to_owned(),
        })
    }
}

impl fmt::Display for AllowedRealm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.registry, self.server)
    }
}
