//! What a codec does to one block, and what stands around the blocks.

use imgtar::Codec;

use super::gzip::{Gzip, StitchedFrame};
use super::options::{EncodeOptions, GzipMembers};
use super::zstd::Zstd;
use crate::Error;

/// How long a block may be: 1 MiB.
pub(super) const BLOCK_SIZE: usize = 1 << 20;

/// Encodes blocks by themselves. One is made for each thread and reused from block to block.
pub(super) trait BlockCodec: Send {
    /// Writes the encoding of `input`, which depends on nothing else, to the start of `output`.
    ///
    /// `output` grows where it must and is never cut, so that a recycled buffer is not cleared again.
    fn encode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Error>;
}

/// What a codec says about a block.
#[derive(Debug, Default)]
pub(super) struct Encoded {
    /// How many bytes of the output are the encoding.
    pub(super) length: usize,
    /// The checksum of the input, where the frame needs one of the whole blob.
    pub(super) checksum: Option<crc32fast::Hasher>,
}

/// Makes the codec of one thread.
pub(super) type CodecFactory = Box<dyn Fn() -> Result<Box<dyn BlockCodec>, Error> + Send + Sync>;

/// Returns how blocks are encoded; `None` when bytes stay as they are.
pub(super) fn factory(options: &EncodeOptions) -> Option<CodecFactory> {
    let (level, members) = (options.level, options.gzip_members);
    match options.codec {
        Codec::Gzip => Some(Box::new(move || Ok(Box::new(Gzip::new(level, members)?)))),
        Codec::None => None,
        Codec::Zstd => Some(Box::new(move || Ok(Box::new(Zstd::new(level)?)))),
    }
}

/// What stands around the encoded blocks of a blob.
pub(super) enum Frame {
    /// Every block is complete by itself; a blob has at least one.
    Blocks { any: bool },
    /// One gzip member around all blocks.
    Stitched(StitchedFrame),
}

impl Frame {
    pub(super) fn new(options: &EncodeOptions) -> Self {
        match (options.codec, options.gzip_members) {
            (Codec::Gzip, GzipMembers::Single) => Self::Stitched(StitchedFrame::new()),
            _ => Self::Blocks { any: false },
        }
    }

    /// The bytes before the first block.
    pub(super) fn head(&self) -> &'static [u8] {
        match self {
            Self::Blocks { .. } => &[],
            Self::Stitched(_) => &super::gzip::HEADER,
        }
    }

    /// Takes note of a block, in order.
    pub(super) fn add(&mut self, encoded: &Encoded) {
        match self {
            Self::Blocks { any } => *any = true,
            Self::Stitched(frame) => {
                if let Some(checksum) = &encoded.checksum {
                    frame.add(checksum);
                }
            }
        }
    }

    /// Whether an empty block must be added, for a reader to know the codec of an empty blob.
    pub(super) fn needs_block(&self) -> bool {
        matches!(self, Self::Blocks { any: false })
    }

    /// The bytes after the last block.
    pub(super) fn tail(&self) -> Vec<u8> {
        match self {
            Self::Blocks { .. } => Vec::new(),
            Self::Stitched(frame) => frame.tail(),
        }
    }
}
