//! Pushing to real registries, in each of the ways that they are set up.

use std::path::{Path, PathBuf};
use std::process::Command;

use imgcore::Digest;
use imgtar::Codec;
use imgtest::image::{Image, ImageIndex, index_of, write_layout};
use imgtest::oracle::crane;
use imgtest::peer::{Access, Answered, DockerRegistry, RealRegistry, Setup};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::pull::{base64, credentials, encoded, image, path};
use crate::tool::{img, succeed, text, tool};

/// A registry without anything, and a layout of three platforms.
struct Empty {
    registry: RealRegistry,
    images: Vec<Image>,
    index: ImageIndex,
    work: TempDir,
}

impl Empty {
    /// `None` where a tool is missing, which has then been said.
    fn start(setup: Setup, layers: usize, layer_size: usize) -> Option<Self> {
        let work = TempDir::new().unwrap();
        let registry = RealRegistry::start(setup, work.path())?;
        let images: Vec<Image> = (0..)
            .zip(["amd64", "arm64", "riscv64"])
            .map(|(seed, architecture)| {
                encoded(Codec::Gzip, seed, architecture, &vec![layer_size; layers])
            })
            .collect();
        let index = index_of(&images);
        let layout = work.path().join("layout");
        write_layout(&layout, &index.blobs, &index.index, "image");
        Some(Self {
            registry,
            images,
            index,
            work,
        })
    }

    fn layout(&self) -> String {
        path(self.work.path(), "layout")
    }

    fn name(&self, repository: &str) -> String {
        format!("{}/{repository}", self.registry.address())
    }

    /// Writes what the registry asks for into a docker config of its own, and returns the directory that it is in.
    fn docker_config(&self) -> PathBuf {
        let config = self.work.path().join("docker");
        fs_err::create_dir_all(&config).unwrap();
        let auth = base64(&credentials());
        let auths = json!({ self.registry.address(): { "auth": auth } });
        fs_err::write(
            config.join("config.json"),
            json!({ "auths": auths }).to_string(),
        )
        .unwrap();
        config
    }

    /// `img`, with the credentials for the registry.
    fn img(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_img"));
        command
            .args(arguments)
            .env("DOCKER_CONFIG", self.docker_config());
        if let Some(certificate) = self.registry.certificate_pem() {
            let file = self.work.path().join("trusted.pem");
            fs_err::write(&file, certificate).unwrap();
            command.arg("--ca-file").arg(file);
        }
        command
    }

    /// Runs a command, and returns what it prints and what the registry answered meanwhile.
    fn answers_to(&self, arguments: &[&str]) -> (String, Vec<Answered>) {
        let before = self.registry.answered().len();
        let stdout = text(&succeed(&mut self.img(arguments)));
        (stdout, self.registry.answered().split_off(before))
    }

    /// Checks that a name means an image, for skopeo and for ourselves, and that every byte of it is right.
    fn check(&self, skopeo: &Path, name: &str, digest: &Digest) {
        let mut inspect = Command::new(skopeo);
        inspect
            .args([
                "inspect",
                "--raw",
                "--tls-verify=false",
                "--creds",
                &credentials(),
            ])
            .arg(format!("docker://{name}"));
        let document = succeed(&mut inspect).stdout;
        assert_eq!(Digest::sha256_of(&document), *digest, "{name}");
        let back = TempDir::new_in(self.work.path()).unwrap();
        let back = path(back.path(), "back");
        succeed(&mut self.img(&["pull", name, "--oci-layout", &back]));
        img(["check", &back]);
    }

    /// Has crane check a name, too. It knows no layers without compression, and no token server at a private address.
    fn check_with_crane(&self, setup: Setup, name: &str) {
        if setup == Setup::Docker(Access::Token) {
            return;
        }
        if let Some(crane) = crane() {
            let mut validate = Command::new(crane);
            validate.args(["validate", "--insecure", "--remote", name]);
            succeed(validate.env("DOCKER_CONFIG", self.docker_config()));
        }
    }
}

fn writes(answered: &[Answered]) -> Vec<&Answered> {
    let is_write = |one: &&Answered| !matches!(&*one.method, "GET" | "HEAD");
    answered.iter().filter(is_write).collect()
}

#[test]
fn what_is_pushed_to_a_real_registry_is_what_others_read_there() {
    let Some(skopeo) = tool("skopeo") else { return };
    for setup in Setup::chosen() {
        let Some(empty) = Empty::start(setup, 3, 200_000) else {
            continue;
        };
        let (name, layout) = (empty.name("team/app:v1"), empty.layout());
        let (stdout, first) = empty.answers_to(&["push", &layout, &name, "--tag", "edge"]);
        let digest = empty.index.index.digest;
        assert!(stdout.contains(&format!("{name}@{digest}\n")), "{stdout}");
        empty.check(&skopeo, &name, &digest);
        empty.check_with_crane(setup, &name);
        // Each layer and config is sent once.
        let blobs = empty
            .images
            .iter()
            .map(|it| it.layers.len() + 1)
            .sum::<usize>();
        let uploads = first.iter().filter(|one| one.method == "POST");
        let uploads = uploads.filter(|one| one.status < 400).count();
        assert_eq!(uploads, blobs, "{setup:?}: {first:#?}");
        let (again, second) = empty.answers_to(&["push", &layout, &name, "--tag", "edge"]);
        assert_eq!(again, stdout);
        assert_eq!(writes(&second), Vec::<&Answered>::new(), "{setup:?}");
    }
}

#[test]
fn only_what_changed_is_sent() {
    let Some(skopeo) = tool("skopeo") else { return };
    let Some(empty) = Empty::start(Setup::Docker(Access::Open), 1, 50_000) else {
        return;
    };
    let name = empty.name("team/app:v1");
    let layout = |name: &str, image: &Image| {
        let layout = empty.work.path().join(name);
        write_layout(&layout, &image.blobs, &image.manifest, "image");
        layout.display().to_string()
    };
    let many = image(7, "amd64", 3, 50_000);
    // The same layers, but for the last one.
    let mut builder = imgtest::image::ImageBuilder::new().platform("linux", "amd64", None);
    for layer in &many.layers[..2] {
        builder = builder.layer(many.blob(layer), Codec::None);
    }
    let small = imgtest::tar::tar_of([imgtest::tar::file("small", "new")]);
    let changed = builder.layer(&small, Codec::None).build();
    empty.answers_to(&["push", &layout("before", &many), &name]);
    let (_, answered) = empty.answers_to(&["push", &layout("after", &changed), &name]);
    let written = writes(&answered);
    let uploads = written.iter().filter(|one| one.method == "POST").count();
    assert_eq!(uploads, 2, "layer and config: {written:#?}");
    let manifests = written
        .iter()
        .filter(|one| one.target.contains("/manifests/"));
    assert_eq!(manifests.count(), 1, "the tag: {written:#?}");
    empty.check(&skopeo, &name, &changed.manifest.digest);
}

#[test]
fn a_manifest_that_the_registry_lost_is_there_again_after_a_push() {
    let Some(skopeo) = tool("skopeo") else { return };
    let Some(empty) = Empty::start(Setup::Docker(Access::Open), 1, 1000) else {
        return;
    };
    let (name, layout) = (empty.name("team/app:v1"), empty.layout());
    empty.answers_to(&["push", &layout, &name]);
    let lost = empty.images[1].manifest.digest;
    let mut delete = Command::new(&skopeo);
    let child = format!("{}@{lost}", empty.name("team/app"));
    delete.args(["delete", "--tls-verify=false", &format!("docker://{child}")]);
    succeed(&mut delete);
    let (_, answered) = empty.answers_to(&["push", &layout, &name]);
    let written = writes(&answered);
    assert_eq!(written.len(), 1, "{written:#?}");
    assert!(
        written[0].target.ends_with(&lost.to_string()),
        "{written:#?}"
    );
    empty.check(&skopeo, &name, &empty.index.index.digest);
}

#[test]
fn a_deploy_pushes_what_a_build_prepared() {
    let Some(skopeo) = tool("skopeo") else { return };
    for setup in Setup::chosen() {
        let Some(empty) = Empty::start(setup, 2, 50_000) else {
            continue;
        };
        let describe = |it: &imgcore::Descriptor| {
            let media_type = it.media_type.as_str();
            json!({"mediaType": media_type, "digest": it.digest.to_string(), "size": it.size})
        };
        let manifests = empty.images.iter().map(|image| {
            let layers: Vec<Value> = image.layers.iter().map(describe).collect();
            json!({
                "descriptor": describe(&image.manifest),
                "config": describe(&image.config),
                "layer_blobs": layers,
            })
        });
        let manifests: Vec<Value> = manifests.collect();
        let push = |repository: &str| {
            json!({
                "command": "push",
                "root_kind": "index",
                "root": describe(&empty.index.index),
                "manifests": manifests,
                "registry": empty.registry.address(),
                "repository": repository,
                "tags": ["v1"],
            })
        };
        let request = json!({
            "operations": [push("team/one"), push("team/two")],
            "settings": {"push_strategy": "eager"},
        });
        let file = path(empty.work.path(), "request.json");
        fs_err::write(&file, request.to_string()).unwrap();
        let layout = empty.layout();
        let words = ["deploy", "--request-file", &file, "--oci-layout", &layout];
        let (stdout, _) = empty.answers_to(&words);
        assert_eq!(stdout.lines().count(), 2, "{stdout}");
        for repository in ["team/one:v1", "team/two:v1"] {
            let name = empty.name(repository);
            empty.check(&skopeo, &name, &empty.index.index.digest);
            empty.check_with_crane(setup, &name);
        }
        let (again, answered) = empty.answers_to(&words);
        assert_eq!(again, stdout);
        assert_eq!(writes(&answered), Vec::<&Answered>::new(), "{setup:?}");
    }
}

#[test]
fn a_registry_that_wants_a_password_says_so_without_one() {
    let Some(empty) = Empty::start(Setup::Docker(Access::Password), 1, 1000) else {
        return;
    };
    let (name, layout) = (empty.name("team/app:v1"), empty.layout());
    let mut push = empty.img(&["push", &layout, &name]);
    let output = push
        .env("DOCKER_CONFIG", empty.work.path().join("none"))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr);
    for part in [empty.registry.address(), "401"] {
        assert!(message.contains(part), "{part} is not in: {message}");
    }
    assert!(!message.contains(DockerRegistry::PASSWORD));
}
