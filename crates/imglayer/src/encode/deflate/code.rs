//! Canonical Huffman codes as lookup tables that tell how far to move instead of what to write.
//!
//! A walker needs of a symbol only how many bits it takes, its extra bits included. So one table entry can stand for
//! a run of literals and a whole match, as long as all their code words lie within the bits that index the table.

use super::bits::BitReader;

/// How many bits index a table. Measured: 10 is within 5 %, 12 and 13 are clearly slower (they leave the fast cache).
pub(super) const INDEX_BITS: u32 = 11;
/// How many entries a table has.
pub(super) const ENTRIES: usize = 1 << INDEX_BITS;
/// The longest code word of the format.
const LONGEST: usize = 15;

/// What to do with the bits that index a table:
///
/// | bits | meaning |
/// |---|---|
/// | 0–7 | how far to move, extra bits included |
/// | 8–12 | how many of the index's bits were looked at |
/// | 13 | no code word starts with these bits |
/// | 14 | the end of the block |
/// | 15 | look closer: end of block, no code word, or one that is longer than the index |
/// | 16– | where the next lookup starts: 0 for literals and lengths, [`ENTRIES`] for distances |
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry(pub(super) u32);

impl Entry {
    const INVALID: u32 = 1 << 13;
    const END: u32 = 1 << 14;
    const SPECIAL: u32 = 1 << 15;

    fn plain(code_bits: u32, extra_bits: u32, next: u32) -> Self {
        Self((code_bits + extra_bits) | code_bits << 8 | next << 16)
    }

    fn end(code_bits: u32) -> Self {
        Self(code_bits << 8 | Self::END | Self::SPECIAL)
    }

    fn long(stay: u32) -> Self {
        Self(Self::SPECIAL | stay << 16)
    }

    fn invalid(stay: u32) -> Self {
        Self(Self::SPECIAL | Self::INVALID | stay << 16)
    }

    #[inline(always)]
    pub(super) fn is_special(self) -> bool {
        self.0 & Self::SPECIAL != 0
    }

    pub(super) fn is_end(self) -> bool {
        self.0 & Self::END != 0
    }

    pub(super) fn is_invalid(self) -> bool {
        self.0 & Self::INVALID != 0
    }

    /// How far to move; 0 when special.
    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        self.0 & 0xff
    }

    /// How many bits of the index belong to code words.
    pub(super) fn index_bits(self) -> u32 {
        self.0 >> 8 & 31
    }

    /// Where the next lookup starts.
    #[inline(always)]
    pub(super) fn next(self) -> u32 {
        self.0 >> 16
    }

    /// This entry and the one that its last bits lead to, as one; `None` when that one needs bits beyond the index.
    fn followed_by(self, then: Self) -> Option<Self> {
        let (moved, looked) = (self.bits(), self.bits() + then.index_bits());
        (!then.is_special() && looked <= INDEX_BITS)
            .then(|| Self((moved + then.bits()) | looked << 8 | then.next() << 16))
    }
}

/// Which alphabet a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    Distance,
    LiteralOrLength,
}

impl Alphabet {
    /// Where the table of the alphabet starts.
    fn base(self) -> u32 {
        match self {
            Self::Distance => ENTRIES as u32,
            Self::LiteralOrLength => 0,
        }
    }

    fn entry(self, symbol: usize, code_bits: u32) -> Entry {
        let extra = self.extra_bits(symbol);
        match (self, symbol, extra) {
            (Self::LiteralOrLength, 256, _) => Entry::end(code_bits),
            (_, _, None) => Entry::invalid(self.base()),
            (Self::LiteralOrLength, 257.., Some(extra)) => {
                Entry::plain(code_bits, extra, Self::Distance.base())
            }
            (_, _, Some(extra)) => Entry::plain(code_bits, extra, 0),
        }
    }

    /// How many extra bits follow a symbol (RFC 1951, 3.2.5); `None` for a symbol that must not occur.
    pub(super) fn extra_bits(self, symbol: usize) -> Option<u32> {
        Some(match (self, symbol) {
            (Self::LiteralOrLength, 0..=264 | 285) | (Self::Distance, 0..=3) => 0,
            (Self::LiteralOrLength, 265..=284) => (symbol as u32 - 261) / 4,
            (Self::Distance, 4..=29) => symbol as u32 / 2 - 1,
            _ => return None,
        })
    }
}

/// What is needed to read code words that are longer than a table's index.
#[derive(Clone, Debug)]
pub(super) struct LongCodes {
    /// By length: the first code word, written in 15 bits, that is longer. Above all words when there is none.
    limit: [u32; LONGEST + 1],
    /// By length: the place of its first code word among `symbols`, less that word.
    offset: [i32; LONGEST + 1],
    /// The symbols that have a code word, in the order of their code words.
    symbols: [u16; 288],
}

impl LongCodes {
    pub(super) const fn new() -> Self {
        Self {
            limit: [0; LONGEST + 1],
            offset: [0; LONGEST + 1],
            symbols: [0; 288],
        }
    }

    /// Takes a code word that is longer than the index off the reader, and returns its symbol.
    pub(super) fn take(&self, reader: &mut BitReader) -> Option<usize> {
        let word = u32::from((reader.window as u16).reverse_bits() >> 1);
        let length =
            (INDEX_BITS as usize + 1..=LONGEST).find(|&length| word < self.limit[length])?;
        let place = self.offset[length] + (word >> (LONGEST - length)).cast_signed();
        reader.take(length as u32);
        self.symbols
            .get(usize::try_from(place).ok()?)
            .map(|&symbol| usize::from(symbol))
    }
}

/// Assigns the code words of `lengths` and writes the table entry of each.
///
/// `None` when the lengths describe no prefix code, or one with words that no symbol has; a single word of one bit is
/// let pass, as the format has it for a lone distance, and no word at all.
pub(super) fn build(
    alphabet: Alphabet,
    lengths: &[u8],
    table: &mut [Entry; ENTRIES],
    long: &mut LongCodes,
) -> Option<()> {
    let mut next_word = assign(lengths, long)?;
    let mut place = [0; LONGEST + 1];
    for length in 1..=LONGEST {
        place[length] = (long.offset[length] + next_word[length].cast_signed()) as usize;
    }
    if long.limit[LONGEST] < 1 << LONGEST {
        table.fill(Entry::invalid(alphabet.base()));
    }
    for (symbol, &length) in lengths.iter().enumerate() {
        let length = usize::from(length) & LONGEST;
        if length == 0 {
            continue;
        }
        *long.symbols.get_mut(place[length])? = symbol as u16;
        place[length] += 1;
        let first = (next_word[length] as u16).reverse_bits() as usize >> (16 - length);
        next_word[length] += 1;
        if length > INDEX_BITS as usize {
            table[first % ENTRIES] = Entry::long(alphabet.base());
            continue;
        }
        let entry = alphabet.entry(symbol, length as u32);
        let mut index = first;
        while index < ENTRIES {
            table[index] = entry;
            index += 1 << length;
        }
    }
    Some(())
}

/// Sets limits and offsets, and returns the first code word of each length.
fn assign(lengths: &[u8], long: &mut LongCodes) -> Option<[u32; LONGEST + 1]> {
    let mut count = [0_u32; LONGEST + 1];
    for &length in lengths {
        count[usize::from(length) & LONGEST] += 1;
    }
    count[0] = 0;
    let mut first = [0; LONGEST + 1];
    let (mut word, mut place) = (0_u32, 0_i32);
    for length in 1..=LONGEST {
        word <<= 1;
        first[length] = word;
        long.offset[length] = place - word.cast_signed();
        word += count[length];
        place += count[length].cast_signed();
        if word > 1 << length {
            return None;
        }
        long.limit[length] = word << (LONGEST - length);
    }
    let complete = word == 1 << LONGEST;
    let at_most_one_bit = count[2..].iter().all(|&count| count == 0);
    (complete || at_most_one_bit).then_some(first)
}

/// Merges runs of literals, and matches with them, into the entries of `merged`, as far as the index shows them whole.
pub(super) fn merge(
    merged: &mut [Entry; ENTRIES],
    single: &[Entry; ENTRIES],
    distances: &[Entry; ENTRIES],
) {
    merged[0] = single[0];
    for index in 0..ENTRIES {
        let mut entry = single[index];
        if !entry.is_special() {
            if entry.next() != 0 && entry.bits() < INDEX_BITS {
                entry = entry
                    .followed_by(distances[index >> entry.bits()])
                    .unwrap_or(entry);
            }
            if entry.next() == 0 && entry.bits() < INDEX_BITS {
                // Every code word has a bit, so the rest of the index is a smaller one, merged already (or zero).
                let rest = index >> entry.bits();
                entry = (entry.followed_by(merged[rest]))
                    .or_else(|| entry.followed_by(single[rest]))
                    .unwrap_or(entry);
            }
        }
        merged[index] = entry;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(lengths: &[u8]) -> bool {
        let mut table = [Entry(0); ENTRIES];
        build(
            Alphabet::LiteralOrLength,
            lengths,
            &mut table,
            &mut LongCodes::new(),
        )
        .is_some()
    }

    #[test]
    fn only_prefix_codes_without_holes_are_taken() {
        assert!(accepts(&[1, 1]));
        assert!(accepts(&[2, 2, 1]));
        assert!(accepts(&[1]), "a lone word of one bit");
        assert!(accepts(&[0, 0]), "no word at all");
        assert!(!accepts(&[1, 1, 1]), "more words than bits");
        assert!(!accepts(&[2]), "a lone word of two bits");
        assert!(!accepts(&[1, 2]), "a hole");
    }

    #[test]
    fn extra_bits_are_those_of_the_format() {
        let length = |symbol| Alphabet::LiteralOrLength.extra_bits(symbol);
        let distance = |symbol| Alphabet::Distance.extra_bits(symbol);
        assert_eq!(
            [264, 265, 268, 269, 281, 284, 285].map(length),
            [0, 1, 1, 2, 5, 5, 0].map(Some)
        );
        assert_eq!(
            [3, 4, 5, 6, 28, 29].map(distance),
            [0, 1, 1, 2, 13, 13].map(Some)
        );
        assert_eq!((length(286), distance(30)), (None, None));
    }
}
