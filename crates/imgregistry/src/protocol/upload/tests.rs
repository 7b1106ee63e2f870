use proptest::prelude::*;

use super::*;
use crate::protocol::address::Rules;
use crate::protocol::url::Scheme;

const SIZE: u64 = 20;

fn digest() -> Digest {
    Digest::sha256_of(b"blob")
}

fn machine(size: u64, settings: Settings) -> Machine {
    let endpoint = Endpoint::new(&"r.example".parse().unwrap(), Scheme::Https).unwrap();
    let repository = "a".parse().unwrap();
    Machine::new(
        &endpoint,
        &repository,
        digest(),
        size,
        settings,
        Rules::strict(),
    )
}

fn whole() -> Settings {
    Settings::default()
}

fn chunked() -> Settings {
    Settings {
        first: Form::Chunked,
        chunk: 8,
        max_chunk: 16,
        ..Settings::default()
    }
}

fn form(first: Form) -> Settings {
    Settings { first, ..chunked() }
}

/// What is to do, on one line: method, path, body, `Content-Range`.
fn line(machine: &Machine) -> String {
    use std::fmt::Write as _;

    let request = match machine.next() {
        Action::Send(request) => request,
        Action::Wait => return "wait".to_owned(),
        Action::Done(done) => return format!("{done:?}"),
        Action::Failed(error) => return format!("failed: {error}"),
    };
    let own = format!("digest={}", digest().to_string().replace(':', "%3A"));
    let mut line = format!("{} {}", request.method, request.url.path());
    if let Some(query) = request.url.query() {
        let query = query.replace(&own, "D").replace(&own[7..], "B");
        write!(line, "?{query}").unwrap();
    }
    if let Some(body) = request.body {
        write!(line, " {body:?}").unwrap();
    }
    if let Some(range) = request.content_range {
        write!(line, " range {range}").unwrap();
    }
    if !request.sends_credentials {
        line.push_str(" without credentials");
    }
    line.replace("/v2/a/blobs/uploads/", "/uploads/")
        .replace(&format!("/v2/a/blobs/{}", digest()), "/blob")
}

/// Reads an answer: a status and headers (`202 location=/u/1 range=0-7`), `broken`, `renewed` or `waited`.
fn give(machine: &mut Machine, answer: &str) {
    let mut words = answer.split(' ');
    let digest = digest().to_string();
    let answer = match words.next().unwrap() {
        "broken" => Answer::Broken,
        "renewed" => Answer::Renewed,
        "waited" => Answer::Waited,
        status => {
            let mut head = Head {
                status: status.parse().unwrap(),
                ..Head::default()
            };
            for word in words {
                let (name, value) = word.split_once('=').unwrap();
                match name {
                    "location" => head.location = Some(value),
                    "range" => head.range = Some(value),
                    "least" => head.chunk_minimum = Some(value),
                    "digest" if value == "same" => head.digest = Some(&digest),
                    "digest" => head.digest = Some(value),
                    "length" => head.content_length = Some(value.parse().unwrap()),
                    _ => panic!("{name}"),
                }
            }
            Answer::Head(head)
        }
    };
    machine.answer(answer);
}

/// Plays a script: on each line what is to do, and after `→` what comes of it.
#[track_caller]
fn check(mut machine: Machine, script: &str) {
    for step in script.lines().map(str::trim).filter(|it| !it.is_empty()) {
        let (expected, answer) = step.split_once(" → ").unwrap_or((step, ""));
        assert_eq!(line(&machine), expected, "\n{script}");
        if !answer.is_empty() {
            give(&mut machine, answer);
        }
    }
}

#[test]
fn a_blob_goes_with_one_put() {
    check(
        machine(SIZE, whole()),
        "POST /uploads/ 0..0 → 202 location=/u/1?_state=a%2Fb
         PUT /u/1?_state=a%2Fb&D 0..20 → 201 digest=same
         Uploaded",
    );
}

#[test]
fn what_the_registry_does_not_confirm_is_asked_for() {
    let begin = "POST /uploads/ 0..0 → 202 location=/u/1
                 PUT /u/1?D 0..20 → 201\n";
    for (answer, end) in [
        ("200 length=20", "Uploaded"),
        ("200", "Uploaded"),
        ("405", "Uploaded"),
        ("403", "Uploaded"),
        (
            "404",
            "failed: the registry confirmed B and does not have it",
        ),
        (
            "200 length=7",
            "failed: the registry has 7 bytes of B instead of 20",
        ),
    ] {
        let end = end.replace('B', &digest().to_string());
        check(
            machine(SIZE, whole()),
            &format!("{begin} HEAD /blob → {answer}\n {end}"),
        );
    }
    let other = Digest::sha256_of(b"other");
    check(
        machine(SIZE, whole()),
        &format!(
            "POST /uploads/ 0..0 → 202 location=/u/1
             PUT /u/1?D 0..20 → 201 digest={other}
             failed: the registry took the bytes of {} for {other}",
            digest()
        ),
    );
    // A digest of another kind is neither wrong nor a confirmation.
    check(
        machine(SIZE, whole()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PUT /u/1?D 0..20 → 201 digest=md5:x
         HEAD /blob",
    );
}

#[test]
fn a_blob_without_bytes_is_sent_in_every_form() {
    check(
        machine(0, whole()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PUT /u/1?D 0..0 → 201 digest=same
         Uploaded",
    );
    for first in [Form::Streamed, Form::Chunked] {
        check(
            machine(0, form(first)),
            "POST /uploads/ 0..0 → 202 location=/u/1
             PUT /u/1?D 0..0 → 201 digest=same
             Uploaded",
        );
    }
}

#[test]
fn a_stream_has_no_content_range() {
    check(
        machine(SIZE, form(Form::Streamed)),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..20 → 202 location=/u/2
         PUT /u/2?D 20..20 → 201 digest=same
         Uploaded",
    );
}

#[test]
fn chunks_follow_the_location_and_their_own_offset() {
    // ECR: 201 for a chunk, and a range that stays behind.
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1 range=0-0
         PATCH /u/1 0..8 range 0-7 → 201 location=/u/2 range=0-7
         PATCH /u/2 8..16 range 8-15 → 202 location=?s=3 range=0-7
         PATCH /u/2?s=3 16..20 range 16-19 → 204
         PUT /u/2?s=3&D 20..20 → 201 digest=same
         HEAD /blob → 200 length=20
         Uploaded",
    );
}

#[test]
fn a_registry_says_how_long_chunks_must_be() {
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1 least=12
         PATCH /u/1 0..12 range 0-11 → 202
         PATCH /u/1 12..20 range 12-19",
    );
    // Longer than the driver can keep: another form.
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1 least=17
         PUT /u/1?D 0..20",
    );
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1 least=much
         PATCH /u/1 0..8 range 0-7",
    );
}

#[test]
fn one_post_may_be_enough_or_begin_a_session() {
    check(
        machine(SIZE, form(Form::Post)),
        "POST /uploads/?D 0..20 → 201 digest=same
         Uploaded",
    );
    check(
        machine(SIZE, form(Form::Post)),
        "POST /uploads/?D 0..20 → 202 location=/u/1
         PUT /u/1?D 0..20",
    );
    check(
        machine(SIZE, form(Form::Post)),
        "POST /uploads/?D 0..20 → 405
         POST /uploads/ 0..0",
    );
    check(
        machine(SIZE, form(Form::Post)),
        "POST /uploads/?D 0..20 → broken
         wait → waited
         HEAD /blob → 404
         POST /uploads/?D 0..20 → 201 digest=same
         Uploaded",
    );
}

#[test]
fn forms_that_are_not_taken_are_followed_by_others() {
    for status in [404, 405, 411, 413, 415, 501] {
        check(
            machine(
                SIZE,
                Settings {
                    chunk: 8,
                    ..whole()
                },
            ),
            &format!(
                "POST /uploads/ 0..0 → 202 location=/u/1
                 PUT /u/1?D 0..20 → {status}
                 POST /uploads/ 0..0 → 202 location=/u/2
                 PATCH /u/2 0..20 → {status}
                 POST /uploads/ 0..0 → 202 location=/u/3
                 PATCH /u/3 0..8 range 0-7 → {status}
                 failed: the registry answered with the status {status}"
            ),
        );
    }
}

#[test]
fn a_chunk_that_is_too_long_for_its_range_is_streamed() {
    // GHCR: 416 for a chunk of more than 4 MiB. Nothing is wrong with the offset.
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..8 range 0-7 → 416
         GET /u/1 → 204 range=0-0
         POST /uploads/ 0..0 → 202 location=/u/2
         PUT /u/2?D 0..20 → 413
         POST /uploads/ 0..0 → 202 location=/u/3
         PATCH /u/3 0..20 → 202
         PUT /u/3?D 20..20 → 201 digest=same
         Uploaded",
    );
}

#[test]
fn chunks_are_cut_when_they_are_too_large() {
    let settings = Settings {
        first: Form::Chunked,
        ..Settings::default()
    };
    let mib = 1 << 20;
    check(
        machine(20 * mib, settings),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..8388608 range 0-8388607 → 413
         PATCH /u/1 0..2097152 range 0-2097151 → 202
         PATCH /u/1 2097152..4194304 range 2097152-4194303 → 413
         PATCH /u/1 2097152..3145728 range 2097152-3145727 → 413
         POST /uploads/ 0..0",
    );
}

#[test]
fn parts_that_a_registry_does_not_put_together_are_sent_as_one() {
    let parts = "POST /uploads/ 0..0 → 202 location=/u/1
                 PATCH /u/1 0..8 range 0-7 → 202
                 PATCH /u/1 8..16 range 8-15 → 202
                 PATCH /u/1 16..20 range 16-19 → 202\n";
    for end in [
        "PUT /u/1?D 20..20 → 400",
        "PUT /u/1?D 20..20 → 201\n HEAD /blob → 404",
        "PUT /u/1?D 20..20 → 201 digest=same\n HEAD /blob → 200 length=4",
    ] {
        let script = format!(
            "{parts} {end}
             POST /uploads/ 0..0 → 202 location=/u/2
             PUT /u/2?D 0..20 → 201 digest=same
             Uploaded"
        );
        check(machine(SIZE, chunked()), &script);
    }
}

#[test]
fn an_offset_that_is_wrong_is_asked_for() {
    // The chunk is there already, and then one was lost.
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..8 range 0-7 → 416
         GET /u/1 → 204 range=0-7 location=/u/2
         PATCH /u/2 8..16 range 8-15 → 202
         PATCH /u/2 16..20 range 16-19 → 416
         GET /u/2 → 204 range=0-9
         PATCH /u/2 10..18 range 10-17 → 202
         PATCH /u/2 18..20 range 18-19 → 202
         PUT /u/2?D 20..20",
    );
    // ECR says it with 400.
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..8 range 0-7 → 202
         PATCH /u/1 8..16 range 8-15 → 400
         GET /u/1 → 204 range=0-3
         PATCH /u/1 4..12 range 4-11",
    );
    // It cannot be asked.
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..8 range 0-7 → 416
         GET /u/1 → 405
         POST /uploads/ 0..0",
    );
}

#[test]
fn a_chunk_that_breaks_is_sent_again_from_where_the_registry_is() {
    for (range, from) in [
        ("", 8),
        (" range=0-7", 8),
        (" range=0-3", 8),
        (" range=0-11", 12),
        (" range=0-99", 8),
        (" range=junk", 8),
    ] {
        check(
            machine(SIZE, chunked()),
            &format!(
                "POST /uploads/ 0..0 → 202 location=/u/1
                 PATCH /u/1 0..8 range 0-7 → 202
                 PATCH /u/1 8..16 range 8-15 → broken
                 wait → waited
                 GET /u/1 → 204 location=/u/2{range}
                 PATCH /u/2 {from}..{to} range {from}-{last}",
                to = (from + 8).min(SIZE),
                last = (from + 8).min(SIZE) - 1
            ),
        );
    }
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..8 range 0-7 → 503
         wait → waited
         GET /u/1 → 429
         wait → waited
         GET /u/1 → 204 range=0-7
         PATCH /u/1 8..16 range 8-15 → 202
         PATCH /u/1 16..20 range 16-19 → broken
         wait → waited
         GET /u/1 → 204 range=0-19
         PUT /u/1?D 20..20",
    );
}

#[test]
fn a_stream_that_breaks_goes_on_where_the_registry_is_or_begins_anew() {
    check(
        machine(SIZE, form(Form::Streamed)),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..20 → broken
         wait → waited
         GET /u/1 → 204 range=0-9
         PATCH /u/1 10..20 range 10-19 → 202
         PUT /u/1?D 20..20 → 201 digest=same
         HEAD /blob → 200
         Uploaded",
    );
    // Nobody knows how much is there: another stream would be appended.
    for answer in ["204", "204 range=0-0", "405", "404"] {
        check(
            machine(SIZE, form(Form::Streamed)),
            &format!(
                "POST /uploads/ 0..0 → 202 location=/u/1
                 PATCH /u/1 0..20 → broken
                 wait → waited
                 GET /u/1 → {answer}
                 POST /uploads/ 0..0 → 202 location=/u/2
                 PATCH /u/2 0..20"
            ),
        );
    }
}

#[test]
fn a_put_whose_answer_is_lost_may_have_been_enough() {
    check(
        machine(SIZE, whole()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PUT /u/1?D 0..20 → broken
         wait → waited
         HEAD /blob → 200 length=20
         Uploaded",
    );
    check(
        machine(SIZE, whole()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PUT /u/1?D 0..20 → 500
         wait → waited
         HEAD /blob → 404
         GET /u/1 → 204 range=0-9
         PATCH /u/1 10..20 range 10-19 → 202
         PUT /u/1?D 20..20",
    );
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..8 range 0-7 → 202
         PATCH /u/1 8..16 range 8-15 → 202
         PATCH /u/1 16..20 range 16-19 → 202
         PUT /u/1?D 20..20 → broken
         wait → waited
         HEAD /blob → 404
         GET /u/1 → 204 range=0-7
         PUT /u/1?D 20..20 → 404
         HEAD /blob → 200 length=20
         Uploaded",
    );
}

#[test]
fn a_session_that_is_lost_begins_anew_three_times_at_most() {
    let lost = "PATCH /u/1 0..8 range 0-7 → 202
                PATCH /u/1 8..16 range 8-15 → 404\n";
    let begin = "POST /uploads/ 0..0 → 202 location=/u/1\n";
    let script = format!(
        "{begin}{lost}{begin}{lost}{begin}{lost}failed: the registry lost the upload 3 times"
    );
    check(machine(SIZE, chunked()), &script);
}

#[test]
fn a_mount_saves_the_upload() {
    let settings = || Settings {
        mount_from: Some("base/os".parse().unwrap()),
        ..whole()
    };
    check(
        machine(SIZE, settings()),
        "POST /uploads/?mount=B&from=base%2Fos 0..0 → 201 location=/v2/a/blobs/x
         Mounted",
    );
    check(
        machine(SIZE, settings()),
        "POST /uploads/?mount=B&from=base%2Fos 0..0 → 202 location=/u/1
         PUT /u/1?D 0..20",
    );
    for answer in [
        "202", "400", "401", "403", "404", "405", "429", "500", "200",
    ] {
        check(
            machine(SIZE, settings()),
            &format!(
                "POST /uploads/?mount=B&from=base%2Fos 0..0 → {answer}
                 POST /uploads/ 0..0"
            ),
        );
    }
    check(
        machine(SIZE, settings()),
        "POST /uploads/?mount=B&from=base%2Fos 0..0 → broken
         wait → waited
         POST /uploads/ 0..0",
    );
    let Action::Send(request) = machine(SIZE, settings()).next() else {
        panic!("a request is next")
    };
    assert_eq!(request.from.unwrap().as_str(), "base/os");
}

#[test]
fn what_cannot_be_helped_fails() {
    for (answer, error) in [
        (
            "202",
            "the registry began an upload and did not say where it goes on",
        ),
        ("404", "the registry answered with the status 404"),
        ("403", "the registry answered with the status 403"),
        (
            "202 location=http://r.example/u",
            "the registry names a place for the upload where the client does not go",
        ),
        (
            "202 location=https://10.0.0.1/u",
            "the registry names a place for the upload where the client does not go",
        ),
    ] {
        check(
            machine(SIZE, whole()),
            &format!("POST /uploads/ 0..0 → {answer}\n failed: {error}"),
        );
    }
    check(
        machine(SIZE, whole()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PUT /u/1?D 0..20 → 400
         failed: the registry answered with the status 400",
    );
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..8 range 0-7 → 202 location=https://u:p@r.example/
         failed: the registry names a place for the upload where the client does not go",
    );
}

#[test]
fn sessions_on_other_hosts_get_no_credentials() {
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → 202 location=https://s.example/u
         PATCH /u 0..8 range 0-7 without credentials → 202
         PATCH /u 8..16 range 8-15 without credentials → 202 location=https://r.example/u
         PATCH /u 16..20 range 16-19",
    );
    check(
        machine(SIZE, whole()).on_same_host_only(),
        "POST /uploads/ 0..0 → 202 location=https://s.example/u
         failed: the registry names a place for the upload where the client does not go",
    );
}

#[test]
fn a_request_with_old_credentials_is_sent_again() {
    check(
        machine(SIZE, chunked()),
        "POST /uploads/ 0..0 → renewed
         POST /uploads/ 0..0 → 202 location=/u/1
         PATCH /u/1 0..8 range 0-7 → 202
         PATCH /u/1 8..16 range 8-15 → renewed
         PATCH /u/1 8..16 range 8-15 → 202
         PATCH /u/1 16..20 range 16-19 → 202
         PUT /u/1?D 20..20 → renewed
         PUT /u/1?D 20..20",
    );
}

#[test]
fn a_session_can_be_given_up() {
    let mut upload = machine(SIZE, chunked());
    assert_eq!(upload.cancel(), None);
    give(&mut upload, "202 location=/u/1");
    let request = upload.cancel().unwrap();
    assert_eq!(
        (request.method, request.url.path()),
        (Method::DELETE, "/u/1")
    );
    let mut done = machine(0, whole());
    give(&mut done, "202 location=/u/1");
    give(&mut done, "201 digest=same");
    assert_eq!(done.cancel(), None);
}

#[test]
fn answers_that_nobody_waits_for_change_nothing() {
    let mut upload = machine(SIZE, whole());
    give(&mut upload, "waited");
    assert_eq!(line(&upload), "POST /uploads/ 0..0");
    give(&mut upload, "broken");
    give(&mut upload, "202 location=/u/1");
    assert_eq!(line(&upload), "wait");
}

fn answers() -> impl Strategy<Value = String> {
    let status = prop_oneof![
        4 => Just(202_u16),
        2 => Just(201),
        1 => Just(204),
        1 => proptest::sample::select(vec![200, 301, 400, 401, 403, 404, 405, 413, 415, 416, 500, 503, 599]),
    ];
    let location = proptest::sample::select(vec![
        "",
        " location=/u/1",
        " location=/u/2",
        " location=https://s.example/u",
    ]);
    let range = prop_oneof![
        Just(String::new()),
        (0_u64..25).prop_map(|last| format!(" range=0-{last}")),
    ];
    prop_oneof![
        8 => (status, location, range).prop_map(|(status, location, range)| format!("{status}{location}{range}")),
        1 => Just("broken".to_owned()),
    ]
}

proptest! {
    /// A registry that stores what comes, but answers as it likes: the machine ends, and sends no byte from behind a gap.
    #[test]
    fn every_upload_comes_to_an_end(
        first in proptest::sample::select(vec![Form::Post, Form::Whole, Form::Streamed, Form::Chunked]),
        size in 0_u64..25,
        answers in proptest::collection::vec(answers(), 1..40),
    ) {
        let mut upload = machine(size, form(first));
        let mut waits = 0;
        // The last answer again and again.
        let last = answers[answers.len() - 1].clone();
        for step in 0..400 {
            match upload.next() {
                Action::Done(_) | Action::Failed(_) => return Ok(()),
                Action::Wait => {
                    waits += 1;
                    // The policy gives up at some point.
                    if waits > 10 {
                        return Ok(());
                    }
                    upload.answer(Answer::Waited);
                }
                Action::Send(request) => {
                    if let Some(body) = &request.body {
                        prop_assert!(body.start <= body.end && body.end <= size);
                        prop_assert!(body.start <= upload.offset());
                    }
                    give(&mut upload, answers.get(step).unwrap_or(&last));
                }
            }
        }
        prop_assert!(false, "400 requests");
    }

    /// A registry that keeps sessions as they should be, behind a network that loses requests and answers: the blob
    /// arrives whole, and no more than a chunk is sent again for each loss.
    #[test]
    fn a_lossy_network_costs_one_chunk_a_loss(
        size in 0_u64..60,
        losses in proptest::collection::vec(proptest::sample::select(vec!["", "request", "answer", "half"]), 0..30),
    ) {
        let mut upload = machine(size, chunked());
        let (mut stored, mut sent, mut lost, mut committed) = (0_u64, 0_u64, 0_u64, false);
        let mut losses = losses.into_iter();
        for _ in 0..500 {
            let request = match upload.next() {
                Action::Send(request) => request,
                Action::Wait => { upload.answer(Answer::Waited); continue }
                Action::Done(_) => break,
                Action::Failed(error) => return Err(TestCaseError::fail(error.to_string())),
            };
            let loss = losses.next().unwrap_or_default();
            lost += u64::from(!loss.is_empty());
            let body = request.body.clone().unwrap_or(0..0);
            sent += body.end - body.start;
            if loss == "request" {
                upload.answer(Answer::Broken);
                continue;
            }
            let answer = match request.method.as_str() {
                "POST" => { stored = 0; "202 location=/u/1".to_owned() }
                "GET" if stored == 0 => "204 range=0-0".to_owned(),
                "GET" => format!("204 range=0-{}", stored - 1),
                "HEAD" if committed => format!("200 length={size}"),
                "HEAD" => "404".to_owned(),
                "PATCH" if body.start != stored => "416".to_owned(),
                "PATCH" if loss == "half" => {
                    stored += (body.end - body.start) / 2;
                    upload.answer(Answer::Broken);
                    continue;
                }
                "PATCH" => { stored = body.end; format!("202 range=0-{}", stored - 1) }
                _ if committed => "404".to_owned(),
                _ => { stored += body.end - body.start; committed = stored == size; if committed { "201".to_owned() } else { "400".to_owned() } }
            };
            if loss.is_empty() { give(&mut upload, &answer) } else { upload.answer(Answer::Broken) }
        }
        prop_assert_eq!(upload.next(), Action::Done(Done::Uploaded));
        prop_assert!(committed);
        prop_assert!(sent <= size + lost * 8, "{} of {} with {} losses", sent, size, lost);
    }
}
