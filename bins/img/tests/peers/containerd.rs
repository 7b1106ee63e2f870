//! A containerd that a test starts for itself.

use std::path::Path;
use std::process::Command;

use imgtest::peer::{Running, wait_for};

use crate::demo::EXPECTED_LINE;
use crate::tool::{succeed, text};

/// A containerd of this test's own.
pub(crate) struct Containerd<'a> {
    ctr: &'a Path,
    socket: String,
    _process: Running,
}

impl<'a> Containerd<'a> {
    pub(crate) fn start(containerd: &Path, ctr: &'a Path, directory: &Path) -> Self {
        Self::start_with(containerd, ctr, directory, "")
    }

    /// Starts one whose configuration has more at its end.
    pub(crate) fn start_with(
        containerd: &Path,
        ctr: &'a Path,
        directory: &Path,
        more: &str,
    ) -> Self {
        let at = |name: &str| directory.join(name).display().to_string();
        let socket = at("c.sock");
        let config = format!(
            "version = 2\nroot = \"{}\"\nstate = \"{}\"\ndisabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n\
             [grpc]\naddress = \"{socket}\"\n[ttrpc]\naddress = \"{socket}.ttrpc\"\n{more}",
            at("root"),
            at("state"),
        );
        fs_err::write(directory.join("config.toml"), config).unwrap();
        let mut command = Command::new(containerd);
        command.arg("--config").arg(directory.join("config.toml"));
        let daemon = Self {
            ctr,
            socket,
            _process: Running::start(&mut command, &directory.join("log")),
        };
        daemon.wait(&directory.join("log"));
        daemon
    }

    pub(crate) fn socket(&self) -> &str {
        &self.socket
    }

    /// Imports an archive with the image `hello:demo`, and expects its program to say its line.
    pub(crate) fn import_and_run(&self, archive: &Path) {
        let imported = self.ctr(&[
            "images",
            "import",
            "--base-name",
            "hello",
            &archive.to_string_lossy(),
        ]);
        assert!(imported.contains("done"), "{imported}");
        let listed = self.ctr(&["images", "ls", "-q"]);
        let name = listed.lines().find(|line| line.contains("hello:demo"));
        let name = name.unwrap_or_else(|| panic!("{listed}"));
        self.run(&["--rm", name]);
    }

    /// Runs a container of the demo's image, and expects its program to say its line.
    pub(crate) fn run(&self, arguments: &[&str]) {
        // Containers of every containerd share one directory of runc's by their names.
        let container = self
            .socket
            .replace(|c: char| !c.is_ascii_alphanumeric(), "");
        let output = self.ctr(&[&["run"], arguments, &[&container]].concat());
        assert_eq!(output.trim(), EXPECTED_LINE);
    }

    fn wait(&self, log: &Path) {
        wait_for("containerd's answer", log, || {
            let answer = self.command(&["version"]).output();
            answer.is_ok_and(|output| output.status.success())
        });
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.ctr);
        command.args(["--address", &self.socket]).args(arguments);
        command
    }

    pub(crate) fn ctr(&self, arguments: &[&str]) -> String {
        text(&succeed(&mut self.command(arguments)))
    }
}
