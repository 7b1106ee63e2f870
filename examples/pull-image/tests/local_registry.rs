//! The example pulls from a registry of this test's own.
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::sync::Arc;

use imgregistry::{Client, TagOrDigest};
use imgserve::distribution::Registry;
use imgstore::{MemoryStore, OciLayout, copy};
use imgtar::Codec;
use imgtest::image::{Image, ImageBuilder};
use imgtest::registry::Running;
use imgtest::tar::{file, tar_of};
use tokio::process::Command;

#[tokio::test]
async fn example_pulls_an_image_from_a_registry() {
    let running = Running::plain(Arc::new(Registry::in_memory())).await;
    let image = ImageBuilder::new()
        .layer(&tar_of([file("hello", "world")]), Codec::Gzip)
        .build();
    push(&image, &running.host()).await;

    let directory = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pull-image"))
        .arg(format!("{}/team/app:v1", running.host()))
        .arg(directory.path())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let digest = String::from_utf8(output.stdout).unwrap();
    assert_eq!(digest.trim(), image.manifest.digest.to_string());

    let layout = OciLayout::open(directory.path()).unwrap();
    for digest in image.blobs.keys() {
        assert!(layout.blobs().blob_path(digest).exists(), "{digest}");
    }
}

async fn push(image: &Image, host: &str) {
    let client = Client::builder().build().unwrap();
    let (host, name) = (host.parse().unwrap(), "team/app".parse().unwrap());
    let remote = client.repository(&host, &name).unwrap();
    let here = MemoryStore::new();
    for blob in image.layers.iter().chain([&image.config]) {
        here.insert(image.blob(blob).to_vec());
        copy(&here, &remote, blob).await.unwrap();
    }
    let at = TagOrDigest::Tag("v1".parse().unwrap());
    let manifest = image.blob(&image.manifest).to_vec();
    let put = remote.put_manifest(&at, &image.manifest.media_type, manifest.into());
    put.await.unwrap();
}
