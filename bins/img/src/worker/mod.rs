//! The persistent worker: one process that runs a command for many requests of a Bazel build.
//!
//! Requests come as JSON objects on standard input, one after the other or (multiplexed) many at
//! once; responses leave as lines on standard output, in the order of completion. Nothing else is
//! written there. Words that stood on the start command line stand in front of every request's
//! arguments.

mod protocol;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io::{self, BufReader, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use imglayer::encode::{EncodeOptions, Threads};

use crate::cli::{Subcommand, expand_argument_file};
use crate::context::Context;
use crate::report::{Failure, Report};

use protocol::{Request, Response};

/// Whether a word asks for a worker.
pub(crate) fn is_start_flag(word: &OsStr) -> bool {
    matches!(
        word.to_str(),
        Some("--persistent_worker" | "-persistent_worker" | "--persistent_worker=true")
    )
}

/// Answers requests until standard input ends.
///
/// # Errors
///
/// Fails if the start command line or a request cannot be read.
pub(crate) fn run(
    subcommand: &Subcommand,
    words: Vec<OsString>,
    context: &Context,
) -> Result<(), Failure> {
    let words = expand_argument_file(words, context)?;
    let (flags, start_arguments): (Vec<_>, Vec<_>) = words
        .into_iter()
        .partition(|word| is_start_flag(word) || is_cheat_flag(word));
    let worker = Worker {
        subcommand,
        start_arguments,
        trusts_input_digests: flags.iter().any(|word| is_cheat_flag(word)),
        running: Mutex::default(),
        threads: Threads::new(EncodeOptions::default().threads),
    };
    worker.serve()
}

fn is_cheat_flag(word: &OsStr) -> bool {
    matches!(
        word.to_str(),
        Some("--cheat-mode" | "-cheat-mode" | "--cheat-mode=true")
    )
}

struct Worker<'a> {
    subcommand: &'a Subcommand,
    start_arguments: Vec<OsString>,
    /// Whether the digests that Bazel sends along are used instead of reading the files.
    trusts_input_digests: bool,
    /// The cancellation flags of the requests that are not answered yet.
    running: Mutex<HashMap<i64, Arc<AtomicBool>>>,
    /// What encodes the layers of all requests.
    threads: Threads,
}

/// A request before its members are looked at: an array is none.
type Object = serde_json::Map<String, serde_json::Value>;

struct Job {
    request: Request,
    cancelled: Arc<AtomicBool>,
}

impl Worker<'_> {
    fn serve(&self) -> Result<(), Failure> {
        let (sender, receiver) = mpsc::channel();
        let receiver = Mutex::new(receiver);
        // With one thread, a request that waits for something would hold up all others.
        let threads = thread::available_parallelism()
            .map_or(1, usize::from)
            .max(2);
        thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| self.answer_jobs(&receiver));
            }
            let result = self.read_requests(&sender);
            // Without a sender the threads finish what was asked, and end.
            drop(sender);
            result
        })
    }

    /// Hands requests to the threads until standard input ends.
    fn read_requests(&self, jobs: &mpsc::Sender<Job>) -> Result<(), Failure> {
        let stdin = BufReader::new(io::stdin().lock());
        for request in serde_json::Deserializer::from_reader(stdin).into_iter::<Object>() {
            let request = request
                .and_then(|object| serde_json::from_value::<Request>(object.into()))
                .map_err(|error| Failure::new("bad request to the worker").because(error))?;
            if request.cancel {
                if let Some(cancelled) = lock(&self.running).get(&request.number) {
                    cancelled.store(true, Ordering::Relaxed);
                }
                continue;
            }
            let cancelled = Arc::<AtomicBool>::default();
            lock(&self.running).insert(request.number, Arc::clone(&cancelled));
            if jobs.send(Job { request, cancelled }).is_err() {
                break;
            }
        }
        Ok(())
    }

    fn answer_jobs(&self, jobs: &Mutex<mpsc::Receiver<Job>>) {
        loop {
            let job = lock(jobs).recv();
            let Ok(job) = job else { return };
            let response = self.answer(job);
            write_response(&response);
        }
    }

    fn answer(&self, job: Job) -> Response {
        let Job { request, cancelled } = job;
        let (exit_code, output) = if cancelled.load(Ordering::Relaxed) {
            (0, String::new())
        } else {
            self.execute(&request, &cancelled)
        };
        let mut running = lock(&self.running);
        // A later request may have taken the number over.
        if running
            .get(&request.number)
            .is_some_and(|current| Arc::ptr_eq(current, &cancelled))
        {
            running.remove(&request.number);
        }
        Response {
            exit_code,
            output,
            request_id: request.number,
            was_cancelled: cancelled.load(Ordering::Relaxed),
        }
    }

    fn execute(&self, request: &Request, cancelled: &Arc<AtomicBool>) -> (u8, String) {
        let directory =
            (!request.sandbox_dir.is_empty()).then(|| PathBuf::from(&request.sandbox_dir));
        let mut context = Context::new(Report::captured())
            .with_directory(directory)
            .with_cancellation(Arc::clone(cancelled))
            .with_threads(self.threads.clone());
        if request.verbosity > 0 {
            context.report.set_verbose();
        }
        if self.trusts_input_digests {
            context = context.with_input_digests(request.input_digests());
        }
        let mut arguments = self.start_arguments.clone();
        arguments.extend(request.arguments.iter().map(OsString::from));
        let run = AssertUnwindSafe(|| self.subcommand.execute(arguments, &context));
        let result = catch_unwind(run).unwrap_or_else(|_| {
            Err(Failure::new(
                "bug: the command panicked; see the worker's log",
            ))
        });
        let code = match result {
            Ok(()) => 0,
            Err(failure) => {
                context.report.failure(&failure);
                failure.code()
            }
        };
        (code, context.report.into_captured())
    }
}

fn write_response(response: &Response) {
    let Ok(mut line) = serde_json::to_vec(response) else {
        return;
    };
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    // If Bazel has gone, standard input ends as well, and that ends the process.
    let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
