//! Digests, references, platforms and OCI documents: the pure core of imgkit.
//!
//! Everything that one has to know about container images to talk about them, and nothing that would touch the world.
//!
//! ```
//! use imgcore::{Digest, Document, Reference};
//!
//! let reference: Reference = "registry.example/team/app:v7".parse()?;
//! assert_eq!(reference.repository().to_string(), "team/app");
//!
//! let bytes = br#"{"schemaVersion":2,"manifests":[]}"#;
//! let document = Document::classify(bytes, None)?;
//! assert_eq!(document.descriptor().digest, Digest::sha256_of(bytes));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The central types
//!
//! * [`Digest`] names the stored bytes of a blob, [`DiffId`] the uncompressed ones of a layer; neither becomes the other.
//! * [`Reference`] says where an image is, [`Platform`] which machine it is for.
//! * [`Raw`] holds a document as the bytes that its digest is of, with a view of what they say: a [`Manifest`], an
//!   [`Index`] or a [`Config`]. [`Document`] is either of the first two, told apart by their content.
//! * [`Descriptor`] points to content; [`LayerMetadata`] stands for a layer whose bytes are not needed.
//! * [`assemble`] makes images of layer metadata, [`edit`] changes existing ones, [`check`] compares their parts.
//! * [`json`] is underneath: strict to read, canonical to write, and without loss in between.
//!
//! # What it does not do
//!
//! It opens no file, socket or clock and reads no environment. It writes no layers (that is `imglayer`), keeps no blobs
//! (`imgstore`), speaks no protocol (`imgregistry`). Docker's schema 1 and signatures are not read.
//!
//! # Guarantees
//!
//! * The same input gives the same bytes, on every host. What is written has one canonical form.
//! * A document that was not created here is never written again: an edit keeps every member that it does not touch, byte
//!   for byte.
//! * Bytes from outside can only ever be refused. Documents are limited to 8 MiB and 64 levels ([`json::Limits`]), a
//!   manifest to [10,000 layers](Manifest::MAX_LAYERS), indexes to [4 levels](document::Nesting::MAX_DEPTH).
//! * No `unsafe`.
//!
//! There are no features. The minimum supported Rust version is 1.88.
#![forbid(unsafe_code)]

pub mod assemble;
pub mod check;
pub mod deploy;
pub mod descriptor;
pub mod digest;
pub mod document;
pub mod edit;
pub mod error;
pub mod json;
pub mod layer;
pub mod media_type;
pub mod platform;
pub mod reference;

pub use descriptor::Descriptor;
pub use digest::{Algorithm, DiffId, Digest, Hasher};
pub use document::{Config, Document, Index, Manifest, Raw};
pub use error::{Error, ErrorKind};
pub use layer::{HistoryEntry, LayerMetadata};
pub use media_type::MediaType;
pub use platform::Platform;
pub use reference::{Reference, RegistryHost, Repository, Tag};

/// The example of the README runs as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn central_types_go_between_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Digest>();
        check::<Document>();
        check::<Error>();
        check::<LayerMetadata>();
        check::<Raw<Config>>();
        check::<check::Mismatch>();
        check::<json::Object>();
    }
}
