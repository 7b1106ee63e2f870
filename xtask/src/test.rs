//! `cargo xtask test`: every check, then every test.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use clap::Args;
use fs_err as fs;

use crate::run::{Result, cargo, check, describe, in_ci, root};
use crate::{docs, fuzz, measure, peers, sweep};

#[derive(Args)]
pub(crate) struct Options {
    /// Installs the tools of others that the tests talk to, with Debian's packages (needs root)
    #[arg(long)]
    install_peers: bool,
    /// Runs the slow peers and the large inputs too
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.install_peers || in_ci() {
        peers::install()?;
    }
    for program in peers::missing() {
        println!("missing: `{program}`; what needs it is skipped (--install-peers installs it)");
    }
    check(&mut cargo(&["fmt", "--all", "--check"]))?;
    check(&mut cargo(&[
        "clippy",
        "--quiet",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    // All targets are those that a plain `cargo test` runs.
    check(&mut cargo(&[
        "clippy",
        "--quiet",
        "--workspace",
        "--test",
        "peers",
        "--",
        "-D",
        "warnings",
    ]))?;
    docs::run()?;
    measure::run()?;
    fuzz::replay()?;

    let skipped = root().join("target/skipped-tests.txt");
    fs::write(&skipped, "").map_err(|error| error.to_string())?;
    let total = run_tests(prepare(
        &mut cargo(&["test", "--workspace"]),
        options,
        &skipped,
    ))?;
    if options.all {
        sweep::run()?;
    } else {
        sweep::after_tests()?;
    }
    println!("{} passed before the peers' tests", total.passed);
    // Last, because it is the acceptance of everything before it, and its summary ends the run.
    // The whole workspace, for the features that the tests before were built with.
    let mut arguments = vec!["test", "--workspace", "--test", "peers"];
    if options.all {
        arguments.extend(["--", "--include-ignored"]);
    }
    let outcome = run_tests(prepare(&mut cargo(&arguments), options, &skipped));
    report_skipped(&skipped)?;
    let peers = outcome?;
    println!("total: {} passed, 0 failed", total.passed + peers.passed);
    println!("{}", peers.summary);
    Ok(())
}

fn prepare<'a>(command: &'a mut Command, options: &Options, skipped: &Path) -> &'a mut Command {
    command.env("IMGKIT_SKIPPED", skipped);
    if options.all {
        command.env("IMGKIT_TEST_ALL", "1");
    }
    command
}

/// What the summaries of a test run add up to.
struct Total {
    passed: u64,
    /// The last summary that counts at least one test.
    summary: String,
}

/// Runs tests, passes their output on, and adds up cargo's summaries.
fn run_tests(command: &mut Command) -> Result<Total> {
    let text = describe(command);
    println!("$ {text}");
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start `{text}`: {error}"))?;
    let output = child.stdout.take().ok_or("the tests have no output")?;
    let mut total = Total {
        passed: 0,
        summary: String::new(),
    };
    for line in BufReader::new(output).lines() {
        let line = line.map_err(|error| error.to_string())?;
        println!("{line}");
        let passed = passed_in(&line);
        total.passed += passed;
        if passed > 0 {
            total.summary = line;
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match (status.success(), total.passed) {
        (true, 1..) => Ok(total),
        (true, 0) => Err(format!("`{text}` ran no test")),
        (false, _) => Err(format!("`{text}` ended with {status}")),
    }
}

/// Reads the count from `test result: ok. 12 passed; 0 failed; …`.
fn passed_in(line: &str) -> u64 {
    line.strip_prefix("test result: ok. ")
        .and_then(|rest| rest.split_once(" passed;"))
        .and_then(|(count, _)| count.parse().ok())
        .unwrap_or(0)
}

fn report_skipped(file: &Path) -> Result<()> {
    let text = fs::read_to_string(file).map_err(|error| error.to_string())?;
    let count = text.lines().count();
    for line in text.lines() {
        println!("skipped: {line}");
    }
    println!("{count} skipped for want of a tool");
    if count > 0 && in_ci() {
        return Err("in CI nothing may be skipped".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::passed_in;

    #[test]
    fn summaries_are_counted() {
        assert_eq!(
            passed_in("test result: ok. 12 passed; 0 failed; 0 ignored;"),
            12
        );
        assert_eq!(passed_in("test result: FAILED. 3 passed; 1 failed;"), 0);
        assert_eq!(passed_in("test x ... ok"), 0);
    }
}
