//! Writing the image: to a layout and to archives.

use std::io::BufWriter;
use std::path::Path;

use fs_err as fs;
use imgcore::Descriptor;
use imgstore::archive::{self, DockerImage, Export, docker_index, docker_manifest};
use imgstore::{
    CONTAINERD_NAME, DirectoryStore, LayoutIndex, LocalSource as _, OciLayout, Placement, REF_NAME,
    blocking,
};

use super::base::BaseSource;
use super::{Built, BuiltImage};
use crate::context::Context;
use crate::output::{Outputs, Pending};
use crate::report::{Explain as _, Failure};

/// Where the bytes of an image's blobs are.
#[derive(Debug)]
pub(crate) struct Blobs<'a> {
    /// The layers that were made.
    pub(crate) staging: &'a DirectoryStore,
    /// The layers of the base.
    pub(crate) base: Option<&'a BaseSource>,
}

/// A blob of the image, and where its bytes are.
type Blob = (Descriptor, archive::Content);

impl Blobs<'_> {
    /// Lists all blobs of some images: the documents, and each layer.
    fn of(&self, images: &[&BuiltImage]) -> Result<Vec<Blob>, Failure> {
        let mut blobs = Vec::new();
        for image in images {
            for document in [&image.image.config, &image.image.manifest] {
                blobs.push(document_blob(document));
            }
            for layer in &image.manifest.layers {
                blobs.extend(self.layer(layer)?);
            }
        }
        Ok(blobs)
    }

    /// Finds a layer; `None` for one that is nowhere but at its URLs, which images of Windows have.
    fn layer(&self, layer: &Descriptor) -> Result<Option<Blob>, Failure> {
        let digest = &layer.digest;
        if let Some(path) = self.staging.path_of(digest) {
            return Ok(Some((layer.clone(), archive::Content::File(path))));
        }
        if let Some(base) = self.base
            && let Some(content) = base.content(digest)?
        {
            return Ok(Some((layer.clone(), content)));
        }
        if !layer.urls.is_empty() {
            return Ok(None);
        }
        Err(Failure::new(format!(
            "the base lacks the bytes of its layer {digest}"
        )))
    }
}

/// Writes an OCI archive beside its place.
pub(crate) fn oci_archive(
    context: &Context,
    path: &Path,
    built: &Built,
    blobs: &Blobs<'_>,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    let mut export = Export::oci(docker_index(&built.root, &built.references, true));
    if let Some(index) = &built.index {
        export.document(index);
    }
    let images: Vec<_> = built.images.iter().collect();
    for (descriptor, content) in blobs.of(&images)? {
        export.blob(&descriptor, content);
    }
    archive_file(context, path, &export, outputs)
}

/// Writes a Docker archive of one image beside its place.
pub(crate) fn docker_archive(
    context: &Context,
    path: &Path,
    (built, image): (&Built, &BuiltImage),
    blobs: &Blobs<'_>,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    let references = &built.references;
    let docker = DockerImage::new(&image.manifest, references.clone());
    let index = docker_index(&image.image.descriptor, references, false);
    let mut export = Export::docker(index, docker_manifest(&[docker]));
    for (descriptor, content) in blobs.of(&[image])? {
        export.blob(&descriptor, content);
    }
    archive_file(context, path, &export, outputs)
}

fn archive_file(
    context: &Context,
    path: &Path,
    export: &Export,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    make_parent(path)?;
    let pending = BufWriter::with_capacity(1 << 20, Pending::create(context, path)?);
    let pending = export
        .write_tar(pending)?
        .into_inner()
        .map_err(std::io::IntoInnerError::into_error)?;
    outputs.add(pending);
    Ok(())
}

/// Writes an OCI layout, or adds the image to one that is there.
pub(crate) fn layout(path: &Path, built: &Built, blobs: &Blobs<'_>) -> Result<(), Failure> {
    let writing = || format!("cannot write the layout {}", path.display());
    let images: Vec<_> = built.images.iter().collect();
    let mut all = blobs.of(&images)?;
    all.extend(built.index.as_deref().map(document_blob));
    let index = docker_index(&built.root, &built.references, true);
    if is_new(path)? {
        make_parent(path)?;
        let mut export = Export::oci(index);
        for (descriptor, content) in all {
            export.blob(&descriptor, content);
        }
        return export
            .write_directory(path, Placement::Link)
            .explain(writing);
    }
    add_to_layout(path, all, &LayoutIndex::parse(&index)?)
}

/// Adds an image to a layout that is there.
fn add_to_layout(path: &Path, blobs: Vec<Blob>, index: &LayoutIndex) -> Result<(), Failure> {
    let writing = || format!("cannot write the layout {}", path.display());
    if !path.join("oci-layout").is_file() {
        let failure = Failure::new(format!(
            "{}: it is a directory of something else",
            writing()
        ));
        return Err(failure.hint("name a new directory or an OCI layout"));
    }
    let layout = OciLayout::open(path).explain(writing)?;
    check_names(path, &layout.index().explain(writing)?, index)?;
    for (descriptor, content) in blobs {
        put(&layout, &descriptor, content).explain(writing)?;
    }
    // Blobs first: the index never names what is not there.
    for entry in index.descriptors() {
        match entry.annotations.get(REF_NAME) {
            Some(name) => layout.add(entry, Some(name)),
            // Or each build of an image without a name would leave one more.
            None => layout.set_unnamed(entry),
        }
        .explain(writing)?;
    }
    Ok(())
}

/// Refuses a tag that another image of the layout has: a layout knows images by their tags alone.
fn check_names(path: &Path, there: &LayoutIndex, new: &LayoutIndex) -> Result<(), Failure> {
    for entry in new.descriptors() {
        let Some(tag) = entry.annotations.get(REF_NAME) else {
            continue;
        };
        let name = entry.annotations.get(CONTAINERD_NAME);
        let is_other = |other: &&Descriptor| match other.annotations.get(CONTAINERD_NAME) {
            Some(other) => Some(other) != name,
            None => other.digest != entry.digest,
        };
        let mut same_tag = there.descriptors().iter();
        let same_tag =
            same_tag.find(|other| other.annotations.get(REF_NAME) == Some(tag) && is_other(other));
        if let Some(other) = same_tag {
            let other = match other.annotations.get(CONTAINERD_NAME) {
                Some(name) => name.clone(),
                None => format!("{} without a full name", other.digest),
            };
            let message = format!("{} has `{tag}` already: {other}", path.display());
            let hint = "give the image another tag, or write it to another layout";
            return Err(Failure::new(message).hint(hint));
        }
    }
    Ok(())
}

fn put(
    layout: &OciLayout,
    descriptor: &Descriptor,
    content: archive::Content,
) -> Result<(), imgstore::Error> {
    match content {
        archive::Content::Bytes(bytes) => {
            layout.blobs().insert(&bytes)?;
        }
        archive::Content::File(file) => {
            layout
                .blobs()
                .place_file(descriptor, &file, Placement::Link)?;
        }
        archive::Content::Store(store) => {
            blocking::copy(&store, layout, descriptor)?;
        }
        other => {
            let text = format!("content {other:?} has no place in a layout");
            return Err(imgstore::Error::new(
                imgstore::ErrorKind::InvalidInput,
                text,
            ));
        }
    }
    Ok(())
}

fn document_blob(bytes: impl AsRef<[u8]>) -> Blob {
    let bytes = bytes.as_ref();
    let descriptor = Descriptor::of(imgcore::MediaType::OCI_EMPTY, bytes);
    (descriptor, archive::Content::Bytes(bytes.to_vec().into()))
}

/// Says whether a directory is missing or empty.
fn is_new(path: &Path) -> Result<bool, Failure> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(Failure::new(format!(
            "cannot write the layout {}: {}",
            path.display(),
            super::reason(&error)
        ))),
    }
}

/// Makes the directories above an output.
fn make_parent(path: &Path) -> Result<(), Failure> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => {
            fs::create_dir_all(parent).map_err(|error| {
                let (path, reason) = (parent.display(), super::reason(&error));
                Failure::new(format!("cannot make the directory {path}: {reason}"))
            })
        }
        _ => Ok(()),
    }
}
