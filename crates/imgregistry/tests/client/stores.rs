//! A repository as a store: what every store must do, and what a copy between two takes.

use std::sync::Arc;

use imgcore::{Descriptor, MediaType};
use imgregistry::Uploaded;
use imgserve::distribution::Registry;
use imgserve::http::Handler;
use imgstore::{BlobSourceExt, MemoryStore, Presence, conformance};
use imgtest::registry::{InProcess, Recorder, RequestClass};

use crate::network::{hasty, remote};

fn in_memory() -> InProcess {
    InProcess::new().with(
        "https://registry.example.com",
        Arc::new(Registry::in_memory()),
    )
}

#[test]
fn a_repository_conforms() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _on_runtime = runtime.enter();
    conformance::all(|| remote(hasty(in_memory())));
}

#[tokio::test]
async fn a_blob_is_copied_from_one_repository_to_another() {
    let network = in_memory();
    let client = hasty(network).build().unwrap();
    let host = "registry.example.com".parse().unwrap();
    let one = client
        .repository(&host, &"team/one".parse().unwrap())
        .unwrap();
    let two = client
        .repository(&host, &"team/two".parse().unwrap())
        .unwrap();
    let memory = MemoryStore::new();
    let content = vec![7; 20 << 20];
    memory.insert(content.clone());
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    imgstore::copy(&memory, &one, &layer).await.unwrap();
    imgstore::copy(&one, &two, &layer).await.unwrap();
    assert_eq!(two.read_all(&layer, u64::MAX).await.unwrap(), content);
}

#[tokio::test]
async fn a_blob_is_sent_from_a_source_or_taken_over() {
    let recorder = Recorder::new(Arc::new(Registry::in_memory()) as Arc<dyn Handler>);
    let network = InProcess::new().with("https://registry.example.com", recorder.clone());
    let client = hasty(network).build().unwrap();
    let host = "registry.example.com".parse().unwrap();
    let names = ["team/one", "team/two"].map(|name| name.parse().unwrap());
    let one = client.repository(&host, &names[0]).unwrap();
    let two = client.repository(&host, &names[1]).unwrap();
    let memory = MemoryStore::new();
    memory.insert("hello");
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"hello");
    let sent = one.upload(&layer, &memory, None).await.unwrap();
    assert_eq!(sent, Uploaded::Sent);
    assert_eq!(recorder.count(RequestClass::FinishUpload), 1);
    assert_eq!(recorder.count(RequestClass::PatchUpload), 0);
    let mounted = two.upload(&layer, &memory, Some(&names[0])).await.unwrap();
    assert_eq!(mounted, Uploaded::Mounted);
    assert_eq!(recorder.count(RequestClass::FinishUpload), 1);
    let again = two.upload(&layer, &memory, None).await.unwrap();
    assert_eq!(again, Uploaded::AlreadyThere);
    let found = two.stat_one(&layer.digest).await.unwrap();
    assert_eq!(found, Presence::Present { size: 5 });
    two.delete_blob(&layer.digest).await.unwrap();
    assert_eq!(two.stat_one(&layer.digest).await.unwrap(), Presence::Absent);
}
