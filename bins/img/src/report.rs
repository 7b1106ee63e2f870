//! What a person reads: failures, warnings and notes. Nothing else in this program prints.

use std::error::Error;
use std::fmt;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::shown;

/// Where messages go: the process's own streams, or a text that a worker sends back.
///
/// Clones go to the same place.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    verbose: Arc<AtomicBool>,
    captured: Option<Arc<Mutex<String>>>,
    stdout_taken: Arc<AtomicBool>,
}

impl Report {
    /// Prints to standard output and standard error.
    pub(crate) fn to_terminal() -> Self {
        Self {
            verbose: Arc::default(),
            captured: None,
            stdout_taken: Arc::default(),
        }
    }

    /// Keeps everything for [`into_captured`](Self::into_captured).
    pub(crate) fn captured() -> Self {
        Self {
            verbose: Arc::default(),
            captured: Some(Arc::default()),
            stdout_taken: Arc::default(),
        }
    }

    /// Returns what was kept; empty for a report that prints.
    pub(crate) fn into_captured(self) -> String {
        self.captured.map_or_else(String::new, |text| {
            let mut text = text
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            std::mem::take(&mut *text)
        })
    }

    /// Whether standard output may be used: in a worker it belongs to the protocol.
    pub(crate) fn owns_stdout(&self) -> bool {
        self.captured.is_none()
    }

    /// Takes standard output for an output of the command; returns whether it was free.
    pub(crate) fn take_stdout(&self) -> bool {
        !self.stdout_taken.swap(true, Ordering::Relaxed)
    }

    /// Turns notes on.
    pub(crate) fn set_verbose(&self) {
        self.verbose.store(true, Ordering::Relaxed);
    }

    /// Says something that a person should know although the command goes on.
    pub(crate) fn warn(&self, message: impl fmt::Display) {
        self.message(format_args!("img: warning: {message}\n"));
    }

    /// Says something that only `--verbose` shows.
    pub(crate) fn note(&self, message: impl fmt::Display) {
        if self.verbose.load(Ordering::Relaxed) {
            self.message(format_args!("img: {message}\n"));
        }
    }

    /// Says why the command failed, with its chain of causes and its hint.
    pub(crate) fn failure(&self, failure: &Failure) {
        if !failure.silent {
            self.message(format_args!("{failure}"));
        }
    }

    /// Writes a text to standard error as it is: usage, or a report that is no failure of ours.
    pub(crate) fn error_text(&self, text: impl fmt::Display) {
        self.message(format_args!("{text}"));
    }

    /// Writes the answer of a command: standard output, or the worker's response.
    ///
    /// # Errors
    ///
    /// Fails if standard output cannot be written; silently if its reader has gone.
    pub(crate) fn print(&self, text: impl fmt::Display) -> Result<(), Failure> {
        if self.captured.is_some() {
            self.message(format_args!("{text}"));
            return Ok(());
        }
        let mut stdout = io::stdout().lock();
        write!(stdout, "{text}")
            .and_then(|()| stdout.flush())
            .map_err(Failure::of_stdout)
    }

    fn message(&self, text: fmt::Arguments<'_>) {
        let text = text.to_string();
        let text = shown::lines(&text);
        if let Some(captured) = &self.captured {
            let mut captured = captured
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            captured.push_str(&text);
        } else {
            // With standard error gone there is nobody left to tell.
            let _ = io::stderr().lock().write_all(text.as_bytes());
        }
    }
}

/// Why a command failed: a message, its cause, what to do about it, and the exit code.
///
/// Any error becomes one by `?`; [`Explain`] says what was being done.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
    hint: Option<String>,
    code: u8,
    silent: bool,
}

impl Failure {
    /// Makes a failure: lower case, no full stop, naming the thing and the place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
            hint: None,
            code: 1,
            silent: false,
        }
    }

    /// A failure whose report was written already.
    pub(crate) fn silent() -> Self {
        Self {
            silent: true,
            ..Self::new(String::new())
        }
    }

    /// Adds the cause.
    #[must_use]
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Puts what was being done, or where, in front of the message.
    #[must_use]
    pub(crate) fn in_front(mut self, front: impl fmt::Display) -> Self {
        self.message = format!("{front}: {}", self.message);
        self
    }

    /// Adds the next step, as an imperative sentence without a full stop.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a next step if nobody knew a better one.
    #[must_use]
    pub(crate) fn hint_if_none(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// Sets the exit code, 1 unless told.
    #[must_use]
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// Returns the exit code.
    pub(crate) fn code(&self) -> u8 {
        self.code
    }

    /// A reader that closed the pipe has seen enough: no message.
    pub(crate) fn of_stdout(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            Self::silent()
        } else {
            Self::new("cannot write to standard output").because(error)
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "img: {}", self.message)?;
        let mut said = self.message.clone();
        let mut source = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = source {
            let text = error.to_string();
            // Some errors repeat their cause in their own text.
            if !said.contains(&text) {
                write!(f, ": {text}")?;
                said = text;
            }
            source = error.source();
        }
        f.write_str("\n")?;
        if let Some(hint) = &self.hint {
            writeln!(f, "hint: {hint}")?;
        }
        Ok(())
    }
}

impl<E: Error + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut failure = Self::new(error.to_string());
        failure.source = Some(Box::new(error));
        failure
    }
}

/// Says what was being done when something failed.
pub(crate) trait Explain<T> {
    /// Puts a message in front of the error, which becomes the cause.
    ///
    /// # Errors
    ///
    /// Fails if `self` is an error.
    fn explain<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T, Failure>;
}

impl<T, E: Error + Send + Sync + 'static> Explain<T> for Result<T, E> {
    fn explain<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T, Failure> {
        self.map_err(|error| Failure::new(message()).because(error))
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("layer app.tar")]
    struct Outer(#[source] io::Error);

    #[test]
    fn chain_of_causes_is_joined_on_one_line_and_the_hint_follows() {
        let cause = io::Error::new(io::ErrorKind::UnexpectedEof, "the data ends early");
        let failure: Failure = Outer(cause).into();
        let failure = failure.hint("download it again");
        assert_snapshot!(failure, @r"
        img: layer app.tar: the data ends early
        hint: download it again
        ");
    }

    #[test]
    fn cause_that_is_already_in_the_text_is_not_repeated() {
        let error = fs_err::read("/does/not/exist").unwrap_err();
        let failure: Failure = error.into();
        assert_eq!(failure.to_string().matches("No such file").count(), 1);
    }
}
