//! Counting requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use imgregistry::{Event, Observer};

/// How many requests of each method went out, those for tokens included.
#[derive(Debug, Default)]
pub(super) struct Requests(Mutex<BTreeMap<String, u64>>);

impl Requests {
    pub(super) fn by_method(&self) -> BTreeMap<String, u64> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Observer for Requests {
    fn observe(&self, event: &Event) {
        if let Event::Request { method, .. } = event {
            let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match counts.get_mut(method.as_str()) {
                Some(count) => *count += 1,
                None => drop(counts.insert(method.to_string(), 1)),
            }
        }
    }
}
