//! The image of `examples/hello`, built once for all tests of this binary.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::tool::{copy_tree, img, succeed, tool};

/// What the program in the image prints.
pub(crate) const EXPECTED_LINE: &str = "hello from an image without a daemon";

/// The demo image as `img build` left it.
pub(crate) struct Demo {
    /// The copy of the example, with its programs compiled.
    pub(crate) work: PathBuf,
    /// An OCI layout with both platforms, tagged.
    pub(crate) layout: PathBuf,
    /// An OCI layout with one platform: not every tool chooses from an index.
    pub(crate) single: PathBuf,
    /// A docker archive of the host's platform.
    pub(crate) docker: PathBuf,
}

/// Builds the demo image; `None` when a compiler is missing.
pub(crate) fn demo() -> Option<&'static Demo> {
    static DEMO: OnceLock<Option<Demo>> = OnceLock::new();
    DEMO.get_or_init(build).as_ref()
}

fn build() -> Option<Demo> {
    let native = tool("gcc")?;
    let cross = tool("aarch64-linux-gnu-gcc")?;
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo");
    let _ = fs_err::remove_dir_all(&work);
    fs_err::create_dir_all(&work).unwrap();
    copy_tree(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/hello"),
        &work,
    );
    for (compiler, architecture) in [(&native, "amd64"), (&cross, "arm64")] {
        let directory = work.join("build").join(architecture);
        fs_err::create_dir_all(&directory).unwrap();
        succeed(
            Command::new(compiler)
                .args(["-static", "-Os", "-s", "-o"])
                .arg(directory.join("hello"))
                .arg(work.join("hello.c")),
        );
    }
    let file = work.join("img.toml");
    let platform = Path::new("--platform=linux/amd64");
    img([Path::new("build"), platform, &file]);
    fs_err::rename(work.join("out"), work.join("single")).unwrap();
    img([Path::new("build"), &file]);
    Some(Demo {
        work: work.clone(),
        single: work.join("single/layout"),
        layout: work.join("out/layout"),
        docker: work.join("out/docker.tar"),
    })
}
