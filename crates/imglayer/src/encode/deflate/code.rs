//! Canonical Huffman codes as lookup tables that tell how far to move instead of what to write.

use super::bits::{BitReader, REFILLED};

/// How many bits index a table. Measured: with 9 and 11 it takes as long.
const INDEX_BITS: u32 = 10;
const ENTRIES: usize = 1 << INDEX_BITS;
/// The longest code word of the format.
const LONGEST: usize = 15;
/// How many literals and lengths there are, with the two that only count in fixed codes.
pub(super) const LITERALS: usize = 288;
/// The symbol for the end of a block.
pub(super) const END_OF_BLOCK: usize = 256;

/// What a code word does to the position: by how many bits it moves on, extra bits included, and what comes then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step(u16);

impl Step {
    /// The bits that tell how far: as many as a shift of 64 bits looks at, so that nothing needs to cut them out.
    const BITS: u16 = 0x3f;
    const BEFORE_DISTANCE: u16 = 1 << 8;
    const END: u16 = 1 << 9;
    const INVALID: u16 = 1 << 10;
    /// Only in tables: the word is longer than the index.
    const LONG: u16 = 1 << 11;

    #[inline(always)]
    pub(super) fn bits(self) -> u32 {
        u32::from(self.0 & Self::BITS)
    }

    #[inline(always)]
    fn is_short_literal(self) -> bool {
        self.0 & !Self::BITS == 0
    }

    /// Whether the symbol is a length, which a distance follows.
    #[inline(always)]
    pub(super) fn is_before_distance(self) -> bool {
        self.0 & Self::BEFORE_DISTANCE != 0
    }

    #[inline(always)]
    pub(super) fn is_end(self) -> bool {
        self.0 & Self::END != 0
    }

    /// Whether nothing can follow: the end of the block, or no code word that the format knows.
    #[inline(always)]
    pub(super) fn is_stop(self) -> bool {
        self.0 & (Self::END | Self::INVALID) != 0
    }
}

/// Which alphabet a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    Distance,
    LiteralOrLength,
}

impl Alphabet {
    /// What each symbol does apart from its code word: extra bits (RFC 1951, 3.2.5), and what follows.
    fn steps(self) -> &'static [Step; LITERALS] {
        const DISTANCES: [Step; LITERALS] = distance_steps();
        const LITERALS_AND_LENGTHS: [Step; LITERALS] = literal_steps();
        match self {
            Self::Distance => &DISTANCES,
            Self::LiteralOrLength => &LITERALS_AND_LENGTHS,
        }
    }
}

const fn literal_steps() -> [Step; LITERALS] {
    let mut steps = [Step(0); LITERALS];
    let mut symbol = END_OF_BLOCK as u16;
    while symbol < LITERALS as u16 {
        steps[symbol as usize] = Step(match symbol {
            256 => Step::END,
            265..=284 => Step::BEFORE_DISTANCE + (symbol - 261) / 4,
            257..=285 => Step::BEFORE_DISTANCE,
            _ => Step::INVALID,
        });
        symbol += 1;
    }
    steps
}

const fn distance_steps() -> [Step; LITERALS] {
    let mut steps = [Step(Step::INVALID); LITERALS];
    let mut symbol = 0;
    while symbol < 30 {
        steps[symbol as usize] = Step(if symbol < 4 { 0 } else { symbol / 2 - 1 });
        symbol += 1;
    }
    steps
}

/// A code word as it stands in a stream: its first bit is the lowest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) bits: u32,
    pub(super) value: u64,
}

/// One code of a block: its table, and what is needed to read words that are longer than the table's index.
#[derive(Debug)]
pub(super) struct Code {
    alphabet: Alphabet,
    table: Box<[Step; ENTRIES]>,
    /// By length: the first code word, written in 15 bits, that is longer. Above all words when there is none.
    limit: [u32; LONGEST + 1],
    /// By length: the place of its first code word among `symbols`, less that word.
    offset: [i32; LONGEST + 1],
    /// The symbols that have a code word, in the order of their code words.
    symbols: [u16; LITERALS],
    end: Word,
}

impl Code {
    pub(super) fn new(alphabet: Alphabet) -> Self {
        Self {
            alphabet,
            table: Box::new([Step(0); ENTRIES]),
            limit: [0; LONGEST + 1],
            offset: [0; LONGEST + 1],
            symbols: [0; LITERALS],
            end: Word::default(),
        }
    }

    /// The word for the end of a block.
    pub(super) fn end(&self) -> Word {
        self.end
    }

    /// Returns what the word does that `window` starts with.
    #[inline(always)]
    pub(super) fn look_up(&self, window: u64) -> Step {
        let step = self.table[window as usize % ENTRIES];
        if step.0 & Step::LONG == 0 {
            step
        } else {
            self.look_up_long(window)
        }
    }

    /// Takes the first few literals off a window that was refilled; stops at any other symbol and at long words.
    #[inline(always)]
    pub(super) fn skip_literals(&self, reader: &mut BitReader) {
        for _ in 0..REFILLED / INDEX_BITS {
            let step = self.table[reader.window as usize % ENTRIES];
            if !step.is_short_literal() {
                break;
            }
            reader.take(step.bits());
        }
    }

    #[inline(never)]
    fn look_up_long(&self, window: u64) -> Step {
        let word = u32::from((window as u16).reverse_bits() >> 1);
        let longer = INDEX_BITS as usize + 1..=LONGEST;
        let symbol = (longer.into_iter())
            .find(|&length| word < self.limit[length])
            .and_then(|length| {
                let place = self.offset[length] + (word >> (LONGEST - length)).cast_signed();
                let symbol = self.symbols.get(usize::try_from(place).ok()?)?;
                Some(self.step(*symbol, length))
            });
        symbol.unwrap_or(Step(Step::INVALID))
    }

    fn step(&self, symbol: u16, length: usize) -> Step {
        let steps = self.alphabet.steps();
        Step(steps[usize::from(symbol) % LITERALS].0 + length as u16)
    }

    /// Assigns the code words of `lengths`, one a symbol (RFC 1951, 3.2.2).
    ///
    /// `None` when the lengths describe no prefix code, or one with words that no symbol has; a single word of one
    /// bit is let pass, as the format has it for a lone distance, and no word at all.
    pub(super) fn set(&mut self, lengths: &[u8]) -> Option<()> {
        let mut counts = [0_u32; LONGEST + 1];
        for &length in lengths {
            counts[usize::from(length) % counts.len()] += 1;
        }
        counts[0] = 0;
        self.set_limits(&counts)?;
        self.sort_symbols(lengths, &counts);
        self.fill_table(&counts);
        Some(())
    }

    fn set_limits(&mut self, counts: &[u32; LONGEST + 1]) -> Option<()> {
        let (mut word, mut place) = (0_u32, 0_i32);
        for (length, &count) in counts.iter().enumerate().skip(1) {
            word <<= 1;
            self.offset[length] = place - word.cast_signed();
            word += count;
            place += count.cast_signed();
            if word > 1 << length {
                return None;
            }
            self.limit[length] = word << (LONGEST - length);
        }
        let complete = word == 1 << LONGEST;
        let at_most_one_bit = counts[2..].iter().all(|&count| count == 0);
        (complete || at_most_one_bit).then_some(())
    }

    fn sort_symbols(&mut self, lengths: &[u8], counts: &[u32; LONGEST + 1]) {
        let mut places = [0; LONGEST + 1];
        for length in 1..LONGEST {
            places[length + 1] = places[length] + counts[length] as usize;
        }
        // Symbols without a word go to the last place, one after the other, and are not looked at there.
        places[0] = LITERALS - 1;
        for (symbol, &length) in lengths.iter().enumerate() {
            let length = usize::from(length) % places.len();
            self.symbols[places[length] % LITERALS] = symbol as u16;
            places[length] += usize::from(length != 0);
        }
    }

    /// Fills the table from short words to long ones: its first half is done when a bit more comes into the index,
    /// and the second half starts as a copy of it.
    fn fill_table(&mut self, counts: &[u32; LONGEST + 1]) {
        let (mut word, mut place, mut filled) = (0, 0, 1);
        self.table[0] = Step(Step::INVALID);
        for (length, &count) in counts.iter().enumerate().skip(1) {
            let is_long = length > INDEX_BITS as usize;
            if !is_long {
                self.table.copy_within(..filled, filled);
                filled *= 2;
            }
            for _ in 0..count {
                let symbol = self.symbols[place % LITERALS];
                place += 1;
                let step = self.step(symbol, length);
                if step.is_end() {
                    self.end = Word {
                        bits: length as u32,
                        value: u64::from(word),
                    };
                }
                self.table[word as usize % ENTRIES] = if is_long { Step(Step::LONG) } else { step };
                word = next_word(word, length as u32);
            }
        }
    }
}

/// Adds one to a code word whose first bit is the lowest.
fn next_word(word: u32, length: u32) -> u32 {
    let zeros = word ^ ((1 << length) - 1);
    let Some(place) = zeros.checked_ilog2() else {
        // It was the last one.
        return 0;
    };
    let bit = 1 << place;
    word & (bit - 1) | bit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(lengths: &[u8]) -> Option<Code> {
        let mut code = Code::new(Alphabet::LiteralOrLength);
        code.set(lengths)?;
        Some(code)
    }

    #[test]
    fn only_prefix_codes_without_holes_are_taken() {
        let accepts = |lengths: &[u8]| code(lengths).is_some();
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
        let bits = |alphabet: Alphabet, symbol: usize| {
            let step = alphabet.steps()[symbol];
            (!step.is_stop()).then_some(step.bits())
        };
        let length = |symbol| bits(Alphabet::LiteralOrLength, symbol);
        let distance = |symbol| bits(Alphabet::Distance, symbol);
        assert_eq!(
            [0, 255, 257, 264, 265, 268, 269, 281, 284, 285].map(length),
            [0, 0, 0, 0, 1, 1, 2, 5, 5, 0].map(Some)
        );
        assert_eq!(
            [0, 3, 4, 5, 6, 28, 29].map(distance),
            [0, 0, 1, 1, 2, 13, 13].map(Some)
        );
        assert_eq!([256, 286, 287].map(length), [None; 3]);
        assert_eq!([30, 31, 287].map(distance), [None; 3]);
    }

    /// Words of 1 to 15 bits: 0, 10, 110 and so on. In a stream they are ones that end with a zero.
    #[test]
    fn words_of_every_length_are_found_in_the_table_or_behind_it() {
        let mut lengths = vec![0; LITERALS];
        lengths[..14].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
        lengths[END_OF_BLOCK] = 15;
        lengths[270] = 15;
        let code = code(&lengths).unwrap();
        for bits in 1..15_u16 {
            // What follows the word must not matter.
            for follows in [0, u64::MAX] {
                let step = code.look_up(((1 << (bits - 1)) - 1) | (follows << bits));
                assert_eq!(step, Step(bits), "{bits} {follows}");
            }
        }
        let end = code.look_up(0x3fff);
        assert!(end.is_end() && end.is_stop());
        assert_eq!(end.bits(), 15);
        assert_eq!(
            code.end(),
            Word {
                bits: 15,
                value: 0x3fff
            }
        );
        let length = code.look_up(0x7fff);
        assert!(length.is_before_distance() && !length.is_stop());
        assert_eq!(length.bits(), 15 + 2);
    }

    #[test]
    fn bits_that_no_word_begins_with_stop() {
        let code = code(&[1]).unwrap();
        assert_eq!(code.look_up(0), Step(1));
        assert!(code.look_up(1).is_stop());
        assert!(!code.look_up(1).is_end());
    }

    #[test]
    fn tables_hold_nothing_of_the_code_before() {
        let mut code = code(&[8; 256]).unwrap();
        code.set(&[2, 2, 1]).unwrap();
        let table = code.table.clone();
        let mut fresh = Code::new(Alphabet::LiteralOrLength);
        fresh.set(&[2, 2, 1]).unwrap();
        assert_eq!(table, fresh.table);
    }
}
