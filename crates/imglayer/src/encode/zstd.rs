//! Zstandard (RFC 8878) over blocks: a frame for each.

use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter};

use super::block::{Encoding, Part};
use super::codec::{BlockCodec, make_room};
use super::level::Level;
use super::store::Probe;
use crate::{Error, ErrorKind};

/// How long a block may be.
pub(super) const BLOCK_SIZE: usize = 2 << 20;
/// The window of every frame, as the exponent of two: as long as a block, so it is never a limit.
pub(super) const WINDOW_LOG: u32 = BLOCK_SIZE.ilog2();

/// The zstd encoder of one thread.
pub(super) struct Zstd {
    compressor: Compressor<'static>,
    probe: Probe,
}

impl Zstd {
    pub(super) fn new(level: Level) -> Result<Self, Error> {
        let mut compressor = Compressor::new(level.zstd()).map_err(refused)?;
        for parameter in [
            CParameter::WindowLog(WINDOW_LOG),
            // Whoever reads a frame can tell how much memory it takes before decoding it.
            CParameter::ContentSizeFlag(true),
            // Blobs are verified by their digest.
            CParameter::ChecksumFlag(false),
        ] {
            compressor.set_parameter(parameter).map_err(refused)?;
        }
        for parameter in level.zstd_parameters() {
            let parameter = (parameter.set)(parameter.value);
            compressor.set_parameter(parameter).map_err(refused)?;
        }
        Ok(Self {
            compressor,
            probe: Probe::new(),
        })
    }
}

impl BlockCodec for Zstd {
    fn encode(
        &mut self,
        input: &[u8],
        part: Part,
        output: &mut Vec<u8>,
        start: usize,
    ) -> Result<Encoding, Error> {
        // A frame has no end that would have to be written if its content was written before.
        let length = if part == Part::Last && input.is_empty() {
            0
        } else if self.probe.should_store(input) {
            make_room(output, start, stored_size(input.len()));
            store(input, &mut output[start..]);
            stored_size(input.len())
        } else {
            make_room(output, start, zstd_safe::compress_bound(input.len()));
            // Starts a session of its own, so the frame depends on no piece before.
            (self.compressor)
                .compress_to_buffer(input, &mut output[start..])
                .map_err(refused)?
        };
        Ok(Encoding {
            end: start + length,
            checksum: None,
        })
    }
}

/// How long a block of a frame may be (RFC 8878, 3.1.1.2.4), as far as the frame is not shorter.
const FRAME_BLOCK: usize = 128 << 10;

/// Magic number, descriptor, and the size of the content in four bytes.
const FRAME_HEADER_SIZE: usize = 9;

/// The header of a frame's block.
const BLOCK_HEADER_SIZE: usize = 3;

/// How long a frame is that holds so many bytes as they are.
fn stored_size(length: usize) -> usize {
    FRAME_HEADER_SIZE + length.div_ceil(FRAME_BLOCK) * BLOCK_HEADER_SIZE + length
}

/// Writes a frame that holds bytes as they are to the start of `output`.
fn store(input: &[u8], output: &mut [u8]) {
    // A piece is far shorter than 4 GiB.
    let size = u32::try_from(input.len()).unwrap_or(u32::MAX);
    output[..4].copy_from_slice(&zstd_safe::MAGICNUMBER.to_le_bytes());
    // Four bytes of size, and a single segment: the window is as long as the content.
    output[4] = 0b1010_0000;
    output[5..FRAME_HEADER_SIZE].copy_from_slice(&size.to_le_bytes());
    let mut end = FRAME_HEADER_SIZE;
    let mut blocks = input.chunks(FRAME_BLOCK).peekable();
    while let Some(block) = blocks.next() {
        let last = usize::from(blocks.peek().is_none());
        // The type of the block, between, is 0.
        let header = (block.len() << 3 | last).to_le_bytes();
        output[end..end + BLOCK_HEADER_SIZE].copy_from_slice(&header[..BLOCK_HEADER_SIZE]);
        end += BLOCK_HEADER_SIZE;
        output[end..end + block.len()].copy_from_slice(block);
        end += block.len();
    }
}

fn refused(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Bug, "zstd refuses to encode a block").with_source(source)
}
