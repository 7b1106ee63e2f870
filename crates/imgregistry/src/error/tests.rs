use std::error::Error as _;

use super::*;

fn place() -> Place {
    Place {
        operation: Operation::ReadBlob,
        repository: Some("team/app".to_owned()),
        subject: Some("sha256:HELLO".to_owned()),
        digest: None,
        host: "registry.example:5000".to_owned(),
        role: Role::Registry,
    }
}

#[test]
fn texts_have_all_that_is_known_and_nothing_else() {
    let check = |error: Error, expected: &str| assert_eq!(error.to_string(), expected);
    let new = |detail: &str| Error::new(ErrorKind::Unavailable, &place(), detail);
    check(
        new("connection refused"),
        "reading blob sha256:HELLO of team/app at registry registry.example:5000: connection refused; \
         try again; if it stays so, check the network and the proxies on the way",
    );
    check(
        new("")
            .with_status(StatusCode::BAD_GATEWAY)
            .with_attempts(6),
        "reading blob sha256:HELLO of team/app at registry registry.example:5000: \
         answered 502 Bad Gateway after 6 attempts; try again later; if it stays so, tell whoever runs the host",
    );
    check(
        new("")
            .with_status(StatusCode::NOT_FOUND)
            .with_next_step("check the name")
            .with_earlier(vec!["the mirror was asleep".to_owned()]),
        "reading blob sha256:HELLO of team/app at registry registry.example:5000: \
         answered 404 Not Found; check the name; before that, the mirror was asleep",
    );
    check(
        Error::configuration("no runtime"),
        "setting up a registry client: no runtime",
    );
    let storage = place().at("storage.example", Role::Storage);
    check(
        Error::new(ErrorKind::Protocol, &storage, "others were sent"),
        "reading blob sha256:HELLO of team/app at storage storage.example: others were sent; \
         check that the host is a registry, and no proxy answers in its place",
    );
    assert_eq!(
        new("asleep").summary(),
        "reading blob sha256:HELLO of team/app at registry registry.example:5000: asleep",
    );
}

#[test]
fn every_kind_of_error_has_a_next_step_but_the_callers_own() {
    let digest = Digest::sha256_of(b"");
    for kind in [
        ErrorKind::Denied,
        ErrorKind::DigestMismatch {
            expected: digest,
            actual: digest,
        },
        ErrorKind::Forbidden,
        ErrorKind::Immutable,
        ErrorKind::NotFound,
        ErrorKind::Protocol,
        ErrorKind::SizeMismatch {
            expected: 1,
            actual: 2,
        },
        ErrorKind::Throttled,
        ErrorKind::TooLarge,
        ErrorKind::Unavailable,
        ErrorKind::Unsupported,
    ] {
        let error = Error::new(kind, &place(), "");
        assert!(error.next_step().is_some(), "{kind:?}");
        let answered = error.with_status(StatusCode::BAD_REQUEST);
        assert!(answered.next_step().is_some(), "{kind:?}");
    }
    let error = Error::new(ErrorKind::InvalidInput, &place(), "");
    assert_eq!(error.next_step(), None);
}

#[test]
fn stores_hear_who_must_act_and_keep_the_cause() {
    let check = |kind: ErrorKind, expected: StoreKind, text: &str| {
        let error = imgstore::Error::from(Error::new(kind, &place(), ""));
        assert_eq!((error.kind(), error.to_string().as_str()), (expected, text));
        let source = error
            .source()
            .and_then(|source| source.downcast_ref::<Error>());
        assert!(source.is_some());
        assert_eq!(kind.is_retryable(), expected.is_retryable());
    };
    let host = "registry registry.example:5000";
    let text = |what: &str| format!("{what} {host}");
    check(ErrorKind::Denied, StoreKind::Denied, &text("no access to"));
    check(
        ErrorKind::Forbidden,
        StoreKind::Denied,
        &text("no access to"),
    );
    check(
        ErrorKind::NotFound,
        StoreKind::NotFound,
        &text("not found at"),
    );
    check(
        ErrorKind::Throttled,
        StoreKind::Unavailable,
        &text("no help from"),
    );
    check(
        ErrorKind::Unavailable,
        StoreKind::Unavailable,
        &text("no help from"),
    );
    check(
        ErrorKind::Protocol,
        StoreKind::Malformed,
        &text("trouble with"),
    );
    check(
        ErrorKind::TooLarge,
        StoreKind::TooLarge,
        &text("trouble with"),
    );
}
