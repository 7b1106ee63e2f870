//! Programs in Go that Debian does not have in the version that is needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::{go, skip};

/// Finds `crane` of go-containerregistry, which it builds the first time; says so when it cannot be had.
///
/// # Panics
///
/// When it cannot be had and the environment has `CI`.
pub fn crane() -> Option<PathBuf> {
    installed("github.com/google/go-containerregistry/cmd/crane@v0.22.1")
}

/// Finds `oras`, which it builds the first time; says so when it cannot be had.
///
/// # Panics
///
/// When it cannot be had and the environment has `CI`.
pub fn oras() -> Option<PathBuf> {
    installed("oras.land/oras/cmd/oras@v1.3.3")
}

/// Finds the conformance suite of the distribution specification, which it builds the first time; says so when it cannot
/// be had.
///
/// # Panics
///
/// When it cannot be had and the environment has `CI`.
pub fn conformance() -> Option<PathBuf> {
    installed(
        "github.com/opencontainers/distribution-spec/conformance@v0.0.0-20260831232431-97274622c111",
    )
}

/// Builds a program of the Go module proxy, once for all test programs.
fn installed(package: &str) -> Option<PathBuf> {
    let name = package.split('@').next()?.rsplit('/').next()?;
    let own = std::env::current_exe().expect("because a running test has a program");
    let directory = own.parent()?.join("imgtest-go");
    let program = directory.join(name);
    if program.is_file() {
        return Some(program);
    }
    let go = go()?;
    match install(&go, package, &directory, name) {
        Ok(()) => Some(program),
        Err(reason) => {
            skip(&format!("{package}: {reason}"));
            None
        }
    }
}

/// Each process builds its own and renames it, so that parallel tests never see half of one.
fn install(go: &Path, package: &str, directory: &Path, name: &str) -> Result<(), String> {
    let aside = directory.join(format!("{name}.{}", std::process::id()));
    let output = Command::new(go)
        .args(["install", package])
        .env("GOBIN", &aside)
        .env("GOFLAGS", "-trimpath")
        .env("GOTOOLCHAIN", "local")
        .output()
        .map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let moved = fs_err::rename(aside.join(name), directory.join(name));
    let removed = fs_err::remove_dir(aside);
    moved.and(removed).map_err(|error| error.to_string())
}
