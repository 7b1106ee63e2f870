//! OCI Distribution client: protocol state machines, token exchange, retry, transport.
//!
//! So far there are the [`protocol`], which does no I/O, and a [`Client`] that reads what needs no login.

#![forbid(unsafe_code)]

mod client;
mod clock;
mod error;
mod exchange;
mod pending;
pub mod protocol;
mod remote;
mod session;
mod transport;

pub use client::{Client, ClientBuilder, Counters, Event, Gateway, Mirror, Observer, Security};
pub use clock::{Clock, TokioClock};
pub use error::{Error, ErrorKind, Operation, Result};
pub use protocol::url::TagOrDigest;
pub use remote::{Fetched, Put, Referrers, Remote, Tags};
pub use transport::{
    Addresses, ClientIdentity, HttpOptions, HttpTransport, Proxies, ProxyError, RequestBody,
    ResponseBody, Role, Route, TlsOptions, Transport, TransportError, TransportErrorKind,
    Verification,
};

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
