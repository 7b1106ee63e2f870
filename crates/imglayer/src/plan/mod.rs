//! What goes into a layer, decided before a byte of it is written.

mod builder;
mod finish;
mod import;
mod intern;
mod options;
mod parallel;
mod tree;
mod warning;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use imgtar::EntryKind;

use crate::metadata::Metadata;
use crate::path::LayerPath;
use crate::source::{Source, Sources};

pub use builder::PlanBuilder;
pub use options::{
    Hardlinks, ImportMetadata, ImportOptions, ModePolicy, PlanOptions, SymlinkPolicy, TreeHandling,
    TreeOptions,
};
pub use warning::Warning;

/// The entries of a layer in their order, with their metadata and where their contents are.
///
/// A plan is made by a [`PlanBuilder`] and written by [`write_layer`](crate::write_layer), as
/// often as one likes. It holds names, not contents.
pub struct Plan {
    pub(crate) records: Vec<Record>,
    /// The records that are entries, in the order of entries.
    pub(crate) order: Vec<u32>,
    pub(crate) metadata: Vec<Arc<Metadata>>,
    pub(crate) sources: Sources,
    pub(crate) hardlinks: Hardlinks,
    /// The records that each archive brought, in the order of the archive.
    pub(crate) archives: Vec<Range<usize>>,
    warnings: Vec<Warning>,
}

impl Plan {
    /// Returns the entries in the order in which they are written.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = PlannedEntry<'_>> {
        self.records_in_order()
            .map(|record| PlannedEntry { plan: self, record })
    }

    /// Returns whether equal files become hard links when the plan is written.
    pub fn hardlinks(&self) -> Hardlinks {
        self.hardlinks
    }

    /// Returns what happened on the way that a person should know.
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    pub(crate) fn records_in_order(&self) -> impl ExactSizeIterator<Item = &Record> {
        self.order.iter().map(|at| &self.records[*at as usize])
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plan")
            .field("entries", &self.order.len())
            .field("warnings", &self.warnings.len())
            .finish_non_exhaustive()
    }
}

/// One entry of a [`Plan`].
///
/// Equal files are [`File`](EntryKind::File)s here: which of them become hard links is known when
/// their contents are read.
#[derive(Clone, Copy)]
pub struct PlannedEntry<'a> {
    plan: &'a Plan,
    record: &'a Record,
}

impl<'a> PlannedEntry<'a> {
    /// Returns the name of the entry.
    pub fn path(&self) -> &'a LayerPath {
        &self.record.path
    }

    /// Returns what the entry is; a name of a file that has several by intent is a file, too.
    pub fn kind(&self) -> EntryKind {
        match &self.record.body {
            Body::Directory => EntryKind::Directory,
            Body::File(_) | Body::HardLink(_) => EntryKind::File,
            Body::Special { kind, .. } => *kind,
            Body::Symlink(_) => EntryKind::Symlink,
        }
    }

    /// Returns the size of the entry's content in bytes.
    pub fn size(&self) -> u64 {
        match &self.record.body {
            Body::File(file) => file.size,
            _ => 0,
        }
    }

    /// Returns the text of a symlink.
    pub fn link_target(&self) -> Option<&'a [u8]> {
        match &self.record.body {
            Body::Symlink(target) => Some(target),
            _ => None,
        }
    }

    /// Returns the metadata of the entry.
    pub fn metadata(&self) -> &'a Metadata {
        &self.plan.metadata[self.record.metadata as usize]
    }
}

impl fmt::Debug for PlannedEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlannedEntry")
            .field("path", self.path())
            .field("kind", &self.kind())
            .field("size", &self.size())
            .field("metadata", self.metadata())
            .finish()
    }
}

/// One name that was added. There may be very many, so this is kept small.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) path: LayerPath,
    pub(crate) body: Body,
    /// The place of the metadata in the plan's list; equal numbers are equal metadata.
    pub(crate) metadata: u32,
}

#[derive(Debug)]
pub(crate) enum Body {
    Directory,
    File(FileBody),
    /// Another name for the file at a path; gone once the builder has finished.
    HardLink(LayerPath),
    Special {
        kind: EntryKind,
        device: (u32, u32),
    },
    Symlink(Box<[u8]>),
}

#[derive(Clone, Debug)]
pub(crate) struct FileBody {
    pub(crate) source: Source,
    pub(crate) size: u64,
    /// Names with the same number are names of one file, whatever becomes of equal files.
    pub(crate) group: Option<Group>,
}

/// The number of a file that has several names by intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Group(pub(crate) std::num::NonZeroU32);

impl Body {
    /// Returns what stands where, in words.
    pub(crate) fn noun(&self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File(_) => "file",
            Self::HardLink(_) => "hard link",
            Self::Special {
                kind: EntryKind::BlockDevice,
                ..
            } => "block device",
            Self::Special {
                kind: EntryKind::CharDevice,
                ..
            } => "character device",
            Self::Special { .. } => "fifo",
            Self::Symlink(_) => "symlink",
        }
    }
}
