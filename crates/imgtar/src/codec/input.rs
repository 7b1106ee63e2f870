//! A fixed buffer between the compressed input and the codecs.

use std::io::{self, Read};

use crate::error::{Error, ErrorKind};

/// Compressed bytes that were read and not yet used.
#[derive(Debug)]
pub(super) struct Input<R> {
    reader: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    /// Bytes used so far.
    offset: u64,
}

impl<R: Read> Input<R> {
    const CAPACITY: usize = 64 * 1024;

    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            buffer: vec![0; Self::CAPACITY].into_boxed_slice(),
            start: 0,
            end: 0,
            offset: 0,
        }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns unused bytes, reading more if there are none; empty at the end of the input.
    pub(super) fn available(&mut self) -> Result<&[u8], Error> {
        self.peek(1)
    }

    /// Returns at least `wanted` unused bytes (up to the capacity), fewer at the end of the input.
    pub(super) fn peek(&mut self, wanted: usize) -> Result<&[u8], Error> {
        while self.end - self.start < wanted {
            if self.start > 0 {
                self.buffer.copy_within(self.start..self.end, 0);
                self.end -= self.start;
                self.start = 0;
            }
            match self.reader.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Error::from_io(error, || {
                        format!("reading compressed input at offset {}", self.offset)
                    }));
                }
            }
        }
        Ok(&self.buffer[self.start..self.end])
    }

    pub(super) fn consume(&mut self, used: usize) {
        self.start += used;
        self.offset += used as u64;
    }

    /// Takes `N` bytes; an error says `within` what the input ended.
    pub(super) fn take<const N: usize>(&mut self, within: &str) -> Result<[u8; N], Error> {
        match self.peek(N)?.first_chunk().copied() {
            Some(bytes) => {
                self.consume(N);
                Ok(bytes)
            }
            None => Err(self.truncated(within)),
        }
    }

    /// Passes over `count` bytes.
    pub(super) fn skip(&mut self, mut count: u64, within: &str) -> Result<(), Error> {
        while count > 0 {
            let available = self.available()?.len();
            if available == 0 {
                return Err(self.truncated(within));
            }
            let used = available.min(usize::try_from(count).unwrap_or(available));
            self.consume(used);
            count -= used as u64;
        }
        Ok(())
    }

    pub(super) fn truncated(&self, within: &str) -> Error {
        let end = self.offset + (self.end - self.start) as u64;
        Error::new(
            ErrorKind::Truncated,
            format!("the input ends at offset {end} within {within}"),
        )
    }

    pub(super) fn malformed(&self, text: &str) -> Error {
        Error::new(
            ErrorKind::Malformed,
            format!("{text}, at offset {}", self.offset),
        )
    }
}
