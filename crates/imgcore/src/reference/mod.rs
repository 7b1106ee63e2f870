//! Image references: which image, in which repository, on which registry.
//!
//! The grammar is that of Docker's command line and of the [distribution project][grammar]; the part after the host is
//! `<name>` of the [OCI distribution-spec][spec], "Pulling manifests".
//!
//! ```text
//! reference  = [ host , "/" ] , repository , [ ":" , tag ] , [ "@" , digest ] ;
//! host       = ( domain | "[" , ipv6 , "]" ) , [ ":" , port ] ;
//! domain     = label , { "." , label } ;
//! label      = letgit , [ { letgit | "-" } , letgit ] ;
//! letgit     = "a"…"z" | "A"…"Z" | "0"…"9" ;
//! port       = digit , { digit } ;                              (* 1 to 65535 *)
//! repository = component , { "/" , component } ;
//! component  = alnum , { alnum } , { separator , alnum , { alnum } } ;
//! separator  = "." | "_" | "__" | "-" , { "-" } ;
//! alnum      = "a"…"z" | "0"…"9" ;
//! tag        = word , { word | "." | "-" } ;                (* at most 128 characters *)
//! word       = letgit | "_" ;
//! digest     = see `imgcore::digest` ;
//! ```
//!
//! `host`, `/` and `repository` together have at most 255 characters.
//!
//! What stands before the first slash is a host if it holds a dot, a colon, a bracket or a capital letter, or is
//! `localhost`; otherwise it belongs to the repository, as Docker reads it. Without any slash there is no host, so
//! `localhost:5000` is the tag `5000` of the repository `localhost`.
//!
//! A [`Reference`] keeps the name as it was written. What Docker adds in silence (`docker.io`, `library/`) is a step of
//! its own: [`Reference::docker_normalized`].
//!
//! [grammar]: https://pkg.go.dev/github.com/distribution/reference
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-manifests

mod error;
mod host;
mod repository;
mod tag;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

pub use error::ParseReferenceError;
pub use host::RegistryHost;
pub use repository::Repository;
pub use tag::Tag;

use crate::Digest;

/// The longest name (host, slash and repository) that clients take.
///
/// The specification gives it as the limit that many clients have: a longer name could be pushed, but not pulled.
const MAX_NAME_LENGTH: usize = 255;

/// The registry that Docker means by a name without a host.
const DOCKER_HOST: &str = "docker.io";

/// The name that Docker's registry had before, still found in old scripts.
const DOCKER_LEGACY_HOST: &str = "index.docker.io";

/// Where Docker keeps images whose name has a single component.
const DOCKER_OFFICIAL: &str = "library/";

/// A name for an image: repository, and optionally registry, tag and digest.
///
/// # Examples
///
/// ```
/// use imgcore::Reference;
///
/// let reference: Reference = "registry.example:5000/team/app:1.2".parse()?;
/// assert_eq!(reference.host().unwrap().port(), Some(5000));
/// assert_eq!(reference.repository().as_str(), "team/app");
/// assert_eq!(reference.tag().unwrap().as_str(), "1.2");
///
/// let short: Reference = "debian".parse()?;
/// assert_eq!(short.host(), None);
/// assert_eq!(short.docker_normalized()?.to_string(), "docker.io/library/debian");
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    host: Option<RegistryHost>,
    repository: Repository,
    tag: Option<Tag>,
    digest: Option<Digest>,
}

impl Reference {
    /// Names a repository, without tag and digest.
    ///
    /// # Errors
    ///
    /// [`ParseReferenceError::NameTooLong`] when host and repository together pass the limit, and
    /// [`ParseReferenceError::AmbiguousHost`] when there is no host and the repository's first component would be read as
    /// one.
    pub fn new(
        host: Option<RegistryHost>,
        repository: Repository,
    ) -> Result<Self, ParseReferenceError> {
        let length = host.as_ref().map_or(0, |host| host.as_str().len() + 1);
        if length + repository.as_str().len() > MAX_NAME_LENGTH {
            return Err(ParseReferenceError::NameTooLong);
        }
        if host.is_none()
            && let Some((first, _)) = repository.as_str().split_once('/')
            && is_host(first)
        {
            return Err(ParseReferenceError::AmbiguousHost {
                component: first.to_owned(),
            });
        }
        Ok(Self {
            host,
            repository,
            tag: None,
            digest: None,
        })
    }

    /// Replaces the tag.
    #[must_use]
    pub fn with_tag(self, tag: Tag) -> Self {
        Self {
            tag: Some(tag),
            ..self
        }
    }

    /// Replaces the digest; a tag stays beside it.
    #[must_use]
    pub fn with_digest(self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self
        }
    }

    /// Returns the registry, if one is written.
    pub fn host(&self) -> Option<&RegistryHost> {
        self.host.as_ref()
    }

    /// Returns the repository on the registry.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// Returns the tag, if one is written.
    pub fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// Returns the digest, if one is written. Where there is also a tag, the digest decides.
    pub fn digest(&self) -> Option<Digest> {
        self.digest
    }

    /// Returns the name without tag and digest: `registry.example/team/app`.
    pub fn name(&self) -> String {
        match &self.host {
            Some(host) => format!("{host}/{}", self.repository),
            None => self.repository.to_string(),
        }
    }

    /// Adds the tag `latest` where there is neither a tag nor a digest.
    #[must_use]
    pub fn or_latest(self) -> Self {
        if self.tag.is_some() || self.digest.is_some() {
            return self;
        }
        self.with_tag(Tag::latest())
    }

    /// Writes the name out as Docker understands it: with the host, and with `library/` where Docker means it.
    ///
    /// A name without a host is one on `docker.io`, `index.docker.io` is an old name for it, and a repository there with
    /// a single component lies under `library/`. Other names stay as they are. No tag is added: see
    /// [`or_latest`](Self::or_latest).
    ///
    /// # Errors
    ///
    /// [`ParseReferenceError::Identifier`] for a bare text of 64 hex digits, which Docker takes for an image's id, and
    /// [`ParseReferenceError::NameTooLong`] when the full name passes the limit.
    pub fn docker_normalized(&self) -> Result<Self, ParseReferenceError> {
        let is_bare = self.host.is_none() && self.tag.is_none() && self.digest.is_none();
        if is_bare && is_identifier(self.repository.as_str()) {
            return Err(ParseReferenceError::Identifier);
        }
        let on_docker = match &self.host {
            None => true,
            Some(host) => matches!(host.as_str(), DOCKER_HOST | DOCKER_LEGACY_HOST),
        };
        if !on_docker {
            return Ok(self.clone());
        }
        let repository = if self.repository.as_str().contains('/') {
            self.repository.clone()
        } else {
            format!("{DOCKER_OFFICIAL}{}", self.repository).parse()?
        };
        let name = Self::new(Some(DOCKER_HOST.parse()?), repository)?;
        Ok(Self {
            tag: self.tag.clone(),
            digest: self.digest,
            ..name
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}/")?;
        }
        write!(f, "{}", self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(ParseReferenceError::Empty);
        }
        if let Some((scheme, _)) = text.split_once("://") {
            return Err(ParseReferenceError::Scheme {
                scheme: scheme.to_owned(),
            });
        }
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(digest.parse()?)),
            None => (text, None),
        };
        let (host, text) = match text.split_once('/') {
            Some((first, rest)) if is_host(first) => (Some(first.parse()?), rest),
            _ => (None, text),
        };
        let (repository, tag) = match text.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (text, None),
        };
        let name = Self::new(host, repository.parse()?)?;
        Ok(Self {
            tag: tag.map(str::parse).transpose()?,
            digest,
            ..name
        })
    }
}

/// Says whether the text before the first slash is a host: Docker's rule.
fn is_host(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':', '['])
        || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_identifier(text: &str) -> bool {
    text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}
