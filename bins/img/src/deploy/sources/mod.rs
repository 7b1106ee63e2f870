//! Where the blobs of a deploy come from: places that are asked in order, the near ones first.
//!
//! A file that only a hint leads to must have the digest, beside the size: a build may have written another one there
//! since.

mod files;
mod flags;
mod registries;

pub(crate) use self::files::hash_file;
pub(crate) use self::flags::{SourceArguments, add_registries, files_of, open_sources};
pub(super) use self::registries::layer_places;
