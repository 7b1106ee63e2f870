//! Readers that hash what passes through them.

use std::io::{self, Read};

use super::{Digest, Hasher};
use crate::{Error, ErrorKind};

/// Counts and hashes what is read through it.
#[derive(Debug)]
pub struct HashingReader<R> {
    inner: R,
    hasher: Hasher,
    size: u64,
}

impl<R: Read> HashingReader<R> {
    /// Wraps a reader; hashes with SHA-256.
    pub fn new(inner: R) -> Self {
        Self {
            inner,
            hasher: Hasher::default(),
            size: 0,
        }
    }

    /// Returns the digest and the number of the bytes read so far, and the reader.
    pub fn finish(self) -> (Digest, u64, R) {
        (self.hasher.finish(), self.size, self.inner)
    }
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.size += count as u64;
        Ok(count)
    }
}

/// Reports the end of its input only after size and digest proved right, so nothing behind it can forget to check.
///
/// It never reads more than one byte past the expected size. After a failed check every further read fails as well: no
/// second try ends like a good one.
///
/// # Errors
///
/// Reading fails with [`io::ErrorKind::InvalidData`], and an [`Error`] of kind
/// [`SizeMismatch`](crate::ErrorKind::SizeMismatch) or [`DigestMismatch`](crate::ErrorKind::DigestMismatch) inside.
#[derive(Debug)]
pub struct VerifyingReader<R> {
    inner: R,
    state: State,
    expected: Digest,
    size: u64,
    seen: u64,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is moved once a blob")]
enum State {
    Failed,
    Reading(Hasher),
    Verified,
}

impl<R: Read> VerifyingReader<R> {
    /// Wraps a reader that must give exactly `size` bytes of digest `expected`.
    pub fn new(inner: R, expected: Digest, size: u64) -> Self {
        Self {
            inner,
            state: State::Reading(Hasher::new(expected.algorithm())),
            expected,
            size,
            seen: 0,
        }
    }

    fn verify_end(&mut self) -> io::Result<()> {
        let State::Reading(hasher) = std::mem::replace(&mut self.state, State::Failed) else {
            return Ok(());
        };
        if self.seen != self.size {
            return Err(invalid(Error::size_mismatch(
                self.expected,
                self.size,
                self.seen,
            )));
        }
        let actual = hasher.finish();
        if actual != self.expected {
            return Err(invalid(Error::digest_mismatch(self.expected, actual)));
        }
        self.state = State::Verified;
        Ok(())
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let hasher = match &mut self.state {
            State::Reading(hasher) => hasher,
            State::Verified => return Ok(0),
            State::Failed => return Err(invalid(already_failed(&self.expected))),
        };
        let left = usize::try_from(self.size - self.seen).unwrap_or(usize::MAX);
        let room = buffer.len().min(left.saturating_add(1));
        let count = self.inner.read(&mut buffer[..room])?;
        if count > left {
            self.state = State::Failed;
            return Err(invalid(Error::size_mismatch(
                self.expected,
                self.size,
                self.seen + count as u64,
            )));
        }
        hasher.update(&buffer[..count]);
        self.seen += count as u64;
        if count == 0 {
            self.verify_end()?;
        }
        Ok(count)
    }
}

fn already_failed(expected: &Digest) -> Error {
    let text = format!("reading {expected} has already failed");
    Error::new(ErrorKind::InvalidInput, text)
}

fn invalid(error: Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8], expected: Digest, size: u64) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        VerifyingReader::new(bytes, expected, size).read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn right_bytes_pass() {
        assert_eq!(
            read(b"hello", Digest::sha256_of(b"hello"), 5).unwrap(),
            b"hello"
        );
        assert_eq!(read(b"", Digest::sha256_of(b""), 0).unwrap(), b"");
    }

    #[test]
    fn truncated_extended_and_flipped_bytes_fail() {
        let digest = Digest::sha256_of(b"hello");
        for bytes in [&b"hell"[..], b"hello!", b"hellp", b""] {
            assert_eq!(
                read(bytes, digest, 5).unwrap_err().kind(),
                io::ErrorKind::InvalidData
            );
        }
    }

    #[test]
    fn a_second_read_after_a_failed_check_is_no_good_end() {
        let digest = Digest::sha256_of(b"hello");
        for bytes in [&b"hell"[..], b"hello!", b"hellp"] {
            let mut reader = VerifyingReader::new(bytes, digest, 5);
            assert!(io::copy(&mut reader, &mut io::sink()).is_err());
            let error = reader.read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            assert!(error.to_string().ends_with("has already failed"), "{error}");
        }
        let mut reader = VerifyingReader::new(&b"hello"[..], digest, 5);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.read(&mut [0; 8]).unwrap(), 0);
    }
}
