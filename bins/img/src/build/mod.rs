//! `img build`: an image from one small file (`docs/build-file.md`).
//!
//! The file is [read](file), its sources are [found](resolve), the [base](base) is looked up as the [lock file](lock)
//! says, [layers](layers) are written into a directory of their own, [documents](image) are made of them, and
//! [outputs](output) appear when all of that went well.

mod base;
mod file;
mod image;
mod layers;
mod lock;
mod output;
mod push;
mod registry;
mod resolve;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use imgcore::assemble::Image;
use imgcore::document::{Manifest, Raw};
use imgcore::{Descriptor, Digest, Platform};
use imgstore::DirectoryStore;

use self::base::BaseSource;
use self::file::{Build, BuildFile};
use self::layers::Layers;
use self::output::Blobs;
use self::resolve::ResolvedLayer;
use crate::context::Context;
use crate::leftovers;
use crate::network::{Display, NetworkArguments};
use crate::output::Outputs;
use crate::report::{Explain as _, Failure};

pub(crate) use self::lock::LockPolicy;

/// How a build file is built.
#[derive(Debug)]
pub(crate) struct BuildOptions {
    /// The platforms that are built; all of the file if there are none.
    pub(crate) platforms: Vec<Platform>,
    pub(crate) policy: LockPolicy,
    /// Whether the image is pushed as well.
    pub(crate) push: bool,
    /// How registries are reached.
    pub(crate) network: NetworkArguments,
    pub(crate) display: Display,
}

/// An image that is ready to be written.
#[derive(Debug)]
struct Built {
    /// What a name leads to: the index, or the only image.
    root: Descriptor,
    /// The index, if there are several platforms.
    index: Option<Vec<u8>>,
    images: Vec<BuiltImage>,
    /// What the image is called, as full references with a tag.
    references: Vec<String>,
}

/// The image of one platform.
#[derive(Debug)]
struct BuiltImage {
    platform: Platform,
    image: Image,
    manifest: Raw<Manifest>,
}

/// Builds what the file at `path` says, for all of its platforms or only for some.
///
/// # Errors
///
/// Fails with what a person should change; then no archive is visible, and a layout names what it named before.
pub(crate) fn run(context: &Context, path: &Path, options: &BuildOptions) -> Result<(), Failure> {
    let mut file = BuildFile::read(context, path)?;
    let all = file.build.platforms.len();
    file.restrict_platforms(&options.platforms)?;
    let names = if options.push {
        if file.build.platforms.len() < all {
            context
                .report
                .warn("--platform leaves platforms out: the tags that are pushed lead to the others no longer");
        }
        push::names(&file)?
    } else {
        file.check_writes()?;
        Vec::new()
    };
    let base = BaseSource::find(context, &file, options)?;
    // Before anything is made, or a source could hold it.
    let layers = resolve_all(&file)?;
    let staging = staging_directory(&file)?;
    let _watched = leftovers::watch(staging.path());
    let store = DirectoryStore::create(staging.path())?;
    let built = build(context, &file, layers, base.as_ref(), &store)?;
    if let Some(base) = &base {
        base.bring(context, &needed_layers(&file, &built), &store)?;
    }
    let blobs = Blobs {
        staging: &store,
        base: base.as_ref(),
    };
    write(context, &file, &built, &blobs)?;
    if !options.push {
        return context.report.print(summary(&file, &built));
    }
    // Standard output has the names of what was pushed, and nothing else.
    context.report.error_text(summary(&file, &built));
    push::push(context, &names, options, &built, base.as_ref(), &store)
}

/// The layers of each platform, lowest first.
type PlatformLayers = Vec<(Platform, Vec<ResolvedLayer>)>;

fn resolve_all(file: &BuildFile) -> Result<PlatformLayers, Failure> {
    let platforms = file.build.platforms.iter().map(|platform| &platform.0);
    platforms
        .map(|platform| Ok((platform.clone(), resolve::layers(file, platform)?)))
        .collect()
}

fn build(
    context: &Context,
    file: &BuildFile,
    layers: PlatformLayers,
    base: Option<&BaseSource>,
    store: &DirectoryStore,
) -> Result<Built, Failure> {
    let build = &file.build;
    let created = build.config.created.as_ref().map(|time| time.0.as_str());
    let mut writer = Layers::new(context, store, created);
    let mut images = Vec::new();
    for (platform, layers) in layers {
        let base = base.map(|base| base.image_for(&platform)).transpose()?;
        let layers = layers.into_iter().map(|layer| writer.write(layer));
        let layers: Vec<_> = layers.collect::<Result<_, _>>()?;
        let image = image::make(build, &platform, base.as_ref(), &layers)
            .map_err(|failure| failure.in_front(format!("image for {platform}")))?;
        images.push(BuiltImage {
            manifest: Raw::parse(&image.manifest)?,
            platform,
            image,
        });
    }
    let (root, index) = root(build, &images);
    Ok(Built {
        root,
        index,
        images,
        references: references(build),
    })
}

/// Makes the index, unless there is only one image, and describes what a name leads to.
fn root(build: &Build, images: &[BuiltImage]) -> (Descriptor, Option<Vec<u8>>) {
    let descriptors: Vec<_> = images
        .iter()
        .map(|it| it.image.descriptor.clone())
        .collect();
    if let [only] = descriptors.as_slice() {
        return (only.clone(), None);
    }
    let index = image::index(build, &descriptors);
    let mut root = Descriptor::of(imgcore::MediaType::OCI_INDEX, &index);
    root.annotations.clone_from(&build.annotations);
    (root, Some(index))
}

/// Lists the names of the image: the name with its own tag and the further ones, `latest` if there is none.
fn references(build: &Build) -> Vec<String> {
    let Some(name) = &build.name else {
        return Vec::new();
    };
    let bare = name.0.name();
    let own = name.0.tag().map(ToString::to_string);
    let mut tags: Vec<String> = own.into_iter().collect();
    tags.extend(build.tags.iter().map(|tag| tag.0.to_string()));
    if tags.is_empty() {
        tags.push("latest".to_owned());
    }
    let mut references: Vec<String> = Vec::new();
    for tag in tags {
        let reference = format!("{bare}:{tag}");
        if !references.contains(&reference) {
            references.push(reference);
        }
    }
    references
}

fn write(
    context: &Context,
    file: &BuildFile,
    built: &Built,
    blobs: &Blobs<'_>,
) -> Result<(), Failure> {
    let output = file.build.output.get_ref();
    let mut outputs = Outputs::default();
    if let Some(path) = &output.oci_archive {
        output::oci_archive(context, &file.path(path), built, blobs, &mut outputs)?;
    }
    if let Some(path) = &output.docker_archive {
        let image = docker_image(built, output.docker_platform.as_ref().map(|it| &it.0));
        output::docker_archive(
            context,
            &file.path(path),
            (built, image),
            blobs,
            &mut outputs,
        )?;
    }
    if let Some(lock) = blobs.base.and_then(|base| base.lock.as_ref()) {
        outputs.add_bytes(context, &lock.path, &lock.content)?;
    }
    context.check_not_cancelled()?;
    if let Some(path) = &output.layout {
        output::layout(&file.path(path), built, blobs)?;
    }
    outputs.commit(context)
}

/// Lists the layers whose bytes an output holds: a Docker archive has one platform.
fn needed_layers(file: &BuildFile, built: &Built) -> Vec<Descriptor> {
    let output = file.build.output.get_ref();
    let images: Vec<&BuiltImage> = if output.layout.is_some() || output.oci_archive.is_some() {
        built.images.iter().collect()
    } else if output.docker_archive.is_some() {
        let wanted = output.docker_platform.as_ref().map(|it| &it.0);
        vec![docker_image(built, wanted)]
    } else {
        Vec::new()
    };
    let layers = images.iter().flat_map(|image| &image.manifest.layers);
    let mut seen = HashSet::new();
    let layers = layers.filter(|layer| seen.insert(layer.digest));
    layers.cloned().collect()
}

/// Chooses the image that the Docker archive has: such an archive has one platform.
fn docker_image<'a>(built: &'a Built, wanted: Option<&Platform>) -> &'a BuiltImage {
    built
        .images
        .iter()
        .find(|image| wanted.is_none_or(|wanted| image.platform.accepts(wanted)))
        .unwrap_or(&built.images[0])
}

/// Makes the directory that layers are written into: beside the outputs, so that they can be moved and not copied.
fn staging_directory(file: &BuildFile) -> Result<tempfile::TempDir, Failure> {
    let outputs = file.outputs();
    let directory = outputs
        .iter()
        .flat_map(|output| output.ancestors().skip(1))
        .find(|directory| directory.is_dir())
        .unwrap_or(Path::new("."));
    tempfile::Builder::new()
        .prefix(resolve::STAGING_PREFIX)
        .tempdir_in(directory)
        .explain(|| format!("cannot write to {}", directory.display()))
}

/// Says what was made, where it is, and what can be done with it.
fn summary(file: &BuildFile, built: &Built) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: &dyn std::fmt::Display| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{name:<15} {value}");
    };
    for reference in &built.references {
        line("image", reference);
    }
    for image in &built.images {
        line(&image.platform.to_string(), &image.image.descriptor.digest);
    }
    if let Some(index) = &built.index {
        line("index", &Digest::sha256_of(index));
    }
    let output = file.build.output.get_ref();
    for (name, path) in [
        ("layout", &output.layout),
        ("oci archive", &output.oci_archive),
        ("docker archive", &output.docker_archive),
    ] {
        if let Some(path) = path {
            line(name, &file.path(path).display());
        }
    }
    if let Some(next) = next_command(file) {
        line("next", &next);
    }
    text
}

fn next_command(file: &BuildFile) -> Option<String> {
    let output = file.build.output.get_ref();
    let quoted = |path: &PathBuf| {
        let path = file.path(path).display().to_string();
        if path.contains([' ', '\'', '"', '$', '`', '\\']) {
            format!("'{}'", path.replace('\'', r"'\''"))
        } else {
            path
        }
    };
    match (&output.docker_archive, &output.oci_archive, &output.layout) {
        (Some(archive), _, _) | (None, Some(archive), _) => {
            Some(format!("podman load --input {}", quoted(archive)))
        }
        (None, None, Some(layout)) => Some(format!("img inspect {}", quoted(layout))),
        (None, None, None) => None,
    }
}

/// Returns what the system said, without the name of the call.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "it does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::AlreadyExists => "there is a file".to_owned(),
        std::io::ErrorKind::NotADirectory => "it is no directory".to_owned(),
        std::io::ErrorKind::InvalidData => "it is no UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}
