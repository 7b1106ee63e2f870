//! Every way to log in, against every place that credentials are kept in.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgauth::{Environment, Keychain, KeychainOptions};
use imgregistry::ErrorKind;
use imgserve::http::Handler;
use imgtest::registry::{
    Challenge, ExpiresIn, Guard, InProcess, Post, Recorder, RequestClass, Scopes, TokenField,
    TokenOptions, TokenServer, slow,
};

use super::world::{
    Failed, blob, client, image, login, noise, pull, push, read, registry, remote, repository_of,
    seed, seed_blob, write,
};

const HOST: &str = "registry.example.com";
const ORIGIN: &str = "https://registry.example.com";
const REALM: &str = "https://auth.example.com/token";
const USER: &str = "robot";
const PASSWORD: &str = "imgkit-canary-password";
const IDENTITY: &str = "imgkit-canary-identity-token";
const VERBATIM: &str = "imgkit-canary-verbatim-token";

/// What the registry asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wants {
    Basic,
    Bearer,
    AnonymousBearer,
    Nothing,
}

/// Where the credentials are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum From {
    Auths,
    CredsStore,
    CredHelpers,
    IdentityToken,
    BazelHelperBasic,
    BazelHelperBearer,
    Environment,
    Nowhere,
}

/// How the pull of an image must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ends {
    Pulled,
    Denied,
}

struct Doubles {
    network: InProcess,
    requests: Arc<Recorder>,
    tokens: Arc<Recorder>,
    server: Arc<TokenServer>,
}

async fn doubles(wants: Wants) -> Doubles {
    let registry = registry();
    seed(&registry, "team/app", &image(), "v1").await;
    let mut options = token_options();
    options.anonymous = wants == Wants::AnonymousBearer;
    let server = TokenServer::new(options);
    let guarded: Arc<dyn Handler> = match wants {
        Wants::Nothing => registry,
        // An embedder's token is good for registries of every kind that takes tokens.
        Wants::Basic => Arc::new(Guard::basic(registry, &[(USER, PASSWORD)])),
        Wants::Bearer | Wants::AnonymousBearer => {
            Arc::new(Guard::bearer(registry, &server, REALM).with_verbatim_token(VERBATIM))
        }
    };
    let requests = Recorder::new(guarded);
    let tokens = Recorder::new(Arc::clone(&server) as _);
    let network = InProcess::new()
        .with(ORIGIN, Arc::clone(&requests))
        .with("https://auth.example.com", Arc::clone(&tokens));
    Doubles {
        network,
        requests,
        tokens,
        server,
    }
}

fn token_options() -> TokenOptions {
    let mut options = TokenOptions::default();
    options.service = Some("registry.test".into());
    options.users.insert(USER.into(), PASSWORD.into());
    options.identity_tokens.push(IDENTITY.into());
    options
}

/// Writes what a person or a build has on disk, and returns the variables that lead there.
#[cfg(unix)]
fn credentials(from: From, directory: &Path) -> Environment {
    let auth = STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let helper = format!(r#"{{"ServerURL":"{HOST}","Username":"{USER}","Secret":"{PASSWORD}"}}"#);
    let config = match from {
        From::Auths => format!(r#"{{"auths":{{"{HOST}":{{"auth":"{auth}"}}}}}}"#),
        From::CredsStore => r#"{"credsStore":"store"}"#.to_owned(),
        From::CredHelpers => format!(r#"{{"credHelpers":{{"{HOST}":"store"}}}}"#),
        From::IdentityToken => {
            let auth = STANDARD.encode("00000000-0000-0000-0000-000000000000:");
            let entry = format!(r#"{{"auth":"{auth}","identitytoken":"{IDENTITY}"}}"#);
            format!(r#"{{"auths":{{"{HOST}":{entry}}}}}"#)
        }
        _ => "{}".to_owned(),
    };
    fs_err::write(directory.join("config.json"), config).unwrap();
    let program = format!(
        "#!/bin/sh\n[ \"$1\" = get ] || exit 1\nread -r host\n[ \"$host\" = {HOST} ] || {{ echo credentials not found in native keychain; exit 1; }}\necho '{helper}'\n"
    );
    script(&directory.join("docker-credential-store"), &program);
    let header = match from {
        From::BazelHelperBearer => format!("Bearer {VERBATIM}"),
        _ => format!("Basic {auth}"),
    };
    let bazel = format!(
        "#!/bin/sh\n[ \"$1\" = get ] || exit 1\ncat >/dev/null\necho '{{\"headers\":{{\"Authorization\":[\"{header}\"]}}}}'\n"
    );
    script(&directory.join("bazel-helper"), &bazel);
    let path = format!("{}:/usr/bin:/bin", directory.display());
    let mut variables = vec![
        ("PATH".to_owned(), path),
        (
            "HOME".to_owned(),
            directory.join("home").display().to_string(),
        ),
        ("DOCKER_CONFIG".to_owned(), directory.display().to_string()),
    ];
    let mut set = |name: &str, value: &str| variables.push((name.to_owned(), value.to_owned()));
    match from {
        From::Environment => {
            set("IMG_REGISTRY_AUTH_HOST", HOST);
            set("IMG_REGISTRY_AUTH_USERNAME", USER);
            set("IMG_REGISTRY_AUTH_PASSWORD", PASSWORD);
        }
        From::BazelHelperBasic | From::BazelHelperBearer => {
            let helper = directory.join("bazel-helper").display().to_string();
            set("IMG_CREDENTIAL_HELPER_OCI_REGISTRY", &helper);
        }
        _ => {}
    }
    Environment::from_iter(variables)
}

#[cfg(unix)]
fn script(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    fs_err::write(path, text).unwrap();
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[cfg(unix)]
fn expected(wants: Wants, from: From) -> Ends {
    match (wants, from) {
        (Wants::Nothing | Wants::AnonymousBearer, _) => Ends::Pulled,
        // A password that is none: identity tokens are for token servers, bearer tokens for those who take them.
        (Wants::Basic, From::IdentityToken | From::BazelHelperBearer) | (_, From::Nowhere) => {
            Ends::Denied
        }
        _ => Ends::Pulled,
    }
}

#[cfg(unix)]
#[tokio::test]
async fn what_is_asked_for_is_found_wherever_it_is_kept() {
    let wants = [
        Wants::Basic,
        Wants::Bearer,
        Wants::AnonymousBearer,
        Wants::Nothing,
    ];
    let from = [
        From::Auths,
        From::CredsStore,
        From::CredHelpers,
        From::IdentityToken,
        From::BazelHelperBasic,
        From::BazelHelperBearer,
        From::Environment,
        From::Nowhere,
    ];
    for wants in wants {
        for from in from {
            let directory = tempfile::tempdir().unwrap();
            let environment = credentials(from, directory.path());
            let keychain = Keychain::new(KeychainOptions::new(environment));
            let doubles = doubles(wants).await;
            let (remote, ear) = remote(&doubles.network, keychain, HOST, "team/app");
            let ends = match pull(&remote, "v1", &image()).await {
                Ok(()) => Ends::Pulled,
                Err(failed) => {
                    ear.error(&failed);
                    assert_eq!(
                        failed.error().kind(),
                        ErrorKind::Denied,
                        "{wants:?} {from:?}"
                    );
                    Ends::Denied
                }
            };
            assert_eq!(ends, expected(wants, from), "{wants:?} {from:?}");
            check_travels(&doubles, wants, from);
            ear.debug(&remote);
            ear.assert_clean();
        }
    }
}

/// Long-lived credentials reach the one server that they are for, and no other.
#[cfg(unix)]
fn check_travels(doubles: &Doubles, wants: Wants, from: From) {
    let at_registry = |text: &str| doubles.requests.containing(text).len();
    let at_tokens = |text: &str| doubles.tokens.containing(text).len();
    let context = format!("{wants:?} {from:?}");
    assert_eq!(
        at_registry(IDENTITY),
        0,
        "{context}: an identity token is for the token server"
    );
    assert_eq!(
        at_tokens(VERBATIM),
        0,
        "{context}: a bearer token is no refresh token"
    );
    if wants != Wants::Basic {
        assert_eq!(
            at_registry(PASSWORD),
            0,
            "{context}: a password is for the token server"
        );
    }
    if matches!(wants, Wants::Basic | Wants::Nothing) {
        assert!(
            doubles.tokens.is_empty(),
            "{context}: nobody named the token server"
        );
    }
    if wants == Wants::Nothing {
        let all = doubles.requests.with_credentials();
        assert!(all.is_empty(), "{context}: nobody asked for credentials");
    }
}

#[tokio::test(start_paused = true)]
async fn every_shape_of_challenge_is_understood() {
    for challenge in Challenge::ALL {
        let registry = registry();
        seed(&registry, "team/app", &image(), "v1").await;
        let mut options = token_options();
        options.service = challenge.service("registry.test");
        let server = TokenServer::new(options);
        let guard = Guard::bearer(registry, &server, REALM)
            .with_challenge(challenge)
            .with_service("registry.test");
        // A relative realm is on the registry itself.
        let network = InProcess::new()
            .with(ORIGIN, Arc::new(guard))
            .with_path(ORIGIN, "/token", Arc::clone(&server))
            .with("https://auth.example.com", Arc::clone(&server));
        let keychain = login(HOST, USER, PASSWORD);
        let (remote, ear) = remote(&network, keychain, HOST, "team/app");
        pull(&remote, "v1", &image())
            .await
            .unwrap_or_else(|failed| {
                panic!("{challenge:?}: {}", failed.as_dyn());
            });
        let content = noise(7, 5000);
        write(&remote, &blob(&content), &content)
            .await
            .unwrap_or_else(|failed| {
                panic!("{challenge:?}: {}", failed.as_dyn());
            });
        assert!(
            server.issued().iter().all(|issued| issued.to.is_some()),
            "{challenge:?}"
        );
        ear.assert_clean();
    }
}

#[tokio::test(start_paused = true)]
async fn every_kind_of_token_server_is_understood() {
    type Change = fn(&mut TokenOptions);
    let changes: [(&str, Change); 12] = [
        ("access_token", |options| {
            options.field = TokenField::AccessToken;
        }),
        ("both names", |options| options.field = TokenField::Both),
        ("no expires_in", |options| {
            options.expires_in = ExpiresIn::Absent;
        }),
        ("expires_in 0", |options| {
            options.expires_in = ExpiresIn::Seconds(0);
        }),
        ("negative expires_in", |options| {
            options.expires_in = ExpiresIn::Seconds(-30);
        }),
        ("huge expires_in", |options| {
            options.expires_in = ExpiresIn::Seconds(i64::MAX);
        }),
        ("quoted expires_in", |options| {
            options.expires_in = ExpiresIn::Quoted("300");
        }),
        ("POST is 405", |options| {
            options.post = Post::MethodNotAllowed;
        }),
        ("POST is 404", |options| options.post = Post::NotFound),
        ("first scope only", |options| {
            options.scopes = Scopes::OnlyFirst;
        }),
        ("breaks on offline_token", |options| {
            options.breaks_on_offline_token = true;
        }),
        ("always a refresh token", |options| {
            options.always_refresh_token = true;
        }),
    ];
    for (name, change) in changes {
        let registry = registry();
        seed(&registry, "team/app", &image(), "v1").await;
        let mut options = token_options();
        change(&mut options);
        let server = TokenServer::new(options);
        let network = InProcess::new()
            .with(ORIGIN, Arc::new(Guard::bearer(registry, &server, REALM)))
            .with("https://auth.example.com", Arc::clone(&server));
        let keychain = login(HOST, USER, PASSWORD);
        let (remote, ear) = remote(&network, keychain, HOST, "team/app");
        let outcome = pull(&remote, "v1", &image()).await;
        outcome.unwrap_or_else(|failed| panic!("{name}: {}", failed.as_dyn()));
        ear.assert_clean();
    }
}

#[tokio::test(start_paused = true)]
async fn a_push_asks_for_what_it_needs_and_once() {
    let doubles = doubles(Wants::Bearer).await;
    let keychain = login(HOST, USER, PASSWORD);
    let (remote, ear) = remote(&doubles.network, keychain, HOST, "team/new");
    push(&remote, "v1", &image()).await.unwrap();
    let issued = doubles.server.issued();
    let asked: Vec<_> = issued
        .iter()
        .flat_map(|issued| issued.asked.clone())
        .collect();
    assert!(
        asked
            .iter()
            .any(|scope| scope == "repository:team/new:pull,push"),
        "{asked:?}"
    );
    assert!(
        issued.len() <= 2,
        "one token to look, one to write: {asked:?}"
    );
    for issued in &issued {
        let mut scopes = issued.asked.clone();
        scopes.sort();
        scopes.dedup();
        assert_eq!(
            scopes.len(),
            issued.asked.len(),
            "no scope is asked for twice"
        );
    }
    ear.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn many_requests_at_once_ask_for_one_token() {
    let registry = registry();
    let contents: Vec<Vec<u8>> = (0..40).map(|seed| noise(seed + 1, 500)).collect();
    for content in &contents {
        seed_blob(&registry, "team/app", &blob(content).digest, content).await;
    }
    let server = TokenServer::new(token_options());
    let tokens = Recorder::new(Arc::clone(&server) as _);
    let guard = Arc::new(Guard::bearer(registry, &server, REALM));
    let requests = Recorder::new(slow(guard, Duration::from_secs(1)));
    let network = InProcess::new()
        .with(ORIGIN, Arc::clone(&requests))
        .with("https://auth.example.com", Arc::clone(&tokens));
    let (builder, ear) = client(&network);
    let keychain = Arc::new(login(HOST, USER, PASSWORD));
    let client = builder
        .keychain(keychain)
        .max_requests_in_flight(8)
        .build()
        .unwrap();
    let remote = repository_of(&client, HOST, "team/app");
    let reads = contents.iter().map(|content| {
        let remote = remote.clone();
        let descriptor = blob(content);
        async move { read(&remote, &descriptor).await.map(|bytes| bytes.len()) }
    });
    let sizes: Result<Vec<usize>, Failed> = futures_util::future::join_all(reads)
        .await
        .into_iter()
        .collect();
    assert_eq!(sizes.unwrap(), vec![500; 40]);
    assert_eq!(tokens.len(), 1, "one token for all");
    assert_eq!(requests.most_in_flight(), 8);
    ear.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn a_token_is_renewed_before_it_ends() {
    let doubles = doubles(Wants::Bearer).await;
    let (remote, ear) = remote(
        &doubles.network,
        login(HOST, USER, PASSWORD),
        HOST,
        "team/app",
    );
    for _ in 0..10 {
        pull(&remote, "v1", &image()).await.unwrap();
        tokio::time::advance(Duration::from_secs(100)).await;
    }
    let refused = doubles.requests.exchanges();
    let refused = refused
        .iter()
        .filter(|exchange| exchange.status.is_some_and(|it| it == 401));
    // The first request shows that a token is needed; no later one is sent with a token that has ended.
    assert_eq!(refused.count(), 1);
    assert!(
        doubles.server.issued().len() >= 4,
        "tokens live 300 s, this took 1000 s"
    );
    ear.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_taken_back_is_replaced() {
    let doubles = doubles(Wants::Bearer).await;
    let (remote, ear) = remote(
        &doubles.network,
        login(HOST, USER, PASSWORD),
        HOST,
        "team/app",
    );
    pull(&remote, "v1", &image()).await.unwrap();
    doubles.server.expire_all();
    pull(&remote, "v1", &image()).await.unwrap();
    assert_eq!(doubles.server.issued().len(), 2);
    assert!(doubles.requests.count(RequestClass::GetManifest) >= 2);
    ear.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn a_wrong_password_is_said_once_and_not_repeated() {
    let doubles = doubles(Wants::Bearer).await;
    let keychain = login(HOST, USER, "imgkit-canary-wrong");
    let (remote, ear) = remote(&doubles.network, keychain, HOST, "team/app");
    let failed = pull(&remote, "v1", &image()).await.unwrap_err();
    assert_eq!(failed.error().kind(), ErrorKind::Denied);
    ear.error(&failed);
    // Accounts are locked by clients that try again and again.
    assert!(doubles.tokens.containing("imgkit-canary-wrong").len() <= 2);
    ear.assert_clean();
}
