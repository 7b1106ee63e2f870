//! Archives in a few words.

use std::io::Read;
use std::ops::Range;

use imgcore::Digest;
use imgtar::{BLOCK_SIZE, END_OF_ARCHIVE, EntryKind, Header, Reader, Timestamp, padding};

/// An entry to be written: a header, its content, and what a hostile writer would change in it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Item {
    /// The header; its size is that of the content.
    pub header: Header,
    /// The content.
    pub content: Vec<u8>,
    /// Whole blocks in front of the entry.
    front: Vec<u8>,
    /// Bytes that replace a part of the ustar header, and whether the checksum is made right again.
    patches: Vec<(usize, Vec<u8>)>,
    keep_checksum: bool,
    /// Content that is declared but not written, and the other way round.
    is_bare: bool,
}

/// A regular file.
pub fn file(path: impl Into<Vec<u8>>, content: impl AsRef<[u8]>) -> Item {
    let content = content.as_ref().to_vec();
    Item {
        content: content.clone(),
        ..Item::of(Header::file(path, content.len() as u64))
    }
}

/// A directory; the trailing slash is added where it is missing.
pub fn directory(path: impl Into<Vec<u8>>) -> Item {
    Item::of(Header::directory(path))
}

/// A directory: the short name for long tables.
pub fn dir(path: impl Into<Vec<u8>>) -> Item {
    directory(path)
}

/// A symbolic link.
pub fn symlink(path: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Item {
    Item::of(Header::symlink(path, target))
}

/// A hard link.
pub fn hardlink(path: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Item {
    Item::of(Header::hard_link(path, target))
}

/// A device or a pipe.
pub fn special(kind: EntryKind, path: impl Into<Vec<u8>>, device: (u32, u32)) -> Item {
    let mut header = Header::new(kind, path, 0o644);
    header.device = device;
    Item::of(header)
}

/// The whiteout of `path`: the file that deletes it from the layers below.
pub fn whiteout(path: &str) -> Item {
    let (directory, base) = path.rsplit_once('/').map_or(("", path), |(d, b)| (d, b));
    let slash = if directory.is_empty() { "" } else { "/" };
    file(format!("{directory}{slash}.wh.{base}"), "")
}

impl Item {
    /// An entry with the given header and no content.
    pub fn of(header: Header) -> Self {
        Self {
            header,
            content: Vec::new(),
            front: Vec::new(),
            patches: Vec::new(),
            keep_checksum: false,
            is_bare: false,
        }
    }

    /// Sets the permission bits.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.header.mode = mode;
        self
    }

    /// Sets the numeric owner.
    #[must_use]
    pub fn owner(mut self, uid: u64, gid: u64) -> Self {
        self.header.uid = uid;
        self.header.gid = gid;
        self
    }

    /// Sets the names of the owner.
    #[must_use]
    pub fn names(mut self, user: &str, group: &str) -> Self {
        self.header.user_name = user.into();
        self.header.group_name = group.into();
        self
    }

    /// Sets the time of the last change.
    #[must_use]
    pub fn mtime(mut self, secs: i64, nanos: u32) -> Self {
        self.header.mtime = Timestamp { secs, nanos };
        self
    }

    /// Adds a PAX record that has no field of its own.
    #[must_use]
    pub fn pax(mut self, key: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref().to_vec();
        self.header.pax.insert(key.to_owned(), value);
        self
    }

    /// Adds an extended attribute.
    #[must_use]
    pub fn xattr(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.pax(&format!("SCHILY.xattr.{name}"), value)
    }

    /// Puts an extended header of any type and content in front of the entry.
    #[must_use]
    pub fn extended(mut self, flag: u8, content: impl AsRef<[u8]>) -> Self {
        self.front.extend_from_slice(&extended(flag, content));
        self
    }

    /// Replaces bytes of the ustar header; the checksum is made right again.
    #[must_use]
    pub fn patch(mut self, offset: usize, bytes: impl AsRef<[u8]>) -> Self {
        self.patches.push((offset, bytes.as_ref().to_vec()));
        self
    }

    /// Replaces bytes of the ustar header and leaves the checksum as it was.
    #[must_use]
    pub fn corrupt(mut self, offset: usize, bytes: impl AsRef<[u8]>) -> Self {
        self.keep_checksum = true;
        self.patch(offset, bytes)
    }

    /// Declares `size` without writing a byte of content.
    #[must_use]
    pub fn declared_size(mut self, size: u64) -> Self {
        self.header.size = size;
        self.content.clear();
        self.is_bare = true;
        self
    }

    /// Appends the entry's blocks, content and padding.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.front);
        let encoded = self.header.encode(out);
        encoded.unwrap_or_else(|error| panic!("the item cannot be written: {error}"));
        let start = out.len() - BLOCK_SIZE;
        for (offset, bytes) in &self.patches {
            out[start + offset..][..bytes.len()].copy_from_slice(bytes);
        }
        if !self.keep_checksum {
            fix_checksum(&mut out[start..]);
        }
        out.extend_from_slice(&self.content);
        let padding = padding(self.content.len() as u64);
        out.resize(out.len() + padding, 0);
    }
}

/// Writes the items and the end of the archive.
pub fn tar_of(items: impl IntoIterator<Item = Item>) -> Vec<u8> {
    let mut out = blocks_of(items);
    out.extend_from_slice(&END_OF_ARCHIVE);
    out
}

/// Writes the items without the end of the archive.
pub fn blocks_of(items: impl IntoIterator<Item = Item>) -> Vec<u8> {
    let mut out = Vec::new();
    for item in items {
        item.write(&mut out);
    }
    out
}

/// Makes an extended header of any type (`x`, `g`, `L`, `K`) with its content, as whole blocks.
pub fn extended(flag: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    file("extended", content)
        .patch(TYPE_FLAG, [flag])
        .write(&mut out);
    out
}

/// Makes one PAX record with the right length.
pub fn record(key: &str, value: impl AsRef<[u8]>) -> Vec<u8> {
    let value = value.as_ref();
    let rest = key.len() + value.len() + 3;
    let length = (rest + 1..rest + 20).find(|length| rest + length.to_string().len() == *length);
    let length = length.expect("because some number of digits fits");
    let mut out = format!("{length} {key}=").into_bytes();
    out.extend_from_slice(value);
    out.push(b'\n');
    out
}

/// Where the type flag stands in a header.
pub const TYPE_FLAG: usize = 156;
const CHECKSUM: Range<usize> = 148..156;

/// Makes the checksum of the header block at the start of `block` right.
pub fn fix_checksum(block: &mut [u8]) {
    block[CHECKSUM].fill(b' ');
    let sum: u64 = block[..BLOCK_SIZE]
        .iter()
        .map(|&byte| u64::from(byte))
        .sum();
    block[CHECKSUM].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

/// One entry as it was read: the header, and the digest of the content.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// The header.
    pub header: Header,
    /// SHA-256 of the content.
    pub digest: Digest,
}

/// Reads an archive with [`Reader`].
///
/// # Errors
///
/// The reader's.
pub fn list(input: impl Read) -> Result<Vec<Listed>, imgtar::Error> {
    let mut reader = Reader::new(input);
    let mut entries = Vec::new();
    while let Some(mut entry) = reader.next_entry()? {
        let mut hashing = imgcore::digest::HashingReader::new(&mut entry);
        if let Err(error) = std::io::copy(&mut hashing, &mut std::io::sink()) {
            return Err(error.downcast().expect("because the input is in memory"));
        }
        let (digest, _, _) = hashing.finish();
        let header = entry.header().clone();
        entries.push(Listed { header, digest });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_back_as_they_were_written() {
        let items = [
            directory("a"),
            file("a/b", "content")
                .mode(0o600)
                .owner(1, 2)
                .names("u", "g")
                .mtime(3, 4),
            hardlink("a/c", "a/b"),
            symlink("a/d", "b").xattr("user.k", [0, 255]),
            special(EntryKind::CharDevice, "null", (1, 3)),
            whiteout("a/gone"),
        ];
        let read = list(tar_of(items.clone()).as_slice()).unwrap();
        let headers = |items: &[Item]| items.iter().map(|i| i.header.clone()).collect::<Vec<_>>();
        assert_eq!(
            read.iter().map(|e| e.header.clone()).collect::<Vec<_>>(),
            headers(&items)
        );
        assert_eq!(read[1].digest, Digest::sha256_of(b"content"));
        assert_eq!(read[5].header.path, b"a/.wh.gone");
    }

    #[test]
    fn records_count_their_own_length() {
        assert_eq!(record("k", "v"), b"6 k=v\n");
        // No record has 100 bytes: with two digits for its length it is shorter, with three longer.
        assert_eq!(record("k", [b'x'; 93]).len(), 99);
        assert_eq!(record("k", [b'x'; 94]).len(), 101);
    }
}
