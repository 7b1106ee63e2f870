//! Attacks that clients of registries fell to, one test each: what counts is what arrives at the other side.

mod content;
mod limits;
mod realms;
mod strangers;

use std::sync::Arc;

use bytes::Bytes;
use imgcore::Digest;
use imgregistry::{Client, ClientBuilder, ErrorKind, Mirror, Remote, Security, TagOrDigest};
use imgserve::http::Handler;
use imgtest::image::Image;
use imgtest::registry::{
    Fault, Faults, Guard, InProcess, Recorder, RequestClass, Rule, TokenOptions, TokenServer,
    answer, handler, respond,
};

use super::world::{
    Ear, Failed, blob, client, image, login, noise, read, registry, repository_of, seed, tag, write,
};

const HOST: &str = "registry.example.com";
const ORIGIN: &str = "https://registry.example.com";
const REALM: &str = "https://auth.example.com/token";
const USER: &str = "robot";
const PASSWORD: &str = "imgkit-canary-security-password";
const EVIL: &str = "https://evil.test";

/// A registry that can be made hostile, a stranger that listens, and a client with credentials for the registry.
struct Scene {
    registry: Arc<Recorder>,
    faults: Arc<Faults>,
    tokens: Arc<Recorder>,
    stranger: Arc<Recorder>,
    network: InProcess,
    ear: Arc<Ear>,
    builder: Option<ClientBuilder>,
    image: Image,
}

impl Scene {
    /// The registry demands tokens from `realm`.
    async fn with_realm(realm: &str) -> Self {
        let inner = registry();
        let image = image();
        seed(&inner, "team/app", &image, "v1").await;
        let mut options = TokenOptions::default();
        options.users.insert(USER.into(), PASSWORD.into());
        let server = TokenServer::new(options);
        let guard: Arc<dyn Handler> = Arc::new(Guard::bearer(inner, &server, realm));
        Self::before(guard, &server, image)
    }

    async fn new() -> Self {
        Self::with_realm(REALM).await
    }

    fn before(guarded: Arc<dyn Handler>, server: &Arc<TokenServer>, image: Image) -> Self {
        let faults = Faults::new(guarded);
        let registry = Recorder::new(Arc::clone(&faults) as _);
        let tokens = Recorder::new(Arc::clone(server) as _);
        // The stranger gives tokens and blobs to whoever comes, to see what they bring along.
        let stranger = Recorder::new(answer(200, r#"{"token":"imgkit-canary-of-the-stranger"}"#));
        let network = InProcess::new()
            .with(ORIGIN, Arc::clone(&registry))
            .with("https://auth.example.com", Arc::clone(&tokens))
            .with(EVIL, Arc::clone(&stranger))
            .with("http://evil.test", Arc::clone(&stranger))
            .with("http://registry.example.com", Arc::clone(&stranger))
            .with("https://registry.example.com:8443", Arc::clone(&stranger));
        let (builder, ear) = client(&network);
        let builder = builder.keychain(Arc::new(login(HOST, USER, PASSWORD)));
        Self {
            registry,
            faults,
            tokens,
            stranger,
            network,
            ear,
            builder: Some(builder),
            image,
        }
    }

    /// Starts again with another network.
    fn rewire(&mut self, network: InProcess, change: impl FnOnce(ClientBuilder) -> ClientBuilder) {
        self.network = network;
        let (builder, ear) = client(&self.network);
        self.ear = ear;
        self.builder = Some(change(
            builder.keychain(Arc::new(login(HOST, USER, PASSWORD))),
        ));
    }

    /// Puts a handler before a part of the network.
    fn wire(&mut self, origin: &str, path: &str, handler: Arc<impl Handler + ?Sized>) {
        let network = std::mem::take(&mut self.network).with_path(origin, path, handler);
        self.rewire(network, |builder| builder);
    }

    fn client(&mut self) -> Client {
        self.builder.take().unwrap().build().unwrap()
    }

    fn remote(&mut self) -> Remote {
        repository_of(&self.client(), HOST, "team/app")
    }

    /// A remote that has a token already, and sends it with the next request.
    async fn logged_in(&mut self) -> Remote {
        let remote = self.remote();
        manifest(&remote).await.unwrap();
        remote
    }

    fn script(&self, class: RequestClass, fault: Fault) {
        self.faults.script(Rule::new(fault).on(class));
    }

    /// Checks that the stranger saw no credential and that nothing was said aloud.
    fn end(&self, context: &str) {
        let shown = self.stranger.with_credentials();
        assert!(
            shown.is_empty(),
            "{context}: the stranger was shown {shown:?}"
        );
        let carried = self.stranger.containing(PASSWORD);
        assert!(
            carried.is_empty(),
            "{context}: the stranger got the password: {carried:?}"
        );
        let tokens = self.stranger.containing("imgkit-canary-opaque");
        assert!(
            tokens.is_empty(),
            "{context}: the stranger got a token: {tokens:?}"
        );
        self.ear.assert_clean();
    }

    fn hear(&self, failed: &Failed) {
        self.ear.error(failed);
    }
}

async fn manifest(remote: &Remote) -> Result<Digest, Failed> {
    Ok(remote.manifest(&tag("v1")).await?.descriptor.digest)
}

/// Sets a header of answers that are no refusals.
fn set_on_success(name: &'static str, value: &str) -> Fault {
    let value: http::HeaderValue = value.parse().unwrap();
    Fault::change(move |response| {
        if response.status().is_success() {
            response.headers_mut().insert(name, value.clone());
        }
    })
}
