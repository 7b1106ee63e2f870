use proptest::prelude::*;

use super::*;
use crate::{CacheCredential, Environment, Fixed, Secret};

fn resolve(keychain: &Keychain, name: &str) -> Resolution {
    let (host, repository) = match name.split_once('/') {
        Some((host, repository)) => (host, Some(repository.parse().unwrap())),
        None => (name, None),
    };
    keychain.resolve(&host.parse().unwrap(), repository.as_ref())
}

fn keychain_of(environment: Environment) -> Keychain {
    Keychain::new(KeychainOptions::new(environment))
}

#[test]
fn without_anything_every_place_was_asked_and_requests_go_without() {
    let found = resolve(&keychain_of(Environment::default()), "r.example/app");
    assert_eq!(found.credential, None);
    assert!(found.winner().is_none() && found.warnings().next().is_none());
    let asked: Vec<_> = found.trail.iter().map(|lookup| &*lookup.asked).collect();
    let expected = [
        "credential helper",
        "IMG_REGISTRY_AUTH_HOST",
        "IMG_DOCKER_CONFIG_INLINE",
        "DOCKER_AUTH_CONFIG",
    ];
    assert_eq!(asked, expected);
}

#[test]
fn text_that_is_no_helper_is_a_warning() {
    let variables = [
        ("IMG_CREDENTIAL_HELPER", "a/b=c"),
        ("IMG_REGISTRY_AUTH_HOST", "r.example"),
    ];
    let environment = variables
        .into_iter()
        .chain([("IMG_REGISTRY_AUTH_BEARER_TOKEN", "token")]);
    let found = resolve(&keychain_of(environment.collect()), "r.example");
    assert_eq!(found.credential, Some(RegistryCredential::bearer("token")));
    assert_eq!(
        found.warnings().next().unwrap().to_string(),
        r#"IMG_CREDENTIAL_HELPER: failed: "a/b" is no pattern of hosts for a credential helper"#
    );
}

proptest! {
    /// A secret shows in nothing that can be printed, wherever it comes from and however broken its surroundings are.
    #[test]
    fn secrets_show_nowhere(
        secret in "[!-~]{4,40}",
        front in "[!-~]{0,3}",
        broken in proptest::option::of("[\\x00-\\x7f]{1,2}"),
    ) {
        // Words of ours are no secrets: what matters is what was put in.
        let secret = format!("imgkit-canary-{secret}");
        let kept = format!("{front}{secret}{}", broken.as_deref().unwrap_or_default());
        let auth = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, format!("user:{kept}"));
        let cut = &auth[..auth.len() - 1];
        let json = |value: serde_json::Value| value.to_string();
        let configs = [
            json(serde_json::json!({"auths": {"r.example": {"auth": auth}}})),
            json(serde_json::json!({"auths": {"r.example": {"auth": cut}}})),
            json(serde_json::json!({"auths": {"r.example": {"auth": kept}}})),
            json(serde_json::json!({"auths": {"r.example": {"username": kept, "password": kept}}})),
            json(serde_json::json!({"auths": {"r.example": {"username": "u", "password": kept}}})),
            json(serde_json::json!({"auths": {"r.example": {"identitytoken": kept}}})),
            json(serde_json::json!({"auths": {"r.example": {"registrytoken": kept}}})),
            json(serde_json::json!({"auths": {"r.example": kept}})),
            json(serde_json::json!({"auths": kept, "credHelpers": kept, "credsStore": [kept]})),
            json(serde_json::json!({"auths": {format!("https://u:{kept}@r.example/"): {}}})),
            format!("{{\"auths\": {{\"r.example\": {{\"auth\": \"{kept}"),
            kept.clone(),
        ];
        let mut shown = Vec::new();
        for config in &configs {
            let variables = [
                ("IMG_DOCKER_CONFIG_INLINE", config.as_str()),
                ("IMG_REGISTRY_AUTH_HOST", "other.example"),
                ("IMG_REGISTRY_AUTH_PASSWORD", secret.as_str()),
            ];
            let keychain = keychain_of(variables.into_iter().collect());
            let found = resolve(&keychain, "r.example/app");
            shown.push(format!("{keychain:?}\n{found:#?}\n"));
            for lookup in &found.trail {
                shown.push(format!("{lookup}\n"));
            }
            match DockerConfig::parse(config.as_bytes()) {
                Ok(config) => shown.push(format!("{config:#?}")),
                Err(error) => shown.push(format!("{error} {error:?}")),
            }
        }
        let answers = [
            json(serde_json::json!({"Username": "u", "Secret": kept})),
            json(serde_json::json!({"Username": kept, "Secret": kept})),
            json(serde_json::json!({"headers": {"Authorization": [format!("Bearer {kept}")]}})),
            json(serde_json::json!({"headers": {"Authorization": [kept]}})),
            json(serde_json::json!({"headers": {"Authorization": kept}})),
            json(serde_json::json!({"expires": kept})),
            kept.clone(),
        ];
        for answer in &answers {
            shown.push(format!("{:#?}", docker::parse_answer(answer.as_bytes())));
            let parsed = bazel::HelperAnswer::parse(answer.as_bytes());
            if let Ok(answer) = &parsed {
                shown.push(format!("{:?}", answer.registry_credential()));
            }
            shown.push(format!("{parsed:#?}"));
        }
        let credentials = [
            RegistryCredential::basic(secret.as_str(), secret.as_str()),
            RegistryCredential::bearer(secret.as_str()),
            RegistryCredential::identity_token(secret.as_str()),
        ];
        let fixed = Fixed::default().with("r.example".parse().unwrap(), credentials[0].clone());
        let header = ("Authorization".to_owned(), Secret::new(secret.as_str()));
        let cache = CacheCredential::new([header.clone()]);
        shown.push(format!("{credentials:#?} {fixed:#?} {cache:#?} {} {:?}", header.1, header.1));
        let shown = shown.join("\n");
        prop_assert!(!shown.contains(&secret), "{}", shown);
        prop_assert!(!shown.contains(&auth), "{}", shown);
    }
}

#[cfg(unix)]
mod programs {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, SystemTime};

    use insta::assert_snapshot;

    use super::*;
    use crate::scripts::Scripts;

    const BEARER: &str = r#"{"headers":{"Authorization":["Bearer from-bazel"]}}"#;

    fn trail(found: &Resolution, scripts: &Scripts) -> String {
        let lines = found.trail.iter().map(ToString::to_string);
        let text = lines.collect::<Vec<_>>().join("\n");
        text.replace(&scripts.directory().display().to_string(), "$DIR")
    }

    fn username(found: &Resolution) -> &str {
        match &found.credential {
            Some(RegistryCredential::Basic { username, .. }) => username,
            Some(other) => other.form(),
            None => "none",
        }
    }

    /// A config with one entry, whose user says where it stands.
    fn config(user: &str) -> String {
        format!(r#"{{"auths":{{"r.example":{{"username":"{user}","password":"p"}}}}}}"#)
    }

    #[test]
    fn places_are_asked_in_the_documented_order() {
        let scripts = Scripts::new();
        scripts.add_answer("bazel-helper", BEARER);
        let places = [
            "home/.docker/config.json",
            "auth.json",
            "run/containers/auth.json",
            "config/containers/auth.json",
        ];
        for place in places {
            let path = scripts.path(place);
            fs_err::create_dir_all(path.parent().unwrap()).unwrap();
            fs_err::write(&path, config(place)).unwrap();
        }
        let path = |name: &str| scripts.path(name).display().to_string();
        let variables = [
            ("IMG_CREDENTIAL_HELPER", "bazel-helper".to_owned()),
            ("IMG_REGISTRY_AUTH_HOST", "r.example".to_owned()),
            ("IMG_DOCKER_CONFIG_INLINE", config("inline")),
            ("DOCKER_AUTH_CONFIG", config("gitlab")),
            ("HOME", path("home")),
            ("REGISTRY_AUTH_FILE", path("auth.json")),
            ("XDG_RUNTIME_DIR", path("run")),
            ("XDG_CONFIG_HOME", path("config")),
        ];
        let always = [
            (
                "PATH",
                format!("{}:/usr/bin:/bin", scripts.directory().display()),
            ),
            ("IMG_REGISTRY_AUTH_USERNAME", "variables".to_owned()),
            ("IMG_REGISTRY_AUTH_PASSWORD", "p".to_owned()),
        ];
        let expected = [
            "bearer token",
            "variables",
            "inline",
            "gitlab",
            "home/.docker/config.json",
            "auth.json",
            "run/containers/auth.json",
            "config/containers/auth.json",
            "none",
        ];
        for (gone, winner) in expected.into_iter().enumerate() {
            let set = variables[gone..].iter().chain(&always).cloned();
            let found = resolve(&keychain_of(set.collect()), "r.example/app");
            assert_eq!(username(&found), winner);
        }
    }

    #[test]
    fn credential_helper_is_asked_for_the_uri_of_the_repository() {
        let scripts = Scripts::new();
        scripts.add_answer("helper", BEARER);
        let keychain = keychain_of(scripts.environment([("IMG_CREDENTIAL_HELPER", "helper")]));
        for name in [
            "r.example:5000/team/app",
            "r.example:5000",
            "docker.io/library/debian",
        ] {
            let found = resolve(&keychain, name);
            assert_eq!(
                found.credential,
                Some(RegistryCredential::bearer("from-bazel"))
            );
        }
        assert_snapshot!(scripts.log(), @r#"
        {"uri":"https://r.example:5000/v2/team/app/"}
        {"uri":"https://r.example:5000/v2/"}
        {"uri":"https://index.docker.io/v2/library/debian/"}
        "#);
    }

    #[test]
    fn answer_of_a_credential_helper_holds_as_long_as_it_says_or_five_minutes() {
        let check = |expires: &str, times: &[u64], asked: usize| {
            let scripts = Scripts::new();
            let answer = BEARER.replacen('{', &format!("{{{expires}"), 1);
            scripts.add_answer("helper", &answer);
            let now = Arc::new(AtomicU64::new(0));
            let clock = Arc::clone(&now);
            let options =
                KeychainOptions::new(scripts.environment([("IMG_CREDENTIAL_HELPER", "helper")]))
                    .with_clock(move || {
                        SystemTime::UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed))
                    });
            let keychain = Keychain::new(options);
            for &time in times {
                now.store(time, Ordering::Relaxed);
                let found = resolve(&keychain, "r.example/app");
                assert!(found.credential.is_some());
                let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
                assert!(
                    found.expires.is_some() && found.holds_at(at(time)),
                    "{expires}"
                );
                assert!(!found.holds_at(at(4000)), "{expires}");
            }
            assert_eq!(scripts.log().lines().count(), asked, "{expires}");
        };
        check("", &[0, 1, 299], 1);
        check("", &[0, 299, 300, 599], 2);
        check(r#""expires":"1970-01-01T01:00:00Z","#, &[0, 1000, 3599], 1);
        check(r#""expires":"1970-01-01T00:00:10Z","#, &[0, 9], 1);
    }

    #[test]
    fn answer_holds_no_longer_than_that_of_anybody_who_was_asked() {
        let check = |helper: &str, store: &str, expected: u64| {
            let scripts = Scripts::new();
            if !helper.is_empty() {
                scripts.add("helper", helper);
            }
            scripts.add("docker-credential-store", store);
            let variables = [
                ("IMG_CREDENTIAL_HELPER", "helper"),
                ("IMG_DOCKER_CONFIG_INLINE", r#"{"credsStore":"store"}"#),
            ];
            let options = KeychainOptions::new(scripts.environment(variables))
                .with_clock(|| SystemTime::UNIX_EPOCH);
            let found = resolve(&Keychain::new(options), "r.example/app");
            let until = SystemTime::UNIX_EPOCH + Duration::from_secs(expected);
            assert_eq!(found.expires, Some(until), "{helper} {store}");
        };
        // They read their input, as helpers do: who writes it would hear of a broken pipe.
        let fails = "cat >&2; exit 1";
        let keeps_nothing = r#"cat >&2; echo '{"headers":{}}'"#;
        let keeps_one = r#"cat >&2; echo '{"Username":"u","Secret":"p"}'"#;
        check("", keeps_one, 30);
        check(fails, keeps_one, 30);
        check(fails, fails, 30);
        check(keeps_nothing, keeps_one, 300);
        check(keeps_nothing, fails, 30);
        let nothing = "cat >&2; echo credentials not found in native keychain; exit 1";
        check(keeps_nothing, nothing, 300);
    }

    #[test]
    fn helper_is_asked_again_after_a_refusal() {
        let scripts = Scripts::new();
        scripts.add_answer("helper", r#"{"headers":{}}"#);
        scripts.add_answer(
            "docker-credential-store",
            r#"{"Username":"u","Secret":"p"}"#,
        );
        let keychain = keychain_of(scripts.environment([
            ("IMG_CREDENTIAL_HELPER", "helper"),
            ("IMG_DOCKER_CONFIG_INLINE", r#"{"credsStore":"store"}"#),
        ]));
        let (host, app) = ("r.example".parse().unwrap(), "app".parse().unwrap());
        for _ in 0..2 {
            resolve(&keychain, "r.example/app");
            resolve(&keychain, "r.example/app");
            keychain.refused(&host, Some(&app));
        }
        assert_eq!(scripts.log().lines().count(), 4);
    }

    #[test]
    fn answer_that_is_over_already_is_a_warning_and_the_helper_is_asked_again_later() {
        let scripts = Scripts::new();
        let answer = BEARER.replacen('{', r#"{"expires":"1970-01-01T00:00:10Z","#, 1);
        scripts.add_answer("helper", &answer);
        let environment = scripts.environment([("IMG_CREDENTIAL_HELPER", "helper")]);
        let found = resolve(&keychain_of(environment), "r.example");
        assert_eq!(found.credential, None);
        assert_snapshot!(found.warnings().next().unwrap(), @"credential helper helper: failed: what it gives held until a time that is over");
    }

    #[test]
    fn helper_that_fails_is_a_warning_without_its_words_and_the_search_goes_on() {
        let check = |helper: &str| {
            let scripts = Scripts::new();
            scripts.add("helper", helper);
            scripts.add("docker-credential-broken", helper);
            let inline = r#"{"credsStore":"broken","auths":{"r.example":{"username":"fallback","password":"p"}}}"#;
            let environment = scripts.environment([
                ("IMG_CREDENTIAL_HELPER", "helper"),
                ("IMG_DOCKER_CONFIG_INLINE", inline),
            ]);
            let options =
                KeychainOptions::new(environment).with_helper_timeout(Duration::from_secs(30));
            let found = resolve(&Keychain::new(options), "r.example/app");
            assert_eq!(username(&found), "fallback", "{helper}");
            assert!(!format!("{found:?}").contains("imgkit-canary"), "{helper}");
            let warnings = found.warnings().map(ToString::to_string);
            let directory = scripts.directory().display().to_string();
            warnings
                .collect::<Vec<_>>()
                .join("\n")
                .replace(&directory, "$DIR")
        };
        assert_snapshot!(check("echo imgkit-canary-1 >&2; echo imgkit-canary-2; exit 7"), @r#"
        credential helper helper: failed: exit code 7; `echo '{"uri":"https://r.example/v2/app/"}' | $DIR/helper get` shows why
        IMG_DOCKER_CONFIG_INLINE, credsStore: docker-credential-broken: failed: exit code 7; `echo 'r.example' | docker-credential-broken get` shows why
        "#);
        assert_snapshot!(check("echo imgkit-canary"), @r"
        credential helper helper: failed: its answer is no JSON object
        IMG_DOCKER_CONFIG_INLINE, credsStore: docker-credential-broken: failed: its answer is no JSON object
        ");
        assert_snapshot!(check("kill -9 $$"), @r#"
        credential helper helper: failed: it was ended by a signal; `echo '{"uri":"https://r.example/v2/app/"}' | $DIR/helper get` shows why
        IMG_DOCKER_CONFIG_INLINE, credsStore: docker-credential-broken: failed: it was ended by a signal; `echo 'r.example' | docker-credential-broken get` shows why
        "#);
        assert_snapshot!(check("while :; do echo imgkit-canary; done"), @r"
        credential helper helper: failed: it says more than 1048576 bytes
        IMG_DOCKER_CONFIG_INLINE, credsStore: docker-credential-broken: failed: it says more than 1048576 bytes
        ");
    }

    #[test]
    fn helper_that_is_missing_is_a_warning_and_the_search_goes_on() {
        let scripts = Scripts::new();
        let inline = r#"{"credHelpers":{"r.example":"missing"},"auths":{"r.example":{"username":"fallback","password":"p"}}}"#;
        let environment = scripts.environment([
            ("IMG_CREDENTIAL_HELPER", "%workspace%/tools/missing"),
            ("BUILD_WORKSPACE_DIRECTORY", "/does/not/exist"),
            ("IMG_DOCKER_CONFIG_INLINE", inline),
        ]);
        let found = resolve(&keychain_of(environment), "r.example/app");
        assert_eq!(username(&found), "fallback");
        assert_snapshot!(trail(&found, &scripts), @r#"
        credential helper %workspace%/tools/missing: failed: /does/not/exist/tools/missing is no program
        IMG_REGISTRY_AUTH_HOST: nothing: it is not set
        IMG_DOCKER_CONFIG_INLINE, credHelpers: docker-credential-missing: failed: there is no such program in PATH
        IMG_DOCKER_CONFIG_INLINE, auths["r.example"]: found: user name and password
        "#);
    }

    #[test]
    fn docker_helper_is_asked_by_the_name_that_docker_keeps() {
        let scripts = Scripts::new();
        scripts.add_answer(
            "docker-credential-store",
            r#"{"Username":"<token>","Secret":"refresh"}"#,
        );
        let inline = r#"{"credsStore":"store"}"#;
        let keychain = keychain_of(scripts.environment([("IMG_DOCKER_CONFIG_INLINE", inline)]));
        for name in [
            "registry-1.docker.io/library/debian",
            "R.example:5000/app",
            "r.example:5000",
        ] {
            let found = resolve(&keychain, name);
            assert_eq!(
                found.credential,
                Some(RegistryCredential::identity_token("refresh"))
            );
        }
        // The second name is the third one, and its answer still holds.
        assert_snapshot!(scripts.log(), @r"
        https://index.docker.io/v1/
        r.example:5000
        ");
    }

    #[test]
    fn docker_helper_without_a_credential_is_no_warning() {
        for text in [
            "echo 'credentials not found in native keychain'; exit 1",
            r#"echo '{"ServerURL":"r.example","Username":"","Secret":""}'"#,
        ] {
            let scripts = Scripts::new();
            scripts.add("docker-credential-store", text);
            let inline = r#"{"credsStore":"store"}"#;
            let environment = scripts.environment([("IMG_DOCKER_CONFIG_INLINE", inline)]);
            let found = resolve(&keychain_of(environment), "r.example/app");
            assert_eq!(found.credential, None);
            assert_eq!(found.warnings().next(), None);
        }
    }

    #[test]
    fn hostile_config_starts_nothing() {
        let scripts = Scripts::new();
        scripts.add_answer("evil", "{}");
        for store in [
            "../evil",
            "x;evil",
            "$(evil)",
            "x/../../evil",
            "x\\u0000evil",
            "x\\nevil",
        ] {
            let inline = format!(r#"{{"credsStore":"{store}"}}"#);
            let environment = scripts.environment([("IMG_DOCKER_CONFIG_INLINE", inline.as_str())]);
            let found = resolve(&keychain_of(environment), "r.example/app");
            assert!(
                found
                    .warnings()
                    .next()
                    .unwrap()
                    .to_string()
                    .ends_with("is no name of a helper")
            );
        }
        assert_eq!(scripts.log(), "");
    }

    #[test]
    fn helper_of_the_cache_answers_for_no_registry_and_the_other_way_round() {
        let scripts = Scripts::new();
        scripts.add_answer(
            "for-cache",
            r#"{"headers":{"Authorization":["Bearer cache"],"X-Key":["k"]}}"#,
        );
        scripts.add_answer(
            "for-registry",
            r#"{"headers":{"Authorization":["Bearer registry"]}}"#,
        );
        scripts.add_answer(
            "for-both",
            r#"{"headers":{"Authorization":["Bearer both"]}}"#,
        );
        let ask = |variables: &[(&str, &str)]| {
            let both = scripts.environment([]);
            let variables = variables
                .iter()
                .map(|(name, value)| (name.into(), value.into()));
            let own = both
                .iter()
                .map(|(name, value)| (name.to_owned(), value.to_owned()));
            let environment: Environment = own.chain(variables).collect();
            let options = KeychainOptions::new(environment);
            let registry = resolve(&Keychain::new(options.clone()), "r.example/app").credential;
            let cache = CacheKeychain::new(options)
                .resolve("https://u:p@cache.example/x")
                .credential;
            let registry = match &registry {
                Some(RegistryCredential::Bearer(token)) => token.expose(),
                _ => "none",
            };
            let cache = cache.map(|credential| {
                credential
                    .headers()
                    .map(|(_, value)| value.expose().to_owned())
                    .collect::<Vec<_>>()
                    .join("+")
            });
            format!(
                "registry: {registry}, cache: {}",
                cache.unwrap_or("none".to_owned())
            )
        };
        let cache = ("IMG_CREDENTIAL_HELPER_REMOTE_CACHE", "for-cache");
        let registry = ("IMG_CREDENTIAL_HELPER_OCI_REGISTRY", "for-registry");
        let both = ("IMG_CREDENTIAL_HELPER", "for-both");
        assert_eq!(ask(&[]), "registry: none, cache: none");
        assert_eq!(ask(&[cache]), "registry: none, cache: Bearer cache+k");
        assert_eq!(ask(&[registry]), "registry: registry, cache: none");
        assert_eq!(ask(&[both]), "registry: both, cache: Bearer both");
        assert_eq!(ask(&[both, cache]), "registry: both, cache: Bearer cache+k");
        assert_eq!(
            ask(&[both, registry]),
            "registry: registry, cache: Bearer both"
        );
        assert!(
            scripts
                .log()
                .contains(r#"{"uri":"https://cache.example/x"}"#)
        );
    }

    #[test]
    fn customary_helper_of_a_workspace_is_for_the_cache_alone() {
        let scripts = Scripts::new();
        fs_err::create_dir(scripts.path("tools")).unwrap();
        scripts.add_answer("tools/credential-helper", BEARER);
        let environment = scripts.environment([]);
        let options = KeychainOptions::new(environment).with_workspace(scripts.directory());
        let found = resolve(&Keychain::new(options.clone()), "r.example/app");
        assert_eq!(found.credential, None);
        let found = CacheKeychain::new(options).resolve("https://cache.example/x");
        assert!(found.credential.is_some());
        assert_snapshot!(found.trail[0], @"credential helper %workspace%/tools/credential-helper: found: headers");
    }

    #[test]
    fn given_helpers_and_config_stand_for_those_of_the_variables() {
        let scripts = Scripts::new();
        scripts.add_answer("given", r#"{"headers":{}}"#);
        scripts.add_answer("unasked", BEARER);
        fs_err::write(scripts.path("given.json"), config("given")).unwrap();
        let home = scripts.directory().display().to_string();
        let environment = scripts.environment([
            ("IMG_CREDENTIAL_HELPER", "unasked"),
            ("DOCKER_CONFIG", "/does/not/exist"),
            ("HOME", home.as_str()),
        ]);
        let options = KeychainOptions::new(environment)
            .with_registry_helpers(["r.example=given".parse().unwrap()])
            .with_docker_config(scripts.path("given.json"));
        let keychain = Keychain::new(options);
        let found = resolve(&keychain, "r.example/app");
        assert_eq!(username(&found), "given");
        assert_snapshot!(trail(&found, &scripts), @r#"
        credential helper r.example=given: nothing: it gives no Authorization for https://r.example/v2/app/
        IMG_REGISTRY_AUTH_HOST: nothing: it is not set
        IMG_DOCKER_CONFIG_INLINE: nothing: it is not set
        DOCKER_AUTH_CONFIG: nothing: it is not set
        $DIR/given.json, auths["r.example"]: found: user name and password
        "#);
        let found = resolve(&keychain, "other.example");
        assert_snapshot!(found.trail[0], @"credential helper: nothing: no pattern fits other.example");
    }
}
