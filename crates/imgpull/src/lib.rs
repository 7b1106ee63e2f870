//! Registry to store: shallow and eager pulls, platform selection, several sources, a cache of this machine.
//!
//! ```no_run
//! use std::sync::Arc;
//! use imgpull::{Origin, Progress, PullOptions, TagOrDigest, pull};
//! use imgstore::MemoryStore;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = imgregistry::Client::builder().build()?;
//! let debian = client.repository(&"docker.io".parse()?, &"library/debian".parse()?)?;
//! let (at, store) = (TagOrDigest::Tag("12".parse()?), Arc::new(MemoryStore::new()));
//! let options = PullOptions::default();
//! let pulled = pull(&[Origin::from(debian)], &at, &options, store, &Progress::default()).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Central types
//!
//! * [`pull()`] brings an image from [`Origin`]s into a [`Store`], as [`PullOptions`] say, and returns what it [`Pulled`].
//! * [`Cache`] is a directory of blobs that all processes of a machine share.
//! * [`LayerSource`] is the source of what a shallow pull left behind.
//! * [`Event`]s tell a [`Progress`] what happens.
//!
//! # What this crate does not do
//!
//! It speaks no protocol: that is imgregistry's, and any other place can be an [`Origin`] by [`ManifestSource`] and
//! [`BlobSource`](imgstore::BlobSource). It reads no environment and prints nothing.
//!
//! # Guarantees
//!
//! * **Verified**: nothing is visible in a store or cache before its size and digest proved right, and what was there
//!   before is checked before it counts.
//! * **Few requests**: one for each document and blob that is not there, and no other.
//! * **Resumed**: bytes that arrived are not asked for again, at the next origin or after a crash (with a [`Cache`]).
//! * **Flat memory**: layers pass in chunks; documents are kept, with a limit on all of them together.
//!
//! [`pull()`] wants a tokio runtime. There are no features. The minimum supported Rust version is 1.88.
#![forbid(unsafe_code)]

mod cache;
mod error;
mod event;
mod origin;
mod pull;
mod sys;
mod transfer;
mod wait;

pub use cache::{Cache, Ensured, Trimmed};
pub use error::{Attempt, Error, Result};
pub use event::{Event, From, Progress};
pub use imgregistry::TagOrDigest;
pub use origin::{ManifestSource, Origin};
pub use pull::{
    Handling, LayerSource, PullOptions, Pulled, PulledImage, PulledLayer, Store, document,
    documents, pull,
};

/// The example of the README compiles as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    fn is_shared<T: Send + Sync + 'static>() {}

    #[test]
    fn what_is_public_moves_between_threads() {
        is_shared::<Cache>();
        is_shared::<Error>();
        is_shared::<LayerSource>();
        is_shared::<Origin>();
        is_shared::<Progress>();
        is_shared::<Pulled>();
    }
}
