use proptest::prelude::*;

use super::*;

/// 1994-11-06 08:49:37 UTC, the date of RFC 9110's examples.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

fn status(status: u16) -> Outcome<'static> {
    Outcome::Status {
        status,
        retry_after: None,
        body: "",
    }
}

fn wait(outcome: Outcome<'_>, attempt: u32, chance: f64) -> Option<Duration> {
    let policy = Policy::default();
    match decide(&policy, Class::Repeatable, outcome, attempt, now(), chance) {
        Decision::Retry { after } => Some(after),
        Decision::GiveUp => None,
    }
}

#[test]
fn only_what_may_pass_is_tried_again() {
    for passing in [408, 425, 429, 499, 500, 502, 503, 504, 520, 522, 524] {
        assert!(wait(status(passing), 1, 0.0).is_some(), "{passing}");
    }
    for staying in [
        301, 400, 401, 403, 404, 405, 406, 409, 412, 413, 415, 416, 501, 505, 511, 600,
    ] {
        assert!(wait(status(staying), 1, 0.0).is_none(), "{staying}");
    }
    for failure in [Failure::Connection, Failure::Stalled, Failure::Truncated] {
        assert!(wait(Outcome::Broken(failure), 1, 0.0).is_some());
    }
    assert!(wait(Outcome::Broken(Failure::Permanent), 1, 0.0).is_none());
    let policy = Policy::default();
    let upload = decide(&policy, Class::Upload, status(416), 1, now(), 0.0);
    assert!(matches!(upload, Decision::Retry { .. }));
}

#[test]
fn waits_double_up_to_the_limit_and_attempts_end() {
    let waits: Vec<_> = (1..=6)
        .map(|attempt| wait(status(503), attempt, 0.0).map(|wait| wait.as_secs()))
        .collect();
    assert_eq!(waits, [Some(1), Some(2), Some(4), Some(8), Some(16), None]);
    let patient = Policy {
        max_attempts: u32::MAX,
        ..Policy::default()
    };
    for attempt in [7, 8, 40, u32::MAX - 1] {
        let decision = decide(
            &patient,
            Class::Repeatable,
            status(500),
            attempt,
            now(),
            0.0,
        );
        assert_eq!(
            decision,
            Decision::Retry {
                after: Duration::from_secs(60)
            }
        );
    }
    let never = decide(
        &Policy::never(),
        Class::Repeatable,
        status(500),
        1,
        now(),
        0.0,
    );
    assert_eq!(never, Decision::GiveUp);
}

#[test]
fn chance_shortens_own_waits_and_lengthens_the_servers() {
    assert_eq!(wait(status(503), 2, 1.0), Some(Duration::from_millis(1600)));
    let hinted = Outcome::Status {
        status: 503,
        retry_after: Some("5"),
        body: "",
    };
    assert_eq!(wait(hinted, 1, 1.0), Some(Duration::from_millis(5200)));
    assert_eq!(wait(hinted, 1, f64::NAN), Some(Duration::from_secs(5)));
}

#[test]
fn retry_after_is_read_in_every_form() {
    let seconds = |it| Some(Duration::from_secs(it));
    for (header, expected) in [
        ("120", seconds(120)),
        (" 7 ", seconds(7)),
        ("0", seconds(0)),
        ("1.5", seconds(2)),
        ("2.0", seconds(2)),
        ("99999999999999999999999999", seconds(7 * 24 * 3600)),
        ("Sun, 06 Nov 1994 08:49:40 GMT", seconds(3)),
        ("Sun, 06 Nov 1994 08:49:30 GMT", seconds(0)),
        ("Sunday, 06-Nov-94 08:49:40 GMT", seconds(3)),
        ("Fri, 31 Dec 9999 23:59:59 GMT", seconds(7 * 24 * 3600)),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1e9", None),
        ("soon", None),
        ("60s", None),
        ("1.", None),
        (".5", None),
        ("NaN", None),
    ] {
        assert_eq!(retry_after(header, now()), expected, "{header}");
    }
}

#[test]
fn what_the_server_asks_for_goes_before_own_waits() {
    for (header, body, expected) in [
        (Some("9"), "", Duration::from_secs(9)),
        // Huge: the limit.
        (Some("86400"), "", Duration::from_secs(60)),
        // At once, past or garbage: the own wait.
        (Some("0"), "", Duration::from_secs(1)),
        (
            Some("Sun, 06 Nov 1994 08:49:30 GMT"),
            "",
            Duration::from_secs(1),
        ),
        (Some("never"), "", Duration::from_secs(1)),
        (
            None,
            "retry-after: 3s, allowed: 1/minute",
            Duration::from_secs(3),
        ),
        (Some("?"), "Retry-After: 3s", Duration::from_secs(3)),
        (Some("9"), "retry-after: 3s", Duration::from_secs(9)),
    ] {
        let outcome = Outcome::Status {
            status: 429,
            retry_after: header,
            body,
        };
        assert_eq!(wait(outcome, 1, 0.0), Some(expected), "{header:?} {body}");
    }
}

#[test]
fn hints_in_bodies_are_durations_as_go_writes_them() {
    for (body, expected) in [
        (
            "retry-after: 880.092µs, allowed: 44000/minute",
            Some(Duration::from_nanos(880_092)),
        ),
        (
            "x retry-after: 880.092\u{3bc}s",
            Some(Duration::from_nanos(880_092)),
        ),
        (
            "\"RETRY-AFTER: 1h2m3.5s\"",
            Some(Duration::from_millis(3_723_500)),
        ),
        ("retry-after:250ms", Some(Duration::from_millis(250))),
        ("retry-after: 5ns", Some(Duration::from_nanos(5))),
        ("retry-after: 5us", Some(Duration::from_micros(5))),
        (
            "retry-after: 99999999999999999999h",
            Some(Duration::from_secs(7 * 24 * 3600)),
        ),
        ("retry-after: 5", None),
        ("retry-after: s", None),
        ("retry-after: 1.2.3s", None),
        ("retry-after: 5x", None),
        ("retry-after: -5s", None),
        ("retry-after:", None),
        ("retry after 5s", None),
        ("", None),
    ] {
        assert_eq!(body_hint(body), expected, "{body}");
    }
}

proptest! {
    #[test]
    fn no_wait_is_longer_than_the_limit(
        header in proptest::option::of("[0-9.]{1,25}|.{0,12}"),
        body in ".{0,20}|retry-after: [0-9.]{1,12}[a-z]{1,2}",
        attempt in any::<u32>(),
        chance in any::<f64>(),
        jitter in any::<f64>(),
    ) {
        let policy = Policy { max_attempts: u32::MAX, jitter, ..Policy::default() };
        let outcome = Outcome::Status { status: 429, retry_after: header.as_deref(), body: &body };
        if let Decision::Retry { after } = decide(&policy, Class::Repeatable, outcome, attempt, now(), chance) {
            prop_assert!(after <= policy.max_delay);
        }
    }
}
