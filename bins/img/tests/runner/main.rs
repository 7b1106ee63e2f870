//! Runs the text cases under `tests/cases`; `tests/cases/README.md` says how they are written.
//!
//! `IMG_BLESS=1` rewrites expected listings, texts and digests that differ; `IMG_CASES=layer/`
//! runs only the cases whose name contains that text.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "all of this is a test"
)]

mod case;
mod check;
mod inputs;
mod layer;
mod run;
mod text;
mod usage_codes;
mod worker;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, thread};

use fs_err as fs;
use worker::Worker;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases")
}

/// Every `.case` file as `subcommand/name.case`, sorted.
fn names() -> Vec<String> {
    let mut names = Vec::new();
    for subcommand in fs::read_dir(directory()).unwrap() {
        let subcommand = subcommand.unwrap();
        if !subcommand.file_type().unwrap().is_dir() {
            continue;
        }
        for case in fs::read_dir(subcommand.path()).unwrap() {
            let (parent, case) = (subcommand.file_name(), case.unwrap().file_name());
            let (parent, case) = (parent.to_str().unwrap(), case.to_str().unwrap());
            assert!(
                Path::new(case)
                    .extension()
                    .is_some_and(|extension| extension == "case"),
                "{parent}/{case}: not a .case file"
            );
            names.push(format!("{parent}/{case}"));
        }
    }
    names.sort();
    names
}

/// The cases that the environment asks for: all of them, or some.
fn chosen() -> Vec<String> {
    let filter = env::var_os("IMG_CASES").unwrap_or_default();
    let filter = filter.to_str().unwrap();
    names()
        .into_iter()
        .filter(|name| name.contains(filter))
        .collect()
}

/// Calls a function for each item, on a few threads.
fn in_parallel<T: Sync>(items: &[T], function: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = thread::available_parallelism()
        .map_or(2, usize::from)
        .min(8);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    function(item);
                }
            });
        }
    });
}

/// Says what failed, and fails if anything did.
fn conclude(count: usize, failures: Mutex<BTreeMap<String, String>>) {
    let failures = failures.into_inner().unwrap();
    println!("{count} text cases, {} failed", failures.len());
    for (name, failure) in &failures {
        println!("\n== {name}\n{failure}");
    }
    assert!(failures.is_empty(), "{} text cases failed", failures.len());
}

#[test]
fn text_cases_hold() {
    let names = chosen();
    let bless = env::var_os("IMG_BLESS").is_some();
    let failures = Mutex::<BTreeMap<String, String>>::default();
    in_parallel(&names, |name| {
        if let Err(failure) = run::case(&directory().join(name), None, bless) {
            failures.lock().unwrap().insert(name.clone(), failure);
        }
    });
    conclude(names.len(), failures);
}

/// The cases of one command share a process here, as the actions of a build do.
#[test]
fn text_cases_hold_in_a_persistent_worker() {
    let names = chosen();
    let cases_of = |command: String| {
        let directory = format!("{}/", command.split(' ').next().unwrap());
        let cases = names.iter().filter(|name| name.starts_with(&directory));
        (command, cases.collect::<Vec<_>>())
    };
    let commands: Vec<_> = commands().into_iter().map(cases_of).collect();
    let failures = Mutex::<BTreeMap<String, String>>::default();
    let count = AtomicUsize::new(0);
    in_parallel(&commands, |(command, names)| {
        let Some(mut worker) = Worker::start(command) else {
            return;
        };
        count.fetch_add(names.len(), Ordering::Relaxed);
        for name in names {
            if let Err(failure) = run::case(&directory().join(name), Some(&mut worker), false) {
                failures.lock().unwrap().insert((*name).clone(), failure);
            }
        }
    });
    conclude(count.into_inner(), failures);
}

/// Cases cannot vanish unnoticed: `tests/cases/MINIMUM` says how many there are at least.
#[test]
fn no_text_cases_are_lost() {
    let mut counts = BTreeMap::<String, usize>::new();
    for name in names() {
        let (subcommand, _) = name.split_once('/').unwrap();
        *counts.entry(subcommand.to_owned()).or_default() += 1;
    }
    let mut minimum = BTreeMap::new();
    for line in fs::read_to_string(directory().join("MINIMUM"))
        .unwrap()
        .lines()
    {
        let (subcommand, count) = line.split_once(' ').unwrap();
        minimum.insert(subcommand.to_owned(), count.parse::<usize>().unwrap());
    }
    for (subcommand, count) in &counts {
        println!("{count:4} {subcommand}");
        assert!(
            minimum.contains_key(subcommand),
            "add `{subcommand} {count}` to MINIMUM"
        );
    }
    println!("{:4} in all", counts.values().sum::<usize>());
    for (subcommand, minimum) in minimum {
        let count = counts.get(&subcommand).copied().unwrap_or_default();
        assert!(
            count >= minimum,
            "{subcommand}: {count} cases instead of {minimum}"
        );
    }
}

/// Every command that the help lists has cases, in a directory called like its first word.
#[test]
fn every_command_has_text_cases() {
    let commands = commands();
    assert!(commands.len() >= 15, "only {commands:?}");
    for command in commands {
        let first = command.split(' ').next().unwrap();
        assert!(
            directory().join(first).is_dir(),
            "tests/cases/{first} is missing"
        );
    }
}

/// The commands that the help lists; a name may have two words.
fn commands() -> Vec<String> {
    let help = Command::new(env!("CARGO_BIN_EXE_img"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let lines = help.lines().filter_map(|line| line.strip_prefix("  "));
    let commands = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
    // Two spaces stand in front of the description.
    commands
        .map(|line| line.split("  ").next().unwrap().to_owned())
        .collect()
}
