//! Loads that work: what is there afterwards, and what they took.

use imgcore::{Descriptor, MediaType, Platform};
use imgload::{Engine as _, ErrorKind, Image, Origin, Platforms, conformance};
use imgstore::MemoryStore;
use imgtar::Codec;
use imgtest::image::{ImageBuilder, index_of};
use imgtest::tar::{file, tar_of};
use std::sync::Arc;

use crate::daemon::Engine;
use crate::sample::{Sample, load};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn containerd_does_what_every_engine_must() {
    let Some(engine) = Engine::start() else {
        return;
    };
    conformance::all(&engine.client().await, "one").await;
    // Those of another namespace are in the way of nothing.
    conformance::all(&engine.client_in("other").await, "two").await;
    assert_eq!(engine.daemon.leases("default"), [""; 0]);
    assert_eq!(engine.daemon.leases("other"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_layer_arrives_as_it_is() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let client = engine.client().await;
    let layers = [
        (0, Codec::None),
        (3 * MIB + 17, Codec::Gzip),
        (MIB, Codec::Zstd),
        (100, Codec::None),
    ];
    let sample = Sample::new(1, &layers);
    let report = load(&client, &sample.image("hello:demo")).await;
    assert_eq!(report.sent.blobs, sample.built.blobs.len() as u64);
    let name = "docker.io/library/hello:demo";
    assert_eq!(report.names[0].name, name);
    let manifest = sample.built.manifest.digest.to_string();
    assert_eq!(engine.daemon.digest_of("default", name), Some(manifest));
    assert_eq!(engine.daemon.blobs("default"), sample.digests());
    // ctr reads every blob, and checks the documents.
    let checked = engine.daemon.ctr(&["images", "check"]);
    assert!(checked.contains("complete (5/5)"), "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_load_sends_next_to_nothing_and_a_changed_layer_is_sent_alone() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let (client, proxy) = engine.counted_client().await;
    let layers = [(4 * MIB, Codec::None), (MIB, Codec::None)];
    let first = Sample::new(1, &layers);
    load(&client, &first.image("hello:demo")).await;
    let sent = proxy.take_sent();
    assert!(sent > 5 * MIB as u64, "{sent} bytes");

    let report = load(&client, &first.image("hello:demo")).await;
    assert!(report.is_unchanged(), "{report}");
    let requests: Vec<_> = report.requests.iter().collect();
    assert_eq!(
        format!("{requests:?}"),
        r#"[("Content.List", 1), ("Images.Get", 1)]"#
    );
    let sent = proxy.take_sent();
    println!("a load of what is there sent {sent} bytes");
    assert!(sent < 10_000, "{sent} bytes");

    let report = load(&client, &Sample::new(2, &layers).image("hello:demo")).await;
    assert_eq!(report.sent.blobs, 3, "{report}");
    let sent = proxy.take_sent();
    println!("a load of one changed layer of 1 MiB sent {sent} bytes");
    let most = (MIB + MIB / 8) as u64;
    assert!((MIB as u64..most).contains(&sent), "{sent} bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_namespace_has_is_not_sent() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let sample = Sample::new(1, &[(2 * MIB, Codec::None)]);
    load(&engine.client_in("first").await, &sample.image("hello")).await;
    let report = load(&engine.client_in("second").await, &sample.image("hello")).await;
    assert_eq!(
        (report.sent.blobs, report.bytes_written),
        (0, 0),
        "{report}"
    );
    assert_eq!(engine.daemon.blobs("second"), sample.digests());
    engine.daemon.ctr(&[
        "--namespace",
        "first",
        "images",
        "rm",
        "--sync",
        "docker.io/library/hello:latest",
    ]);
    engine.daemon.collect_garbage("first");
    assert_eq!(engine.daemon.blobs("second"), sample.digests());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_is_kept_whole_and_the_layers_of_others_stay_behind() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let client = engine.client().await;
    let images = ["amd64", "arm64"].map(|architecture| {
        let layer = tar_of([file("bin/hello", architecture)]);
        ImageBuilder::new()
            .layer(&layer, Codec::Gzip)
            .platform("linux", architecture, None)
            .build()
    });
    let index = index_of(&images);
    let store = MemoryStore::new();
    for bytes in index.blobs.values() {
        store.insert(bytes.clone());
    }
    let mut image = Image::new(
        index.index.clone(),
        ["hello".parse().unwrap()],
        Arc::new(store),
    );
    image.platforms = Platforms::Prefer(Platform::new("linux", "arm64").with_variant("v8"));
    let report = load(&client, &image).await;
    assert_eq!((report.left_out, report.sent.blobs), (1, 4));
    let here = engine.daemon.blobs("default");
    assert!(here.contains(&images[1].layers[0].digest.to_string()));
    assert!(!here.contains(&images[0].manifest.digest.to_string()));
    let name = "docker.io/library/hello:latest";
    let root = index.index.digest.to_string();
    assert_eq!(engine.daemon.digest_of("default", name), Some(root));
    image.platforms = Platforms::All;
    load(&client, &image).await;
    engine.daemon.collect_garbage("default");
    assert_eq!(engine.daemon.blobs("default").len(), index.blobs.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_blob_is_a_blob() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let client = engine.client().await;
    let store = MemoryStore::new();
    let empty = Descriptor::of(MediaType::from_static("text/plain"), b"");
    store.insert(&b""[..]);
    let config = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
    store.insert(&b"{}"[..]);
    let json = |it: &Descriptor| String::from_utf8(it.to_json().to_compact()).unwrap();
    let manifest = format!(
        r#"{{"schemaVersion":2,"artifactType":"text/x-nothing","config":{},"layers":[{}]}}"#,
        json(&config),
        json(&empty)
    );
    let root = Descriptor::of(MediaType::OCI_MANIFEST, manifest.as_bytes());
    store.insert(manifest);
    let image = Image::new(
        root,
        ["r.example:5000/nothing:1".parse().unwrap()],
        Arc::new(store),
    );
    let report = load(&client, &image).await;
    assert_eq!(
        (report.sent.blobs, report.present.blobs),
        (2, 1),
        "{report}"
    );
    assert!(load(&client, &image).await.is_unchanged());
}

#[tokio::test(flavor = "multi_thread")]
async fn origins_become_labels_beside_those_that_are_there() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let client = engine.client().await;
    let sample = Sample::new(1, &[(100, Codec::Gzip)]);
    let layer = sample.built.layers[0].digest;
    let mut image = sample.image("hello");
    for repository in ["team/base", "team/other"] {
        let origin = Origin {
            registry: "r.example:5000".parse().unwrap(),
            repository: repository.parse().unwrap(),
        };
        image.origins.entry(layer).or_default().push(origin);
        load(&client, &image).await;
    }
    let listed = engine.daemon.ctr(&["content", "ls"]);
    let line = listed
        .lines()
        .find(|line| line.starts_with(&layer.to_string()));
    let label = "containerd.io/distribution.source.r.example:5000=team/base,team/other";
    assert!(line.is_some_and(|line| line.contains(label)), "{listed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_as_containerd_and_docker_write_them() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let client = engine.client().await;
    let sample = Sample::new(1, &[(100, Codec::Gzip)]);
    let digest = sample.built.manifest.digest;
    let long = format!("r.example/{}b:{}", "a/".repeat(100), "t".repeat(128));
    let names = [
        ("hello", "docker.io/library/hello:latest".to_owned()),
        ("localhost:5000/a/b:1", "localhost:5000/a/b:1".to_owned()),
        (
            "[2001:db8::1]:5000/a:1",
            "[2001:db8::1]:5000/a:1".to_owned(),
        ),
        (&long, long.clone()),
        (
            &format!("hello@{digest}"),
            format!("docker.io/library/hello@{digest}"),
        ),
    ];
    for (name, expected) in names {
        load(&client, &sample.image(name)).await;
        let found = engine.daemon.ctr(&["images", "ls", "--quiet"]);
        assert!(
            found.lines().any(|line| line == expected),
            "{expected}: {found}"
        );
        let found = client.find(&expected.parse().unwrap()).await.unwrap();
        assert_eq!(found, Some(digest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_without_a_name_is_refused() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let mut image = Sample::new(1, &[]).image("hello");
    image.names.clear();
    let error = engine.client().await;
    let error = error.load(&image, &imgload::Progress::default()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
}
