//! A client of the OCI distribution protocol: registries as sources and sinks of images.
//!
//! ```
//! use std::sync::Arc;
//! use bytes::Bytes;
//! use imgregistry::{Client, TagOrDigest};
//! use imgserve::distribution::Registry;
//! use imgserve::http::{Server, ServerOptions};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! // A registry on this machine, to talk to.
//! let registry = Arc::new(Registry::in_memory());
//! let server = Server::bind("127.0.0.1:0".parse()?, registry, ServerOptions::default()).await?;
//! let host = server.local_address().to_string().parse()?;
//! tokio::spawn(server.serve(std::future::pending()));
//!
//! let client = Client::builder().build()?;
//! let remote = client.repository(&host, &"team/app".parse()?)?;
//! let tag: imgcore::Tag = "v1".parse()?;
//! let at = TagOrDigest::from(tag);
//! let index = Bytes::from_static(br#"{"schemaVersion":2,"manifests":[]}"#);
//! remote.put_manifest(&at, &imgcore::MediaType::OCI_INDEX, index.clone()).await?;
//!
//! let fetched = remote.manifest(&at).await?;
//! assert_eq!(fetched.document.bytes(), index);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Central types
//!
//! * [`Client`] holds settings, connections and tokens; [`ClientBuilder`] is where the settings are.
//! * [`Remote`] is one repository: a [`BlobSource`](imgstore::BlobSource) and a [`BlobSink`](imgstore::BlobSink), with
//!   manifests, tags, referrers, mounts and deletes.
//! * [`Error`] says what was done, to which thing, at which host and in which role, what the registry said, and what to do
//!   next.
//! * [`Transport`] and [`Clock`] are where the world comes in: [`HttpTransport`] and [`TokioClock`], or those of a test.
//! * [`protocol`] is the protocol as functions and state machines, without I/O.
//!
//! # What this crate does not do
//!
//! It finds no credentials (`imgauth` does), chooses no platform and stores nothing (`imgpull` does), and reads neither
//! environment nor configuration: programs say what applies. It makes no runtime: a client with the transport of this
//! crate is made on a tokio runtime, and may then be used from any thread.
//!
//! # Guarantees
//!
//! * **Verified**: no manifest and no whole blob is reported as read before its digest proved right. A resumed transfer is
//!   checked like any other.
//! * **Bounded**: manifests of 8 MiB, errors and tokens of 64 KiB, 5 redirects, 128 headers, lists of 64 MiB (tags) and
//!   16 MiB (referrers); blobs stream through.
//! * **Discreet**: a credential goes to the host that it is for, by TLS unless the user says otherwise, and to token servers
//!   of the same owner. Servers lead the client to public addresses, to themselves and to what the program allows
//!   ([`ClientBuilder::allow_private_host`]). Texts and `Debug` have no secret in them.
//! * **Nothing of the process changes**: no TLS provider is installed, no environment is read, no signal is handled.
//!
//! There are no features. The minimum supported Rust version is 1.88.
#![forbid(unsafe_code)]

mod client;
mod clock;
mod error;
mod exchange;
pub mod protocol;
mod remote;
mod session;
mod transport;

pub use client::{Client, ClientBuilder, Counters, Event, Gateway, Mirror, Observer, Security};
pub use clock::{Clock, TokioClock};
pub use error::{Error, ErrorKind, Operation, Result};
pub use protocol::url::TagOrDigest;
pub use remote::{Fetched, Mount, Put, Referrers, Remote, Tags, Uploaded};
pub use transport::{
    Addresses, ClientIdentity, HttpOptions, HttpTransport, Proxies, ProxyError, RequestBody,
    ResponseBody, Role, Route, TlsOptions, Transport, TransportError, TransportErrorKind,
    Verification,
};

/// The example of the README compiles as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use std::future::Future;

    use super::*;

    fn is_shared<T: Send + Sync + 'static>() {}

    fn is_spawned(_: impl Future + Send) {}

    #[test]
    fn clients_are_shared_between_threads_and_futures_move_between_them() {
        is_shared::<Client>();
        is_shared::<Remote>();
        is_shared::<Error>();
        is_shared::<ClientBuilder>();
        let _ = |remote: Remote, at: TagOrDigest, digest: imgcore::Digest| {
            is_spawned(remote.manifest(&at));
            is_spawned(remote.head_manifest(&at));
            is_spawned(remote.tags().all());
            is_spawned(remote.referrers(&digest, None));
            is_spawned(remote.delete_blob(&digest));
        };
    }
}
