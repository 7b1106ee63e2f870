//! Mirrors: other places for what a registry has.

use imgcore::{RegistryHost, Repository};

/// A registry that has copies of what another one has. It never sees that one's credentials.
///
/// # Examples
///
/// ```
/// use imgregistry::Mirror;
///
/// let mirror = Mirror::new("mirror.example:5000".parse()?).under("docker-hub".parse()?);
/// assert_eq!(mirror.host().as_str(), "mirror.example:5000");
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    pub(super) host: RegistryHost,
    prefix: Option<Repository>,
    pub(super) has_tags: bool,
}

impl Mirror {
    /// Names a mirror that has the repositories under their own names.
    pub fn new(host: RegistryHost) -> Self {
        Self {
            host,
            prefix: None,
            has_tags: true,
        }
    }

    /// Says that the mirror has the repositories under a path.
    #[must_use]
    pub fn under(self, prefix: Repository) -> Self {
        Self {
            prefix: Some(prefix),
            ..self
        }
    }

    /// Says that the mirror is asked for digests only: what a tag stands for, the registry itself says.
    #[must_use]
    pub fn digests_only(self) -> Self {
        Self {
            has_tags: false,
            ..self
        }
    }

    /// Returns the host.
    pub fn host(&self) -> &RegistryHost {
        &self.host
    }

    /// Returns the name of a repository on the mirror; `None` when it would be too long to be one.
    pub(super) fn repository(&self, name: &Repository) -> Option<Repository> {
        match &self.prefix {
            None => Some(name.clone()),
            Some(prefix) => format!("{prefix}/{name}").parse().ok(),
        }
    }
}
