//! Inputs that are too large for every run: `cargo xtask test --all`.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::tool::{succeed, tool};

/// What `img layer` may hold at its peak, in KiB.
const MOST_MEMORY: u64 = 100 << 10;
/// The same for eStargz, whose table of contents has an entry for each file: 128 MB.
const MOST_MEMORY_ESTARGZ: u64 = 125_000;

#[test]
#[ignore = "writes and reads 4 GiB: cargo xtask test --all"]
fn a_file_of_4_gib_needs_little_memory() {
    let work = TempDir::new().unwrap();
    let file = fs_err::File::create(work.path().join("large")).unwrap();
    file.set_len(4 << 30).unwrap();
    for format in ["gzip", "zstd", "none"] {
        check_memory(work.path(), &["--format", format, "--add", "large=large"]);
    }
    check_memory(work.path(), &["--estargz", "--add", "large=large"]);
}

#[test]
#[ignore = "makes 200,000 files: cargo xtask test --all"]
fn many_files_need_little_memory() {
    let work = TempDir::new().unwrap();
    let mut list = String::new();
    for number in 0..200_000 {
        let directory = format!("package-{:03}/with/a/path/of/some/length", number / 500);
        let file = format!("{directory}/file-{number:06}.txt");
        if number % 500 == 0 {
            fs_err::create_dir_all(work.path().join("tree").join(&directory)).unwrap();
        }
        // Every third content is one of a few, so that there is something to link.
        let content = if number % 3 == 0 { number % 7 } else { number };
        fs_err::write(work.path().join("tree").join(&file), content.to_string()).unwrap();
        writeln!(
            list,
            "opt/application/share/node_modules/{file}\0ftree/{file}"
        )
        .unwrap();
    }
    fs_err::write(work.path().join("list"), list).unwrap();
    check_memory(work.path(), &["--add-from-file", "list"]);
    check_memory(work.path(), &["--add", "tree=tree"]);
    check_memory(work.path(), &["--estargz", "--add", "tree=tree"]);
}

/// Runs `img layer` under GNU time, which prints the peak of its memory.
fn check_memory(work: &Path, inputs: &[&str]) {
    let Some(time) = tool("time") else { return };
    let mut command = Command::new(time);
    command.args(["--format", "%M", env!("CARGO_BIN_EXE_img"), "layer"]);
    let output = succeed(command.args(inputs).arg("layer").current_dir(work));
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    let peak: u64 = report
        .lines()
        .last()
        .and_then(|line| line.parse().ok())
        .unwrap();
    println!("{inputs:?}: {peak} KiB at the peak");
    let most = if inputs.contains(&"--estargz") {
        MOST_MEMORY_ESTARGZ
    } else {
        MOST_MEMORY
    };
    assert!(peak < most, "{inputs:?}: {peak} KiB");
    fs_err::remove_file(work.join("layer")).unwrap();
}
