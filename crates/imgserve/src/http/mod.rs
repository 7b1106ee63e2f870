//! HTTP without a protocol on top: what a handler is, and a server that calls one.
//!
//! A [`Handler`] takes a request and gives a response. [`Server`] calls it for what comes over sockets; a test or a
//! program may as well call it directly, and wrap one handler in another one.
//!
//! ```
//! use std::sync::Arc;
//! use futures_core::future::BoxFuture;
//! use imgserve::http::{Body, Handler, Request, Response, body};
//!
//! struct Hello;
//!
//! impl Handler for Hello {
//!     fn handle(self: Arc<Self>, _request: Request) -> BoxFuture<'static, Response> {
//!         Box::pin(async { Response::new(body::full("hello")) })
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let response = Arc::new(Hello).handle(Request::new(body::empty())).await;
//! assert_eq!(response.status(), 200);
//! # });
//! ```

pub mod body;
mod pace;
mod server;
mod tls;

use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;

pub use server::{Server, ServerOptions};

/// An error of a body: why no more bytes come.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The bytes of a request or of a response, as a stream.
pub type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, BoxError>;

/// A request with its body still to be read.
pub type Request = http::Request<Body>;

/// A response with its body still to be sent.
pub type Response = http::Response<Body>;

/// What answers requests.
///
/// It never fails: what goes wrong is a response. Dropping the future that it returns (because the client went away)
/// must leave it usable.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response>;
}
