//! Tar headers and PAX, a strict reader, codec detection and bounded decoders.
//!
//! Image layers are tar archives. This crate writes their headers deterministically and reads
//! archives that nobody vouches for:
//!
//! ```
//! use std::io::Read;
//!
//! use imgtar::{END_OF_ARCHIVE, Header, Reader, padding};
//!
//! let content = b"hello";
//! let mut archive = Vec::new();
//! Header::file("etc/motd", content.len() as u64).encode(&mut archive)?;
//! archive.extend_from_slice(content);
//! archive.resize(archive.len() + padding(content.len() as u64), 0);
//! archive.extend_from_slice(&END_OF_ARCHIVE);
//!
//! let mut reader = Reader::new(archive.as_slice());
//! let mut entry = reader.next_entry()?.expect("the archive has one entry");
//! let mut text = String::new();
//! entry.read_to_string(&mut text)?;
//! assert_eq!((entry.header().path.as_slice(), text.as_str()), (&b"etc/motd"[..], "hello"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The central types are [`Header`] (what an entry says, and its bytes), [`Reader`] (entries of an
//! archive, strictly), [`Codec`] and [`Decoder`] (gzip and zstd, all members and frames, within
//! [`DecodeLimits`]).
//!
//! # What this crate does not do
//!
//! It touches no files, extracts nothing and encodes no codec. It reports paths as the bytes that
//! the archive has: whoever writes them to a disk or into a layer must refuse absolute ones and
//! `..`.
//!
//! # Names that are not UTF-8
//!
//! A tar header declares no encoding, PAX records are UTF-8 unless `hdrcharset=BINARY` says
//! otherwise. What the readers of the field make of the name bytes `a`, `ff` as we write them
//! (measured by this crate's tests):
//!
//! | reader | short, in its ustar field | long, in a PAX record after `hdrcharset=BINARY` |
//! |---|---|---|
//! | GNU tar 1.34 | the bytes | the bytes (it ignores `hdrcharset`) |
//! | bsdtar 3.6.2, libarchive, in a UTF-8 locale | the bytes | the bytes |
//! | Python's `tarfile` | the bytes, by `surrogateescape` | the bytes, by `surrogateescape` |
//! | Go's `archive/tar` | the bytes | the bytes (it ignores `hdrcharset`) |
//! | the crate `tar` 0.4.46 | the bytes | the bytes, unless there is a newline in a record |
//!
//! # Guarantees
//!
//! * **Determinism.** The bytes of a header depend on its fields alone.
//! * **Hostile input** can only produce an [`Error`]. Nothing is allocated because an archive or a
//!   compressed stream declares a size; memory is bounded by [`Limits`] and [`DecodeLimits`].
//! * **One reading.** Where readers in the field disagree about an archive, [`Reader`] refuses it,
//!   and names the entry and its offset.
//!
//! There are no features. The minimum supported Rust version is 1.88.
#![forbid(unsafe_code)]

mod codec;
mod error;
mod header;
mod pax;
mod reader;

pub use codec::{Codec, DecodeLimits, Decoder};
pub use error::{Error, ErrorKind};
pub use header::{BLOCK_SIZE, END_OF_ARCHIVE, EntryKind, Header, Timestamp, padding};
pub use reader::{Entry, Limits, Reader};

/// The example of the README runs as well.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_reads_and_writes_goes_between_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Decoder<std::fs::File>>();
        check::<Error>();
        check::<Header>();
        check::<Reader<std::fs::File>>();
    }
}
