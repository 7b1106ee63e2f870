//! What a registry in a directory keeps.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_core::future::BoxFuture;
use imgcore::{Descriptor, Digest, MediaType};
use imgserve::distribution::{
    DirectoryRecords, MemoryRecords, MissingContent, Registry, RegistryOptions, Uploads,
};
use imgstore::{
    Begin, BlobSink, BlobSource, BlobStream, DirectoryStore, MemoryStore, Presence,
    UnverifiedStream,
};
use tokio::sync::Notify;

use crate::peer::{Peer, image};

fn open(root: &Path) -> Peer {
    Peer::new(Registry::at_directory(root).unwrap())
}

#[tokio::test]
async fn everything_is_there_after_the_process_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let subject = Descriptor::of(MediaType::OCI_MANIFEST, b"subject");
    let attached = image("x", Some(&subject));
    let location;
    {
        let peer = open(root);
        peer.push_image("team/app", "Latest", "x").await;
        peer.put("team/app", "sig", &attached).await.expect(201);
        location = peer.start("team/app").await;
        let patch = peer.call("PATCH", &location).body("half").send().await;
        patch.expect(202);
    }
    let peer = open(root);
    let blob = format!("/v2/team/app/blobs/{}", Digest::sha256_of(b"{}"));
    assert_eq!(peer.get(&blob).await.expect(200).bytes(), b"{}");
    peer.get("/v2/team/app/manifests/Latest").await.expect(200);
    let tags = peer.get("/v2/team/app/tags/list").await.json();
    assert_eq!(tags["tags"], serde_json::json!(["Latest", "sig"]));
    let referrers = peer
        .get(&format!("/v2/team/app/referrers/{}", subject.digest))
        .await;
    let digest = Digest::sha256_of(attached.as_bytes()).to_string();
    assert_eq!(referrers.json()["manifests"][0]["digest"], digest);
    let status = peer.get(&location).await;
    assert_eq!(status.expect(204).header("range"), "0-3");
}

#[tokio::test]
async fn what_a_killed_process_left_is_removed_and_harms_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    open(root).push_image("app", "latest", "x").await;
    // A blob and a record that were on their way, and a referrer whose manifest never came.
    fs_err::write(root.join("blobs/.imgkit-unfinished-x"), "half").unwrap();
    fs_err::write(root.join("unfinished/.tmpx"), "half").unwrap();
    let subject = Digest::sha256_of(b"subject");
    let referrers = root.join(format!(
        "repositories/app/_referrers/sha256-{}",
        subject.hex()
    ));
    fs_err::create_dir_all(&referrers).unwrap();
    fs_err::write(referrers.join(format!("sha256-{}", subject.hex())), "").unwrap();

    let peer = open(root);
    assert_eq!(
        fs_err::read_dir(root.join("unfinished")).unwrap().count(),
        0
    );
    assert!(!root.join("blobs/.imgkit-unfinished-x").exists());
    peer.get("/v2/app/manifests/latest").await.expect(200);
    let list = peer.get(&format!("/v2/app/referrers/{subject}")).await;
    assert_eq!(list.json()["manifests"], serde_json::json!([]));
}

#[cfg(unix)]
#[tokio::test]
async fn one_registry_at_a_time_has_the_directory() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("registry");
    let registry = Registry::at_directory(&root).unwrap();
    // What the second one finds unfinished is the first one's work.
    let unfinished = root.join("unfinished/.tmpx");
    fs_err::write(&unfinished, "half").unwrap();
    let error = Registry::at_directory(&root).err().unwrap();
    assert_eq!(error.kind(), imgserve::ErrorKind::InUse);
    let expected = format!(
        "the registry in {} is open already: end the program that has it, or name another directory",
        root.display()
    );
    assert_eq!(error.to_string(), expected);
    assert!(unfinished.exists());
    drop(registry);
    Registry::at_directory(&root).unwrap();
}

#[tokio::test]
async fn a_blob_is_stored_once_and_nothing_is_left_of_its_upload() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let peer = open(root);
    for name in ["one", "two"] {
        peer.push_blob(name, b"bytes").await;
    }
    let blobs = fs_err::read_dir(root.join("blobs/sha256")).unwrap();
    assert_eq!(blobs.count(), 1);
    let uploads = fs_err::read_dir(root.join("repositories/one/_uploads")).unwrap();
    assert_eq!(uploads.count(), 0);
}

#[tokio::test]
async fn bytes_are_freed_when_the_last_repository_removes_them() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let peer = open(root);
    let digest = Digest::sha256_of(b"bytes");
    let file = root.join("blobs/sha256").join(digest.hex());
    for name in ["one", "one/two", "three"] {
        peer.push_blob(name, b"bytes").await;
    }
    for name in ["one", "three", "one/two"] {
        assert!(file.exists(), "{name} has it");
        let url = format!("/v2/{name}/blobs/{digest}");
        peer.call("DELETE", &url).send().await.expect(202);
        peer.call("DELETE", &url).send().await.expect(404);
    }
    assert!(!file.exists());
    // Nobody gets what is gone, and everybody may bring it again.
    let mount = format!("/v2/one/blobs/uploads/?mount={digest}");
    peer.call("POST", &mount).send().await.expect(202);
    peer.push_blob("one", b"bytes").await;
    let reply = peer.get(&format!("/v2/one/blobs/{digest}")).await;
    assert_eq!(reply.expect(200).bytes(), b"bytes");
}

#[tokio::test]
async fn a_manifest_that_is_also_a_blob_keeps_its_bytes() {
    let directory = tempfile::tempdir().unwrap();
    let peer = open(directory.path());
    let image = peer.push_image("app", "latest", "x").await;
    let text = image_text();
    peer.push_blob("other", text.as_bytes()).await;
    let delete = format!("/v2/app/manifests/{}", image.digest);
    peer.call("DELETE", &delete).send().await.expect(202);
    let blob = format!("/v2/other/blobs/{}", image.digest);
    assert_eq!(peer.get(&blob).await.expect(200).bytes(), text.as_bytes());
}

fn image_text() -> &'static str {
    Box::leak(image("x", None).into_boxed_str())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_acknowledged_stays_while_others_remove_the_same() {
    let directory = tempfile::tempdir().unwrap();
    for peer in [Peer::new(Registry::in_memory()), open(directory.path())] {
        let digest = Digest::sha256_of(b"bytes");
        for _ in 0..30 {
            peer.push_blob("one", b"bytes").await;
            let removing = {
                let peer = peer.clone();
                tokio::spawn(async move {
                    let url = format!("/v2/one/blobs/{digest}");
                    peer.call("DELETE", &url).send().await.expect(202);
                })
            };
            let pushing = {
                let peer = peer.clone();
                tokio::spawn(async move { peer.push_blob("two", b"bytes").await })
            };
            removing.await.unwrap();
            pushing.await.unwrap();
            let url = format!("/v2/two/blobs/{digest}");
            assert_eq!(peer.get(&url).await.expect(200).bytes(), b"bytes");
            peer.call("DELETE", &url).send().await.expect(202);
        }
    }
}

#[tokio::test]
async fn stale_uploads_are_removed_and_others_stay() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("uploads");
    let store = DirectoryStore::create(directory.path().join("blobs")).unwrap();
    let records = DirectoryRecords::open(directory.path()).unwrap();
    let peer = Peer::new(Registry::new(store, records, Uploads::at_directory(&root)));
    let location = peer.start("team/app").await;
    let uploads = Uploads::at_directory(&root);
    let now = SystemTime::now();
    let hour = Duration::from_secs(3600);
    assert_eq!(uploads.remove_stale(now - hour).unwrap(), 0);
    peer.get(&location).await.expect(204);
    assert_eq!(uploads.remove_stale(now + hour).unwrap(), 1);
    peer.get(&location)
        .await
        .refused(404, "BLOB_UPLOAD_UNKNOWN");
    // The store is not one that takes files, so the bytes are copied into it.
    peer.push_blob("team/app", b"bytes").await;
}

/// A store that writes only once it may.
#[derive(Clone, Default)]
struct Gated {
    blobs: MemoryStore,
    entered: Arc<Notify>,
    gate: Arc<Notify>,
}

impl BlobSink for Gated {
    fn writer<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, imgstore::Result<Begin>> {
        Box::pin(async move {
            self.entered.notify_one();
            self.gate.notified().await;
            self.blobs.writer(descriptor).await
        })
    }
}

impl BlobSource for Gated {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, imgstore::Result<Vec<Presence>>> {
        self.blobs.stat(digests)
    }

    fn open<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, imgstore::Result<BlobStream>> {
        self.blobs.open(descriptor)
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, imgstore::Result<UnverifiedStream>> {
        self.blobs.open_range(descriptor, range)
    }

    fn local_path(&self, digest: &Digest) -> Option<PathBuf> {
        self.blobs.local_path(digest)
    }
}

#[tokio::test]
async fn a_change_comes_to_its_end_although_its_request_is_dropped() {
    let blobs = Gated::default();
    let registry = Registry::new(blobs.clone(), MemoryRecords::new(), Uploads::in_memory());
    let sparse = RegistryOptions::default().with_missing_content(MissingContent::Accept);
    let peer = Peer::new(registry.with_options(sparse));
    let manifest = image("x", None);
    tokio::select! {
        _ = peer.put("app", "latest", &manifest) => panic!("it was not to write yet"),
        () = blobs.entered.notified() => {}
    }
    let location = peer.start("app").await;
    let finish = format!("{location}?digest={}", Digest::sha256_of(b"bytes"));
    tokio::select! {
        _ = peer.call("PUT", &finish).body("bytes").send() => panic!("it was not to write yet"),
        () = blobs.entered.notified() => {}
    }
    blobs.gate.notify_waiters();
    let blob = format!("/v2/app/blobs/{}", Digest::sha256_of(b"bytes"));
    for url in ["/v2/app/manifests/latest", &blob] {
        let mut turns = 0;
        while peer.call("HEAD", url).send().await.status != 200 {
            turns += 1;
            assert!(turns < 1000, "{url}");
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn a_failure_is_told_to_the_owner_and_not_to_the_client() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let (sender, told) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let options = RegistryOptions::default()
        .with_failures(move |error| sender.lock().unwrap().send(error.to_string()).unwrap());
    let registry = Registry::at_directory(root).unwrap().with_options(options);
    let peer = Peer::new(registry);
    peer.push_image("app", "latest", "x").await;
    let tag = root.join("repositories/app/_tags/latest=");
    fs_err::write(&tag, "sha256:12").unwrap();
    let reply = peer.get("/v2/app/manifests/latest").await;
    reply.refused(500, "UNKNOWN");
    let text = String::from_utf8_lossy(reply.bytes()).into_owned();
    assert!(!text.contains("repositories"), "{text}");
    assert!(told.recv().unwrap().ends_with("_tags/latest= is damaged"));
}
