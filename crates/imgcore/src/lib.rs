//! Digests, references, platforms and OCI documents: the pure core of imgkit.
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
