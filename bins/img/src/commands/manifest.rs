//! `img manifest`: config and manifest of an image, from layer metadata and a base.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use fs_err as fs;
use imgcore::assemble::{Base, ConfigOptions, Image, ImageOptions, Setting, assemble_image};
use imgcore::json::{Fields, Limits, Strictness, Value};
use imgcore::{Config, Digest, LayerMetadata, Manifest, MediaType, Platform, Raw};

use super::inputs::{self, ConfigTemplates};
use crate::cli::value::KeyAndValue;
use crate::cli::{Run, later};
use crate::context::Context;
use crate::kvfile::KeyValueFile;
use crate::output::Outputs;
use crate::report::{Explain as _, Failure};

/// Makes the manifest and the config of an image from the metadata of its layers
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    platform: PlatformFlags,
    #[command(flatten)]
    base: BaseFlags,
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    manifest: ManifestFlags,
    #[command(flatten)]
    output: OutputFlags,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Platform")]
struct PlatformFlags {
    /// The operating system [default: that of the base, or linux]
    #[arg(long)]
    os: Option<String>,
    /// The architecture [default: that of the base, or amd64]
    #[arg(long)]
    architecture: Option<String>,
    /// The variant of the architecture
    #[arg(long)]
    variant: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Base and layers")]
struct BaseFlags {
    /// The metadata of a layer; the layers of the base come first
    #[arg(long, value_name = "FILE")]
    layer_from_metadata: Vec<PathBuf>,
    /// The manifest of the base image
    #[arg(long, value_name = "FILE")]
    base_manifest: Option<PathBuf>,
    /// The config of the base image
    #[arg(long, value_name = "FILE")]
    base_config: Option<PathBuf>,
    /// The descriptor of the base image, whose digest is noted in an annotation
    #[arg(long, value_name = "FILE")]
    base_descriptor: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Config")]
struct ConfigFlags {
    /// A file of the shape of a config that is laid over the base's, or the config of an artifact
    #[arg(long, value_name = "FILE")]
    config_fragment: Option<PathBuf>,
    /// The media type of the config, for an artifact
    #[arg(long, value_name = "TYPE")]
    config_media_type: Option<String>,
    /// A JSON file with `env`, `labels`, `annotations` and `created`, each in place of its flags
    #[arg(long, value_name = "FILE")]
    config_templates: Option<PathBuf>,
    /// The user; `<inherit from base>` keeps the base's, without the flag there is none
    #[arg(long)]
    user: Option<String>,
    /// A variable of the environment
    #[arg(long, value_name = "KEY=VALUE")]
    env: Vec<KeyAndValue>,
    /// A file with variables; `--env` wins
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// A word of the entrypoint; `<inherit from base>` stands for the base's words
    #[arg(long, value_name = "WORD")]
    entrypoint: Vec<String>,
    /// A word of the default arguments; `<inherit from base>` stands for the base's words
    #[arg(long, value_name = "WORD")]
    cmd: Vec<String>,
    /// The working directory; `<inherit from base>` keeps the base's, without the flag there is none
    #[arg(long, value_name = "DIRECTORY")]
    working_dir: Option<String>,
    /// A label
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<KeyAndValue>,
    /// A file with labels; `--label` wins
    #[arg(long, value_name = "FILE")]
    additional_image_labels_file: Option<PathBuf>,
    /// The signal that stops the program; `<inherit from base>` keeps the base's
    #[arg(long, value_name = "SIGNAL")]
    stop_signal: Option<String>,
    /// A file with the time of creation in RFC 3339; wins over templates and `--created-timestamp`
    #[arg(long, value_name = "FILE")]
    created: Option<PathBuf>,
    /// The time of creation in RFC 3339
    #[arg(long, value_name = "TIME")]
    created_timestamp: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Manifest")]
struct ManifestFlags {
    /// An annotation of the manifest and its descriptor
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<KeyAndValue>,
    /// What kind of artifact this is
    #[arg(long, value_name = "TYPE")]
    artifact_type: Option<String>,
    /// The descriptor of the manifest that this one says something about
    #[arg(long, value_name = "FILE")]
    subject_descriptor: Option<PathBuf>,
    /// Not yet: the descriptor of a SOCI index
    #[arg(long, value_name = "FILE")]
    soci_index_descriptor: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Output")]
struct OutputFlags {
    /// Where the manifest goes
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Where the config goes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the manifest's descriptor goes
    #[arg(long, value_name = "FILE")]
    descriptor: Option<PathBuf>,
    /// Where the manifest's digest goes
    #[arg(long, value_name = "FILE")]
    digest: Option<PathBuf>,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        later::refuse(
            self.manifest.soci_index_descriptor.is_some(),
            "--soci-index-descriptor",
            "SOCI indexes are",
        )?;
        self.output.check()?;
        let base_config: Option<Raw<Config>> =
            read_document(context, self.base.base_config.as_deref())?;
        let base_manifest: Option<Raw<Manifest>> =
            read_document(context, self.base.base_manifest.as_deref())?;
        check_base(base_manifest.as_ref(), base_config.as_ref())?;
        let mut base = Base::default();
        base.config = base_config.as_ref();
        base.manifest = base_manifest.as_ref();
        let layers = read_layers(context, &self.base.layer_from_metadata)?;
        let base_digest = read_digest(context, self.base.base_descriptor.as_deref())?;

        let templates = ConfigTemplates::read(context, self.config.config_templates.as_deref())?;
        let mut options = ImageOptions::default();
        options.manifest.base_digest = base_digest;
        options.manifest.annotations = match &templates.annotations {
            Some(annotations) => annotations.clone(),
            None => inputs::pairs(self.manifest.annotation),
        };
        options.manifest.artifact_type = media_type(self.manifest.artifact_type);
        options.manifest.subject = match &self.manifest.subject_descriptor {
            Some(path) => Some(inputs::descriptor(context, path)?),
            None => None,
        };
        options.config_media_type = media_type(self.config.config_media_type.clone());
        options.fragment = match &self.config.config_fragment {
            Some(path) => Some(fs::read(context.path(path))?),
            None => None,
        };
        let fragment = options.fragment.as_deref();
        let platform = self.platform.resolve(base.config, fragment);
        options.config = self.config.options(context, templates)?;
        options.config.platform = platform;
        let image = assemble_image(&base, &layers, &options)?;
        self.output.write(context, &image)
    }
}

impl PlatformFlags {
    /// What is asked for. `None`: nothing is, and the base or the fragment knows.
    fn resolve(self, base: Option<&Raw<Config>>, fragment: Option<&[u8]>) -> Option<Platform> {
        let asked = self.os.is_some() || self.architecture.is_some() || self.variant.is_some();
        if !asked && (base.is_some() || fragment.is_some_and(names_a_platform)) {
            return None;
        }
        let open = if base.is_some() {
            Platform::default()
        } else {
            Platform::new("linux", "amd64")
        };
        let mut platform = Platform::new(
            self.os.unwrap_or(open.os),
            self.architecture.unwrap_or(open.architecture),
        );
        platform.variant = self.variant.filter(|variant| !variant.is_empty());
        Some(platform)
    }
}

/// An empty type counts as none: that is how the rules say so.
fn media_type(text: Option<String>) -> Option<MediaType> {
    text.filter(|text| !text.is_empty()).map(Into::into)
}

fn names_a_platform(fragment: &[u8]) -> bool {
    Value::parse(fragment, &Limits::default())
        .ok()
        .and_then(|value| value.as_object())
        .is_some_and(|object| object.contains("os") || object.contains("architecture"))
}

impl ConfigFlags {
    fn options(
        self,
        context: &Context,
        templates: ConfigTemplates,
    ) -> Result<ConfigOptions, Failure> {
        let mut options = ConfigOptions::default();
        let created = self.created_timestamp.filter(|time| !time.is_empty());
        options.created = match &self.created {
            Some(path) => Some(read_time(context, path)?),
            None => templates.created.or(created),
        };
        options.user = Setting::from_word(self.user);
        options.environment = read_pairs(context, self.env_file.as_deref(), "environment")?;
        let environment = templates.environment;
        options
            .environment
            .extend(environment.unwrap_or_else(|| inputs::pairs(self.env)));
        options.entrypoint = Setting::from_words(self.entrypoint);
        options.command = Setting::from_words(self.cmd);
        options.working_dir = Setting::from_word(self.working_dir);
        let labels_file = self.additional_image_labels_file.as_deref();
        options.labels = read_pairs(context, labels_file, "labels")?;
        let labels = templates.labels;
        options
            .labels
            .extend(labels.unwrap_or_else(|| inputs::pairs(self.label)));
        options.stop_signal = Setting::from_word(self.stop_signal);
        Ok(options)
    }
}

impl OutputFlags {
    fn check(&self) -> Result<(), Failure> {
        let paths = [&self.manifest, &self.config, &self.descriptor, &self.digest];
        if paths.iter().all(|path| path.is_none()) {
            return Err(Failure::new("there is nothing to write")
                .hint("name a file with --manifest, --config, --descriptor or --digest"));
        }
        Ok(())
    }

    fn write(self, context: &Context, image: &Image) -> Result<(), Failure> {
        let descriptor = image.descriptor.to_json().to_compact();
        let digest = image.descriptor.digest.to_string();
        let mut outputs = Outputs::default();
        for (path, bytes) in [
            (&self.manifest, image.manifest.as_slice()),
            (&self.config, &image.config),
            (&self.descriptor, &descriptor),
            (&self.digest, digest.as_bytes()),
        ] {
            outputs.add_bytes_if(context, path.as_deref(), bytes)?;
        }
        outputs.commit(context)
    }
}

fn read_document<T: imgcore::document::View>(
    context: &Context,
    path: Option<&Path>,
) -> Result<Option<Raw<T>>, Failure> {
    path.map(|path| inputs::document(context, path)).transpose()
}

/// A base is one image: its manifest names its config.
fn check_base(
    manifest: Option<&Raw<Manifest>>,
    config: Option<&Raw<Config>>,
) -> Result<(), Failure> {
    let (Some(manifest), Some(config)) = (manifest, config) else {
        return Ok(());
    };
    let (named, given) = (manifest.config.digest, config.digest());
    if named == given {
        return Ok(());
    }
    let message =
        format!("the base manifest names the config {named}, and --base-config is {given}");
    Err(Failure::new(message).hint("take both from one image"))
}

fn read_layers(context: &Context, paths: &[PathBuf]) -> Result<Vec<LayerMetadata>, Failure> {
    let read = |path: &PathBuf| {
        let bytes = fs::read(context.path(path))?;
        LayerMetadata::parse(&bytes, Strictness::Strict).explain(|| path.display().to_string())
    };
    paths.iter().map(read).collect()
}

/// Reads the digest of a descriptor, which may be an entry of somebody else's index.
fn read_digest(context: &Context, path: Option<&Path>) -> Result<Option<Digest>, Failure> {
    let Some(path) = path else { return Ok(None) };
    let bytes = fs::read(context.path(path))?;
    Value::parse(&bytes, &Limits::default())
        .and_then(|value| Fields::of(&value, "descriptor")?.parsed("digest"))
        .map(Some)
        .explain(|| path.display().to_string())
}

fn read_time(context: &Context, path: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(context.path(path))?;
    let time = text.trim();
    if time.is_empty() {
        let message = format!("--created {}: the file is empty", path.display());
        return Err(Failure::new(message).hint("write a time such as 2031-05-06T07:08:09Z into it"));
    }
    Ok(time.to_owned())
}

fn read_pairs(
    context: &Context,
    path: Option<&Path>,
    what: &str,
) -> Result<BTreeMap<String, String>, Failure> {
    let Some(path) = path else {
        return Ok(BTreeMap::new());
    };
    let bytes = fs::read(context.path(path))?;
    KeyValueFile::parse_pairs(&bytes).explain(|| format!("{what} file {}", path.display()))
}
