//! Deterministic OCI layer bytes: plan, tar, parallel compression.

pub mod encode;
mod error;
pub mod filesystem;
mod metadata;
pub mod mtree;
mod path;
mod plan;
mod source;
mod sys;

pub use error::{Error, ErrorKind};
pub use imgtar::{EntryKind, Timestamp};
pub use metadata::{Metadata, MetadataPatch};
pub use path::{HostPaths, LayerPath};
pub use plan::{
    Hardlinks, ImportMetadata, ImportOptions, ModePolicy, Plan, PlanBuilder, PlanOptions,
    PlannedEntry, SymlinkPolicy, TreeHandling, TreeOptions, Warning,
};
pub use source::Content;
