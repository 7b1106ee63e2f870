//! The entries of one layer, read from its tar.

use std::collections::HashMap;
use std::io::{self, Read};

use imgcore::Digest;
use imgcore::digest::HashingReader;
use imgtar::{DecodeLimits, Decoder, EntryKind, Header, Limits, Reader};

use super::Entry;
use crate::{Error, ErrorKind};

/// Whether the contents of files are hashed while a layer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a question with two answers")]
pub enum Contents {
    /// Every regular file's content is hashed.
    Hash,
    /// Contents are skipped.
    Skip,
}

/// Reads the entries of a layer, plain or compressed, in their order.
///
/// A hard link comes with the size and the content of the file that it names, as far as the layer has it, and every
/// name of a file with the number of all its names.
///
/// Memory grows with the number of entries, not with their contents; headers that take more than 1 GiB are refused.
///
/// # Examples
///
/// ```
/// use imglayer::filesystem::{Contents, entries_of};
///
/// let mut layer = Vec::new();
/// imgtar::Header::directory("etc").encode(&mut layer)?;
/// layer.extend(imgtar::END_OF_ARCHIVE);
/// let entries = entries_of(&layer[..], Contents::Hash)?;
/// assert_eq!(entries[0].header.path, b"etc/");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Malformed`] when the archive breaks its format;
/// [`ErrorKind::Unsupported`] for a codec or a kind of entry that this crate does not take; [`ErrorKind::Io`] from the input.
pub fn entries_of(input: impl Read, contents: Contents) -> Result<Vec<Entry>, Error> {
    entries_within(MAX_MEMORY, input, contents)
}

/// More than the headers of any layer take that was not made to hurt: some three million files.
const MAX_MEMORY: usize = 1 << 30;

fn entries_within(
    max_memory: usize,
    input: impl Read,
    contents: Contents,
) -> Result<Vec<Entry>, Error> {
    let decoder = Decoder::new(input, DecodeLimits::default()).map_err(of_tar)?;
    // Layers of tools that leave the two zero blocks out are common.
    let mut limits = Limits::default();
    limits.missing_end = true;
    let mut reader = Reader::with_limits(decoder, limits);
    let mut entries: Vec<Entry> = Vec::new();
    let mut files = HashMap::new();
    let mut memory = 0;
    while let Some(mut tar_entry) = reader.next_entry().map_err(of_tar)? {
        let mut entry = Entry::new(tar_entry.header().clone());
        memory += size_in_memory(&entry.header);
        if memory > max_memory {
            let text = format!("the layer's headers take more than {max_memory} bytes");
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        match entry.header.kind {
            EntryKind::File => {
                if contents == Contents::Hash {
                    entry.content = Some(hash(&mut tar_entry)?);
                }
                files.insert(name(&entry.header.path), entries.len());
            }
            EntryKind::HardLink => link(&mut entries, &mut files, &mut entry),
            _ => {}
        }
        entries.push(entry);
    }
    share_counts(&mut entries, &files);
    Ok(entries)
}

fn size_in_memory(header: &Header) -> usize {
    let records = header.pax.iter();
    let records: usize = records.map(|(key, value)| key.len() + value.len()).sum();
    size_of::<Entry>() + header.path.len() + header.link.len() + records
}

fn hash(content: &mut impl Read) -> Result<Digest, Error> {
    let mut reader = HashingReader::new(content);
    io::copy(&mut reader, &mut io::sink()).map_err(|error| {
        Error::new(ErrorKind::Malformed, "the layer cannot be read to its end").with_source(error)
    })?;
    Ok(reader.finish().0)
}

/// Gives a hard link what it shares with its file, and counts the name.
///
/// The target may stand in a lower layer, or be no regular file: only a file system with all layers knows.
fn link(entries: &mut [Entry], files: &mut HashMap<Vec<u8>, usize>, entry: &mut Entry) {
    let target = files.get(&name(&entry.header.link)).copied();
    let Some((index, file)) = target.and_then(|index| Some((index, entries.get_mut(index)?)))
    else {
        return;
    };
    file.links += 1;
    entry.header.size = file.header.size;
    entry.content = file.content;
    files.insert(name(&entry.header.path), index);
}

fn share_counts(entries: &mut [Entry], files: &HashMap<Vec<u8>, usize>) {
    for index in 0..entries.len() {
        if entries[index].header.kind != EntryKind::HardLink {
            continue;
        }
        if let Some(&target) = files.get(&name(&entries[index].header.link)) {
            entries[index].links = entries[target].links;
        }
    }
}

/// The name of an entry without what readers of layers ignore: leading `./` and `/`, and a trailing `/`.
pub(crate) fn name(path: &[u8]) -> Vec<u8> {
    let parts = path
        .split(|&byte| byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".");
    parts.collect::<Vec<_>>().join(&b'/')
}

fn of_tar(error: imgtar::Error) -> Error {
    let kind = match error.kind() {
        imgtar::ErrorKind::Io => ErrorKind::Io,
        imgtar::ErrorKind::Unsupported => ErrorKind::Unsupported,
        _ => ErrorKind::Malformed,
    };
    Error::new(kind, "the layer cannot be read").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_fill_the_memory_are_refused() {
        let mut layer = Vec::new();
        for number in 0..8 {
            let mut header = Header::file(format!("f{number}"), 0);
            header.pax.insert("comment".into(), vec![b'x'; 10_000]);
            header.encode(&mut layer).unwrap();
        }
        layer.extend(imgtar::END_OF_ARCHIVE);
        let read = |max| entries_within(max, &layer[..], Contents::Skip);
        assert_eq!(read(100_000).unwrap().len(), 8);
        let error = read(79_999).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(
            error.to_string(),
            "the layer's headers take more than 79999 bytes"
        );
    }
}
