//! `img manifest-from-oci-layout`: one image of a layout, as the files that a build works with.

use std::path::PathBuf;

use imgcore::Platform;

use super::oci_layout_parts::{self as layout, Parts};
use crate::cli::Run;
use crate::cli::value::{IndexAndFile, IndexAndText};
use crate::context::Context;
use crate::output::Outputs;
use crate::report::Failure;

/// Takes one image of an OCI layout apart: manifest, config, descriptor, layer blobs and their metadata
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The OCI layout directory
    #[arg(long, value_name = "DIRECTORY", required = true)]
    src: PathBuf,
    /// Where the manifest goes
    #[arg(long, value_name = "FILE", required = true)]
    manifest: PathBuf,
    /// Where the config goes
    #[arg(long, value_name = "FILE", required = true)]
    config: PathBuf,
    /// Where the manifest's descriptor goes
    #[arg(long, value_name = "FILE", required = true)]
    descriptor: PathBuf,
    /// Where the manifest's digest goes
    #[arg(long, value_name = "FILE", required = true)]
    digest: PathBuf,
    /// The operating system of the image
    #[arg(long, required = true)]
    os: String,
    /// The architecture of the image
    #[arg(long, required = true)]
    architecture: String,
    /// The variant of the architecture
    #[arg(long)]
    variant: Option<String>,
    /// The media type that layer I must have
    #[arg(long = "layer_media_type", value_name = "I=TYPE")]
    layer_media_type: Vec<IndexAndText>,
    /// Where the blob of layer I goes
    #[arg(long = "layer_blob", value_name = "I=FILE")]
    layer_blob: Vec<IndexAndFile>,
    /// Where the metadata of layer I goes
    #[arg(long = "layer_metadata_json", value_name = "I=FILE")]
    layer_metadata_json: Vec<IndexAndFile>,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let source = layout::open(context, &self.src)?;
        let parts = self.parts();
        let entries = layout::entries(&source)?;
        let entry = layout::choose(&entries, &parts.platform)?;
        let mut outputs = Outputs::default();
        layout::take_apart(context, &source, entry, &parts, &mut outputs)?;
        outputs.commit(context)
    }
}

impl Arguments {
    fn parts(self) -> Parts {
        let mut platform = Platform::new(self.os, self.architecture);
        platform.variant = self.variant.filter(|variant| !variant.is_empty());
        let mut parts = Parts {
            platform,
            manifest: self.manifest,
            config: self.config,
            descriptor: self.descriptor,
            digest: Some(self.digest),
            ..Parts::default()
        };
        for IndexAndText { index, text } in self.layer_media_type {
            parts.layers.entry(index).or_default().media_type = Some(text);
        }
        for IndexAndFile { index, file } in self.layer_blob {
            parts.layers.entry(index).or_default().blob = Some(file);
        }
        for IndexAndFile { index, file } in self.layer_metadata_json {
            parts.layers.entry(index).or_default().metadata = Some(file);
        }
        parts
    }
}
