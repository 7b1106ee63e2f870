//! An index with three platforms goes in and comes out again, byte for byte.

use std::path::Path;
use std::process::Command;

use imgcore::Digest;
use imgtar::Codec;
use imgtest::image::{ImageBuilder, ImageIndex, index_of, write_layout};
use imgtest::oracle::{crane, tool};
use imgtest::tar::{file, tar_of};
use tempfile::TempDir;

use crate::program::Program;
use crate::{succeed, text};

/// Three images that share a layer.
fn three_platforms() -> ImageIndex {
    let shared = tar_of([file("etc/motd", "hello")]);
    let images =
        [("amd64", None), ("arm64", Some("v8")), ("s390x", None)].map(|(machine, variant)| {
            let own = tar_of([file("bin/hello", machine)]);
            ImageBuilder::new()
                .platform("linux", machine, variant)
                .layer(&shared, Codec::Gzip)
                .layer(&own, Codec::Gzip)
                .build()
        });
    index_of(&images)
}

struct Registry {
    program: Program,
    work: TempDir,
}

impl Registry {
    fn start() -> Self {
        let work = TempDir::new().unwrap();
        let program = Program::start(&work.path().join("registry"));
        Self { program, work }
    }

    fn name(&self, rest: &str) -> String {
        format!("{}/{rest}", self.program.address)
    }

    fn path(&self, name: &str) -> String {
        self.work.path().join(name).display().to_string()
    }
}

#[test]
fn skopeo_copies_an_index_in_and_out() {
    let Some(skopeo) = tool("skopeo") else {
        return;
    };
    let registry = Registry::start();
    let image = three_platforms();
    let layout = registry.path("in");
    write_layout(Path::new(&layout), &image.blobs, &image.index, "test");
    let copy = |from: &str, to: &str| {
        let mut command = Command::new(&skopeo);
        command.args([
            "--insecure-policy",
            "copy",
            "--quiet",
            "--all",
            "--preserve-digests",
        ]);
        command.args([
            "--src-tls-verify=false",
            "--dest-tls-verify=false",
            from,
            to,
        ]);
        succeed(&mut command);
    };
    let (one, two) = (registry.name("team/one:v1"), registry.name("two:v1"));
    copy(&format!("oci:{layout}:test"), &format!("docker://{one}"));
    // From one repository to the other, blobs are mounted.
    copy(&format!("docker://{one}"), &format!("docker://{two}"));
    let out = registry.path("out");
    copy(&format!("docker://{two}"), &format!("oci:{out}:test"));
    expect_layout(Path::new(&out), &image);

    let mut inspect = Command::new(&skopeo);
    inspect.args(["inspect", "--raw", "--tls-verify=false"]);
    let raw = succeed(inspect.arg(format!("docker://{two}"))).stdout;
    assert_eq!(Digest::sha256_of(&raw), image.index.digest);
    let mut list = Command::new(&skopeo);
    list.args(["list-tags", "--tls-verify=false"]);
    let tags = text(list.arg(format!("docker://{}", registry.name("two"))));
    assert!(tags.contains("\"v1\""), "{tags}");
    let mut delete = Command::new(&skopeo);
    delete.args(["delete", "--tls-verify=false"]);
    succeed(delete.arg(format!("docker://{two}")));
    inspect = Command::new(&skopeo);
    inspect.args(["inspect", "--tls-verify=false"]);
    let gone = inspect.arg(format!("docker://{two}")).output().unwrap();
    assert!(!gone.status.success());
}

#[test]
fn crane_pushes_copies_and_pulls_an_index() {
    let Some(crane) = crane() else {
        return;
    };
    let registry = Registry::start();
    let image = three_platforms();
    let layout = registry.path("in");
    write_layout(Path::new(&layout), &image.blobs, &image.index, "test");
    let crane = |arguments: &[&str]| text(Command::new(&crane).args(arguments));
    let (one, two) = (registry.name("team/one:v1"), registry.name("two:v1"));
    // What crane pushes of a layout is its `index.json`, which leads to our index.
    let outer = Digest::sha256_of(&fs_err::read(Path::new(&layout).join("index.json")).unwrap());
    let pushed = crane(&["push", "--index", &layout, &one]);
    assert!(pushed.ends_with(&outer.to_string()), "{pushed}");
    crane(&["copy", &one, &two]);
    assert_eq!(crane(&["digest", &two]), outer.to_string());
    crane(&["validate", "--remote", &two]);
    crane(&["tag", &two, "Latest"]);
    assert_eq!(crane(&["ls", &registry.name("two")]), "Latest\nv1");
    let out = registry.path("out");
    crane(&["pull", "--format", "oci", &two, &out]);
    expect_layout(Path::new(&out), &image);
    let ours = registry.name(&format!("two@{}", image.index.digest));
    let platform = crane(&["manifest", "--platform", "linux/arm64/v8", &ours]);
    assert_eq!(
        Digest::sha256_of(platform.as_bytes()),
        image.manifests[1].digest
    );
    crane(&["delete", &registry.name("two:Latest")]);
    assert_eq!(crane(&["ls", &registry.name("two")]), "v1");
}

/// Checks that a layout has every blob of the images, byte for byte.
fn expect_layout(layout: &Path, image: &ImageIndex) {
    for (digest, bytes) in &image.blobs {
        let file = layout.join("blobs/sha256").join(digest.hex());
        assert_eq!(&fs_err::read(file).unwrap(), bytes, "{digest}");
    }
}
