//! The async traits for programs without a runtime: everything happens on the calling thread.
//!
//! ```
//! use std::io::Read;
//! use imgcore::{Descriptor, MediaType};
//! use imgstore::{BlobSource, MemoryStore, blocking};
//!
//! let store = MemoryStore::new();
//! store.insert("hello");
//! let descriptor = Descriptor::of(MediaType::OCI_EMPTY, b"hello");
//!
//! let mut text = String::new();
//! blocking::open(&store, &descriptor)?.read_to_string(&mut text)?;
//! assert_eq!(text, "hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io::{self, Read};

use bytes::{Buf, Bytes};
use futures_core::Stream;
use futures_util::StreamExt;
use imgcore::{Descriptor, Digest};

use crate::{
    BlobSink, BlobSource, BlobSourceExt, BlobStream, Copied, Presence, Result, copy as copy_async,
};

/// Runs a future to its end on this thread.
///
/// Sources that need a runtime (registries, the remote cache) bring their own and may be waited for here as well.
pub fn block_on<F: Future>(future: F) -> F::Output {
    pollster::block_on(future)
}

/// Says for each digest, in order, whether the source has the blob.
///
/// # Errors
///
/// Those of [`BlobSource::stat`].
pub fn stat(source: &(impl BlobSource + ?Sized), digests: &[Digest]) -> Result<Vec<Presence>> {
    block_on(source.stat(digests))
}

/// Opens a whole blob as a reader that checks size and digest by itself.
///
/// # Errors
///
/// Those of [`BlobSource::open`].
pub fn open(source: &(impl BlobSource + ?Sized), descriptor: &Descriptor) -> Result<BlobReader> {
    block_on(source.open(descriptor)).map(BlobReader::new)
}

/// Reads a small blob (a document) into memory.
///
/// # Errors
///
/// Those of [`BlobSourceExt::read_all`].
pub fn read_all(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
    limit: u64,
) -> Result<Bytes> {
    block_on(source.read_all(descriptor, limit))
}

/// Copies one blob, unless the sink has it.
///
/// # Errors
///
/// Those of [`copy()`](crate::copy()).
pub fn copy(
    source: &(impl BlobSource + ?Sized),
    sink: &(impl BlobSink + ?Sized),
    descriptor: &Descriptor,
) -> Result<Copied> {
    block_on(copy_async(source, sink, descriptor))
}

/// Reads a stream of chunks on this thread.
///
/// After an error every further read fails: a stream that failed ends, and that must not look like its good end.
#[derive(Debug)]
pub struct BlobReader<S = BlobStream> {
    stream: S,
    chunk: Bytes,
    has_failed: bool,
}

impl<S: Stream<Item = Result<Bytes>> + Unpin> BlobReader<S> {
    /// Wraps a stream.
    pub fn new(stream: S) -> Self {
        Self {
            stream,
            chunk: Bytes::new(),
            has_failed: false,
        }
    }
}

impl<S: Stream<Item = Result<Bytes>> + Unpin> Read for BlobReader<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.has_failed {
            return Err(io::Error::other("reading this blob has already failed"));
        }
        while self.chunk.is_empty() {
            match block_on(self.stream.next()) {
                None => return Ok(0),
                Some(Ok(chunk)) => self.chunk = chunk,
                Some(Err(error)) => {
                    self.has_failed = true;
                    return Err(error.into());
                }
            }
        }
        let count = self.chunk.len().min(buffer.len());
        self.chunk.copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;

    use super::*;
    use crate::MemoryStore;

    #[test]
    fn a_second_read_after_an_error_is_no_good_end() {
        let store = MemoryStore::new();
        let descriptor = Descriptor::of(MediaType::OCI_EMPTY, b"hello");
        store.insert_unchecked(descriptor.digest, "hellp");
        let mut reader = open(&store, &descriptor).unwrap();
        assert!(io::copy(&mut reader, &mut io::sink()).is_err());
        let error = reader.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.to_string(), "reading this blob has already failed");
    }
}
