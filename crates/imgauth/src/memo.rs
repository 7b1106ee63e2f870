//! Remembers what helpers said, for a while, and lets one ask for all.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// How many answers are kept before those whose time is over are dropped.
const ENOUGH: usize = 256;

/// Answers by question.
///
/// While one caller looks for an answer, others with the same question wait for it.
pub(crate) struct Memo<K, V> {
    entries: Mutex<HashMap<K, Slot<V>>>,
}

/// One answer, with the time until which it holds; `None` before the first one.
type Slot<V> = Arc<Mutex<Option<(V, SystemTime)>>>;

impl<K: Hash + Eq, V: Clone> Memo<K, V> {
    /// Returns the answer that holds now and until when, or asks for it: `ask` says until when its answer holds.
    pub(crate) fn get_or_ask(
        &self,
        key: K,
        now: SystemTime,
        ask: impl FnOnce() -> (V, SystemTime),
    ) -> (V, SystemTime) {
        let slot = self.slot(key, now);
        let mut entry = lock(&slot);
        if let Some((value, until)) = &*entry
            && now < *until
        {
            return (value.clone(), *until);
        }
        let answer = ask();
        *entry = Some(answer.clone());
        answer
    }

    /// Forgets the answers to the questions that are `meant`.
    pub(crate) fn forget(&self, meant: impl Fn(&K) -> bool) {
        lock(&self.entries).retain(|key, _| !meant(key));
    }

    fn slot(&self, key: K, now: SystemTime) -> Slot<V> {
        let mut entries = lock(&self.entries);
        if entries.len() >= ENOUGH {
            entries.retain(|_, slot| {
                // Whoever holds the slot is asking: it stays.
                slot.try_lock()
                    .is_ok_and(|entry| entry.as_ref().is_some_and(|(_, until)| now < *until))
                    || Arc::strong_count(slot) > 1
            });
        }
        Arc::clone(entries.entry(key).or_default())
    }
}

impl<K, V> Default for Memo<K, V> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
        }
    }
}

impl<K, V> fmt::Debug for Memo<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = lock(&self.entries).len();
        f.debug_struct("Memo").field("entries", &count).finish()
    }
}

/// A thread that panicked while it asked left no half of an answer.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn answer_holds_until_its_time_is_over() {
        let memo = Memo::default();
        let ask = |key, now, value, until| memo.get_or_ask(key, at(now), || (value, at(until)));
        assert_eq!(ask("key", 0, 1, 10), (1, at(10)));
        assert_eq!(ask("key", 9, 2, 20), (1, at(10)));
        assert_eq!(ask("key", 10, 3, 20), (3, at(20)));
        assert_eq!(ask("other", 10, 4, 20), (4, at(20)));
    }

    #[test]
    fn answer_that_is_forgotten_is_asked_for_again() {
        let memo = Memo::default();
        memo.get_or_ask("key", at(0), || (1, at(10)));
        memo.get_or_ask("other", at(0), || (2, at(10)));
        memo.forget(|key| *key == "key");
        assert_eq!(memo.get_or_ask("key", at(0), || (3, at(10))).0, 3);
        assert_eq!(memo.get_or_ask("other", at(0), || (4, at(10))).0, 2);
    }

    #[test]
    fn one_asks_for_all() {
        let memo = Memo::default();
        let asked = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    memo.get_or_ask("key", at(0), || {
                        (asked.fetch_add(1, Ordering::Relaxed), at(1))
                    })
                });
            }
        });
        assert_eq!(asked.into_inner(), 1);
    }

    #[test]
    fn answers_whose_time_is_over_do_not_pile_up() {
        let memo = Memo::default();
        for key in 0..10_000 {
            memo.get_or_ask(key, at(key), || (key, at(key + 1)));
        }
        assert!(lock(&memo.entries).len() <= ENOUGH);
    }
}
