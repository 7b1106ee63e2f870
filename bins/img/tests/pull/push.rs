//! `img push`: layouts and archives to a registry, and back.

use std::path::Path;

use fs_err as fs;
use imgtest::image::{Image, ImageIndex, index_of, write_layout};
use tempfile::TempDir;

use super::registry::Served;
use super::{fail, has_blob, image, run, succeed};

/// A directory with a layout of three platforms, called `image`.
fn layout() -> (TempDir, Vec<Image>, ImageIndex) {
    let images: Vec<Image> = ["amd64", "arm64", "riscv64"]
        .map(|architecture| image(architecture, 1000))
        .into();
    let index = index_of(&images);
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("layout");
    write_layout(&path, &index.blobs, &index.index, "image");
    (directory, images, index)
}

/// Pulls a name back, checks everything, and returns the digest of the root.
pub(crate) fn pulled(directory: &Path, name: &str) -> String {
    let back = TempDir::new_in(directory).unwrap();
    let back = back.path().join("back");
    let words = format!("pull {name} --oci-layout {}", back.display());
    let stdout = succeed(directory, &words);
    succeed(directory, &format!("check {}", back.display()));
    let digest = stdout.lines().find_map(|line| line.strip_prefix("digest "));
    digest.unwrap().trim().to_owned()
}

pub(crate) fn writes(asked: &[String]) -> Vec<&String> {
    let is_write = |it: &&String| !it.starts_with("GET ") && !it.starts_with("HEAD ");
    asked.iter().filter(is_write).collect()
}

#[test]
fn a_layout_is_pushed_under_each_name_and_tag_and_comes_back() {
    let (directory, _, index) = layout();
    let served = Served::start();
    let name = format!("{}/team/app", served.host());
    let words = format!("push layout {name}:1 {name}:1.2 --tag edge");
    let stdout = succeed(directory.path(), &words);
    let digest = index.index.digest;
    let expected = ["1", "edge", "1.2"].map(|tag| format!("{name}:{tag}@{digest}\n"));
    assert_eq!(stdout, expected.concat());
    for tag in ["1", "1.2", "edge"] {
        let found = pulled(directory.path(), &format!("{name}:{tag}"));
        assert_eq!(found, digest.to_string());
    }
}

#[test]
fn the_second_push_writes_nothing() {
    let (directory, _, _) = layout();
    let served = Served::start();
    let words = format!("push layout {}/app:1", served.host());
    let first = succeed(directory.path(), &words);
    assert!(!writes(&served.asked()).is_empty());
    let second = succeed(directory.path(), &words);
    assert_eq!(first, second);
    let asked = served.asked();
    assert_eq!(writes(&asked), Vec::<&String>::new(), "{asked:#?}");
    assert!(!asked.iter().any(|it| it.contains("/blobs/")), "{asked:#?}");
}

#[test]
fn an_archive_is_pushed_as_well_and_the_report_is_on_standard_error() {
    let served = Served::start();
    let directory = TempDir::new().unwrap();
    let one = image("amd64", 100_000);
    let path = directory.path().join("layout");
    write_layout(&path, &one.blobs, &one.manifest, "image");
    let archive = directory.path().join("image.tar");
    let mut tar = tar::Builder::new(fs::File::create(&archive).unwrap());
    tar.append_dir_all(".", &path).unwrap();
    tar.finish().unwrap();
    let output = run(
        directory.path(),
        &format!("push image.tar {}/app:1", served.host()),
    );
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    for part in [
        "sent            2 blobs, ",
        "manifests       1 written",
        "from image.tar",
    ] {
        assert!(stderr.contains(part), "{part} is not in: {stderr}");
    }
    let name = format!("{}/app:1", served.host());
    let digest = one.manifest.digest.to_string();
    assert_eq!(pulled(directory.path(), &name), digest);
}

#[test]
fn one_platform_of_an_index_is_pushed_alone() {
    let (directory, images, _) = layout();
    let served = Served::start();
    let name = format!("{}/app:arm", served.host());
    let words = format!("push --platform linux/arm64 layout {name}");
    let stdout = succeed(directory.path(), &words);
    let digest = images[1].manifest.digest.to_string();
    assert_eq!(stdout, format!("{name}@{digest}\n"));
    let asked = served.asked();
    let other = images[0].manifest.digest.to_string();
    assert!(!asked.iter().any(|it| it.contains(&other)), "{asked:#?}");
    assert_eq!(pulled(directory.path(), &name), digest);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_writes_nothing() {
    let (directory, images, index) = layout();
    let served = Served::start();
    let words = format!("push --dry-run layout {}/app:1", served.host());
    let plan = succeed(directory.path(), &words);
    assert!(
        plan.contains(&images[2].layers[0].digest.to_string()),
        "{plan}"
    );
    assert!(
        plan.contains(&format!("tag 1 = {}: written", index.index.digest)),
        "{plan}"
    );
    let asked = served.asked();
    assert_eq!(writes(&asked), Vec::<&String>::new(), "{asked:#?}");
    let json = succeed(directory.path(), &format!("{words} --json"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["refused"], serde_json::json!([]));
    assert!(json["steps"].as_array().unwrap().len() >= 10, "{json}");
}

#[test]
fn programs_read_what_happens_as_lines_of_json() {
    let (directory, images, index) = layout();
    let served = Served::start();
    let words = format!("push --json layout {}/app:1", served.host());
    let stdout = succeed(directory.path(), &words);
    let lines: Vec<serde_json::Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["event"], "planned");
    let layer = images[0].layers[0].digest.to_string();
    let done = lines
        .iter()
        .find(|line| line["event"] == "blob-done" && line["digest"] == layer)
        .unwrap();
    assert_eq!(
        (&done["how"], &done["from"]),
        (&"sent".into(), &"layout".into())
    );
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "pushed");
    assert_eq!(last["images"][0]["digest"], index.index.digest.to_string());
    assert_eq!(last["images"][0]["pushed"], true);
}

#[test]
fn a_layer_that_is_missing_fails_and_no_tag_is_written() {
    let (directory, images, _) = layout();
    let served = Served::start();
    let layer = images[1].layers[0].digest;
    let file = directory
        .path()
        .join("layout/blobs/sha256")
        .join(layer.hex());
    fs::remove_file(file).unwrap();
    let words = format!("push layout {}/app:1", served.host());
    let stderr = fail(directory.path(), &words);
    assert!(stderr.contains(&layer.to_string()), "{stderr}");
    let asked = served.asked();
    assert!(
        !asked.contains(&"PUT /v2/app/manifests/1".to_owned()),
        "{asked:#?}"
    );
    // What arrived is not sent again when it is there.
    fs::write(
        directory
            .path()
            .join("layout/blobs/sha256")
            .join(layer.hex()),
        images[1].blob(&images[1].layers[0]),
    )
    .unwrap();
    succeed(directory.path(), &words);
    let asked = served.asked();
    let uploads = asked.iter().filter(|it| it.starts_with("POST "));
    assert_eq!(uploads.count(), 1, "{asked:#?}");
}

#[test]
fn a_tag_that_must_stay_is_not_moved() {
    let (directory, images, _) = layout();
    let served = Served::start();
    let name = format!("{}/app:1", served.host());
    succeed(
        directory.path(),
        &format!("push --platform linux/amd64 layout {name}"),
    );
    let words = format!("push --existing-tags keep layout {name}");
    let stderr = fail(directory.path(), &words);
    assert!(
        stderr.contains(&images[0].manifest.digest.to_string()),
        "{stderr}"
    );
    let digest = images[0].manifest.digest.to_string();
    assert_eq!(pulled(directory.path(), &name), digest);
    succeed(directory.path(), &format!("push layout {name}"));
}

#[test]
fn a_layer_of_another_repository_is_mounted() {
    let (directory, images, _) = layout();
    let served = Served::start();
    let host = served.host();
    succeed(directory.path(), &format!("push layout {host}/base:1"));
    served.asked();
    let words = format!("push --mount require --mount-from base layout {host}/app:1");
    succeed(directory.path(), &words);
    let asked = served.asked();
    let sent = asked
        .iter()
        .any(|it| it.starts_with("PATCH ") || it.starts_with("PUT /v2/app/blobs"));
    assert!(!sent, "{asked:#?}");
    assert!(!has_blob(directory.path(), &images[0].config.digest));
}

#[test]
fn a_registry_that_is_not_there_is_named() {
    let (directory, _, _) = layout();
    let address = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let stderr = fail(directory.path(), &format!("push layout {address}/app:1"));
    assert!(stderr.contains(&address.to_string()), "{stderr}");
}
