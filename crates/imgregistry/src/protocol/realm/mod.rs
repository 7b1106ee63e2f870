//! Which URL may be a token server, and which credentials may go there.
//!
//! A registry names its token server in a header (`realm`), so that any registry can name any URL. Two questions are
//! asked: may the client go there at all ([`check`]), and may a password or a refresh token of the registry's user go
//! along ([`Realm::check_credentials`])? Asking without them is harmless, and public images need no more.

#[cfg(test)]
mod tests;

use imgcore::RegistryHost;
use url::{Host, Url};

use super::address::Rules;
pub use super::allowed::{AllowedRealm, ParseAllowedRealmError};
use super::named::{RefusedUrl, check_host, resolve};
use super::url::{Endpoint, Origin, Scheme, redacted};

/// Token servers that belong to a registry though their names do not show it.
const BUILT_IN: [(&str, &str); 6] = [
    ("docker.io", "auth.docker.io"),
    ("index.docker.io", "auth.docker.io"),
    ("registry-1.docker.io", "auth.docker.io"),
    // Scaleway, by region.
    ("rg.fr-par.scw.cloud", "api.scaleway.com"),
    ("rg.nl-ams.scw.cloud", "api.scaleway.com"),
    ("rg.pl-waw.scw.cloud", "api.scaleway.com"),
];

/// Keys of a token server's query that the client writes itself: what a realm brings of them is dropped.
const OWN_KEYS: [&str; 8] = [
    "access_type",
    "account",
    "client_id",
    "grant_type",
    "offline_token",
    "refresh_token",
    "scope",
    "service",
];

/// What a realm is checked against.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "required data: a new part must be given by all callers"
)]
pub struct Context<'a> {
    /// The registry as the user has named it.
    pub registry: &'a RegistryHost,
    /// The address that is spoken to.
    pub endpoint: &'a Endpoint,
    /// What the user allows beyond the rules.
    pub allowed: &'a [AllowedRealm],
}

/// Why credentials may go to a token server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Trust {
    /// The user allows it.
    Allowed,
    /// It is known to belong to the registry.
    BuiltIn,
    /// It has the registry's registrable domain: one owner has both.
    SameDomain,
    /// It is the registry's host.
    SameHost,
}

/// Why a registry's token server is not asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RealmError {
    /// The realm has a fragment, which no server would ever see.
    #[error("token server `{url}` is not asked: its URL has a fragment")]
    Fragment {
        /// The URL, redacted.
        url: String,
    },
    /// Without encryption, where the registry does not excuse it.
    #[error(
        "token server `{url}` is not asked: it must be https, unless the registry itself and on the same host is http"
    )]
    Insecure {
        /// The URL, redacted.
        url: String,
    },
    /// The challenge names no token server.
    #[error("the registry asks for a token and names no server that gives one")]
    Missing,
    /// The URL is none that the client goes to.
    #[error("the registry's token server is not asked")]
    Refused(#[from] RefusedUrl),
    /// Credentials would go to a host that has nothing to do with the registry.
    #[error(
        "credentials for {registry} are not sent to its token server {host}, which is on another domain; \
         if it is to be trusted, allow it with `--allow-token-realm {registry}={host}`"
    )]
    Untrusted {
        /// The token server: its host, and its port where it is not the scheme's.
        host: String,
        /// The registry.
        registry: RegistryHost,
    },
}

/// A token server that may be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    url: Url,
    trust: Option<Trust>,
    rules: Rules,
    registry: RegistryHost,
}

impl Realm {
    /// Returns the URL, without the parts of the query that the client writes.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns why credentials may go there; `None` when they may not.
    pub fn trust(&self) -> Option<Trust> {
        self.trust
    }

    /// Returns the rules for what the host's name is looked up to.
    pub fn addresses(&self) -> Rules {
        self.rules
    }

    /// Checks that a password or a refresh token of the registry's user may go there.
    ///
    /// # Errors
    ///
    /// [`RealmError::Untrusted`], whose text has the option that would allow it.
    pub fn check_credentials(&self) -> Result<(), RealmError> {
        if self.trust.is_some() {
            return Ok(());
        }
        Err(RealmError::Untrusted {
            host: host_and_port(&self.url),
            registry: self.registry.clone(),
        })
    }
}

/// Checks what a challenge names as token server; `answered` is the URL of the request that was challenged, to which a
/// relative one refers.
///
/// * https, unless the registry itself is http and the token server on its host, or allowed by the user;
/// * no user, no fragment;
/// * an address only if it is public, the registry's own with the same port, or allowed by the user; a registry on
///   loopback may name loopback. What a name leads to is checked by the same rules ([`Realm::addresses`]).
///
/// # Errors
///
/// [`RealmError`], except for [`Untrusted`](RealmError::Untrusted).
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::realm::{check, Context};
/// use imgregistry::protocol::url::{Endpoint, Scheme};
///
/// let registry = "registry.example.com".parse()?;
/// let endpoint = Endpoint::new(&registry, Scheme::Https)?;
/// let context = Context { registry: &registry, endpoint: &endpoint, allowed: &[] };
///
/// let realm = check(Some("https://auth.example.com/token"), &endpoint.ping(), context)?;
/// assert!(realm.check_credentials().is_ok());
///
/// let elsewhere = check(Some("https://evil.test/token"), &endpoint.ping(), context)?;
/// let refused = elsewhere.check_credentials().unwrap_err().to_string();
/// assert!(refused.ends_with("`--allow-token-realm registry.example.com=evil.test`"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check(
    realm: Option<&str>,
    answered: &Url,
    context: Context<'_>,
) -> Result<Realm, RealmError> {
    let realm = realm
        .map(str::trim)
        .filter(|realm| !realm.is_empty())
        .ok_or(RealmError::Missing)?;
    let mut url = resolve(answered, realm)?;
    if url.fragment().is_some() {
        return Err(RealmError::Fragment {
            url: redacted(&url),
        });
    }
    let is_allowed = context
        .allowed
        .iter()
        .any(|allowed| allowed.allows(context.registry, &url));
    let trust = trust(&url, context, is_allowed);
    if Scheme::of(&url) == Some(Scheme::Http) && !may_be_plain(trust, context.endpoint) {
        return Err(RealmError::Insecure {
            url: redacted(&url),
        });
    }
    let is_named_by_user =
        is_allowed || Origin::of(&url).is_some_and(|it| context.endpoint.origin() == Some(it));
    let rules = if is_named_by_user {
        Rules::anywhere()
    } else {
        Rules::of(context.endpoint)
    };
    check_host(&url, rules)?;
    drop_own_keys(&mut url);
    Ok(Realm {
        url,
        trust,
        rules,
        registry: context.registry.clone(),
    })
}

fn may_be_plain(trust: Option<Trust>, registry: &Endpoint) -> bool {
    registry.scheme() == Scheme::Http && matches!(trust, Some(Trust::Allowed | Trust::SameHost))
}

fn trust(realm: &Url, context: Context<'_>, is_allowed: bool) -> Option<Trust> {
    if is_allowed {
        return Some(Trust::Allowed);
    }
    let registry = context.endpoint.base();
    let is_local = context.endpoint.is_loopback()
        && Origin::of(realm).is_some_and(|origin| origin.is_loopback());
    if realm.host() == registry.host() || is_local {
        return Some(Trust::SameHost);
    }
    let Some(Host::Domain(name)) = realm.host() else {
        return None;
    };
    let is_built_in = BUILT_IN
        .iter()
        .any(|(registry, server)| *registry == context.registry.as_str() && *server == name);
    if is_built_in {
        return Some(Trust::BuiltIn);
    }
    let domain = registrable_domain(name)?;
    (registry.host_str().and_then(registrable_domain) == Some(domain)).then_some(Trust::SameDomain)
}

/// Returns the domain that somebody has registered, by the public suffix list.
///
/// Under a suffix that is not in the list (`.corp`, `.internal`) nobody can tell where one owner ends. Names in
/// punycode have none either: the list's rules for them are written in Unicode.
fn registrable_domain(name: &str) -> Option<&str> {
    let name = name.strip_suffix('.').unwrap_or(name);
    if name.split('.').any(|label| label.starts_with("xn--")) {
        return None;
    }
    let domain = psl::domain(name.as_bytes())?;
    if !domain.suffix().is_known() {
        return None;
    }
    std::str::from_utf8(domain.as_bytes()).ok()
}

fn host_and_port(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// A realm must not ask for what the client does not ask for: some servers look at the first scope only.
fn drop_own_keys(url: &mut Url) {
    let Some(query) = url.query() else {
        return;
    };
    let kept: Vec<_> = query
        .split('&')
        .filter(|pair| {
            let key = url::form_urlencoded::parse(pair.as_bytes()).next();
            key.is_some_and(|(key, _)| !OWN_KEYS.iter().any(|own| key.eq_ignore_ascii_case(own)))
        })
        .collect();
    let kept = kept.join("&");
    url.set_query(Some(kept.as_str()).filter(|query| !query.is_empty()));
}
