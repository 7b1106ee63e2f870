//! Store to containerd, Docker and Podman: engines, detection, archive streams.
//!
//! Nothing is public yet: the crate holds its place in the dependency order that the repository's
//! `ARCHITECTURE.md` fixes.

#![forbid(unsafe_code)]
