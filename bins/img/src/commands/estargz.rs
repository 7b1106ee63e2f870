//! The flags of eStargz: layers of which single files can be fetched.

use std::path::{Path, PathBuf};

use fs_err as fs;
use imglayer::estargz::{self, CHUNK_SIZES, EstargzOptions};
use imglayer::{Codec, LayerFormat, LayerPath, Plan, Written};

use super::encoding::COMPRESSION;
use crate::cli::value::Integer;
use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// Whether a layer is an eStargz layer, and what it is like.
#[derive(Debug, clap::Args)]
pub(crate) struct EstargzFlags {
    /// Let single files be fetched: a gzip layer with a table of contents (eStargz)
    #[arg(long, help_heading = COMPRESSION)]
    estargz: bool,
    /// With --estargz, larger files are fetched in pieces of this size, 512 at least; 4194304 unless told
    #[arg(long, value_name = "BYTES", help_heading = COMPRESSION)]
    estargz_chunk_size: Option<Integer>,
    /// With --estargz, smaller files are fetched together; needs newer readers, and is 0 unless told
    #[arg(long, value_name = "BYTES", help_heading = COMPRESSION)]
    estargz_min_chunk_size: Option<Integer>,
    /// With --estargz, the files that are fetched first: a path a line, in their order
    ///
    /// Without a list, those that come first in layers which are read stay first; an empty list ends that. A directory
    /// brings nothing along of what is in it.
    #[arg(long, value_name = "FILE", help_heading = COMPRESSION)]
    estargz_prioritized_files: Vec<PathBuf>,
    /// Leave out prioritized files that are not in the layer, with a warning
    #[arg(long, help_heading = COMPRESSION)]
    estargz_allow_missing_files: bool,
}

impl EstargzFlags {
    /// The form of a layer that is compressed so.
    ///
    /// # Errors
    ///
    /// Fails for eStargz without gzip, for its other flags without `--estargz`, for sizes that it does not have, and if
    /// a list cannot be read.
    pub(super) fn format(&self, context: &Context, codec: Codec) -> Result<LayerFormat, Failure> {
        if !self.estargz {
            self.refuse_without_estargz()?;
            return Ok(LayerFormat::Plain);
        }
        match codec {
            Codec::Gzip => {}
            Codec::None => {
                let failure = Failure::new("--estargz: an uncompressed layer has no such form");
                return Err(failure.hint("use --format=gzip, or leave --estargz out"));
            }
            Codec::Zstd => {
                let failure = Failure::new("--estargz: zstd layers of that kind are not built yet");
                return Err(failure.hint("use --format=gzip, or leave --estargz out"));
            }
        }
        let mut options = EstargzOptions::default();
        if let Some(size) = self.estargz_chunk_size {
            options.chunk_size = size_of("--estargz-chunk-size", size, *CHUNK_SIZES.start())?;
        }
        if let Some(size) = self.estargz_min_chunk_size {
            options.min_chunk_size = size_of("--estargz-min-chunk-size", size, 0)?;
        }
        for file in &self.estargz_prioritized_files {
            options.prioritized_files.extend(paths(context, file)?);
        }
        options.allow_missing = self.estargz_allow_missing_files;
        Ok(LayerFormat::Estargz(options))
    }

    /// Gives the form its priorities, once it is known what is in the layer.
    ///
    /// # Errors
    ///
    /// Fails if prioritized files are not in the layer, unless they may be missing.
    pub(super) fn prioritize(&self, format: &mut LayerFormat, plan: &Plan) -> Result<(), Failure> {
        let LayerFormat::Estargz(options) = format else {
            return Ok(());
        };
        if self.estargz_prioritized_files.is_empty() {
            options.prioritized_files = estargz::prioritized_in_archives(plan);
        }
        let missing_files = options.missing_in(plan);
        if missing_files.is_empty() || options.allow_missing {
            return Ok(());
        }
        Err(missing(&missing_files))
    }

    /// Says what of a list of prioritized files is without effect.
    pub(super) fn warn_of_list(&self, context: &Context, written: &Written) {
        if self.estargz_prioritized_files.is_empty() {
            return;
        }
        for path in &written.missing {
            context.report.warn(format_args!(
                "--estargz-prioritized-files: {path} is not in the layer"
            ));
        }
        for path in &written.bare_directories {
            context.report.warn(format_args!(
                "--estargz-prioritized-files: {path} is a directory, and nothing of what is in it is on the list"
            ));
        }
    }

    fn refuse_without_estargz(&self) -> Result<(), Failure> {
        let given = [
            ("--estargz-chunk-size", self.estargz_chunk_size.is_some()),
            (
                "--estargz-min-chunk-size",
                self.estargz_min_chunk_size.is_some(),
            ),
            (
                "--estargz-prioritized-files",
                !self.estargz_prioritized_files.is_empty(),
            ),
            (
                "--estargz-allow-missing-files",
                self.estargz_allow_missing_files,
            ),
        ];
        match given.iter().find(|(_, given)| *given) {
            Some((flag, _)) => {
                let failure = Failure::new(format!("{flag} is only for eStargz layers"));
                Err(failure.hint("add --estargz"))
            }
            None => Ok(()),
        }
    }
}

fn missing(paths: &[LayerPath]) -> Failure {
    let is_comment = |path: &LayerPath| path.as_bytes().starts_with(b"#");
    let hint = if paths.iter().any(is_comment) {
        "every line of a list is a path: it has no comments"
    } else {
        "correct the list, or leave out what is missing with --estargz-allow-missing-files"
    };
    let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
    let message = format!(
        "--estargz-prioritized-files: not in the layer: {}",
        paths.join(", ")
    );
    Failure::new(message).hint(hint)
}

fn size_of(flag: &str, size: Integer, least: u32) -> Result<u32, Failure> {
    let most = *CHUNK_SIZES.end();
    let fitting = u32::try_from(size.0).ok();
    let fitting = fitting.filter(|it| (least..=most).contains(it));
    fitting.ok_or_else(|| {
        let failure = Failure::new(format!("{flag}: {} bytes are no size of chunks", size.0));
        failure.hint(format!("give a number of bytes from {least} to {most}"))
    })
}

/// Reads a list of paths, which may be absolute, and as `find` prints them; empty lines do not count.
fn paths(context: &Context, file: &Path) -> Result<Vec<LayerPath>, Failure> {
    let what = || format!("--estargz-prioritized-files {}", file.display());
    let list = fs::read(context.path(file)).explain(what)?;
    list.split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .filter(|line| !line.is_empty())
        .map(|line| LayerPath::from_archive_name(line).explain(what))
        .collect()
}
