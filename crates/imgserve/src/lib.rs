//! The servers as a library: distribution registry, CAS registry, build-event listener.
//!
//! Nothing is public yet: the crate holds its place in the dependency order that the repository's
//! `ARCHITECTURE.md` fixes.

#![forbid(unsafe_code)]
