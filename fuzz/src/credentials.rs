//! What imgauth reads: what it takes must be fit for a header, and must not show itself.

use imgauth::bazel::HelperAnswer;
use imgauth::docker::{DockerConfig, parse_answer};
use imgauth::{Answer, RegistryCredential};

/// Docker's `config.json`, asked for registries that corpora have entries for.
pub fn docker_config(bytes: &[u8]) {
    let config = match DockerConfig::parse(bytes) {
        Ok(config) => config,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for (host, repository) in [
        ("registry.example", "team/app"),
        ("registry.example:5000", "app"),
        ("docker.io", "library/debian"),
    ] {
        let host = host.parse().expect("it is a host");
        let repository = repository.parse().expect("it is a repository");
        for repository in [None, Some(&repository)] {
            let found = config.resolve(&host, repository);
            let winners = found.trail.iter();
            let winners = winners.filter(|lookup| matches!(lookup.answer, Answer::Found(_)));
            assert_eq!(winners.count(), usize::from(found.credential.is_some()));
            assert!(found.trail.iter().all(|it| is_one_line(&it.to_string())));
            check(found.credential.as_ref());
        }
    }
}

/// The answers of Bazel's and Docker's helpers.
pub fn credential_helper_output(bytes: &[u8]) {
    if let Ok(answer) = HelperAnswer::parse(bytes) {
        if let Ok(credential) = answer.registry_credential() {
            check(credential.as_ref());
        }
        for (name, value) in answer.cache_credential().headers() {
            assert!(is_one_line(name) && is_one_line(value.expose()));
        }
    }
    if let Ok(credential) = parse_answer(bytes) {
        check(credential.as_ref());
    }
}

fn check(credential: Option<&RegistryCredential>) {
    match credential {
        None => {}
        Some(RegistryCredential::Basic { username, .. }) => {
            assert!(is_one_line(username) && !username.contains(':') && !username.is_empty());
        }
        Some(RegistryCredential::Bearer(token) | RegistryCredential::IdentityToken { token }) => {
            let token = token.expose();
            assert!(!token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()));
        }
        Some(_) => unreachable!("there is no other form"),
    }
    let shown = format!("{credential:?}");
    assert!(credential.is_none() || shown.contains("[redacted]"));
}

fn is_one_line(text: &str) -> bool {
    !text.chars().any(|char| char.is_control() && char != '\t')
}
