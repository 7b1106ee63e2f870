//! Where blobs can be read from.

use std::future::ready;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use imgcore::{Descriptor, Digest};

use crate::{BlobStream, Error, Result, UnverifiedStream};

/// What a source knows of a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// It does not have it.
    Absent,
    /// It has it.
    Present {
        /// The size of the blob in bytes.
        size: u64,
    },
    /// It cannot say without trying [`BlobSource::open`].
    Unknown,
}

/// A place that blobs can be read from.
///
/// # Contract
///
/// * No method trusts a path, URL or name that came with the data: a blob is found by its [`Digest`] alone.
/// * Dropping a future or a stream cancels what it was doing and leaves the source usable.
/// * Wrappers implement every method: a defaulted one would quietly lose what the inner source can do.
/// * The conformance suite of this crate checks the rest.
///
/// Local media should implement [`LocalSource`](crate::LocalSource) instead, and get this trait with it.
pub trait BlobSource: Send + Sync {
    /// Says for each digest, in order, whether the source has the blob. One call for many: sources answer in batches.
    ///
    /// # Errors
    ///
    /// Only when the source as a whole cannot answer; a blob that it lacks is [`Presence::Absent`].
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Presence>>>;

    /// Opens a whole blob. The stream checks size and digest by itself.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the source lacks the blob.
    fn open<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream>>;

    /// Opens a part of a blob. Nobody checks the bytes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) when the source lacks the blob, and
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the range is reversed or passes the
    /// descriptor's size.
    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<UnverifiedStream>>;

    /// Returns where the blob's file is, when it is a file of this machine: a hint, so that files need not be copied.
    /// The file's bytes are as unchecked as any.
    fn local_path(&self, digest: &Digest) -> Option<PathBuf>;
}

/// What callers do with a [`BlobSource`]. Implemented for every source; do not implement it.
pub trait BlobSourceExt: BlobSource {
    /// Reads a small blob (a document) into memory.
    ///
    /// A descriptor that carries its content in `data` is answered from there, after the same checks.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) when the descriptor announces more than `limit` bytes, and
    /// those of [`BlobSource::open`] and of its stream.
    fn read_all<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        limit: u64,
    ) -> BoxFuture<'a, Result<Bytes>> {
        if descriptor.size > limit {
            let text = format!(
                "{} announces {} bytes, {limit} are allowed",
                descriptor.digest, descriptor.size
            );
            return Box::pin(ready(Err(Error::too_large(text))));
        }
        Box::pin(async move {
            let stream = match &descriptor.data {
                Some(data) => BlobStream::of_bytes(descriptor, Bytes::copy_from_slice(data)),
                None => self.open(descriptor).await?,
            };
            collect(stream).await
        })
    }

    /// Says whether the source has one blob.
    ///
    /// # Errors
    ///
    /// Those of [`BlobSource::stat`].
    fn stat_one<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<Presence>> {
        Box::pin(async move {
            let answers = self.stat(std::slice::from_ref(digest)).await?;
            Ok(answers.first().copied().unwrap_or(Presence::Unknown))
        })
    }
}

impl<S: BlobSource + ?Sized> BlobSourceExt for S {}

async fn collect(mut stream: BlobStream) -> Result<Bytes> {
    // Grows with what comes, not with what was announced.
    let mut bytes = BytesMut::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
    }
    Ok(bytes.freeze())
}

impl<S: BlobSource + ?Sized> BlobSource for Arc<S> {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Presence>>> {
        (**self).stat(digests)
    }

    fn open<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream>> {
        (**self).open(descriptor)
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<UnverifiedStream>> {
        (**self).open_range(descriptor, range)
    }

    fn local_path(&self, digest: &Digest) -> Option<PathBuf> {
        (**self).local_path(digest)
    }
}
