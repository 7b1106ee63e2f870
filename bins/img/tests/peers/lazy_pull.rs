//! Readers that know eStargz fetch from a registry only what they read of a layer.

use std::path::Path;
use std::process::Command;

use imgtest::oracle::estargz::snapshotter;
use imgtest::peer::{Access, Containerd, DockerRegistry, Running, wait_for};
use tempfile::TempDir;

use crate::containerd::run;
use crate::demo::{EXPECTED_LINE, demo};
use crate::estargz_image::{Image, image};
use crate::tool::{copy_tree, succeed, text, tool};
use imgtest::noise;

/// What nobody reads, in the same layer as the program.
const BULK: usize = 24 << 20;

#[test]
#[ignore = "builds the stargz snapshotter, and mounts with FUSE as root: cargo xtask test --all"]
fn containerd_with_the_stargz_snapshotter_runs_a_program_of_a_layer_that_is_not_pulled() {
    let (Some(_), Some(image)) = (tool("runc"), image_with_bulk()) else {
        return;
    };
    let (Some(ctr_remote), Some(snapshotter)) = (tool("ctr-remote"), snapshotter()) else {
        return;
    };
    let work = TempDir::new().unwrap();
    let _mounts = Mounts(work.path());
    let Some((registry, name)) = pushed(&image, work.path()) else {
        return;
    };
    let socket = work.path().join("stargz.sock");
    let mut snapshotter = Command::new(snapshotter);
    snapshotter.args([&socket, &work.path().join("stargz")]);
    let log = work.path().join("stargz.log");
    let _snapshotter = Running::start(&mut snapshotter, &log);
    wait_for("the snapshotter", &log, || socket.exists());
    let plugin = format!(
        "[proxy_plugins.stargz]\ntype = \"snapshot\"\naddress = \"{}\"\n",
        socket.display()
    );
    let Some(daemon) = Containerd::start_with(work.path(), &plugin) else {
        return;
    };
    let mut pull = Command::new(ctr_remote);
    pull.arg("--address").arg(daemon.socket());
    pull.args(["images", "rpull", "--plain-http", &name]);
    succeed(&mut pull);
    run(&daemon, &["--rm", "--snapshotter", "stargz", &name]);
    let here = daemon.ctr(&["content", "ls", "--quiet"]);
    assert!(here.lines().count() >= 2, "manifest and config: {here}");
    for (digest, _) in image.layers() {
        assert!(!here.contains(&digest), "{digest} was pulled: {here}");
        let served = registry.bytes_served(&digest);
        println!("{served} bytes of {digest} were served");
        assert!((1..1 << 20).contains(&served), "{served} bytes of {digest}");
    }
}

#[test]
fn podman_pulls_the_files_of_its_layers_by_their_ranges() {
    let (Some(podman), Some(_), Some(image)) = (tool("podman"), tool("crun"), image()) else {
        return;
    };
    let work = TempDir::new().unwrap();
    let _mounts = Mounts(work.path());
    let Some((_registry, name)) = pushed(image, work.path()) else {
        return;
    };
    let configuration = work.path().join("storage.conf");
    let at = |name: &str| work.path().join(name).display().to_string();
    let storage = format!(
        "[storage]\ndriver = \"overlay\"\ngraphroot = \"{}\"\nrunroot = \"{}\"\n[storage.options]\n\
         pull_options = {{enable_partial_images = \"true\", use_hard_links = \"false\", ostree_repos = \"\"}}\n",
        at("root"),
        at("run"),
    );
    fs_err::write(&configuration, storage).unwrap();
    let podman = |arguments: &[&str]| {
        let mut command = Command::new(&podman);
        command.env("CONTAINERS_STORAGE_CONF", &configuration);
        succeed(command.args(arguments))
    };
    let pulled = podman(&["--log-level=debug", "pull", "--tls-verify=false", &name]);
    let log = String::from_utf8_lossy(&pulled.stderr).into_owned();
    for (digest, _) in image.layers() {
        assert!(
            log.contains(&format!("Retrieved partial blob {digest}")),
            "{log}"
        );
    }
    let root = text(&podman(&["image", "mount", &name]));
    let root = Path::new(root.trim());
    let mut program = Command::new(root.join("bin/hello"));
    let output = succeed(program.env("HELLO_DATA", root.join("usr/share/hello")));
    assert_eq!(text(&output).trim(), EXPECTED_LINE);
}

/// Starts a registry that has the image, and returns the image's name in it.
fn pushed(image: &Image, work: &Path) -> Option<(DockerRegistry, String)> {
    let skopeo = tool("skopeo")?;
    let registry = DockerRegistry::start(Access::Open, work)?;
    let name = format!("{}/hello:lazy", registry.address());
    let from = format!("oci:{}:demo", image.layout.display());
    succeed(
        Command::new(skopeo)
            .args(["--insecure-policy", "copy", "--dest-tls-verify=false"])
            .args([from, format!("docker://{name}")]),
    );
    Some((registry, name))
}

/// The demo with many bytes beside its program.
fn image_with_bulk() -> Option<Image> {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("demo-lazy");
    let _ = fs_err::remove_dir_all(&work);
    fs_err::create_dir_all(&work).unwrap();
    copy_tree(&demo()?.work, &work);
    fs_err::write(work.join("bulk"), noise(1, BULK)).unwrap();
    let program = r#"copy = [{ from = "build/"#;
    let file = fs_err::read_to_string(work.join("img.toml")).unwrap();
    assert!(file.contains(program), "{file}");
    let with_bulk = r#"copy = [{ from = "bulk", to = "/srv/bulk" }, { from = "build/"#;
    Some(Image::build(&work, &file.replace(program, with_bulk)))
}

/// Takes down the mounts below a directory, which keep it from being removed.
struct Mounts<'a>(&'a Path);

impl Drop for Mounts<'_> {
    fn drop(&mut self) {
        let mounts = fs_err::read_to_string("/proc/self/mounts").unwrap_or_default();
        let points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
        let mut below: Vec<&str> = points
            .filter(|point| Path::new(point).starts_with(self.0))
            .collect();
        below.reverse();
        for point in below {
            let _ = Command::new("umount").args(["--lazy", point]).status();
        }
    }
}
