//! How far a registry may lead a client.

use imgcore::RegistryHost;
use url::Url;

use super::{AllowedHost, Rules};

/// The rules for every host that a registry names, with those that the user allows to be on a private network.
///
/// That a registry is itself on a private network opens that network to nobody: whoever owns its name decides where
/// the name leads, and may do so anew for every question.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::address::{Reach, Rules};
///
/// let allowed = ["registry.corp=minio.corp:9000".parse()?];
/// let reach = Reach::from(Rules::strict()).allowing(&"registry.corp".parse()?, &allowed);
/// let inside = "10.0.0.1".parse()?;
/// let check = |url: &str| reach.rules_for(&url.parse().unwrap()).check_resolved(inside);
/// assert!(check("https://minio.corp:9000/blob").is_ok());
/// assert!(check("https://vault.corp/").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Reach {
    rules: Rules,
    allowed: Vec<(RegistryHost, AllowedHost)>,
}

impl Reach {
    /// Lets a registry lead to those of the allowed hosts that are allowed to it.
    #[must_use]
    pub fn allowing(mut self, registry: &RegistryHost, allowed: &[AllowedHost]) -> Self {
        let allowed = allowed.iter().cloned();
        self.allowed
            .extend(allowed.map(|allowed| (registry.clone(), allowed)));
        self
    }

    /// Returns the rules for the host of a URL.
    pub fn rules_for(&self, url: &Url) -> Rules {
        let is_allowed = self
            .allowed
            .iter()
            .any(|(registry, allowed)| allowed.allows(registry, url));
        if is_allowed {
            self.rules.with_private(true)
        } else {
            self.rules
        }
    }
}

/// The same rules for every host.
impl From<Rules> for Reach {
    fn from(rules: Rules) -> Self {
        Self {
            rules,
            allowed: Vec::new(),
        }
    }
}
