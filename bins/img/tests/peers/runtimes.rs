//! Copiers and runtimes accept the demo image, and its program runs.

use std::path::Path;
use std::process::Command;

use imgtest::peer::Containerd;
use tempfile::TempDir;

use crate::containerd::import_and_run;
use crate::demo::demo;
use crate::tool::{copy_tree, img, succeed, text, tool};

#[test]
fn img_check_finds_nothing_wrong_with_the_demo() {
    let Some(demo) = demo() else { return };
    img([Path::new("check"), &demo.layout]);
    img([Path::new("check"), &demo.docker]);
}

#[test]
fn umoci_unpacks_the_layout() {
    let Some(demo) = demo() else { return };
    umoci_unpacks(&demo.single);
}

/// Unpacks the image `demo` of a layout, if umoci is here.
pub(crate) fn umoci_unpacks(layout: &Path) {
    let Some(umoci) = tool("umoci") else { return };
    let work = TempDir::new().unwrap();
    let bundle = work.path().join("bundle");
    let image = format!("{}:demo", layout.display());
    succeed(
        Command::new(umoci)
            .args(["unpack", "--image", &image])
            .arg(&bundle),
    );
    assert!(bundle.join("rootfs/bin/hello").is_file());
}

#[test]
fn skopeo_copies_the_layout_to_a_docker_archive() {
    let Some(demo) = demo() else { return };
    skopeo_copies_to_a_docker_archive(&demo.layout, |_| {});
}

/// Copies the image `demo` of a layout, if skopeo is here, and checks the archive; `more` looks at it as well.
pub(crate) fn skopeo_copies_to_a_docker_archive(layout: &Path, more: impl FnOnce(&Path)) {
    let Some(skopeo) = tool("skopeo") else { return };
    let work = TempDir::new().unwrap();
    let copy = work.path().join("image.tar");
    let from = format!("oci:{}:demo", layout.display());
    let to = format!("docker-archive:{}:hello:demo", copy.display());
    succeed(Command::new(skopeo).args(["--insecure-policy", "copy", &from, &to]));
    // The archive has plain tars, and `check` hashes them.
    img([Path::new("check"), &copy]);
    more(&copy);
}

#[test]
fn skopeo_reads_the_docker_archive() {
    let (Some(skopeo), Some(demo)) = (tool("skopeo"), demo()) else {
        return;
    };
    let work = TempDir::new().unwrap();
    let from = format!("docker-archive:{}", demo.docker.display());
    let to = format!("oci:{}:copy", work.path().join("layout").display());
    succeed(Command::new(skopeo).args(["--insecure-policy", "copy", &from, &to]));
}

#[test]
fn podman_loads_the_docker_archive_and_img_reads_what_it_saves() {
    let (Some(podman), Some(_), Some(demo)) = (tool("podman"), tool("crun"), demo()) else {
        return;
    };
    let work = TempDir::new().unwrap();
    let podman = |arguments: &[&str]| {
        let mut command = Command::new(&podman);
        command.arg("--root").arg(work.path().join("root"));
        command.arg("--runroot").arg(work.path().join("run"));
        command.args(["--storage-driver", "vfs"]).args(arguments);
        text(&succeed(&mut command))
    };
    podman(&["load", "--input", &demo.docker.to_string_lossy()]);
    let images = podman(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    assert!(images.contains("hello:demo"), "{images}");
    for format in ["docker-archive", "oci-archive"] {
        let saved = work.path().join(format);
        let output = saved.to_string_lossy();
        podman(&[
            "save",
            "--format",
            format,
            "--output",
            &output,
            "hello:demo",
        ]);
        img([Path::new("check"), &saved]);
    }
}

#[test]
fn containerd_imports_and_runs_the_layout() {
    let (Some(_), Some(demo)) = (tool("runc"), demo()) else {
        return;
    };
    let work = TempDir::new().unwrap();
    let archive = work.path().join("image.tar");
    succeed(
        Command::new("tar")
            .arg("-C")
            .arg(&demo.layout)
            .arg("-cf")
            .arg(&archive)
            .arg("."),
    );
    if let Some(daemon) = Containerd::start(work.path()) {
        import_and_run(&daemon, &archive);
    }
}

#[test]
fn containerd_imports_and_runs_zstd_layers() {
    let (Some(_), Some(demo)) = (tool("runc"), demo()) else {
        return;
    };
    let work = TempDir::new().unwrap();
    copy_tree(&demo.work, work.path());
    let file = fs_err::read_to_string(demo.work.join("img.toml")).unwrap();
    fs_err::write(
        work.path().join("img.toml"),
        format!("compression = \"zstd\"\n{file}"),
    )
    .unwrap();
    img([Path::new("build"), &work.path().join("img.toml")]);
    let archive = work.path().join("out/oci.tar");
    let manifest = img([
        "inspect".as_ref(),
        archive.as_os_str(),
        "--manifest".as_ref(),
        "--platform=linux/amd64".as_ref(),
    ]);
    assert!(
        manifest.contains("tar+zstd") && !manifest.contains("tar+gzip"),
        "{manifest}"
    );
    if let Some(daemon) = Containerd::start(work.path()) {
        import_and_run(&daemon, &archive);
    }
}
