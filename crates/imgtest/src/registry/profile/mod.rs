//! Doubles of real registries: facts with their sources, and middleware that behaves so.
//!
//! They are modelled on public reports, and nobody compared them with the services themselves.

mod document;
mod facts;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use imgserve::http::Handler;

use super::customs::{Accustomed, Customs};
use super::{
    Challenge, Faults, Guard, InProcess, Insufficient, Recorder, TokenOptions, TokenServer,
};

pub use document::document;
pub use facts::{Fact, Mark, Modelled};

/// A registry as public reports describe it.
///
/// ```
/// use imgtest::registry::{Profile, answer};
///
/// let profile = Profile::all().into_iter().find(|profile| profile.name == "GitLab").unwrap();
/// let world = profile.start(answer(404, ""));
/// assert!(world.tokens.is_some());
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// The registry's name, as its row in the documentation has it.
    pub name: &'static str,
    /// Which side of a contested fact this is; nothing where there is only one.
    pub variant: Option<&'static str>,
    /// The host as a reference writes it.
    pub host: &'static str,
    /// Where that host is reached.
    pub origin: &'static str,
    /// A repository as people have them there.
    pub repository: &'static str,
    /// Another one that blobs may be mounted from.
    pub sibling: &'static str,
    /// How one logs in.
    pub login: Login,
    /// How it departs from the plain protocol.
    pub customs: Customs,
}

/// How one logs in.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "there are three ways")]
pub enum Login {
    /// Not at all.
    Open,
    /// With a user and a password in every request.
    Basic,
    /// With tokens of a server.
    Tokens {
        /// Where tokens are had.
        realm: &'static str,
        /// The name that the registry gives itself there.
        service: &'static str,
        /// How the token server behaves.
        options: Box<TokenOptions>,
        /// What the challenge looks like.
        challenge: Challenge,
        /// What a token that allows too little is answered with.
        insufficient: Insufficient,
    },
}

/// A user of every profile.
pub const USER: &str = "robot";

/// The user's password.
pub const PASSWORD: &str = "imgkit-canary-profile-password";

/// A profile at work, with everything that a test may look at.
#[derive(Debug)]
#[non_exhaustive]
pub struct World {
    /// The hosts.
    pub network: InProcess,
    /// What the registry was asked.
    pub registry: Arc<Recorder>,
    /// Where faults are scripted for the registry.
    pub faults: Arc<Faults>,
    /// The token server, where there is one.
    pub tokens: Option<Arc<TokenServer>>,
    /// What the token server was asked.
    pub token_requests: Option<Arc<Recorder>>,
    /// Where faults are scripted for the token server.
    pub token_faults: Option<Arc<Faults>>,
    /// What the storage behind was asked, where blobs are redirected.
    pub storage: Option<Arc<Recorder>>,
}

impl Profile {
    /// Returns every profile, and both sides of what is contested.
    pub fn all() -> Vec<Self> {
        table::profiles()
    }

    /// Returns the name with the variant.
    pub fn label(&self) -> String {
        match self.variant {
            Some(variant) => format!("{} ({variant})", self.name),
            None => self.name.to_owned(),
        }
    }

    /// Puts the profile before a registry.
    pub fn start(&self, registry: Arc<dyn Handler>) -> World {
        let accustomed = Accustomed::new(registry, self.origin, self.customs.clone());
        let storage_origin = self.customs.blobs.storage.clone();
        let storage = storage_origin
            .as_ref()
            .map(|_| Recorder::new(accustomed.storage()));
        let mut network = InProcess::new();
        if let (Some(origin), Some(storage)) = (&storage_origin, &storage) {
            network = network.with(origin, Arc::clone(storage));
        }
        let (guarded, tokens): (Arc<dyn Handler>, _) = match &self.login {
            Login::Open => (accustomed, None),
            Login::Basic => (
                Arc::new(Guard::basic(accustomed, &[(USER, PASSWORD)])),
                None,
            ),
            Login::Tokens {
                realm,
                service,
                options,
                challenge,
                insufficient,
            } => {
                let server = TokenServer::new(TokenOptions::clone(options));
                let guard = Guard::bearer(accustomed, &server, realm)
                    .with_service(service)
                    .with_challenge(*challenge)
                    .with_insufficient(*insufficient);
                (Arc::new(guard), Some((server, *realm)))
            }
        };
        let faults = Faults::new(guarded);
        let registry = Recorder::new(Arc::clone(&faults) as _);
        network = network.with(self.origin, Arc::clone(&registry));
        let mut world = World {
            network,
            registry,
            faults,
            tokens: None,
            token_requests: None,
            token_faults: None,
            storage,
        };
        if let Some((server, realm)) = tokens {
            let token_faults = Faults::new(Arc::clone(&server) as _);
            let requests = Recorder::new(Arc::clone(&token_faults) as _);
            let (origin, path) = split_realm(realm);
            world.network = world.network.with_path(origin, path, Arc::clone(&requests));
            world.tokens = Some(server);
            world.token_requests = Some(requests);
            world.token_faults = Some(token_faults);
        }
        world
    }
}

fn split_realm(realm: &str) -> (&str, &str) {
    let start = realm.find("://").map_or(0, |at| at + 3);
    let end = realm[start..]
        .find('/')
        .map_or(realm.len(), |at| start + at);
    realm.split_at(end)
}
