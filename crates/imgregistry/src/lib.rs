//! OCI Distribution client: protocol state machines, token exchange, retry, transport.
//!
//! Nothing is public yet: the crate holds its place in the dependency order that the repository's
//! `ARCHITECTURE.md` fixes.

#![forbid(unsafe_code)]
