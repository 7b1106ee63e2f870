//! Reads bits, least significant first, from a buffer that is longer than the stream in it.

/// Returns at least 57 of the bits from a position on, the first one lowest; `None` near the end of the buffer.
#[inline(always)]
pub(super) fn peek(bytes: &[u8], position: u64) -> Option<u64> {
    Some(word_at(bytes, usize::try_from(position / 8).ok()?)? >> (position % 8))
}

/// Returns 64 bits from a byte on.
#[inline(always)]
pub(super) fn word_at(bytes: &[u8], start: usize) -> Option<u64> {
    Some(u64::from_le_bytes(*bytes.get(start..)?.first_chunk()?))
}

/// How many bits there are at least after a refill.
pub(super) const REFILLED: u32 = 56;

/// A position in a stream and up to 63 of the bits that follow it.
///
/// After [`refill`](Self::refill) there are at least [`REFILLED`] bits; the reader does not check that more are taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct BitReader {
    /// The next bits, the first one lowest. Bits above `count` are those that the next refill brings again.
    pub(super) window: u64,
    /// How many bits of `window` count.
    count: u32,
    /// The byte that the next refill starts at.
    next: usize,
}

impl BitReader {
    /// Starts at a bit of `bytes`, and refills.
    pub(super) fn at(bytes: &[u8], bit: u64) -> Option<Self> {
        let mut reader = Self {
            window: 0,
            count: 0,
            next: usize::try_from(bit / 8).ok()?,
        };
        reader.refill(bytes)?;
        reader.take((bit % 8) as u32);
        Some(reader)
    }

    /// Fills the window up to at least 56 bits; `None` at the end of the buffer.
    #[inline(always)]
    pub(super) fn refill(&mut self, bytes: &[u8]) -> Option<()> {
        // The masks tell the compiler what the callers keep to: `count` is below 64.
        self.window |= word_at(bytes, self.next)? << (self.count & 63);
        self.next += 7 - ((self.count as usize >> 3) & 7);
        self.count = (self.count & 63) | 0x38;
        Some(())
    }

    /// Takes up to 56 bits off the window.
    #[inline(always)]
    pub(super) fn take(&mut self, count: u32) -> u32 {
        let value = self.window & ((1 << count) - 1);
        self.window >>= count;
        self.count -= count;
        value as u32
    }

    /// Returns the position, in bits from the start of the buffer.
    #[inline(always)]
    pub(super) fn position(&self) -> u64 {
        self.next as u64 * 8 - u64::from(self.count & 63)
    }
}

#[cfg(test)]
mod tests {
    use super::super::PADDING;
    use super::*;

    #[test]
    fn bits_come_lowest_first_and_positions_count_them() {
        let mut bytes = vec![0b1010_0110, 0xff];
        bytes.resize(2 + PADDING, 0);
        let mut reader = BitReader::at(&bytes, 1).unwrap();
        assert_eq!(reader.take(2), 0b11);
        assert_eq!(reader.take(5), 0b10100);
        assert_eq!(reader.position(), 8);
        assert_eq!(reader.take(9), 0xff);
        reader.refill(&bytes).unwrap();
        assert_eq!(reader.position(), 17);
        assert_eq!(peek(&bytes, 5), Some(0b111_1111_1101));
    }

    #[test]
    fn a_buffer_that_ends_gives_none() {
        assert!(BitReader::at(&[0; 7], 0).is_none());
        assert!(BitReader::at(&[0; 8], 8).is_none());
        assert_eq!(peek(&[0; 8], 7), Some(0));
        assert_eq!(peek(&[0; 8], 8), None);
        assert_eq!(peek(&[0; 8], u64::MAX), None);
    }
}
