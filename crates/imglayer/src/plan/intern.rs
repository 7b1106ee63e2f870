//! Metadata, each kept once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::metadata::Metadata;

/// Gives equal metadata equal numbers.
#[derive(Debug, Default)]
pub(super) struct MetadataTable {
    list: Vec<Arc<Metadata>>,
    numbers: HashMap<Arc<Metadata>, u32>,
}

impl MetadataTable {
    pub(super) fn number(&mut self, metadata: Metadata) -> u32 {
        if let Some(number) = self.numbers.get(&metadata) {
            return *number;
        }
        let number = u32::try_from(self.list.len())
            .expect("because each is in memory, and 2^32 of them do not fit there");
        let metadata = Arc::new(metadata);
        self.list.push(Arc::clone(&metadata));
        self.numbers.insert(metadata, number);
        number
    }

    pub(super) fn get(&self, number: u32) -> &Metadata {
        &self.list[number as usize]
    }

    pub(super) fn into_list(self) -> Vec<Arc<Metadata>> {
        self.list
    }
}
