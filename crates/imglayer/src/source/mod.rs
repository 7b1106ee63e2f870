//! Where the contents of files come from: the one module through which files enter this crate.

mod disk;
mod reader;
mod spool;

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use crate::Error;
use crate::path::LayerPath;

pub(crate) use disk::{
    Directories, DiskFile, Found, FoundKind, Item, Stamp, look, name_bytes, read_link,
    sorted_items, stat,
};
pub(crate) use reader::ContentReader;
pub(crate) use spool::{Spool, SpoolWriter};

/// The content of a file that is neither on disk nor in memory.
///
/// # Examples
///
/// ```
/// use std::io::{self, Read};
/// use std::sync::Arc;
///
/// use imglayer::{Content, LayerPath, PlanBuilder, PlanOptions};
///
/// #[derive(Debug)]
/// struct Zeros(u64);
///
/// impl Content for Zeros {
///     fn size(&self) -> u64 {
///         self.0
///     }
///
///     fn open(&self) -> io::Result<Box<dyn Read + '_>> {
///         Ok(Box::new(io::repeat(0).take(self.0)))
///     }
/// }
///
/// let mut builder = PlanBuilder::new(PlanOptions::default());
/// builder.content(LayerPath::parse("var/swap")?, Arc::new(Zeros(1 << 20)))?;
/// assert_eq!(builder.finish()?.entries().next().map(|entry| entry.size()), Some(1 << 20));
/// # Ok::<(), imglayer::Error>(())
/// ```
pub trait Content: fmt::Debug + Send + Sync {
    /// Returns the size of the content in bytes.
    fn size(&self) -> u64;

    /// Opens the content at its start. It may be opened more than once, and gives the same bytes
    /// each time.
    ///
    /// # Errors
    ///
    /// Whatever keeps the content from being read.
    fn open(&self) -> io::Result<Box<dyn Read + '_>>;
}

/// Where the content of one file of a plan is; small, because there may be very many.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Bytes(Arc<[u8]>),
    Custom(Arc<dyn Content>),
    Disk(DiskFile),
    /// A piece of a file that holds the contents of an archive.
    Spool {
        spool: u32,
        offset: u64,
    },
}

impl Source {
    /// Returns the same source for another entry than `entry`, which it was planned for.
    pub(crate) fn apart_from(self, entry: &LayerPath) -> Self {
        match self {
            Self::Disk(file) => Self::Disk(file.apart_from(entry)),
            other => other,
        }
    }

    /// Returns whether two sources are surely the same file.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Bytes(left), Self::Bytes(right)) => left == right,
            (Self::Custom(left), Self::Custom(right)) => Arc::ptr_eq(left, right),
            (Self::Disk(left), Self::Disk(right)) => left == right,
            (
                Self::Spool { spool, offset },
                Self::Spool {
                    spool: other_spool,
                    offset: other_offset,
                },
            ) => (spool, offset) == (other_spool, other_offset),
            _ => false,
        }
    }
}

/// Everything that [`Source`]s refer to.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) directories: Directories,
    pub(crate) spools: Vec<Spool>,
}

impl Sources {
    /// Refuses archives that are no longer what was planned.
    pub(crate) fn check_archives(&self) -> Result<(), Error> {
        self.spools.iter().try_for_each(|spool| {
            spool.check_unchanged(|error| {
                let archive = spool.archive().unwrap_or(Path::new("")).display();
                Error::io(format!("archive {archive}"), error)
            })
        })
    }
}
