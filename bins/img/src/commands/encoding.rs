//! The flags that say how a layer is compressed.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use imgcore::MediaType;
use imglayer::LayerFormat;
use imglayer::encode::{EncodeOptions, GzipMembers, Level};
use imgtar::Codec;

use super::estargz::EstargzFlags;
use crate::cli::value::Integer;
use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// The heading of these flags in the help.
pub(crate) const COMPRESSION: &str = "Compression";

/// How a layer is compressed.
#[derive(Debug, clap::Args)]
pub(crate) struct EncodingFlags {
    /// Threads for the codec: a number, or `nproc`; never changes a byte
    #[arg(long, value_name = "N", default_value = "nproc", help_heading = COMPRESSION)]
    compressor_jobs: String,
    /// `fast`, `default`, `best`, or the Go tool's number: gzip 0 to 9, zstd 1 to 4, -1
    #[arg(long, value_name = "LEVEL", default_value = "default", help_heading = COMPRESSION)]
    compression_level: String,
    /// `single`: one gzip member, for every reader; `multi`: one a block, a little faster
    #[arg(long, value_name = "KIND", default_value = "single", help_heading = COMPRESSION)]
    gzip_members: Members,
    #[command(flatten)]
    estargz: EstargzFlags,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Members {
    Multi,
    Single,
}

impl EncodingFlags {
    /// The options of the encoder.
    ///
    /// # Errors
    ///
    /// Fails if a level is not one of the codec's.
    pub(crate) fn options(
        &self,
        context: &Context,
        codec: Codec,
    ) -> Result<EncodeOptions, Failure> {
        let level = level(codec, &self.compression_level).explain(|| "--compression-level")?;
        let mut options = EncodeOptions::new(codec, level);
        options.gzip_members = match self.gzip_members {
            Members::Multi => GzipMembers::Multi,
            Members::Single => GzipMembers::Single,
        };
        options.shared_threads = context.threads().cloned();
        if let Some(jobs) = jobs(&self.compressor_jobs) {
            options.threads = jobs;
        }
        Ok(options)
    }

    /// The form of the layer.
    ///
    /// # Errors
    ///
    /// Fails for eStargz as it cannot be.
    pub(crate) fn format(&self, context: &Context, codec: Codec) -> Result<LayerFormat, Failure> {
        let format = self.estargz.format(context, codec)?;
        // Where a member starts is what eStargz is about.
        if matches!(
            (&format, self.gzip_members),
            (LayerFormat::Estargz(_), Members::Multi)
        ) {
            let failure =
                Failure::new("--gzip-members=multi: an eStargz layer has members of its own");
            return Err(failure.hint("leave --gzip-members or --estargz out"));
        }
        Ok(format)
    }
}

/// Reads a level by its name, or a number in any form that the Go tool takes.
fn level(codec: Codec, text: &str) -> Result<Level, imglayer::Error> {
    match text.parse() {
        // What is below 0 means the codec's own level there.
        Ok(Integer(..0)) => Ok(Level::Default),
        Ok(Integer(number)) => Level::from_peer(codec, &number.to_string()),
        Err(_) => Level::from_peer(codec, text),
    }
}

/// Reads the number of jobs as the Go tool does: what is no number is one job. `None` is one for
/// each CPU.
fn jobs(text: &str) -> Option<NonZeroUsize> {
    if matches!(text, "auto" | "nproc") {
        return None;
    }
    let number: i64 = text.parse().unwrap_or(1);
    if number < 0 {
        return None;
    }
    let number = usize::try_from(number).unwrap_or(usize::MAX);
    Some(NonZeroUsize::new(number).unwrap_or(NonZeroUsize::MIN))
}

/// Where the contents of compressed tars wait: beside the output, for the room that is there.
pub(crate) fn spool_directory(output: &Path) -> PathBuf {
    match output.parent() {
        Some(parent) if parent.is_dir() => parent.to_path_buf(),
        Some(parent) if parent.as_os_str().is_empty() && output != Path::new("-") => ".".into(),
        _ => std::env::temp_dir(),
    }
}

/// The codec that a name of the command line means.
///
/// # Errors
///
/// Fails for other names.
pub(crate) fn codec(flag: &str, name: &str) -> Result<Codec, Failure> {
    match name {
        "gzip" => Ok(Codec::Gzip),
        "none" | "tar" | "uncompressed" => Ok(Codec::None),
        "zstd" => Ok(Codec::Zstd),
        _ => {
            let failure = Failure::new(format!("{flag}: unknown format `{name}`"));
            Err(failure.hint("one of: gzip, zstd, none"))
        }
    }
}

/// The codec that the name of an output means.
pub(crate) fn codec_of_path(path: &Path) -> Codec {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("tar") => Codec::None,
        Some("zst") => Codec::Zstd,
        _ => Codec::Gzip,
    }
}

/// The media type of a layer that is compressed so.
pub(crate) fn media_type_of(codec: Codec) -> MediaType {
    match codec {
        Codec::Gzip => MediaType::OCI_LAYER_GZIP,
        Codec::None => MediaType::OCI_LAYER_TAR,
        Codec::Zstd => MediaType::OCI_LAYER_ZSTD,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_read_as_the_go_tool_reads_them() {
        let check = |text: &str, expected: Option<usize>| {
            assert_eq!(jobs(text).map(NonZeroUsize::get), expected, "{text}");
        };
        check("nproc", None);
        check("auto", None);
        check("-1", None);
        check("0", Some(1));
        check("1", Some(1));
        check("8", Some(8));
        check("many", Some(1));
        check("", Some(1));
    }

    #[test]
    fn level_is_a_name_or_any_integer_of_the_go_tool() {
        let check = |text: &str, expected: Option<Level>| {
            assert_eq!(level(Codec::Gzip, text).ok(), expected, "{text}");
        };
        check("best", Some(Level::Best));
        check("1", Some(Level::Fast));
        check("0x9", Some(Level::Best));
        check("-1", Some(Level::Default));
        check("-7", Some(Level::Default));
        check("10", None);
        check("0x", None);
        check("quick", None);
    }

    #[test]
    fn name_of_the_output_says_how_it_is_compressed() {
        let check = |path: &str, expected| assert_eq!(codec_of_path(Path::new(path)), expected);
        check("a/layer.tar", Codec::None);
        check("a/layer.tar.gz", Codec::Gzip);
        check("a/layer.tgz", Codec::Gzip);
        check("a/layer.tar.zst", Codec::Zstd);
        check("a/layer", Codec::Gzip);
        check("a/layer.bin", Codec::Gzip);
        check("-", Codec::Gzip);
    }
}
