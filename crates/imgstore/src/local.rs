//! Synchronous reading, for stores whose bytes are on this machine.

use std::future::ready;
use std::io::{self, Read};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::stream;
use imgcore::digest::VerifyingReader;
use imgcore::{Descriptor, Digest};

use crate::{BlobSource, BlobStream, CHUNK, Error, ErrorKind, Presence, Result, UnverifiedStream};

/// Bytes as a local store has them: not checked.
pub type RawReader = Box<dyn Read + Send>;

/// A whole blob that reports its end only after size and digest proved right.
///
/// A failed check is an [`io::Error`] that [`Error::from_io`] turns into one with the right kind.
pub type VerifiedReader = VerifyingReader<RawReader>;

/// A store whose bytes can be read without waiting for anybody: a directory, a file, memory.
///
/// Implement these methods and the store is a [`BlobSource`] as well. As one, it reads inside of `poll`: a
/// program with a runtime should poll it where blocking is allowed.
pub trait LocalSource: Send + Sync {
    /// Returns the size of the blob as it lies in the store, or `None` when it is not there.
    ///
    /// # Errors
    ///
    /// When the store cannot tell.
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>>;

    /// Opens the bytes of a blob from `offset` to its end, unchecked, or returns `None` when it is not there.
    ///
    /// Callers want [`LocalSourceExt::open_blocking`].
    ///
    /// # Errors
    ///
    /// When the bytes are there and cannot be opened.
    fn open_raw(&self, digest: &Digest, offset: u64) -> Result<Option<RawReader>>;

    /// Returns the file that holds exactly the bytes of the blob, when there is one.
    fn path_of(&self, digest: &Digest) -> Option<PathBuf>;

    /// Names the store in error messages.
    fn place(&self) -> String;
}

/// What callers do with a [`LocalSource`]. Implemented for every one; do not implement it.
pub trait LocalSourceExt: LocalSource {
    /// Opens a whole blob. The reader checks size and digest by itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the store lacks the blob.
    fn open_blocking(&self, descriptor: &Descriptor) -> Result<VerifiedReader> {
        let raw = self.open_or_fail(&descriptor.digest, 0)?;
        let (digest, size) = (descriptor.digest, descriptor.size);
        Ok(VerifyingReader::new(raw, digest, size))
    }

    /// Opens a part of a blob. Nobody checks the bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the store lacks the blob, [`ErrorKind::InvalidInput`] when the range is reversed
    /// or passes the descriptor's size. A blob that is shorter than the range fails while it is read.
    fn open_range_blocking(&self, descriptor: &Descriptor, range: Range<u64>) -> Result<RawReader> {
        check_range(descriptor, &range)?;
        let raw = self.open_or_fail(&descriptor.digest, range.start)?;
        Ok(Box::new(ExactReader {
            inner: raw,
            left: range.end - range.start,
        }))
    }

    /// Reads a small blob (a document) into memory.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] when the descriptor announces more than `limit` bytes, and those of
    /// [`open_blocking`](Self::open_blocking) and its reader.
    fn read_all_blocking(&self, descriptor: &Descriptor, limit: u64) -> Result<Vec<u8>> {
        if descriptor.size > limit {
            let text = format!(
                "{} announces {} bytes, {limit} are allowed",
                descriptor.digest, descriptor.size
            );
            return Err(Error::too_large(text));
        }
        let mut bytes = Vec::new();
        self.open_blocking(descriptor)?
            .read_to_end(&mut bytes)
            .map_err(|error| self.reading(&descriptor.digest, error))?;
        Ok(bytes)
    }

    #[doc(hidden)]
    fn open_or_fail(&self, digest: &Digest, offset: u64) -> Result<RawReader> {
        self.open_raw(digest, offset)?
            .ok_or_else(|| Error::not_found(digest, self.place()))
    }

    #[doc(hidden)]
    fn reading(&self, digest: &Digest, error: io::Error) -> Error {
        Error::from_io(format!("reading {digest} of {}", self.place()), error)
    }
}

impl<S: LocalSource + ?Sized> LocalSourceExt for S {}

impl<S: LocalSource> BlobSource for S {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Presence>>> {
        let answer = |digest| {
            Ok(match self.size_of(digest)? {
                None => Presence::Absent,
                Some(size) => Presence::Present { size },
            })
        };
        Box::pin(ready(digests.iter().map(answer).collect()))
    }

    fn open<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream>> {
        let what = format!("reading {} of {}", descriptor.digest, self.place());
        let opened = self
            .open_or_fail(&descriptor.digest, 0)
            .map(|raw| BlobStream::verify(descriptor, chunks(raw, what)));
        Box::pin(ready(opened))
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<UnverifiedStream>> {
        let what = format!("reading {} of {}", descriptor.digest, self.place());
        let opened = self
            .open_range_blocking(descriptor, range)
            .map(|raw| UnverifiedStream::new(chunks(raw, what)));
        Box::pin(ready(opened))
    }

    fn local_path(&self, digest: &Digest) -> Option<PathBuf> {
        self.path_of(digest)
    }
}

/// Refuses ranges that no blob of the descriptor's size has.
pub(crate) fn check_range(descriptor: &Descriptor, range: &Range<u64>) -> Result<()> {
    if range.start <= range.end && range.end <= descriptor.size {
        return Ok(());
    }
    let text = format!(
        "{} has {} bytes, and no bytes {} to {}",
        descriptor.digest, descriptor.size, range.start, range.end
    );
    Err(Error::new(ErrorKind::InvalidInput, text))
}

/// Turns a reader into a stream of chunks. Their buffers are used again as soon as nobody holds them.
pub(crate) fn chunks(
    reader: RawReader,
    what: String,
) -> impl Stream<Item = Result<Bytes>> + Send + 'static {
    let state = Some((reader, Buffers::default()));
    stream::unfold((state, what), |(state, what)| async move {
        let (mut reader, buffers) = state?;
        match read_chunk(&mut reader, &buffers) {
            Ok(None) => None,
            Ok(Some(chunk)) => Some((Ok(chunk), (Some((reader, buffers)), what))),
            Err(error) => Some((Err(Error::from_io(&*what, error)), (None, what))),
        }
    })
}

fn read_chunk(reader: &mut RawReader, buffers: &Buffers) -> io::Result<Option<Bytes>> {
    let mut chunk = buffers.chunk();
    chunk.length = loop {
        match reader.read(&mut chunk.buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => break other?,
        }
    };
    Ok((chunk.length > 0).then(|| Bytes::from_owner(chunk)))
}

/// Buffers that nobody holds: a fresh one for each chunk would have to be zeroed, and its pages be found anew.
#[derive(Clone, Default)]
struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    fn chunk(&self) -> Chunk {
        let free = self.lock().pop();
        Chunk {
            buffer: free.unwrap_or_else(|| vec![0; CHUNK]),
            length: 0,
            buffers: self.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A buffer whose first bytes are content.
struct Chunk {
    buffer: Vec<u8>,
    length: usize,
    buffers: Buffers,
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.length]
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.buffers.lock().push(buffer);
    }
}

/// Gives exactly the announced number of bytes, or an error.
struct ExactReader {
    inner: RawReader,
    left: u64,
}

impl Read for ExactReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = usize::try_from(self.left).map_or(buffer.len(), |left| left.min(buffer.len()));
        if room == 0 {
            return Ok(0);
        }
        let count = self.inner.read(&mut buffer[..room])?;
        if count == 0 {
            let text = format!("{} bytes are missing", self.left);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
        }
        self.left -= count as u64;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[test]
    fn a_buffer_is_used_again_only_when_nobody_holds_its_chunk() {
        let content: Vec<u8> = (0..=250).cycle().take(4 * CHUNK).collect();
        let reader: RawReader = Box::new(io::Cursor::new(content.clone()));
        let mut stream = Box::pin(chunks(reader, "reading a test".to_owned()));
        let mut next = || crate::blocking::block_on(stream.next()).unwrap().unwrap();
        let (first, second) = (next(), next());
        assert_eq!([&first[..], &second[..]].concat(), content[..2 * CHUNK]);
        let (place, held) = (second.as_ptr(), first.clone());
        drop((first, second));
        let third = next();
        assert_eq!(third.as_ptr(), place);
        assert_eq!(third, content[2 * CHUNK..3 * CHUNK]);
        assert_eq!(held, content[..CHUNK]);
    }
}
