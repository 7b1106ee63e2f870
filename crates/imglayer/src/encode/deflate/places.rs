//! Readers of one block that began at different bits, all of them at once.

use super::bits::peek;
use super::header::Codes;

/// The longest move from one symbol to the next: a length with 15 and 5 bits and its distance with 15 and 13.
const LONGEST_MOVE: u32 = 48;

/// Positions in a block of which one is certain to be where a literal or a length begins.
#[derive(Debug)]
pub(super) struct Places {
    /// The first of them.
    base: u64,
    /// A bit for each, counted from the first. None is more than the longest move behind it.
    set: u64,
}

impl Places {
    /// Takes all positions where a reader can be that was somewhere before `position`.
    ///
    /// `None` when there is none, or at the end of the buffer.
    pub(super) fn all_from(codes: &Codes, bytes: &[u8], position: u64) -> Option<Self> {
        // Its first position after `position` is one of the next 48; each of them is taken until it is beyond those.
        let mut set = 0;
        for offset in 0..LONGEST_MOVE {
            let window = peek(bytes, position + u64::from(offset))?;
            if let Some(bits) = codes.look_up(window) {
                set |= (1_u128 << (offset + bits) >> LONGEST_MOVE) as u64;
            }
        }
        let base = position + u64::from(LONGEST_MOVE);
        Self { base, set }.without_gap()
    }

    /// Moves the readers on until there is only one left, or all have come to `target` or passed it.
    ///
    /// Readers that come to the end of the block, or to what is no word, are not counted any more. `None` when that is
    /// so for all.
    pub(super) fn narrow_down(&mut self, codes: &Codes, bytes: &[u8], target: u64) -> Option<()> {
        while self.base < target && self.set != 1 {
            let moved = codes.look_up(peek(bytes, self.base)?);
            let set = self.set & !1 | moved.map_or(0, |bits| 1 << bits);
            *self = Self { set, ..*self }.without_gap()?;
        }
        Some(())
    }

    /// The position of the only reader that is left.
    pub(super) fn only(&self) -> Option<u64> {
        (self.set == 1).then_some(self.base)
    }

    /// Whether the first reader is at a position.
    pub(super) fn begin_with(&self, position: u64) -> bool {
        self.base == position
    }

    fn without_gap(self) -> Option<Self> {
        let gap = self.set.trailing_zeros();
        (self.set != 0).then(|| Self {
            base: self.base + u64::from(gap),
            set: self.set >> gap,
        })
    }
}
