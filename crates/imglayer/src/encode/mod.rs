//! Blobs: uncompressed bytes in, a compressed blob with its digests out, in parallel and always the same.
//!
//! [`BlobWriter`] cuts what it is given into blocks of up to 1 MiB (zstd: 2 MiB), encodes each by itself (on several [`Threads`], if
//! there is more than one block), and writes the encodings in order. It hashes both sides: `diff_id` of what goes in,
//! `digest` of what comes out. [`recompress`] does that to a whole tar.
//!
//! - gzip: libdeflate over blocks, stitched into a single member ([`GzipMembers`] has the choice).
//! - zstd: a frame a block, with the size of its content and without a checksum.
//!
//! Blocks that cannot be made smaller, such as archives and pictures, are told by samples and stored as they are.
//!
//! # Determinism
//!
//! The blob depends on the bytes, on where the caller [cuts](BlobWriter::cut), and on what [`EncoderIdentity`] names;
//! not on threads, on the sizes of writes, or on the machine.
//!
//! # Limits
//!
//! A writer holds about 2 MiB for each thread and for six more blocks, with zstd 4 MiB and four more, however long the
//! blob is.

mod block;
mod codec;
mod deflate;
mod engine;
mod gzip;
mod identity;
mod level;
mod members;
mod options;
mod output;
mod pipeline;
mod stitcher;
mod store;
mod threads;
mod writer;
mod zstd;

pub use identity::EncoderIdentity;
pub use imgtar::Codec;
pub use level::Level;
pub use options::{EncodeOptions, GzipMembers};
#[doc(hidden)]
pub use stitcher::Stitcher;
pub use threads::Threads;
pub use writer::{Blob, BlobWriter, recompress};
