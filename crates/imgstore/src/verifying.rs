//! A source of which even parts of blobs are checked.

use std::ops::Range;
use std::path::PathBuf;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use imgcore::{Descriptor, Digest};

use crate::local::check_range;
use crate::{BlobSource, BlobStream, Presence, Result, UnverifiedStream};

/// Closes the two ways by which unchecked bytes leave a source: ranges and files.
///
/// A whole blob is checked by every source. Through this wrapper a range is, too: all of the blob is read and hashed,
/// and the range's last byte is followed by an error when the blob is wrong. [`local_path`](BlobSource::local_path) is
/// never given, as nobody could check what is read from it.
#[derive(Clone, Debug)]
pub struct Verifying<S>(S);

impl<S: BlobSource> Verifying<S> {
    /// Wraps a source.
    pub fn new(inner: S) -> Self {
        Self(inner)
    }

    /// Returns the source.
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<S: BlobSource> BlobSource for Verifying<S> {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Presence>>> {
        self.0.stat(digests)
    }

    fn open<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream>> {
        self.0.open(descriptor)
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<UnverifiedStream>> {
        Box::pin(async move {
            check_range(descriptor, &range)?;
            let whole = self.0.open(descriptor).await?;
            let mut position = 0;
            Ok(UnverifiedStream::new(whole.filter_map(move |chunk| {
                let kept = chunk.map(|bytes| {
                    let start = position;
                    position += bytes.len() as u64;
                    overlap(&bytes, start, &range)
                });
                let kept = match kept {
                    Ok(bytes) if bytes.is_empty() => None,
                    other => Some(other),
                };
                std::future::ready(kept)
            })))
        })
    }

    fn local_path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}

/// Returns what of `bytes`, which start at `start` of the blob, lies in the range.
fn overlap(bytes: &Bytes, start: u64, range: &Range<u64>) -> Bytes {
    let within = |position: u64| {
        let offset = position.saturating_sub(start).min(bytes.len() as u64);
        usize::try_from(offset).unwrap_or(bytes.len())
    };
    let (from, to) = (within(range.start), within(range.end));
    bytes.slice(from..to.max(from))
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;

    use super::*;
    use crate::{ErrorKind, MemoryStore, blocking, conformance};

    #[test]
    fn it_conforms() {
        let bytes: Vec<u8> = (0..=255).cycle().take(3 * crate::CHUNK + 1).collect();
        let store = MemoryStore::new();
        store.insert(bytes.clone());
        conformance::source(&Verifying::new(store), &bytes);
    }

    #[test]
    fn a_range_of_a_damaged_blob_ends_in_an_error() {
        let store = MemoryStore::new();
        let descriptor = Descriptor::of(MediaType::OCI_EMPTY, b"hello");
        store.insert_unchecked(descriptor.digest, "hellp");
        let verifying = Verifying::new(store);
        let chunks = blocking::block_on(async {
            let stream = verifying.open_range(&descriptor, 0..2).await.unwrap();
            stream.collect::<Vec<_>>().await
        });
        assert_eq!(chunks[0].as_ref().unwrap(), "he");
        let kind = chunks[1].as_ref().unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::DigestMismatch { .. }), "{kind:?}");
    }
}
