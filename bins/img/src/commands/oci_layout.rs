//! `img oci-layout`: an image as an OCI layout.

use std::path::PathBuf;

use imgstore::Placement;
use imgstore::archive::{Export, describe_manifest, layout_index};

use super::oci_layout_inputs::{Format, ImageFlags, LayerFiles, required_output, write};
use crate::cli::Run;
use crate::cli::value::NameAndFile;
use crate::context::Context;
use crate::report::Failure;

/// Writes an image as an OCI layout: a directory or a tar archive
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    image: ImageFlags,
    /// A layer: its metadata and its blob
    #[arg(long, value_name = "METADATA=BLOB")]
    layer: Vec<NameAndFile>,
    /// What is written
    #[arg(long, value_name = "FORMAT", default_value = "directory")]
    format: Format,
    /// Where it goes: an absent or empty directory, or a file; `-` is standard output
    #[arg(long, value_name = "PATH")]
    output: Option<PathBuf>,
    /// Refer to layers and config by relative symbolic links instead of hard links or copies
    #[arg(long)]
    symlink: bool,
    /// Leave out layers that are not given
    #[arg(long)]
    allow_missing_blobs: bool,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let output = required_output(self.output.as_ref())?;
        let files = self.image.read(context)?;
        let layers = LayerFiles::read(context, &self.layer)?;
        let index = if let Some(index) = &files.index {
            index.bytes().to_vec()
        } else {
            let manifests = files.images.iter().map(|image| &image.manifest);
            layout_index(&manifests.map(describe_manifest).collect::<Vec<_>>())
        };
        let mut export = Export::oci(index);
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

/// How `--symlink` says that blobs are made of files.
pub(super) fn placement(symlink: bool) -> Placement {
    if symlink {
        Placement::Symlink
    } else {
        Placement::Link
    }
}
