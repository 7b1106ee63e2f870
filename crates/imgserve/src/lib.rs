//! An OCI registry as a library: the distribution protocol on any blob store, and the server under it.
//!
//! ```
//! use std::sync::Arc;
//! use imgserve::distribution::Registry;
//! use imgserve::http::{Handler, body};
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let registry = Arc::new(Registry::in_memory());
//! let request = http::Request::get("/v2/team/app/tags/list").body(body::empty()).unwrap();
//! assert_eq!(registry.handle(request).await.status(), 404);
//! # });
//! ```
//!
//! # Central types
//!
//! * [`Handler`](http::Handler) takes a request and gives a response; [`Server`](http::Server) calls one for what comes
//!   over sockets, HTTP/1.1 or HTTP/2, plain or TLS.
//! * [`Registry`](distribution::Registry) is a handler: the distribution protocol, in memory, in a directory, or on a
//!   store and [`Records`](distribution::Records) of yours.
//! * [`route()`](distribution::route) turns method, path and query into an [`Operation`](distribution::Operation), and
//!   reads nothing else.
//!
//! # What this crate does not do
//!
//! It knows no users and asks for no credentials: wrap a handler that does. It opens no connection itself: it is no
//! mirror and no cache of another registry. It never frees the bytes of blobs that no repository has any more.
//!
//! # Guarantees
//!
//! * **Flat memory**: blobs stream through in pieces; manifests are limited to 8 MiB, lists to pages.
//! * **Verified**: bytes become a blob or manifest only under the digest that they have, and are checked again on the
//!   way out.
//! * **Kept**: what a registry in a directory has answered for is there after the process was killed.
//! * **Bounded**: connections, requests on a connection and heads have limits, and peers that stop in the middle are
//!   let go. Bytes from outside only ever lead to refusals.
//!
//! A registry in a directory and the server need a `tokio` runtime; everything else does not. There are no features. The
//! minimum supported Rust version is 1.88.

#![forbid(unsafe_code)]

pub mod distribution;
mod error;
pub mod http;
mod sys;

pub use error::{Error, ErrorKind, Result};

/// The example of the README runs as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn central_types_go_between_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
        check::<distribution::Registry>();
        check::<distribution::Refusal>();
        check::<http::Server>();
    }
}
