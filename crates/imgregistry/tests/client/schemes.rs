//! Hosts of which nobody said whether they speak TLS.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use imgcore::{Descriptor, MediaType, Tag};
use imgregistry::{
    Mount, RequestBody, ResponseBody, Route, TagOrDigest, Transport, TransportError,
    TransportErrorKind,
};
use imgserve::distribution::Registry;
use imgserve::http::{Handler, Request, Response};
use imgstore::{Begin, BlobSink, BlobSourceExt};
use imgtest::registry::{
    Fault, Faults, Guard, InProcess, Recorder, RequestClass, Reset, answer, handler, respond,
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
    let tls = Recorder::new(Arc::new(guard));
    let plain = Recorder::new(answer(400, "this port is for TLS"));
    let network = InProcess::new()
        .with(PLAIN, Arc::clone(&plain))
        .with(TLS, Arc::clone(&tls));
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
    let asked = tls.count(RequestClass::Ping);
    assert_eq!(asked, 1, "the question that found the scheme told the rest");
    let exchanges = tls.exchanges();
    let mut refused = exchanges
        .iter()
        .filter(|it| it.status.is_some_and(|status| status == 401));
    assert!(
        refused.all(|it| it.class == RequestClass::Ping),
        "{exchanges:?}"
    );
}

#[tokio::test]
async fn an_upload_goes_on_at_another_port_in_the_scheme_that_the_registry_named() {
    let session = Recorder::new(handler(|request| match request.method.as_str() {
        "PUT" => respond(201, &[], ""),
        _ => respond(202, &[("Location", "/session"), ("Range", "0-4")], ""),
    }));
    let finished = Arc::clone(&session);
    let registry = handler(move |request| match request.method.as_str() {
        "POST" => {
            let elsewhere = "https://localhost:8443/session";
            respond(202, &[("Location", elsewhere)], "")
        }
        "HEAD" if finished.is_empty() => respond(404, &[], ""),
        "HEAD" => respond(200, &[("Content-Length", "5")], ""),
        _ => respond(200, &[], ""),
    });
    let network = InProcess::new()
        .with(PLAIN, registry)
        .with("https://localhost:8443", Arc::clone(&session));
    let repository = remote_at(hasty(network), HOST);
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"hello");
    let Begin::Writer(mut ingest) = repository.writer(&layer).await.unwrap() else {
        panic!("it was there");
    };
    ingest.write("hello".into()).await.unwrap();
    ingest.commit().await.unwrap();
    assert!(!session.is_empty());
}

/// A server whose certificate nobody knows, and which answers what is no TLS with an alert.
struct Untrusted;

impl Transport for Untrusted {
    fn send(
        &self,
        request: http::Request<RequestBody>,
        _route: Route,
    ) -> BoxFuture<'_, Result<http::Response<ResponseBody>, TransportError>> {
        let (kind, text) = match request.uri().scheme_str() {
            Some("https") => (TransportErrorKind::Certificate, "unknown issuer"),
            _ => (TransportErrorKind::Reset, "invalid HTTP version parsed"),
        };
        Box::pin(std::future::ready(Err(TransportError::new(kind, text))))
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_knows_is_what_is_told() {
    let builder = hasty(InProcess::new()).transport(Arc::new(Untrusted));
    let repository = remote_at(builder, HOST);
    let error = repository.manifest(&Tag::latest().into()).await;
    insta::assert_snapshot!(error.unwrap_err(), @"reading manifest latest of team/app at registry localhost:5000: unknown issuer; give the certificate's authority as a CA file, or name the host as insecure");
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_does_not_settle_the_scheme() {
    // A TLS server that waits for the end of a plain line, once, and then says what it is.
    let silent = Faults::new(answer(400, "this port is for TLS"));
    silent.once(RequestClass::GetManifest, Fault::Stall);
    let network = InProcess::new()
        .with(PLAIN, silent)
        .with(TLS, answer(200, INDEX));
    let repository = remote_at(hasty(network), HOST);
    let at = TagOrDigest::from(Tag::latest());
    repository.manifest(&at).await.unwrap_err();
    repository.manifest(&at).await.unwrap();
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
