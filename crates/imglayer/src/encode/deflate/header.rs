//! Headers of blocks (RFC 1951, 3.2.3) and the codes that stand in them.

use super::bits::BitReader;
use super::code::{Alphabet, Code, END_OF_BLOCK, LITERALS};

const MOST_LITERALS: usize = 286;
const MOST_DISTANCES: usize = 30;
/// The order in which the lengths of the code length code are written.
const LENGTH_ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];

/// What stands in front of every block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind {
    pub(super) is_last: bool,
    pub(super) form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Stored,
    Fixed,
    Dynamic,
}

impl Kind {
    pub(super) fn read(reader: &mut BitReader) -> Option<Self> {
        Some(Self {
            is_last: reader.take(1) == 1,
            form: match reader.take(2) {
                0 => Form::Stored,
                1 => Form::Fixed,
                2 => Form::Dynamic,
                _ => return None,
            },
        })
    }
}

/// Whether a block may begin at a position; where it may not, no stream that is whole has a block.
pub(super) fn may_begin(bytes: &[u8], position: u64) -> bool {
    let look = || {
        let mut reader = BitReader::at(bytes, position)?;
        match Kind::read(&mut reader)?.form {
            Form::Stored => skip_stored(bytes, reader.position()).map(drop),
            Form::Fixed => Some(()),
            Form::Dynamic => {
                let counts = Counts::read(&mut reader)?;
                read_lengths_code(&mut reader, bytes, counts.lengths).map(drop)
            }
        }
    };
    look().is_some()
}

/// Returns the position after a stored block whose length follows `position` at the next whole byte.
pub(super) fn skip_stored(bytes: &[u8], position: u64) -> Option<u64> {
    let start = usize::try_from(position.div_ceil(8)).ok()?;
    let [low, high, not_low, not_high] = *bytes.get(start..)?.first_chunk::<4>()?;
    let length = u16::from_le_bytes([low, high]);
    (length == !u16::from_le_bytes([not_low, not_high])).then_some(())?;
    Some((start as u64 + 4 + u64::from(length)) * 8)
}

/// The two codes of a block; kept and reused from block to block.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) literals: Code,
    pub(super) distances: Code,
}

impl Codes {
    pub(super) fn new() -> Self {
        Self {
            literals: Code::new(Alphabet::LiteralOrLength),
            distances: Code::new(Alphabet::Distance),
        }
    }

    pub(super) fn set_fixed(&mut self) -> Option<()> {
        let mut literals = [8; LITERALS];
        literals[144..256].fill(9);
        literals[256..280].fill(7);
        self.literals.set(&literals)?;
        self.distances.set(&[5; 32])
    }

    /// Reads the codes of a block that brings its own (RFC 1951, 3.2.7).
    pub(super) fn read(&mut self, reader: &mut BitReader, bytes: &[u8]) -> Option<()> {
        let counts = Counts::read(reader)?;
        let lengths_code = read_lengths_code(reader, bytes, counts.lengths)?;
        let total = counts.literals + counts.distances;
        let mut lengths = [0; MOST_LITERALS + MOST_DISTANCES];
        let mut filled = 0;
        while filled < total {
            reader.refill(bytes)?;
            let (bits, symbol) = lengths_code[reader.window as usize % lengths_code.len()];
            reader.take(u32::from(bits));
            let (value, repeat) = match symbol {
                0..=15 => {
                    lengths[filled] = symbol;
                    filled += 1;
                    continue;
                }
                16 => (lengths[filled.checked_sub(1)?], 3 + reader.take(2)),
                17 => (0, 3 + reader.take(3)),
                _ => (0, 11 + reader.take(7)),
            };
            let end = filled + repeat as usize;
            if end > total {
                return None;
            }
            lengths[filled..end].fill(value);
            filled = end;
        }
        // A block without a code word for its end has none.
        (lengths[END_OF_BLOCK] != 0).then_some(())?;
        self.literals.set(&lengths[..counts.literals])?;
        self.distances.set(&lengths[counts.literals..total])
    }

    /// Returns how many bits a literal takes that `window` starts with, or a length with its distance.
    ///
    /// `None` where neither begins: at the end of the block, or at what is no code word.
    #[inline(always)]
    pub(super) fn look_up(&self, window: u64) -> Option<u32> {
        let step = self.literals.look_up(window);
        if step.is_before_distance() {
            let distance = self.distances.look_up(window >> step.bits());
            (!distance.is_stop()).then_some(step.bits() + distance.bits())
        } else {
            (!step.is_stop()).then_some(step.bits())
        }
    }
}

/// How many lengths stand in a header.
struct Counts {
    literals: usize,
    distances: usize,
    lengths: usize,
}

impl Counts {
    fn read(reader: &mut BitReader) -> Option<Self> {
        let counts = Self {
            literals: reader.take(5) as usize + 257,
            distances: reader.take(5) as usize + 1,
            lengths: reader.take(4) as usize + 4,
        };
        (counts.literals <= MOST_LITERALS && counts.distances <= MOST_DISTANCES).then_some(counts)
    }
}

/// Reads the code that the code lengths are written in, as a table from 7 bits to (bits, symbol).
fn read_lengths_code(
    reader: &mut BitReader,
    bytes: &[u8],
    count: usize,
) -> Option<[(u8, u8); 128]> {
    let mut lengths = [0_u8; LENGTH_ORDER.len()];
    // Nineteen lengths of three bits are one more than a refill is sure to bring.
    for part in LENGTH_ORDER.get(..count)?.chunks(16) {
        reader.refill(bytes)?;
        for &symbol in part {
            lengths[symbol] = reader.take(3) as u8;
        }
    }
    let used: u32 = (lengths.iter().filter(|&&length| length != 0))
        .map(|&length| 128 >> length)
        .sum();
    (used == 128).then_some(())?;
    let mut table = [(0, 0); 128];
    let mut word = 0_usize;
    for length in 1..=7_u8 {
        word <<= 1;
        for (symbol, &each) in lengths.iter().enumerate() {
            if each == length {
                let mut index = (word as u16).reverse_bits() as usize >> (16 - length);
                while index < table.len() {
                    table[index] = (length, symbol as u8);
                    index += 1 << length;
                }
                word += 1;
            }
        }
    }
    Some(table)
}
