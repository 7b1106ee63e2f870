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
//! # Guarantees
//!
//! * **Determinism.** The bytes of a header depend on its fields alone.
//! * **Hostile input** can only produce an [`Error`]. Nothing is allocated because an archive or a
//!   compressed stream declares a size; memory is bounded by [`Limits`] and [`DecodeLimits`].
//! * **One reading.** Where readers in the field disagree about an archive, [`Reader`] refuses it,
//!   and names the entry and its offset.
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
