//! Where image blobs live: source and sink traits, OCI layouts, memory, directories, archives.
//!
//! Everything that moves an image is a copy between two stores:
//!
//! ```
//! use bytes::Bytes;
//! use imgcore::{Descriptor, MediaType};
//! use imgstore::{BlobSourceExt, MemoryStore, blocking, copy};
//!
//! let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"layer");
//! let (from, to) = (MemoryStore::new(), MemoryStore::new());
//! from.insert(Bytes::from_static(b"layer"));
//!
//! blocking::block_on(copy(&from, &to, &layer))?;
//! assert_eq!(blocking::block_on(to.read_all(&layer, 1024))?, b"layer".as_slice());
//! # Ok::<(), imgstore::Error>(())
//! ```
//!
//! # Central types
//!
//! * [`BlobSource`] and [`BlobSink`] are what a medium implements; [`BlobSourceExt`] and [`copy()`] are what callers
//!   use. Both traits are async and name no runtime; [`blocking`] runs them on the calling thread.
//! * [`OciLayout`], [`DirectoryStore`] and [`MemoryStore`] are stores; [`Chain`] and [`Verifying`] wrap sources.
//! * [`archive`] writes and reads images as files; [`walk`] follows indexes to the image for a platform; [`mod@check`]
//!   recomputes everything that an image says about itself.
//! * [`conformance`] is what every store must do, for the tests of yours.
//! * [`LocalSource`] is the synchronous side: whoever implements it is a [`BlobSource`] for free.
//!
//! # What this crate does not do
//!
//! It opens no sockets and knows no registry and no remote cache: those are sources and sinks of other crates. It starts
//! no thread and no runtime, but for [`check::check`], which reads layers side by side. It extracts no layer.
//!
//! # Guarantees
//!
//! * **Verified**: a [`BlobStream`] reports its end only after size and digest of the whole blob proved right. Bytes
//!   of a part of a blob come as an [`UnverifiedStream`], and the two do not convert into each other.
//! * **Invisible until committed**: an [`Ingest`] that is dropped, or that got the wrong bytes, leaves nothing.
//! * **Flat memory**: blobs are moved in chunks of at most [`CHUNK`] bytes.
//!
//! There are no features. The minimum supported Rust version is 1.88.
#![forbid(unsafe_code)]

pub mod archive;
pub mod blocking;
mod chain;
pub mod check;
pub mod conformance;
mod copy;
mod directory;
mod error;
mod layout;
mod local;
mod memory;
mod sink;
mod source;
mod stream;
mod sys;
mod transfer;
mod verifying;
pub mod walk;

pub use chain::Chain;
pub use copy::{Copied, copy};
pub use directory::{
    DirectoryOptions, DirectoryStore, Durability, OutsideLinks, Placed, Placement, StagedBlob,
    make_directory,
};
pub use error::{Error, ErrorKind, Result, with_causes};
pub use layout::{
    CONTAINERD_NAME, LayoutIndex, MARKER_CONTENT, MAX_DOCUMENT, OciLayout, REF_NAME, Selector,
};
pub use local::{LocalSource, LocalSourceExt, RawReader, VerifiedReader};
pub use memory::MemoryStore;
pub use sink::{Begin, BlobSink, BlobWrite, Ingest};
pub use source::{BlobSource, BlobSourceExt, Presence};
pub use stream::{BlobStream, CHUNK, UnverifiedStream};
pub use verifying::Verifying;

/// The example of the README runs as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn is_shared<T: Send + Sync + 'static>() {}

    #[test]
    fn stores_are_shared_between_threads_and_boxed() {
        is_shared::<Arc<dyn BlobSource>>();
        is_shared::<Arc<dyn BlobSink>>();
        is_shared::<Arc<dyn LocalSource>>();
        is_shared::<Chain>();
        is_shared::<DirectoryStore>();
        is_shared::<MemoryStore>();
        is_shared::<OciLayout>();
        is_shared::<Verifying<MemoryStore>>();
        is_shared::<archive::Image>();
        is_shared::<Error>();
    }

    #[test]
    fn a_shared_store_conforms_like_the_store_itself() {
        conformance::all(|| Arc::new(MemoryStore::new()));
    }
}
