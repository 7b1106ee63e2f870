//! What a server can make the client do: not much.

use std::sync::Arc;
use std::time::Duration;

use imgcore::{Digest, Tag};
use imgregistry::{ErrorKind, TagOrDigest};
use imgstore::BlobSource;
use imgtest::registry::{
    Fault, Faults, InProcess, Recorder, RequestClass, answer, handler, respond, slow,
};

use crate::network::{hasty, patient, remote};

fn tag() -> TagOrDigest {
    TagOrDigest::from(Tag::latest())
}

#[tokio::test]
async fn a_manifest_without_end_is_given_up() {
    let faults = Faults::new(answer(200, "{"));
    faults.always(RequestClass::GetManifest, Fault::Endless);
    let repository = remote(hasty(
        InProcess::new().with("https://registry.example.com", faults),
    ));
    let error = repository.manifest(&tag()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[tokio::test]
async fn an_error_without_end_is_read_to_its_limit() {
    let faults = Faults::new(answer(403, "no"));
    faults.always(RequestClass::GetManifest, Fault::Endless);
    let repository = remote(hasty(
        InProcess::new().with("https://registry.example.com", faults),
    ));
    let error = repository.manifest(&tag()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(error.to_string().len() < 2000);
}

#[tokio::test]
async fn redirects_end_and_lead_nowhere_inside() {
    let check = async |location: &'static str, expected: ErrorKind| {
        let registry = handler(move |_| respond(302, &[("Location", location)], ""));
        let network = InProcess::new().with("https://registry.example.com", registry);
        let error = remote(patient(network.clone()))
            .manifest(&tag())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), expected, "{location}: {error}");
        assert!(network.unreached().is_empty(), "{location}");
    };
    check("https://registry.example.com/v2/", ErrorKind::Protocol).await;
    check("http://registry.example.com/", ErrorKind::Forbidden).await;
    check(
        "https://user:imgkit-canary-url@storage.example/",
        ErrorKind::Forbidden,
    )
    .await;
    check(
        "https://169.254.169.254/latest/meta-data",
        ErrorKind::Forbidden,
    )
    .await;
    check("https://127.0.0.1/", ErrorKind::Forbidden).await;
    check("https://[::ffff:10.0.0.1]/", ErrorKind::Forbidden).await;
    check("ftp://storage.example/", ErrorKind::Forbidden).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_given_up_and_asked_again() {
    let faults = Faults::new(answer(200, r#"{"schemaVersion":2,"manifests":[]}"#));
    faults.once(RequestClass::GetManifest, Fault::Stall);
    faults.once(RequestClass::GetManifest, Fault::StallBody { after: 5 });
    let recorder = Recorder::new(faults);
    let network = InProcess::new().with("https://registry.example.com", recorder.clone());
    remote(patient(network)).manifest(&tag()).await.unwrap();
    assert_eq!(recorder.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_gets_the_time_that_it_asks_for() {
    let faults = Faults::new(answer(200, r#"{"schemaVersion":2,"manifests":[]}"#));
    let busy = Fault::status(429).with_header("Retry-After", "7");
    faults.once(RequestClass::GetManifest, busy);
    let network = InProcess::new().with("https://registry.example.com", faults);
    let started = tokio::time::Instant::now();
    remote(patient(network)).manifest(&tag()).await.unwrap();
    let waited = started.elapsed().as_secs_f64();
    assert!((7.0..8.3).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn as_many_requests_are_in_flight_as_the_ceiling_allows() {
    let recorder = Recorder::new(slow(answer(404, ""), Duration::from_secs(1)));
    let network = InProcess::new().with("https://registry.example.com", recorder.clone());
    let repository = remote(hasty(network).max_requests_in_flight(3));
    let digests: Vec<Digest> = (0_u8..50).map(|n| Digest::sha256_of(&[n])).collect();
    let answers = repository.stat(&digests).await.unwrap();
    assert_eq!(answers.len(), 50);
    assert_eq!(recorder.most_in_flight(), 3);
}

#[tokio::test]
async fn foreign_urls_are_ignored_unless_they_are_asked_for() {
    let storage = Recorder::new(answer(200, "hello"));
    let network = InProcess::new()
        .with("https://registry.example.com", answer(404, ""))
        .with("https://layers.example", Arc::clone(&storage));
    let mut layer = imgcore::Descriptor::of(imgcore::MediaType::OCI_FOREIGN_LAYER_TAR, b"hello");
    layer.urls = vec![
        "http://layers.example/plain".to_owned(),
        "https://10.0.0.1/inside".to_owned(),
        "https://layers.example/layer".to_owned(),
    ];
    let read = async |follows: bool| {
        let repository = remote(hasty(network.clone()).follow_foreign_urls(follows));
        imgstore::BlobSourceExt::read_all(&repository, &layer, 10).await
    };
    assert_eq!(
        read(false).await.unwrap_err().kind(),
        imgstore::ErrorKind::NotFound
    );
    assert!(storage.is_empty());
    assert_eq!(read(true).await.unwrap(), "hello");
    assert_eq!(storage.len(), 1);
    assert!(network.unreached().is_empty());
}
