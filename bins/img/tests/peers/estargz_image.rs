//! Whoever knows nothing of eStargz takes an image of such layers as any other.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use imgtest::oracle::estargz::verify;
use imgtest::peer::Containerd;
use serde_json::Value;
use tempfile::TempDir;

use crate::containerd::import_and_run;
use crate::demo::{EXPECTED_LINE, demo};
use crate::runtimes::{skopeo_copies_to_a_docker_archive, umoci_unpacks};
use crate::tool::{copy_tree, img, succeed, text, tool};

const TOC_DIGEST: &str = "containerd.io/snapshot/stargz/toc.digest";

/// The demo image with eStargz layers, in three forms.
pub(crate) struct Image {
    pub(crate) layout: PathBuf,
    oci: PathBuf,
    docker: PathBuf,
}

/// Builds the image once; `None` when a compiler is missing.
pub(crate) fn image() -> Option<&'static Image> {
    static IMAGE: OnceLock<Option<Image>> = OnceLock::new();
    let build = || {
        let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo-estargz");
        let _ = fs_err::remove_dir_all(&work);
        fs_err::create_dir_all(&work).unwrap();
        copy_tree(&demo()?.work, &work);
        let file = fs_err::read_to_string(work.join("img.toml")).unwrap();
        Some(Image::build(&work, &file))
    };
    IMAGE.get_or_init(build).as_ref()
}

impl Image {
    /// Builds what a build file says in a directory, for one platform and with eStargz layers.
    pub(crate) fn build(work: &Path, file: &str) -> Self {
        let build_file = work.join("img.toml");
        fs_err::write(&build_file, format!("estargz = true\n{file}")).unwrap();
        img([
            "build".as_ref(),
            "--platform=linux/amd64".as_ref(),
            build_file.as_os_str(),
        ]);
        Self {
            layout: work.join("out/layout"),
            oci: work.join("out/oci.tar"),
            docker: work.join("out/docker.tar"),
        }
    }

    fn json(&self, what: &str) -> Value {
        let layout = self.layout.as_os_str();
        serde_json::from_str(&img(["inspect".as_ref(), layout, what.as_ref()])).unwrap()
    }

    pub(crate) fn layers(&self) -> Vec<(String, String)> {
        layers_of(&self.json("--manifest"))
    }
}

/// Returns digest and TOC digest of each layer of a manifest.
fn layers_of(manifest: &Value) -> Vec<(String, String)> {
    let layers = manifest["layers"].as_array().unwrap();
    let strings = |layer: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (
            text(&layer["digest"]),
            text(&layer["annotations"][TOC_DIGEST]),
        )
    };
    layers.iter().map(strings).collect()
}

fn blob_of(layout: &Path, digest: &str) -> PathBuf {
    layout.join("blobs").join(digest.replace(':', "/"))
}

/// Verifies layers, and expects the config to have the hash of what each decompresses to.
fn check_diff_ids(config: &Value, layers: &[(String, String)], blobs: &[PathBuf]) {
    let requests: Vec<(&Path, &str)> = blobs
        .iter()
        .zip(layers)
        .map(|(blob, (_, toc_digest))| (blob.as_path(), toc_digest.as_str()))
        .collect();
    let Some(answers) = verify(&requests) else {
        return;
    };
    let diff_ids: Vec<Value> = answers
        .into_iter()
        .map(|answer| answer.unwrap().diff_id.into())
        .collect();
    assert_eq!(config["rootfs"]["diff_ids"], Value::Array(diff_ids));
}

#[test]
fn the_config_has_the_diff_ids_of_what_the_layers_decompress_to() {
    let Some(image) = image() else { return };
    let layers = image.layers();
    assert_eq!(layers.len(), 2);
    let blob = |(digest, _): &(String, String)| blob_of(&image.layout, digest);
    let blobs: Vec<PathBuf> = layers.iter().map(blob).collect();
    check_diff_ids(&image.json("--config"), &layers, &blobs);
    img(["check".as_ref(), image.layout.as_os_str()]);
}

#[test]
fn an_image_that_is_optimized_has_the_diff_ids_and_toc_digests_of_its_new_layers() {
    let Some(demo) = demo() else { return };
    let work = TempDir::new().unwrap();
    let at = |name: &str| work.path().join(name).display().to_string();
    let ordinary = demo.single.as_os_str();
    for (what, file) in [("--manifest", "old-manifest"), ("--config", "old-config")] {
        let text = img(["inspect".as_ref(), ordinary, what.as_ref()]);
        fs_err::write(at(file), text).unwrap();
    }
    let json = |name: &str| -> Value {
        serde_json::from_str(&fs_err::read_to_string(at(name)).unwrap()).unwrap()
    };
    let mut arguments = vec!["optimize".to_owned()];
    for (flag, file) in [
        ("--source-manifest", "old-manifest"),
        ("--source-config", "old-config"),
        ("--manifest", "manifest"),
        ("--config", "config"),
        ("--descriptor", "descriptor"),
    ] {
        arguments.extend([flag.to_owned(), at(file)]);
    }
    for (number, layer) in layers_of(&json("old-manifest")).iter().enumerate() {
        let (blob, metadata) = (at(&format!("{number}")), at(&format!("{number}.json")));
        let old = blob_of(&demo.single, &layer.0).display().to_string();
        let flags = ["compress", "--format=gzip", "--estargz", "--metadata"];
        img(flags.into_iter().chain([&*metadata, &*old, &*blob]));
        arguments.extend(["--layer-from-metadata".to_owned(), metadata]);
    }
    img(&arguments);
    let layers = layers_of(&json("manifest"));
    let blobs: Vec<PathBuf> = (0..layers.len())
        .map(|number| PathBuf::from(at(&number.to_string())))
        .collect();
    for ((digest, _), blob) in layers.iter().zip(&blobs) {
        let bytes = fs_err::read(blob).unwrap();
        assert_eq!(imgcore::Digest::sha256_of(&bytes).to_string(), *digest);
    }
    check_diff_ids(&json("config"), &layers, &blobs);
}

#[test]
fn containerd_runs_it_and_ctr_remote_prints_its_toc_digests() {
    let (Some(_), Some(image)) = (tool("runc"), image()) else {
        return;
    };
    let work = TempDir::new().unwrap();
    let Some(daemon) = Containerd::start(work.path()) else {
        return;
    };
    // containerd compares the hash of what it unpacks with the config.
    import_and_run(&daemon, &image.oci);
    let Some(ctr_remote) = tool("ctr-remote") else {
        return;
    };
    for (digest, toc_digest) in image.layers() {
        let mut command = Command::new(&ctr_remote);
        command.arg("--address").arg(daemon.socket());
        command.args(["images", "get-toc-digest"]);
        let printed = text(&succeed(command.arg(digest)));
        assert_eq!(printed.trim(), toc_digest);
    }
}

#[test]
fn podman_loads_and_runs_it() {
    let (Some(podman), Some(_), Some(image)) = (tool("podman"), tool("crun"), image()) else {
        return;
    };
    for archive in [&image.docker, &image.oci] {
        let work = TempDir::new().unwrap();
        let podman = |arguments: &[&str]| {
            let mut command = Command::new(&podman);
            command.arg("--root").arg(work.path().join("root"));
            command.arg("--runroot").arg(work.path().join("run"));
            command.args(["--storage-driver", "vfs"]).args(arguments);
            text(&succeed(&mut command))
        };
        podman(&["load", "--input", &archive.to_string_lossy()]);
        let mount = podman(&["images", "--format", "{{.ID}}"]);
        let root = podman(&["image", "mount", mount.trim()]);
        let program = Path::new(root.trim()).join("bin/hello");
        let data = Path::new(root.trim()).join("usr/share/hello");
        let output = succeed(Command::new(program).env("HELLO_DATA", data));
        assert_eq!(text(&output).trim(), EXPECTED_LINE);
    }
}

#[test]
fn umoci_unpacks_it() {
    let Some(image) = image() else { return };
    umoci_unpacks(&image.layout);
}

#[test]
fn skopeo_copies_it_to_a_docker_archive_whose_layers_have_its_diff_ids() {
    let Some(image) = image() else { return };
    skopeo_copies_to_a_docker_archive(&image.layout, |archive| {
        let config = img(["inspect".as_ref(), archive.as_os_str(), "--config".as_ref()]);
        let config: Value = serde_json::from_str(&config).unwrap();
        assert_eq!(config["rootfs"], image.json("--config")["rootfs"]);
    });
}
