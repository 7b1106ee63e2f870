//! `cargo xtask test`: every check, then every test.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use clap::Args;
use fs_err as fs;

use crate::run::{Result, cargo, check, describe, in_ci, root};
use crate::sweep::Evidence;
use crate::{docs, fuzz, measure, peers};

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
    let evidence = Evidence::start()?;
    let mut command = cargo(&["test", "--workspace", "--", "--show-output"]);
    prepare(&mut command, options, &skipped, &evidence);
    let total = run_tests(&mut command, &evidence, "tests")?;
    println!("{} passed before the peers' tests", total.passed);
    // Last, because it is the acceptance of everything before it, and its summary ends the run.
    // The whole workspace, for the features that the tests before were built with.
    let mut arguments = vec![
        "test",
        "--workspace",
        "--test",
        "peers",
        "--",
        "--show-output",
    ];
    if options.all {
        arguments.push("--include-ignored");
    }
    let mut command = cargo(&arguments);
    prepare(&mut command, options, &skipped, &evidence);
    let outcome = run_tests(&mut command, &evidence, "peers");
    report_skipped(&skipped)?;
    let peers = outcome?;
    // After every test has run, for any of them may leave a secret.
    evidence.search()?;
    println!("total: {} passed, 0 failed", total.passed + peers.passed);
    println!("{}", peers.summary);
    Ok(())
}

fn prepare(command: &mut Command, options: &Options, skipped: &Path, evidence: &Evidence) {
    command.env("IMGKIT_SKIPPED", skipped);
    command.env("TMPDIR", evidence.temporary());
    if options.all {
        command.env("IMGKIT_TEST_ALL", "1");
    }
}

/// What the summaries of a test run add up to.
struct Total {
    passed: u64,
    /// The last summary that counts at least one test.
    summary: String,
}

/// Runs tests, passes their output on and keeps it, and adds up cargo's summaries.
fn run_tests(command: &mut Command, evidence: &Evidence, name: &str) -> Result<Total> {
    let text = describe(command);
    println!("$ {text}");
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start `{text}`: {error}"))?;
    let output = child.stdout.take().ok_or("the tests have no output")?;
    let errors = child.stderr.take().ok_or("the tests have no output")?;
    let mut log = evidence.log(&format!("{name}.out"))?;
    let error_log = evidence.log(&format!("{name}.err"))?;
    let passing_on = thread::spawn(move || pass_on(errors, error_log));
    let mut total = Total {
        passed: 0,
        summary: String::new(),
    };
    let mut section = Section::default();
    for line in BufReader::new(output).split(b'\n') {
        let line = line.map_err(|error| error.to_string())?;
        let kept = log.write_all(&line).and_then(|()| log.write_all(b"\n"));
        kept.map_err(|error| error.to_string())?;
        let line = String::from_utf8_lossy(&line).into_owned();
        if section.is_shown(&line) {
            println!("{line}");
        }
        let passed = passed_in(&line);
        total.passed += passed;
        if passed > 0 {
            total.summary = line;
        }
    }
    let passed_on = passing_on.join();
    passed_on.map_err(|_| "the errors of the tests were lost")??;
    let status = child.wait().map_err(|error| error.to_string())?;
    match (status.success(), total.passed) {
        (true, 1..) => Ok(total),
        (true, 0) => Err(format!("`{text}` ran no test")),
        (false, _) => Err(format!("`{text}` ended with {status}")),
    }
}

/// Passes errors on as they come, and keeps them.
fn pass_on(mut errors: impl Read, mut log: fs::File) -> Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = errors
            .read(&mut buffer)
            .map_err(|error| error.to_string())?;
        if count == 0 {
            return Ok(());
        }
        // Without standard error there is nobody to read them.
        let _ = io::stderr().write_all(&buffer[..count]);
        log.write_all(&buffer[..count])
            .map_err(|error| error.to_string())?;
    }
}

/// Which part of a test program's output a line is in.
#[derive(Default)]
struct Section {
    is_of_passed: bool,
}

impl Section {
    /// Says whether a person wants to see a line: what tests print that pass is only kept.
    fn is_shown(&mut self, line: &str) -> bool {
        match line {
            "successes:" => self.is_of_passed = true,
            "failures:" => self.is_of_passed = false,
            _ if line.starts_with("test result: ") => self.is_of_passed = false,
            _ => {}
        }
        !self.is_of_passed
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
    use super::*;

    #[test]
    fn everything_that_tests_print_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let evidence = Evidence::start_in(directory.path().join("sweep")).unwrap();
        let script = "printf 'running 1 test\\nsuccesses:\\n\\377 of a test that passed\\n'; \
                      echo of a program >&2; echo 'test result: ok. 1 passed; 0 failed;'";
        let mut command = Command::new("sh");
        let total = run_tests(command.args(["-c", script]), &evidence, "some").unwrap();
        assert_eq!(total.passed, 1);
        let read = |name: &str| fs::read(directory.path().join("sweep").join(name)).unwrap();
        let out = b"running 1 test\nsuccesses:\n\xff of a test that passed\ntest result: ok. 1 passed; 0 failed;\n";
        assert_eq!(read("some.out"), out);
        assert_eq!(read("some.err"), b"of a program\n");
    }

    #[test]
    fn what_passing_tests_print_is_not_shown() {
        let text = "running 1 test\ntest a ... ok\n\nsuccesses:\n\n---- a stdout ----\nhello\n\n\n\
                    successes:\n    a\n\nfailures:\nwhy\n\ntest result: ok. 1 passed;\nrunning 0 tests";
        let mut section = Section::default();
        let shown: Vec<_> = text.lines().filter(|line| section.is_shown(line)).collect();
        let expected = [
            "running 1 test",
            "test a ... ok",
            "",
            "failures:",
            "why",
            "",
            "test result: ok. 1 passed;",
            "running 0 tests",
        ];
        assert_eq!(shown, expected);
    }

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
