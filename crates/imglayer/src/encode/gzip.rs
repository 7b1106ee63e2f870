//! gzip (RFC 1952): members of one piece, and members stitched from several.

use libdeflater::{CompressionLvl, Compressor};

use super::block::{Encoding, Part};
use super::codec::{BlockCodec, Kind, make_room};
use super::deflate::{FINAL_BLOCK, JOINT_SIZE, Joint, PADDING};
use super::store::Probe;
use crate::{Error, ErrorKind};

/// The header of a member: deflate, no flags, no time, no hint of the level, and an unknown system.
pub(super) const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// Checksum and length.
pub(super) const TRAILER_SIZE: usize = 8;

/// The gzip encoder of one thread.
pub(super) struct Gzip {
    compressor: Compressor,
    /// Made for the first piece that needs it.
    joint: Option<Joint>,
    probe: Probe,
}

impl Gzip {
    pub(super) fn new(kind: Kind) -> Result<Self, Error> {
        let level = kind.level;
        let level = CompressionLvl::new(level.libdeflate(kind.seekable)).map_err(|_| {
            Error::new(
                ErrorKind::Bug,
                format!("libdeflate has no level for `{level}`"),
            )
        })?;
        Ok(Self {
            compressor: Compressor::new(level),
            joint: None,
            probe: Probe::new(),
        })
    }

    /// Writes a finished deflate stream to the start of `output`.
    fn deflate(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, Error> {
        (self.compressor.deflate_compress(input, output)).map_err(|source| {
            let message = format!(
                "libdeflate has no room for a block of {} bytes",
                input.len()
            );
            Error::new(ErrorKind::Bug, message).with_source(source)
        })
    }

    /// Writes a deflate stream that goes on at a byte boundary to the start of `output`.
    fn deflate_open(&mut self, input: &[u8], output: &mut [u8]) -> Result<usize, Error> {
        let length = self.deflate(input, output)?;
        let joint = self.joint.get_or_insert_with(Joint::new);
        joint.open_end(output, length).ok_or_else(|| {
            Error::new(
                ErrorKind::Bug,
                format!("libdeflate's stream of {length} bytes is no deflate"),
            )
        })
    }
}

impl BlockCodec for Gzip {
    fn encode(
        &mut self,
        input: &[u8],
        part: Part,
        output: &mut Vec<u8>,
        start: usize,
    ) -> Result<Encoding, Error> {
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(input);
        let bound = self.compressor.deflate_compress_bound(input.len());
        let around = HEADER.len() + PADDING.max(JOINT_SIZE).max(TRAILER_SIZE);
        make_room(output, start, bound + around);
        let mut end = start;
        if matches!(part, Part::First | Part::Whole) {
            output[end..end + HEADER.len()].copy_from_slice(&HEADER);
            end += HEADER.len();
        }
        let last = matches!(part, Part::Last | Part::Whole);
        end += match part {
            _ if self.probe.should_store(input) => store(input, last, &mut output[end..]),
            Part::First | Part::Middle => self.deflate_open(input, &mut output[end..])?,
            Part::Last if input.is_empty() => {
                output[end..end + FINAL_BLOCK.len()].copy_from_slice(&FINAL_BLOCK);
                FINAL_BLOCK.len()
            }
            Part::Last | Part::Whole => self.deflate(input, &mut output[end..])?,
        };
        if last {
            // Whoever knows the pieces before a last one writes over it.
            let trailer = trailer(&checksum);
            output[end..end + TRAILER_SIZE].copy_from_slice(&trailer);
            end += TRAILER_SIZE;
        }
        Ok(Encoding {
            end,
            checksum: (part != Part::Whole).then_some(checksum),
        })
    }
}

/// Writes blocks that hold their bytes as they are (RFC 1951, 3.2.4) to the start of `output`, which begins and ends at
/// a whole byte.
fn store(input: &[u8], last: bool, output: &mut [u8]) -> usize {
    let mut end = 0;
    let mut rest = input;
    while !rest.is_empty() {
        let length = u16::try_from(rest.len()).unwrap_or(u16::MAX);
        let (now, later) = rest.split_at(length.into());
        output[end] = u8::from(last && later.is_empty());
        output[end + 1..end + 3].copy_from_slice(&length.to_le_bytes());
        output[end + 3..end + 5].copy_from_slice(&(!length).to_le_bytes());
        output[end + 5..end + 5 + now.len()].copy_from_slice(now);
        end += 5 + now.len();
        rest = later;
    }
    end
}

/// The end of a member with these contents.
pub(super) fn trailer(checksum: &crc32fast::Hasher) -> [u8; TRAILER_SIZE] {
    trailer_of(checksum.clone().finalize(), checksum.total_len())
}

fn trailer_of(checksum: u32, size: u64) -> [u8; TRAILER_SIZE] {
    let mut trailer = [0; TRAILER_SIZE];
    trailer[..4].copy_from_slice(&checksum.to_le_bytes());
    // The format has the length modulo 2^32.
    trailer[4..].copy_from_slice(&size.to_le_bytes()[..4]);
    trailer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_in_a_trailer_wraps_at_4_gib() {
        assert_eq!(trailer_of(7, (1 << 32) + 5), [7, 0, 0, 0, 5, 0, 0, 0]);
    }
}
