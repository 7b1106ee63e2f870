//! The program, running.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::SERVE;

/// A registry that ends with the test.
pub(crate) struct Program {
    child: Child,
    /// What it printed.
    pub(crate) line: String,
    pub(crate) address: String,
    root: PathBuf,
}

impl Program {
    pub(crate) fn start(root: &Path) -> Self {
        let text = root.to_str().unwrap();
        let mut program = Self::start_with(&["--root", text, "--address", "127.0.0.1:0"]);
        root.clone_into(&mut program.root);
        program
    }

    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut child = Command::new(SERVE)
            .arg("serve")
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let address = line.trim_end().rsplit('/').next().unwrap().to_owned();
        Self {
            child,
            line,
            address,
            root: PathBuf::new(),
        }
    }

    /// Kills the process at once, as soon as it has written so many more tags.
    pub(crate) fn kill_after_records(mut self, count: u64) {
        let tags = self.root.join("repositories/app/_tags");
        let written = || fs_err::read_dir(&tags).map_or(0, |files| files.count() as u64);
        let before = written();
        let deadline = Instant::now() + Duration::from_secs(60);
        while written() < before + count {
            assert!(Instant::now() < deadline, "nothing is pushed");
            std::thread::yield_now();
        }
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn end(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    #[cfg(unix)]
    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let id = i32::try_from(self.child.id()).unwrap();
        let id = rustix::process::Pid::from_raw(id).unwrap();
        rustix::process::kill_process(id, signal).unwrap();
    }

    #[cfg(unix)]
    pub(crate) fn wait(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::yield_now();
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs the program, which must fail with this status, and returns what it says.
pub(crate) fn failure(arguments: &[&str], status: i32) -> String {
    let output = Command::new(SERVE).args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}");
    assert_eq!(output.stdout, b"");
    String::from_utf8(output.stderr).unwrap()
}
