//! The stitcher by itself, for those who measure it.

use std::fmt;

use super::deflate::Joint;

/// Opens the ends of deflate streams. Outside of all promises: it is public for this project's own bench.
pub struct Stitcher(Joint);

impl Stitcher {
    /// Makes a stitcher.
    #[expect(clippy::new_without_default, reason = "nobody but the bench makes one")]
    pub fn new() -> Self {
        Self(Joint::new())
    }

    /// Opens the end of the stream in the first `length` bytes, which 32 more must follow. Returns its new length.
    pub fn open_end(&mut self, buffer: &mut [u8], length: usize) -> Option<usize> {
        self.0.open_end(buffer, length)
    }
}

impl fmt::Debug for Stitcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stitcher").finish_non_exhaustive()
    }
}
