//! The body of a request: nothing, bytes that can be sent again, or a stream that cannot.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::BoxBody;

use super::TransportError;

/// The body of a request.
pub struct RequestBody(Form);

enum Form {
    Bytes(Option<Bytes>),
    Stream {
        body: BoxBody<Bytes, TransportError>,
        length: Option<u64>,
    },
}

impl RequestBody {
    /// Makes a body of nothing.
    pub fn empty() -> Self {
        Self(Form::Bytes(None))
    }

    /// Makes a body of bytes.
    pub fn bytes(bytes: Bytes) -> Self {
        Self(Form::Bytes((!bytes.is_empty()).then_some(bytes)))
    }

    /// Makes a body of what comes, with its length where that is known.
    pub fn stream(
        body: impl Body<Data = Bytes, Error = TransportError> + Send + Sync + 'static,
        length: Option<u64>,
    ) -> Self {
        Self(Form::Stream {
            body: body.boxed(),
            length,
        })
    }
}

impl RequestBody {
    /// Returns whether the body cannot be sent a second time.
    pub fn is_stream(&self) -> bool {
        matches!(self.0, Form::Stream { .. })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match &mut self.get_mut().0 {
            Form::Bytes(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Form::Stream { body, .. } => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Form::Bytes(bytes) => bytes.is_none(),
            Form::Stream { length, body } => *length == Some(0) || body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Form::Bytes(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
            }
            Form::Stream { length, .. } => length.map_or_else(SizeHint::new, SizeHint::with_exact),
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("size_hint", &self.size_hint())
            .finish_non_exhaustive()
    }
}
