//! Exit codes for wrong usage, a row for each command that builds call: scripts compare them.

use std::process::{Command, Output};

/// Commands of the Go tool, and its exit code for an unknown flag or a bad value.
const CODES: [(&str, i32); 24] = [
    ("compress", 1),
    ("deploy", 1),
    ("deploy-merge", 1),
    ("deploy-metadata", 1),
    ("docker-save", 2),
    ("download-blob", 2),
    ("download-manifest", 2),
    ("expand-template", 2),
    ("hash", 1),
    ("index", 1),
    ("index-from-oci-layout", 2),
    ("layer", 1),
    ("manifest", 1),
    ("manifest-from-oci-layout", 2),
    ("mtree", 2),
    ("oci-layout", 2),
    ("oci-layout-metadata", 2),
    ("optimize", 1),
    ("pull", 2),
    ("push blob", 1),
    ("push manifest", 1),
    ("sparse-oci-layout", 2),
    ("sync-oci-ref-graph", 2),
    ("validate layer-presence", 1),
];

/// Commands of our own.
const OWN: [&str; 10] = [
    "auth explain",
    "build",
    "check",
    "completions",
    "diff",
    "inspect",
    "load",
    "ls",
    "man",
    "push",
];

fn img(command: &str, argument: &str) -> Output {
    let mut img = Command::new(env!("CARGO_BIN_EXE_img"));
    img.args(command.split(' ')).arg(argument).output().unwrap()
}

#[test]
fn every_command_has_a_row() {
    let builds = CODES.map(|(command, _)| command);
    let mut rows: Vec<&str> = builds.into_iter().chain(OWN).collect();
    let mut commands = crate::commands();
    rows.sort_unstable();
    commands.sort_unstable();
    assert_eq!(rows, commands);
}

#[test]
fn unknown_flag_has_the_exit_code_of_the_go_tool() {
    let own = OWN.map(|command| (command, 2));
    for (command, code) in CODES.into_iter().chain(own) {
        let output = img(command, "--no-such-flag-anywhere");
        assert_eq!(output.status.code(), Some(code), "{command}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        let message = "img: unknown flag --no-such-flag-anywhere\n";
        assert!(stderr.starts_with(message), "{command}: {stderr}");
        assert!(stderr.contains("\nhint: "), "{command}: {stderr}");
        assert!(output.stdout.is_empty(), "{command}");
    }
}

/// The Go tool parses its flags first, and looks for what is missing later.
#[test]
fn what_is_missing_exits_1_whatever_an_unknown_flag_does() {
    for (command, _) in CODES {
        let output = Command::new(env!("CARGO_BIN_EXE_img"))
            .args(command.split(' '))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{command}");
        assert!(output.stderr.starts_with(b"img: "), "{command}");
    }
}

#[test]
fn help_is_an_answer_everywhere() {
    let builds = CODES.map(|(command, _)| command);
    for command in builds.into_iter().chain(OWN) {
        for flag in ["--help", "-help", "-h"] {
            let output = img(command, flag);
            assert_eq!(output.status.code(), Some(0), "{command} {flag}");
            let stdout = String::from_utf8(output.stdout).unwrap();
            assert!(
                stdout.contains(&format!("Usage: img {command}")),
                "{command}: {stdout}"
            );
            assert!(output.stderr.is_empty(), "{command} {flag}");
        }
    }
}
