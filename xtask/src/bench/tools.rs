//! Getting the contenders onto this machine, and what each says of its version.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::contender::Tool;
use crate::peers;
use crate::run::{Result, check, command, exists, is_root, root};

/// The package of the Go tool, as its users install it.
const GO_TOOL: &str = "github.com/bazel-contrib/rules_img/img_tool/cmd/img@v0.3.19";
const CRANE: &str = "github.com/google/go-containerregistry/cmd/crane@v0.22.1";

/// The tools that were asked for: the version of each, or why it is missing.
pub(super) struct Tools {
    pub(super) states: BTreeMap<Tool, Result<String>>,
    binaries: PathBuf,
}

impl Tools {
    /// Installs what is not here, as far as that goes.
    pub(super) fn install(wanted: &[Tool], directory: &Path) -> Self {
        let binaries = directory.join("bin");
        let state = |tool: &Tool| (*tool, install(*tool, &binaries));
        Self {
            states: wanted.iter().map(state).collect(),
            binaries,
        }
    }

    pub(super) fn is_here(&self, tool: Tool) -> bool {
        matches!(self.states.get(&tool), Some(Ok(_)))
    }

    /// Where the programs are that were built for the bench.
    pub(super) fn variables(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("CRANE", self.binaries.join("crane")),
            ("GOTOOL", self.binaries.join("img")),
            ("STANDIN", self.binaries.join("golayer")),
        ]
    }
}

fn install(tool: Tool, binaries: &Path) -> Result<String> {
    match tool {
        Tool::Buildah => packaged("buildah", &["--version"]),
        Tool::Crane => go_program(CRANE, "crane", binaries),
        Tool::Go => go_program(GO_TOOL, "img", binaries),
        Tool::Pigz => packaged("pigz", &["--version"]),
        Tool::Registry => packaged("docker-registry", &["--version"]),
        Tool::Skopeo => packaged("skopeo", &["--version"]),
        Tool::StandIn => stand_in(binaries),
        Tool::Tar => packaged("tar", &["--version"]),
        Tool::Umoci => packaged("umoci", &["--version"]),
        Tool::Zstd => packaged("zstd", &["--version"]),
    }
}

/// A program of a Debian package of the same name.
fn packaged(program: &str, version: &[&str]) -> Result<String> {
    require(program, program)?;
    first_line(&mut command(program, version))
}

/// Installs a package unless its program is here.
pub(super) fn require(program: &str, package: &str) -> Result<()> {
    if exists(program) {
        return Ok(());
    }
    if !is_root() {
        return Err(format!(
            "not here, and only root installs it: apt-get install {package}"
        ));
    }
    peers::install_packages(package)
}

/// A program that Go builds of a package with its version.
fn go_program(package: &str, name: &str, binaries: &Path) -> Result<String> {
    let version = package.rsplit('@').next().unwrap_or_default();
    if binaries.join(name).exists() {
        return Ok(version.to_owned());
    }
    let mut install = command("go", &["install", package]);
    let output = install
        .env("GOBIN", binaries)
        .output()
        .map_err(|_| "Go is not here".to_owned())?;
    if output.status.success() {
        return Ok(version.to_owned());
    }
    Err(refusal(package, &String::from_utf8_lossy(&output.stderr)))
}

/// What a failure of `go install` comes to, in words that name no machine.
fn refusal(package: &str, message: &str) -> String {
    let is_about_the_proxy = ["://", "dial tcp", "lookup "]
        .iter()
        .any(|part| message.contains(part));
    let reason = if is_about_the_proxy {
        "the module cannot be had from the Go module proxy"
    } else {
        "the module does not build here"
    };
    format!("{reason} (`go install {package}`)")
}

fn stand_in(binaries: &Path) -> Result<String> {
    if !exists("go") {
        return Err("Go is not here".to_owned());
    }
    let output = binaries.join("golayer").display().to_string();
    let directory = root().join("bench/golayer");
    check(command("go", &["build", "-o", &output, "."]).current_dir(directory))?;
    let listed = command("go", &["version", "-m", &output])
        .output()
        .map_err(|error| error.to_string())?;
    Ok(libraries(&String::from_utf8_lossy(&listed.stdout)))
}

/// Picks the versions of Go and of the codecs from what `go version -m` says.
fn libraries(listed: &str) -> String {
    let go = listed
        .lines()
        .next()
        .and_then(|line| line.rsplit(' ').next());
    let mut versions = vec![go.unwrap_or_default().to_owned()];
    for line in listed.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ["dep", module, version, ..] = words[..] {
            let name = module.rsplit('/').next().unwrap_or_default();
            if ["compress", "estargz", "pgzip"].contains(&name) {
                versions.push(format!("{name} {version}"));
            }
        }
    }
    versions.join(", ")
}

/// The first line of what a program prints.
pub(super) fn first_line(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Ok(text
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or_default()
        .trim_matches(['*', ' '])
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_no_machine() {
        let message = "go: x@v1: reading https://proxy.example/x/@v/list: 403 Forbidden\n";
        assert_eq!(
            refusal(GO_TOOL, message),
            "the module cannot be had from the Go module proxy (`go install github.com/bazel-contrib/rules_img/img_tool/cmd/img@v0.3.19`)"
        );
        let built = refusal(GO_TOOL, "./x.go:1: undefined: y");
        assert!(
            built.starts_with("the module does not build here ("),
            "{built}"
        );
    }

    #[test]
    fn libraries_are_read_from_what_go_says_of_a_program() {
        let listed = "bin/golayer: go1.26.8\n\tpath\tx\n\tdep\tgithub.com/klauspost/pgzip\tv1.2.6\th1:=\n\tdep\tgolang.org/x/sync\tv0.1\n";
        assert_eq!(libraries(listed), "go1.26.8, pgzip v1.2.6");
    }
}
