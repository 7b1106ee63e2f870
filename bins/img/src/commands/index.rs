//! `img index`: an index of manifests.

use std::path::PathBuf;

use imgcore::assemble::{IndexOptions, assemble_index};
use imgcore::{Descriptor, MediaType};

use super::inputs::{self, ConfigTemplates};
use crate::cli::value::{KeyAndValue, NameAndFile};
use crate::cli::{Run, later};
use crate::context::Context;
use crate::output::Outputs;
use crate::report::Failure;

/// Makes an index from the descriptors of manifests
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The descriptor of a manifest, in the order of the index
    #[arg(long, value_name = "FILE")]
    manifest_descriptor: Vec<PathBuf>,
    /// An annotation of the index
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<KeyAndValue>,
    /// A JSON file with `annotations`, in place of the flags
    #[arg(long, value_name = "FILE")]
    config_templates: Option<PathBuf>,
    /// The descriptor of the manifest that this index says something about
    #[arg(long, value_name = "FILE")]
    subject_descriptor: Option<PathBuf>,
    /// Not yet: the descriptors of a SOCI index and of its image
    #[arg(long, value_name = "SOCI=MANIFEST")]
    soci_entry: Vec<NameAndFile>,
    /// Where the digest of the index goes
    #[arg(long, value_name = "FILE")]
    digest: Option<PathBuf>,
    /// Where the descriptor of the index goes
    #[arg(long, value_name = "FILE")]
    descriptor: Option<PathBuf>,
    /// Where the index goes
    #[arg(value_name = "OUT")]
    output: PathBuf,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        later::refuse(
            !self.soci_entry.is_empty(),
            "--soci-entry",
            "SOCI indexes are",
        )?;
        let read = |path: &PathBuf| inputs::descriptor(context, path);
        let manifests = self
            .manifest_descriptor
            .iter()
            .map(read)
            .collect::<Result<Vec<_>, _>>()?;
        let templates = ConfigTemplates::read(context, self.config_templates.as_deref())?;
        let mut options = IndexOptions::default();
        options.subject = self.subject_descriptor.as_ref().map(read).transpose()?;
        options.annotations = templates
            .annotations
            .unwrap_or_else(|| inputs::pairs(self.annotation));
        let index = assemble_index(&manifests, &options);
        let descriptor = Descriptor::of(MediaType::OCI_INDEX, &index);
        let digest = descriptor.digest.to_string();

        let mut outputs = Outputs::default();
        outputs.add_bytes(context, &self.output, &index)?;
        let descriptor = descriptor.to_json().to_compact();
        outputs.add_bytes_if(context, self.descriptor.as_deref(), &descriptor)?;
        outputs.add_bytes_if(context, self.digest.as_deref(), digest.as_bytes())?;
        outputs.commit(context)
    }
}
