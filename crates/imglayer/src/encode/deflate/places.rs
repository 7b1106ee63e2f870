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

#[cfg(test)]
mod tests {
    use libdeflater::{CompressionLvl, Compressor};

    use super::super::PADDING;
    use super::super::bits::BitReader;
    use super::super::header::Kind;
    use super::*;

    /// A stream, the codes of its first block, and every position at which a symbol of that begins.
    fn block(content: &[u8]) -> (Vec<u8>, Codes, Vec<u64>) {
        let mut compressor = Compressor::new(CompressionLvl::new(1).unwrap());
        let mut bytes = vec![0; compressor.deflate_compress_bound(content.len()) + PADDING];
        compressor.deflate_compress(content, &mut bytes).unwrap();
        let mut reader = BitReader::at(&bytes, 0).unwrap();
        Kind::read(&mut reader).unwrap();
        let mut codes = Codes::new();
        codes.read(&mut reader, &bytes).unwrap();
        let mut begins = vec![reader.position()];
        while let Some(bits) = codes.look_up(peek(&bytes, begins[begins.len() - 1]).unwrap()) {
            begins.push(begins[begins.len() - 1] + u64::from(bits));
        }
        (bytes, codes, begins)
    }

    /// Tries every start; returns in how many of a hundred a single reader was left.
    fn share_met(content: &[u8]) -> u64 {
        let (bytes, codes, begins) = block(content);
        let end = begins[begins.len() - 1];
        let mut met = 0;
        for start in (begins[0] + 1)..end - 600 {
            let mut places = Places::all_from(&codes, &bytes, start).unwrap();
            for target in [start + 100, start + 500] {
                places.narrow_down(&codes, &bytes, target).unwrap();
                let next = begins[begins.partition_point(|&begin| begin < places.base)];
                let right = places.set >> (next - places.base) & 1 == 1;
                assert!(right, "the right reader is lost: {start} {target}");
            }
            met += u64::from(places.only().is_some());
        }
        met * 100 / (end - 600 - begins[0])
    }

    fn noise() -> impl Iterator<Item = u8> {
        let step = |state: &u32| Some(state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223));
        std::iter::successors(Some(1), step).map(|state| (state >> 16) as u8)
    }

    #[test]
    fn readers_meet_and_the_right_one_is_left() {
        let content: Vec<u8> = (noise().take(4000))
            .map(|byte| byte.leading_zeros() as u8)
            .collect();
        assert!(share_met(&content) > 95);
    }

    #[test]
    fn readers_of_words_of_nearly_one_length_meet_late_and_the_right_one_is_among_them() {
        let content: Vec<u8> = noise().take(2000).map(|byte| byte & 0x3f).collect();
        assert!(share_met(&content) < 60);
    }
}
