//! The credentials for a host, asked for once while they hold, and off the runtime's threads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::HeaderValue;
use imgauth::{RegistryCredential, Resolution, Secret};
use imgcore::Repository;
use tokio::sync::Mutex as AsyncMutex;

use crate::Event;
use crate::exchange::Exchange;
use crate::protocol::token;

/// What the keychain said, by repository: keys of a docker config may be paths.
#[derive(Debug, Default)]
pub(super) struct Credentials(Mutex<HashMap<Repository, Arc<Slot>>>);

/// What the keychain said of one repository.
#[derive(Debug, Default)]
struct Slot {
    known: Mutex<Option<Arc<Resolution>>>,
    /// Whoever holds this asks; the others wait for it and take what it got.
    asking: AsyncMutex<()>,
}

impl Credentials {
    /// Returns what the keychain says, or said.
    pub(super) async fn resolve(
        &self,
        exchange: Exchange<'_>,
        repository: &Repository,
    ) -> Arc<Resolution> {
        let slot = self.slot(repository);
        let known = || {
            let now = exchange.client.clock.wall();
            slot.known().filter(|known| known.holds_at(now))
        };
        if let Some(known) = known() {
            return known;
        }
        let _asking = slot.asking.lock().await;
        if let Some(known) = known() {
            return known;
        }
        let resolution = Arc::new(ask(exchange, repository).await);
        slot.set(Some(Arc::clone(&resolution)));
        resolution
    }

    /// Returns what the keychain said before.
    pub(super) fn known(&self, repository: &Repository) -> Option<Arc<Resolution>> {
        self.slot(repository).known()
    }

    /// Returns what the keychain says now that `refused` was refused: helpers may have something newer.
    pub(super) async fn renew(
        &self,
        exchange: Exchange<'_>,
        repository: &Repository,
        refused: &Resolution,
    ) -> Arc<Resolution> {
        // Of many whose requests were refused together, one forgets and says so.
        if self.slot(repository).forget(refused) {
            let host = exchange.session.host();
            exchange.client.keychain.refused(host, Some(repository));
        }
        self.resolve(exchange, repository).await
    }

    fn slot(&self, repository: &Repository) -> Arc<Slot> {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(repository) {
            return Arc::clone(slot);
        }
        Arc::clone(slots.entry(repository.clone()).or_default())
    }
}

impl Slot {
    fn known(&self) -> Option<Arc<Resolution>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    fn set(&self, resolution: Option<Arc<Resolution>>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = resolution;
    }

    /// Forgets what was refused, if that is what is known.
    fn forget(&self, refused: &Resolution) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = known
            .as_ref()
            .is_some_and(|known| known.credential == refused.credential);
        if is_known {
            *known = None;
        }
        is_known
    }
}

async fn ask(exchange: Exchange<'_>, repository: &Repository) -> Resolution {
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
    resolution
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
