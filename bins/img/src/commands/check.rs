//! `img check`: whether an image or a layer is what it says.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use fs_err as fs;
use imgcore::check::Measured;
use imgcore::json::Strictness;
use imgcore::{Algorithm, Descriptor, LayerMetadata};
use imgstore::archive::{ArchiveLimits, Image};
use imgstore::check::{check, check_documents, measure_layer};
use imgstore::{DirectoryOptions, OutsideLinks, REF_NAME, Selector};

use super::oci_layout_inputs::read_bounded;
use crate::cli::Run;
use crate::context::Context;
use crate::report::{Explain as _, Failure};
use crate::{shown, subject};

/// Checks every digest, size and document of images, or a layer
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A layout directory, an archive or a layer; PATH:NAME or PATH@DIGEST chooses one of several images
    #[arg(value_name = "IMAGE")]
    subject: String,
    /// What IMAGE is; by default its files tell
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,
    /// Checks the layer against this metadata
    #[arg(long, value_name = "FILE")]
    metadata: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    Image,
    Layer,
}

impl Run for Arguments {
    fn run(self, context: &Context) -> Result<(), Failure> {
        let (path, selector) = subject::split(context, &self.subject);
        if fs::metadata(&path).is_err_and(|error| error.kind() == ErrorKind::NotFound) {
            let message = format!("{}: there is no such file or directory", self.subject);
            return Err(Failure::new(message));
        }
        match self.kind(&path)? {
            Kind::Image if self.metadata.is_some() => {
                let message = "--metadata belongs to a layer, and this is an image";
                Err(Failure::new(message).hint("leave --metadata out, or give --as layer"))
            }
            Kind::Image => self.check_image(context, &path, &selector),
            Kind::Layer => {
                subject::refuse_selector(&path, &selector)?;
                self.check_layer(context, &path)
            }
        }
    }
}

impl Arguments {
    fn kind(&self, path: &Path) -> Result<Kind, Failure> {
        if let Some(kind) = self.kind {
            return Ok(kind);
        }
        if self.metadata.is_some() && path.is_file() {
            return Ok(Kind::Layer);
        }
        if path.is_dir() {
            return Ok(Kind::Image);
        }
        let is_image = Image::is_at(path);
        let is_image = is_image.explain(|| "this can be read as neither an image nor a layer")?;
        Ok(if is_image { Kind::Image } else { Kind::Layer })
    }

    fn check_image(
        &self,
        context: &Context,
        path: &Path,
        selector: &Selector,
    ) -> Result<(), Failure> {
        // A build links its outputs to where they are; what they hold is checked here anyway.
        let options = DirectoryOptions::default().with_outside_links(OutsideLinks::Follow);
        let image = Image::open_with(path, options, &ArchiveLimits::default())?;
        let roots = image
            .index()
            .select(selector)
            .explain(|| path.display().to_string())?;
        let named: Vec<_> = roots
            .into_iter()
            .map(|root| (name_of(&root), root))
            .collect();
        let report = if image.is_sparse() {
            check_documents(&image, &named)
        } else {
            check(&image, &named)
        };
        let mismatches: Vec<_> = report.mismatches.iter().map(ToString::to_string).collect();
        let checked = format!(
            "{}, {} with {}{}\n",
            counted(report.images as u64, "image"),
            counted(report.layers as u64, "layer"),
            counted(report.layer_bytes, "byte"),
            if image.is_sparse() {
                "; a sparse layout has no layers"
            } else {
                ""
            },
        );
        tell(context, &mismatches, &checked)?;
        if mismatches.is_empty() {
            return Ok(());
        }
        let failure = self.failure(&mismatches);
        // Where anything else is wrong, that is no reason.
        if report.missing_entries < mismatches.len() {
            return Err(failure);
        }
        Err(failure.hint(
            "an index that was pulled for some of its platforms also leads to the others; \
             pull it without --platform, or each platform to a layout of its own",
        ))
    }

    fn check_layer(&self, context: &Context, path: &Path) -> Result<(), Failure> {
        let metadata = self.metadata(context)?;
        let digest = metadata.as_ref().map(|it| it.digest.algorithm());
        let diff_id = metadata
            .as_ref()
            .and_then(|it| it.diff_id)
            .map(|it| it.algorithm());
        let file = fs::File::open(path)?;
        let sha256 = Algorithm::Sha256;
        let measured = measure_layer(file, digest.unwrap_or(sha256), diff_id.unwrap_or(sha256));
        let (measured, tar_error) = measured.explain(|| format!("layer {}", self.subject))?;
        let mut mismatches: Vec<_> = tar_error.iter().map(ToString::to_string).collect();
        if let Some(metadata) = &metadata {
            mismatches.extend(compare(metadata, &measured));
        }
        let mut checked = format!("digest {}\n", measured.digest);
        if let Some(diff_id) = measured.diff_id {
            let _ = writeln!(checked, "diff_id {diff_id}");
        }
        let _ = writeln!(checked, "{}", counted(measured.size, "byte"));
        tell(context, &mismatches, &checked)?;
        if mismatches.is_empty() {
            return Ok(());
        }
        Err(self.failure(&mismatches))
    }

    fn metadata(&self, context: &Context) -> Result<Option<LayerMetadata>, Failure> {
        let Some(path) = &self.metadata else {
            return Ok(None);
        };
        let bytes = read_bounded(context, path)?;
        let metadata = LayerMetadata::parse(&bytes, Strictness::Lenient);
        metadata
            .map(Some)
            .explain(|| format!("layer metadata {}", path.display()))
    }

    fn failure(&self, mismatches: &[String]) -> Failure {
        let count = counted(mismatches.len() as u64, "mismatch");
        Failure::new(format!("{}: {count}", self.subject))
    }
}

/// Prints what was checked, or everything that is wrong.
fn tell(context: &Context, mismatches: &[String], checked: &str) -> Result<(), Failure> {
    if mismatches.is_empty() {
        return context.report.print(checked);
    }
    let lines = format!("{}\n", mismatches.join("\n"));
    context.report.print(shown::lines(&lines))
}

/// Lists what a layer and its metadata say differently.
fn compare(metadata: &LayerMetadata, measured: &Measured) -> Vec<String> {
    let mut mismatches = Vec::new();
    let mut differ = |what: &str, actual: String, expected: String| {
        if actual != expected {
            mismatches.push(format!(
                "{what} is {actual} and the metadata says {expected}"
            ));
        }
    };
    differ(
        "the size",
        measured.size.to_string(),
        metadata.size.to_string(),
    );
    differ(
        "the digest",
        measured.digest.to_string(),
        metadata.digest.to_string(),
    );
    if let (Some(actual), Some(expected)) = (measured.diff_id, metadata.diff_id) {
        differ("the diff_id", actual.to_string(), expected.to_string());
    }
    let declared = metadata.media_type.compression();
    if let (Some(actual), Some(expected)) = (measured.compression, declared) {
        let name = |it| format!("{it:?}").to_lowercase();
        differ("the compression", name(actual), name(expected));
    }
    mismatches
}

fn name_of(root: &Descriptor) -> String {
    let name = root.annotations.get(REF_NAME);
    name.cloned().unwrap_or_else(|| root.digest.to_string())
}

fn counted(count: u64, thing: &str) -> String {
    let ending = match thing {
        _ if count == 1 => "",
        "mismatch" => "es",
        _ => "s",
    };
    format!("{count} {thing}{ending}")
}
