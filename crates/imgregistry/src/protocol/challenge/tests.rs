use proptest::prelude::*;

use super::*;

fn basic(realm: &str) -> Challenge {
    Challenge::Basic {
        realm: Some(realm.to_owned()),
    }
}

fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
    Challenge::Bearer(BearerChallenge {
        error: None,
        realm: Some(realm.to_owned()),
        scope: scope.map(str::to_owned),
        service: service.map(str::to_owned),
    })
}

fn other(scheme: &str) -> Challenge {
    Challenge::Other {
        scheme: scheme.to_owned(),
    }
}

#[track_caller]
fn check(headers: &[&str], expected: &[Challenge]) {
    let found = parse(headers.iter().map(|header| header.as_bytes()));
    assert_eq!(found, expected, "{headers:?}");
}

#[test]
fn every_shape_that_registries_send_is_read() {
    let full = bearer(
        "https://auth.example/token",
        Some("r.example"),
        Some("repository:team/app:pull,push"),
    );
    check(
        &[
            r#"Bearer realm="https://auth.example/token",service="r.example",scope="repository:team/app:pull,push""#,
        ],
        std::slice::from_ref(&full),
    );
    // No quotes at all, and the scope's own comma.
    check(
        &[
            "Bearer realm=https://auth.example/token,service=r.example,scope=repository:team/app:pull,push",
        ],
        std::slice::from_ref(&full),
    );
    // Case of scheme and names, white space around everything, parameters in another order.
    check(
        &[
            "\tBEARER  Scope = \"repository:team/app:pull,push\" , SERVICE=\"r.example\" ,, Realm=\"https://auth.example/token\" ,",
        ],
        std::slice::from_ref(&full),
    );
    check(
        &[r#"Basic realm="a",Bearer realm="b",service="c""#],
        &[basic("a"), bearer("b", Some("c"), None)],
    );
    check(
        &[r#"Bearer realm="b", Basic realm="a""#],
        &[bearer("b", None, None), basic("a")],
    );
    check(
        &[r#"Basic realm="a""#, r#"Bearer realm="b""#],
        &[basic("a"), bearer("b", None, None)],
    );
    // Without a comma between.
    check(
        &[r#"Basic realm="a" Bearer realm="b""#],
        &[basic("a"), bearer("b", None, None)],
    );
    check(&["Basic"], &[Challenge::Basic { realm: None }]);
    check(
        &["Basic, Bearer realm=b"],
        &[Challenge::Basic { realm: None }, bearer("b", None, None)],
    );
    check(&[r#"Basic realm="""#], &[basic("")]);
    check(
        &[r#"Basic realm="say \"hi\\\" , Bearer realm=x""#],
        &[basic(r#"say "hi\" , Bearer realm=x"#)],
    );
    check(&["Bearer realm=/token"], &[bearer("/token", None, None)]);
    check(
        &[r#"Bearer service="s""#],
        &[Challenge::Bearer(BearerChallenge {
            service: Some("s".to_owned()),
            ..BearerChallenge::default()
        })],
    );
    check(
        &[r#"Bearer realm="b",error="insufficient_scope""#],
        &[Challenge::Bearer(BearerChallenge {
            error: Some("insufficient_scope".to_owned()),
            realm: Some("b".to_owned()),
            ..BearerChallenge::default()
        })],
    );
    check(
        &[r#"Bearer realm="b",error="invalid_token",scope="a b""#],
        &[Challenge::Bearer(BearerChallenge {
            error: Some("invalid_token".to_owned()),
            realm: Some("b".to_owned()),
            scope: Some("a b".to_owned()),
            service: None,
        })],
    );
}

#[test]
fn data_of_other_schemes_is_no_challenge() {
    check(&["Negotiate"], &[other("negotiate")]);
    check(&["Negotiate YIIabc=="], &[other("negotiate")]);
    check(&["NTLM TlRMTVNT"], &[other("ntlm")]);
    check(
        &["Negotiate TlRM, Basic realm=a"],
        &[other("negotiate"), basic("a")],
    );
    check(
        &[r#"Digest realm="d", nonce="Basic realm=x", Basic realm="a""#],
        &[other("digest"), basic("a")],
    );
}

#[test]
fn of_a_repeated_parameter_the_first_counts() {
    check(&["Bearer realm=a,realm=b"], &[bearer("a", None, None)]);
}

#[test]
fn junk_gives_no_challenge_and_no_panic() {
    for junk in [
        "",
        " ",
        ",",
        ",,,",
        "=",
        "\"",
        "\\",
        "\"\\",
        "realm=\"x\"",
        "\"Bearer\" realm=\"x\"",
        "\"Bearer realm=x\"",
        "é",
        "\u{0}",
    ] {
        check(&[junk], &[]);
    }
    check(
        &["Bearer realm=\"never closed, Basic realm=x"],
        &[bearer("never closed, Basic realm=x", None, None)],
    );
    check(&["Bearer realm="], &[bearer("", None, None)]);
    check(&["Bearer realm=\"x\\"], &[bearer("x", None, None)]);
    assert_eq!(parse([&b"Basic realm=\"\xff\""[..]]), [basic("\u{fffd}")]);
}

#[test]
fn what_is_read_is_bounded() {
    let many = "Basic, ".repeat(1000);
    assert_eq!(parse([many.as_bytes()]).len(), MAX_CHALLENGES);
    let long = format!("Basic realm=\"{}\"", "x".repeat(MAX_BYTES));
    assert_eq!(parse([long.as_bytes()]), []);
}

fn text() -> impl Strategy<Value = Option<String>> {
    proptest::option::of("[ -~é]{0,20}")
}

proptest! {
    #[test]
    fn what_was_written_is_read(realm in text(), service in text(), scope in text(), error in text()) {
        let written = [
            Challenge::Basic { realm: realm.clone() },
            Challenge::Bearer(BearerChallenge { error, realm, scope, service }),
        ];
        let header = format!("{}, {}", written[0], written[1]);
        prop_assert_eq!(parse([header.as_bytes()]), written);
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for challenge in parse([&bytes[..]]) {
            let again = parse([challenge.to_string().as_bytes()]);
            prop_assert_eq!(again, [challenge]);
        }
    }
}
