//! Helper programs for tests: small shell scripts in a directory that is the first of `PATH`.

#![allow(clippy::unwrap_used, reason = "all of this is for tests")]

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempDir;

use crate::Environment;

/// A directory of scripts.
pub(crate) struct Scripts {
    directory: TempDir,
}

impl Scripts {
    pub(crate) fn new() -> Self {
        Self {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a script of the shell.
    pub(crate) fn add(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    /// Writes a script that says a text, and writes its input down and a line for each time it ran.
    pub(crate) fn add_answer(&self, name: &str, answer: &str) -> PathBuf {
        let log = self.path("log");
        let answer_file = self.path(&format!("{name}.answer"));
        fs::write(&answer_file, answer).unwrap();
        self.add(
            name,
            &format!(
                "cat >> {log}; echo >> {log}; cat {answer}",
                log = log.display(),
                answer = answer_file.display()
            ),
        )
    }

    /// What the programs of [`add_answer`](Self::add_answer) read, a line for each time one ran.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// Variables with a `PATH` that finds the scripts.
    pub(crate) fn environment<const N: usize>(&self, more: [(&str, &str); N]) -> Environment {
        let path = format!("{}:/usr/bin:/bin", self.directory.path().display());
        more.into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .chain([("PATH", path)])
            .collect()
    }
}
