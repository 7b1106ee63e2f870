//! Asking the host about many things at once.

use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// More threads than this wait for each other in the kernel.
const MOST_THREADS: usize = 4;
/// How many items a thread takes at a time.
const STRIDE: usize = 8;

/// Returns what `ask` says of each item, in the order of the items.
///
/// So many items as `share` are worth a thread; fewer than two shares are left to the calling one.
pub(super) fn map<T: Sync, R: Send>(
    items: &[T],
    share: usize,
    ask: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let threads = (items.len() / share).min(MOST_THREADS);
    if threads < 2 {
        return items.iter().map(ask).collect();
    }
    map_with(threads.min(cpus()), items, ask)
}

fn map_with<T: Sync, R: Send>(threads: usize, items: &[T], ask: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let answer_some = || {
        let mut answers = Vec::new();
        loop {
            let start = next.fetch_add(STRIDE, Ordering::Relaxed);
            let Some(rest) = items.get(start..).filter(|rest| !rest.is_empty()) else {
                return answers;
            };
            let stride = &rest[..rest.len().min(STRIDE)];
            answers.push((start, stride.iter().map(&ask).collect::<Vec<R>>()));
        }
    };
    let mut answers = thread::scope(|scope| {
        let helpers: Vec<_> = (1..threads)
            .map_while(|_| {
                let helper = thread::Builder::new().name("imglayer-plan".to_owned());
                // A machine that is short of threads gets by with this one.
                helper.spawn_scoped(scope, answer_some).ok()
            })
            .collect();
        let mut answers = answer_some();
        for helper in helpers {
            match helper.join() {
                Ok(more) => answers.extend(more),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        answers
    });
    answers.sort_unstable_by_key(|(start, _)| *start);
    answers.into_iter().flat_map(|(_, some)| some).collect()
}

/// Returns how many threads run at once. To find out takes several files of the host, so it is done once.
fn cpus() -> usize {
    static CPUS: OnceLock<usize> = OnceLock::new();
    *CPUS.get_or_init(|| thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_in_the_order_of_the_items() {
        for count in [0, 1, 7, 8, 9, 63, 64, 65, 1000] {
            let items: Vec<usize> = (0..count).collect();
            let expected: Vec<String> = items.iter().map(ToString::to_string).collect();
            assert_eq!(map(&items, 4, ToString::to_string), expected, "{count}");
            for threads in [1, 2, 5] {
                let answers = map_with(threads, &items, ToString::to_string);
                assert_eq!(answers, expected, "{count} with {threads}");
            }
        }
    }

    #[test]
    fn few_items_are_asked_about_on_the_calling_thread() {
        let here = thread::current().id();
        let threads = map(&[0; 19], 10, |_| thread::current().id());
        assert!(threads.iter().all(|thread| *thread == here));
    }
}
