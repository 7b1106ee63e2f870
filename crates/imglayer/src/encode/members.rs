//! Members that the caller begins: how they are cut into pieces, and pieces put into blocks.
//!
//! Many small members share a block, and a long one is cut into pieces of a whole block each, counted from its own
//! first byte. So the encoding of a member depends on its bytes alone, wherever it stands. That a piece of exactly a
//! block is never the last one of its member is part of this: whether more bytes come is not known when it is full.

use super::block::{Block, Part, Piece};

/// More pieces than this are not put into one block: what is kept for each must stay small beside the block.
const MOST_PIECES: usize = 4096;

/// The member that is written.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Where its last piece begins in the current block.
    start: usize,
    /// Whether it has pieces in blocks before.
    goes_on: bool,
    /// How many numbered members began since the last piece that had any.
    began: u64,
    /// How many members were numbered.
    count: u64,
}

impl Members {
    /// Gives the member that begins a number.
    pub(super) fn begin(&mut self) -> u64 {
        self.began += 1;
        self.count += 1;
        self.count - 1
    }

    /// Ends the current member in a block that it does not fill.
    pub(super) fn end(&mut self, block: &mut Block) {
        if block.filled > self.start || self.goes_on {
            let part = if self.goes_on {
                Part::Last
            } else {
                Part::Whole
            };
            self.push(block, part);
            self.goes_on = false;
        }
    }

    /// Ends a piece in a block that the current member fills, and goes on in the next block.
    pub(super) fn go_on(&mut self, block: &mut Block) {
        debug_assert_eq!(self.start, 0);
        let part = if self.goes_on {
            Part::Middle
        } else {
            Part::First
        };
        self.push(block, part);
        (self.goes_on, self.start) = (true, 0);
    }

    fn push(&mut self, block: &mut Block, part: Part) {
        block.pieces.push(Piece {
            end: block.filled,
            part,
            members: std::mem::take(&mut self.began),
        });
        self.start = block.filled;
    }

    /// Where the piece that is not at its end begins in the current block.
    pub(super) fn start(&self) -> usize {
        self.start
    }

    /// Says that the current block is another one, with nothing but the current piece in it.
    pub(super) fn start_block(&mut self) {
        self.start = 0;
    }

    /// How many numbered members began that have no byte yet.
    pub(super) fn take_empty(&mut self) -> u64 {
        std::mem::take(&mut self.began)
    }
}

/// Whether a member of some size (0 when unknown) should rather begin in the next block.
pub(super) fn wants_new_block(block: &Block, size: u64) -> bool {
    let room = (block.input.len() - block.filled) as u64;
    block.pieces.len() >= MOST_PIECES
        || (block.filled > 0 && size.min(block.input.len() as u64) > room)
}
