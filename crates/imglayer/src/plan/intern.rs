//! Metadata, each kept once.

use std::collections::HashMap;
use std::sync::Arc;

use crate::metadata::{Metadata, MetadataPatch};

/// Gives equal metadata equal numbers.
#[derive(Debug, Default)]
pub(super) struct MetadataTable {
    list: Vec<Arc<Metadata>>,
    numbers: HashMap<Arc<Metadata>, u32>,
    /// What was asked for last; most entries say the same as the one before them.
    last: u32,
}

impl MetadataTable {
    pub(super) fn number(&mut self, metadata: Metadata) -> u32 {
        let last = self.list.get(self.last as usize);
        if last.is_none_or(|last| **last != metadata) {
            self.last = self.look_up(metadata);
        }
        self.last
    }

    fn look_up(&mut self, metadata: Metadata) -> u32 {
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

    /// Returns the number of the metadata with this number after changes.
    pub(super) fn changed(&mut self, number: u32, changes: &MetadataPatch) -> u32 {
        let mut metadata = Metadata::clone(&self.list[number as usize]);
        changes.apply(&mut metadata);
        self.number(metadata)
    }

    pub(super) fn into_list(self) -> Vec<Arc<Metadata>> {
        self.list
    }
}
