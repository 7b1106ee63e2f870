//! The OCI distribution protocol, version 1.1, on any store of `imgstore`.
//!
//! A request becomes an [`Operation`] ([`route()`]), and the operation is carried out on a store of blobs and on
//! [`Records`], which know what belongs to which repository. Nothing but the store and the records outlives a request.

mod blobs;
mod lock;
mod manifests;
mod range;
pub mod records;
mod referrers;
mod refusal;
mod registry;
mod route;
mod tags;
mod uploads;

pub use records::{DirectoryRecords, ManifestRecord, MemoryRecords, Records};
pub use refusal::{Code, Refusal};
pub use registry::{FailureSink, MissingContent, Registry, RegistryOptions};
pub use route::{ManifestReference, Mount, Operation, UploadName, route};
pub use uploads::Uploads;
