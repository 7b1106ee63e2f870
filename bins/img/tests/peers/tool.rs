//! Running `img` and the tools of others.

use std::path::Path;
use std::process::{Command, Output};

pub(crate) use imgtest::oracle::{go, tool};

/// Runs `img` and returns its standard output.
pub(crate) fn img<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> String {
    text(&succeed(
        Command::new(env!("CARGO_BIN_EXE_img")).args(arguments),
    ))
}

/// Runs a command that must succeed; its output is in the failure message.
pub(crate) fn succeed(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// Returns what a command wrote to standard output.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Copies a directory, as `cp -R` does.
pub(crate) fn copy_tree(from: &Path, to: &Path) {
    succeed(Command::new("cp").arg("-R").arg(from.join(".")).arg(to));
}
