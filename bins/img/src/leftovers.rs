//! Temporary files and directories, which are removed when a signal ends the program, too.
//!
//! Values that remove what they own when they are dropped are not dropped then.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

static WATCHED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

/// A temporary path that a signal removes, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    path: PathBuf,
}

/// Removes the file or directory at `path` if a signal ends the program.
pub(crate) fn watch(path: &Path) -> Watched {
    remove_on_signals();
    let path = path.to_owned();
    with_watched(|watched| watched.insert(path.clone()));
    Watched { path }
}

impl Drop for Watched {
    fn drop(&mut self) {
        with_watched(|watched| watched.remove(&self.path));
    }
}

fn with_watched<T>(change: impl FnOnce(&mut BTreeSet<PathBuf>) -> T) -> T {
    change(&mut WATCHED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Starts, once, the thread that waits for signals.
#[cfg(unix)]
fn remove_on_signals() {
    use signal_hook::consts::{SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    static STARTED: std::sync::Once = std::sync::Once::new();
    STARTED.call_once(|| {
        // Without it the program works as well, and only leaves more behind.
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else {
            return;
        };
        std::thread::spawn(move || {
            if let Some(signal) = signals.forever().next() {
                with_watched(|watched| watched.iter().for_each(|path| remove(path)));
                // So that the parent sees a program that a signal ended.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
                signal_hook::low_level::exit(128 + signal);
            }
        });
    });
}

#[cfg(not(unix))]
fn remove_on_signals() {}

/// Removes what is at a path, as far as that is possible.
#[cfg(unix)]
fn remove(path: &Path) {
    // Another thread may write into a directory meanwhile.
    for _ in 0..5 {
        let removed = if path.is_dir() {
            fs_err::remove_dir_all(path)
        } else {
            fs_err::remove_file(path)
        };
        if removed.is_ok() || !path.exists() {
            return;
        }
    }
}
