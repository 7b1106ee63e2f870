//! Runs a helper program: found without a shell, fed through standard input, bounded in time and output.

use std::ffi::OsStr;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::{Environment, Error, ErrorKind, Result};

/// How long a helper may take and how much it may say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    pub(crate) timeout: Duration,
    pub(crate) output: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            // Some helpers ask a person to unlock a keyring.
            timeout: Duration::from_secs(60),
            // A hundred times the largest tokens there are.
            output: 1 << 20,
        }
    }
}

/// What a program that ended said.
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Zeroizing<Vec<u8>>,
}

/// Finds a program by its name, in the directories of `PATH` alone: never in the current directory, where a checkout
/// could have put it.
pub(crate) fn find(name: &str, environment: &Environment) -> Result<PathBuf> {
    let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
    let directories = environment.value("PATH").unwrap_or_default();
    std::env::split_paths(directories)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(&file))
        .find(|path| crate::sys::is_program(path))
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "there is no such program in PATH"))
}

/// Runs `program get` with `input` on its standard input.
///
/// What the program writes to standard error is dropped: helpers print requests and answers there when they are asked to
/// explain themselves, tokens included.
pub(crate) fn get(
    program: &Path,
    input: &[u8],
    environment: &Environment,
    bounds: Bounds,
) -> Result<Output> {
    let deadline = Instant::now() + bounds.timeout;
    let mut command = Command::new(program);
    command
        .arg("get")
        .env_clear()
        .envs(environment.iter())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut running = Running(start(&mut command, deadline)?);
    feed(&mut running.0, input)?;
    let output = listen(&mut running.0, bounds.output)?;
    let stdout = match output.recv_timeout(remaining(deadline)) {
        Ok(stdout) => stdout?,
        Err(RecvTimeoutError::Timeout) => return Err(timed_out(bounds)),
        Err(RecvTimeoutError::Disconnected) => {
            return Err(Error::new(ErrorKind::Io, "its output was lost"));
        }
    };
    match running.end_before(deadline)? {
        Some(status) => Ok(Output { status, stdout }),
        None => Err(timed_out(bounds)),
    }
}

fn remaining(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}

fn timed_out(bounds: Bounds) -> Error {
    let message = format!("it did not answer within {:?}", bounds.timeout);
    Error::new(ErrorKind::TimedOut, message)
}

/// A started program, which does not outlive its interest.
struct Running(Child);

impl Running {
    /// Waits for the end, which comes soon after that of the output in all programs but hostile ones.
    fn end_before(&mut self, deadline: Instant) -> Result<Option<ExitStatus>> {
        let mut pause = Duration::from_millis(1);
        loop {
            let ended = self.0.try_wait();
            if let Some(status) = ended.map_err(|error| Error::io("cannot wait for it", error))? {
                return Ok(Some(status));
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
            thread::sleep(pause.min(remaining(deadline)));
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Nothing to do about a program that cannot be ended; one that has ended already is collected only.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command, deadline: Instant) -> Result<Child> {
    loop {
        match command.spawn() {
            Ok(child) => return Ok(child),
            // A file that was just written stays busy while another thread starts a program of its own: the copy of
            // the open file lives until that program runs.
            Err(error)
                if error.kind() == std::io::ErrorKind::ExecutableFileBusy
                    && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(Error::io("cannot start it", error)),
        }
    }
}

/// Writes the input from a thread of its own: a program may say a lot before it reads.
fn feed(child: &mut Child, input: &[u8]) -> Result<()> {
    let Some(mut stdin) = child.stdin.take() else {
        return Ok(());
    };
    let input = Zeroizing::new(input.to_vec());
    let writer = move || {
        // A program that does not read says with its answer what it is worth.
        let _ = stdin.write_all(&input);
    };
    spawn(writer)
}

/// Reads the output from a thread of its own, up to the limit.
fn listen(child: &mut Child, limit: usize) -> Result<Receiver<Result<Zeroizing<Vec<u8>>>>> {
    let (sender, receiver) = mpsc::channel();
    if let Some(stdout) = child.stdout.take() {
        spawn(move || {
            // Nobody listens any more after the time is over.
            let _ = sender.send(read_bounded(stdout, limit));
        })?;
    }
    Ok(receiver)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> Result<()> {
    thread::Builder::new()
        .name("credential-helper".to_owned())
        .spawn(work)
        .map(|_| ())
        .map_err(|error| Error::io("cannot start a thread for it", error))
}

/// Reads to the end without leaving copies of what it read behind: the buffer grows by hand.
fn read_bounded(mut stdout: impl Read, limit: usize) -> Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(1 << 14));
    let mut chunk = Zeroizing::new([0; 1 << 12]);
    loop {
        let read = match stdout.read(&mut chunk[..]) {
            Ok(0) => return Ok(bytes),
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Error::io("cannot read its output", error)),
        };
        if bytes.len() + read > limit {
            let message = format!("it says more than {limit} bytes");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        if bytes.capacity() - bytes.len() < read {
            let mut larger = Zeroizing::new(Vec::with_capacity(bytes.capacity() * 2));
            larger.extend_from_slice(&bytes);
            bytes = larger;
        }
        bytes.extend_from_slice(&chunk[..read]);
    }
}

/// Says how a program ended, in words that are the same on every host where they can be.
pub(crate) fn describe(status: ExitStatus) -> String {
    match status.code() {
        Some(code) => format!("exit code {code}"),
        None => "it was ended by a signal".to_owned(),
    }
}

/// Whether a written program is a path, or a bare name for `PATH`.
pub(crate) fn is_path(text: &str) -> bool {
    Path::new(text).components().count() > 1
        || Path::new(text).file_name() != Some(OsStr::new(text))
}

#[cfg(test)]
mod tests;
