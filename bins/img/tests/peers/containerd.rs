//! What tests do with a containerd of their own.

use std::path::Path;

use imgtest::peer::Containerd;

use crate::demo::EXPECTED_LINE;

/// Imports an archive with the image `hello:demo`, and expects its program to say its line.
pub(crate) fn import_and_run(daemon: &Containerd, archive: &Path) {
    let imported = daemon.ctr(&[
        "images",
        "import",
        "--base-name",
        "hello",
        &archive.to_string_lossy(),
    ]);
    assert!(imported.contains("done"), "{imported}");
    let listed = daemon.ctr(&["images", "ls", "-q"]);
    let name = listed.lines().find(|line| line.contains("hello:demo"));
    let name = name.unwrap_or_else(|| panic!("{listed}"));
    run(daemon, &["--rm", name]);
}

/// Runs a container of the demo's image, and expects its program to say its line.
pub(crate) fn run(daemon: &Containerd, arguments: &[&str]) {
    // Containers of every containerd share one directory of runc's by their names.
    let socket = daemon.socket().display().to_string();
    let container = socket.replace(|c: char| !c.is_ascii_alphanumeric(), "");
    let output = daemon.ctr(&[&["run"], arguments, &[&container]].concat());
    assert_eq!(output.trim(), EXPECTED_LINE);
}
