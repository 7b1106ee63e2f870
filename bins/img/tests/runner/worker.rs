//! A persistent worker that runs the commands of cases, so that each case holds in it, too.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

/// A worker for one command.
pub(crate) struct Worker {
    command: Vec<String>,
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker; `None` if the command cannot be one.
    pub(crate) fn start(command: &str) -> Option<Self> {
        let mut child = Command::new(env!("CARGO_BIN_EXE_img"))
            .args(command.split(' '))
            .arg("--persistent_worker")
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut worker = Self {
            command: command.split(' ').map(str::to_owned).collect(),
            stdin: child.stdin.take()?,
            stdout: BufReader::new(child.stdout.take()?),
            child,
        };
        // A process that is no worker says nothing and ends.
        worker.request(&[], Path::new("")).ok().map(|_| worker)
    }

    /// Whether a command line can be a request: it needs no streams and no other directory.
    pub(crate) fn takes(&self, arguments: &[String]) -> bool {
        let is_for_a_shell = |word: &String| word == "-" || word.starts_with('@');
        arguments.starts_with(&self.command) && !arguments.iter().any(is_for_a_shell)
    }

    /// Runs a command with its directory as sandbox; returns exit code and output.
    pub(crate) fn request(
        &mut self,
        arguments: &[String],
        directory: &Path,
    ) -> Result<(i32, String), String> {
        let request = json!({
            "arguments": arguments.get(self.command.len()..).unwrap_or_default(),
            "requestId": 1,
            "sandboxDir": directory.to_str(),
        });
        writeln!(self.stdin, "{request}").map_err(|error| error.to_string())?;
        let mut line = String::new();
        self.stdout
            .read_line(&mut line)
            .map_err(|error| error.to_string())?;
        let response: Value = serde_json::from_str(&line).map_err(|error| error.to_string())?;
        let code = response["exitCode"]
            .as_i64()
            .and_then(|code| i32::try_from(code).ok());
        let output = response["output"]
            .as_str()
            .ok_or("no output in the response")?;
        Ok((
            code.ok_or("no exit code in the response")?,
            output.to_owned(),
        ))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its input would end it as well, but only a drop of the whole closes that.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
