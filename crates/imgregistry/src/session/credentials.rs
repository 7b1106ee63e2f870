//! The credentials for a host, asked for once and off the runtime's threads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::HeaderValue;
use imgauth::{RegistryCredential, Resolution, Secret};
use imgcore::Repository;

use crate::Event;
use crate::exchange::Exchange;
use crate::protocol::token;

/// What the keychain said, by repository: keys of a docker config may be paths.
#[derive(Debug, Default)]
pub(super) struct Credentials(Mutex<HashMap<Repository, Arc<Resolution>>>);

impl Credentials {
    /// Returns what the keychain says, or said.
    pub(super) async fn resolve(
        &self,
        exchange: Exchange<'_>,
        repository: &Repository,
    ) -> Arc<Resolution> {
        if let Some(known) = self.known(repository) {
            return known;
        }
        let keychain = Arc::clone(&exchange.client.keychain);
        let (host, name) = (exchange.session.host().clone(), repository.clone());
        let ask = move || keychain.resolve(&host, Some(&name));
        // A helper is a program that may take its time.
        let resolution = match &exchange.client.runtime {
            // Nothing is known where the runtime is going down, or where the keychain of an embedder panicked.
            Some(runtime) => runtime.spawn_blocking(ask).await.unwrap_or_default(),
            None => ask(),
        };
        for warning in resolution.warnings() {
            exchange.client.observe(&Event::CredentialWarning {
                host: exchange.session.host().to_string(),
                text: warning.to_string(),
            });
        }
        let resolution = Arc::new(resolution);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(repository.clone(), Arc::clone(&resolution));
        resolution
    }

    /// Returns what the keychain said before.
    pub(super) fn known(&self, repository: &Repository) -> Option<Arc<Resolution>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(repository).cloned()
    }

    /// Forgets what was refused, so that a helper may give something newer.
    pub(super) fn forget(&self, repository: &Repository) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(repository);
    }
}

/// Returns the header for a registry that takes credentials themselves.
pub(super) fn direct_header(credential: &RegistryCredential) -> Option<HeaderValue> {
    match credential {
        RegistryCredential::Basic { username, password } => {
            header(&token::basic(username, password))
        }
        RegistryCredential::Bearer(token) => {
            header(&Secret::new(format!("Bearer {}", token.expose())))
        }
        _ => None,
    }
}

/// Makes a header of a secret. One with control characters in it is none, and is not sent.
pub(super) fn header(secret: &Secret) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(secret.expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}
