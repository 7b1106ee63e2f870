//! The body of a request: bytes that are at hand, or a stream of what comes.

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;

use super::TransportError;

/// The largest piece that is handed over at once, in bytes: small enough that a slow line shows progress.
const PIECE: usize = 256 * 1024;

/// The body of a request.
pub struct RequestBody {
    form: Form,
    progress: Progress,
}

enum Form {
    Bytes(VecDeque<Bytes>),
    /// The lock is never taken: it makes a stream that moves between threads one that may also be shared, which HTTP
    /// libraries ask for.
    Stream {
        body: Mutex<UnsyncBoxBody<Bytes, TransportError>>,
        length: Option<u64>,
    },
}

/// How often something of a body went out: a server that takes nothing for long is silent.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Notes that something moved.
    pub(crate) fn note(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl RequestBody {
    /// Makes a body of nothing.
    pub fn empty() -> Self {
        Self::pieces([])
    }

    /// Makes a body of bytes.
    pub fn bytes(bytes: Bytes) -> Self {
        Self::pieces([bytes])
    }

    /// Makes a body of bytes that lie in several places.
    pub fn pieces(pieces: impl IntoIterator<Item = Bytes>) -> Self {
        let pieces = pieces.into_iter().filter(|bytes| !bytes.is_empty());
        Self {
            form: Form::Bytes(pieces.collect()),
            progress: Progress::default(),
        }
    }

    /// Makes a body of what comes, with its length where that is known.
    pub fn stream(
        body: impl Body<Data = Bytes, Error = TransportError> + Send + 'static,
        length: Option<u64>,
    ) -> Self {
        Self {
            form: Form::Stream {
                body: Mutex::new(body.boxed_unsync()),
                length,
            },
            progress: Progress::default(),
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.clone()
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = self.get_mut();
        let frame = match &mut this.form {
            Form::Bytes(pieces) => next_piece(pieces).map(|piece| Ok(Frame::data(piece))),
            Form::Stream { body, .. } => {
                let body = body.get_mut().unwrap_or_else(PoisonError::into_inner);
                ready!(Pin::new(body).poll_frame(context))
            }
        };
        this.progress.note();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.form {
            Form::Bytes(pieces) => pieces.is_empty(),
            Form::Stream { length, .. } => *length == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.form {
            Form::Bytes(pieces) => {
                SizeHint::with_exact(pieces.iter().map(|piece| piece.len() as u64).sum())
            }
            Form::Stream { length, .. } => length.map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

fn next_piece(pieces: &mut VecDeque<Bytes>) -> Option<Bytes> {
    let mut first = pieces.pop_front()?;
    if first.len() > PIECE {
        let rest = first.split_off(PIECE);
        pieces.push_front(rest);
    }
    Some(first)
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("size_hint", &self.size_hint())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn large_bytes_go_out_in_pieces_and_whole() {
        let bytes = Bytes::from(vec![7; 3 * PIECE + 5]);
        let mut body =
            RequestBody::pieces([bytes.clone(), Bytes::new(), Bytes::from_static(b"end")]);
        assert_eq!(body.size_hint().exact(), Some(bytes.len() as u64 + 3));
        let mut lengths = Vec::new();
        while let Some(frame) = body.frame().await {
            lengths.push(frame.unwrap().into_data().unwrap().len());
        }
        assert_eq!(lengths, [PIECE, PIECE, PIECE, 5, 3]);
        assert!(body.is_end_stream());
        assert!(RequestBody::empty().is_end_stream());
    }
}
