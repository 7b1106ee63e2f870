//! What `img deploy` does: reads requests, finds the bytes, and pushes them or writes them to files.

mod batch;
mod request;
mod run;
mod runfiles;
mod sign;
mod sink;
mod sources;

pub(crate) use self::batch::{Groups, SharingOverrides};
pub(crate) use self::request::{Overrides, Request};
pub(crate) use self::run::Deployment;
pub(crate) use self::sign::{SignArguments, Signers};
pub(crate) use self::sink::Sink;
pub(crate) use self::sources::{
    SourceArguments, add_registries, files_of, hash_file, open_sources,
};
