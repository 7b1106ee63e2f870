//! `img optimize`: the documents of an image whose layers were compressed again.

use std::path::{Path, PathBuf};

use fs_err as fs;
use imgcore::edit::{ConfigEdit, IndexEdit, ManifestEdit};
use imgcore::json::{Limits, Object, Strictness, Value};
use imgcore::{Config, Descriptor, DiffId, Index, LayerMetadata, Manifest, Raw};

use super::inputs;
use crate::cli::Run;
use crate::context::Context;
use crate::output::Outputs;
use crate::report::{Explain as _, Failure};

/// Rewrites an image's documents for layers that were compressed again; all else keeps its bytes
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    image: ImageFlags,
    #[command(flatten)]
    index: IndexFlags,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "One image")]
struct ImageFlags {
    /// The manifest as it was
    #[arg(long, value_name = "FILE")]
    source_manifest: Option<PathBuf>,
    /// The config as it was
    #[arg(long, value_name = "FILE")]
    source_config: Option<PathBuf>,
    /// The descriptor as it was; what it says beside type, digest and size is kept
    #[arg(long, value_name = "FILE")]
    source_descriptor: Option<PathBuf>,
    /// The metadata of a new layer, lowest first
    #[arg(long, value_name = "FILE")]
    layer_from_metadata: Vec<PathBuf>,
    /// Where the new manifest goes
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// Where the new config goes
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where the descriptor of the new manifest or index goes
    #[arg(long, value_name = "FILE")]
    descriptor: Option<PathBuf>,
    /// Where the digest of the new manifest or index goes
    #[arg(long, value_name = "FILE")]
    digest: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "An index")]
struct IndexFlags {
    /// The index as it was
    #[arg(long, value_name = "FILE")]
    source_index: Option<PathBuf>,
    /// The descriptor of a new manifest, in the order of the index
    #[arg(long, value_name = "FILE")]
    manifest_descriptor: Vec<PathBuf>,
    /// Where the new index goes
    #[arg(long, value_name = "FILE")]
    index: Option<PathBuf>,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        match (&self.image.source_manifest, &self.index.source_index) {
            (Some(source), None) => self.image.rewrite(context, source),
            (None, Some(source)) => self.index.rewrite(context, source, &self.image),
            (Some(_), Some(_)) => {
                let message = "--source-manifest and --source-index cannot be given together";
                Err(Failure::new(message).hint("leave one of them out"))
            }
            (None, None) => {
                let message = "neither --source-manifest nor --source-index is given";
                Err(Failure::new(message).hint("say what to rewrite"))
            }
        }
    }
}

impl ImageFlags {
    fn rewrite(&self, context: &Context, source: &Path) -> Result<(), Failure> {
        let Some(source_config) = &self.source_config else {
            return Err(Failure::new("--source-config is missing"));
        };
        let manifest: Raw<Manifest> = inputs::document(context, source)?;
        let config: Raw<Config> = inputs::document(context, source_config)?;
        if manifest.config.digest != config.digest() {
            let message = format!(
                "{} is not the config that {} names",
                source_config.display(),
                source.display()
            );
            return Err(Failure::new(message));
        }
        let layers = self.layers(context)?;
        if layers.len() != manifest.layers.len() {
            let message = format!(
                "{} has {} layers, and there is metadata for {}",
                source.display(),
                manifest.layers.len(),
                layers.len()
            );
            return Err(Failure::new(message)
                .hint("give one --layer-from-metadata for each layer, lowest first"));
        }

        let mut edit = ConfigEdit::new(&config);
        edit.set_diff_ids(
            &layers
                .iter()
                .map(|(_, diff_id)| *diff_id)
                .collect::<Vec<_>>(),
        );
        let config = edit.finish()?;
        let mut edit = ManifestEdit::new(&manifest);
        edit.set_config(&config);
        edit.set_layers(
            &layers
                .into_iter()
                .map(|(layer, _)| layer)
                .collect::<Vec<_>>(),
        );
        let manifest = edit.finish()?;

        let descriptor = self
            .new_descriptor(context, &manifest.descriptor())?
            .to_compact();
        let digest = manifest.digest().to_string();
        let mut outputs = Outputs::default();
        for (path, bytes) in [
            (&self.manifest, manifest.bytes()),
            (&self.config, config.bytes()),
            (&self.descriptor, &descriptor),
            (&self.digest, digest.as_bytes()),
        ] {
            outputs.add_bytes_if(context, path.as_deref(), bytes)?;
        }
        outputs.commit(context)
    }

    fn layers(&self, context: &Context) -> Result<Vec<(Descriptor, DiffId)>, Failure> {
        let read = |path: &PathBuf| {
            let bytes = fs::read(context.path(path))?;
            let metadata = LayerMetadata::parse(&bytes, Strictness::Lenient)
                .explain(|| path.display().to_string())?;
            let Some(diff_id) = metadata.diff_id else {
                return Err(Failure::new(format!("{} has no diff_id", path.display())));
            };
            if metadata.media_type.as_str().is_empty() {
                return Err(Failure::new(format!("{} has no mediaType", path.display())));
            }
            Ok((metadata.descriptor(), diff_id))
        };
        self.layer_from_metadata.iter().map(read).collect()
    }

    /// The old descriptor with a new target. Content that was in it is not that of the new one.
    fn new_descriptor(&self, context: &Context, target: &Descriptor) -> Result<Object, Failure> {
        let mut object = match &self.source_descriptor {
            None => Object::new(),
            Some(path) => {
                let bytes = fs::read(context.path(path))?;
                let value = Value::parse(&bytes, &Limits::default())
                    .explain(|| path.display().to_string())?;
                value
                    .as_object()
                    .ok_or_else(|| Failure::new(format!("{} is no JSON object", path.display())))?
            }
        };
        object.set("mediaType", target.media_type.as_str());
        object.set("digest", target.digest.to_string());
        object.set("size", target.size);
        object.remove("data");
        Ok(object)
    }
}

impl IndexFlags {
    fn rewrite(&self, context: &Context, source: &Path, flags: &ImageFlags) -> Result<(), Failure> {
        let index: Raw<Index> = inputs::document(context, source)?;
        let read = |path: &PathBuf| inputs::descriptor(context, path);
        let manifests = self
            .manifest_descriptor
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        // An index may hold what was derived from its images: that describes layers which are replaced now.
        let entries = index.manifests.iter();
        let images = entries.filter(|it| it.artifact_type.is_none()).count();
        if manifests.len() != index.manifests.len() && manifests.len() != images {
            let message = format!(
                "{} has {images} entries, and there are descriptors for {}",
                source.display(),
                manifests.len()
            );
            return Err(Failure::new(message)
                .hint("give one --manifest-descriptor for each entry, in their order"));
        }
        let mut edit = IndexEdit::new(&index);
        edit.set_manifests(&manifests);
        let index = edit.finish()?;
        let target = index.descriptor();
        let descriptor = flags.new_descriptor(context, &target)?.to_compact();
        let mut outputs = Outputs::default();
        for (path, bytes) in [
            (&self.index, index.bytes()),
            (&flags.descriptor, &descriptor),
            (&flags.digest, target.digest.to_string().as_bytes()),
        ] {
            outputs.add_bytes_if(context, path.as_deref(), bytes)?;
        }
        outputs.commit(context)
    }
}
