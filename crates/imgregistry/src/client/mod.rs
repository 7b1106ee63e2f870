//! The client: settings, sessions, and the way to a repository.

mod builder;
mod ceiling;
mod gateway;
mod mirror;
mod observer;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use imgauth::RegistryKeychain;
use imgcore::{RegistryHost, Repository};
use tokio::runtime::Handle;

pub use self::builder::ClientBuilder;
pub(crate) use self::ceiling::{Ceiling, Lane, Permit};
pub use self::gateway::Gateway;
pub use self::mirror::Mirror;
use self::observer::Both;
pub(crate) use self::observer::Counted;
pub use self::observer::{Counters, Event, Observer};
use crate::error::Result;
use crate::protocol::address::AllowedHost;
use crate::protocol::realm::AllowedRealm;
use crate::protocol::retry::Policy;
use crate::session::Session;
use crate::{Clock, Remote, Role, Transport};

/// Talks to registries. Cheap to clone; clones share connections, tokens and the ceiling on requests in flight.
///
/// # Examples
///
/// ```no_run
/// use imgregistry::{Client, TagOrDigest};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::builder().build()?;
/// let remote = client.repository(&"quay.io".parse()?, &"team/app".parse()?)?;
/// let tag: imgcore::Tag = "v1".parse()?;
/// let fetched = remote.manifest(&TagOrDigest::from(tag)).await?;
/// println!("{}", fetched.descriptor.digest);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Client(Arc<Inner>);

/// How a host may be spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Security {
    /// TLS with a good certificate; plain HTTP to `localhost` and loopback addresses, or TLS if that is what is there.
    #[default]
    Default,
    /// TLS with any certificate, or plain HTTP if that is what is there. For one host of which the user says so.
    Insecure,
    /// Plain HTTP.
    PlainHttp,
    /// TLS with a good certificate, on this machine as well.
    Tls,
}

pub(crate) struct Inner {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keychain: Arc<dyn RegistryKeychain>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Every request holds a place until its answer's body is done.
    pub(crate) ceiling: Ceiling,
    pub(crate) runtime: Option<Handle>,
    pub(crate) policy: Policy,
    /// For so long a server may be silent.
    pub(crate) patience: Duration,
    pub(crate) follows_foreign_urls: bool,
    /// Whether uploads may go to no other host than the registry's.
    pub(crate) same_host_uploads: bool,
    /// The token servers that may have credentials though they are on other domains.
    pub(crate) allowed_realms: Vec<AllowedRealm>,
    /// The hosts on private networks that registries may lead to.
    pub(crate) allowed_hosts: Vec<AllowedHost>,
    security: BTreeMap<RegistryHost, Security>,
    mirrors: BTreeMap<RegistryHost, Vec<Mirror>>,
    gateway: Option<Gateway>,
    /// Shared by the clients that [`Client::scoped`] makes of one another.
    sessions: Arc<Sessions>,
}

/// What is known of each registry: how it is reached, and the tokens for it.
type Sessions = Mutex<HashMap<(RegistryHost, Role), Arc<Session>>>;

impl Client {
    /// Starts with the settings: nobody logged in, no proxy, no mirror.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Names a repository of a registry. Nothing is sent.
    ///
    /// Docker's names are understood: `docker.io` is reached at the host that answers for it, and `debian` there is
    /// `library/debian`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for a host that no URL can name.
    pub fn repository(&self, host: &RegistryHost, name: &Repository) -> Result<Remote> {
        let origin = self.session(host, Role::Registry)?;
        let mut mirrors = Vec::new();
        for mirror in self
            .0
            .mirrors
            .get(host)
            .map(Vec::as_slice)
            .unwrap_or_default()
        {
            let session = self.session(&mirror.host, Role::Mirror)?;
            if let Some(repository) = mirror.repository(&origin.name(name)) {
                mirrors.push((session, repository, mirror.has_tags));
            }
        }
        Ok(Remote::new(self.clone(), origin, name, mirrors))
    }

    /// Makes a client for one piece of work: with the settings, connections and tokens of this one, but with a ceiling on
    /// requests in flight of its own, and somebody who hears of its requests only. 0 requests count as 1.
    ///
    /// What watches this client hears of them as well.
    #[must_use]
    pub fn scoped(&self, max_requests_in_flight: usize, observer: Arc<dyn Observer>) -> Self {
        let inner = &*self.0;
        let observer = match &inner.observer {
            Some(first) => Arc::new(Both(Arc::clone(first), observer)) as Arc<dyn Observer>,
            None => observer,
        };
        Self(Arc::new(Inner {
            transport: Arc::clone(&inner.transport),
            clock: Arc::clone(&inner.clock),
            keychain: Arc::clone(&inner.keychain),
            observer: Some(observer),
            ceiling: Ceiling::new(max_requests_in_flight),
            runtime: inner.runtime.clone(),
            policy: inner.policy.clone(),
            patience: inner.patience,
            follows_foreign_urls: inner.follows_foreign_urls,
            same_host_uploads: inner.same_host_uploads,
            allowed_realms: inner.allowed_realms.clone(),
            allowed_hosts: inner.allowed_hosts.clone(),
            security: inner.security.clone(),
            mirrors: inner.mirrors.clone(),
            gateway: inner.gateway.clone(),
            sessions: Arc::clone(&inner.sessions),
        }))
    }

    /// Returns the settings and what is shared.
    pub(crate) fn inner(&self) -> &Inner {
        &self.0
    }

    fn session(&self, host: &RegistryHost, role: Role) -> Result<Arc<Session>> {
        let mut sessions = self
            .0
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let key = (host.clone(), role);
        if let Some(session) = sessions.get(&key) {
            return Ok(Arc::clone(session));
        }
        let security = self.0.security.get(host).copied().unwrap_or_default();
        let session = Session::new(host, role, security, self.0.gateway.as_ref())?;
        let session = Arc::new(session);
        sessions.insert(key, Arc::clone(&session));
        Ok(session)
    }
}

impl Inner {
    /// Tells whoever watches.
    pub(crate) fn observe(&self, event: &Event) {
        if let Some(observer) = &self.observer {
            observer.observe(event);
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let realms = self.0.allowed_realms.iter().map(ToString::to_string);
        let hosts = self.0.allowed_hosts.iter().map(ToString::to_string);
        let (realms, hosts): (Vec<_>, Vec<_>) = (realms.collect(), hosts.collect());
        f.debug_struct("Client")
            .field("policy", &self.0.policy)
            .field("security", &self.0.security)
            .field("mirrors", &self.0.mirrors)
            .field("gateway", &self.0.gateway)
            .field("follows_foreign_urls", &self.0.follows_foreign_urls)
            .field("same_host_uploads", &self.0.same_host_uploads)
            .field("allowed_realms", &realms)
            .field("allowed_hosts", &hosts)
            .finish_non_exhaustive()
    }
}
