//! The keychain of a person or a build: every place that credentials are kept in, in one documented order.

mod cache;
mod helpers;
mod options;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use imgcore::{RegistryHost, Repository};

pub use cache::{CacheKeychain, CacheResolution};
pub use options::KeychainOptions;

use crate::docker::{self, DockerConfig, Place};
use crate::host::{HUB_KEY, canonical, is_hub};
use crate::{Answer, Lookup, RegistryCredential, RegistryKeychain, Resolution, bazel, variables};
use helpers::HelperPrograms;
use options::Helpers;

/// Looks for the credential of a registry where people and builds keep them.
///
/// The first that has one wins:
///
/// 1. a Bazel credential helper: given by the program, or by `IMG_CREDENTIAL_HELPER_OCI_REGISTRY` or else
///    `IMG_CREDENTIAL_HELPER`;
/// 2. `IMG_REGISTRY_AUTH_BEARER_TOKEN`, or `_USERNAME` and `_PASSWORD`, for the one host in `IMG_REGISTRY_AUTH_HOST`;
/// 3. the config in `IMG_DOCKER_CONFIG_INLINE`, then the one in `DOCKER_AUTH_CONFIG`;
/// 4. the files `$DOCKER_CONFIG/config.json` (`~/.docker/config.json`), `$REGISTRY_AUTH_FILE`,
///    `$XDG_RUNTIME_DIR/containers/auth.json` (outside of a session `/run/containers/UID/auth.json`) and `$XDG_CONFIG_HOME/containers/auth.json` (`~/.config/…`); in each of them
///    `credHelpers`, or else `credsStore`, and then the longest name in `auths` that fits;
/// 5. nobody: then requests go without.
///
/// What fails is a warning in the trail, and the search goes on. Answers of helpers are kept until they expire, or for
/// five minutes where they do not say, or until a registry has [refused](RegistryKeychain::refused) them; that one failed
/// is kept for half a minute. [`Resolution::expires`] is the earliest end of all these, found or not.
///
/// # Examples
///
/// ```
/// use imgauth::{Environment, Keychain, KeychainOptions, RegistryKeychain};
///
/// let environment = Environment::from_iter([(
///     "DOCKER_AUTH_CONFIG",
///     r#"{"auths": {"registry.example": {"auth": "cm9ib3Q6aHVudGVyMg=="}}}"#,
/// )]);
/// let keychain = Keychain::new(KeychainOptions::new(environment));
///
/// let found = keychain.resolve(&"registry.example".parse()?, Some(&"team/app".parse()?));
/// assert_eq!(
///     found.winner().unwrap().to_string(),
///     r#"DOCKER_AUTH_CONFIG, auths["registry.example"]: found: user name and password"#,
/// );
/// # Ok::<(), imgcore::reference::ParseReferenceError>(())
/// ```
#[derive(Debug)]
pub struct Keychain {
    options: KeychainOptions,
    programs: HelperPrograms,
}

/// What is looked for, and what was said about it so far.
struct Search<'a> {
    host: &'a RegistryHost,
    repository: Option<&'a Repository>,
    trail: Vec<Lookup>,
    /// Until when all of that holds.
    expires: Option<SystemTime>,
}

/// What one place said.
enum Said {
    Failed(String),
    Found(RegistryCredential),
    Nothing(String),
}

impl Keychain {
    /// Makes a keychain. Nothing is read before the first question.
    pub fn new(options: KeychainOptions) -> Self {
        Self {
            options,
            programs: HelperPrograms::default(),
        }
    }

    fn search(&self, search: &mut Search<'_>) -> Option<RegistryCredential> {
        let (who, said) = self.ask_credential_helper(search);
        if let Some(credential) = search.add(who, said) {
            return Some(credential);
        }
        let environment = &self.options.environment;
        let own = variables::resolve(environment, search.host);
        if let Some(credential) = search.take("", own) {
            return Some(credential);
        }
        let places = docker::places(self.options.docker_config.as_deref(), environment);
        places
            .iter()
            .find_map(|place| self.look_into(place, search))
    }

    /// Asks the Bazel credential helper for the URI of the repository, or of the registry.
    fn ask_credential_helper(&self, search: &mut Search<'_>) -> (String, Said) {
        let who = "credential helper";
        let helpers = match self.options.helpers_for_registries() {
            Helpers::Are(helpers) => helpers,
            Helpers::Bad { variable, why } => return (variable.to_owned(), Said::Failed(why)),
            Helpers::Unset(why) => return (who.to_owned(), Said::Nothing(why)),
        };
        let Some(helper) = bazel::choose(&helpers, search.host.name()) else {
            let why = format!("no pattern fits {}", search.host);
            return (who.to_owned(), Said::Nothing(why));
        };
        let uri = search.uri();
        let (said, until) = self.programs.ask_bazel(helper, &uri, &self.options);
        search.holds_until(until);
        let said = match said {
            Ok(answer) => match answer.registry_credential() {
                Ok(Some(credential)) => Said::Found(credential),
                Ok(None) => Said::Nothing(format!("it gives no Authorization for {uri}")),
                Err(error) => Said::Failed(error.chain()),
            },
            Err(why) => Said::Failed(why),
        };
        (format!("{who} {helper}"), said)
    }

    /// Looks into a config: first whom it names, then what it holds.
    fn look_into(&self, place: &Place, search: &mut Search<'_>) -> Option<RegistryCredential> {
        let config = match place.read(&self.options.environment) {
            Ok(Ok(config)) => config,
            Ok(Err(why)) => return search.add(place.name(), Said::Nothing(why.to_owned())),
            Err(error) => return search.add(place.name(), Said::Failed(error.chain())),
        };
        if let Some((who, said)) = self.ask_docker_helper(&config, search)
            && let Some(credential) = search.add(format!("{}, {who}", place.name()), said)
        {
            return Some(credential);
        }
        let own = config.resolve(search.host, search.repository);
        search.take(&format!("{}, ", place.name()), own)
    }

    /// Asks the helper that a config names, if it names one.
    fn ask_docker_helper(
        &self,
        config: &DockerConfig,
        search: &mut Search<'_>,
    ) -> Option<(String, Said)> {
        let (member, helper) = config.helper(search.host)?;
        let helper = match helper {
            Ok(helper) => helper,
            Err(why) => return Some((member.to_owned(), Said::Failed(why))),
        };
        let server = search.server();
        let (said, until) = self.programs.ask_docker(&helper, &server, &self.options);
        search.holds_until(until);
        let said = match said {
            Ok(Some(credential)) => Said::Found(credential),
            Ok(None) => Said::Nothing(format!("it keeps nothing for {server}")),
            Err(why) => Said::Failed(why),
        };
        Some((format!("{member}: {}", helper.program()), said))
    }
}

impl RegistryKeychain for Keychain {
    fn resolve(&self, host: &RegistryHost, repository: Option<&Repository>) -> Resolution {
        let mut search = Search::new(host, repository);
        let credential = self.search(&mut search);
        Resolution {
            expires: search.expires,
            ..Resolution::new(credential, search.trail)
        }
    }

    fn refused(&self, host: &RegistryHost, repository: Option<&Repository>) {
        let search = Search::new(host, repository);
        self.programs.forget(&[search.uri(), search.server()]);
    }
}

impl<'a> Search<'a> {
    fn new(host: &'a RegistryHost, repository: Option<&'a Repository>) -> Self {
        Self {
            host,
            repository,
            trail: Vec::new(),
            expires: None,
        }
    }

    /// The URI that a Bazel helper is asked for. It is that of a request that will be made, as far as it is known.
    fn uri(&self) -> String {
        let canonical = canonical(self.host.as_str());
        let host = if is_hub(&canonical) {
            "index.docker.io"
        } else {
            canonical.as_str()
        };
        match self.repository {
            Some(repository) => format!("https://{host}/v2/{repository}/"),
            None => format!("https://{host}/v2/"),
        }
    }

    /// The name that a Docker helper is asked for.
    fn server(&self) -> String {
        let canonical = canonical(self.host.as_str());
        if is_hub(&canonical) {
            HUB_KEY.to_owned()
        } else {
            canonical
        }
    }

    /// Notes until when an answer holds: whoever asks again then may find that another place comes first.
    fn holds_until(&mut self, until: SystemTime) {
        self.expires = Some(self.expires.map_or(until, |earlier| earlier.min(until)));
    }

    /// Adds a line to the trail, and returns what was found.
    fn add(&mut self, who: String, said: Said) -> Option<RegistryCredential> {
        let (answer, credential) = match said {
            Said::Failed(why) => (Answer::Failed(why), None),
            Said::Found(credential) => {
                let form = credential.form().to_owned();
                (Answer::Found(form), Some(credential))
            }
            Said::Nothing(why) => (Answer::Nothing(why), None),
        };
        self.trail.push(Lookup::new(who, answer));
        credential
    }

    /// Takes over what a part of the search came to; `front` says where it was.
    fn take(&mut self, front: &str, part: Resolution) -> Option<RegistryCredential> {
        for lookup in part.trail {
            let asked = format!("{front}{}", lookup.asked);
            self.trail.push(Lookup::new(asked, lookup.answer));
        }
        part.credential
    }
}
