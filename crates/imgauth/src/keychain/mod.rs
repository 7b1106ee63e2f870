//! The keychain of a person or a build: every place that credentials are kept in, in one documented order.

use imgcore::{RegistryHost, Repository};

use crate::{Environment, RegistryKeychain, Resolution};

/// What a [`Keychain`] looks into.
#[derive(Clone, Debug, Default)]
pub struct KeychainOptions {
    environment: Environment,
}

impl KeychainOptions {
    /// Takes what the variables of a program say.
    pub fn new(environment: Environment) -> Self {
        Self { environment }
    }
}

/// Looks for the credential of a registry where people and builds keep them.
#[derive(Debug)]
pub struct Keychain {
    options: KeychainOptions,
}

impl Keychain {
    /// Makes a keychain. Nothing is read before the first question.
    pub fn new(options: KeychainOptions) -> Self {
        Self { options }
    }
}

impl RegistryKeychain for Keychain {
    fn resolve(&self, host: &RegistryHost, _repository: Option<&Repository>) -> Resolution {
        crate::variables::resolve(&self.options.environment, host)
    }
}
