//! The URLs of the distribution protocol: this module builds them and says how they are printed.
//!
//! Every request's URL comes from an [`Endpoint`] (or is one that a server gave, checked by
//! [`location`](super::location), [`redirect`](super::redirect), [`realm`](super::realm) or
//! [`link`](super::link)). Every URL that a person reads goes through [`redacted`].
//!
//! The paths are those of the [distribution-spec 1.1][spec], "Endpoints".
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#endpoints

mod redact;
#[cfg(test)]
mod tests;

use std::fmt;

use imgcore::{Digest, RegistryHost, Repository, Tag};
use url::{Host, Url};

pub use redact::{redacted, redacted_text};

/// The host of Docker's registry in references.
const DOCKER_HOSTS: [&str; 2] = ["docker.io", "index.docker.io"];

/// The host that answers for [`DOCKER_HOSTS`].
const DOCKER_API_HOST: &str = "registry-1.docker.io";

/// How a registry is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the protocol has these two and callers must treat both"
)]
pub enum Scheme {
    /// Without encryption.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// Returns what a registry's host is spoken to with when nobody said otherwise.
    ///
    /// That is TLS, but for `localhost` and for loopback addresses, taken exactly:
    /// `localhost.example` is no such name.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgregistry::protocol::url::Scheme;
    ///
    /// assert_eq!(Scheme::default_for(&"127.0.0.1:5000".parse()?), Scheme::Http);
    /// assert_eq!(Scheme::default_for(&"localhost.example".parse()?), Scheme::Https);
    /// # Ok::<(), imgcore::reference::ParseReferenceError>(())
    /// ```
    pub fn default_for(host: &RegistryHost) -> Self {
        let is_loopback = Url::parse(&format!("http://{host}/"))
            .ok()
            .is_some_and(|url| url.host().is_some_and(|host| is_loopback(&host)));
        if is_loopback { Self::Http } else { Self::Https }
    }

    /// Returns the scheme's name in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Returns the scheme of a URL; `None` for one that is neither.
    pub fn of(url: &Url) -> Option<Self> {
        match url.scheme() {
            "http" => Some(Self::Http),
            "https" => Some(Self::Https),
            _ => None,
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Where a URL leads: scheme, host and port.
///
/// Credentials never go from one origin to another one.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::url::Origin;
///
/// let origin = |text: &str| Origin::of(&text.parse().unwrap()).unwrap();
/// assert_eq!(origin("https://r.example/v2/"), origin("https://R.example:443/else"));
/// assert_ne!(origin("https://r.example/v2/"), origin("https://r.example:8443/v2/"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin {
    scheme: Scheme,
    host: Host<String>,
    port: u16,
}

impl Origin {
    /// Returns the origin of a URL; `None` when it is neither http nor https.
    pub fn of(url: &Url) -> Option<Self> {
        Some(Self {
            scheme: Scheme::of(url)?,
            host: url.host()?.to_owned(),
            port: url.port_or_known_default()?,
        })
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// Returns the host: a name in lower case, or an address.
    pub fn host(&self) -> &Host<String> {
        &self.host
    }

    /// Returns the port, the scheme's own where none is written.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns whether the host is `localhost` or a loopback address, taken exactly.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.scheme, self.host, self.port)
    }
}

fn is_loopback(host: &Host<impl AsRef<str>>) -> bool {
    match host {
        Host::Domain(name) => name.as_ref() == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    }
}

/// A manifest on the registry: by its tag, or by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the specification names a manifest in these two ways"
)]
pub enum TagOrDigest {
    /// By digest: the content cannot change.
    Digest(Digest),
    /// By tag: what it points to may change at any time.
    Tag(Tag),
}

impl TagOrDigest {
    /// Returns the digest, where the manifest is named by it.
    pub fn digest(&self) -> Option<Digest> {
        match self {
            Self::Digest(digest) => Some(*digest),
            Self::Tag(_) => None,
        }
    }
}

impl fmt::Display for TagOrDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Tag(tag) => tag.fmt(f),
        }
    }
}

impl From<Digest> for TagOrDigest {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

impl From<Tag> for TagOrDigest {
    fn from(tag: Tag) -> Self {
        Self::Tag(tag)
    }
}

/// Why a registry's host or URL cannot be spoken to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The host makes no URL: a name that ends in a number and is no address, or a broken punycode name.
    #[error("`{host}` is no host that a URL can name")]
    Host {
        /// The host.
        host: String,
    },
    /// A gateway's or mirror's URL has parts that an endpoint cannot have.
    #[error(
        "`{url}` is no address of a registry: it must be http or https, with a host, and without user, query and fragment"
    )]
    Url {
        /// The URL, redacted.
        url: String,
    },
}

/// A registry's address: everything before `/v2/`.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::url::{Endpoint, Scheme};
///
/// let endpoint = Endpoint::new(&"docker.io".parse()?, Scheme::Https)?;
/// let repository = endpoint.repository(&"debian".parse()?);
/// let tag: imgcore::Tag = "13".parse()?;
/// assert_eq!(
///     endpoint.manifest(&repository, &tag.into()).as_str(),
///     "https://registry-1.docker.io/v2/library/debian/manifests/13",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Without query and fragment; the path ends with a slash.
    base: Url,
    is_docker: bool,
}

impl Endpoint {
    /// Makes the address of a registry; Docker's names become the host that answers for them.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Host`] for a host that no URL can have.
    pub fn new(host: &RegistryHost, scheme: Scheme) -> Result<Self, EndpointError> {
        let is_docker = DOCKER_HOSTS.contains(&host.as_str()) || host.as_str() == DOCKER_API_HOST;
        let name = if is_docker {
            DOCKER_API_HOST
        } else {
            host.as_str()
        };
        let base = Url::parse(&format!("{scheme}://{name}/")).map_err(|_| EndpointError::Host {
            host: host.to_string(),
        })?;
        Ok(Self { base, is_docker })
    }

    /// Takes the address of a mirror or a gateway, which may have a path of its own.
    ///
    /// # Errors
    ///
    /// [`EndpointError::Url`] for another scheme, for a user, a query or a fragment.
    pub fn from_url(url: &Url) -> Result<Self, EndpointError> {
        let is_plain = Scheme::of(url).is_some()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !is_plain {
            return Err(EndpointError::Url { url: redacted(url) });
        }
        let mut base = url.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", url.path()));
        }
        Ok(Self {
            base,
            is_docker: false,
        })
    }

    /// Returns the repository's name on this registry: on Docker's, one component lies under `library/`.
    #[must_use]
    pub fn repository(&self, name: &Repository) -> Repository {
        if !self.is_docker || name.as_str().contains('/') {
            return name.clone();
        }
        // Longer than a name may be: the registry will say that there is none.
        format!("library/{name}")
            .parse()
            .unwrap_or_else(|_| name.clone())
    }

    /// Returns the scheme.
    pub fn scheme(&self) -> Scheme {
        Scheme::of(&self.base).unwrap_or(Scheme::Https)
    }

    /// Returns where requests go.
    pub fn origin(&self) -> Option<Origin> {
        Origin::of(&self.base)
    }

    /// Returns whether the registry is on this machine, by `localhost` or by a loopback address.
    pub fn is_loopback(&self) -> bool {
        self.base.host().is_some_and(|host| is_loopback(&host))
    }

    /// Returns the address itself, with a slash at its end.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// Builds the URL that tells whether the protocol is spoken, and how to log in (end-1).
    pub fn ping(&self) -> Url {
        self.path("")
    }

    /// Builds the URL of a blob (end-2, end-10).
    pub fn blob(&self, repository: &Repository, digest: &Digest) -> Url {
        self.path(&format!("{repository}/blobs/{digest}"))
    }

    /// Builds the URL of a manifest (end-3, end-7, end-9).
    pub fn manifest(&self, repository: &Repository, at: &TagOrDigest) -> Url {
        self.path(&format!("{repository}/manifests/{at}"))
    }

    /// Builds the URL where uploads begin (end-4a).
    pub fn uploads(&self, repository: &Repository) -> Url {
        self.path(&format!("{repository}/blobs/uploads/"))
    }

    /// Builds the URL that takes a whole blob with one request (end-4b).
    pub fn upload_whole(&self, repository: &Repository, digest: &Digest) -> Url {
        let mut url = self.uploads(repository);
        url.query_pairs_mut()
            .append_pair("digest", &digest.to_string());
        url
    }

    /// Builds the URL that takes a blob over from another repository of the registry (end-11).
    ///
    /// Without `from` the registry looks wherever it likes, if it knows that form at all.
    pub fn mount(
        &self,
        repository: &Repository,
        digest: &Digest,
        from: Option<&Repository>,
    ) -> Url {
        let mut url = self.uploads(repository);
        let mut query = url.query_pairs_mut();
        query.append_pair("mount", &digest.to_string());
        if let Some(from) = from {
            query.append_pair("from", from.as_str());
        }
        drop(query);
        url
    }

    /// Builds the URL of a page of tags (end-8a, end-8b): at most `count`, behind `last`.
    pub fn tags(&self, repository: &Repository, count: Option<u32>, last: Option<&Tag>) -> Url {
        let mut url = self.path(&format!("{repository}/tags/list"));
        if let Some(count) = count {
            url.query_pairs_mut().append_pair("n", &count.to_string());
        }
        if let Some(last) = last {
            url.query_pairs_mut().append_pair("last", last.as_str());
        }
        url
    }

    /// Builds the URL of what refers to a manifest (end-12a, end-12b).
    pub fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        artifact_type: Option<&str>,
    ) -> Url {
        let mut url = self.path(&format!("{repository}/referrers/{digest}"));
        if let Some(artifact_type) = artifact_type {
            url.query_pairs_mut()
                .append_pair("artifactType", artifact_type);
        }
        url
    }

    /// Appends to `/v2/`. Names, tags and digests hold nothing that a path would have to escape.
    fn path(&self, rest: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}v2/{rest}", self.base.path()));
        url
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(&self.base))
    }
}

/// Returns the tag under which a registry without the referrers API keeps the index of what refers to a manifest.
///
/// distribution-spec 1.1, "Referrers Tag Schema": algorithm and hash with a dash between, the hash cut to
/// 64 characters. `None` when that is no tag, which cannot be for the algorithms that are known.
///
/// # Examples
///
/// ```
/// use imgcore::Digest;
/// use imgregistry::protocol::url::referrers_tag;
///
/// let tag = referrers_tag(&Digest::sha256_of(b"")).unwrap();
/// assert_eq!(&tag.as_str()[..15], "sha256-e3b0c442");
/// ```
pub fn referrers_tag(digest: &Digest) -> Option<Tag> {
    let text = digest.to_string();
    let (algorithm, hash) = text.split_once(':')?;
    let hash = hash.get(..64).unwrap_or(hash);
    format!("{algorithm}-{hash}").parse().ok()
}
