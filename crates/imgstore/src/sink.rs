//! Where blobs can be written to.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use imgcore::{Descriptor, Digest, Hasher};

use crate::{Error, ErrorKind, Result};

/// A place that blobs can be written to.
///
/// # Contract
///
/// * Nothing of a blob can be seen before its [`Ingest`] was committed, and nothing at all after it was dropped.
/// * Two writers of one blob do not disturb each other: both may commit, and the blob is there once.
/// * The conformance suite of this crate checks the rest.
pub trait BlobSink: Send + Sync {
    /// Starts a blob, unless the sink has it.
    ///
    /// # Errors
    ///
    /// Whatever keeps the sink from taking the blob.
    fn writer<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<Begin>>;
}

impl<S: BlobSink + ?Sized> BlobSink for Arc<S> {
    fn writer<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<Begin>> {
        (**self).writer(descriptor)
    }
}

/// How a sink answers the wish to write a blob.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle both answers")]
#[expect(clippy::large_enum_variant, reason = "it is moved once a blob")]
pub enum Begin {
    /// The sink has the blob: there is nothing to write.
    AlreadyExists,
    /// The sink waits for the bytes.
    Writer(Ingest),
}

/// What a sink implements for one blob on its way in. Callers see it as an [`Ingest`], which does the checking.
pub trait BlobWrite: Send {
    /// Takes the next bytes.
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>>;

    /// Makes the blob visible. Called after size and digest proved right.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>>;
}

/// A blob on its way into a sink: invisible until [`commit`](Self::commit), gone when dropped.
pub struct Ingest {
    inner: Box<dyn BlobWrite>,
    expected: Digest,
    size: u64,
    offset: u64,
    /// `None` when the sink already had the first bytes, which then only the sink can check.
    hasher: Option<Hasher>,
}

impl Ingest {
    /// Starts an empty blob that will be checked against the size and digest of `descriptor`.
    pub fn new(descriptor: &Descriptor, inner: Box<dyn BlobWrite>) -> Self {
        Self {
            inner,
            expected: descriptor.digest,
            size: descriptor.size,
            offset: 0,
            hasher: Some(Hasher::new(descriptor.digest.algorithm())),
        }
    }

    /// Goes on with a blob of which the sink already has `offset` bytes. The sink checks the digest itself on commit.
    pub fn resume(descriptor: &Descriptor, offset: u64, inner: Box<dyn BlobWrite>) -> Self {
        Self {
            inner,
            expected: descriptor.digest,
            size: descriptor.size,
            offset,
            hasher: None,
        }
    }

    /// Returns how many bytes the sink has: where the next ones belong.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Appends bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SizeMismatch`] as soon as there are more bytes than announced, and those of the sink.
    pub async fn write(&mut self, bytes: Bytes) -> Result<()> {
        let offset = self.offset.saturating_add(bytes.len() as u64);
        if offset > self.size {
            return Err(Error::size_mismatch(&self.expected, self.size, offset));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&bytes);
        }
        self.inner.write(bytes).await?;
        self.offset = offset;
        Ok(())
    }

    /// Checks size and digest and makes the blob visible.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::SizeMismatch`] or [`ErrorKind::DigestMismatch`], and those of the sink. The blob is then not
    /// visible.
    pub async fn commit(self) -> Result<()> {
        if self.offset != self.size {
            let error = Error::size_mismatch(&self.expected, self.size, self.offset);
            return Err(error);
        }
        if let Some(actual) = self.hasher.map(Hasher::finish)
            && actual != self.expected
        {
            return Err(Error::digest_mismatch(self.expected, actual));
        }
        self.inner.commit().await
    }
}

impl fmt::Debug for Ingest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ingest")
            .field("digest", &self.expected)
            .field("size", &self.size)
            .field("offset", &self.offset)
            .finish_non_exhaustive()
    }
}

impl Begin {
    /// Returns the writer of a blob that must be new.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the sink already has it.
    pub fn into_writer(self) -> Result<Ingest> {
        match self {
            Self::Writer(ingest) => Ok(ingest),
            Self::AlreadyExists => Err(Error::new(
                ErrorKind::InvalidInput,
                "the sink already has this blob",
            )),
        }
    }
}
