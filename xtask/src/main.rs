//! The developer's front door of imgkit: `cargo xtask <demo|test|bench|conformance|measure|docs|fuzz-smoke|sweep|peers>`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that talks to its developer"
)]

mod bench;
mod conformance;
mod demo;
mod docs;
mod fuzz;
mod measure;
mod peers;
mod run;
mod sweep;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Builds, tests and measures imgkit",
    disable_version_flag = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Builds a two-platform image of examples/hello and says how to run it
    Demo(demo::Options),
    /// Runs every check and test; ends with cargo's test summary
    Test(test::Options),
    /// Measures `img layer` against other tools; a run of everything writes docs/benchmarks.md
    Bench(bench::Options),
    /// Runs the distribution specification's suite against our registry, and Docker's beside it
    Conformance,
    /// Prints the sizes of files, functions and crates beside their budgets
    Measure,
    /// Builds the documentation, and fails on a warning
    Docs,
    /// Runs every fuzz target for a few seconds (needs a nightly compiler)
    FuzzSmoke(fuzz::Options),
    /// Runs the tests that have secrets, and looks for these in everything that is left of the run
    Sweep,
    /// Lists the tools of others that the tests use, and which of them are here
    Peers(peers::Options),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Demo(options) => demo::run(&options),
        Command::Test(options) => test::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Conformance => conformance::run(),
        Command::Measure => measure::run(),
        Command::Docs => docs::run(),
        Command::FuzzSmoke(options) => fuzz::run(&options),
        Command::Sweep => sweep::run(),
        Command::Peers(options) => peers::run(&options),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
