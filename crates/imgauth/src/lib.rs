//! Registry and cache credentials without HTTP: secrets, keychains, and the helpers of Bazel and Docker.
//!
//! ```
//! use imgauth::{Environment, Keychain, KeychainOptions, RegistryKeychain};
//!
//! // A program passes on its own: `Environment::from_iter(std::env::vars_os())`.
//! let environment = Environment::from_iter([
//!     ("IMG_REGISTRY_AUTH_HOST", "registry.example"),
//!     ("IMG_REGISTRY_AUTH_USERNAME", "robot"),
//!     ("IMG_REGISTRY_AUTH_PASSWORD", "hunter2"),
//! ]);
//! let keychain = Keychain::new(KeychainOptions::new(environment));
//!
//! let found = keychain.resolve(&"registry.example".parse()?, None);
//! assert_eq!(found.credential.unwrap().form(), "user name and password");
//! for lookup in &found.trail {
//!     println!("{lookup}"); // who was asked and what it said, without secrets
//! }
//! # Ok::<(), imgcore::reference::ParseReferenceError>(())
//! ```
//!
//! # Central types
//!
//! * [`Secret`] is a text that cannot be printed. [`RegistryCredential`] and [`CacheCredential`] are what a registry and
//!   a remote cache may be shown; neither becomes the other.
//! * [`RegistryKeychain`] is what looks for a registry's credential and says in a [`Resolution`] how it went.
//!   [`Keychain`] looks where people and builds keep them; [`Fixed`] and [`Anonymous`] are for programs that know.
//!   [`CacheKeychain`] is the one for the remote cache.
//! * [`Environment`] is the door to variables: this crate reads none of the process.
//! * [`docker`] and [`bazel`] read the formats of those two by themselves.
//!
//! # What this crate does not do
//!
//! It speaks no HTTP: an identity token is changed into others by whoever speaks to the token server. It stores nothing
//! and logs nobody in. It has no async: helpers are programs, and whoever asks waits for them.
//!
//! # Guarantees
//!
//! * **No secret is printed**: not by `Debug`, `Display`, an error or a trail. What a helper writes when it fails is
//!   not repeated either.
//! * **Nothing is fatal**: a helper that is missing, fails, hangs or says nonsense is a warning in the trail, and so is an
//!   entry of a config that cannot be read.
//! * **Helpers are bounded**: no shell, no name that is a path in a config, one constant argument, a time limit after
//!   which they are ended, an output limit, and the environment that the program gives.
//!
//! There are no features. The minimum supported Rust version is 1.88.
#![forbid(unsafe_code)]

pub mod bazel;
mod credential;
pub mod docker;
mod environment;
mod error;
mod host;
mod keychain;
mod memo;
mod program;
mod resolution;
#[cfg(all(test, unix))]
mod scripts;
mod secret;
mod sys;
mod text;
mod time;
mod variables;

pub use credential::{CacheCredential, RegistryCredential};
pub use environment::Environment;
pub use error::{Error, ErrorKind, Result};
pub use keychain::{CacheKeychain, CacheResolution, Keychain, KeychainOptions};
pub use resolution::{Anonymous, Answer, Fixed, Lookup, RegistryKeychain, Resolution};
pub use secret::Secret;

/// The example of the README runs as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn is_shared<T: Send + Sync + 'static>() {}

    #[test]
    fn keychains_and_what_they_say_are_shared_between_threads() {
        is_shared::<Arc<dyn RegistryKeychain>>();
        is_shared::<CacheKeychain>();
        is_shared::<Error>();
        is_shared::<Fixed>();
        is_shared::<Keychain>();
        is_shared::<RegistryCredential>();
        is_shared::<Resolution>();
    }
}
