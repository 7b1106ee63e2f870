//! Zstandard (RFC 8878) over blocks: a frame for each.

use zstd::bulk::Compressor;
use zstd::zstd_safe::{self, CParameter};

use super::codec::{BLOCK_SIZE, BlockCodec, Encoded};
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
    fn encode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Error> {
        let room = zstd_safe::compress_bound(input.len());
        if output.len() < room {
            output.resize(room, 0);
        }
        // Starts a session of its own, so the frame depends on no block before.
        let length = (self.0)
            .compress_to_buffer(input, output.as_mut_slice())
            .map_err(refused)?;
        Ok(Encoded {
            length,
            checksum: None,
        })
    }
}

fn refused(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Bug, "zstd refuses to encode a block").with_source(source)
}
