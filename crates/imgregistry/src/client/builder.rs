//! The settings of a client.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use imgauth::{Anonymous, RegistryKeychain};
use imgcore::RegistryHost;
use tokio::runtime::Handle;

use super::{Ceiling, Client, Gateway, Inner, Mirror, Observer, Security};
use crate::error::{Error, Result};
use crate::protocol::address::AllowedHost;
use crate::protocol::realm::AllowedRealm;
use crate::protocol::retry::Policy;
use crate::{ClientIdentity, Clock, HttpOptions, HttpTransport, Proxies, TokioClock, Transport};

/// How many requests may be in flight at once, unless told otherwise.
const DEFAULT_REQUESTS: usize = 16;

/// For how long a server may be silent, unless told otherwise. Registries have been seen to think for two minutes.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(180);

/// Makes a [`Client`].
#[derive(Default)]
pub struct ClientBuilder {
    http: HttpOptions,
    transport: Option<Arc<dyn Transport>>,
    clock: Option<Arc<dyn Clock>>,
    keychain: Option<Arc<dyn RegistryKeychain>>,
    observer: Option<Arc<dyn Observer>>,
    policy: Policy,
    max_requests: Option<usize>,
    patience: Option<Duration>,
    security: BTreeMap<RegistryHost, Security>,
    mirrors: BTreeMap<RegistryHost, Vec<Mirror>>,
    gateway: Option<Gateway>,
    allowed_realms: Vec<AllowedRealm>,
    allowed_hosts: Vec<AllowedHost>,
    follows_foreign_urls: bool,
    same_host_uploads: bool,
}

impl ClientBuilder {
    /// Says where credentials come from. Without this, nobody is logged in anywhere.
    #[must_use]
    pub fn keychain(mut self, keychain: Arc<dyn RegistryKeychain>) -> Self {
        self.keychain = Some(keychain);
        self
    }

    /// Says how often and how patiently requests are repeated.
    #[must_use]
    pub fn retry_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Says how many requests that read may be in flight at once, answers that are still being read included, and how
    /// many that write. 0 counts as 1; the default is 16.
    ///
    /// So there are never more than that while a program only pulls or only pushes, and up to twice as many while it
    /// copies from one repository to another. Questions for tokens are counted by themselves, up to the same number:
    /// every other request may have to wait for one.
    ///
    /// A blob that was opened holds its place until it is read or dropped. A program that opens as many as there are
    /// places, and waits for another one without reading them, gets an error of the kind
    /// [`Unavailable`](crate::ErrorKind::Unavailable) after twice the [`patience`](Self::patience).
    #[must_use]
    pub fn max_requests_in_flight(mut self, count: usize) -> Self {
        self.max_requests = Some(count);
        self
    }

    /// Says for how long a server may be silent before it is given up. The default is 3 minutes.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Says how one host may be spoken to.
    #[must_use]
    pub fn security(mut self, host: RegistryHost, security: Security) -> Self {
        self.security.insert(host, security);
        self
    }

    /// Trusts the authorities of a PEM text beside those of the system.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a text without a certificate.
    pub fn extra_roots(mut self, pem: &[u8]) -> Result<Self> {
        self.http.tls.add_roots(pem)?;
        Ok(self)
    }

    /// Shows a certificate to servers that ask for one.
    #[must_use]
    pub fn client_identity(mut self, identity: ClientIdentity) -> Self {
        self.http.tls.identity = Some(identity);
        self
    }

    /// Says which requests go through a proxy. The default is none.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.http.proxies = proxies;
        self
    }

    /// Says what the client calls itself.
    #[must_use]
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.http.user_agent = Some(user_agent.into());
        self
    }

    /// Adds a place to read from before the registry itself is asked. Mirrors are tried in the order they were added.
    #[must_use]
    pub fn mirror(mut self, registry: RegistryHost, mirror: Mirror) -> Self {
        self.mirrors.entry(registry).or_default().push(mirror);
        self
    }

    /// Sends everything to a gateway.
    #[must_use]
    pub fn gateway(mut self, gateway: Gateway) -> Self {
        self.gateway = Some(gateway);
        self
    }

    /// Lets a registry send its users' credentials to a token server of another domain.
    #[must_use]
    pub fn allow_token_realm(mut self, allowed: AllowedRealm) -> Self {
        self.allowed_realms.push(allowed);
        self
    }

    /// Lets a registry lead to a host on a private network, by a redirect to its storage or as the place of an upload.
    /// Without this it leads to the Internet and to itself only, wherever it is: what its name stands for is up to
    /// whoever owns the name. Errors name the flag `--allow-private-host` for this.
    #[must_use]
    pub fn allow_private_host(mut self, allowed: AllowedHost) -> Self {
        self.allowed_hosts.push(allowed);
        self
    }

    /// Reads layers from the `urls` of their descriptors where the registry does not have them: https only, without
    /// credentials, and verified like everything. The default is to ignore them.
    #[must_use]
    pub fn follow_foreign_urls(mut self, follows: bool) -> Self {
        self.follows_foreign_urls = follows;
        self
    }

    /// Refuses to upload to another host than the registry's, where an upload's `Location` names one. The default is to
    /// go there without credentials, which storage behind a registry may need.
    #[must_use]
    pub fn same_host_uploads(mut self, is_wanted: bool) -> Self {
        self.same_host_uploads = is_wanted;
        self
    }

    /// Replaces the transport: for tests, and for programs with their own HTTP. Settings of TLS and proxies are then
    /// not used.
    #[must_use]
    pub fn transport(mut self, transport: Arc<dyn Transport>) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Replaces the clock: for tests.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Tells somebody of every request, byte and wait.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Makes the client, on the tokio runtime that the caller is on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for settings that cannot be used, and where there is
    /// neither a runtime nor a transport.
    pub fn build(self) -> Result<Client> {
        let transport = match self.transport {
            Some(transport) => transport,
            None => Arc::new(HttpTransport::new(self.http)?),
        };
        let clock = match self.clock {
            Some(clock) => clock,
            None if Handle::try_current().is_ok() => Arc::new(TokioClock::new()),
            None => {
                let detail =
                    "there is no tokio runtime here: make the client in one, or give it a clock";
                return Err(Error::configuration(detail));
            }
        };
        Ok(Client(Arc::new(Inner {
            transport,
            clock,
            keychain: self.keychain.unwrap_or_else(|| Arc::new(Anonymous)),
            observer: self.observer,
            ceiling: Ceiling::new(self.max_requests.unwrap_or(DEFAULT_REQUESTS)),
            runtime: Handle::try_current().ok(),
            policy: self.policy,
            patience: self.patience.unwrap_or(DEFAULT_PATIENCE),
            follows_foreign_urls: self.follows_foreign_urls,
            same_host_uploads: self.same_host_uploads,
            allowed_realms: self.allowed_realms,
            allowed_hosts: self.allowed_hosts,
            security: self.security,
            mirrors: self.mirrors,
            gateway: self.gateway,
            sessions: Arc::new(Mutex::new(HashMap::new())),
        })))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("http", &self.http)
            .field("policy", &self.policy)
            .field("security", &self.security)
            .field("mirrors", &self.mirrors)
            .field("gateway", &self.gateway)
            .finish_non_exhaustive()
    }
}
