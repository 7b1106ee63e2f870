//! What a keychain looks into.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::bazel::CredentialHelper;
use crate::program::Bounds;
use crate::{Environment, Result};

/// The variable for the helper of registries, and of the remote cache, and the one for both.
const FOR_REGISTRIES: &str = "IMG_CREDENTIAL_HELPER_OCI_REGISTRY";
const FOR_CACHE: &str = "IMG_CREDENTIAL_HELPER_REMOTE_CACHE";
const FOR_BOTH: &str = "IMG_CREDENTIAL_HELPER";

/// What a [`Keychain`](crate::Keychain) and a [`CacheKeychain`](crate::CacheKeychain) look into.
///
/// # Examples
///
/// ```
/// use imgauth::{Environment, Keychain, KeychainOptions};
///
/// let environment = Environment::from_iter([("DOCKER_CONFIG", "/etc/docker")]);
/// let options = KeychainOptions::new(environment)
///     .with_registry_helpers(["*.example.com=credential-helper-of-ours".parse()?]);
/// let keychain = Keychain::new(options);
/// # Ok::<(), imgauth::Error>(())
/// ```
#[derive(Clone)]
pub struct KeychainOptions {
    pub(super) environment: Environment,
    pub(super) docker_config: Option<PathBuf>,
    pub(super) workspace: Option<PathBuf>,
    pub(super) bounds: Bounds,
    pub(super) clock: Clock,
    registry_helpers: Vec<CredentialHelper>,
    cache_helpers: Vec<CredentialHelper>,
}

/// Tells what time it is.
pub(super) type Clock = Arc<dyn Fn() -> SystemTime + Send + Sync>;

/// Which helpers there are, or why there are none.
pub(super) enum Helpers {
    Are(Vec<CredentialHelper>),
    /// A variable cannot be read as one.
    Bad {
        variable: &'static str,
        why: String,
    },
    /// No variable names one.
    Unset(String),
}

impl KeychainOptions {
    /// Takes what the variables of a program say.
    pub fn new(environment: Environment) -> Self {
        Self {
            docker_config: None,
            workspace: environment.path("BUILD_WORKSPACE_DIRECTORY"),
            bounds: Bounds::default(),
            clock: Arc::new(SystemTime::now),
            registry_helpers: Vec::new(),
            cache_helpers: Vec::new(),
            environment,
        }
    }

    /// Names the config, or its directory, that is read in place of Docker's. It has to be there.
    #[must_use]
    pub fn with_docker_config(mut self, path: impl Into<PathBuf>) -> Self {
        self.docker_config = Some(path.into());
        self
    }

    /// Names the credential helpers for registries, in place of what the variables say.
    #[must_use]
    pub fn with_registry_helpers(
        mut self,
        helpers: impl IntoIterator<Item = CredentialHelper>,
    ) -> Self {
        self.registry_helpers = helpers.into_iter().collect();
        self
    }

    /// Names the credential helpers for the remote cache, in place of what the variables say.
    #[must_use]
    pub fn with_cache_helpers(
        mut self,
        helpers: impl IntoIterator<Item = CredentialHelper>,
    ) -> Self {
        self.cache_helpers = helpers.into_iter().collect();
        self
    }

    /// Sets what `%workspace%` stands for in the name of a helper; `BUILD_WORKSPACE_DIRECTORY` unless told.
    #[must_use]
    pub fn with_workspace(mut self, directory: impl Into<PathBuf>) -> Self {
        self.workspace = Some(directory.into());
        self
    }

    /// Sets how long a helper may take, up to a day; 60 seconds unless told, because some ask a person.
    #[must_use]
    pub fn with_helper_timeout(mut self, timeout: Duration) -> Self {
        self.bounds.timeout = timeout.min(Duration::from_secs(24 * 60 * 60));
        self
    }

    /// Sets the clock that says how long the answer of a helper holds; the machine's unless told.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    pub(super) fn helpers_for_registries(&self) -> Helpers {
        self.helpers(&self.registry_helpers, FOR_REGISTRIES)
    }

    pub(super) fn helpers_for_cache(&self) -> Helpers {
        self.helpers(&self.cache_helpers, FOR_CACHE)
    }

    /// The narrower variable goes before the one for both.
    fn helpers(&self, given: &[CredentialHelper], scoped: &'static str) -> Helpers {
        if !given.is_empty() {
            return Helpers::Are(given.to_vec());
        }
        for variable in [scoped, FOR_BOTH] {
            let Some(value) = self.environment.value(variable) else {
                continue;
            };
            let helper: Result<CredentialHelper, String> = match value.to_str() {
                Some(text) => text
                    .parse()
                    .map_err(|error: crate::Error| error.to_string()),
                None => Err("it is no text".to_owned()),
            };
            return match helper {
                Ok(helper) => Helpers::Are(vec![helper]),
                Err(why) => Helpers::Bad { variable, why },
            };
        }
        Helpers::Unset(format!("neither {scoped} nor {FOR_BOTH} is set"))
    }
}

impl Default for KeychainOptions {
    /// Looks nowhere.
    fn default() -> Self {
        Self::new(Environment::default())
    }
}

impl fmt::Debug for KeychainOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeychainOptions")
            .field("environment", &self.environment)
            .field("docker_config", &self.docker_config)
            .field("workspace", &self.workspace)
            .field("bounds", &self.bounds)
            .field("registry_helpers", &self.registry_helpers)
            .field("cache_helpers", &self.cache_helpers)
            .finish_non_exhaustive()
    }
}
