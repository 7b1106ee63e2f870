//! `cargo xtask demo`: files on disk become an image that real runtimes run.

use std::path::{Path, PathBuf};

use clap::Args;
use fs_err as fs;

use crate::peers;
use crate::run::{Result, cargo, check, command, exists, is_root, root};

#[derive(Args)]
pub(crate) struct Options {
    /// Where the image goes
    #[arg(long, default_value = "target/demo")]
    output: PathBuf,
}

/// A compiler of the example's program for one platform.
struct Compiler {
    architecture: &'static str,
    program: &'static str,
    package: &'static str,
}

const COMPILERS: &[Compiler] = &[
    Compiler {
        architecture: "amd64",
        program: "x86_64-linux-gnu-gcc",
        package: "gcc-x86-64-linux-gnu",
    },
    Compiler {
        architecture: "arm64",
        program: "aarch64-linux-gnu-gcc",
        package: "gcc-aarch64-linux-gnu libc6-dev-arm64-cross",
    },
];

pub(crate) fn run(options: &Options) -> Result<()> {
    let output = root().join(&options.output);
    let work = prepare(&output)?;
    for compiler in COMPILERS {
        compile(compiler, &work)?;
    }
    check(&mut cargo(&["build", "--package", "img"]))?;
    let file = work.join("img.toml");
    let img = root().join("target/debug/img");
    check(command(&img.to_string_lossy(), &["build", &file.to_string_lossy()]).current_dir(&work))?;
    let layout = work.join("out/layout");
    check(&mut command(
        &img.to_string_lossy(),
        &["check", &layout.to_string_lossy()],
    ))?;
    println!();
    println!("layout:  {}", layout.display());
    println!("archive: {}", work.join("out/docker.tar").display());
    println!(
        "run it:  podman load --input {} && podman run --rm hello:demo",
        work.join("out/docker.tar").display()
    );
    Ok(())
}

/// Copies the example, so that building it leaves the source tree clean.
fn prepare(output: &Path) -> Result<PathBuf> {
    let text = |error: std::io::Error| error.to_string();
    if output.exists() {
        refuse_others(output)?;
        fs::remove_dir_all(output).map_err(text)?;
    }
    fs::create_dir_all(output).map_err(text)?;
    let source = root().join("examples/hello");
    check(&mut command(
        "cp",
        &[
            "-R",
            &format!("{}/.", source.display()),
            &output.to_string_lossy(),
        ],
    ))?;
    Ok(output.to_owned())
}

/// Refuses a directory that no demo made: it is going to be removed.
fn refuse_others(output: &Path) -> Result<()> {
    let mut entries = fs::read_dir(output).map_err(|error| error.to_string())?;
    let is_ours = output.join("hello.c").is_file() && output.join("img.toml").is_file();
    if is_ours || entries.next().is_none() {
        return Ok(());
    }
    Err(format!(
        "{} has files that are not the demo's: name another directory",
        output.display()
    ))
}

fn compile(compiler: &Compiler, work: &Path) -> Result<()> {
    let program = find(compiler)?;
    let directory = work.join("build").join(compiler.architecture);
    fs::create_dir_all(&directory).map_err(|error| error.to_string())?;
    let output = directory.join("hello");
    let source = work.join("hello.c");
    check(&mut command(
        program,
        &[
            "-static",
            "-Os",
            "-s",
            "-o",
            &output.to_string_lossy(),
            &source.to_string_lossy(),
        ],
    ))
}

/// Returns the compiler's name, and installs it where that needs no question: as root, with apt.
fn find(compiler: &Compiler) -> Result<&'static str> {
    let native = if cfg!(target_arch = "x86_64") {
        "amd64"
    } else {
        "arm64"
    };
    if compiler.architecture == native && exists("gcc") {
        return Ok("gcc");
    }
    if !exists(compiler.program) && is_root() && exists("apt-get") {
        peers::install_packages(compiler.package)?;
    }
    if exists(compiler.program) {
        return Ok(compiler.program);
    }
    Err(format!(
        "`{}` is not here: apt-get install {}",
        compiler.program, compiler.package
    ))
}

#[cfg(test)]
mod tests {
    use super::refuse_others;

    #[test]
    fn only_what_a_demo_made_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        assert_eq!(refuse_others(path), Ok(()));
        fs_err::write(path.join("img.toml"), "").unwrap();
        assert!(refuse_others(path).is_err());
        fs_err::write(path.join("hello.c"), "").unwrap();
        assert_eq!(refuse_others(path), Ok(()));
    }
}
