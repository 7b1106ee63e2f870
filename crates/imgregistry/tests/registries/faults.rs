//! Every kind of request against every kind of fault: once, and for ever. Time is paused, so nothing waits.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use imgcore::{Descriptor, Digest};
use imgregistry::protocol::retry::Policy;
use imgregistry::{ErrorKind, Remote, TagOrDigest};
use imgserve::http::Handler;
use imgstore::{BlobSourceExt as _, Presence};
use imgtest::registry::{
    Fault, Faults, Guard, InProcess, Recorder, RequestClass, Rule, TokenOptions, TokenServer,
    overloads, slow,
};

use super::world::{
    Ear, Failed, blob, client, image, login, noise, read, registry, repository_of, seed, seed_blob,
    tag, write,
};

const HOST: &str = "registry.example.com";
const ORIGIN: &str = "https://registry.example.com";
const REALM: &str = "https://auth.example.com/token";
const USER: &str = "robot";
const PASSWORD: &str = "imgkit-canary-fault-password";

/// Large enough for several pieces, small enough for hundreds of runs.
const BLOB: usize = 300_000;

/// A registry with a token server, and a script for each.
struct World {
    registry: Arc<Recorder>,
    faults: Arc<Faults>,
    token_faults: Arc<Faults>,
    server: Arc<TokenServer>,
    remote: Remote,
    ear: Arc<Ear>,
    blob: Descriptor,
    content: Vec<u8>,
}

impl World {
    async fn new() -> Self {
        let inner = registry();
        let content = noise(11, BLOB);
        let blob = blob(&content);
        seed(&inner, "team/app", &image(), "v1").await;
        seed_blob(&inner, "team/app", &blob.digest, &content).await;
        let mut options = TokenOptions::default();
        options.users.insert(USER.into(), PASSWORD.into());
        let server = TokenServer::new(options);
        let guard: Arc<dyn Handler> = Arc::new(Guard::bearer(inner, &server, REALM));
        let faults = Faults::new(guard);
        let token_faults = Faults::new(Arc::clone(&server) as _);
        let registry = Recorder::new(Arc::clone(&faults) as _);
        let network = InProcess::new()
            .with(ORIGIN, Arc::clone(&registry))
            .with("https://auth.example.com", Arc::clone(&token_faults));
        let (builder, ear) = client(&network);
        let client = builder
            .keychain(Arc::new(login(HOST, USER, PASSWORD)))
            .patience(Duration::from_secs(30))
            .build()
            .unwrap();
        let remote = repository_of(&client, HOST, "team/app");
        Self {
            registry,
            faults,
            token_faults,
            server,
            remote,
            ear,
            blob,
            content,
        }
    }

    /// Lets the client get its token, so that faults strike requests that carry one.
    async fn warm_up(&self, class: RequestClass) {
        if class != RequestClass::Token {
            act(self, RequestClass::GetManifest).await.unwrap();
            self.registry.clear();
        }
    }

    fn script(&self, class: RequestClass, rule: Rule) {
        if class == RequestClass::Token {
            self.token_faults.script(rule.on(class));
        } else {
            self.faults.script(rule.on(class));
        }
    }

    fn struck(&self) -> usize {
        self.faults.struck() + self.token_faults.struck()
    }
}

/// Does what makes requests of a class, and checks what comes of it.
async fn act(world: &World, class: RequestClass) -> Result<(), Failed> {
    let remote = &world.remote;
    match class {
        RequestClass::HeadBlob => {
            let found = remote.stat_one(&world.blob.digest).await?;
            assert_eq!(found, Presence::Present { size: BLOB as u64 });
        }
        RequestClass::GetBlob => {
            let bytes = read(remote, &world.blob).await?;
            assert_eq!(bytes, world.content);
        }
        RequestClass::GetManifest | RequestClass::Token => {
            let fetched = remote.manifest(&tag("v1")).await?;
            assert_eq!(fetched.descriptor.digest, image().manifest.digest);
        }
        RequestClass::HeadManifest => {
            let found = remote.head_manifest(&tag("v1")).await?;
            assert_eq!(
                found.map(|found| found.digest),
                Some(image().manifest.digest)
            );
        }
        RequestClass::Tags => {
            let tags = remote.tags().all().await?;
            assert_eq!(tags.len(), 1);
        }
        RequestClass::Referrers => {
            let referrers = remote.referrers(&image().manifest.digest, None).await?;
            assert_eq!(referrers.manifests, []);
        }
        RequestClass::StartUpload | RequestClass::PatchUpload | RequestClass::FinishUpload => {
            let content = noise(23, BLOB);
            let descriptor = blob(&content);
            write(remote, &descriptor, &content).await?;
            assert_eq!(
                stored(world, &descriptor.digest).await,
                Some(content.into())
            );
        }
        RequestClass::PutManifest => {
            let image = image();
            let bytes = Bytes::copy_from_slice(image.blob(&image.manifest));
            let put = remote
                .put_manifest(&tag("v2"), &image.manifest.media_type, bytes)
                .await?;
            assert_eq!(put.digest, image.manifest.digest);
        }
        RequestClass::DeleteManifest => {
            remote
                .delete_manifest(&TagOrDigest::from(image().manifest.digest))
                .await?;
        }
        _ => unreachable!("no test makes requests of class {class}"),
    }
    Ok(())
}

/// Reads what the registry has, when no fault is left in the script.
async fn stored(world: &World, digest: &Digest) -> Option<Bytes> {
    world.faults.clear();
    let descriptor = Descriptor::new(imgcore::MediaType::OCI_LAYER_TAR, *digest, BLOB as u64);
    read(&world.remote, &descriptor).await.ok()
}

const READING: [RequestClass; 6] = [
    RequestClass::HeadBlob,
    RequestClass::GetBlob,
    RequestClass::GetManifest,
    RequestClass::HeadManifest,
    RequestClass::Tags,
    RequestClass::Referrers,
];

const WRITING: [RequestClass; 3] = [
    RequestClass::StartUpload,
    RequestClass::FinishUpload,
    RequestClass::PutManifest,
];

/// Faults before an answer, which any request can meet.
fn before_the_answer() -> Vec<Fault> {
    let mut faults = overloads(SystemTime::now());
    faults.extend([Fault::Reset, Fault::LostAnswer, Fault::Stall]);
    faults
}

/// Faults within an answer, which requests for bytes can meet.
fn within_the_answer() -> [Fault; 6] {
    [
        Fault::StallBody { after: 10 },
        Fault::Truncate { after: 10 },
        Fault::Break { after: 0 },
        Fault::Break { after: 10 },
        Fault::WrongLength { by: 5 },
        Fault::WrongLength { by: -5 },
    ]
}

async fn once(class: RequestClass, fault: Fault) {
    let world = World::new().await;
    world.warm_up(class).await;
    let name = format!("{class} meets {fault:?} once");
    world.script(class, Rule::new(fault).times(1));
    let outcome = act(&world, class).await;
    assert_eq!(world.struck(), 1, "{name}: the fault did not strike");
    outcome.unwrap_or_else(|failed| panic!("{name}: {}", failed.as_dyn()));
    // Bytes that arrived are not asked for again, those of one piece excepted.
    let most = BLOB as u64 + 64 * 1024;
    let sent: u64 = world
        .registry
        .of(RequestClass::GetBlob)
        .iter()
        .map(|it| it.sent)
        .sum();
    if class == RequestClass::GetBlob {
        assert!(sent <= most, "{name}: {sent} bytes of {BLOB} were sent");
    }
    world.ear.assert_clean();
}

async fn always(class: RequestClass, fault: Fault) {
    let world = World::new().await;
    world.warm_up(class).await;
    let name = format!("{class} meets {fault:?} always");
    world.script(class, Rule::new(fault));
    let failed = act(&world, class).await.expect_err(&name);
    let error = failed.error();
    world.ear.error(&failed);
    let kinds = [ErrorKind::Unavailable, ErrorKind::Throttled];
    let is_short = matches!(error.kind(), ErrorKind::SizeMismatch { .. });
    assert!(
        kinds.contains(&error.kind()) || is_short,
        "{name}: {error:?}"
    );
    assert_eq!(
        error.attempts(),
        Policy::default().max_attempts,
        "{name}: {error}"
    );
    let text = error.to_string();
    let host = if class == RequestClass::Token {
        "auth.example.com"
    } else {
        HOST
    };
    assert!(text.contains(host), "{name} does not name the host: {text}");
    let subject = match class {
        RequestClass::GetBlob | RequestClass::HeadBlob => world.blob.digest.to_string(),
        RequestClass::GetManifest | RequestClass::HeadManifest => "v1".into(),
        RequestClass::Referrers => image().manifest.digest.to_string(),
        _ => "team/app".into(),
    };
    assert!(
        text.contains(&subject),
        "{name} does not name {subject}: {text}"
    );
    world.ear.assert_clean();
}

#[tokio::test(start_paused = true)]
async fn reading_survives_one_fault_before_the_answer() {
    for class in READING {
        for fault in before_the_answer() {
            once(class, fault).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn reading_survives_one_fault_within_the_answer() {
    let with_body = [
        RequestClass::GetBlob,
        RequestClass::GetManifest,
        RequestClass::Tags,
        RequestClass::Referrers,
    ];
    for class in with_body {
        for fault in within_the_answer() {
            once(class, fault).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn asking_for_a_token_survives_one_fault() {
    for fault in before_the_answer().into_iter().chain(within_the_answer()) {
        once(RequestClass::Token, fault).await;
    }
}

#[tokio::test(start_paused = true)]
async fn reading_for_ever_in_vain_is_one_typed_error() {
    for class in READING.into_iter().chain([RequestClass::Token]) {
        for fault in before_the_answer() {
            always(class, fault).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_always_breaks_off_at_once_is_one_typed_error() {
    for fault in [
        Fault::StallBody { after: 0 },
        Fault::Break { after: 0 },
        Fault::Truncate { after: 0 },
        Fault::Break { after: 10 },
    ] {
        always(RequestClass::GetBlob, fault).await;
    }
}

#[tokio::test(start_paused = true)]
async fn writing_survives_one_fault_before_the_answer() {
    for class in WRITING {
        for fault in before_the_answer() {
            once_writing(class, fault).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn writing_survives_a_connection_that_breaks_in_the_middle() {
    for after in [0, 1, 1000, 100_000, BLOB as u64] {
        once_writing(RequestClass::FinishUpload, Fault::CutRequest { after }).await;
    }
    for after in [0, 100] {
        once_writing(RequestClass::PutManifest, Fault::CutRequest { after }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn writing_for_ever_in_vain_is_one_typed_error() {
    for class in WRITING {
        for fault in before_the_answer() {
            // The blob is there, only nobody said so: the client looks, and is content.
            if class == RequestClass::FinishUpload && matches!(fault, Fault::LostAnswer) {
                once_writing(class, fault).await;
                continue;
            }
            always(class, fault).await;
        }
    }
}

/// As [`once`], and no more than one chunk of the blob is sent again.
async fn once_writing(class: RequestClass, fault: Fault) {
    let world = World::new().await;
    world.warm_up(class).await;
    let name = format!("{class} meets {fault:?} once");
    world.script(class, Rule::new(fault).times(1));
    let outcome = act(&world, class).await;
    assert_eq!(world.struck(), 1, "{name}: the fault did not strike");
    outcome.unwrap_or_else(|failed| panic!("{name}: {}", failed.as_dyn()));
    let received = sent_bytes(&world);
    assert!(
        received <= 2 * BLOB as u64 + 64 * 1024,
        "{name}: {received} bytes for {BLOB}"
    );
    world.ear.assert_clean();
}

/// Counts what came as parts of blobs.
fn sent_bytes(world: &World) -> u64 {
    let classes = [
        RequestClass::StartUpload,
        RequestClass::PatchUpload,
        RequestClass::FinishUpload,
    ];
    let all = world.registry.exchanges();
    let uploads = all
        .iter()
        .filter(|exchange| classes.contains(&exchange.class));
    uploads.map(|exchange| exchange.received).sum()
}

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_in_the_middle_is_replaced() {
    for class in READING.into_iter().chain(WRITING) {
        let world = World::new().await;
        // The token is fresh when the request is made, and over when it arrives.
        world.warm_up(class).await;
        let server = Arc::clone(&world.server);
        let expire = Fault::before(move || server.expire_all());
        world.script(class, Rule::new(expire).times(1));
        let outcome = act(&world, class).await;
        outcome.unwrap_or_else(|failed| panic!("{class}: {}", failed.as_dyn()));
        assert_eq!(world.faults.struck(), 1);
        world.ear.assert_clean();
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_goes_on_where_it_broke_off() {
    let world = World::new().await;
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
    let world = World::new().await;
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
    let world = World::new().await;
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
        let world = World::new().await;
        world.warm_up(RequestClass::GetManifest).await;
        world.script(RequestClass::GetManifest, Rule::new(Fault::status(status)));
        act(&world, RequestClass::GetManifest).await.unwrap_err();
        assert_eq!(world.faults.struck(), 1, "{status}");
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
