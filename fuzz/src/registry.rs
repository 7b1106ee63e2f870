//! What imgregistry reads of the answers of servers.

use std::collections::BTreeSet;

use imgregistry::protocol::address::Rules;
use imgregistry::protocol::challenge;
use imgregistry::protocol::error_body as body;
use imgregistry::protocol::link as pages;
use imgregistry::protocol::location as places;
use imgregistry::protocol::realm as realms;
use imgregistry::protocol::scope::{Actions, Scope, ScopeSet};
use imgregistry::protocol::token::{Grant, TokenRequest, TokenResponse};
use imgregistry::protocol::upload::{Action, Answer, Form, Head, Machine, Settings};
use imgregistry::protocol::url::{Endpoint, Origin, Scheme, redacted};
use url::Url;

const REGISTRY: &str = "registry.example.com";

/// Challenges: what was read is read again, and the scopes in it stay within their bounds.
pub fn www_authenticate(bytes: &[u8]) {
    for challenge in challenge::parse(bytes.split(|byte| *byte == b'\n')) {
        let again = challenge::parse([challenge.to_string().as_bytes()]);
        assert_eq!(again, [challenge.clone()]);
        let challenge::Challenge::Bearer(bearer) = challenge else {
            continue;
        };
        let mut scopes = scopes();
        scopes.add_challenge(bearer.scope.as_deref().unwrap_or_default());
        let repositories: Vec<_> = scopes.iter().map(|it| it.repository().clone()).collect();
        assert_eq!(repositories[0].as_str(), "team/app");
        let distinct: BTreeSet<_> = repositories.iter().collect();
        assert_eq!(distinct.len(), repositories.len());
    }
}

/// Token servers: only the registry's owner gets credentials, and every request keeps to the server.
pub fn realm(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let registry = REGISTRY.parse().expect("the host is one");
    let endpoint = Endpoint::new(&registry, Scheme::Https).expect("the host has a URL");
    let context = realms::Context {
        registry: &registry,
        endpoint: &endpoint,
        allowed: &[],
    };
    let Ok(found) = realms::check(Some(text), &endpoint.ping(), context) else {
        return;
    };
    assert_eq!(found.url().scheme(), "https");
    assert_no_user(found.url());
    let host = found.url().host_str().expect("there is a host");
    let bare = host.trim_end_matches('.');
    let is_owner = bare == "example.com" || bare.ends_with(".example.com");
    assert_eq!(found.trust().is_some(), is_owner, "{host}");
    let request = TokenRequest::new(found.url(), Some(text), &scopes(), Grant::Anonymous);
    assert_eq!(request.url.origin(), found.url().origin());
    let asked = request.url.query_pairs().find(|(key, _)| key == "scope");
    assert_eq!(asked.expect("a scope is asked for").1, "repository:team/app:pull");
}

/// Pages of lists: on the same origin.
pub fn link(bytes: &[u8]) {
    let request = base("/v2/team/app/tags/list?n=2");
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Ok(Some(url)) = pages::next(&request, text.split('\n')) {
        assert_eq!(url.origin(), request.origin());
        assert_no_user(&url);
    }
}

/// Places of uploads: credentials go to the registry only, and the digest goes behind what is there.
pub fn location(bytes: &[u8]) {
    let request = base("/v2/team/app/blobs/uploads/");
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let rules = places::LocationRules::new(Origin::of(&request), Rules::strict());
    let Ok(found) = places::resolve(&request, text, &rules) else {
        return;
    };
    let is_registry = found.url().origin() == request.origin();
    assert_eq!(found.sends_credentials(), is_registry);
    assert_eq!(found.url().scheme(), "https");
    assert_no_user(found.url());
    let ended = found.with_digest(&imgcore::Digest::sha256_of(b""));
    let query = found.url().query().unwrap_or_default();
    assert!(ended.query().is_some_and(|it| it.starts_with(query)));
    assert_eq!(ended.path(), found.url().path());
    // Read again, it is the same: nothing in it means two things.
    let again = places::resolve(&request, found.url().as_str(), &rules);
    assert_eq!(again.expect("what was taken is taken"), found);
    assert!(redacted(found.url()).parse::<Url>().is_ok());
}

/// Bodies of errors: one line, whatever it was.
pub fn error_body(bytes: &[u8]) {
    for content_type in [None, Some("text/html")] {
        let found = body::parse(bytes, content_type);
        let text = found.to_string();
        assert!(!text.contains(char::is_control));
        assert_eq!(found.is_empty(), text.is_empty());
    }
}

/// Answers of token servers: a header can carry the token, and it is not printed.
pub fn token_body(bytes: &[u8]) {
    let Ok(answer) = TokenResponse::parse(bytes) else {
        return;
    };
    let token = answer.token.expose();
    assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
    assert!(answer.life.as_secs() <= 24 * 60 * 60);
    assert!(answer.fresh_for() <= answer.life);
    assert!(format!("{answer:?}").contains("[redacted]"));
}

/// An upload to a registry that answers as it likes: it comes to an end, and sends nothing that is not there.
pub fn upload(bytes: &[u8]) {
    const FORMS: [Form; 4] = [Form::Post, Form::Whole, Form::Streamed, Form::Chunked];
    const STATUSES: [u16; 16] = [
        200, 201, 202, 202, 202, 204, 307, 400, 401, 403, 404, 405, 413, 416, 503, 0,
    ];
    const LOCATIONS: [Option<&str>; 4] = [
        None,
        Some("/u/1?_state=a"),
        Some("https://storage.example.org/u"),
        Some("http://registry.example.com/u"),
    ];
    let [first, size, answers @ ..] = bytes else {
        return;
    };
    let size = u64::from(*size);
    let mut machine = machine(FORMS[usize::from(*first) % FORMS.len()], size);
    let mut answers = answers.chunks(2).cycle();
    let mut waits = 0;
    for _ in 0..5_000 {
        match machine.next() {
            Action::Done(_) | Action::Failed(_) => return,
            Action::Wait => {
                waits += 1;
                // A policy gives up at some point.
                if waits > 50 {
                    return;
                }
                machine.answer(Answer::Waited);
            }
            Action::Send(request) => {
                let body = request.body.unwrap_or(0..0);
                assert!(body.start <= body.end && body.end <= size);
                assert_eq!(request.url.scheme(), "https");
                let is_registry = request.url.host_str() == Some(REGISTRY);
                assert_eq!(request.sends_credentials, is_registry);
                let [choice, range] = *answers.next().unwrap_or(&[0, 0]) else {
                    return;
                };
                let range = format!("0-{range}");
                machine.answer(match STATUSES[usize::from(choice % 16)] {
                    0 => Answer::Broken,
                    status => Answer::Head(Head {
                        status,
                        location: LOCATIONS[usize::from(choice / 16 % 4)],
                        range: (choice >= 128).then_some(range.as_str()),
                        ..Head::default()
                    }),
                });
            }
        }
    }
    panic!("the upload goes on and on");
}

fn machine(first: Form, size: u64) -> Machine {
    let registry = REGISTRY.parse().expect("the host is one");
    let endpoint = Endpoint::new(&registry, Scheme::Https).expect("the host has a URL");
    let repository = "team/app".parse().expect("the name is one");
    let digest = imgcore::Digest::sha256_of(b"");
    let mut settings = Settings::default();
    settings.first = first;
    settings.chunk = 8;
    settings.max_chunk = 16;
    Machine::new(&endpoint, &repository, digest, size, settings, Rules::strict())
}

fn scopes() -> ScopeSet {
    let repository = "team/app".parse().expect("the name is one");
    ScopeSet::new(Scope::new(repository, Actions::PULL))
}

fn base(path: &str) -> Url {
    format!("https://{REGISTRY}{path}")
        .parse()
        .expect("the URL is one")
}

fn assert_no_user(url: &Url) {
    assert!(url.username().is_empty() && url.password().is_none());
}
