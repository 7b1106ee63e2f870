//! A blob on its way into the store of a pull.

use std::sync::Arc;

use bytes::Bytes;
use imgcore::Descriptor;
use imgstore::{Begin, Ingest};

use super::Store;
use crate::transfer::Target;

/// A blob on its way into a store.
pub(super) struct StoreTarget<'a> {
    store: &'a dyn Store,
    descriptor: &'a Descriptor,
    ingest: Option<Ingest>,
}

impl<'a> StoreTarget<'a> {
    /// Starts a blob; `None` if the store has it meanwhile.
    pub(super) async fn new(
        store: &'a Arc<dyn Store>,
        descriptor: &'a Descriptor,
    ) -> imgstore::Result<Option<Self>> {
        Ok(match store.writer(descriptor).await? {
            Begin::AlreadyExists => None,
            Begin::Writer(ingest) => Some(Self {
                store: &**store,
                descriptor,
                ingest: Some(ingest),
            }),
        })
    }
}

impl Target for StoreTarget<'_> {
    fn offset(&self) -> u64 {
        self.ingest
            .as_ref()
            .map_or(self.descriptor.size, Ingest::offset)
    }

    async fn write(&mut self, bytes: Bytes) -> imgstore::Result<()> {
        match &mut self.ingest {
            Some(ingest) => ingest.write(bytes).await,
            None => Ok(()),
        }
    }

    async fn restart(&mut self) -> imgstore::Result<()> {
        self.ingest = match self.store.writer(self.descriptor).await? {
            Begin::AlreadyExists => None,
            Begin::Writer(ingest) => Some(ingest),
        };
        Ok(())
    }

    async fn finish(&mut self) -> imgstore::Result<()> {
        match self.ingest.take() {
            Some(ingest) => ingest.commit().await,
            None => Ok(()),
        }
    }
}
