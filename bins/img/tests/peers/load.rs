//! `img load` brings the demo image into containerd, and its program runs.

use std::path::{Path, PathBuf};

use imgtest::peer::Containerd;
use serde_json::Value;
use tempfile::TempDir;

use crate::containerd::run;
use crate::demo::demo;
use crate::tool::{copy_tree, img, tool};

const NAME: &str = "docker.io/library/hello:demo";

#[test]
fn containerd_runs_what_was_loaded_whatever_its_layers_are() {
    let (Some(_), Some(_)) = (tool("runc"), demo()) else {
        return;
    };
    let work = TempDir::new().unwrap();
    let Some(daemon) = Containerd::start(work.path()) else {
        return;
    };
    for settings in [
        "compression = \"gzip\"",
        "compression = \"zstd\"",
        "compression = \"none\"",
        "estargz = true",
    ] {
        println!("{settings}");
        let built = TempDir::new().unwrap();
        let layout = built_with(settings, built.path());
        let printed = load(&daemon, &layout, &[]);
        let digest = root_of(&layout);
        assert_eq!(printed, format!("{NAME}@{digest}\n"));
        assert_eq!(daemon.digest_of("default", NAME), Some(digest));
        daemon.collect_garbage("default");
        let checked = daemon.ctr(&["images", "check"]);
        assert!(checked.contains("complete"), "{checked}");
        run(&daemon, &["--rm", NAME]);
        // What the container brought with it is in nobody's way.
        let again = load(&daemon, &layout, &["--json"]);
        let last: Value = serde_json::from_str(again.lines().last().unwrap()).unwrap();
        assert_eq!(last["event"], "loaded");
        assert_eq!(last["sent"]["blobs"], 0);
        assert_eq!(last["names"][0]["change"], "unchanged");
        assert_eq!(last["left_out"], 1);
    }
}

#[test]
fn other_platforms_are_loaded_when_they_are_asked_for() {
    let Some(demo) = demo() else { return };
    let work = TempDir::new().unwrap();
    let Some(daemon) = Containerd::start(work.path()) else {
        return;
    };
    load(
        &daemon,
        &demo.layout,
        &["--platform", "linux/arm64", "--tag", "more"],
    );
    let few = daemon.blobs("default").len();
    let names = daemon.ctr(&["images", "ls", "--quiet"]);
    assert_eq!(names, format!("{NAME}\ndocker.io/library/hello:more\n"));
    load(
        &daemon,
        &demo.layout,
        &["--platform", "all", "--namespace", "other"],
    );
    assert!(daemon.blobs("other").len() > few);
}

/// Builds the demo image with a line in front of its build file.
fn built_with(settings: &str, work: &Path) -> PathBuf {
    let demo = demo().unwrap();
    copy_tree(&demo.work, work);
    let file = work.join("img.toml");
    let text = fs_err::read_to_string(&file).unwrap();
    fs_err::write(&file, format!("{settings}\n{text}")).unwrap();
    fs_err::remove_dir_all(work.join("out")).unwrap();
    img([Path::new("build"), &file]);
    work.join("out/layout")
}

fn load(daemon: &Containerd, layout: &Path, more: &[&str]) -> String {
    let socket = daemon.socket();
    let mut words = vec!["load".as_ref(), layout.as_os_str()];
    words.extend(["--containerd".as_ref(), socket.as_os_str()]);
    words.extend(more.iter().map(|word| word.as_ref() as &std::ffi::OsStr));
    img(words)
}

/// Returns the digest of the only image that a layout names.
fn root_of(layout: &Path) -> String {
    let index = fs_err::read(layout.join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    index["manifests"][0]["digest"].as_str().unwrap().to_owned()
}
