//! The table of contents: what is kept of each entry while a layer is written, and the JSON of it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgcore::json;
use imgtar::{EntryKind, Timestamp};

use super::time::Rfc3339;
use super::{ADDED_FILE_MODE, LANDMARK_CONTENT};
use crate::metadata::{Metadata, XATTR_PREFIX};
use crate::plan::{Body, Plan};
use crate::{Error, ErrorKind};

type Hash = [u8; 32];

/// The hash of nothing, which every empty file has.
const EMPTY: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24,
    0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// What was written so far, in the order of the layer. There may be very many entries, so names and metadata stay in
/// the plan, and the JSON is never in memory as a whole.
#[derive(Debug)]
pub(super) struct Toc {
    chunk_size: u64,
    entries: Vec<Entry>,
    /// The chunks of all files.
    chunks: Vec<Chunk>,
    /// The hashes of files that have more than one chunk; of others the chunk's is the same.
    hashes: Vec<Hash>,
}

/// An entry, in a few bytes.
#[derive(Clone, Copy, Debug)]
enum Entry {
    /// A regular file, whose chunks are the next ones.
    File { record: u32 },
    /// A hard link to an earlier file.
    HardLink { record: u32, target: u32 },
    /// The landmark, whose chunk is the next one.
    Landmark(&'static str),
    /// Anything else, of which the plan says all.
    Other { record: u32 },
}

/// A piece of a file that can be fetched by itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chunk {
    /// The number of the member that it is in.
    pub(super) member: u64,
    /// Where it begins among the uncompressed bytes of that member.
    pub(super) inner_offset: u64,
    pub(super) hash: Hash,
}

impl Toc {
    pub(super) fn new(chunk_size: u32) -> Self {
        Self {
            chunk_size: chunk_size.into(),
            entries: Vec::new(),
            chunks: Vec::new(),
            hashes: Vec::new(),
        }
    }

    /// Adds a regular file. Its chunks follow.
    pub(super) fn add_file(&mut self, record: u32) {
        self.entries.push(Entry::File { record });
    }

    pub(super) fn add_hard_link(&mut self, record: u32, target: u32) {
        self.entries.push(Entry::HardLink { record, target });
    }

    /// Adds the landmark. Its chunk follows.
    pub(super) fn add_landmark(&mut self, name: &'static str) {
        self.entries.push(Entry::Landmark(name));
    }

    /// Adds an entry that is no file and no hard link.
    pub(super) fn add_other(&mut self, record: u32) {
        self.entries.push(Entry::Other { record });
    }

    /// Adds the next chunk of the last file.
    pub(super) fn add_chunk(&mut self, chunk: Chunk) {
        self.chunks.push(chunk);
    }

    /// Adds the hash of the last file, if it has more than one chunk.
    pub(super) fn add_hash(&mut self, hash: Hash) {
        self.hashes.push(hash);
    }

    /// Writes the JSON piece by piece; `offsets` are those of the members.
    ///
    /// # Errors
    ///
    /// Those of `sink`, and [`Bug`](ErrorKind::Bug) if something was added in another order than documented.
    pub(super) fn write(
        &self,
        plan: &Plan,
        offsets: &[u64],
        sink: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        /// How much text is gathered before it is handed over.
        const PIECE: usize = 32 << 10;
        let mut chunks = self.chunks.iter();
        let mut hashes = self.hashes.iter();
        let mut out = String::with_capacity(PIECE + (8 << 10));
        out.push_str("{\"version\":1,\"entries\":[");
        for (number, entry) in self.entries.iter().enumerate() {
            if number > 0 {
                out.push(',');
            }
            let line = Line::of(*entry, plan)?;
            if line.kind == FILE && line.size > 0 {
                let pieces = Pieces {
                    chunk_size: self.chunk_size,
                    offsets,
                    chunks: &mut chunks,
                    hashes: &mut hashes,
                };
                pieces.write(line, &mut out).ok_or_else(out_of_order)?;
            } else {
                line.write(&mut out);
            }
            if out.len() >= PIECE {
                sink(out.as_bytes())?;
                out.clear();
            }
        }
        // Readers hash as much as their JSON parser takes, so nothing may follow the last bracket.
        out.push_str("]}");
        sink(out.as_bytes())
    }
}

fn out_of_order() -> Error {
    Error::new(ErrorKind::Bug, "the TOC lost a chunk of a file")
}

/// The type of a regular file, and of its first chunk.
const FILE: &str = "reg";

/// An element of the TOC. Members that are 0 or empty are left out, as readers expect of Go's encoder.
#[derive(Default)]
struct Line<'a> {
    name: &'a str,
    kind: &'static str,
    size: u64,
    metadata: Option<&'a Metadata>,
    mode: u32,
    link: &'a str,
    device: (u32, u32),
    /// Where the member of the chunk begins in the blob, and the chunk in it.
    offset: (u64, u64),
    digest: Option<Hash>,
    chunk_offset: u64,
    chunk_size: u64,
    chunk_digest: Option<Hash>,
}

impl<'a> Line<'a> {
    /// Says of an entry what does not depend on where it was written.
    fn of(entry: Entry, plan: &'a Plan) -> Result<Self, Error> {
        let record = match entry {
            Entry::Landmark(name) => {
                return Ok(Self {
                    name,
                    kind: FILE,
                    size: LANDMARK_CONTENT.len() as u64,
                    mode: ADDED_FILE_MODE,
                    ..Self::default()
                });
            }
            Entry::File { record } | Entry::HardLink { record, .. } | Entry::Other { record } => {
                &plan.records[record as usize]
            }
        };
        let metadata = &*plan.metadata[record.metadata as usize];
        let mut line = Self {
            name: text(record.path.as_bytes())?,
            metadata: Some(metadata),
            mode: metadata.mode,
            ..Self::default()
        };
        match (&record.body, entry) {
            (_, Entry::HardLink { target, .. }) => {
                line.kind = "hardlink";
                line.link = text(plan.records[target as usize].path.as_bytes())?;
            }
            (Body::Directory, _) => line.kind = "dir",
            (Body::File(file), _) => {
                line.kind = FILE;
                line.size = file.size;
                line.digest = Some(EMPTY);
            }
            (Body::Symlink(target), _) => {
                line.kind = "symlink";
                line.link = text(target)?;
            }
            (Body::Special { kind, device }, _) => {
                line.kind = match kind {
                    EntryKind::BlockDevice => "block",
                    EntryKind::CharDevice => "char",
                    _ => "fifo",
                };
                line.device = *device;
            }
            (Body::HardLink(_), _) => return Err(out_of_order()),
        }
        Ok(line)
    }

    fn write(&self, out: &mut String) {
        out.push_str("{\"name\":");
        json::push_string(self.name, out);
        if self.kind == "dir" {
            out.pop();
            out.push_str("/\"");
        }
        for part in [",\"type\":\"", self.kind, "\""] {
            out.push_str(part);
        }
        push_number("size", self.size, out);
        if let Some(metadata) = self.metadata {
            push_time(metadata.mtime, out);
        }
        push_text("linkName", self.link.as_bytes(), out);
        push_number("mode", self.mode.into(), out);
        if let Some(metadata) = self.metadata {
            push_number("uid", metadata.uid, out);
            push_number("gid", metadata.gid, out);
            push_text("userName", &metadata.user_name, out);
            push_text("groupName", &metadata.group_name, out);
        }
        push_number("offset", self.offset.0, out);
        push_number("innerOffset", self.offset.1, out);
        push_number("devMajor", self.device.0.into(), out);
        push_number("devMinor", self.device.1.into(), out);
        if let Some(metadata) = self.metadata {
            push_xattrs(metadata, out);
        }
        push_digest("digest", self.digest, out);
        push_number("chunkOffset", self.chunk_offset, out);
        push_number("chunkSize", self.chunk_size, out);
        push_digest("chunkDigest", self.chunk_digest, out);
        out.push('}');
    }
}

/// The chunks of one file, taken from those of all files.
struct Pieces<'a, 'i> {
    chunk_size: u64,
    offsets: &'a [u64],
    chunks: &'i mut std::slice::Iter<'a, Chunk>,
    hashes: &'i mut std::slice::Iter<'a, Hash>,
}

impl Pieces<'_, '_> {
    /// Writes a file with its first chunk, and a line for each other chunk.
    fn write(self, mut line: Line<'_>, out: &mut String) -> Option<()> {
        let (name, size) = (line.name, line.size);
        let hash = if size > self.chunk_size {
            Some(*self.hashes.next()?)
        } else {
            None
        };
        let mut written = 0;
        while written < size {
            let chunk = self.chunks.next()?;
            let offset = *self.offsets.get(usize::try_from(chunk.member).ok()?)?;
            if written == 0 {
                line.digest = hash.or(Some(chunk.hash));
            } else {
                out.push(',');
                line = Line {
                    name,
                    kind: "chunk",
                    ..Line::default()
                };
            }
            line.offset = (offset, chunk.inner_offset);
            line.chunk_offset = written;
            // The last chunk goes to the end of the file, and need not say so unless it is a whole one.
            line.chunk_size = if size - written < self.chunk_size {
                0
            } else {
                self.chunk_size
            };
            line.chunk_digest = Some(chunk.hash);
            line.write(out);
            written += self.chunk_size.min(size - written);
        }
        Some(())
    }
}

fn push_number(name: &str, value: u64, out: &mut String) {
    if value > 0 {
        // Writing to a string cannot fail.
        let _ = write!(out, ",\"{name}\":{value}");
    }
}

/// Writes text that was found to be UTF-8 before.
fn push_text(name: &str, value: &[u8], out: &mut String) {
    if !value.is_empty() {
        push_name(name, out);
        json::push_string(&String::from_utf8_lossy(value), out);
    }
}

fn push_time(time: Timestamp, out: &mut String) {
    if let Some(time) = Rfc3339::of(time) {
        let _ = write!(out, ",\"modtime\":\"{time}\"");
    }
}

fn push_digest(name: &str, hash: Option<Hash>, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let Some(hash) = hash else { return };
    push_name(name, out);
    out.push_str("\"sha256:");
    for byte in hash {
        for digit in [byte >> 4, byte & 15] {
            out.push(char::from(DIGITS[usize::from(digit)]));
        }
    }
    out.push('"');
}

/// Writes extended attributes, whose values are bytes: JSON has them in base 64.
fn push_xattrs(metadata: &Metadata, out: &mut String) {
    let mut open = false;
    for (keyword, value) in &metadata.pax {
        let Some(name) = keyword.strip_prefix(XATTR_PREFIX) else {
            continue;
        };
        if open {
            out.push(',');
        } else {
            push_name("xattrs", out);
            out.push('{');
            open = true;
        }
        json::push_string(name, out);
        out.push_str(":\"");
        STANDARD.encode_string(value, out);
        out.push('"');
    }
    if open {
        out.push('}');
    }
}

fn push_name(name: &str, out: &mut String) {
    for part in [",\"", name, "\":"] {
        out.push_str(part);
    }
}

fn text(name: &[u8]) -> Result<&str, Error> {
    // Refused where the order is decided; whoever skips that gets an error here.
    std::str::from_utf8(name).map_err(|error| {
        Error::invalid("a name in an eStargz layer is not UTF-8").with_source(error)
    })
}
