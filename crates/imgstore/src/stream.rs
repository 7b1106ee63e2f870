//! Streams of blob bytes: whole and verified, or partial and marked so.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use imgcore::{Descriptor, Digest, Hasher};

use crate::{Error, Result};

/// The largest chunk that the streams of this crate's own stores give, in bytes.
pub const CHUNK: usize = 64 * 1024;

/// The bytes of a whole blob, which end only after size and digest proved right.
///
/// The only way to make one is [`BlobStream::verify`], so no source can forget to check. A stream that fails gives its
/// error once and then ends; bytes that came before the error must be thrown away.
pub struct BlobStream {
    inner: BoxStream<'static, Result<Bytes>>,
    expected: Digest,
    size: u64,
    seen: u64,
    /// `None` once the end was verified or an error was reported.
    hasher: Option<Hasher>,
    /// A chunk that was already checked, see [`BlobStream::prime`].
    primed: Option<Bytes>,
}

impl BlobStream {
    /// Checks `inner` against the size and digest of `descriptor` while it passes through.
    pub fn verify(
        descriptor: &Descriptor,
        inner: impl Stream<Item = Result<Bytes>> + Send + 'static,
    ) -> Self {
        Self {
            inner: inner.boxed(),
            expected: descriptor.digest,
            size: descriptor.size,
            seen: 0,
            hasher: Some(Hasher::new(descriptor.digest.algorithm())),
            primed: None,
        }
    }

    /// Checks bytes that are in memory.
    pub fn of_bytes(descriptor: &Descriptor, bytes: Bytes) -> Self {
        Self::verify(descriptor, stream::iter([Ok(bytes)]))
    }

    /// Returns the digest that the bytes are checked against.
    pub fn digest(&self) -> Digest {
        self.expected
    }

    /// Returns the size that the bytes are checked against.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Waits for the first chunk (or the verified end) and keeps it, so that a caller with a second source at hand
    /// learns now whether this one works.
    ///
    /// # Errors
    ///
    /// The first error of the stream.
    pub async fn prime(&mut self) -> Result<()> {
        if self.primed.is_none() {
            self.primed = self.next().await.transpose()?;
        }
        Ok(())
    }

    /// Gives up the check, for a consumer that checks size and digest by itself: once is enough.
    pub fn into_unverified(self) -> UnverifiedStream {
        let primed = stream::iter(self.primed.map(Ok));
        match self.hasher {
            Some(_) => UnverifiedStream::new(primed.chain(self.inner)),
            // It has ended, or it failed and its error was told.
            None => UnverifiedStream::new(primed),
        }
    }

    fn check(&mut self, chunk: Option<Result<Bytes>>) -> Option<Result<Bytes>> {
        let mut hasher = self.hasher.take()?;
        match chunk {
            Some(Ok(bytes)) => {
                self.seen = self.seen.saturating_add(bytes.len() as u64);
                if self.seen > self.size {
                    let error = Error::size_mismatch(&self.expected, self.size, self.seen);
                    return Some(Err(error));
                }
                hasher.update(&bytes);
                self.hasher = Some(hasher);
                Some(Ok(bytes))
            }
            Some(Err(error)) => Some(Err(error)),
            None if self.seen != self.size => {
                let error = Error::size_mismatch(&self.expected, self.size, self.seen);
                Some(Err(error))
            }
            None => {
                let actual = hasher.finish();
                (actual != self.expected)
                    .then(|| Err(Error::digest_mismatch(self.expected, actual)))
            }
        }
    }
}

impl Stream for BlobStream {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(bytes) = this.primed.take() {
            return Poll::Ready(Some(Ok(bytes)));
        }
        if this.hasher.is_none() {
            return Poll::Ready(None);
        }
        let chunk = ready!(this.inner.poll_next_unpin(context));
        Poll::Ready(this.check(chunk))
    }
}

impl fmt::Debug for BlobStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobStream")
            .field("digest", &self.expected)
            .field("size", &self.size)
            .field("seen", &self.seen)
            .finish_non_exhaustive()
    }
}

/// Bytes of a part of a blob: nobody has checked them, and nobody can before the whole blob was read.
///
/// It is for formats that check parts by themselves (tables of contents, block digests) and for resumed transfers.
pub struct UnverifiedStream(BoxStream<'static, Result<Bytes>>);

impl UnverifiedStream {
    /// Marks a stream. It may be polled after its end.
    pub fn new(inner: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self(inner.fuse().boxed())
    }
}

impl Stream for UnverifiedStream {
    type Item = Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.get_mut().0.poll_next_unpin(context)
    }
}

impl fmt::Debug for UnverifiedStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedStream")
    }
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;

    use super::*;
    use crate::ErrorKind;
    use crate::blocking::block_on;

    fn collected(stream: UnverifiedStream) -> Vec<Result<Bytes>> {
        block_on(stream.collect())
    }

    #[test]
    fn what_was_primed_is_not_lost_when_the_check_is_given_up() {
        let hello = Descriptor::of(MediaType::OCI_EMPTY, b"hello");
        let parts = ["hel", "lp"].map(|part| Ok(Bytes::from(part)));
        let mut stream = BlobStream::verify(&hello, stream::iter(parts));
        block_on(stream.prime()).unwrap();
        let chunks = collected(stream.into_unverified());
        let chunks: Vec<Bytes> = chunks.into_iter().map(Result::unwrap).collect();
        assert_eq!(chunks, ["hel", "lp"], "nobody checks them");
    }

    #[test]
    fn after_an_error_nothing_follows() {
        let hello = Descriptor::of(MediaType::OCI_EMPTY, b"hello");
        let error = Error::new(ErrorKind::Io, "reset");
        let parts = [Err(error), Ok(Bytes::from("hello"))];
        let mut stream = BlobStream::verify(&hello, stream::iter(parts));
        block_on(stream.next()).unwrap().unwrap_err();
        assert!(collected(stream.into_unverified()).is_empty());
    }
}
