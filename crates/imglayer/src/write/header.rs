//! The headers of entries.

use imgtar::{EntryKind, Header};

use crate::Error;
use crate::plan::{Plan, Record};

/// Makes headers one after the other in the same memory.
pub(super) struct Headers {
    header: Header,
    /// The metadata that is in the header: it is the same for most entries.
    metadata: Option<u32>,
    blocks: Vec<u8>,
}

/// What a header says beside name and metadata.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) kind: EntryKind,
    pub(super) size: u64,
    /// Where a link leads to.
    pub(super) link: &'a [u8],
    pub(super) device: (u32, u32),
}

impl<'a> About<'a> {
    pub(super) fn kind(kind: EntryKind) -> Self {
        Self {
            kind,
            size: 0,
            link: &[],
            device: (0, 0),
        }
    }

    pub(super) fn file(size: u64) -> Self {
        Self {
            size,
            ..Self::kind(EntryKind::File)
        }
    }

    pub(super) fn link(kind: EntryKind, link: &'a [u8]) -> Self {
        Self {
            link,
            ..Self::kind(kind)
        }
    }
}

impl Headers {
    pub(super) fn new() -> Self {
        Self {
            header: Header::new(EntryKind::File, Vec::new(), 0),
            metadata: None,
            blocks: Vec::new(),
        }
    }

    /// Returns the blocks of a record's header.
    pub(super) fn encode(
        &mut self,
        plan: &Plan,
        record: &Record,
        about: About<'_>,
    ) -> Result<&[u8], Error> {
        self.take_metadata(plan, record.metadata);
        let header = &mut self.header;
        header.kind = about.kind;
        header.size = about.size;
        header.device = about.device;
        replace(&mut header.path, record.path.as_bytes());
        if about.kind == EntryKind::Directory {
            header.path.push(b'/');
        }
        replace(&mut header.link, about.link);
        self.blocks.clear();
        header.encode(&mut self.blocks).map_err(|error| {
            let what = match about.kind {
                EntryKind::Directory => "directory",
                _ => "entry",
            };
            Error::invalid(format!("{what} {}", record.path)).with_source(error)
        })?;
        Ok(&self.blocks)
    }

    fn take_metadata(&mut self, plan: &Plan, number: u32) {
        if self.metadata.replace(number) == Some(number) {
            return;
        }
        let metadata = &plan.metadata[number as usize];
        let header = &mut self.header;
        header.mode = metadata.mode;
        header.uid = metadata.uid;
        header.gid = metadata.gid;
        header.user_name.clone_from(&metadata.user_name);
        header.group_name.clone_from(&metadata.group_name);
        header.mtime = metadata.mtime;
        header.pax.clone_from(&metadata.pax);
    }
}

fn replace(text: &mut Vec<u8>, by: &[u8]) {
    text.clear();
    text.extend_from_slice(by);
}
