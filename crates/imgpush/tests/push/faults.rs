//! A fault at every request: the push works all the same, or is completed by running it again. Time is paused.

use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use imgauth::{Fixed, RegistryCredential};
use imgcore::{Descriptor, Digest};
use imgpush::{Image, Options, Progress, Sources, push};
use imgregistry::Client;
use imgserve::distribution::Registry;
use imgserve::http::Handler;
use imgstore::{BlobSource, BlobStream, MemoryStore, Presence, UnverifiedStream};
use imgtest::image::{ImageIndex, index_of};
use imgtest::registry::{
    CANARY, ExpiresIn, Fault, Faults, Guard, InProcess, Recorder, RequestClass, Rule, TokenOptions,
    TokenServer, Wire,
};

use super::world::{HOST, ORIGIN, World, assert_has, built, built_for, index_to, remote, to};

const SIZE: usize = 3000;

/// A registry with a script, and one way past it.
struct Stage {
    world: World,
    faults: Arc<Faults>,
    past: Client,
}

impl Stage {
    fn new() -> Self {
        let registry: Arc<dyn Handler> = Arc::new(Registry::in_memory());
        let faults = Faults::new(Arc::clone(&registry));
        let past = InProcess::new().with(ORIGIN, registry);
        Self {
            world: World::with(Arc::clone(&faults) as _),
            faults,
            past: super::world::client(past),
        }
    }

    /// Counts the blobs that the registry does not have.
    async fn missing(&self, index: &ImageIndex) -> u64 {
        let remote = remote(&self.past, HOST, "team/app");
        let mut missing = 0;
        for (digest, bytes) in &index.blobs {
            let is_document = imgcore::Document::classify(bytes, None).is_ok();
            let found = remote.head_blob(digest).await.unwrap();
            missing += u64::from(!is_document && found == Presence::Absent);
        }
        missing
    }

    async fn assert_whole(&self, index: &ImageIndex) {
        let remote = remote(&self.past, HOST, "team/app");
        assert_has(&remote, "v1", &index.index, &index.blobs).await;
    }
}

fn index() -> ImageIndex {
    index_of(&["amd64", "arm64"].map(|it| built_for(it, &[1, 2], SIZE)))
}

fn faults() -> Vec<Fault> {
    vec![
        Fault::Reset,
        Fault::LostAnswer,
        Fault::CutRequest { after: 1000 },
        Fault::Stall,
        Fault::status(400),
        Fault::status(403),
        Fault::status(404),
        Fault::status(429).with_header("Retry-After", "2"),
        Fault::status(500),
        Fault::status(503),
    ]
}

/// Returns how many requests a push makes.
async fn requests() -> usize {
    let stage = Stage::new();
    let index = index();
    stage.world.push([index_to(&index, "team/app", "v1")]).await;
    stage.world.registry.len()
}

#[tokio::test(start_paused = true)]
async fn one_fault_at_any_request_is_overcome_now_or_by_the_next_push() {
    let requests = requests().await;
    assert!(requests > 15, "{requests}");
    for place in 0..requests {
        for fault in faults() {
            let name = format!("{fault:?} at request {place}");
            check(Rule::new(fault).after(place).times(1), &name).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_that_goes_away_at_any_request_is_overcome_by_the_next_push() {
    for place in 0..requests().await {
        for fault in [Fault::Reset, Fault::LostAnswer, Fault::status(403)] {
            let name = format!("{fault:?} from request {place} on");
            check(Rule::new(fault).after(place), &name).await;
        }
    }
}

/// Pushes with a fault, and again without.
async fn check(rule: Rule, name: &str) {
    let stage = Stage::new();
    let index = index();
    let wanted = || [index_to(&index, "team/app", "v1")];
    stage.faults.script(rule);
    let report = stage.world.try_push(wanted(), &Options::default()).await;
    stage.faults.clear();
    for error in &report.images[0].errors {
        let text = error.to_string();
        assert!(
            text.contains("team/app") || text.contains(HOST),
            "{name}: {text}"
        );
    }
    if report.is_success() {
        stage.assert_whole(&index).await;
    }
    let missing = stage.missing(&index).await;
    let again = stage.world.push(wanted()).await;
    assert_eq!(again.sent.blobs, missing, "{name}");
    stage.assert_whole(&index).await;
}

#[tokio::test(start_paused = true)]
async fn what_arrived_is_not_sent_again_when_an_answer_is_lost() {
    for class in [RequestClass::StartUpload, RequestClass::FinishUpload] {
        let stage = Stage::new();
        let image = built(&[1, 2]);
        stage.faults.once(class, Fault::LostAnswer);
        stage.world.push([to(&image, "team/app", "v1")]).await;
        let bytes: u64 = image.blobs.values().map(|it| it.len() as u64).sum();
        assert_eq!(stage.world.registry.received(), bytes, "{class}");
    }
}

/// A source that takes a second for each 100 kB.
struct Slow(MemoryStore);

impl BlobSource for Slow {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, imgstore::Result<Vec<Presence>>> {
        self.0.stat(digests)
    }

    fn open<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, imgstore::Result<BlobStream>> {
        self.0.open(descriptor)
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: std::ops::Range<u64>,
    ) -> BoxFuture<'a, imgstore::Result<UnverifiedStream>> {
        Box::pin(async move {
            let bytes = self.0.open_range(descriptor, range).await?;
            Ok(UnverifiedStream::new(bytes.then(|piece| async {
                tokio::time::sleep(Duration::from_millis(655)).await;
                piece
            })))
        })
    }

    fn local_path(&self, _digest: &Digest) -> Option<std::path::PathBuf> {
        None
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_of_two_seconds_are_enough_for_a_slow_upload() {
    let password = format!("{CANARY}push-password");
    let mut options = TokenOptions::default();
    options.users.insert("robot".into(), password.clone());
    options.anonymous = false;
    options.expires_in = ExpiresIn::Seconds(2);
    options.life = Duration::from_secs(2);
    let server = TokenServer::new(options);
    let realm = "https://auth.example.com/token";
    let guard = Guard::bearer(Arc::new(Registry::in_memory()), &server, realm);
    let registry = Recorder::new(Arc::new(guard));
    let network = InProcess::new()
        .with(ORIGIN, Arc::clone(&registry))
        .with("https://auth.example.com", Arc::clone(&server));
    let credential = RegistryCredential::basic("robot", password);
    let client = Client::builder()
        .transport(Arc::new(Wire(network)))
        .keychain(Arc::new(
            Fixed::default().with(HOST.parse().unwrap(), credential),
        ))
        .build()
        .unwrap();
    // Ten seconds a layer, and small ones that come between.
    let image = built_for("amd64", &[1, 2], 1_000_000);
    let store = MemoryStore::new();
    for bytes in image.blobs.values() {
        store.insert(bytes.clone());
    }
    let mut wanted = to(&image, "team/app", "v1");
    wanted.sources = Sources::of("slow", Arc::new(Slow(store)));
    let start = tokio::time::Instant::now();
    let images: [Image; 1] = [wanted];
    let report = push(&client, images, &Options::default(), &Progress::default()).await;
    assert!(report.is_success(), "{report}");
    assert!(start.elapsed() > Duration::from_secs(10));
    assert!(server.issued().len() > 2, "{:?}", server.issued().len());
    assert_has(
        &remote(&client, HOST, "team/app"),
        "v1",
        &image.manifest,
        &image.blobs,
    )
    .await;
    let sent: u64 = registry.received();
    let bytes: u64 = image.blobs.values().map(|it| it.len() as u64).sum();
    assert!(sent < bytes * 3, "{sent} of {bytes}");
}
