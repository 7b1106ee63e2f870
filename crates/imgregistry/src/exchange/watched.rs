//! The body of an answer under watch: silence is an error, and the request counts as in flight until its end.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};

use crate::client::{Counted, Permit};
use crate::{Clock, ResponseBody, TransportError, TransportErrorKind};

/// A body that gives up a silent server, and its place under the ceiling at its end.
pub(crate) struct Watched {
    body: ResponseBody,
    permit: Option<Permit>,
    counted: Counted,
    clock: Arc<dyn Clock>,
    patience: Duration,
    /// Runs while nothing comes. One timer serves many chunks, as arming one for each would cost more than the chunk.
    timer: Option<BoxFuture<'static, ()>>,
    /// Whether something came since the timer was started.
    has_moved: bool,
}

impl Watched {
    pub(crate) fn new(
        body: ResponseBody,
        permit: Permit,
        counted: Counted,
        clock: Arc<dyn Clock>,
        patience: Duration,
    ) -> Self {
        let is_done = body.is_end_stream();
        Self {
            body,
            permit: (!is_done).then_some(permit),
            counted,
            clock,
            patience,
            timer: None,
            has_moved: false,
        }
    }

    /// Puts bytes that were read in the place of the rest, and gives up the place under the ceiling.
    pub(super) fn replace(&mut self, bytes: Bytes) {
        self.body = Full::new(bytes)
            .map_err(|never| match never {})
            .boxed_unsync();
        self.permit = None;
        self.counted.observer = None;
    }

    fn poll_silence(&mut self, context: &mut Context<'_>) -> Poll<TransportError> {
        loop {
            let timer = self
                .timer
                .get_or_insert_with(|| self.clock.patience(self.patience));
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
            self.timer = None;
            if !std::mem::take(&mut self.has_moved) {
                let text = format!("the server was silent for {} s", self.patience.as_secs());
                return Poll::Ready(TransportError::new(TransportErrorKind::Stalled, text));
            }
        }
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.body).poll_frame(context) {
            Poll::Ready(Some(Ok(frame))) => {
                this.has_moved = true;
                if let Some(permit) = &this.permit {
                    permit.note();
                }
                if let Some(data) = frame.data_ref() {
                    this.counted.add(data.len());
                }
                if this.body.is_end_stream() {
                    this.permit = None;
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(end) => {
                this.permit = None;
                Poll::Ready(end)
            }
            Poll::Pending => this.poll_silence(context).map(|error| {
                this.permit = None;
                Some(Err(error))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("size_hint", &self.size_hint())
            .finish_non_exhaustive()
    }
}
