//! Hosts of which nobody said whether they speak TLS.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use imgcore::Tag;
use imgregistry::TagOrDigest;
use imgserve::http::{Handler, Request, Response};
use imgtest::registry::{InProcess, Recorder, Reset, answer, respond};
use tokio::sync::Barrier;

use crate::network::{hasty, remote_at};

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
