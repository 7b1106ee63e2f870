//! `img docker-save`: an image as an archive for `docker load`.

use std::path::{Path, PathBuf};

use imgcore::Reference;
use imgcore::json::{self, Fields, Value};
use imgstore::archive::{
    DockerImage, Export, describe_index, describe_manifest, docker_index, docker_manifest,
};

use super::oci_layout::placement;
use super::oci_layout_inputs::{
    Format, ImageFiles, ImageFlags, LayerFiles, read_bounded, required_output, write,
};
use crate::cli::Run;
use crate::cli::value::NameAndFile;
use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// Writes an image as an archive that `docker load` and `podman load` read
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    image: ImageFlags,
    /// A layer: its metadata and its blob
    #[arg(long, value_name = "METADATA=BLOB")]
    layer: Vec<NameAndFile>,
    /// A name of the image, such as `registry.example/app:v1`
    #[arg(long, value_name = "REFERENCE")]
    repo_tag: Vec<String>,
    /// Names of the image if no --repo-tag is given: JSON with `registry`, `repository`, `tags`
    #[arg(long, value_name = "FILE")]
    configuration_file: Option<PathBuf>,
    /// What is written
    #[arg(long, value_name = "FORMAT", default_value = "tar")]
    format: Format,
    /// Where it goes: a file, or an absent or empty directory; `-` is standard output
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Refer to layers and config by relative symbolic links instead of hard links or copies
    #[arg(long)]
    symlink: bool,
    /// Leave out layers that are not given
    #[arg(long)]
    allow_missing_blobs: bool,
    /// Name the image in the index by its tag alone
    #[arg(long)]
    oci_ref_name_tag_only: bool,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let output = required_output(self.output.as_ref())?;
        let files = self.image.read(context)?;
        let layers = LayerFiles::read(context, &self.layer)?;
        let tags = self.tags(context)?;
        let mut export = self.start(&files, tags)?;
        if let Some(index) = &files.index {
            export.document(index.bytes());
        }
        files.add_blobs(context, &mut export, &layers, self.allow_missing_blobs)?;
        write(
            context,
            &export,
            output,
            self.format,
            placement(self.symlink),
        )
    }
}

impl Arguments {
    fn start(&self, files: &ImageFiles, tags: Vec<String>) -> Result<Export, Failure> {
        let Some(first) = files.images.first() else {
            let message = "--index is given without --manifest-path";
            return Err(Failure::new(message).hint("add --manifest-path and --config-path"));
        };
        let root = match &files.index {
            Some(index) => describe_index(index),
            None => describe_manifest(&first.manifest),
        };
        let index = docker_index(&root, &tags, self.oci_ref_name_tag_only);
        let manifest = docker_manifest(&[DockerImage::new(&first.manifest, tags)]);
        Ok(Export::docker(index, manifest))
    }

    fn tags(&self, context: &Context) -> Result<Vec<String>, Failure> {
        let tags = match &self.configuration_file {
            Some(path) if self.repo_tag.is_empty() => configured_tags(context, path)?,
            _ => self.repo_tag.clone(),
        };
        tags.into_iter().map(with_tag).collect()
    }
}

fn configured_tags(context: &Context, path: &Path) -> Result<Vec<String>, Failure> {
    let what = || format!("configuration {}", path.display());
    let bytes = read_bounded(context, path)?;
    let value = Value::parse(&bytes, &json::Limits::default()).explain(what)?;
    let mut fields = Fields::of(&value, what())?;
    let registry = fields.optional_string("registry")?.unwrap_or_default();
    let repository = fields.optional_string("repository")?.unwrap_or_default();
    let tags = fields
        .strings("tags")?
        .into_iter()
        .filter(|tag| !tag.is_empty());
    if registry.is_empty() || repository.is_empty() {
        return Ok(tags.collect());
    }
    Ok(tags
        .map(|tag| format!("{registry}/{repository}:{tag}"))
        .collect())
}

/// Checks a name, and gives it the tag `latest` if it has none; otherwise it stays as it is written.
fn with_tag(name: String) -> Result<String, Failure> {
    let reference: Reference = name
        .parse()
        .map_err(|error| Failure::new(format!("the image name `{name}`")).because(error))
        .map_err(|failure| failure.hint("write it like registry.example/app:v1"))?;
    if reference.tag().is_some() || reference.digest().is_some() {
        return Ok(name);
    }
    Ok(format!("{name}:latest"))
}
