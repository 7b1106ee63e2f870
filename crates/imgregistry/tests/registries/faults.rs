//! Faults that need a scene of their own: tokens that end, blobs that go on, large blobs, waits. What every kind of
//! request makes of every kind of fault stands in [`matrix`](super::matrix). Time is paused, so nothing waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use imgregistry::ErrorKind;
use imgtest::registry::{Fault, InProcess, Recorder, RequestClass, Rule, slow};

use super::matrix::{BLOB, CLASSES, HOST, ORIGIN, World, act, sent_bytes};
use super::world::{blob, client, noise, read, registry, repository_of, seed_blob, write};

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_in_the_middle_is_replaced() {
    for class in CLASSES {
        // Three do not go to the registry with a token, and one is the end of an upload which failed.
        let is_left_out = matches!(
            class,
            RequestClass::CancelUpload
                | RequestClass::Other
                | RequestClass::Ping
                | RequestClass::Token
        );
        if is_left_out {
            continue;
        }
        let world = World::of(class).await;
        // The token is fresh when the request is made, and over when it arrives.
        world.warm_up(class).await;
        let server = Arc::clone(&world.server);
        let expire = Fault::before(move || server.expire_all());
        world.script(class, Rule::new(expire).times(1));
        let outcome = act(&world, class).await;
        outcome.unwrap_or_else(|failed| panic!("{class}: {}", failed.as_dyn()));
        assert_eq!(world.struck(), 1, "{class}");
        world.ear.assert_clean();
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_goes_on_where_it_broke_off() {
    let world = World::of(RequestClass::GetBlob).await;
    world.warm_up(RequestClass::GetBlob).await;
    for after in [1_000, 50_000, 0, 100_000] {
        let rule = Rule::new(Fault::Break { after }).times(1);
        world.script(RequestClass::GetBlob, rule);
    }
    act(&world, RequestClass::GetBlob).await.unwrap();
    let gets = world.registry.of(RequestClass::GetBlob);
    let ranges: Vec<_> = gets.iter().filter_map(|get| get.header("range")).collect();
    assert_eq!(
        ranges,
        [
            "bytes=1000-",
            "bytes=51000-",
            "bytes=51000-",
            "bytes=151000-"
        ]
    );
    let sent: u64 = gets.iter().map(|get| get.sent).sum();
    assert_eq!(sent, BLOB as u64, "no byte is sent twice");
}

#[tokio::test(start_paused = true)]
async fn a_server_without_ranges_is_read_from_its_start_again() {
    let world = World::of(RequestClass::GetBlob).await;
    world.warm_up(RequestClass::GetBlob).await;
    world.script(
        RequestClass::GetBlob,
        Rule::new(Fault::Break { after: 1000 }).times(1),
    );
    let whole = world.content.clone();
    let ignore = Fault::change(move |response| {
        *response = imgtest::registry::respond(200, &[], whole.clone());
    });
    world.script(RequestClass::GetBlob, Rule::new(ignore).times(1));
    act(&world, RequestClass::GetBlob).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_wrong_range_is_not_taken_for_the_right_one() {
    let world = World::of(RequestClass::GetBlob).await;
    world.warm_up(RequestClass::GetBlob).await;
    world.script(
        RequestClass::GetBlob,
        Rule::new(Fault::Break { after: 1000 }).times(1),
    );
    let shifted = Fault::set_header("content-range", "bytes 999-299998/300000");
    world.script(RequestClass::GetBlob, Rule::new(shifted));
    let failed = act(&world, RequestClass::GetBlob).await.unwrap_err();
    assert_eq!(failed.error().kind(), ErrorKind::Protocol);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_asks_for_is_waited_and_no_more_than_a_minute() {
    let now = SystemTime::now();
    let date = httpdate::fmt_http_date(now + Duration::from_secs(30));
    for (value, at_least, at_most) in [
        ("7", 7.0, 9.0),
        ("0", 0.0, 1.5),
        ("99999999999", 40.0, 61.0),
        ("soon", 0.5, 2.0),
        (date.as_str(), 20.0, 33.0),
    ] {
        let world = World::new().await;
        let fault = Fault::status(503).with_header("Retry-After", value);
        world.script(RequestClass::GetManifest, Rule::new(fault).times(1));
        let start = tokio::time::Instant::now();
        act(&world, RequestClass::GetManifest).await.unwrap();
        let waited = start.elapsed().as_secs_f64();
        let is_right = (at_least..=at_most).contains(&waited);
        assert!(is_right, "Retry-After {value:?}: {waited} s were waited");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_not_repeated() {
    for status in [400, 403, 404, 405, 410] {
        let world = World::of(RequestClass::GetManifest).await;
        world.warm_up(RequestClass::GetManifest).await;
        world.script(RequestClass::GetManifest, Rule::new(Fault::status(status)));
        act(&world, RequestClass::GetManifest).await.unwrap_err();
        assert_eq!(world.struck(), 1, "{status}");
    }
}

const CHUNK: u64 = 8 * 1024 * 1024;
const LARGE: usize = 20 * 1024 * 1024;

#[tokio::test(start_paused = true)]
async fn of_a_large_blob_that_comes_once_at_most_a_chunk_is_sent_again() {
    let faults = [
        Fault::CutRequest { after: 3_000_000 },
        Fault::LostAnswer,
        Fault::Reset,
        Fault::status(503).with_header("Retry-After", "1"),
        Fault::status(429),
    ];
    for fault in faults {
        for after in [0, 1, 2] {
            let world = World::new().await;
            let name = format!("chunk {after} meets {fault:?}");
            let rule = Rule::new(fault.clone()).after(after).times(1);
            world.script(RequestClass::PatchUpload, rule);
            let content = noise(41, LARGE);
            let descriptor = blob(&content);
            let outcome = write(&world.remote, &descriptor, &content).await;
            outcome.unwrap_or_else(|failed| panic!("{name}: {}", failed.as_dyn()));
            assert_eq!(world.struck(), 1, "{name}");
            let received = sent_bytes(&world);
            assert!(
                received <= LARGE as u64 + CHUNK,
                "{name}: {received} bytes of {LARGE}"
            );
            assert_eq!(
                read(&world.remote, &descriptor).await.unwrap(),
                content,
                "{name}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_blob_that_can_be_read_again_goes_on_where_it_broke_off() {
    for after in [1_000_000, 15_000_000] {
        let world = World::new().await;
        let rule = Rule::new(Fault::CutRequest { after }).times(1);
        world.script(RequestClass::FinishUpload, rule);
        let content = noise(43, LARGE);
        let descriptor = blob(&content);
        let source = imgstore::MemoryStore::new();
        source.insert(content.clone());
        world
            .remote
            .upload(&descriptor, &source, None)
            .await
            .unwrap();
        let received = sent_bytes(&world);
        let most = LARGE as u64 + 64 * 1024;
        assert!(
            received <= most,
            "broken after {after}: {received} bytes of {LARGE}"
        );
        assert_eq!(read(&world.remote, &descriptor).await.unwrap(), content);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_during_a_long_upload_costs_no_byte_twice() {
    for class in [RequestClass::PatchUpload, RequestClass::FinishUpload] {
        let world = World::new().await;
        act(&world, RequestClass::GetManifest).await.unwrap();
        let server = Arc::clone(&world.server);
        let expire = Fault::before(move || server.expire_all());
        let last = Rule::new(expire).after(usize::from(class == RequestClass::PatchUpload));
        world.script(class, last.times(1));
        let content = noise(47, LARGE);
        let descriptor = blob(&content);
        write(&world.remote, &descriptor, &content).await.unwrap();
        assert_eq!(world.struck(), 1, "{class}");
        let received = sent_bytes(&world);
        // A registry that refuses has read nothing of what it refuses.
        assert!(
            received <= LARGE as u64,
            "{class}: {received} bytes of {LARGE}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_before_a_blob_goes_in_one_piece_costs_no_byte_twice() {
    let world = World::new().await;
    act(&world, RequestClass::GetManifest).await.unwrap();
    let server = Arc::clone(&world.server);
    let expire = Fault::before(move || server.expire_all());
    world.script(RequestClass::FinishUpload, Rule::new(expire).times(1));
    let content = noise(53, LARGE);
    let descriptor = blob(&content);
    let source = imgstore::MemoryStore::new();
    source.insert(content.clone());
    let uploaded = world.remote.upload(&descriptor, &source, None).await;
    assert_eq!(uploaded.unwrap(), imgregistry::Uploaded::Sent);
    assert_eq!(world.struck(), 1);
    assert_eq!(world.registry.count(RequestClass::PatchUpload), 0);
    assert_eq!(world.registry.count(RequestClass::FinishUpload), 2);
    // A registry that refuses has read nothing of what it refuses.
    assert_eq!(sent_bytes(&world), LARGE as u64);
}

#[tokio::test(start_paused = true)]
async fn as_many_requests_are_in_flight_as_the_ceiling_allows() {
    let inner = registry();
    let contents: Vec<_> = (0..30).map(|seed| noise(seed + 100, 2000)).collect();
    for content in &contents {
        seed_blob(&inner, "team/app", &blob(content).digest, content).await;
    }
    let recorder = Recorder::new(slow(inner, Duration::from_secs(1)));
    let network = InProcess::new().with(ORIGIN, Arc::clone(&recorder));
    let (builder, _) = client(&network);
    let client = builder.max_requests_in_flight(3).build().unwrap();
    let remote = repository_of(&client, HOST, "team/app");
    let reads = contents.iter().map(|content| {
        let (remote, descriptor) = (remote.clone(), blob(content));
        async move { read(&remote, &descriptor).await.map(drop) }
    });
    for outcome in futures_util::future::join_all(reads).await {
        outcome.unwrap();
    }
    assert_eq!(recorder.most_in_flight(), 3);
    assert_eq!(recorder.count(RequestClass::GetBlob), 30);
}
