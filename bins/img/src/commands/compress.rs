//! `img compress`: a layer with another compression.

use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};

use fs_err as fs;
use imgcore::LayerMetadata;
use imgcore::json::Strictness;
use imglayer::encode::{EncodeOptions, recompress};
use imglayer::estargz::{TOC_DIGEST, UNCOMPRESSED_SIZE};
use imglayer::{Hardlinks, ImportOptions, LayerFormat, PlanBuilder, PlanOptions, write_layer_as};
use imgtar::{DecodeLimits, Decoder, Limits, Reader};

use super::description;
use super::encoding::{self, EncodingFlags};
use crate::cli::Run;
use crate::cli::value::KeyAndValue;
use crate::context::Context;
use crate::output::{Outputs, Pending};
use crate::report::{Explain as _, Failure};

/// Annotations that describe an eStargz blob, which the new one is not, or not in the same way.
const ESTARGZ_ANNOTATIONS: [&str; 2] = [TOC_DIGEST, UNCOMPRESSED_SIZE];

/// Compresses a layer anew, or decompresses it
///
/// The tar in it stays as it is, but with --estargz, which writes its entries anew.
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
        let format = self.encoding.format(context, codec)?;
        let options = self.encoding.options(context, codec)?;
        encoding::warn_of_name(context, &self.output, codec);
        let source = self.source_metadata(context)?;
        let (metadata, output) = match format {
            LayerFormat::Plain => self.recompress(context, &options)?,
            format => self.rewrite(context, format, &options)?,
        };
        let mut outputs = Outputs::default();
        outputs.add(output);
        let metadata = self.complete(context, metadata, source)?;
        // The Go tool writes this file, unlike others of its kind, in one line.
        let mut bytes = metadata.to_json().to_compact();
        bytes.push(b'\n');
        outputs.add_bytes_if(context, self.metadata.as_deref(), &bytes)?;
        outputs.commit(context)
    }
}

impl Arguments {
    /// Compresses the same tar in another way.
    fn recompress(
        &self,
        context: &Context,
        options: &EncodeOptions,
    ) -> Result<(LayerMetadata, Pending), Failure> {
        let mut input = self.starting_like_a_tar(self.open(context)?)?;
        let output = Pending::create(context, &self.output)?;
        let (blob, output) = recompress(&mut input, output, options).explain(|| self.what())?;
        let media_type = encoding::media_type_of(options.codec);
        let metadata = LayerMetadata::new(Some(blob.diff_id), media_type, blob.digest, blob.size);
        Ok((metadata, output))
    }

    /// Writes the same entries in another form.
    fn rewrite(
        &self,
        context: &Context,
        mut format: LayerFormat,
        options: &EncodeOptions,
    ) -> Result<(LayerMetadata, Pending), Failure> {
        let mut plan_options = PlanOptions::default();
        // Who made the layer decided which of its files are one file.
        plan_options.hardlinks = Hardlinks::Off;
        let output = context.path(&self.output);
        plan_options.spool_directory = Some(encoding::spool_directory(&output));
        let mut import = ImportOptions::default();
        import.whiteouts = true;
        let mut builder = PlanBuilder::new(plan_options);
        let input = self.open(context)?;
        if self.source_format.is_empty() {
            builder.import_tar(context.path(&self.input), &import)?;
        } else {
            builder.import_tar_stream(&self.input.display().to_string(), input, &import)?;
        }
        let plan = builder.finish().explain(|| self.what())?;
        for warning in plan.warnings() {
            context.report.warn(warning);
        }
        self.encoding.prioritize(&mut format, &plan)?;
        let output = Pending::create(context, &self.output)?;
        let (written, output) =
            write_layer_as(&plan, &format, options, output).explain(|| self.what())?;
        self.encoding.warn_of_list(context, &written);
        Ok((written.metadata, output))
    }

    /// Returns the same input, if its first entry is one of a tar.
    ///
    /// The rest is compressed as it is, and may be anything.
    fn starting_like_a_tar(&self, input: Decoder<fs::File>) -> Result<impl Read + use<>, Failure> {
        let mut input = Recorder::new(input);
        let mut limits = Limits::default();
        // Some writers of layers leave the end out, and of an empty layer nothing is left then.
        limits.missing_end = true;
        let mut reader = Reader::with_limits(&mut input, limits);
        let first = reader.next_entry().map(|_| ());
        match first {
            Ok(()) => Ok(input.replay()),
            Err(error) if input.failed => Err(error).explain(|| self.what()),
            Err(error) => {
                let failure = Failure::new(self.what()).because(error);
                Err(failure.hint("name a tar archive, plain or compressed"))
            }
        }
    }

    fn what(&self) -> String {
        format!("layer {}", self.input.display())
    }

    fn open(&self, context: &Context) -> Result<Decoder<fs::File>, Failure> {
        let what = || self.what();
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

    /// Adds what is known of the layer beside its bytes.
    fn complete(
        &self,
        context: &Context,
        mut metadata: LayerMetadata,
        source: Option<LayerMetadata>,
    ) -> Result<LayerMetadata, Failure> {
        let mut of_format = std::mem::take(&mut metadata.annotations);
        let is_same_tar = of_format.is_empty();
        metadata.history = description::history(self.history.as_deref());
        if let Some(source) = source {
            if is_same_tar
                && source
                    .diff_id
                    .is_some_and(|it| Some(it) != metadata.diff_id)
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
        metadata.annotations.append(&mut of_format);
        description::derive_from_diff_id(&mut metadata.annotations, metadata.diff_id);
        Ok(metadata)
    }
}

/// Keeps what was read of an input, to read it again.
struct Recorder<R> {
    input: R,
    read: Vec<u8>,
    /// Whether it could not be read, whatever is in it.
    failed: bool,
}

impl<R: Read> Recorder<R> {
    fn new(input: R) -> Self {
        Self {
            input,
            read: Vec::new(),
            failed: false,
        }
    }

    /// Returns the input from its beginning.
    fn replay(self) -> impl Read + use<R> {
        Cursor::new(self.read).chain(self.input)
    }
}

impl<R: Read> Read for Recorder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let result = self.input.read(buffer);
        self.failed |= result.is_err();
        let count = result?;
        self.read.extend_from_slice(&buffer[..count]);
        Ok(count)
    }
}
