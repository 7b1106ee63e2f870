//! Searches a stream for the bits of a code word, at whatever bit they begin.

use super::bits::{peek, word_at};
use super::code::Word;

/// How many bits of a word are looked for at first; shorter words cannot be searched for.
pub(super) const SHORTEST: u32 = 10;
/// How many bytes on the next window begins. Words of up to 16 bits that begin in them are whole in a window.
const STRIDE: usize = 6;
/// How many windows are looked at together: it lets a compiler use wide registers.
const WINDOWS: usize = 4;

/// Where a word may stand in a stream, in order.
#[derive(Debug)]
pub(super) struct Search<'a> {
    bytes: &'a [u8],
    word: Word,
    /// The position at which the stream ends.
    end: u64,
    /// For each of the first bits of the word: what turns it into a one.
    flips: [u64; SHORTEST as usize],
    /// The byte at which the windows begin.
    start: usize,
    /// For each window: where in it the first bits stand.
    found: [u64; WINDOWS],
}

impl<'a> Search<'a> {
    /// Looks for `word` from a position on, in a stream that ends at bit `end`.
    pub(super) fn new(bytes: &'a [u8], position: u64, end: u64, word: Word) -> Option<Self> {
        let mut search = Self {
            bytes,
            word,
            end,
            flips: std::array::from_fn(|bit| (word.value >> bit & 1).wrapping_sub(1)),
            start: usize::try_from(position / 8).ok()?,
            found: [0; WINDOWS],
        };
        search.look()?;
        search.found[0] &= u64::MAX << (position % 8);
        Some(search)
    }

    /// Returns the next position at which the word stands; `None` when there is none before the end of the stream.
    pub(super) fn next_position(&mut self) -> Option<u64> {
        loop {
            while let Some(position) = self.take_found() {
                if position + u64::from(self.word.bits) > self.end {
                    return None;
                }
                let bits = peek(self.bytes, position)?;
                if (bits ^ self.word.value) & ((1 << self.word.bits) - 1) == 0 {
                    return Some(position);
                }
            }
            self.start += STRIDE * WINDOWS;
            if self.start as u64 * 8 >= self.end {
                return None;
            }
            self.look()?;
        }
    }

    fn take_found(&mut self) -> Option<u64> {
        let window = self.found.iter().position(|&found| found != 0)?;
        let bit = self.found[window].trailing_zeros();
        self.found[window] &= self.found[window] - 1;
        Some((self.start + window * STRIDE) as u64 * 8 + u64::from(bit))
    }

    #[inline(always)]
    fn look(&mut self) -> Option<()> {
        let bytes = self
            .bytes
            .get(self.start..)?
            .first_chunk::<{ STRIDE * WINDOWS + 2 }>()?;
        let windows: [u64; WINDOWS] =
            std::array::from_fn(|window| word_at(bytes, window * STRIDE).unwrap_or(0));
        self.found = [(1 << (STRIDE * 8)) - 1; WINDOWS];
        for (bit, flip) in self.flips.into_iter().enumerate() {
            for (found, window) in self.found.iter_mut().zip(windows) {
                *found &= window >> bit ^ flip;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::PADDING;
    use super::*;

    /// Every position of the word, bit by bit.
    fn expected(bytes: &[u8], start: u64, end: u64, word: Word) -> Vec<u64> {
        let bit = |position: u64| u64::from(bytes[position as usize / 8] >> (position % 8) & 1);
        (start..end.saturating_sub(u64::from(word.bits) - 1))
            .filter(|position| {
                (0..u64::from(word.bits)).all(|at| bit(position + at) == word.value >> at & 1)
            })
            .collect()
    }

    proptest! {
        /// Few different bytes, so that words repeat.
        #[test]
        fn a_word_is_found_wherever_it_stands(
            mut bytes in prop::collection::vec(prop_oneof![Just(0_u8), Just(0xff), Just(0x49)], 3..200),
            start in any::<prop::sample::Index>(),
            end in any::<prop::sample::Index>(),
            at in any::<prop::sample::Index>(),
            bits in SHORTEST..=15,
        ) {
            let total = bytes.len() as u64 * 8;
            bytes.resize(bytes.len() + PADDING, 0);
            let value = peek(&bytes, at.index(total as usize) as u64).unwrap() & ((1 << bits) - 1);
            let word = Word { bits, value };
            let start = start.index(total as usize) as u64;
            let end = end.index(total as usize + 1) as u64;
            let mut search = Search::new(&bytes, start, end, word).unwrap();
            let found: Vec<_> = std::iter::from_fn(|| search.next_position()).collect();
            prop_assert_eq!(found, expected(&bytes, start, end, word));
        }
    }
}
