//! The cache between processes: each blob is fetched once, and a killed process leaves it whole.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fs_err as fs;
use imgcore::Digest;
use tempfile::TempDir;

use super::registry::Served;
use super::{image, img, run, succeed, three};

fn blob_requests(asked: &[String]) -> Vec<&String> {
    asked.iter().filter(|it| it.contains("/blobs/")).collect()
}

#[test]
fn processes_that_want_one_image_fetch_each_blob_once() {
    let image = image("amd64", 3_000_000);
    let served = Served::start();
    served.push_image(&image, "1");
    let directory = TempDir::new().unwrap();
    let reference = format!("{}/app:1", served.host());
    let children = ["a", "b", "c"].map(|out| {
        img(directory.path())
            .args(["pull", "--cache", "cache", "--oci-layout", out, &reference])
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    });
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let asked = served.asked();
    let blobs = blob_requests(&asked);
    assert_eq!(blobs.len(), 2, "a config and a layer: {asked:#?}");
    for out in ["a", "b", "c"] {
        let checked = succeed(directory.path(), &format!("check {out}"));
        assert!(checked.starts_with("1 image, 1 layer"), "{checked}");
    }
}

#[test]
fn what_a_killed_process_fetched_is_not_fetched_again() {
    let image = image("amd64", 3_000_000);
    let layer = &image.layers[0];
    let served = Served::start();
    served.push_image(&image, "1");
    served.stall_at(&layer.digest);
    let directory = TempDir::new().unwrap();
    let reference = format!("{}/app:1", served.host());
    let arguments = [
        "pull",
        "--cache",
        "cache",
        "--oci-layout",
        "out",
        &reference,
    ];
    let mut child = img(directory.path())
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let half = layer.size / 2;
    wait_for(&partial(directory.path(), &layer.digest), half);
    child.kill().unwrap();
    child.wait().unwrap();
    served.asked();
    succeed(directory.path(), &arguments.join(" "));
    let asked = served.asked();
    let expected = format!("GET /v2/app/blobs/{} bytes={half}-", layer.digest);
    let [rest] = blob_requests(&asked)[..] else {
        panic!("the config is there: {asked:#?}");
    };
    assert!(rest.starts_with(&expected), "{rest}");
    succeed(directory.path(), "check out");
    assert!(!partial(directory.path(), &layer.digest).exists());
}

#[test]
fn who_waits_for_a_killed_process_goes_on_in_its_place() {
    let image = image("amd64", 3_000_000);
    let layer = &image.layers[0];
    let served = Served::start();
    served.push_image(&image, "1");
    served.stall_at(&layer.digest);
    let directory = TempDir::new().unwrap();
    let reference = format!("{}/app:1", served.host());
    let start = |out: &str| {
        img(directory.path())
            .args(["pull", "--cache", "cache", "--oci-layout", out, &reference])
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let mut killed = start("a");
    wait_for(&partial(directory.path(), &layer.digest), layer.size / 2);
    let mut waiting = start("b");
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(waiting.wait().unwrap().success());
    succeed(directory.path(), "check b");
}

#[test]
fn a_cache_with_a_limit_keeps_what_was_pulled_last() {
    let served = Served::start();
    let images = ["amd64", "arm64", "riscv64"].map(|name| image(name, 100_000));
    let small = ["s390x", "ppc64le"].map(|name| image(name, 10));
    let directory = TempDir::new().unwrap();
    // Each into a layout of its own: what that has is not asked of the cache.
    let pull = |out: &str, tag: &str, limit: &str| {
        let reference = format!("{}/app:{tag}", served.host());
        let output = img(directory.path())
            .args(["pull", "--cache", "cache", "--oci-layout", out, &reference])
            .env("IMG_CAS_CACHE_MAX_SIZE", limit)
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
    };
    for (tag, image) in ["1", "2", "3"].into_iter().zip(&images) {
        served.push_image(image, tag);
        pull(tag, tag, "0");
    }
    // A manifest, a config and a layer of each.
    assert_eq!(blobs_in(directory.path()), 9);
    for (tag, image) in ["4", "5"].into_iter().zip(&small) {
        served.push_image(image, tag);
    }
    // Where nothing was fetched, nothing has to go.
    pull("again", "1", "1");
    assert_eq!(blobs_in(directory.path()), 9);
    pull("4", "4", "250KiB");
    let layers = images
        .each_ref()
        .map(|image| has_cached(directory.path(), &image.layers[0].digest));
    assert_eq!(layers, [true, false, true]);
    pull("small", "5", "1");
    assert_eq!(blobs_in(directory.path()), 0);
    succeed(directory.path(), "check small");
    pull("large", "1", "1GiB");
    assert_eq!(blobs_in(directory.path()), 3);
}

fn has_cached(directory: &Path, digest: &Digest) -> bool {
    let hex = digest.hex();
    directory
        .join("cache/cas")
        .join(&hex[..2])
        .join(hex)
        .exists()
}

fn blobs_in(directory: &Path) -> usize {
    let shards = fs::read_dir(directory.join("cache/cas")).unwrap();
    shards
        .map(|shard| fs::read_dir(shard.unwrap().path()).unwrap().count())
        .sum()
}

/// The limit on the size of files stands for a full disk, which a test cannot have.
#[cfg(unix)]
#[test]
fn a_cache_that_is_full_is_done_without() {
    let image = image("amd64", 3_000_000);
    let layer = &image.layers[0];
    let served = Served::start();
    served.push_image(&image, "1");
    let directory = TempDir::new().unwrap();
    let command = format!(
        "trap '' XFSZ; ulimit -f 1000; exec {} download-blob --cache cache --verbose --digest {} --source app@{} --output -",
        env!("CARGO_BIN_EXE_img"),
        layer.digest,
        served.host()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", &command])
        .current_dir(directory.path())
        .env_clear()
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert!(output.stdout == image.blob(layer), "other bytes");
    assert!(
        stderr.contains("is not to be had from the cache cache"),
        "{stderr}"
    );
    assert!(
        !partial(directory.path(), &layer.digest).exists(),
        "it takes space"
    );
}

fn partial(directory: &Path, digest: &Digest) -> std::path::PathBuf {
    let name = format!("sha256-{}.partial", digest.hex());
    directory.join("cache/tmp/imgkit").join(name)
}

/// Waits until another process has written so much of a file.
fn wait_for(path: &Path, size: u64) {
    let start = Instant::now();
    while fs::metadata(path).map_or(0, |found| found.len()) < size {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "{}",
            path.display()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[cfg(unix)]
#[test]
fn a_cache_that_others_may_write_to_is_done_without() {
    use std::os::unix::fs::PermissionsExt as _;

    let (served, _, _) = three();
    let directory = TempDir::new().unwrap();
    let cache = directory.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, std::fs::Permissions::from_mode(0o777)).unwrap();
    let words = format!(
        "pull --cache cache --oci-layout out {}/app:1",
        served.host()
    );
    let output = run(directory.path(), &words);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let first = stderr.lines().next().unwrap();
    insta::assert_snapshot!(first, @"img: warning: a cache in cache cannot be trusted: others than its owner may write to cache (chmod go-w makes it one); going on without a cache");
    let blobs = fs::read_dir(cache.join("cas")).unwrap();
    assert_eq!(blobs.count(), 0);
}
