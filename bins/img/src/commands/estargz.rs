//! The flags of eStargz: layers of which single files can be fetched.

use std::path::{Path, PathBuf};

use fs_err as fs;
use imglayer::estargz::EstargzOptions;
use imglayer::{Codec, LayerFormat, LayerPath};

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
    /// With --estargz, larger files are fetched in pieces of this size; 4194304 unless told
    #[arg(long, value_name = "BYTES", help_heading = COMPRESSION)]
    estargz_chunk_size: Option<Integer>,
    /// With --estargz, smaller files are fetched together; needs newer readers, and is 0 unless told
    #[arg(long, value_name = "BYTES", help_heading = COMPRESSION)]
    estargz_min_chunk_size: Option<Integer>,
    /// With --estargz, the files that are fetched first: a path a line, in their order
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
            options.chunk_size = size_of("--estargz-chunk-size", size)?;
        }
        if let Some(size) = self.estargz_min_chunk_size {
            options.min_chunk_size = size_of("--estargz-min-chunk-size", size)?;
        }
        for file in &self.estargz_prioritized_files {
            options.prioritized_files.extend(paths(context, file)?);
        }
        options.allow_missing = self.estargz_allow_missing_files;
        Ok(LayerFormat::Estargz(options))
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

/// Says which prioritized files are not in the layer.
pub(super) fn warn_of_missing(context: &Context, missing: &[LayerPath]) {
    for path in missing {
        context.report.warn(format_args!(
            "--estargz-prioritized-files: {path} is not in the layer"
        ));
    }
}

fn size_of(flag: &str, size: Integer) -> Result<u32, Failure> {
    u32::try_from(size.0).map_err(|_| {
        let failure = Failure::new(format!("{flag}: {} bytes are no size of chunks", size.0));
        failure.hint("give a number of bytes up to 1073741824")
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
