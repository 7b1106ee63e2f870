//! Blobs in memory.

use std::collections::HashMap;
use std::future::ready;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use futures_core::future::BoxFuture;
use imgcore::{Descriptor, Digest};

use crate::{Begin, BlobSink, BlobWrite, Ingest, LocalSource, RawReader, Result};

/// A store that keeps its blobs in memory: for documents and tests.
///
/// Clones share the blobs.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore(Arc<Mutex<HashMap<Digest, Bytes>>>);

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts a blob in, and returns its SHA-256 digest.
    pub fn insert(&self, bytes: impl Into<Bytes>) -> Digest {
        let bytes = bytes.into();
        let digest = Digest::sha256_of(&bytes);
        self.blobs().insert(digest, bytes);
        digest
    }

    /// Puts bytes in under a digest that nobody checks: for tests of what reads them.
    pub fn insert_unchecked(&self, digest: Digest, bytes: impl Into<Bytes>) {
        self.blobs().insert(digest, bytes.into());
    }

    /// Returns the bytes of a blob.
    pub fn get(&self, digest: &Digest) -> Option<Bytes> {
        self.blobs().get(digest).cloned()
    }

    /// Removes a blob, and returns whether it was there.
    pub fn remove(&self, digest: &Digest) -> bool {
        self.blobs().remove(digest).is_some()
    }

    /// Returns how many blobs there are.
    pub fn len(&self) -> usize {
        self.blobs().len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.blobs().is_empty()
    }

    fn blobs(&self) -> MutexGuard<'_, HashMap<Digest, Bytes>> {
        // The map is whole after every statement, so a panic elsewhere cannot have left it half-changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LocalSource for MemoryStore {
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.get(digest).map(|bytes| bytes.len() as u64))
    }

    fn open_raw(&self, digest: &Digest, offset: u64) -> Result<Option<RawReader>> {
        Ok(self.get(digest).map(|bytes| {
            let mut cursor = Cursor::new(bytes);
            cursor.set_position(offset);
            Box::new(cursor) as RawReader
        }))
    }

    fn path_of(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }

    fn place(&self) -> String {
        "memory".to_owned()
    }
}

impl BlobSink for MemoryStore {
    fn writer<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<Begin>> {
        let begin = match self.get(&descriptor.digest) {
            Some(_) => Begin::AlreadyExists,
            None => Begin::Writer(Ingest::new(
                descriptor,
                Box::new(MemoryWrite {
                    store: self.clone(),
                    digest: descriptor.digest,
                    bytes: BytesMut::new(),
                }),
            )),
        };
        Box::pin(ready(Ok(begin)))
    }
}

struct MemoryWrite {
    store: MemoryStore,
    digest: Digest,
    bytes: BytesMut,
}

impl BlobWrite for MemoryWrite {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        self.bytes.extend_from_slice(&bytes);
        Box::pin(ready(Ok(())))
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        self.store
            .insert_unchecked(self.digest, self.bytes.freeze());
        Box::pin(ready(Ok(())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance;

    #[test]
    fn a_removed_blob_is_gone() {
        let store = MemoryStore::new();
        let digest = store.insert("hello");
        assert!(store.remove(&digest));
        assert!(!store.remove(&digest));
        assert!(store.is_empty());
    }

    #[test]
    fn it_conforms() {
        conformance::all(MemoryStore::new);
        let store = MemoryStore::new();
        conformance::damage_is_found(&store, |digest, bytes| {
            store.insert_unchecked(*digest, bytes.to_vec());
        });
    }
}
