//! Finds the way through a deflate stream (RFC 1951) from block to block, without writing what they stand for.
//!
//! Where a block ends, only its symbols tell: the word that stands for the end may also begin inside other words, so
//! that nothing but reading all symbols in turn seems to lead there. But codes bring readers back into step: whoever
//! begins to read at a wrong bit soon meets, by chance, a bit at which a word does begin, and is right from there
//! on. So the walk to an end is made short:
//!
//! 1. Search the bits of the end's word, at whatever position they stand ([`Search`]).
//! 2. Pass over those that nothing valid follows: were it the end, then the stream would not be whole.
//! 3. Of the others, begin to read a little ahead, at *every* bit where a word may begin ([`Places`]). As soon as all
//!    these readers have met, the one that is left is where the symbols really lead. It comes by, or it does not.
//! 4. Where they do not meet, read all symbols from the last position that is certain.
//!
//! For a stream that can be inflated the outcome is certain, not probable, whatever its content looks like. About
//! other bytes nothing is promised but that looking at them ends.

use super::PADDING;
use super::bits::BitReader;
use super::header::{self, Codes, Form, Kind};
use super::places::Places;
use super::search::{self, Search};

/// Where the last block of a stream begins and ends, in bits from the start of the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastBlock {
    /// The position of the bit that says that the block is the last.
    pub(super) header: u64,
    /// The position after the last bit of the stream.
    pub(super) end: u64,
}

/// How many bits ahead of a place to begin, at first and when that did not suffice. Measured: half and twice as much
/// take as long; without the second one, contents that hardly shrink take longer.
const LEADS: [u64; 2] = [512, LONGEST_LEAD];
const LONGEST_LEAD: u64 = 8192;
/// How many places are looked at in a block before the rest of it is read, so that no block takes long.
const MOST_TRIES: u32 = 64;

/// Finds last blocks; its tables are kept and reused from stream to stream.
#[derive(Debug)]
pub(super) struct Walker {
    codes: Codes,
}

/// What is certain about a block before its end is found.
struct Certain {
    /// A symbol begins here.
    position: u64,
    /// The leads that are worth trying.
    leads: &'static [u64],
}

impl Walker {
    pub(super) fn new() -> Self {
        Self {
            codes: Codes::new(),
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
            let kind = Kind::read(&mut reader)?;
            let end = match kind.form {
                Form::Stored => header::skip_stored(bytes, reader.position())?,
                Form::Fixed => {
                    self.codes.set_fixed()?;
                    self.read_to_end(bytes, reader.position())?
                }
                Form::Dynamic => {
                    self.codes.read(&mut reader, bytes)?;
                    self.find_end(bytes, reader.position(), stream_end, kind.is_last)?
                }
            };
            if kind.is_last {
                return (end <= stream_end).then_some(LastBlock { header, end });
            }
            header = end;
        }
        None
    }

    /// Returns the position after a block whose symbols begin at `start`.
    fn find_end(&self, bytes: &[u8], start: u64, stream_end: u64, is_last: bool) -> Option<u64> {
        let word = self.codes.literals.end();
        // Short words stand everywhere; but the blocks that have them are short as well.
        if word.bits < search::SHORTEST {
            return self.read_to_end(bytes, start);
        }
        let mut certain = Certain {
            position: start,
            leads: &LEADS,
        };
        let mut search = Search::new(bytes, start, stream_end, word)?;
        for _ in 0..MOST_TRIES {
            let (place, end) = loop {
                let place = search.next_position()?;
                let end = place + u64::from(word.bits);
                if is_last || header::may_begin(bytes, end) {
                    break (place, end);
                }
            };
            if self.comes_by(bytes, place, &mut certain)? {
                return Some(end);
            }
        }
        self.read_to_end(bytes, certain.position)
    }

    /// Whether a symbol begins at `place`; the block does not end before.
    fn comes_by(&self, bytes: &[u8], place: u64, certain: &mut Certain) -> Option<bool> {
        for &lead in certain.leads {
            if place <= certain.position.saturating_add(lead) {
                break;
            }
            let mut places = Places::all_from(&self.codes, bytes, place - lead)?;
            places.narrow_down(&self.codes, bytes, place)?;
            if let Some(only) = places.only() {
                certain.position = only;
                break;
            }
            if !places.begin_with(place) {
                return Some(false);
            }
            if lead == LONGEST_LEAD {
                // Words of nearly the same length: it would be no better next time.
                certain.leads = &[];
            }
        }
        certain.position = self.read_to(bytes, certain.position, place)?;
        Some(certain.position == place)
    }

    /// Reads symbols until one begins at or after `target`, and returns where that is.
    fn read_to(&self, bytes: &[u8], position: u64, target: u64) -> Option<u64> {
        let mut reader = BitReader::at(bytes, position)?;
        while reader.position() + 64 < target {
            reader.refill(bytes)?;
            self.codes.literals.skip_literals(&mut reader);
            reader.refill(bytes)?;
            reader.take(self.codes.look_up(reader.window)?);
        }
        while reader.position() < target {
            reader.refill(bytes)?;
            reader.take(self.codes.look_up(reader.window)?);
        }
        Some(reader.position())
    }

    /// Reads symbols to the end of the block, and returns the position after it.
    fn read_to_end(&self, bytes: &[u8], position: u64) -> Option<u64> {
        let mut reader = BitReader::at(bytes, position)?;
        loop {
            reader.refill(bytes)?;
            self.codes.literals.skip_literals(&mut reader);
            reader.refill(bytes)?;
            if let Some(bits) = self.codes.look_up(reader.window) {
                reader.take(bits);
                continue;
            }
            let step = self.codes.literals.look_up(reader.window);
            reader.take(step.bits());
            return step.is_end().then_some(reader.position());
        }
    }
}
