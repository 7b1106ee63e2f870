//! Pulling from a real registry, in each of the ways that it lets people in.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use imgcore::Digest;
use imgtar::Codec;
use imgtest::image::{Image, ImageBuilder, ImageIndex, index_of, write_layout};
use imgtest::peer::{Access, Answered, DockerRegistry, Running, TokenServer};
use imgtest::tar::{file, tar_of};
use tempfile::TempDir;

use crate::tool::{img, succeed, text, tool};
use imgtest::noise;

/// A registry that has an image for three platforms.
struct Served {
    registry: DockerRegistry,
    image: ImageIndex,
    name: String,
    work: TempDir,
}

impl Served {
    /// `None` where a tool is missing, which has then been said.
    fn start(access: Access, layers: usize, layer_size: usize) -> Option<Self> {
        let skopeo = tool("skopeo")?;
        let work = TempDir::new().unwrap();
        let registry = DockerRegistry::start(access, work.path())?;
        let architectures = ["amd64", "arm64", "riscv64"];
        let images: Vec<Image> = (0..)
            .zip(architectures)
            .map(|(seed, architecture)| image(seed, architecture, layers, layer_size))
            .collect();
        let image = index_of(&images);
        let layout = work.path().join("layout");
        write_layout(&layout, &image.blobs, &image.index, "image");
        let name = format!("{}/team/app:v1", registry.address());
        succeed(
            Command::new(skopeo)
                .args([
                    "--insecure-policy",
                    "copy",
                    "--all",
                    "--quiet",
                    "--preserve-digests",
                ])
                .args(["--dest-tls-verify=false", "--dest-creds", &credentials()])
                .arg(format!("oci:{}:image", layout.display()))
                .arg(format!("docker://{name}")),
        );
        Some(Self {
            registry,
            image,
            name,
            work,
        })
    }

    /// `img pull`, with what the registry asks for in a docker config of its own.
    fn pull(&self, arguments: &[&str]) -> Command {
        let config = self.work.path().join("docker");
        fs_err::create_dir_all(&config).unwrap();
        let auth = base64(&credentials());
        let text = format!(
            r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#,
            self.registry.address()
        );
        fs_err::write(config.join("config.json"), text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_img"));
        command.args(["pull", &self.name]).args(arguments);
        command.env("DOCKER_CONFIG", config);
        if let Some(certificate) = self.registry.certificate_pem() {
            let file = self.work.path().join("trusted.pem");
            fs_err::write(&file, certificate).unwrap();
            command.arg("--ca-file").arg(file);
        }
        command
    }

    /// Runs a pull, and returns what the registry answered meanwhile.
    fn answers_to(&self, arguments: &[&str]) -> Vec<Answered> {
        let before = self.registry.answered().len();
        succeed(&mut self.pull(arguments));
        self.registry.answered().split_off(before)
    }

    fn layers(&self) -> Vec<(Digest, u64)> {
        let sizes = self.image.blobs.iter();
        sizes
            .filter(|(_, bytes)| bytes.len() > 10_000)
            .map(|(digest, bytes)| (*digest, bytes.len() as u64))
            .collect()
    }
}

pub(crate) fn credentials() -> String {
    format!("{}:{}", DockerRegistry::USER, DockerRegistry::PASSWORD)
}

pub(crate) fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

pub(crate) fn image(seed: u64, architecture: &str, layers: usize, layer_size: usize) -> Image {
    encoded(Codec::None, seed, architecture, &vec![layer_size; layers])
}

/// An image with a layer of about each of these sizes.
pub(crate) fn encoded(codec: Codec, seed: u64, architecture: &str, layers: &[usize]) -> Image {
    let builder = ImageBuilder::new().platform("linux", architecture, None);
    let tars = (0..).zip(layers).map(|(layer, size)| {
        let content = noise(seed << 32 | layer, *size);
        tar_of([file("data", content)])
    });
    tars.fold(builder, |builder, tar| builder.layer(&tar, codec))
        .build()
}

pub(crate) fn path(directory: &Path, name: &str) -> String {
    directory.join(name).display().to_string()
}

#[test]
fn shallow_pull_asks_a_real_registry_for_documents_only() {
    for access in Access::ALL {
        let Some(served) = Served::start(access, 2, 1 << 20) else {
            return;
        };
        check_shallow(&served);
    }
}

#[test]
#[ignore = "writes 1 GiB of layers: cargo xtask test --all"]
fn shallow_pull_of_an_image_of_one_gibibyte_asks_for_documents_only() {
    let Some(served) = Served::start(Access::Open, 4, (1 << 30) / 12) else {
        return;
    };
    check_shallow(&served);
}

fn check_shallow(served: &Served) {
    let output = path(served.work.path(), "shallow");
    let answered = served.answers_to(&["--layer-handling", "shallow", "--output", &output]);
    let tokens = served.registry.tokens().map_or(0, TokenServer::asked);
    let bytes: u64 = answered.iter().map(|one| one.bytes).sum();
    println!(
        "{} requests, {tokens} for tokens in all, {bytes} bytes",
        answered.len()
    );
    assert!(answered.len() < 10, "{answered:#?}");
    assert!(bytes < 64 << 10, "{bytes} bytes");
    for (digest, _) in served.layers() {
        assert_eq!(served.registry.bytes_served(&digest.to_string()), 0);
    }
    for (digest, bytes) in &served.image.blobs {
        let here = Path::new(&output).join("blobs/sha256").join(digest.hex());
        assert_eq!(here.exists(), bytes.len() < 10_000, "{digest}");
    }
}

#[test]
fn eager_pull_from_a_real_registry_gives_the_image_that_was_pushed() {
    for access in Access::ALL {
        let Some(served) = Served::start(access, 3, 200_000) else {
            return;
        };
        let layout = path(served.work.path(), "eager");
        let answered = served.answers_to(&["--oci-layout", &layout]);
        img(["check", &layout]);
        for (digest, size) in served.layers() {
            assert_eq!(served.registry.bytes_served(&digest.to_string()), size);
        }
        // Index, manifests, configs and layers, each once, and what it takes to get in.
        let blobs = served.image.blobs.len();
        assert!(answered.len() <= blobs + 2, "{blobs} blobs: {answered:#?}");
        let again = served.answers_to(&["--oci-layout", &layout]);
        assert!(again.len() <= 3, "nothing has changed: {again:#?}");
    }
}

#[test]
fn a_registry_that_wants_a_password_says_so_without_one() {
    let Some(served) = Served::start(Access::Password, 1, 1000) else {
        return;
    };
    let layout = path(served.work.path(), "refused");
    let mut pull = served.pull(&["--oci-layout", &layout]);
    let output = pull
        .env("DOCKER_CONFIG", served.work.path().join("none"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr);
    for part in [served.registry.address(), "401", "UNAUTHORIZED"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert!(!message.contains(DockerRegistry::PASSWORD));
    assert!(!Path::new(&layout).exists());
}

#[test]
fn two_pulls_at_once_download_each_blob_once_with_one_cache() {
    let Some(served) = Served::start(Access::Open, 4, 3 << 20) else {
        return;
    };
    let cache = path(served.work.path(), "cache");
    let start = |name: &str| {
        let layout = path(served.work.path(), name);
        let mut pull = served.pull(&["--oci-layout", &layout, "--cache", &cache]);
        let child = pull.stderr(Stdio::piped()).spawn().unwrap();
        (layout, child)
    };
    for (layout, child) in [start("first"), start("second")] {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", text_of(&output.stderr));
        img(["check", &layout]);
    }
    for (digest, size) in served.layers() {
        assert_eq!(served.registry.bytes_served(&digest.to_string()), size);
    }
}

#[test]
fn a_pull_that_is_killed_leaves_a_cache_that_the_next_one_uses() {
    let Some(served) = Served::start(Access::Open, 6, 4 << 20) else {
        return;
    };
    let cache = path(served.work.path(), "cache");
    // From before the first request to about the end of it.
    for delay in (0..24).map(|step| Duration::from_millis(step * 6)) {
        let layout = path(served.work.path(), "killed");
        let mut pull = served.pull(&["--oci-layout", &layout, "--cache", &cache]);
        let log = served.work.path().join("killed.log");
        let process = Running::start(&mut pull, &log);
        std::thread::sleep(delay);
        // SIGKILL.
        drop(process);
    }
    let layout = path(served.work.path(), "killed");
    succeed(&mut served.pull(&["--oci-layout", &layout, "--cache", &cache]));
    img(["check", &layout]);
    // Whatever stands in the cache under its name is whole.
    let other = path(served.work.path(), "from-the-cache");
    let before = served.registry.answered().len();
    succeed(&mut served.pull(&["--oci-layout", &other, "--cache", &cache]));
    img(["check", &other]);
    let layers = served.layers();
    let answered = served.registry.answered().split_off(before);
    let is_layer = |one: &&Answered| {
        layers
            .iter()
            .any(|(digest, _)| one.target.contains(&digest.hex()))
    };
    assert_eq!(answered.iter().find(is_layer), None);
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn skopeo_reads_the_layout_that_was_pulled() {
    let (Some(skopeo), Some(served)) = (tool("skopeo"), Served::start(Access::Token, 1, 50_000))
    else {
        return;
    };
    let layout = path(served.work.path(), "layout-of-one");
    succeed(&mut served.pull(&["--oci-layout", &layout, "--platform", "linux/arm64"]));
    let mut inspect = Command::new(skopeo);
    inspect.args(["inspect", "--raw", &format!("oci:{layout}")]);
    let manifest = text(&succeed(&mut inspect));
    let arm64 = &served.image.manifests[1];
    assert_eq!(Digest::sha256_of(manifest.as_bytes()), arm64.digest);
}
