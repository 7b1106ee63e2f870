//! What the example shows: a layer comes out, and nothing heavy came in.

use std::process::Command;

use imglayer::filesystem::{Contents, entries_of};

/// The start of names of crates that a program must not get with imglayer.
const HEAVY: [&str; 12] = [
    "async", "axum", "clap", "futures", "h2", "http", "hyper", "reqwest", "rustls", "tokio",
    "tower", "tracing",
];

#[test]
fn example_writes_a_layer() {
    let output = Command::new(env!("CARGO_BIN_EXE_write-layer"))
        .output()
        .unwrap();
    assert!(output.status.success());
    let entries = entries_of(&output.stdout[..], Contents::Skip).unwrap();
    let names: Vec<&[u8]> = entries.iter().map(|entry| &*entry.header.path).collect();
    assert_eq!(names, [&b"bin/greet"[..], b"bin/hello", b"etc/motd"]);
}

#[test]
fn example_brings_no_runtime_no_http_and_no_command_line() {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--edges", "normal", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(tree.contains("imglayer "), "{tree}");
    let heavy: Vec<&str> = tree
        .lines()
        .filter(|line| HEAVY.iter().any(|name| line.starts_with(name)))
        .collect();
    assert!(heavy.is_empty(), "{heavy:?}");
}
