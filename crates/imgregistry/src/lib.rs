//! OCI Distribution client: protocol state machines, token exchange, retry, transport.
//!
//! So far there is the [`protocol`], which does no I/O.

#![forbid(unsafe_code)]

pub mod protocol;
