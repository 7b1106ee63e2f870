//! The flags and variables that say where layers are.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::{OsStringValueParser, TypedValueParser as _, ValueParserFactory};
use fs_err as fs;
use imgauth::Environment;
use imgcore::{Algorithm, Digest};
use imgstore::{BlobSource, Chain, DirectoryOptions, DirectoryStore, OutsideLinks};

use super::files::{DiskCache, Files, Proof, hash_file};
use super::registries::Registries;
use crate::commands::LayerHints;
use crate::context::Context;
use crate::credentials;
use crate::deploy::request::Request;
use crate::deploy::runfiles::Runfiles;
use crate::network::Network;
use crate::report::{Explain as _, Failure};
use crate::sys;

/// How a compact layer begins.
const COMPACT_MAGIC: &[u8] = b"CASSTR";

/// Where layers and documents are.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Layers")]
pub(crate) struct SourceArguments {
    /// A directory with blobs/sha256, such as an OCI layout, whole or sparse
    #[arg(long, value_name = "DIR", action = clap::ArgAction::Append)]
    oci_layout: Vec<PathBuf>,
    /// A file with a layer; without a digest it is found out
    #[arg(long, value_name = "[DIGEST=]FILE", action = clap::ArgAction::Append)]
    layer: Vec<LayerFile>,
    /// How the names of runfiles begin that hold layouts and layers: PREFIX<operation>/…
    #[arg(long, value_name = "PREFIX")]
    runfiles_root_symlinks_prefix: Option<String>,
}

impl SourceArguments {
    /// Names layouts alone.
    pub(crate) fn of_layouts(oci_layout: Vec<PathBuf>) -> Self {
        Self {
            oci_layout,
            ..Self::default()
        }
    }
}

/// Makes a source of one file, which is said to have a digest.
pub(crate) fn files_of(
    place: &'static str,
    digest: Digest,
    path: PathBuf,
) -> impl BlobSource + use<> {
    let mut files = Files::new(place, Proof::Size);
    files.add(digest, path);
    files
}

/// `DIGEST=FILE`, or `FILE` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LayerFile {
    digest: Option<Digest>,
    file: PathBuf,
}

impl LayerFile {
    fn of(word: &OsStr) -> Self {
        if let Some((name, file)) = sys::split_at_equals(word)
            && let Some(digest) = name.to_str().and_then(|name| name.parse().ok())
        {
            return Self {
                digest: Some(digest),
                file: file.into(),
            };
        }
        Self {
            digest: None,
            file: word.into(),
        }
    }
}

impl ValueParserFactory for LayerFile {
    type Parser = clap::builder::MapValueParser<OsStringValueParser, fn(OsString) -> Self>;

    fn value_parser() -> Self::Parser {
        OsStringValueParser::new().map(|word| Self::of(&word))
    }
}

/// Gathers the places on this machine for what a request needs: files that were named, layouts, runfiles, hints,
/// and disk caches.
///
/// # Errors
///
/// Fails if a file or directory that was named is not there.
pub(crate) fn open_sources(
    context: &Context,
    arguments: &SourceArguments,
    request: &Request,
    network: &Network,
) -> Result<Chain, Failure> {
    let environment = credentials::environment();
    let mut sources = Chain::default();
    let named = named_files(context, &arguments.layer)?;
    if !named.is_empty() {
        sources.push_named("--layer", Arc::new(named));
    }
    for directory in &arguments.oci_layout {
        let blobs = open_layout(&context.path(directory));
        let blobs = blobs.explain(|| format!("--oci-layout {}", directory.display()))?;
        sources.push_named(directory.display().to_string(), Arc::new(blobs));
    }
    if let Some(prefix) = &arguments.runfiles_root_symlinks_prefix {
        let program = std::env::args_os().next().map(PathBuf::from);
        let runfiles = Runfiles::find(&environment, program.as_deref());
        add_runfiles(&mut sources, &runfiles, prefix, request);
        add_hints(&mut sources, context, &environment, &runfiles, prefix);
    }
    if let Some(directory) = environment.path("IMG_DISK_CACHE") {
        let name = format!("disk cache {}", directory.display());
        sources.push_named(name, Arc::new(DiskCache::new(directory)));
    }
    if let Some(cache) = &network.cache {
        let name = format!("cache {}", cache.root().display());
        sources.push_named(name, Arc::new(cache.clone()));
    }
    Ok(sources)
}

/// Adds the registries that a request names for its layers.
///
/// # Errors
///
/// Fails for a name that is none.
pub(crate) fn add_registries(
    sources: &mut Chain,
    request: &Request,
    network: &Network,
) -> Result<(), Failure> {
    let registries = Registries::of(request, network)?;
    if !registries.is_empty() {
        sources.push_named("registries", Arc::new(registries));
    }
    Ok(())
}

fn add_runfiles(sources: &mut Chain, runfiles: &Runfiles, prefix: &str, request: &Request) {
    let mut layers = Files::new("runfiles", Proof::Size);
    let mut layouts = Vec::new();
    for step in &request.operations {
        let operation = format!("{prefix}{}", step.place);
        if let Some(directory) = runfiles.path(&format!("{operation}/sparse_oci_layout"))
            && let Ok(blobs) = open_layout(&directory)
        {
            layouts.push(blobs);
        }
        for (m, manifest) in step.operation.manifests.iter().enumerate() {
            for (l, blob) in manifest.layer_blobs.iter().enumerate() {
                let name = format!("{operation}/manifests/{m}/layer/{l}");
                if let Some(path) = runfiles.path(&name) {
                    layers.add(blob.layer.digest, path);
                }
            }
        }
    }
    if !layers.is_empty() {
        sources.push_named("runfiles", Arc::new(layers));
    }
    for layout in layouts {
        sources.push_named("layout in runfiles", Arc::new(layout));
    }
}

/// Adds the outputs of the workspace that hints name. A build says them for where it ran: what is not there, or not
/// any more, is no error.
fn add_hints(
    sources: &mut Chain,
    context: &Context,
    environment: &Environment,
    runfiles: &Runfiles,
    prefix: &str,
) {
    let (Some(workspace), Some(path)) = (
        environment.path("BUILD_WORKSPACE_DIRECTORY"),
        runfiles.path(&format!("{prefix}layer_hints")),
    ) else {
        return;
    };
    let hints = match LayerHints::read(context, &path) {
        Ok(hints) => hints,
        Err(failure) => {
            context
                .report
                .note(format_args!("layer hints are passed over: {failure}"));
            return;
        }
    };
    let mut files = Files::new("layer hints", Proof::Content);
    for (digest, path) in hints.paths() {
        files.add(digest, workspace.join(path));
    }
    if !files.is_empty() {
        sources.push_named("layer hints", Arc::new(files));
    }
}

fn named_files(context: &Context, layers: &[LayerFile]) -> Result<Files, Failure> {
    let mut files = Files::new("--layer", Proof::Size);
    for LayerFile { digest, file } in layers {
        let path = context.path(file);
        refuse_compact(&path)
            .map_err(|failure| failure.in_front(format_args!("--layer {}", file.display())))?;
        let digest = match digest {
            Some(digest) => *digest,
            None => hash_file(&path, Algorithm::Sha256)?,
        };
        files.add(digest, path);
    }
    Ok(files)
}

fn refuse_compact(path: &Path) -> Result<(), Failure> {
    let mut start = Vec::new();
    let length = COMPACT_MAGIC.len() as u64;
    fs::File::open(path)?.take(length).read_to_end(&mut start)?;
    if start == COMPACT_MAGIC {
        let message = "it is a compact layer, and making layers of those is not built yet";
        return Err(Failure::new(message).hint("give the layer itself"));
    }
    Ok(())
}

/// Opens the blobs of a layout, whatever else there is of it. A build links them to where they are.
fn open_layout(directory: &Path) -> imgstore::Result<DirectoryStore> {
    let options = DirectoryOptions::default().with_outside_links(OutsideLinks::Follow);
    Ok(DirectoryStore::open(directory.join("blobs"))?.with_options(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_may_have_its_digest_in_front() {
        let digest = Digest::sha256_of(b"layer");
        let of = |text: &str| LayerFile::of(OsStr::new(text));
        let named = of(&format!("{digest}=out/a=b.tgz"));
        assert_eq!(
            (named.digest, named.file),
            (Some(digest), "out/a=b.tgz".into())
        );
        let bare = of("out/a=b.tgz");
        assert_eq!((bare.digest, bare.file), (None, "out/a=b.tgz".into()));
    }
}
