//! Walks the symbols of a deflate stream (RFC 1951) without writing what they stand for.

use super::PADDING;
use super::bits::BitReader;
use super::code::{self, Alphabet, ENTRIES, Entry, INDEX_BITS, LongCodes};

/// Where the last block of a stream begins and ends, in bits from the start of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastBlock {
    /// The position of the bit that says that the block is the last.
    pub(super) header: u64,
    /// The position after the last bit of the stream.
    pub(super) end: u64,
}

/// The order in which the lengths of the code length code are written.
const LENGTH_ORDER: [usize; 19] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
const MOST_LITERALS: usize = 286;
const MOST_DISTANCES: usize = 30;

/// The tables of the block that is walked; kept and reused from stream to stream.
pub(super) struct Walker {
    /// Literals and lengths, merged; behind them distances.
    steps: Box<[Entry; 2 * ENTRIES]>,
    /// Literals and lengths, one symbol an entry.
    single: Box<[Entry; ENTRIES]>,
    long_literals: LongCodes,
    long_distances: LongCodes,
}

/// What stands at the end of a header.
enum Opened {
    /// Symbols of the tables.
    Symbols(BitReader),
    /// The next header, after stored bytes.
    Skipped(u64),
}

impl Walker {
    pub(super) fn new() -> Self {
        Self {
            steps: Box::new([Entry(0); 2 * ENTRIES]),
            single: Box::new([Entry(0); ENTRIES]),
            long_literals: LongCodes::new(),
            long_distances: LongCodes::new(),
        }
    }

    /// Finds the last block of the stream in the first `length` bytes of `bytes`.
    ///
    /// Behind the stream stand at least [`PADDING`] bytes. `None` when the bytes are no whole stream. Distances are
    /// not checked against what was written before: nothing is written.
    pub(super) fn find_last_block(&mut self, bytes: &[u8], length: usize) -> Option<LastBlock> {
        if bytes.len() < length.checked_add(PADDING)? {
            return None;
        }
        let stream_end = length as u64 * 8;
        let mut header = 0;
        while header < stream_end {
            let mut reader = BitReader::at(bytes, header)?;
            let last = reader.take(1) == 1;
            let end = match self.open(&mut reader, bytes)? {
                Opened::Symbols(reader) => self.walk_symbols(reader, bytes)?,
                Opened::Skipped(end) => end,
            };
            if last {
                return (end <= stream_end).then_some(LastBlock { header, end });
            }
            header = end;
        }
        None
    }

    /// Reads a block's header from its type on.
    fn open(&mut self, reader: &mut BitReader, bytes: &[u8]) -> Option<Opened> {
        match reader.take(2) {
            0 => return skip_stored(bytes, reader.position()).map(Opened::Skipped),
            1 => self.set_fixed_codes()?,
            2 => self.read_codes(reader, bytes)?,
            _ => return None,
        }
        Some(Opened::Symbols(*reader))
    }

    /// Walks to the end of a block, and returns the position after it.
    fn walk_symbols(&self, mut reader: BitReader, bytes: &[u8]) -> Option<u64> {
        let mut base = 0;
        loop {
            // A step moves by at most 24 bits: 11 of the index and 13 extra ones of a distance. So two fit a refill.
            reader.refill(bytes)?;
            // A special entry moves nowhere and keeps the base, so the second step meets it again.
            self.step(&mut reader, &mut base);
            let entry = self.step(&mut reader, &mut base);
            if entry.is_special() && self.step_closely(&mut reader, &mut base, entry, bytes)? {
                return Some(reader.position());
            }
        }
    }

    #[inline(always)]
    fn step(&self, reader: &mut BitReader, base: &mut u32) -> Entry {
        let index = *base as usize + reader.window as usize % ENTRIES;
        let entry = self.steps[index];
        reader.window >>= entry.bits() & 63;
        reader.count = reader.count.wrapping_sub(entry.bits());
        *base = entry.next();
        entry
    }

    /// Handles a special entry: a long code word or the end of the block (`true`).
    #[cold]
    #[inline(never)]
    fn step_closely(
        &self,
        reader: &mut BitReader,
        base: &mut u32,
        entry: Entry,
        bytes: &[u8],
    ) -> Option<bool> {
        reader.refill(bytes)?;
        if entry.is_invalid() {
            return None;
        }
        if entry.is_end() {
            reader.take(entry.index_bits());
            return Some(true);
        }
        if *base != 0 {
            let symbol = self.long_distances.take(reader)?;
            reader.take(Alphabet::Distance.extra_bits(symbol)?);
            *base = 0;
            return Some(false);
        }
        let symbol = self.long_literals.take(reader)?;
        reader.take(Alphabet::LiteralOrLength.extra_bits(symbol)?);
        *base = if symbol > 256 { ENTRIES as u32 } else { 0 };
        Some(symbol == 256)
    }

    fn set_fixed_codes(&mut self) -> Option<()> {
        let mut literals = [8; 288];
        literals[144..256].fill(9);
        literals[256..280].fill(7);
        self.set_codes(&literals, &[5; 32])
    }

    /// Reads the codes of a block that brings its own (RFC 1951, 3.2.7).
    fn read_codes(&mut self, reader: &mut BitReader, bytes: &[u8]) -> Option<()> {
        let literals = reader.take(5) as usize + 257;
        let distances = reader.take(5) as usize + 1;
        let count = reader.take(4) as usize + 4;
        if literals > MOST_LITERALS || distances > MOST_DISTANCES {
            return None;
        }
        let lengths_code = read_lengths_code(reader, bytes, count)?;
        let total = literals + distances;
        let mut lengths = [0; MOST_LITERALS + MOST_DISTANCES];
        let mut filled = 0;
        while filled < total {
            reader.refill(bytes)?;
            let (bits, symbol) = lengths_code[reader.window as usize % lengths_code.len()];
            if bits == 0 {
                return None;
            }
            reader.take(u32::from(bits));
            let (value, repeat) = match symbol {
                0..=15 => (symbol, 1),
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
        (lengths[256] != 0).then_some(())?;
        self.set_codes(&lengths[..literals], &lengths[literals..total])?;
        reader.refill(bytes)
    }

    fn set_codes(&mut self, literals: &[u8], distances: &[u8]) -> Option<()> {
        let (merged, distance_steps) = self.steps.split_first_chunk_mut::<ENTRIES>()?;
        let distance_steps = distance_steps.first_chunk_mut::<ENTRIES>()?;
        code::build(
            Alphabet::Distance,
            distances,
            distance_steps,
            &mut self.long_distances,
        )?;
        code::build(
            Alphabet::LiteralOrLength,
            literals,
            &mut self.single,
            &mut self.long_literals,
        )?;
        code::merge(merged, &self.single, distance_steps);
        Some(())
    }
}

/// Returns the position after a stored block whose length follows `position` at the next whole byte.
fn skip_stored(bytes: &[u8], position: u64) -> Option<u64> {
    let start = usize::try_from(position.div_ceil(8)).ok()?;
    let [low, high, not_low, not_high] = *bytes.get(start..)?.first_chunk::<4>()?;
    let length = u16::from_le_bytes([low, high]);
    (length == !u16::from_le_bytes([not_low, not_high])).then_some(())?;
    Some((start as u64 + 4 + u64::from(length)) * 8)
}

/// Reads the code that the code lengths are written in, as a table from 7 bits to (bits, symbol).
fn read_lengths_code(
    reader: &mut BitReader,
    bytes: &[u8],
    count: usize,
) -> Option<[(u8, u8); 128]> {
    let mut lengths = [0_u8; LENGTH_ORDER.len()];
    for &symbol in LENGTH_ORDER.get(..count)? {
        reader.refill(bytes)?;
        lengths[symbol] = reader.take(3) as u8;
    }
    let mut table = [(0, 0); 128];
    let mut word = 0_usize;
    for length in 1..=7_u8 {
        word <<= 1;
        for (symbol, _) in lengths
            .iter()
            .enumerate()
            .filter(|&(_, &each)| each == length)
        {
            if word >= 1 << length {
                return None;
            }
            let mut index = (word as u16).reverse_bits() as usize >> (16 - length);
            while index < table.len() {
                table[index] = (length, symbol as u8);
                index += 1 << length;
            }
            word += 1;
        }
    }
    (word == 1 << 7).then_some(table)
}

const _: () = assert!(2 * (INDEX_BITS + 13) <= 56, "two steps must fit a refill");
