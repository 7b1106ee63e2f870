//! Where the files of an archive are: one pass over its headers.

use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;

use imgtar::{EntryKind, Reader};

use super::image::ArchiveLimits;
use crate::{Error, RawReader, Result};

/// More links than an honest archive puts in a row.
const MAX_LINKS: usize = 16;

/// An uncompressed archive, in which the bytes of every file are at a known place.
#[derive(Clone, Debug)]
pub(super) struct ArchiveIndex {
    pub(super) file: ArchiveFile,
    entries: BTreeMap<String, Entry>,
}

/// The file that is read: the archive itself, or its decompressed copy.
#[derive(Clone, Debug)]
pub(super) struct ArchiveFile {
    pub(super) path: PathBuf,
    /// Removes the copy with the last one that reads it.
    pub(super) copy: Option<Arc<tempfile::TempPath>>,
}

/// The bytes of a file in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Span {
    pub(super) offset: u64,
    pub(super) size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Directory,
    File(Span),
    /// The name, from the top of the archive, of what is meant.
    Link(String),
}

impl ArchiveIndex {
    /// Reads all headers.
    pub(super) fn read(file: ArchiveFile, limits: &ArchiveLimits) -> Result<Self> {
        let reading = |error: io::Error| Error::from_io("reading an archive", error);
        let mut tar_limits = imgtar::Limits::default();
        tar_limits.entries = limits.entries;
        let input = io::BufReader::with_capacity(256 * 1024, file.open().map_err(reading)?);
        let mut reader = Reader::with_limits(input, tar_limits);
        let mut entries = BTreeMap::new();
        let mut names = 0;
        while let Some(entry) = reader.next_entry()? {
            let header = entry.header();
            names += header.path.len() + header.link.len();
            if names > limits.names {
                let text = format!("its names have more than {} bytes", limits.names);
                return Err(Error::too_large(text));
            }
            let name = clean(&header.path)?;
            let found = match header.kind {
                EntryKind::Directory => Entry::Directory,
                EntryKind::File => Entry::File(Span {
                    offset: entry.content_offset(),
                    size: header.size,
                }),
                EntryKind::HardLink => Entry::Link(clean(&header.link)?),
                EntryKind::Symlink => Entry::Link(symlink_target(&name, &header.link)?),
                other => return Err(Error::malformed(format!("{name:?} is a {other:?}"))),
            };
            insert(&mut entries, name, found)?;
        }
        Ok(Self { file, entries })
    }

    /// Finds a file by its name, through links.
    pub(super) fn find(&self, name: &str) -> Result<Option<Span>> {
        let mut name = name;
        for _ in 0..MAX_LINKS {
            match self.entries.get(name) {
                None | Some(Entry::Directory) => return Ok(None),
                Some(Entry::File(span)) => return Ok(Some(*span)),
                Some(Entry::Link(target)) => name = target,
            }
        }
        let text = format!("{name:?} is at the end of more than {MAX_LINKS} links");
        Err(Error::malformed(text))
    }

    /// Returns the names of files and links.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        let files = self
            .entries
            .iter()
            .filter(|(_, entry)| **entry != Entry::Directory);
        files.map(|(name, _)| name.as_str())
    }

    /// Reads a small file into memory, through links; `None` when it is not there.
    pub(super) fn document(&self, name: &str, limit: u64) -> Result<Option<Vec<u8>>> {
        let Some(span) = self.find(name)? else {
            return Ok(None);
        };
        if span.size > limit {
            let text = format!("{name} has {} bytes, {limit} are allowed", span.size);
            return Err(Error::too_large(text));
        }
        let mut bytes = Vec::new();
        let read = self
            .open(span, 0)
            .and_then(|mut reader| reader.read_to_end(&mut bytes));
        read.map_err(|error| Error::from_io(format!("reading {name}"), error))?;
        Ok(Some(bytes))
    }

    /// Opens the bytes of a file from an offset of it.
    pub(super) fn open(&self, span: Span, offset: u64) -> io::Result<RawReader> {
        let mut file = self.file.open()?;
        let skipped = offset.min(span.size);
        file.seek(SeekFrom::Start(span.offset + skipped))?;
        let copy = self.file.copy.clone();
        let inner = file.take(span.size - skipped);
        Ok(Box::new(Held { inner, _copy: copy }))
    }
}

impl ArchiveFile {
    fn open(&self) -> io::Result<fs_err::File> {
        fs_err::File::open(&self.path)
    }
}

/// Keeps the decompressed copy alive while it is read.
struct Held {
    inner: io::Take<fs_err::File>,
    _copy: Option<Arc<tempfile::TempPath>>,
}

impl Read for Held {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer)
    }
}

/// The same name twice is refused unless both say the same: readers differ in which one they take.
fn insert(entries: &mut BTreeMap<String, Entry>, name: String, new: Entry) -> Result<()> {
    match entries.get(&name) {
        Some(old) if *old != new => {
            let text = format!("{name:?} is twice in the archive");
            Err(Error::malformed(text))
        }
        _ => {
            entries.insert(name, new);
            Ok(())
        }
    }
}

/// Brings a name into the one form by which it is found: no `.` and `..`, no slash at either end.
fn clean(name: &[u8]) -> Result<String> {
    let text = str::from_utf8(name)
        .map_err(|_| Error::malformed(format!("the name {:?} is no UTF-8", name.escape_ascii())))?;
    resolve(&[], text)
}

fn symlink_target(name: &str, target: &[u8]) -> Result<String> {
    let target = str::from_utf8(target)
        .map_err(|_| Error::malformed(format!("the target of {name:?} is no UTF-8")))?;
    let parent: Vec<&str> = name.split('/').collect();
    resolve(&parent[..parent.len() - 1], target)
}

fn resolve(parent: &[&str], name: &str) -> Result<String> {
    if name.starts_with('/') || name.contains('\0') {
        return Err(Error::malformed(format!("{name:?} is no relative path")));
    }
    let mut parts = parent.to_vec();
    for part in name.split('/') {
        match part {
            ".." if parts.pop().is_none() => {
                return Err(Error::malformed(format!("{name:?} leaves the archive")));
            }
            "" | "." | ".." => {}
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}
