//! containerd, with its files in a directory of the test's own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Running, wait_for};
use crate::oracle::tool;

/// A containerd that a test starts for itself. It can be ended without a word, and started again on what it left.
#[derive(Debug)]
pub struct Containerd {
    program: PathBuf,
    ctr: PathBuf,
    directory: PathBuf,
    /// `None` while it is not running.
    process: Option<Running>,
}

impl Containerd {
    /// Starts one with its files in `directory`; `None` where a program is missing, which has then been said.
    pub fn start(directory: &Path) -> Option<Self> {
        Self::start_with(directory, "")
    }

    /// Starts one whose configuration has more at its end.
    pub fn start_with(directory: &Path, more: &str) -> Option<Self> {
        Self::start_on(directory, &directory.join("root"), more)
    }

    /// Starts one that keeps its blobs below `root`.
    pub fn start_on(directory: &Path, root: &Path, more: &str) -> Option<Self> {
        let (program, ctr) = (tool("containerd")?, tool("ctr")?);
        let mut daemon = Self {
            program,
            ctr,
            directory: directory.to_owned(),
            process: None,
        };
        let socket = daemon.socket();
        let config = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{socket}\"\n[ttrpc]\naddress = \"{socket}.ttrpc\"\n{more}",
            root.display(),
            directory.join("state").display(),
            socket = socket.display(),
        );
        fs_err::write(directory.join("config.toml"), config)
            .expect("because the test owns the directory");
        daemon.start_again();
        Some(daemon)
    }

    /// Returns the path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("c.sock")
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it on the files that it has.
    pub fn start_again(&mut self) {
        let log = self.directory.join("log");
        let mut command = Command::new(&self.program);
        command
            .arg("--config")
            .arg(self.directory.join("config.toml"));
        self.process = Some(Running::start(&mut command, &log));
        wait_for("containerd's answer", &log, || {
            self.try_ctr(&["version"]).status.success()
        });
    }

    /// Runs `ctr`, and returns what it prints.
    pub fn ctr(&self, arguments: &[&str]) -> String {
        let output = self.try_ctr(arguments);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(
            output.status.success(),
            "ctr {arguments:?}: {}",
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Runs `ctr`, which may fail.
    pub fn try_ctr(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.ctr);
        command.arg("--address").arg(self.socket()).args(arguments);
        command
            .output()
            .unwrap_or_else(|error| panic!("ctr {arguments:?}: {error}"))
    }

    /// Collects garbage in a namespace now: a lease that is deleted synchronously waits for that.
    pub fn collect_garbage(&self, namespace: &str) {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("garbage-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let of_namespace = ["--namespace", namespace, "leases"];
        let ctr = |words: &[&str]| self.ctr(&[&of_namespace[..], words].concat());
        ctr(&["create", "--id", &name]);
        ctr(&["delete", "--sync", &name]);
    }

    /// Lists the digests of all blobs in a namespace, sorted.
    pub fn blobs(&self, namespace: &str) -> Vec<String> {
        let listed = self.ctr(&["--namespace", namespace, "content", "ls", "--quiet"]);
        let mut blobs: Vec<String> = listed.lines().map(str::to_owned).collect();
        blobs.sort();
        blobs
    }

    /// Lists the leases in a namespace.
    pub fn leases(&self, namespace: &str) -> Vec<String> {
        let listed = self.ctr(&["--namespace", namespace, "leases", "ls", "--quiet"]);
        listed.lines().map(str::to_owned).collect()
    }

    /// Returns the digest that a name stands for, if there is such a name.
    pub fn digest_of(&self, namespace: &str, name: &str) -> Option<String> {
        let filter = format!("name==\"{name}\"");
        let listed = self.ctr(&["--namespace", namespace, "images", "ls", &filter]);
        let line = listed.lines().nth(1)?;
        let mut words = line.split_whitespace();
        words
            .find(|word| word.starts_with("sha256:"))
            .map(str::to_owned)
    }
}
