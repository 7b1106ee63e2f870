//! gzip (RFC 1952) over blocks: one member stitched from them, or a member for each.

use libdeflater::{CompressionLvl, Compressor};

use super::codec::{BLOCK_SIZE, BlockCodec, Encoded};
use super::deflate::{FINAL_BLOCK, JOINT_SIZE, Joint, PADDING};
use super::level::Level;
use super::options::GzipMembers;
use crate::{Error, ErrorKind};

/// The header of a member: deflate, no flags, no time, no hint of the level, and an unknown system.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// Checksum and length.
const TRAILER_SIZE: usize = 8;

/// The gzip encoder of one thread.
pub(super) struct Gzip {
    compressor: Compressor,
    /// `None` for a member a block.
    joint: Option<Joint>,
    /// What an output buffer must hold.
    room: usize,
}

impl Gzip {
    pub(super) fn new(level: Level, members: GzipMembers) -> Result<Self, Error> {
        let level = CompressionLvl::new(level.libdeflate()).map_err(|_| {
            Error::new(
                ErrorKind::Bug,
                format!("libdeflate has no level for `{level}`"),
            )
        })?;
        let mut compressor = Compressor::new(level);
        let bound = compressor.deflate_compress_bound(BLOCK_SIZE);
        Ok(Self {
            compressor,
            joint: (members == GzipMembers::Single).then(Joint::new),
            room: HEADER.len() + bound + PADDING.max(JOINT_SIZE).max(TRAILER_SIZE),
        })
    }

    fn deflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, Error> {
        (self.compressor.deflate_compress(input, output)).map_err(|source| {
            let message = format!(
                "libdeflate has no room for a block of {} bytes",
                input.len()
            );
            Error::new(ErrorKind::Bug, message).with_source(source)
        })
    }
}

impl BlockCodec for Gzip {
    fn encode(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<Encoded, Error> {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(input);
        if output.len() < self.room {
            output.resize(self.room, 0);
        }
        let start = if self.joint.is_some() {
            0
        } else {
            HEADER.len()
        };
        let length = self.deflate(input, &mut output[start..])?;
        let length = if let Some(joint) = &mut self.joint {
            joint.open_end(output, length).ok_or_else(|| {
                Error::new(
                    ErrorKind::Bug,
                    format!("libdeflate's stream of {length} bytes is no deflate"),
                )
            })?
        } else {
            let end = start + length;
            output[..start].copy_from_slice(&HEADER);
            output[end..end + TRAILER_SIZE]
                .copy_from_slice(&trailer(&checksum, input.len() as u64));
            end + TRAILER_SIZE
        };
        Ok(Encoded {
            length,
            checksum: Some(checksum),
        })
    }
}

/// Counts what one member around all blocks ends with.
#[derive(Default)]
pub(super) struct StitchedFrame {
    checksum: crc32fast::Hasher,
    size: u64,
}

impl StitchedFrame {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn add(&mut self, checksum: &crc32fast::Hasher) {
        self.size += checksum.total_len();
        self.checksum.combine(checksum);
    }

    pub(super) fn tail(&self) -> Vec<u8> {
        let mut tail = FINAL_BLOCK.to_vec();
        tail.extend_from_slice(&trailer(&self.checksum, self.size));
        tail
    }
}

fn trailer(checksum: &crc32fast::Hasher, size: u64) -> [u8; TRAILER_SIZE] {
    let mut trailer = [0; TRAILER_SIZE];
    trailer[..4].copy_from_slice(&checksum.clone().finalize().to_le_bytes());
    // The format has the length modulo 2^32.
    trailer[4..].copy_from_slice(&size.to_le_bytes()[..4]);
    trailer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_in_a_trailer_wraps_at_4_gib() {
        let checksum = crc32fast::Hasher::new();
        assert_eq!(trailer(&checksum, (1 << 32) + 5), [0, 0, 0, 0, 5, 0, 0, 0]);
    }
}
