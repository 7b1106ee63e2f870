//! What layers make when they are put on top of each other, known from their headers alone.
//!
//! [`entries_of`] reads the entries of one layer; a [`FileSystem`] applies one layer after the other as a container engine
//! does: whiteouts hide what lower layers have, names of one file stay names of one file, and parents that
//! no layer mentions are there all the same. No file is extracted.
//!
//! Rules: [OCI image-spec, layer.md, "Applying Changesets"][spec].
//!
//! [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#applying-changesets

mod apply;
mod read;

use imgcore::Digest;
use imgtar::Header;

use crate::mtree::Told;

pub use apply::FileSystem;
pub(crate) use read::name;
pub use read::{Contents, entries_of};

/// An entry of a layer, or a name in a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// What the archive says. In a [`FileSystem`] no entry is a hard link: each name has the header
    /// of its file, and its own path.
    pub header: Header,
    /// The digest of a regular file's content, if it was asked for.
    pub content: Option<Digest>,
    /// How many names the file has.
    pub links: u64,
    /// What is known of it, when that is not everything.
    pub(crate) told: Option<Told>,
}

impl Entry {
    /// Makes an entry with one name and unknown content.
    pub fn new(header: Header) -> Self {
        Self {
            header,
            content: None,
            links: 1,
            told: None,
        }
    }
}
