//! `img sparse-oci-layout`: the documents of an image, and notes about its layers.

use std::collections::BTreeMap;
use std::path::PathBuf;

use imgcore::json::Strictness;
use imgcore::{Descriptor, Digest, LayerMetadata};
use imgstore::Placement;
use imgstore::archive::Export;

use super::oci_layout_inputs::{Format, ImageFlags, read_bounded, required_output, write};
use crate::cli::value::NameAndFile;
use crate::cli::{Run, later};
use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// Writes the documents of an image without its layers
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    image: ImageFlags,
    /// The metadata of a layer
    #[arg(long, value_name = "METADATA")]
    layer: Vec<PathBuf>,
    /// Not yet: a layer as a compact stream
    #[arg(long, value_name = "METADATA=STREAM")]
    layer_compact_stream: Vec<NameAndFile>,
    /// What is written
    #[arg(long, value_name = "FORMAT", default_value = "directory")]
    format: Format,
    /// Where it goes: an absent or empty directory, or a file; `-` is standard output
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let streams = !self.layer_compact_stream.is_empty();
        later::refuse(streams, "--layer-compact-stream", "compact layers are")?;
        let output = required_output(self.output.as_ref())?;
        let files = self.image.read(context)?;
        let given = self.metadata(context)?;
        let Some(root) = files.root() else {
            return Err(Failure::new("there is no manifest"));
        };
        let mut export = Export::sparse(&root);
        if let Some(index) = &files.index {
            export.document(index.bytes());
        }
        for image in &files.images {
            export.document(image.manifest.bytes());
            export.document(&read_bounded(context, &image.config)?);
            for layer in &image.manifest.layers {
                export.layer_note(given.get(&layer.digest).unwrap_or(layer));
            }
        }
        write(context, &export, output, self.format, Placement::Copy)
    }
}

impl Arguments {
    /// Reads what is known of layers; it is preferred to what the manifest says.
    fn metadata(&self, context: &Context) -> Result<BTreeMap<Digest, Descriptor>, Failure> {
        let mut layers = BTreeMap::new();
        for path in &self.layer {
            let bytes = read_bounded(context, path)?;
            let layer = LayerMetadata::parse(&bytes, Strictness::Lenient)
                .explain(|| format!("layer metadata {}", path.display()))?;
            let mut descriptor = Descriptor::new(layer.media_type, layer.digest, layer.size);
            descriptor.annotations = layer.annotations;
            layers.insert(layer.digest, descriptor);
        }
        Ok(layers)
    }
}
