//! The output of a writer: what codecs made, in order, with what stands around it.

use std::io::Write;

use imgcore::{Digest, Hasher};
use imgtar::Codec;

use super::block::{Block, Part};
use super::deflate::FINAL_BLOCK;
use super::gzip;
use super::options::GzipMembers;
use crate::{Error, ErrorKind};

/// Where blocks and pieces of members begin and end, and who writes what stands around them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Layout {
    /// Bytes as they are.
    Bytes,
    /// Members of one or more pieces, which the caller begins.
    Seekable(Codec),
    /// One gzip member around all blocks.
    Stitched,
    /// Each block is a member.
    Whole,
}

impl Layout {
    pub(super) fn plain(codec: Codec, members: GzipMembers) -> Self {
        match (codec, members) {
            (Codec::None, _) => Self::Bytes,
            (Codec::Gzip, GzipMembers::Single) => Self::Stitched,
            (Codec::Gzip, GzipMembers::Multi) | (Codec::Zstd, _) => Self::Whole,
        }
    }

    /// Whether the caller begins members.
    pub(super) fn is_seekable(self) -> bool {
        matches!(self, Self::Seekable(_))
    }

    /// What a block is that its writer did not cut into pieces.
    pub(super) fn part_of_block(self) -> Part {
        if self == Self::Stitched {
            Part::Middle
        } else {
            Part::Whole
        }
    }
}

/// The output, and what is known of what was written.
pub(super) struct Output<W> {
    out: W,
    /// Of what was written; `None` where that is what was read, which is hashed already.
    hasher: Option<Hasher>,
    size: u64,
    layout: Layout,
    /// Whether nothing was written yet.
    empty: bool,
    /// Of the gzip member that is not at its end.
    checksum: crc32fast::Hasher,
    /// Where numbered members begin.
    member_offsets: Vec<u64>,
}

impl<W: Write> Output<W> {
    pub(super) fn new(out: W, layout: Layout) -> Self {
        Self {
            out,
            hasher: (layout != Layout::Bytes).then(Hasher::default),
            size: 0,
            layout,
            empty: true,
            checksum: crc32fast::Hasher::new(),
            member_offsets: Vec::new(),
        }
    }

    /// Where numbered members begin, as far as their beginnings were written.
    pub(super) fn member_offsets(&self) -> &[u64] {
        &self.member_offsets
    }

    /// How many bytes were written.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Whether an empty block must be added, for a reader to know the codec of an empty blob.
    pub(super) fn needs_block(&self) -> bool {
        self.empty
            && match self.layout {
                Layout::Seekable(codec) => codec != Codec::None,
                Layout::Whole => true,
                Layout::Bytes | Layout::Stitched => false,
            }
    }

    /// Says that so many numbered members begin here, with nothing in them.
    pub(super) fn add_empty_members(&mut self, count: u64) {
        for _ in 0..count {
            self.member_offsets.push(self.size);
        }
    }

    /// Writes a block, the next in order.
    pub(super) fn write_block(&mut self, block: &mut Block) -> Result<(), Error> {
        self.start()?;
        self.join_pieces(block);
        match self.layout {
            Layout::Bytes | Layout::Seekable(Codec::None) => self.write(block.bytes()),
            _ => self.write(block.encoding()),
        }
    }

    /// Takes note of pieces, and ends the members that began in blocks before.
    fn join_pieces(&mut self, block: &mut Block) {
        let mut start = 0;
        for (number, piece) in block.pieces.iter().enumerate() {
            if piece.members > 0 {
                let offset = self.size + start as u64;
                (0..piece.members).for_each(|_| self.member_offsets.push(offset));
            }
            // Bytes that stay as they are have no encodings.
            let Some(encoding) = block.encodings.get(number) else {
                start = piece.end;
                continue;
            };
            start = encoding.end;
            if let Some(checksum) = &encoding.checksum {
                self.checksum.combine(checksum);
                if piece.part == Part::Last {
                    let trailer = gzip::trailer(&self.checksum);
                    block.output[start - trailer.len()..start].copy_from_slice(&trailer);
                    self.checksum = crc32fast::Hasher::new();
                }
            }
        }
    }

    /// Writes bytes that no codec made.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.empty = false;
        self.out.write_all(bytes).map_err(write_failed)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn start(&mut self) -> Result<(), Error> {
        if self.empty && self.layout == Layout::Stitched {
            self.write(&gzip::HEADER)?;
        }
        self.empty = false;
        Ok(())
    }

    /// Writes what stands after the last block, and returns digest and size. `input` is the hash of the uncompressed bytes.
    pub(super) fn finish(mut self, input: &Hasher) -> Result<(Digest, u64, W), Error> {
        self.start()?;
        if self.layout == Layout::Stitched {
            let trailer = gzip::trailer(&self.checksum);
            self.write(&FINAL_BLOCK)?;
            self.write(&trailer)?;
        }
        self.out.flush().map_err(write_failed)?;
        let hasher = self.hasher.unwrap_or_else(|| input.clone());
        Ok((hasher.finish(), self.size, self.out))
    }
}

fn write_failed(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "write a layer blob").with_source(source)
}
