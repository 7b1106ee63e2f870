//! A worker process in a directory of its own.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use fs_err as fs;
use serde_json::Value;
use tempfile::TempDir;

pub(crate) struct Worker {
    directory: TempDir,
    process: Option<Process>,
}

struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

/// How a worker ended.
pub(crate) struct End {
    pub(crate) code: Option<i32>,
    /// What was on standard output and not read before.
    pub(crate) rest: String,
    pub(crate) stderr: String,
}

impl Worker {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, |_| {})
    }

    /// Starts a worker after its directory was prepared.
    pub(crate) fn start_with(arguments: &[&str], prepare: impl FnOnce(&Self)) -> Self {
        let mut worker = Self {
            directory: tempfile::tempdir().unwrap(),
            process: None,
        };
        prepare(&worker);
        let mut child = Command::new(env!("CARGO_BIN_EXE_img"))
            .args(arguments)
            .current_dir(worker.directory.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        worker.process = Some(Process {
            stdin: child.stdin.take(),
            stdout: BufReader::new(child.stdout.take().unwrap()),
            child,
        });
        worker
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Makes a named pipe: whoever reads it waits for [`write`](Self::write).
    pub(crate) fn make_pipe(&self, name: &str) {
        let status = Command::new("mkfifo")
            .arg(self.path(name))
            .status()
            .unwrap();
        assert!(status.success());
    }

    pub(crate) fn send(&mut self, request: &str) {
        let stdin = self.process().stdin.as_mut().unwrap();
        // A worker that has ended on a bad request may be gone already.
        let _ = stdin
            .write_all(request.as_bytes())
            .and_then(|()| stdin.flush());
    }

    /// The next line of standard output, without its newline.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.process().stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the worker ended: {line:?}");
        line.pop();
        line
    }

    pub(crate) fn answer(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    pub(crate) fn close_input(&mut self) {
        self.process().stdin = None;
    }

    /// Closes standard input and waits for the end of the process.
    pub(crate) fn end(&mut self) -> End {
        self.close_input();
        let mut process = self.process.take().unwrap();
        let (mut rest, mut stderr) = (String::new(), String::new());
        process.stdout.read_to_string(&mut rest).unwrap();
        process
            .child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut stderr)
            .unwrap();
        let code = process.child.wait().unwrap().code();
        End { code, rest, stderr }
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // Only a test that failed leaves the process running.
        if let Some(process) = &mut self.process {
            let _ = process.child.kill();
            let _ = process.child.wait();
        }
    }
}
