//! Writing, while things go wrong.

use std::sync::Arc;

use bytes::Bytes;
use imgcore::{Descriptor, Digest, MediaType, Tag};
use imgregistry::{ErrorKind, Mount, Remote, TagOrDigest, Uploaded};
use imgserve::distribution::Registry;
use imgserve::http::Handler;
use imgstore::{BlobSink, BlobSourceExt, MemoryStore};
use imgtest::registry::{
    Fault, Faults, Guard, InProcess, Recorder, RequestClass, TokenOptions, TokenServer, handler,
    refusal,
};

use crate::network::{HOST, PASSWORD, hasty, patient, remote, user};

const CHUNK: usize = 8 << 20;

/// A registry whose requests go wrong as the test says.
struct Bad {
    faults: Arc<Faults>,
    recorder: Arc<Recorder>,
    repository: Remote,
}

fn bad() -> Bad {
    let recorder = Recorder::new(Arc::new(Registry::in_memory()) as Arc<dyn Handler>);
    let faults = Faults::new(Arc::clone(&recorder) as Arc<dyn Handler>);
    let network = InProcess::new().with("https://registry.example.com", Arc::clone(&faults));
    Bad {
        repository: remote(patient(network)),
        recorder,
        faults,
    }
}

fn content(length: usize) -> Vec<u8> {
    let pattern: Vec<u8> = (0..=250).collect();
    let mut content = pattern.repeat(length / pattern.len() + 1);
    content.truncate(length);
    content
}

async fn write(repository: &Remote, content: &[u8]) -> imgstore::Result<()> {
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, content);
    let mut ingest = repository.writer(&layer).await?.into_writer()?;
    for piece in content.chunks(1 << 20) {
        ingest.write(Bytes::copy_from_slice(piece)).await?;
    }
    ingest.commit().await
}

async fn is_whole(repository: &Remote, content: &[u8]) -> bool {
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, content);
    repository.read_all(&layer, u64::MAX).await.unwrap() == content
}

#[tokio::test(start_paused = true)]
async fn a_large_blob_goes_by_the_chunk_and_a_broken_chunk_goes_again() {
    let bad = bad();
    let content = content(2 * CHUNK + 1000);
    bad.faults.once(
        RequestClass::PatchUpload,
        Fault::CutRequest { after: 1_000_000 },
    );
    write(&bad.repository, &content).await.unwrap();
    assert!(is_whole(&bad.repository, &content).await);
    let most = (content.len() + CHUNK) as u64;
    let received: u64 = bad.recorder.received();
    assert!(received <= most, "{received} of {most}");
}

#[tokio::test(start_paused = true)]
async fn a_registry_without_chunks_gets_the_blob_in_one_piece() {
    let bad = bad();
    let content = content(2 * CHUNK + 1000);
    bad.faults
        .always(RequestClass::PatchUpload, Fault::status(405));
    write(&bad.repository, &content).await.unwrap();
    assert!(is_whole(&bad.repository, &content).await);
    assert_eq!(bad.recorder.received(), content.len() as u64);
}

#[tokio::test(start_paused = true)]
async fn each_request_of_an_upload_may_fail_once() {
    for (class, lengths) in [
        (RequestClass::HeadBlob, &[1000][..]),
        (RequestClass::StartUpload, &[1000]),
        (RequestClass::PatchUpload, &[CHUNK + 1000]),
        (RequestClass::FinishUpload, &[1000, CHUNK + 1000]),
    ] {
        for fault in [
            Fault::Reset,
            Fault::LostAnswer,
            Fault::Stall,
            Fault::status(503),
            Fault::status(429).with_header("Retry-After", "3"),
        ] {
            for &length in lengths {
                let bad = bad();
                bad.faults.once(class, fault.clone());
                let content = content(length);
                write(&bad.repository, &content).await.unwrap();
                assert!(
                    is_whole(&bad.repository, &content).await,
                    "{class:?} {length}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_question_that_is_forbidden_does_not_keep_a_blob_from_being_written() {
    let bad = bad();
    bad.faults
        .always(RequestClass::HeadBlob, Fault::status(403));
    let content = content(1000);
    write(&bad.repository, &content).await.unwrap();
    assert!(is_whole(&bad.repository, &content).await);
    let memory = MemoryStore::new();
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"hello");
    memory.insert("hello");
    let sent = bad.repository.upload(&layer, &memory, None).await.unwrap();
    assert_eq!(sent, Uploaded::Sent);
    assert!(is_whole(&bad.repository, b"hello").await);
}

#[tokio::test(start_paused = true)]
async fn a_source_is_read_again_where_it_must_be() {
    let bad = bad();
    let content = content(3 * CHUNK);
    let memory = MemoryStore::new();
    memory.insert(content.clone());
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    bad.faults.once(
        RequestClass::FinishUpload,
        Fault::CutRequest { after: 5_000_000 },
    );
    bad.repository.upload(&layer, &memory, None).await.unwrap();
    assert!(is_whole(&bad.repository, &content).await);
}

#[tokio::test(start_paused = true)]
async fn trouble_without_end_is_one_error() {
    let bad = bad();
    bad.faults
        .always(RequestClass::StartUpload, Fault::status(503));
    let error = write(&bad.repository, b"hello").await.unwrap_err();
    assert_eq!(error.kind(), imgstore::ErrorKind::Unavailable);
    let source = std::error::Error::source(&error).unwrap();
    let source: &imgregistry::Error = source.downcast_ref().unwrap();
    assert_eq!(source.attempts(), 6, "{source}");
    assert_eq!(source.digest(), Some(Digest::sha256_of(b"hello")));
}

#[tokio::test]
async fn a_token_that_ends_during_an_upload_is_replaced_without_sending_again() {
    let server = TokenServer::new({
        let mut options = TokenOptions::default();
        options.users.insert("user".to_owned(), PASSWORD.to_owned());
        options
    });
    let recorder = Recorder::new(Arc::new(Registry::in_memory()) as Arc<dyn Handler>);
    let realm = "https://auth.example.com/token";
    let guard = Guard::bearer(Arc::clone(&recorder) as Arc<dyn Handler>, &server, realm);
    let faults = Faults::new(Arc::new(guard));
    let ended = Arc::clone(&server);
    faults.once(
        RequestClass::FinishUpload,
        Fault::Before(Arc::new(move || ended.expire_all())),
    );
    let network = InProcess::new()
        .with("https://registry.example.com", faults)
        .with("https://auth.example.com", server);
    let repository = remote(hasty(network).keychain(Arc::new(user(HOST))));
    let content = content(CHUNK + 1000);
    write(&repository, &content).await.unwrap();
    assert!(is_whole(&repository, &content).await);
    assert_eq!(recorder.received(), content.len() as u64);
}

#[tokio::test]
async fn a_writer_that_is_dropped_gives_its_session_up() {
    let bad = bad();
    let content = content(2 * CHUNK);
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    let begin = bad.repository.writer(&layer).await.unwrap();
    let mut ingest = begin.into_writer().unwrap();
    let most = Bytes::copy_from_slice(&content[..=CHUNK]);
    ingest.write(most).await.unwrap();
    assert_eq!(bad.recorder.count(RequestClass::PatchUpload), 1);
    drop(ingest);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bad.recorder.count(RequestClass::CancelUpload), 1);
}

#[tokio::test]
async fn a_refused_mount_is_an_upload() {
    let bad = bad();
    bad.faults.always(RequestClass::Mount, Fault::status(400));
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"hello");
    let from = "other/app".parse().unwrap();
    let Mount::Writer(mut ingest) = bad.repository.mount(&layer, &from).await.unwrap() else {
        panic!("nothing was there to mount");
    };
    ingest.write(Bytes::from_static(b"hello")).await.unwrap();
    ingest.commit().await.unwrap();
    assert!(is_whole(&bad.repository, b"hello").await);
}

#[tokio::test]
async fn a_manifest_is_written_as_it_is_and_immutable_tags_are_told_apart() {
    let index = Bytes::from_static(br#"{ "schemaVersion": 2, "manifests": [] }"#);
    let at = TagOrDigest::from(Tag::latest());
    let bad = bad();
    let put = bad
        .repository
        .put_manifest(&at, &MediaType::OCI_INDEX, index.clone())
        .await
        .unwrap();
    assert_eq!(put.digest, Digest::sha256_of(&index));
    let fetched = bad.repository.manifest(&at).await.unwrap();
    assert_eq!(fetched.document.bytes(), index);
    assert_eq!(bad.repository.tags().all().await.unwrap(), [Tag::latest()]);
    bad.repository
        .delete_manifest(&put.digest.into())
        .await
        .unwrap();
    assert_eq!(
        bad.repository
            .head_manifest(&put.digest.into())
            .await
            .unwrap(),
        None
    );

    let wrong = TagOrDigest::from(Digest::sha256_of(b"other"));
    let error = bad
        .repository
        .put_manifest(&wrong, &MediaType::OCI_INDEX, index.clone())
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);

    let ecr = handler(|_| {
        refusal(
            400,
            "ImageTagAlreadyExists",
            "The image tag 'latest' already exists",
        )
    });
    let network = InProcess::new().with("https://registry.example.com", ecr);
    let error = remote(hasty(network))
        .put_manifest(&at, &MediaType::OCI_INDEX, index)
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Immutable);
}
