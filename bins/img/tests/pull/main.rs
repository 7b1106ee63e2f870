//! Commands that pull and push, against a registry in the process of the test.
#![allow(clippy::panic, clippy::unwrap_used, reason = "all of this is a test")]

mod build;
mod cache;
mod deploy;
mod many;
mod push;
mod registry;

use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use fs_err as fs;
use imgcore::Digest;
use imgtar::Codec;
use imgtest::image::{Image, ImageBuilder, ImageIndex, index_of};
use imgtest::tar::{file, tar_of};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use self::registry::Served;

/// The program in a directory, without the variables of whoever runs the tests.
pub(crate) fn img(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_img"));
    command
        .current_dir(directory)
        .env_clear()
        .env("IMG_REGISTRY_RETRY_MAX_ATTEMPTS", "1");
    command
}

/// What servers of the tests run on.
pub(crate) fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

/// Runs the program with words that are separated by spaces.
pub(crate) fn run(directory: &Path, words: &str) -> Output {
    img(directory)
        .args(words.split_whitespace())
        .output()
        .unwrap()
}

pub(crate) fn succeed(directory: &Path, words: &str) -> String {
    let output = run(directory, words);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "img {words}\n{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

/// Returns what the program says on its way to a failure.
pub(crate) fn fail(directory: &Path, words: &str) -> String {
    let output = run(directory, words);
    assert_eq!(output.status.code(), Some(1), "img {words}");
    String::from_utf8(output.stderr).unwrap()
}

/// An image with a layer of this many bytes.
pub(crate) fn image(architecture: &str, size: usize) -> Image {
    let content: Vec<u8> = (0..=250).cycle().take(size).collect();
    let tar = tar_of([file("content", content), file("architecture", architecture)]);
    ImageBuilder::new()
        .platform("linux", architecture, None)
        .layer(&tar, Codec::None)
        .build()
}

fn three() -> (Served, Vec<Image>, ImageIndex) {
    let images: Vec<Image> = ["amd64", "arm64", "riscv64"]
        .map(|architecture| image(architecture, 1000))
        .into();
    let index = index_of(&images);
    let served = Served::start();
    served.push(&index.blobs, &index.index, "1");
    (served, images, index)
}

fn has_blob(directory: &Path, digest: &Digest) -> bool {
    directory.join("blobs/sha256").join(digest.hex()).is_file()
}

#[test]
fn a_login_that_cannot_be_read_is_told_once() {
    let (served, _, index) = three();
    served.want_login();
    let directory = TempDir::new().unwrap();
    let host = served.host();
    let config = format!(r#"{{"auths": {{"{host}": {{"auth": "?"}}}}}}"#);
    let digest = index.index.digest;
    // The client asks for each repository, more than once.
    let words = format!(
        "download-blob --verbose --digest {digest} --source app@{host} --source other@{host} --output out"
    );
    let output = img(directory.path())
        .args(words.split_whitespace())
        .env("IMG_DOCKER_CONFIG_INLINE", config)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(served.asked().len() > 1, "both are asked");
    let stderr = String::from_utf8(output.stderr).unwrap();
    let warnings: Vec<_> = stderr
        .lines()
        .filter(|line| line.starts_with("img: warning:"))
        .map(|line| line.replace(host, "HOST"))
        .collect();
    let expected = "img: warning: credentials for HOST: IMG_DOCKER_CONFIG_INLINE, auths[\"HOST\"]: failed: auth is no Base64";
    assert_eq!(warnings, [expected], "{stderr}");
}

#[test]
fn a_shallow_pull_of_three_platforms_makes_seven_requests() {
    let (served, images, index) = three();
    let directory = TempDir::new().unwrap();
    let words = format!(
        "pull --repository app --registry {} --reference {} --output out",
        served.host(),
        index.index.digest
    );
    succeed(directory.path(), &words);
    let asked = served.asked();
    assert_eq!(asked.len(), 7, "{asked:#?}");
    assert!(asked.iter().all(|it| it.starts_with("GET ")), "{asked:#?}");
    let out = directory.path().join("out");
    assert!(has_blob(&out, &index.index.digest));
    for image in &images {
        assert!(has_blob(&out, &image.manifest.digest));
        assert!(has_blob(&out, &image.config.digest));
        assert!(!has_blob(&out, &image.layers[0].digest));
    }
    let blobs = fs::read_dir(out.join("blobs/sha256")).unwrap();
    assert_eq!(blobs.count(), 7);
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1, "blobs alone");
    // What is there is not asked for again.
    succeed(directory.path(), &words);
    assert_eq!(served.asked(), Vec::<String>::new());
}

#[test]
fn a_layout_of_a_tag_is_whole_and_has_its_name() {
    let (served, _, index) = three();
    let directory = TempDir::new().unwrap();
    let words = format!("pull {}/app:1 --oci-layout out", served.host());
    let stdout = succeed(directory.path(), &words);
    let digest = format!("digest          {}\n", index.index.digest);
    assert!(stdout.contains(&digest), "{stdout}");
    let checked = succeed(directory.path(), "check out:1");
    assert!(checked.starts_with("3 images, 3 layers"), "{checked}");
    let inspected = succeed(directory.path(), "inspect out:1 --platform linux/arm64");
    assert!(inspected.contains("arm64"), "{inspected}");
}

#[test]
fn one_platform_of_an_index_is_an_image_of_the_layout() {
    let (served, images, _) = three();
    let directory = TempDir::new().unwrap();
    let words = format!(
        "pull --platform linux/arm64 --oci-layout out {}/app:1",
        served.host()
    );
    succeed(directory.path(), &words);
    assert_eq!(served.asked().len(), 4);
    let checked = succeed(directory.path(), "check out");
    assert!(checked.starts_with("1 image, 1 layer"), "{checked}");
    assert!(has_blob(
        &directory.path().join("out"),
        &images[1].layers[0].digest
    ));
}

#[test]
fn two_platforms_of_three_leave_a_gap_that_check_explains() {
    let (served, images, _) = three();
    let directory = TempDir::new().unwrap();
    let words = format!(
        "pull --platform linux/arm64,linux/amd64 --oci-layout out {}/app:1",
        served.host()
    );
    succeed(directory.path(), &words);
    let out = directory.path().join("out");
    for (image, is_there) in images.iter().zip([true, true, false]) {
        for blob in [&image.manifest, &image.config, &image.layers[0]] {
            assert_eq!(has_blob(&out, &blob.digest), is_there);
        }
    }
    let checked = run(directory.path(), "check out:1");
    assert_eq!(checked.status.code(), Some(1));
    let told = [checked.stdout, checked.stderr].concat();
    let told = String::from_utf8(told).unwrap();
    insta::assert_snapshot!(told, @r"
    1: entry 2: is missing
    img: out:1: 1 mismatch
    hint: an index that was pulled for some of its platforms also leads to the others; pull it without --platform, or each platform to a layout of its own
    ");
}

#[test]
fn what_was_pulled_of_an_index_can_be_looked_at() {
    let (served, images, _) = three();
    let directory = TempDir::new().unwrap();
    let work = directory.path();
    let host = served.host();
    let words = format!("pull --platform linux/arm64,linux/amd64 --oci-layout out {host}/app:1");
    succeed(work, &words);
    for (image, platform) in images.iter().zip(["linux/amd64", "linux/arm64"]) {
        let inspected = succeed(work, &format!("inspect out --platform {platform}"));
        assert!(inspected.contains(&image.manifest.digest.to_string()));
        let listed = succeed(work, &format!("ls out --platform {platform}"));
        assert!(listed.contains("content"), "{listed}");
    }
    let missing = images[2].manifest.digest;
    let inspected = succeed(work, "inspect out");
    let last = format!("linux/riscv64  {missing} is not here\n");
    assert!(inspected.ends_with(&last), "{inspected}");
    let failed = fail(work, "ls out --platform linux/riscv64");
    insta::assert_snapshot!(failed.replace(&missing.to_string(), "DIGEST"), @r"
    img: the image for linux/riscv64: no blob DIGEST in out
    hint: an index that was pulled for some of its platforms leads to the others as well; pull it for this one too, or without --platform
    ");
}

#[cfg(target_os = "linux")]
#[test]
fn a_check_that_cannot_be_printed_says_nothing_of_platforms() {
    let (served, _, _) = three();
    let directory = TempDir::new().unwrap();
    let words = format!("pull --oci-layout out {}/app:1", served.host());
    succeed(directory.path(), &words);
    let full = fs::OpenOptions::new().write(true).open("/dev/full");
    let checked = img(directory.path())
        .args(["check", "out"])
        .stdout(full.unwrap().into_parts().0)
        .output()
        .unwrap();
    assert_eq!(checked.status.code(), Some(1));
    let stderr = String::from_utf8(checked.stderr).unwrap();
    assert!(
        stderr.contains("cannot write to standard output"),
        "{stderr}"
    );
    assert!(!stderr.contains("hint"), "{stderr}");
}

#[test]
fn a_build_that_names_a_tag_is_told_the_digest() {
    let (served, _, index) = three();
    let directory = TempDir::new().unwrap();
    let words = format!(
        "pull --repository app --registry {} --reference 1 --output out",
        served.host()
    );
    let stderr = fail(directory.path(), &words).replace(&index.index.digest.to_string(), "DIGEST");
    insta::assert_snapshot!(stderr, @r"
    img: --reference 1 is a tag, which may move
    hint: it means DIGEST now: write --reference DIGEST
    ");
    assert!(!directory.path().join("out").exists());
}

#[test]
fn every_registry_that_did_not_help_is_named() {
    let (served, _, _) = three();
    let empty = Served::start();
    let directory = TempDir::new().unwrap();
    let words = format!(
        "pull --repository other --registry {} --registry {} --reference {} --output out",
        served.host(),
        empty.host(),
        Digest::sha256_of(b"nothing")
    );
    let stderr = fail(directory.path(), &words);
    assert!(
        stderr.contains(&format!("other@{}: ", served.host())),
        "{stderr}"
    );
    assert!(
        stderr.contains(&format!("other@{}: ", empty.host())),
        "{stderr}"
    );
    assert!(stderr.contains("404"), "{stderr}");
}

#[test]
fn the_next_registry_is_asked_when_one_has_not_the_image() {
    let (served, _, index) = three();
    let empty = Served::start();
    let directory = TempDir::new().unwrap();
    let words = format!(
        "pull --repository app --registry {} --registry {} --reference {} --output out --verbose",
        empty.host(),
        served.host(),
        index.index.digest
    );
    let output = run(directory.path(), &words);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let expected = format!("is not to be had from app@{}", empty.host());
    assert!(stderr.contains(&expected), "{stderr}");
    let asked = empty.asked();
    assert!(!asked.iter().any(|it| it.contains("/blobs/")), "{asked:#?}");
}

#[test]
fn a_mirror_that_does_not_help_is_told_once() {
    let (served, _, _) = three();
    let empty = Served::start();
    let directory = TempDir::new().unwrap();
    let (host, mirror) = (served.host(), empty.host());
    let words = format!("pull --mirror {host}={mirror} {host}/app:1 --verbose --oci-layout");
    let pulled = run(directory.path(), &format!("{words} out"));
    assert!(pulled.status.success());
    let stderr = String::from_utf8(pulled.stderr).unwrap();
    let told: Vec<&str> = stderr.lines().filter(|it| it.contains("no help")).collect();
    assert!(told[0].contains(mirror), "{stderr}");
    let distinct: std::collections::BTreeSet<_> = told.iter().collect();
    assert_eq!(distinct.len(), told.len(), "{stderr}");
    let json = run(directory.path(), &format!("{words} other --json"));
    let stdout = String::from_utf8(json.stdout).unwrap();
    let is_told = |line: &str| line.contains(r#""event":"failed""#) && line.contains(mirror);
    assert!(stdout.lines().any(is_told), "{stdout}");
}

#[test]
fn a_mirror_is_asked_first() {
    let (served, _, _) = three();
    let directory = TempDir::new().unwrap();
    let words = format!(
        "pull --mirror registry.invalid={} --oci-layout out registry.invalid/app:1",
        served.host()
    );
    succeed(directory.path(), &words);
    assert_eq!(served.asked().len(), 10);
}

#[test]
fn programs_read_lines_of_json() {
    let (served, images, _) = three();
    let directory = TempDir::new().unwrap();
    let words = format!("pull --json --oci-layout out {}/app:1", served.host());
    let stdout = succeed(directory.path(), &words);
    let lines: Vec<serde_json::Value> = stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[0]["event"], "resolved");
    let last = lines.last().unwrap();
    assert_eq!(last["event"], "pulled");
    assert_eq!(last["images"][1]["platform"], "linux/arm64");
    let layer = images[0].layers[0].digest.to_string();
    let finished = lines
        .iter()
        .find(|line| line["event"] == "finished" && line["digest"] == layer);
    assert_eq!(finished.unwrap()["from"], "registry");
    assert_eq!(
        finished.unwrap()["origin"],
        format!("app@{}", served.host())
    );
}

/// Starts a pull that is told to wait for a minute, and returns the first line that matters of what it says.
fn first_line_of_a_wait(flags: &str, is_it: impl Fn(&str) -> bool) -> String {
    let (served, _, _) = three();
    served.refuse_for(60);
    let directory = TempDir::new().unwrap();
    let words = format!("pull {flags} --oci-layout out {}/app:1", served.host());
    let mut child = img(directory.path())
        .args(words.split_whitespace())
        .env("IMG_REGISTRY_RETRY_MAX_ATTEMPTS", "2")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output: Box<dyn Read> = match flags {
        "--json" => Box::new(child.stdout.take().unwrap()),
        _ => Box::new(child.stderr.take().unwrap()),
    };
    let mut lines = BufReader::new(output).lines().map(Result::unwrap);
    let line = lines.find(|line| is_it(line)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    line.replace(served.host(), "HOST")
}

#[test]
fn a_person_is_told_of_a_wait_while_it_lasts() {
    let line = first_line_of_a_wait("--progress log", |_| true);
    // The client waits for a little longer than it is asked to, by chance.
    let (reason, seconds) = line.split_once("; trying again in ").unwrap();
    assert!(
        reason.starts_with("img: ") && reason.contains("HOST") && reason.contains("429"),
        "{line}"
    );
    let seconds: f64 = seconds.strip_suffix(" s").unwrap().parse().unwrap();
    assert!((60.0..=90.0).contains(&seconds), "{line}");
}

#[test]
fn programs_are_told_of_a_wait_while_it_lasts() {
    let line = first_line_of_a_wait("--json", |line| line.contains("waiting"));
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["host"], "HOST");
    assert_eq!(line["attempt"], 1);
    assert!(line["milliseconds"].as_u64().unwrap() >= 60_000, "{line}");
    assert!(line["reason"].as_str().unwrap().contains("429"), "{line}");
}

#[test]
fn what_a_registry_warns_of_is_told_once() {
    let (served, _, _) = three();
    served.warn("this tag goes away");
    let directory = TempDir::new().unwrap();
    for progress in ["log", "none"] {
        let words = format!(
            "pull --progress {progress} --oci-layout {progress} {}/app:1",
            served.host()
        );
        let output = run(directory.path(), &words);
        let stderr = String::from_utf8(output.stderr).unwrap();
        let warnings = stderr.lines().filter(|line| line.contains("warning"));
        let warnings: Vec<_> = warnings.collect();
        let expected = format!("img: warning: {} says: this tag goes away", served.host());
        assert_eq!(warnings, [expected], "{stderr}");
    }
    let words = format!("pull --json --oci-layout json {}/app:1", served.host());
    let stdout = succeed(directory.path(), &words);
    let warnings = stdout.lines().filter(|line| line.contains("warning"));
    let expected = format!(
        r#"{{"event":"warning","host":"{}","text":"this tag goes away"}}"#,
        served.host()
    );
    assert_eq!(warnings.collect::<Vec<_>>(), [expected]);
}

#[cfg(unix)]
#[test]
fn a_blob_is_downloaded_with_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;

    let (served, images, _) = three();
    let directory = TempDir::new().unwrap();
    let layer = &images[0].layers[0];
    let hex = layer.digest.hex();
    for (flag, mode) in [("", 0o644), ("--executable", 0o755)] {
        let words = format!(
            "download-blob --digest {hex} --source app@{} --output out/blobs/sha256/{hex} {flag}",
            served.host()
        );
        succeed(directory.path(), &words);
        let path = directory.path().join("out/blobs/sha256").join(&hex);
        assert_eq!(fs::read(&path).unwrap(), images[0].blob(layer));
        let found = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(found & 0o7777, mode);
    }
}

#[test]
fn a_blob_that_nobody_has_leaves_no_file() {
    let (served, _, _) = three();
    let directory = TempDir::new().unwrap();
    let words = format!(
        "download-blob --digest {} --source app@{} --output blob",
        Digest::sha256_of(b"nothing"),
        served.host()
    );
    let stderr = fail(directory.path(), &words);
    assert!(stderr.contains("it has no such blob"), "{stderr}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_manifest_is_downloaded_byte_for_byte() {
    let (served, _, index) = three();
    let directory = TempDir::new().unwrap();
    let source = format!("--source app@{}", served.host());
    let words = format!("download-manifest --tag 1 {source} --output blobs/sha256/any");
    succeed(directory.path(), &words);
    let written = fs::read(directory.path().join("blobs/sha256/any")).unwrap();
    assert_eq!(written, index.blobs[&index.index.digest]);
    let words = format!("download-manifest --tag 1 {source} --print-digest");
    let printed = succeed(directory.path(), &words);
    assert_eq!(printed, format!("{}\n", index.index.digest));
}

#[test]
fn facts_are_found_out_once() {
    let (served, images, index) = three();
    let directory = TempDir::new().unwrap();
    let image = serde_json::json!({ "sources": { "app": [served.host()] } });
    let wanted = serde_json::json!({ index.index.digest.to_string(): image });
    fs::write(directory.path().join("images.json"), wanted.to_string()).unwrap();
    let words = "sync-oci-ref-graph --facts facts.json --images images.json --output facts.json";
    succeed(directory.path(), words);
    assert_eq!(served.asked().len(), 4);
    let text = fs::read_to_string(directory.path().join("facts.json")).unwrap();
    let facts: serde_json::Value = serde_json::from_str(&text).unwrap();
    let root = &facts[format!("oci_ref_graph@{}", index.index.digest)];
    assert_eq!(root["kind"], "index");
    assert_eq!(root["manifests"][2], images[2].manifest.digest.to_string());
    let child = &facts[format!("oci_ref_graph@{}", images[2].manifest.digest)];
    assert_eq!(child["config"], images[2].config.digest.to_string());
    assert_eq!(child["layers"][0], images[2].layers[0].digest.to_string());
    succeed(directory.path(), words);
    assert_eq!(served.asked(), Vec::<String>::new());
    assert_eq!(
        fs::read_to_string(directory.path().join("facts.json")).unwrap(),
        text
    );
}
