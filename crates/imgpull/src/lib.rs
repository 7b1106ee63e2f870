//! Registry to store: shallow, eager and lazy pulls, platform selection, mirrors.
//!
//! Nothing is public yet: the crate holds its place in the dependency order that the repository's
//! `ARCHITECTURE.md` fixes.

#![forbid(unsafe_code)]
