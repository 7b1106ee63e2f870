//! Lists without end: each page has a next one, of another name each time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use imgcore::Digest;
use imgregistry::{Error, ErrorKind, Remote};
use imgtest::registry::{InProcess, Recorder, handler, respond};

use crate::network::{hasty, remote};

/// A repository whose every answer is this page, and the next one is another.
fn endless(page: &str) -> (Remote, Arc<Recorder>) {
    let (page, number) = (page.to_owned(), AtomicUsize::new(0));
    let pages = handler(move |request| {
        let number = number.fetch_add(1, Ordering::Relaxed);
        let next = format!("<{}?last={number}>; rel=\"next\"", request.uri.path());
        respond(200, &[("Link", &next)], page.clone())
    });
    let recorder = Recorder::new(pages);
    let network = InProcess::new().with("https://registry.example.com", Arc::clone(&recorder));
    (remote(hasty(network)), recorder)
}

/// A page with more white space than a page of a list needs.
fn padded(page: &str) -> String {
    format!("{page}{}", " ".repeat(7 << 20))
}

fn check(error: &Error, expected: &str) {
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn tags_end_at_a_number_of_pages_and_of_bytes() {
    let page = r#"{"tags":["v1"]}"#;
    let (repository, recorder) = endless(page);
    let error = repository.tags().all().await.unwrap_err();
    check(&error, "more than 10000 pages; name the tags");
    assert_eq!(recorder.len(), 10_000);

    let (repository, recorder) = endless(&padded(page));
    let error = repository.tags().all().await.unwrap_err();
    check(&error, "more than 67108864 bytes");
    assert_eq!(recorder.len(), 10);
}

#[tokio::test]
async fn referrers_end_at_a_number_of_pages_and_of_bytes() {
    let page = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
    let digest = Digest::sha256_of(b"subject");
    let (repository, recorder) = endless(page);
    let error = repository.referrers(&digest, None).await.unwrap_err();
    check(&error, "more than 1000 pages; ask for the referrers of one");
    assert_eq!(recorder.len(), 1000);

    let (repository, recorder) = endless(&padded(page));
    let error = repository.referrers(&digest, None).await.unwrap_err();
    check(&error, "more than 16777216 bytes");
    assert_eq!(recorder.len(), 3);
}
