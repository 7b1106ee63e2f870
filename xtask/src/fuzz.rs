//! `cargo xtask fuzz-smoke`: every fuzz target, for a short time each.

use clap::Args;
use fs_err as fs;

use crate::run::{Result, check, command, exists, root};

#[derive(Args)]
pub(crate) struct Options {
    /// How many seconds each target runs
    #[arg(long, default_value_t = 10)]
    seconds: u32,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if !exists("cargo-fuzz") {
        return Err("cargo-fuzz is not here: cargo install cargo-fuzz".to_owned());
    }
    for target in targets()? {
        let time = format!("-max_total_time={}", options.seconds);
        // What is found goes into the first directory; the committed corpus is only read.
        let found = format!("target/fuzz-found/{target}");
        fs::create_dir_all(root().join(&found)).map_err(|error| error.to_string())?;
        check(&mut command(
            "cargo",
            &[
                "+nightly",
                "fuzz",
                "run",
                "--features=libfuzzer",
                &target,
                &found,
                &format!("fuzz/corpus/{target}"),
                "--",
                &time,
            ],
        ))?;
    }
    Ok(())
}

/// Replays the committed corpora on the stable compiler.
pub(crate) fn replay() -> Result<()> {
    check(&mut command(
        "cargo",
        &[
            "test",
            "--quiet",
            "--manifest-path",
            "fuzz/Cargo.toml",
            "--target-dir",
            "target",
        ],
    ))
}

fn targets() -> Result<Vec<String>> {
    let directory = root().join("fuzz/fuzz_targets");
    let mut targets = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        if let Some(stem) = path.file_stem() {
            targets.push(stem.to_string_lossy().into_owned());
        }
    }
    targets.sort();
    Ok(targets)
}
