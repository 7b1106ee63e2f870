//! Hosts of which nobody said whether they speak TLS.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use imgcore::{Descriptor, MediaType, Tag};
use imgregistry::{Mount, TagOrDigest};
use imgserve::distribution::Registry;
use imgserve::http::{Handler, Request, Response};
use imgstore::BlobSourceExt;
use imgtest::registry::{
    Guard, InProcess, Recorder, RequestClass, Reset, answer, handler, respond,
};
use tokio::sync::Barrier;

use crate::network::{PASSWORD, hasty, remote_at, user};

const HOST: &str = "localhost:5000";
const PLAIN: &str = "http://localhost:5000";
const TLS: &str = "https://localhost:5000";
const INDEX: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

/// What a server that wants TLS does about plain requests, once so many of them are there.
struct Deaf {
    all_here: Barrier,
    answers: bool,
}

impl Handler for Deaf {
    fn handle(self: Arc<Self>, _request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            self.all_here.wait().await;
            let mut response = respond(400, &[], "this port is for TLS");
            if !self.answers {
                response.extensions_mut().insert(Reset);
            }
            response
        })
    }
}

#[tokio::test]
async fn of_many_first_requests_all_follow_the_one_that_finds_the_scheme() {
    for answers in [true, false] {
        let all_here = Barrier::new(8);
        let plain = Recorder::new(Arc::new(Deaf { all_here, answers }));
        let network = InProcess::new()
            .with(PLAIN, Arc::clone(&plain))
            .with(TLS, answer(200, INDEX));
        let repository = remote_at(hasty(network), HOST);
        let at = TagOrDigest::from(Tag::latest());
        let reads = (0..8).map(|_| repository.manifest(&at));
        for read in futures_util::future::join_all(reads).await {
            read.unwrap();
        }
        assert_eq!(plain.len(), 8);
    }
}

#[tokio::test]
async fn an_upload_that_is_the_first_request_goes_on_in_the_scheme_that_was_found() {
    let registry: Arc<dyn Handler> = Arc::new(Registry::in_memory());
    let guard = Guard::basic(registry, &[("user", PASSWORD)]);
    let plain = Recorder::new(answer(400, "this port is for TLS"));
    let network = InProcess::new()
        .with(PLAIN, Arc::clone(&plain))
        .with(TLS, Arc::new(guard));
    let repository = remote_at(hasty(network).keychain(Arc::new(user(HOST))), HOST);
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"hello");
    let from = "other/app".parse().unwrap();
    let Mount::Writer(mut ingest) = repository.mount(&layer, &from).await.unwrap() else {
        panic!("nothing was there to mount");
    };
    ingest.write("hello".into()).await.unwrap();
    ingest.commit().await.unwrap();
    assert_eq!(repository.read_all(&layer, 10).await.unwrap(), "hello");
    assert_eq!(plain.len(), 1, "one question in the wrong scheme");
    assert_eq!(plain.count(RequestClass::FinishUpload), 0);
}

#[tokio::test]
async fn a_next_page_is_looked_for_in_the_scheme_that_was_found() {
    let pages = handler(|request| match request.uri.query() {
        None => {
            let next = r#"<https://localhost:5000/v2/team/app/tags/list?last=a>; rel="next""#;
            respond(200, &[("Link", next)], r#"{"tags":["a"]}"#)
        }
        Some(_) => respond(200, &[], r#"{"tags":["b"]}"#),
    });
    let network = InProcess::new()
        .with(PLAIN, answer(400, "this port is for TLS"))
        .with(TLS, pages);
    let tags = remote_at(hasty(network), HOST).tags().all().await.unwrap();
    assert_eq!(tags.len(), 2);
}
