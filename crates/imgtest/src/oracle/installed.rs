//! Programs in Go and Python that Debian does not have, or not in the version that is needed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock, PoisonError};

use super::{go, skip, tool, try_build_go};

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

/// Finds moto's server of S3, which it installs the first time; says so when it cannot be had.
///
/// # Panics
///
/// When it cannot be had and the environment has `CI`.
pub fn moto_server() -> Option<Command> {
    let python = tool("python3")?;
    // Less than the extra `server`, which brings what other services need.
    let packages = ["moto[s3]==5.2.0", "flask", "flask-cors"];
    let directory = once("imgtest-python", "moto", |aside| {
        let mut pip = Command::new(&python);
        pip.args(["-m", "pip", "install", "--quiet", "--no-compile"]);
        pip.arg("--disable-pip-version-check");
        pip.args(packages).arg("--target").arg(aside.join("moto"));
        Some(finish(&mut pip))
    })?;
    let mut command = Command::new(python);
    command
        .args(["-m", "moto.server"])
        .env("PYTHONPATH", directory);
    Some(command)
}

/// Builds a server of go-containerregistry's registry, once for this process; says so when its module cannot be had.
///
/// # Panics
///
/// When it cannot be had and the environment has `CI`.
pub fn go_registry() -> Option<PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let built = try_build_go(&go()?, "registry");
        let missing = |reason: &String| skip(&format!("go-containerregistry: {reason}"));
        built.inspect_err(missing).ok()
    };
    PROGRAM.get_or_init(build).clone()
}

/// Builds a program of the Go module proxy, once for all test programs.
fn installed(package: &str) -> Option<PathBuf> {
    let name = package.split('@').next()?.rsplit('/').next()?;
    once("imgtest-go", name, |aside| {
        let mut install = Command::new(go()?);
        install.args(["install", package]).env("GOBIN", aside);
        install
            .env("GOFLAGS", "-trimpath")
            .env("GOTOOLCHAIN", "local");
        Some(finish(&mut install))
    })
}

/// Returns what is called `name` in a folder beside the test programs; it is made the first time, in a directory that the
/// closure is told. `None` where that fails, which has then been said, by the closure if it has no outcome.
fn once(
    folder: &str,
    name: &str,
    make: impl FnOnce(&Path) -> Option<Result<(), String>>,
) -> Option<PathBuf> {
    static MAKING: Mutex<()> = Mutex::new(());

    let own = std::env::current_exe().expect("because a running test has a program");
    let folder = own.parent()?.join(folder);
    let result = folder.join(name);
    let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if result.exists() {
        return Some(result);
    }
    // Each process makes its own and renames it, so that parallel ones never see half of it.
    let aside = folder.join(format!("{name}.{}", std::process::id()));
    let outcome = make(&aside)?.and_then(|()| {
        let moved = fs_err::rename(aside.join(name), &result);
        // Another process may have been faster.
        if result.exists() {
            return Ok(());
        }
        moved.map_err(|error| error.to_string())
    });
    // What is left of it helps nobody.
    let _ = fs_err::remove_dir_all(aside);
    match outcome {
        Ok(()) => Some(result),
        Err(reason) => {
            skip(&format!("{name}: {reason}"));
            None
        }
    }
}

fn finish(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}
