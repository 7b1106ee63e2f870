//! Running programs, with errors that say which one failed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What went wrong, for a person.
pub(crate) type Result<T> = std::result::Result<T, String>;

/// Returns the root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("because xtask is a directory of the workspace")
        .to_owned()
}

/// Starts a command line in the root of the workspace.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Starts `cargo`, the one that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(&cargo_program(), arguments)
}

/// Runs a command to its end, and fails when it does.
pub(crate) fn check(command: &mut Command) -> Result<()> {
    let text = describe(command);
    println!("$ {text}");
    let status = command
        .status()
        .map_err(|error| format!("cannot start `{text}`: {error}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{text}` ended with {status}"))
    }
}

/// Tells whether a program can be started.
pub(crate) fn exists(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", "command -v \"$0\"", program])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Tells whether this process may install packages.
pub(crate) fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n")
}

/// Returns the command line as a person would type it.
pub(crate) fn describe(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells its path through the environment only"
)]
fn cargo_program() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Tells whether this is a run of continuous integration, where a missing peer is a failure.
#[expect(
    clippy::disallowed_methods,
    reason = "`CI` is how every CI service says so"
)]
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "false")
}
