//! Answers in a few words, and handlers out of closures.

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::StatusCode;
use http_body_util::{BodyExt as _, Full};
use imgserve::http::{Body, Handler, Request, Response};
use serde_json::json;

/// Makes a body of bytes.
pub fn body_of(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Makes an answer with a status, headers and a body. `Content-Length` is added.
pub fn respond(status: u16, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Response {
    let body = body.into();
    let mut response = http::Response::builder().status(status_of(status));
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("content-length"))
    {
        response = response.header("Content-Length", body.len());
    }
    response
        .body(body_of(body))
        .expect("the headers of a test are proper ones")
}

/// Makes the answer of a registry that refuses.
pub fn refusal(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"errors": [{"code": code, "message": message, "detail": null}]});
    respond(
        status,
        &[("Content-Type", "application/json")],
        body.to_string(),
    )
}

/// Makes a handler that always answers the same.
pub fn answer(status: u16, body: impl Into<Bytes>) -> Arc<dyn Handler> {
    let body = body.into();
    handler(move |_| respond(status, &[], body.clone()))
}

/// Makes a handler of a function that looks at a request's head.
pub fn handler(
    function: impl Fn(&http::request::Parts) -> Response + Send + Sync + 'static,
) -> Arc<dyn Handler> {
    Arc::new(FunctionHandler(function))
}

struct FunctionHandler<F>(F);

impl<F> Handler for FunctionHandler<F>
where
    F: Fn(&http::request::Parts) -> Response + Send + Sync + 'static,
{
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            // A server that leaves a body unread looks broken to its client: that is a fault of its own.
            drop(body.collect().await);
            (self.0)(&parts)
        })
    }
}

pub(crate) fn status_of(status: u16) -> StatusCode {
    StatusCode::from_u16(status).expect("a test names real statuses")
}
