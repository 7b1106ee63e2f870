//! What a command may know of its surroundings, and the only door to them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use imglayer::encode::Threads;

use crate::report::{Failure, Report};

/// The surroundings of one run of a command: of the process, or of one request to a worker.
///
/// Every path that a person or a build wrote goes through [`path`](Self::path): a worker's request
/// may stand in a directory of its own.
#[derive(Debug)]
pub(crate) struct Context {
    /// Where messages go.
    pub(crate) report: Report,
    directory: Option<PathBuf>,
    is_insecure: AtomicBool,
    cancelled: Arc<AtomicBool>,
    input_digests: BTreeMap<PathBuf, String>,
    threads: Option<Threads>,
}

impl Context {
    /// The surroundings of a process.
    pub(crate) fn of_process() -> Self {
        Self::new(Report::to_terminal())
    }

    pub(crate) fn new(report: Report) -> Self {
        Self {
            report,
            directory: None,
            is_insecure: AtomicBool::new(false),
            cancelled: Arc::default(),
            input_digests: BTreeMap::new(),
            threads: None,
        }
    }

    /// Lets the registries that the command names go without TLS.
    pub(crate) fn set_insecure(&self) {
        self.is_insecure.store(true, Ordering::Relaxed);
    }

    /// Returns whether the registries that the command names may go without TLS.
    pub(crate) fn is_insecure(&self) -> bool {
        self.is_insecure.load(Ordering::Relaxed)
    }

    /// Sets the directory that relative paths start at.
    #[must_use]
    pub(crate) fn with_directory(mut self, directory: Option<PathBuf>) -> Self {
        self.directory = directory;
        self
    }

    /// Sets the flag by which the caller says that nobody waits for the result any more.
    #[must_use]
    pub(crate) fn with_cancellation(mut self, cancelled: Arc<AtomicBool>) -> Self {
        self.cancelled = cancelled;
        self
    }

    /// Sets SHA-256 digests, in hexadecimal, that the caller vouches for, by path as written.
    #[must_use]
    pub(crate) fn with_input_digests(mut self, digests: BTreeMap<PathBuf, String>) -> Self {
        self.input_digests = digests;
        self
    }

    /// Sets the threads that encode layers here and elsewhere.
    #[must_use]
    pub(crate) fn with_threads(mut self, threads: Threads) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Returns the threads that encode layers, if they are shared with other requests.
    pub(crate) fn threads(&self) -> Option<&Threads> {
        self.threads.as_ref()
    }

    /// Finds the file that a written path names.
    pub(crate) fn path(&self, path: impl AsRef<Path>) -> PathBuf {
        match &self.directory {
            Some(directory) => directory.join(path),
            None => path.as_ref().to_path_buf(),
        }
    }

    /// Returns the digest that the caller vouches for, if there is one.
    pub(crate) fn input_digest(&self, path: &Path) -> Option<&str> {
        self.input_digests.get(path).map(String::as_str)
    }

    /// Fails if nobody waits for the result any more. Called before outputs become visible.
    ///
    /// # Errors
    ///
    /// Fails if the request was cancelled.
    pub(crate) fn check_not_cancelled(&self) -> Result<(), Failure> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Failure::new("cancelled"));
        }
        Ok(())
    }
}
