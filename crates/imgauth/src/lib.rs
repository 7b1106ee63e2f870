//! Credentials without HTTP: secrets, helper protocols, docker config, environment.
#![forbid(unsafe_code)]

mod credential;
mod environment;
mod host;
mod keychain;
mod resolution;
mod secret;
mod variables;

pub use credential::{CacheCredential, RegistryCredential};
pub use environment::Environment;
pub use keychain::{Keychain, KeychainOptions};
pub use resolution::{Anonymous, Answer, Fixed, Lookup, RegistryKeychain, Resolution};
pub use secret::Secret;
