//! `img compress`: a layer with another compression.

use std::path::{Path, PathBuf};

use fs_err as fs;
use imgcore::LayerMetadata;
use imgcore::json::Strictness;
use imglayer::encode::{Blob, recompress};
use imgtar::{Codec, DecodeLimits, Decoder};

use super::description;
use super::encoding::{self, EncodingFlags};
use crate::cli::Run;
use crate::cli::value::KeyAndValue;
use crate::context::Context;
use crate::output::{Outputs, Pending};
use crate::report::{Explain as _, Failure};

/// Annotations that describe an eStargz blob, which the new one is not.
const ESTARGZ_ANNOTATIONS: [&str; 2] = [
    "containerd.io/snapshot/stargz/toc.digest",
    "io.containers.estargz.uncompressed-size",
];

/// Compresses a layer anew, or decompresses it
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// gzip, zstd or none; by default what the input's first bytes say
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "",
        hide_default_value = true
    )]
    source_format: String,
    /// gzip, zstd or none
    #[arg(long)]
    format: String,
    #[command(flatten)]
    encoding: EncodingFlags,
    /// Annotate the layer
    #[arg(long, value_name = "KEY=VALUE")]
    annotation: Vec<KeyAndValue>,
    /// Write the layer's metadata
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
    /// The input's metadata: its annotations and history are kept
    #[arg(long, value_name = "FILE")]
    source_metadata: Option<PathBuf>,
    /// What the image's history says of the layer, if the input's metadata does not say it
    #[arg(long, value_name = "TEXT")]
    history: Option<String>,
    /// The layer
    input: PathBuf,
    /// Where the new layer goes; `-` is standard output
    output: PathBuf,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let codec = encoding::codec("--format", &self.format)?;
        let options = self.encoding.options(codec)?;
        let source = self.source_metadata(context)?;
        let mut input = self.open(context)?;
        let output = Pending::create(context, &self.output)?;
        let (blob, output) = recompress(&mut input, output, &options)
            .explain(|| format!("layer {}", self.input.display()))?;
        let mut outputs = Outputs::default();
        outputs.add(output);
        let metadata = self.new_metadata(context, codec, &blob, source)?;
        // The Go tool writes this file, unlike others of its kind, in one line.
        let mut bytes = metadata.to_json().to_compact();
        bytes.push(b'\n');
        outputs.add_bytes_if(context, self.metadata.as_deref(), &bytes)?;
        outputs.commit(context)
    }
}

impl Arguments {
    fn open(&self, context: &Context) -> Result<Decoder<fs::File>, Failure> {
        let what = || format!("layer {}", self.input.display());
        let file = fs::File::open(context.path(&self.input)).explain(what)?;
        if !self.source_format.is_empty() {
            let codec = encoding::codec("--source-format", &self.source_format)?;
            return Decoder::with_codec(file, codec, DecodeLimits::default()).explain(what);
        }
        if file.metadata()?.len() < 4 {
            return Err(
                Failure::new(format!("{}: fewer than 4 bytes are no layer", what()))
                    .hint("say --source-format if it is meant"),
            );
        }
        Decoder::new(file, DecodeLimits::default()).explain(what)
    }

    fn source_metadata(&self, context: &Context) -> Result<Option<LayerMetadata>, Failure> {
        let Some(file) = &self.source_metadata else {
            return Ok(None);
        };
        let bytes = fs::read(context.path(file)).explain(|| "--source-metadata")?;
        let metadata = LayerMetadata::parse(&bytes, Strictness::Lenient);
        metadata
            .explain(|| format!("--source-metadata {}", file.display()))
            .map(Some)
    }

    fn new_metadata(
        &self,
        context: &Context,
        codec: Codec,
        blob: &Blob,
        source: Option<LayerMetadata>,
    ) -> Result<LayerMetadata, Failure> {
        let media_type = encoding::media_type_of(codec);
        let mut metadata =
            LayerMetadata::new(Some(blob.diff_id), media_type, blob.digest, blob.size);
        metadata.history = description::history(self.history.as_deref());
        if let Some(source) = source {
            if source
                .diff_id
                .is_some_and(|diff_id| diff_id != blob.diff_id)
            {
                let (file, input) = (self.source_metadata.as_deref(), self.input.display());
                let file = file.unwrap_or(Path::new("")).display();
                context
                    .report
                    .warn(format_args!("{file} has another diff ID than {input} has"));
            }
            metadata.annotations = source.annotations;
            for key in ESTARGZ_ANNOTATIONS {
                metadata.annotations.remove(key);
            }
            if !source.history.is_empty() {
                metadata.history = source.history;
            }
        }
        let annotations = description::annotations(context, None, &self.annotation)?;
        metadata.annotations.extend(annotations);
        description::derive_from_diff_id(&mut metadata.annotations, metadata.diff_id);
        Ok(metadata)
    }
}
