//! A request whose body is still being written.

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::future::{Either, select};
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::sync::mpsc;

use super::driver::{Driver, Sent};
use crate::RequestBody;
use crate::exchange::Call;
use crate::protocol::upload::Request;
use crate::remote::Remote;
use crate::transport::Progress;

/// How many pieces wait for the connection.
const QUEUE: usize = 4;

/// A request on its way, with the end of its body in our hands.
pub(super) struct Flight {
    pub(super) call: Call,
    pub(super) request: Request,
    /// The next byte of the blob that the body needs.
    pub(super) next: u64,
    pieces: Option<mpsc::Sender<Bytes>>,
    answer: BoxFuture<'static, Sent>,
    progress: Progress,
}

impl Flight {
    /// Starts a request for the bytes from `request.body.start` to the blob's end. Nothing is sent before bytes are fed.
    pub(super) fn start(driver: &Driver, remote: &Remote, request: Request) -> Self {
        let range = request.body.clone().unwrap_or_default();
        let (pieces, queue) = mpsc::channel::<Bytes>(QUEUE);
        let frames = stream::unfold(queue, |mut queue| async move {
            let piece = queue.recv().await?;
            Some((Ok(Frame::data(piece)), queue))
        });
        let length = range.end - range.start;
        let body = RequestBody::stream(StreamBody::new(frames), Some(length));
        let progress = body.progress();
        let call = driver.call(&request);
        let answer = {
            let (remote, call) = (remote.clone(), call.clone());
            Box::pin(async move {
                let exchange = remote.origin().exchange(&remote);
                exchange.stream(&call, body).await
            })
        };
        Self {
            call,
            request,
            next: range.start,
            pieces: Some(pieces),
            answer,
            progress,
        }
    }

    /// Feeds bytes; returns the outcome when the server has answered before it had them all.
    pub(super) async fn feed(&mut self, piece: Bytes) -> Option<Sent> {
        // Time that passed between two writes is not the server's silence.
        self.progress.note();
        let Some(pieces) = &self.pieces else {
            return Some((&mut self.answer).await);
        };
        self.next += piece.len() as u64;
        let sending = Box::pin(pieces.send(piece));
        match select(sending, &mut self.answer).await {
            Either::Left((Ok(()), _)) => None,
            // The body was dropped: the answer says why.
            Either::Left((Err(_), answer)) => Some(answer.await),
            Either::Right((sent, _)) => Some(sent),
        }
    }

    /// Ends the body, and waits for the answer.
    pub(super) async fn finish(&mut self) -> Sent {
        self.progress.note();
        self.pieces = None;
        (&mut self.answer).await
    }
}
