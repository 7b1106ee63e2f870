//! Handlers that take their time, and those that give theirs away in pieces.

use std::sync::Arc;
use std::time::Duration;

use futures_core::future::BoxFuture;
use futures_util::stream;
use http_body_util::BodyExt as _;
use imgserve::http::{Body, BoxError, Handler, Request, Response};

/// Lets every request wait before a handler is asked, for tests with paused time: its clock moves on once all that can
/// happen has happened, so that as many requests are under way together as their client allows.
pub fn slow(inner: Arc<dyn Handler>, by: Duration) -> Arc<dyn Handler> {
    Arc::new(Slow { inner, by })
}

struct Slow {
    inner: Arc<dyn Handler>,
    by: Duration,
}

impl Handler for Slow {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            tokio::time::sleep(self.by).await;
            Arc::clone(&self.inner).handle(request).await
        })
    }
}

/// Sends the bodies of a handler's answers in pieces of so many bytes, as networks do.
pub fn in_pieces(inner: Arc<dyn Handler>, size: usize) -> Arc<dyn Handler> {
    Arc::new(InPieces { inner, size })
}

struct InPieces {
    inner: Arc<dyn Handler>,
    size: usize,
}

impl Handler for InPieces {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            let response = Arc::clone(&self.inner).handle(request).await;
            response.map(|body| cut(body, self.size))
        })
    }
}

fn cut(body: Body, size: usize) -> Body {
    let pieces = stream::unfold(
        (body, bytes::Bytes::new()),
        move |(mut body, mut rest)| async move {
            while rest.is_empty() {
                rest = match body.frame().await? {
                    Ok(frame) => frame.into_data().unwrap_or_default(),
                    Err(error) => return Some((Err::<_, BoxError>(error), (body, rest))),
                };
            }
            let piece = rest.split_to(size.min(rest.len()));
            Some((Ok(piece), (body, rest)))
        },
    );
    imgserve::http::body::stream(pieces)
}

#[cfg(test)]
mod tests {
    use super::super::{InProcess, Recorder, answer};
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_meet_at_a_slow_handler_and_their_answers_are_whole() {
        let pieces = in_pieces(answer(200, "a b c"), 2);
        let recorder = Recorder::new(slow(pieces, Duration::from_secs(1)));
        let network = InProcess::new().with("https://r.example", Arc::clone(&recorder));
        let requests = (0..3).map(|_| network.get("https://r.example/"));
        for whole in futures_util::future::join_all(requests).await {
            assert_eq!(whole.unwrap().body, "a b c");
        }
        assert_eq!(recorder.most_in_flight(), 3);
    }
}
