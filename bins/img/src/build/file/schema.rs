//! The shape of a build file: `docs/build-file.md` in types. A key that is not here is refused.

use std::collections::BTreeMap;
use std::path::PathBuf;

use imgcore::{Digest, Platform, Reference, Tag};
use serde::Deserialize;
use serde::de::IgnoredAny;
use toml::Spanned;

use super::value::{Duration, ImagePath, Mode, Owner, Port, Text, Time};

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Build {
    pub(crate) name: Option<Text<Reference>>,
    #[serde(default)]
    pub(crate) tags: Vec<Text<Tag>>,
    pub(crate) platforms: Vec<Text<Platform>>,
    pub(crate) base: Option<Spanned<Base>>,
    #[serde(default)]
    pub(crate) compression: Compression,
    #[serde(default)]
    pub(crate) level: Level,
    #[serde(default)]
    pub(crate) estargz: bool,
    #[serde(default = "yes")]
    pub(crate) hard_links: bool,
    #[serde(default)]
    pub(crate) preserve_modes: bool,
    #[serde(default, rename = "layer")]
    pub(crate) layers: Vec<Spanned<Layer>>,
    #[serde(default)]
    pub(crate) config: Config,
    #[serde(default)]
    pub(crate) annotations: BTreeMap<String, String>,
    pub(crate) output: Spanned<Output>,
    /// Known, so that the message can say where it belongs.
    pub(crate) push: Option<Spanned<IgnoredAny>>,
    /// Known, so that the message can say that it comes later.
    pub(crate) load: Option<Spanned<IgnoredAny>>,
}

/// The image that the layers are put on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Base {
    pub(crate) path: Option<PathBuf>,
    pub(crate) tag: Option<String>,
    pub(crate) digest: Option<Text<Digest>>,
    /// An image on a registry.
    pub(crate) image: Option<Text<Reference>>,
}

/// One layer.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Layer {
    pub(crate) name: Option<String>,
    #[serde(default)]
    pub(crate) platforms: Vec<Spanned<Text<Platform>>>,
    #[serde(default)]
    pub(crate) copy: Vec<Spanned<Copy>>,
    #[serde(default)]
    pub(crate) directories: Vec<Spanned<Directory>>,
    #[serde(default)]
    pub(crate) symlinks: Vec<Spanned<Symlink>>,
    #[serde(default)]
    pub(crate) remove: Vec<Spanned<Text<ImagePath>>>,
    pub(crate) owner: Option<Text<Owner>>,
    pub(crate) compression: Option<Compression>,
    pub(crate) level: Option<Level>,
    pub(crate) estargz: Option<bool>,
    #[serde(default)]
    pub(crate) prioritized_files: Vec<Spanned<Text<ImagePath>>>,
    pub(crate) hard_links: Option<bool>,
    pub(crate) preserve_modes: Option<bool>,
}

/// Files that go into a layer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Copy {
    pub(crate) from: Option<String>,
    pub(crate) content: Option<String>,
    pub(crate) to: Text<ImagePath>,
    #[serde(default)]
    pub(crate) exclude: Vec<String>,
    pub(crate) mode: Option<Text<Mode>>,
    pub(crate) directory_mode: Option<Text<Mode>>,
    pub(crate) owner: Option<Text<Owner>>,
    #[serde(default)]
    pub(crate) platforms: Vec<Spanned<Text<Platform>>>,
}

/// A directory that is made in a layer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Directory {
    pub(crate) path: Text<ImagePath>,
    pub(crate) mode: Option<Text<Mode>>,
    pub(crate) owner: Option<Text<Owner>>,
}

/// A symbolic link that is made in a layer.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Symlink {
    pub(crate) path: Text<ImagePath>,
    pub(crate) target: String,
    pub(crate) owner: Option<Text<Owner>>,
}

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Compression {
    #[default]
    Gzip,
    None,
    Zstd,
}

/// How much work compression does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    Best,
    #[default]
    Default,
    Fast,
}

/// What the image's config says about running it. What is absent is as in the base.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) author: Option<String>,
    pub(crate) created: Option<Time>,
    pub(crate) user: Option<String>,
    pub(crate) working_dir: Option<String>,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) cmd: Option<Vec<String>>,
    #[serde(default)]
    pub(crate) env: BTreeMap<Spanned<String>, String>,
    #[serde(default)]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) exposed_ports: Vec<Text<Port>>,
    #[serde(default)]
    pub(crate) volumes: Vec<String>,
    pub(crate) stop_signal: Option<String>,
    pub(crate) shell: Option<Vec<String>>,
    pub(crate) healthcheck: Option<Healthcheck>,
}

/// How a runtime finds out whether the program works (Docker's addition to the config).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Healthcheck {
    pub(crate) test: Vec<String>,
    pub(crate) interval: Option<Text<Duration>>,
    pub(crate) timeout: Option<Text<Duration>>,
    pub(crate) start_period: Option<Text<Duration>>,
    pub(crate) start_interval: Option<Text<Duration>>,
    pub(crate) retries: Option<u32>,
}

/// Where the image goes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Output {
    pub(crate) layout: Option<PathBuf>,
    pub(crate) oci_archive: Option<PathBuf>,
    pub(crate) docker_archive: Option<PathBuf>,
    pub(crate) docker_platform: Option<Text<Platform>>,
    /// Names under which it is pushed, if it is.
    #[serde(default)]
    pub(crate) push: Vec<Text<Reference>>,
}

fn yes() -> bool {
    true
}
