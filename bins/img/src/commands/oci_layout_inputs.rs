//! What the layout commands are given: an image as its documents, and its layers as files.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::{BufWriter, Read as _};
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use fs_err as fs;
use imgcore::document::{Index, Manifest, Raw, View};
use imgcore::json::{self, Value};
use imgcore::{Descriptor, Digest};
use imgstore::archive::{Content, Export};
use imgstore::{ErrorKind, MAX_DOCUMENT, Placement};

use crate::cli::value::NameAndFile;
use crate::context::Context;
use crate::output::{Outputs, Pending};
use crate::report::{Explain as _, Failure};

/// The flags that name the documents of an image.
#[derive(Debug, clap::Args)]
pub(super) struct ImageFlags {
    /// The manifest of the image
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The config of the image
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The index of a multi-platform image
    #[arg(long, value_name = "FILE")]
    index: Option<PathBuf>,
    /// With --index: the manifest of one platform
    #[arg(long, value_name = "FILE")]
    manifest_path: Vec<PathBuf>,
    /// With --index: the config of one platform
    #[arg(long, value_name = "FILE")]
    config_path: Vec<PathBuf>,
}

/// Whether an output is a directory or a tar archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Directory,
    Tar,
}

/// The documents of an image.
#[derive(Debug)]
pub(super) struct ImageFiles {
    pub(super) index: Option<Raw<Index>>,
    /// In the order of the command line; one without an index.
    pub(super) images: Vec<ImageFile>,
}

#[derive(Debug)]
pub(super) struct ImageFile {
    pub(super) manifest: Raw<Manifest>,
    pub(super) config: PathBuf,
}

impl ImageFlags {
    /// Reads the documents, and checks that they belong together.
    pub(super) fn read(&self, context: &Context) -> Result<ImageFiles, Failure> {
        match (&self.manifest, &self.index) {
            (Some(manifest), None) => self.read_one(context, manifest),
            (None, Some(index)) => self.read_many(context, index),
            (Some(_), Some(_)) => {
                let message = "--manifest and --index cannot be given together";
                Err(Failure::new(message).hint("leave one of them out"))
            }
            (None, None) => {
                let message = "neither --manifest nor --index is given";
                let hint = "give --manifest and --config, or --index with --manifest-path and --config-path";
                Err(Failure::new(message).hint(hint))
            }
        }
    }

    fn read_one(&self, context: &Context, manifest: &Path) -> Result<ImageFiles, Failure> {
        if !self.manifest_path.is_empty() || !self.config_path.is_empty() {
            let message = "--manifest-path and --config-path belong to --index";
            return Err(Failure::new(message).hint("give --manifest and --config alone"));
        }
        let Some(config) = &self.config else {
            let message = "--manifest is given without --config";
            return Err(Failure::new(message).hint("add --config FILE"));
        };
        let configs = digests(context, std::slice::from_ref(config))?;
        let image = ImageFile::read(context, manifest, &configs)?;
        Ok(ImageFiles {
            index: None,
            images: vec![image],
        })
    }

    fn read_many(&self, context: &Context, index: &Path) -> Result<ImageFiles, Failure> {
        if self.config.is_some() {
            let message = "--config belongs to --manifest";
            return Err(Failure::new(message).hint("give --config-path with --index"));
        }
        let index = read_document::<Index>(context, index, "index")?;
        let configs = digests(context, &self.config_path)?;
        let manifests = self.manifest_path.iter();
        let images: Vec<_> = manifests
            .map(|manifest| ImageFile::read(context, manifest, &configs))
            .collect::<Result<_, _>>()?;
        for (path, image) in self.manifest_path.iter().zip(&images) {
            let digest = image.manifest.digest();
            if !index.manifests.iter().any(|entry| entry.digest == digest) {
                let message = format!("the index has no manifest {digest} ({})", path.display());
                return Err(Failure::new(message).hint("leave that --manifest-path out"));
            }
        }
        Ok(ImageFiles {
            index: Some(index),
            images,
        })
    }
}

impl ImageFile {
    fn read(
        context: &Context,
        path: &Path,
        configs: &BTreeMap<Digest, PathBuf>,
    ) -> Result<Self, Failure> {
        let manifest = read_document::<Manifest>(context, path, "manifest")?;
        let wanted = manifest.config.digest;
        let Some(config) = configs.get(&wanted) else {
            let given: Vec<_> = configs
                .iter()
                .map(|(digest, path)| format!("{} ({digest})", path.display()))
                .collect();
            let message = format!(
                "the config {wanted} of manifest {} is none of the given ones: {}",
                path.display(),
                if given.is_empty() {
                    "none".to_owned()
                } else {
                    given.join(", ")
                }
            );
            return Err(Failure::new(message).hint("give the config that the manifest names"));
        };
        Ok(Self {
            manifest,
            config: config.clone(),
        })
    }
}

impl ImageFiles {
    /// Adds all documents but the root as blobs, and finds the files of the layers.
    ///
    /// What is missing is an error that lists it, or left out with `allow_missing`.
    pub(super) fn add_blobs(
        &self,
        context: &Context,
        export: &mut Export,
        layers: &LayerFiles,
        allow_missing: bool,
    ) -> Result<(), Failure> {
        let mut missing: Vec<Digest> = self.absent_children().collect();
        let hint = if missing.is_empty() {
            "give --layer METADATA=BLOB for each layer, or leave them out by --allow-missing-blobs"
        } else {
            "give --manifest-path and --config-path for each manifest of the index, or leave some out by --allow-missing-blobs"
        };
        for image in &self.images {
            export.document(image.manifest.bytes());
            let config = Content::File(context.path(&image.config));
            export.blob(&image.manifest.config, config);
            for layer in &image.manifest.layers {
                match layers.0.get(&layer.digest) {
                    Some(file) => export.blob(layer, Content::File(context.path(file))),
                    None => missing.push(layer.digest),
                }
            }
        }
        let mut seen = HashSet::new();
        missing.retain(|digest| seen.insert(*digest));
        self.note_unused(context, layers);
        if missing.is_empty() || allow_missing {
            return Ok(());
        }
        let missing: Vec<_> = missing.iter().map(Digest::to_string).collect();
        let message = format!("missing blobs: {}", missing.join(", "));
        Err(Failure::new(message).hint(hint))
    }

    /// The manifests that the index names and nobody gave.
    fn absent_children(&self) -> impl Iterator<Item = Digest> {
        let given: BTreeSet<_> = self
            .images
            .iter()
            .map(|image| image.manifest.digest())
            .collect();
        let entries = self.index.iter().flat_map(|index| &index.manifests);
        entries
            .map(|entry| entry.digest)
            .filter(move |digest| !given.contains(digest))
    }

    fn note_unused(&self, context: &Context, layers: &LayerFiles) {
        let manifests = self.images.iter().flat_map(|image| &image.manifest.layers);
        let used: BTreeSet<_> = manifests.map(|layer| layer.digest).collect();
        for digest in layers.0.keys().filter(|digest| !used.contains(digest)) {
            context.report.note(format_args!(
                "the image has no layer {digest}; it is left out"
            ));
        }
    }

    /// Describes the root: the index, or the only manifest.
    pub(super) fn root(&self) -> Option<Descriptor> {
        let image = self.images.first().map(|image| image.manifest.descriptor());
        self.index.as_ref().map(Raw::descriptor).or(image)
    }
}

/// The files of layers by their digest.
#[derive(Debug)]
pub(super) struct LayerFiles(BTreeMap<Digest, PathBuf>);

impl LayerFiles {
    /// Takes `METADATA=BLOB` pairs; of the metadata only the digest counts.
    pub(super) fn read(context: &Context, flags: &[NameAndFile]) -> Result<Self, Failure> {
        let mut files = BTreeMap::new();
        for flag in flags {
            let digest = digest_of_metadata(context, Path::new(&flag.name))?;
            files.insert(digest, flag.file.clone());
        }
        Ok(Self(files))
    }
}

fn digest_of_metadata(context: &Context, path: &Path) -> Result<Digest, Failure> {
    let what = || format!("layer metadata {}", path.display());
    let bytes = read_bounded(context, path)?;
    let metadata = Value::parse(&bytes, &json::Limits::default())
        .explain(what)?
        .as_object();
    let digest = metadata
        .as_ref()
        .and_then(|metadata| metadata.get("digest"));
    let digest = digest.and_then(Value::as_str);
    let digest = digest.ok_or_else(|| Failure::new(format!("{}: it has no digest", what())))?;
    digest
        .parse()
        .explain(|| format!("{}: digest `{digest}`", what()))
}

/// Writes what was gathered.
pub(super) fn write(
    context: &Context,
    export: &Export,
    output: &Path,
    format: Format,
    placement: Placement,
) -> Result<(), Failure> {
    context.check_not_cancelled()?;
    match format {
        Format::Tar => {
            let pending = Pending::create(context, output)?;
            let buffered = BufWriter::with_capacity(256 * 1024, pending);
            let buffered = export.write_tar(buffered)?;
            let pending = buffered
                .into_inner()
                .map_err(std::io::IntoInnerError::into_error)?;
            let mut outputs = Outputs::default();
            outputs.add(pending);
            outputs.commit(context)
        }
        Format::Directory if output == Path::new("-") => {
            let message = "--output -: a directory cannot be written to standard output";
            Err(Failure::new(message).hint("name a directory, or give --format tar"))
        }
        Format::Directory => {
            let written = export.write_directory(&context.path(output), placement);
            written.map_err(|error| match error.kind() {
                ErrorKind::InvalidInput => {
                    Failure::from(error).hint("remove what is in it, or name another directory")
                }
                _ => Failure::from(error),
            })
        }
    }
}

/// Returns the flag `--output`, which must be given.
pub(super) fn required_output(output: Option<&PathBuf>) -> Result<&Path, Failure> {
    let missing = || Failure::new("--output is not given").hint("add --output PATH");
    output.map(PathBuf::as_path).ok_or_else(missing)
}

fn digests(context: &Context, paths: &[PathBuf]) -> Result<BTreeMap<Digest, PathBuf>, Failure> {
    let pairs = paths.iter().map(|path| {
        let bytes = read_bounded(context, path)?;
        Ok((Digest::sha256_of(&bytes), path.clone()))
    });
    pairs.collect()
}

fn read_document<T: View>(context: &Context, path: &Path, what: &str) -> Result<Raw<T>, Failure> {
    let bytes = read_bounded(context, path)?;
    Raw::parse(&bytes).explain(|| format!("{what} {}", path.display()))
}

pub(super) fn read_bounded(context: &Context, path: &Path) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let file = fs::File::open(context.path(path))?;
    file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        let message = format!("{} has more than {MAX_DOCUMENT} bytes", path.display());
        return Err(Failure::new(message).hint("is it the right file?"));
    }
    Ok(bytes)
}
