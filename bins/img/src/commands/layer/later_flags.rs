//! Flags of `img layer` without effect: those of later features, and those that never had one.

use std::path::PathBuf;

use crate::cli::later;
use crate::cli::value::Integer;
use crate::context::Context;
use crate::output::Outputs;
use crate::report::Failure;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Not built yet, or without effect")]
pub(super) struct LaterFlags {
    /// Not yet: entries that `img base` describes
    #[arg(long, value_name = "FILE")]
    base_metadata: Vec<PathBuf>,
    /// Not yet: entries that `img base` describes, one file a line
    #[arg(long, value_name = "FILE")]
    base_metadata_from_file: Vec<PathBuf>,
    /// Not yet: write the layer as references to its files
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    compact_stream: String,
    /// Not yet: write no other form of the layer
    #[arg(long)]
    compact_stream_only: bool,
    /// Not yet: files below this size stand in the compact stream itself
    #[arg(
        long,
        value_name = "BYTES",
        default_value = "0",
        hide_default_value = true
    )]
    compact_stream_inline_threshold: Integer,
    /// Not yet: write an index for lazy pulling (SOCI)
    #[arg(
        long,
        value_name = "FILE",
        default_value = "",
        hide_default_value = true
    )]
    ztoc: String,
    /// Not yet: the distance of its checkpoints
    #[arg(long, value_name = "BYTES")]
    ztoc_span_size: Option<Integer>,
    /// Not yet: the name of the tool in it
    #[arg(long, value_name = "TEXT")]
    ztoc_build_tool_identifier: Option<String>,
    /// Without effect: layers cannot share files with others by links
    #[arg(long, value_name = "FILE")]
    deduplicate: Vec<PathBuf>,
    /// Without effect, as --deduplicate
    #[arg(long, value_name = "FILE")]
    deduplicate_collection: Vec<PathBuf>,
    /// Without effect: an empty list of contents is written
    #[arg(long, value_name = "FILE")]
    content_manifest: Option<PathBuf>,
}

impl LaterFlags {
    /// Refuses what is not built yet, and says what has no effect.
    ///
    /// # Errors
    ///
    /// Fails for a flag whose feature is not built yet.
    pub(super) fn refuse_or_warn(&self, context: &Context) -> Result<(), Failure> {
        const BASE: &str = "layers from `img base` are";
        const COMPACT: &str = "compact layers are";
        const ZTOC: &str = "SOCI indexes are";
        for (used, flag, feature) in [
            (!self.base_metadata.is_empty(), "--base-metadata", BASE),
            (
                !self.base_metadata_from_file.is_empty(),
                "--base-metadata-from-file",
                BASE,
            ),
            (!self.compact_stream.is_empty(), "--compact-stream", COMPACT),
            (self.compact_stream_only, "--compact-stream-only", COMPACT),
            (
                self.compact_stream_inline_threshold.0 != 0,
                "--compact-stream-inline-threshold",
                COMPACT,
            ),
            (!self.ztoc.is_empty(), "--ztoc", ZTOC),
            (self.ztoc_span_size.is_some(), "--ztoc-span-size", ZTOC),
            (
                self.ztoc_build_tool_identifier.is_some(),
                "--ztoc-build-tool-identifier",
                ZTOC,
            ),
        ] {
            later::refuse(used, flag, feature)?;
        }
        for (used, flag) in [
            (!self.deduplicate.is_empty(), "--deduplicate"),
            (
                !self.deduplicate_collection.is_empty(),
                "--deduplicate-collection",
            ),
            (self.content_manifest.is_some(), "--content-manifest"),
        ] {
            if used {
                context
                    .report
                    .warn(format_args!("{flag} has no effect: layers share no files"));
            }
        }
        Ok(())
    }

    /// Writes the list of contents that a build may have declared as an output: it names nothing.
    ///
    /// # Errors
    ///
    /// Fails if the file cannot be written.
    pub(super) fn add_content_manifest(
        &self,
        context: &Context,
        outputs: &mut Outputs,
    ) -> Result<(), Failure> {
        let path = self.content_manifest.as_deref();
        outputs.add_bytes_if(context, path, &empty_content_manifest())
    }
}

/// A header of 128 bytes: the format's name, then three sections (blobs, nodes, trees) of size 0
/// that start behind it.
fn empty_content_manifest() -> [u8; 0x80] {
    const NAME: &[u8] = b"imgv1+contentmanifest+sha256\0";
    let mut header = [0; 0x80];
    header[..NAME.len()].copy_from_slice(NAME);
    for (nth, section) in b"bnt".iter().enumerate() {
        let at = NAME.len() + nth * 17;
        header[at] = *section;
        header[at + 1..at + 9].copy_from_slice(&0x80_u64.to_be_bytes());
    }
    header
}
