//! The transport of a client that talks to handlers without sockets.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::header::CONTENT_LENGTH;
use http::{Method, Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use imgregistry::{
    RequestBody, ResponseBody, Route, Transport, TransportError, TransportErrorKind,
};
use imgserve::http::Body;

use super::recorder::lock;
use super::{InProcess, body_of};

/// Takes a client's requests to handlers: hosts have the names that a test gives them, and time may be paused.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "it is a network and nothing else"
)]
pub struct Wire(pub InProcess);

impl Transport for Wire {
    fn send(
        &self,
        request: Request<RequestBody>,
        _route: Route,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        Box::pin(async move {
            let is_head = request.method() == Method::HEAD;
            let request = with_length(request);
            let broken_off = Arc::new(Mutex::new(None));
            let note = Arc::clone(&broken_off);
            let request = request.map(|body| {
                let noted = body.map_err(move |error: TransportError| {
                    let text = error.to_string();
                    *lock(&note) = Some(error);
                    text.into()
                });
                noted.boxed_unsync()
            });
            let answer = self.0.send(request).await;
            // A body that breaks off takes the connection with it, and the answer.
            if let Some(error) = lock(&broken_off).take() {
                return Err(error);
            }
            let response = answer.map_err(|error| broken(&error))?;
            let length = response.headers().get(CONTENT_LENGTH);
            let length = length.and_then(|value| value.to_str().ok()?.parse().ok());
            Ok(response.map(|body| {
                let body = if is_head { body_of("") } else { body };
                let left = if is_head { Some(0) } else { length };
                Framed { body, left }.boxed_unsync()
            }))
        })
    }
}

/// Announces the length of a body, as every HTTP library does.
fn with_length(mut request: Request<RequestBody>) -> Request<RequestBody> {
    let has_body = matches!(
        *request.method(),
        Method::POST | Method::PUT | Method::PATCH
    );
    if let Some(length) = request.body().size_hint().exact()
        && (has_body || length > 0)
        && !request.headers().contains_key(CONTENT_LENGTH)
    {
        request.headers_mut().insert(CONTENT_LENGTH, length.into());
    }
    request
}

fn broken(error: &io::Error) -> TransportError {
    let kind = match error.kind() {
        io::ErrorKind::ConnectionRefused => TransportErrorKind::Connect,
        _ => TransportErrorKind::Reset,
    };
    TransportError::new(kind, error.to_string())
}

/// A body that is held to its announced length, as HTTP does.
struct Framed {
    body: Body,
    left: Option<u64>,
}

impl http_body::Body for Framed {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if self.left == Some(0) {
            return Poll::Ready(None);
        }
        let short = || TransportError::new(TransportErrorKind::Body, "the body ended early");
        match std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) {
            None if self.left.is_some() => Poll::Ready(Some(Err(short()))),
            None => Poll::Ready(None),
            Some(Err(_)) => Poll::Ready(Some(Err(short()))),
            Some(Ok(frame)) => {
                let Ok(mut data) = frame.into_data() else {
                    return self.poll_frame(context);
                };
                if let Some(left) = &mut self.left {
                    let room = usize::try_from(*left).unwrap_or(usize::MAX);
                    data.truncate(room);
                    *left -= data.len() as u64;
                }
                Poll::Ready(Some(Ok(Frame::data(data))))
            }
        }
    }
}
