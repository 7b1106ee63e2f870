//! A block on its way: its bytes, the pieces that it is cut into, and their encodings.

use super::codec::BlockCodec;
use crate::Error;

/// What a piece is of its member.
///
/// A member is what can be decoded by itself: of gzip a member, of zstd one frame or several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// The beginning, which goes on in the next block.
    First,
    /// The end, which may have no bytes.
    Last,
    /// Neither beginning nor end; what stands around a member is written by someone else.
    Middle,
    /// All of it.
    Whole,
}

/// A stretch of a block that is encoded by itself. It begins where the piece before ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// Where it ends in the block.
    pub(super) end: usize,
    pub(super) part: Part,
    /// How many numbered members begin here: one without a byte begins where the next one does.
    pub(super) members: u64,
}

/// What a codec says about a piece.
#[derive(Debug, Default)]
pub(super) struct Encoding {
    /// Where the encoding ends in the output. It begins where the one before ends.
    pub(super) end: usize,
    /// The checksum of the piece, where the codec cannot write it because other pieces share it.
    pub(super) checksum: Option<crc32fast::Hasher>,
}

/// A block and its encoding. All memory in it is used again and again.
#[derive(Default)]
pub(super) struct Block {
    /// The uncompressed bytes; the first [`filled`](Self::filled) of them count.
    pub(super) input: Vec<u8>,
    /// How many bytes of `input` count.
    pub(super) filled: usize,
    /// What `input` is cut into.
    pub(super) pieces: Vec<Piece>,
    /// The encodings of the pieces, one after the other.
    pub(super) output: Vec<u8>,
    /// Where they are.
    pub(super) encodings: Vec<Encoding>,
}

impl Block {
    /// Makes a block of so many bytes.
    pub(super) fn new(size: usize) -> Self {
        Self {
            input: vec![0; size],
            ..Self::default()
        }
    }

    /// The bytes that count.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.input[..self.filled]
    }

    /// The encodings of all pieces.
    pub(super) fn encoding(&self) -> &[u8] {
        &self.output[..self.encodings.last().map_or(0, |encoding| encoding.end)]
    }

    /// Makes all bytes a single piece.
    pub(super) fn set_single_piece(&mut self, part: Part) {
        self.pieces.clear();
        self.pieces.push(Piece {
            end: self.filled,
            part,
            members: 0,
        });
    }

    /// Encodes all pieces.
    pub(super) fn encode(&mut self, codec: &mut dyn BlockCodec) -> Result<(), Error> {
        self.encodings.clear();
        let (mut start, mut output_start) = (0, 0);
        for piece in &self.pieces {
            let input = &self.input[start..piece.end];
            let encoding = codec.encode(input, piece.part, &mut self.output, output_start)?;
            (start, output_start) = (piece.end, encoding.end);
            self.encodings.push(encoding);
        }
        Ok(())
    }

    /// Forgets what is in it, and keeps the memory.
    pub(super) fn clear(&mut self) {
        self.filled = 0;
        self.pieces.clear();
        self.encodings.clear();
    }
}
