//! What people read when something is wrong: each message names the operation, the host and its role, the digest, the
//! status, the registry's own words, and what to do next.

use std::fmt::Write as _;
use std::sync::Arc;

use imgauth::{Answer, Lookup, RegistryKeychain, Resolution};
use imgcore::{RegistryHost, Repository};
use imgregistry::Remote;
use imgserve::http::Handler;
use imgtest::registry::{
    Fault, Faults, Guard, InProcess, RequestClass, Rule, TokenOptions, TokenServer, refusal,
};

use super::world::{
    Failed, blob, client, image, login, noise, push, read, registry, repository_of, seed, tag,
    write,
};

const HOST: &str = "registry.example.com";
const ORIGIN: &str = "https://registry.example.com";
const USER: &str = "robot";
const PASSWORD: &str = "imgkit-canary-message-password";

/// A keychain that found nothing, and says where it looked.
struct LookedInVain;

impl RegistryKeychain for LookedInVain {
    fn resolve(&self, _: &RegistryHost, _: Option<&Repository>) -> Resolution {
        let nothing = Answer::Nothing("no entry for registry.example.com".into());
        let failed = Answer::Failed("not found in PATH".into());
        let trail = vec![
            Lookup::new("docker-credential-pass", failed),
            Lookup::new("~/.docker/config.json", nothing),
        ];
        Resolution::new(None, trail)
    }
}

struct Stand {
    faults: Arc<Faults>,
    token_faults: Arc<Faults>,
    network: InProcess,
}

impl Stand {
    async fn new() -> Self {
        let inner = registry();
        seed(&inner, "team/app", &image(), "v1").await;
        let mut options = TokenOptions::default();
        options.users.insert(USER.into(), PASSWORD.into());
        options.anonymous = false;
        let server = TokenServer::new(options);
        let realm = "https://auth.example.com/token";
        let guard: Arc<dyn Handler> = Arc::new(Guard::bearer(inner, &server, realm));
        let faults = Faults::new(guard);
        let token_faults = Faults::new(server);
        let network = InProcess::new()
            .with(ORIGIN, Arc::clone(&faults))
            .with("https://auth.example.com", Arc::clone(&token_faults));
        Self {
            faults,
            token_faults,
            network,
        }
    }

    fn remote(&self, keychain: impl RegistryKeychain + 'static) -> Remote {
        let (builder, _) = client(&self.network);
        let client = builder.keychain(Arc::new(keychain)).build().unwrap();
        repository_of(&client, HOST, "team/app")
    }

    fn logged_in(&self) -> Remote {
        self.remote(login(HOST, USER, PASSWORD))
    }

    fn script(&self, class: RequestClass, fault: Fault) {
        self.faults.script(Rule::new(fault).on(class));
    }

    /// Refuses what got past the login.
    fn refuse(&self, class: RequestClass, status: u16, code: &'static str, message: &'static str) {
        let answered = Fault::change(move |response| {
            if response.status() != 401 {
                *response = refusal(status, code, message);
            }
        });
        self.script(class, answered);
    }
}

/// The messages of one test, case by case.
#[derive(Default)]
struct Page(String);

impl Page {
    fn say<T>(&mut self, case: &str, outcome: Result<T, impl Into<Failed>>) {
        let Err(failed) = outcome else {
            panic!("{case}: nothing went wrong");
        };
        let _ = writeln!(self.0, "{case}:\n  {}", failed.into().error());
    }

    fn end(self) -> String {
        assert!(!self.0.contains("imgkit-canary-"), "{}", self.0);
        self.0
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_or_not_allowed() {
    let mut page = Page::default();
    let stand = Stand::new().await;
    let outcome = stand.remote(LookedInVain).manifest(&tag("v1")).await;
    page.say("nobody is logged in", outcome);
    let wrong = login(HOST, USER, "imgkit-canary-wrong");
    let outcome = stand.remote(wrong).manifest(&tag("v1")).await;
    page.say("a wrong password", outcome);
    let remote = stand.logged_in();
    page.say("no such tag", remote.manifest(&tag("v9")).await);
    let missing = blob(b"nobody has this");
    page.say("no such blob", read(&remote, &missing).await);
    insta::assert_snapshot!(page.end(), @"
    nobody is logged in:
      getting a token for team/app at token server auth.example.com: answered 401 Unauthorized (UNAUTHORIZED: incorrect username or password); log in to registry.example.com: no credentials were found (looked in: docker-credential-pass: failed: not found in PATH; ~/.docker/config.json: nothing: no entry for registry.example.com)
    a wrong password:
      getting a token for team/app at token server auth.example.com: answered 401 Unauthorized (UNAUTHORIZED: incorrect username or password); check that these credentials are right (looked in: program: found: user name and password)
    no such tag:
      reading manifest v9 of team/app at registry registry.example.com: answered 404 Not Found (MANIFEST_UNKNOWN: the repository does not have the tag v9); check the repository and the tag
    no such blob:
      reading blob sha256:8c83da3c92d7e050e52f25a9e6821a456e3a5bd05b6a92ad55827a6e8031929a of team/app at registry registry.example.com: answered 404 Not Found (BLOB_UNKNOWN: the repository does not have the blob sha256:8c83da3c92d7e050e52f25a9e6821a456e3a5bd05b6a92ad55827a6e8031929a); check the repository and the digest; what is there may have been removed since
    ");
}

#[tokio::test(start_paused = true)]
async fn what_a_registry_does_not_take() {
    let mut page = Page::default();
    let content = noise(31, 100);
    let stand = Stand::new().await;
    let text = "requested access to the resource is denied";
    stand.refuse(RequestClass::StartUpload, 403, "DENIED", text);
    let outcome = write(&stand.logged_in(), &blob(&content), &content).await;
    page.say("no right to write", outcome);

    let stand = Stand::new().await;
    stand.refuse(
        RequestClass::PutManifest,
        412,
        "PRECONDITION",
        "tag is immutable",
    );
    let outcome = push(&stand.logged_in(), "v1", &image()).await;
    page.say("a tag that must not move", outcome);

    let stand = Stand::new().await;
    stand.refuse(RequestClass::PutManifest, 413, "SIZE_INVALID", "too large");
    let outcome = push(&stand.logged_in(), "v1", &image()).await;
    page.say("a manifest that is too large", outcome);
    insta::assert_snapshot!(page.end(), @"
    no right to write:
      writing blob sha256:12af29b893ee087ebade0c805f90bc26b62a1f71eddce3d1fc308fd22e1431fb of team/app at registry registry.example.com: answered 403 Forbidden (DENIED: requested access to the resource is denied); check that these credentials may do this (looked in: program: found: user name and password)
    a tag that must not move:
      writing manifest v1 of team/app at registry registry.example.com: answered 412 Precondition Failed (PRECONDITION: tag is immutable); the registry does not let this tag move: write another tag
    a manifest that is too large:
      writing manifest v1 of team/app at registry registry.example.com: answered 413 Payload Too Large (SIZE_INVALID: too large); ask whoever runs the registry, or a proxy before it, to allow more
    ");
}

#[tokio::test(start_paused = true)]
async fn servers_that_are_in_trouble() {
    let mut page = Page::default();
    let layer = image().layers[1].clone();
    let stand = Stand::new().await;
    let html = "<html><head><title>Bad Gateway</title></head><body>nginx</body></html>";
    let fault = Fault::status(502).with_body("text/html", html);
    stand.script(RequestClass::GetBlob, fault);
    page.say("a broken gateway", read(&stand.logged_in(), &layer).await);

    let stand = Stand::new().await;
    let text = "You have reached your pull rate limit";
    stand.refuse(RequestClass::GetManifest, 429, "TOOMANYREQUESTS", text);
    let outcome = stand.logged_in().manifest(&tag("v1")).await;
    page.say("too many requests", outcome);

    let stand = Stand::new().await;
    stand.script(RequestClass::GetBlob, Fault::Reset);
    let outcome = read(&stand.logged_in(), &layer).await;
    page.say("a connection that breaks", outcome);

    let stand = Stand::new().await;
    stand.token_faults.script(Rule::new(Fault::status(500)));
    let outcome = stand.logged_in().manifest(&tag("v1")).await;
    page.say("a broken token server", outcome);

    let stand = Stand::new().await;
    let signed = "https://storage.test/blob?X-Amz-Signature=imgkit-canary-signature";
    stand.script(RequestClass::GetBlob, Fault::redirect(307, signed));
    let outcome = read(&stand.logged_in(), &layer).await;
    page.say("storage that is away", outcome);

    let stand = Stand::new().await;
    let inside = Fault::redirect(307, "http://169.254.169.254/latest");
    stand.script(RequestClass::GetBlob, inside);
    let outcome = read(&stand.logged_in(), &layer).await;
    page.say("a redirect inside", outcome);
    insta::assert_snapshot!(page.end(), @"
    a broken gateway:
      reading blob sha256:2d469134913ceedbe102b708b13c7b532aa7c362e790b829c39980bba1e1e643 of team/app at registry registry.example.com: answered 502 Bad Gateway (Bad Gateway) after 6 attempts; try again later; if it stays so, tell whoever runs the host
    too many requests:
      reading manifest v1 of team/app at registry registry.example.com: answered 429 Too Many Requests (TOOMANYREQUESTS: You have reached your pull rate limit) after 6 attempts; wait, ask for less at once, or log in where that raises the limit
    a connection that breaks:
      reading blob sha256:2d469134913ceedbe102b708b13c7b532aa7c362e790b829c39980bba1e1e643 of team/app at registry registry.example.com: the test's server resets the connection after 6 attempts; try again; if it stays so, check the network and the proxies on the way
    a broken token server:
      getting a token for team/app at token server auth.example.com: answered 500 Internal Server Error (500 from the fault injector) after 6 attempts; try again later; if it stays so, tell whoever runs the host
    storage that is away:
      reading blob sha256:2d469134913ceedbe102b708b13c7b532aa7c362e790b829c39980bba1e1e643 of team/app at storage storage.test: no host https://storage.test:443 in this test after 6 attempts; check the host's name, port and proxy
    a redirect inside:
      reading blob sha256:2d469134913ceedbe102b708b13c7b532aa7c362e790b829c39980bba1e1e643 of team/app at registry registry.example.com: the answer redirects where the client does not go: `http://169.254.169.254/latest` is not followed: it would leave encryption behind, answered 307 Temporary Redirect; the client does not go there: ask whoever runs the registry to lead to a public address, by https
    ");
}
