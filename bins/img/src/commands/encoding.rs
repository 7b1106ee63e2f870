//! The flags that say how a layer is compressed.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use imgcore::MediaType;
use imglayer::encode::{EncodeOptions, GzipMembers, Level};
use imglayer::{LayerFormat, Plan, Written};
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
    /// Threads for the codec: a number from 1, or `nproc` or below 0 for one a CPU; never changes a byte
    #[arg(long, value_name = "N", default_value = "nproc", value_parser = jobs, help_heading = COMPRESSION)]
    compressor_jobs: Jobs,
    /// `fast`, `default`, `best`, or the Go tool's number: gzip 0 to 9, zstd 1 to 4, -1
    #[arg(long, value_name = "LEVEL", default_value = "default", help_heading = COMPRESSION)]
    compression_level: String,
    /// `single`: one gzip member, for every reader; `multi`: one a block, a little faster
    #[arg(long, value_name = "KIND", default_value = "single", help_heading = COMPRESSION)]
    gzip_members: Members,
    #[command(flatten)]
    estargz: EstargzFlags,
}

/// How many threads compress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Jobs {
    EachCpu,
    Number(NonZeroUsize),
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
    /// Fails if a level is not one of the codec's, and if a codec without members is to have several.
    pub(crate) fn options(
        &self,
        context: &Context,
        codec: Codec,
    ) -> Result<EncodeOptions, Failure> {
        let level = level(codec, &self.compression_level).explain(|| "--compression-level")?;
        if matches!(self.gzip_members, Members::Multi) && codec != Codec::Gzip {
            let message = format!("--gzip-members=multi: the layer is not gzip, but {codec}");
            return Err(
                Failure::new(message).hint("use --format=gzip, or leave --gzip-members out")
            );
        }
        let mut options = EncodeOptions::new(codec, level);
        options.gzip_members = match self.gzip_members {
            Members::Multi => GzipMembers::Multi,
            Members::Single => GzipMembers::Single,
        };
        options.shared_threads = context.threads().cloned();
        if let Jobs::Number(number) = self.compressor_jobs {
            options.threads = number;
        }
        Ok(options)
    }

    /// Gives the form of the layer what depends on what is in it.
    ///
    /// # Errors
    ///
    /// Fails if prioritized files are not in the layer, unless they may be missing.
    pub(crate) fn prioritize(&self, format: &mut LayerFormat, plan: &Plan) -> Result<(), Failure> {
        self.estargz.prioritize(format, plan)
    }

    /// Says what of the flags is without effect on the layer that was written.
    pub(crate) fn warn_of_list(&self, context: &Context, written: &Written) {
        self.estargz.warn_of_list(context, written);
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

/// Reads the number of jobs. The Go tool takes one for each CPU if it is negative, as here, and one if it is no number,
/// which is an error here.
fn jobs(text: &str) -> Result<Jobs, &'static str> {
    if matches!(text, "auto" | "nproc") {
        return Ok(Jobs::EachCpu);
    }
    match text.parse::<i64>() {
        Ok(..0) => Ok(Jobs::EachCpu),
        Ok(number) => usize::try_from(number)
            .ok()
            .map_or(Some(NonZeroUsize::MAX), NonZeroUsize::new)
            .map(Jobs::Number)
            .ok_or(JOBS),
        Err(_) => Err(JOBS),
    }
}

/// What the number of jobs may be.
const JOBS: &str = "give a number from 1, or `nproc` for one a CPU";

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

/// The codec that the name of an output means; gzip if it means none.
pub(crate) fn codec_of_path(path: &Path) -> Codec {
    codec_of_name(path).unwrap_or(Codec::Gzip)
}

fn codec_of_name(path: &Path) -> Option<Codec> {
    match path.extension()?.to_str()? {
        "gz" | "tgz" => Some(Codec::Gzip),
        "tar" => Some(Codec::None),
        "tzst" | "zst" => Some(Codec::Zstd),
        _ => None,
    }
}

/// Says that the name of an output means another codec than the one that it is written with.
pub(crate) fn warn_of_name(context: &Context, output: &Path, codec: Codec) {
    if let Some(meant) = codec_of_name(output).filter(|meant| *meant != codec) {
        let output = output.display();
        context.report.warn(format_args!(
            "{output}: the name ends as if it were {meant}, and --format makes it {codec}"
        ));
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
    fn jobs_are_a_number_or_one_for_each_cpu() {
        let each_cpu = |text: &str| assert_eq!(jobs(text), Ok(Jobs::EachCpu), "{text}");
        let number = |text: &str, expected: usize| {
            let expected = NonZeroUsize::new(expected).map(Jobs::Number);
            assert_eq!(jobs(text).ok(), expected, "{text}");
        };
        let refused = |text: &str| assert_eq!(jobs(text), Err(JOBS), "{text}");
        each_cpu("nproc");
        each_cpu("auto");
        each_cpu("-1");
        each_cpu("-3");
        number("1", 1);
        number("8", 8);
        refused("0");
        refused("many");
        refused("1.5");
        refused("");
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
        check("a/layer.tzst", Codec::Zstd);
        check("a/layer", Codec::Gzip);
        check("a/layer.bin", Codec::Gzip);
        check("-", Codec::Gzip);
    }
}
