//! The example pushes to a registry of this test's own.
#![allow(clippy::unwrap_used, reason = "all of this is a test")]

use std::sync::Arc;

use imgregistry::{Client, TagOrDigest};
use imgserve::distribution::Registry;
use imgtar::Codec;
use imgtest::image::{ImageBuilder, write_layout};
use imgtest::registry::{Recorder, Running};
use imgtest::tar::{file, tar_of};
use tokio::process::Command;

#[tokio::test]
async fn example_pushes_an_image_to_a_registry() {
    let recorder = Recorder::new(Arc::new(Registry::in_memory()));
    let running = Running::plain(Arc::clone(&recorder) as _).await;
    let image = ImageBuilder::new()
        .layer(&tar_of([file("hello", "world")]), Codec::Gzip)
        .build();
    let directory = tempfile::tempdir().unwrap();
    let layout = directory.path().join("layout");
    write_layout(&layout, &image.blobs, &image.manifest, "image");

    let push = || async {
        let mut command = Command::new(env!("CARGO_BIN_EXE_push-image"));
        let name = format!("{}/team/app:v1", running.host());
        let output = command.arg(&layout).arg(name).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status, said)
    };
    let (status, said) = push().await;
    assert!(status.success(), "{said}");
    let client = Client::builder().build().unwrap();
    let host = running.host().parse().unwrap();
    let remote = client.repository(&host, &"team/app".parse().unwrap());
    let at = TagOrDigest::Tag("v1".parse().unwrap());
    let found = remote.unwrap().manifest(&at).await.unwrap();
    assert_eq!(found.descriptor.digest, image.manifest.digest);

    recorder.clear();
    let (status, said) = push().await;
    assert!(status.success(), "{said}");
    let writes = ["POST", "PUT", "PATCH"];
    let wrote = recorder.exchanges().into_iter();
    let wrote = wrote.filter(|it| writes.contains(&it.method.as_str()));
    assert_eq!(wrote.count(), 0, "nothing had changed");
}
