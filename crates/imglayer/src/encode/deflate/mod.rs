//! Deflate streams that can be put one after the other.
//!
//! A compressor that takes whole buffers ends every stream with a block that is marked as the last one, at whatever
//! bit it happens to end. To go on after it, that mark must go, and where it stands only the stream itself tells.
//! [`Joint`] finds it in a small part of the time of inflating: no byte is written, and most symbols are not even read
//! (see [`walk`]). Searching for the mark from the end would be wrong where stored data holds a deflate stream, and
//! looking into the compressor's memory would tie this to one version of it.

#![expect(
    clippy::cast_possible_truncation,
    reason = "symbols, bit counts and code words are small by the format"
)]
#![expect(
    clippy::inline_always,
    reason = "measured: the inner loops are part of the time of making every layer"
)]

mod bits;
mod code;
mod header;
mod places;
mod search;
#[cfg(test)]
mod tests;
mod walk;

use walk::{LastBlock, Walker};

/// How many bytes must follow a stream in its buffer, so that reading it never has to look for the end.
pub(super) const PADDING: usize = 32;

/// How many bytes [`Joint::open_end`] adds at most.
pub(super) const JOINT_SIZE: usize = 5;

/// An empty block of fixed codes, marked as the last: it ends a stream that was left open.
pub(super) const FINAL_BLOCK: [u8; 2] = [3, 0];

/// Turns finished deflate streams into ones that go on at a byte boundary.
#[derive(Debug)]
pub(super) struct Joint {
    walker: Walker,
}

impl Joint {
    pub(super) fn new() -> Self {
        Self {
            walker: Walker::new(),
        }
    }

    /// Leaves the end of the stream in the first `length` bytes of `buffer` open, and returns its new length.
    ///
    /// The last block is no longer marked as such, and an empty stored block follows it up to a whole byte. Behind
    /// the stream `buffer` has at least [`PADDING`] bytes, which are overwritten. `None` when the bytes are no whole
    /// deflate stream; the buffer is as it was then, but for the padding.
    pub(super) fn open_end(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        buffer
            .get_mut(length..length.checked_add(PADDING)?)?
            .fill(0);
        let LastBlock { header, end } = self.walker.find_last_block(buffer, length)?;
        buffer[usize::try_from(header / 8).ok()?] &= !(1 << (header % 8));
        // The header of a stored block is three zero bits; zeros up to a whole byte follow.
        let last_byte = usize::try_from(end / 8).ok()?;
        buffer[last_byte] &= (1_u8 << (end % 8)) - 1;
        let start = usize::try_from((end + 3).div_ceil(8)).ok()?;
        buffer[last_byte + 1..start.max(last_byte + 1)].fill(0);
        // No bytes, and that once more with every bit flipped.
        buffer[start..start + 4].copy_from_slice(&[0, 0, 0xff, 0xff]);
        Some(start + 4)
    }
}
