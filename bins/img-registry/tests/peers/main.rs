//! What others make of the registry: copiers, a tool for artifacts, and the specification's own suite.
//!
//! A tool that is not here is a skip that is printed and counted (`imgtest::oracle`), and in CI a failure.
#![allow(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "all of this is a test"
)]

mod artifacts;
mod conformance;
mod copies;
#[path = "../serve/program.rs"]
#[allow(dead_code, reason = "the other tests use what these do not")]
mod program;

use std::process::{Command, Output};

const SERVE: &str = env!("CARGO_BIN_EXE_img-registry");

/// Runs a command that must succeed; its output is in the failure message.
fn succeed(command: &mut Command) -> Output {
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

/// Returns what a command that must succeed wrote, without the end of its last line.
fn text(command: &mut Command) -> String {
    let output = String::from_utf8(succeed(command).stdout).unwrap();
    output.trim_end().to_owned()
}
