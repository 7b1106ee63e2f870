//! The distribution specification's own suite, and what it says of Docker's registry on the same day.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use imgtest::oracle::conformance;
use imgtest::peer::{Access, DockerRegistry};
use tempfile::TempDir;

use crate::program::Program;

/// What the suite counted, by its own words.
type Score = BTreeMap<String, u64>;

#[test]
fn no_test_of_the_specification_fails() {
    let Some(suite) = conformance() else {
        return;
    };
    let work = TempDir::new().unwrap();
    // The suite counts what is optional, too.
    let root = work.path().join("registry");
    let root = ["--root", root.to_str().unwrap()];
    let rest = ["--address", "127.0.0.1:0", "--anonymous-mounts"];
    let program = Program::start_with(&[&root[..], &rest].concat());
    let mut ours = Vec::new();
    for version in ["1.1", "dev"] {
        let (score, report) = run(&suite, &program.address, version, work.path());
        println!("img-registry, specification {version}: {}", words(&score));
        assert!(score["Pass"] > 0, "{report}");
        for kind in ["FAIL", "Error"] {
            assert_eq!(score.get(kind), Some(&0), "{report}");
        }
        ours.push(score);
    }
    if let Some(registry) = DockerRegistry::start(Access::Open, work.path()) {
        let (score, _) = run(&suite, registry.address(), "1.1", work.path());
        println!("docker-registry, specification 1.1: {}", words(&score));
        assert!(score["Pass"] <= ours[0]["Pass"]);
    }
}

fn run(suite: &Path, address: &str, version: &str, work: &Path) -> (Score, String) {
    let results = work.join("results");
    let output = Command::new(suite)
        .current_dir(work)
        .env("OCI_REGISTRY", address)
        .env("OCI_TLS", "disabled")
        .env("OCI_VERSION", version)
        .env("OCI_RESULTS_DIR", results)
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    (score(&report), report)
}

/// Reads the lines `  Pass..........:  123` below `OCI Conformance Result`.
fn score(report: &str) -> Score {
    let lines = report.lines();
    let counts = lines.skip_while(|line| !line.starts_with("OCI Conformance Result"));
    let counts = counts.skip(1).take_while(|line| !line.trim().is_empty());
    let count = |line: &str| {
        let (name, number) = line.split_once(':')?;
        let name = name.trim().trim_end_matches('.').to_owned();
        Some((name, number.trim().parse().ok()?))
    };
    counts.filter_map(count).collect()
}

fn words(score: &Score) -> String {
    let words = score.iter().map(|(name, count)| format!("{name} {count}"));
    words.collect::<Vec<_>>().join(", ")
}
