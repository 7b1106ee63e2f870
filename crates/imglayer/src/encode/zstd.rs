//! Zstandard (RFC 8878) over blocks: a frame for each.

use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter};

use super::block::{Encoding, Part};
use super::codec::{BLOCK_SIZE, BlockCodec, make_room};
use super::level::Level;
use crate::{Error, ErrorKind};

/// The window of every frame, as the exponent of two: as long as a block, so it is never a limit.
pub(super) const WINDOW_LOG: u32 = BLOCK_SIZE.ilog2();

/// The zstd encoder of one thread.
pub(super) struct Zstd(Compressor<'static>);

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
        Ok(Self(compressor))
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
        } else {
            make_room(output, start, zstd_safe::compress_bound(input.len()));
            // Starts a session of its own, so the frame depends on no piece before.
            (self.0)
                .compress_to_buffer(input, &mut output[start..])
                .map_err(refused)?
        };
        Ok(Encoding {
            end: start + length,
            checksum: None,
        })
    }
}

fn refused(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Bug, "zstd refuses to encode a block").with_source(source)
}
