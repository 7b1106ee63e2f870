//! Store to registry: plans, mounts, deduplicated uploads.
//!
//! Nothing is public yet: the crate holds its place in the dependency order that the repository's
//! `ARCHITECTURE.md` fixes.

#![forbid(unsafe_code)]
