//! What garbage collection takes, and what it must not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use imgload::{Engine as _, Event, Image, Progress};
use imgtar::Codec;
use tokio::sync::oneshot;

use crate::daemon::Engine;
use crate::sample::{Sample, Stopping, load};

const LAYERS: [(usize, Codec); 3] = [
    (300_000, Codec::None),
    (100_000, Codec::Gzip),
    (50_000, Codec::Zstd),
];

/// Loads an image, and collects garbage after everything that is written.
async fn load_among_collections(engine: &Arc<Engine>, image: &Image) {
    let client = engine.client().await;
    let collector = Arc::clone(engine);
    let progress = Progress::new(move |event| {
        if matches!(event, Event::BlobDone { .. } | Event::Named { .. }) {
            collector.daemon.collect_garbage("default");
        }
    });
    client.load(image, &progress).await.unwrap();
    engine.daemon.collect_garbage("default");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_between_every_two_writes_takes_nothing() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let engine = Arc::new(engine);
    let sample = Sample::new(1, &LAYERS);
    load_among_collections(&engine, &sample.image("hello")).await;
    assert_eq!(engine.daemon.blobs("default"), sample.digests());
    let checked = engine.daemon.ctr(&["images", "check"]);
    assert!(checked.contains("complete (4/4)"), "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_belongs_to_nobody_is_held_or_sent_again() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let engine = Arc::new(engine);
    let first = Sample::new(1, &LAYERS);
    load(&engine.client().await, &first.image("hello")).await;
    // The blobs are there until the next collection.
    engine
        .daemon
        .ctr(&["images", "rm", "docker.io/library/hello:latest"]);
    let second = Sample::new(2, &LAYERS);
    load_among_collections(&engine, &second.image("hello")).await;
    assert_eq!(engine.daemon.blobs("default"), second.digests());
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_that_are_missing_are_repaired() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let client = engine.client().await;
    let sample = Sample::new(1, &LAYERS);
    load(&client, &sample.image("hello")).await;
    let manifest = sample.built.manifest.digest.to_string();
    let without = [
        "content",
        "label",
        &manifest,
        "containerd.io/gc.ref.content.l.1=",
    ];
    engine.daemon.ctr(&without);
    let report = load(&client, &sample.image("hello")).await;
    assert_eq!((report.repaired, report.sent.blobs), (1, 0), "{report}");
    engine.daemon.collect_garbage("default");
    assert_eq!(engine.daemon.blobs("default"), sample.digests());
    assert!(load(&client, &sample.image("hello")).await.is_unchanged());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dropped_load_leaves_is_collected() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let client = engine.client().await;
    let sample = Sample::new(1, &LAYERS);
    let mut image = sample.image("hello");
    image.source = Arc::new(Stopping {
        store: sample.store.clone(),
        blob: sample.built.layers[0].digest,
        after: 1000,
    });
    let (sender, started) = oneshot::channel();
    let sender = std::sync::Mutex::new(Some(sender));
    let progress = Progress::new(move |event| {
        if matches!(event, Event::BlobDone { .. })
            && let Some(sender) = sender.lock().unwrap().take()
        {
            let _ = sender.send(());
        }
    });
    tokio::select! {
        loaded = client.load(&image, &progress) => panic!("{loaded:?}"),
        it = started => it.unwrap(),
    }
    // The lease is ended in the background.
    let deadline = Instant::now() + Duration::from_secs(60);
    while !engine.daemon.leases("default").is_empty() {
        assert!(Instant::now() < deadline, "the lease stays");
        tokio::task::yield_now().await;
    }
    engine.daemon.collect_garbage("default");
    assert_eq!(engine.daemon.blobs("default"), [""; 0]);
    assert_eq!(engine.daemon.ctr(&["images", "ls", "--quiet"]), "");
}
