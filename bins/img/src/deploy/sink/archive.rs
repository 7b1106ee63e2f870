//! Layouts and archives.

use std::io::BufWriter;
use std::path::Path;
use std::sync::Arc;

use imgcore::document::{Manifest, Raw};
use imgcore::platform::best_match;
use imgcore::{Descriptor, Platform};
use imgstore::archive::{Content, DockerImage, Export, docker_manifest, layout_index};
use imgstore::{BlobSource, CONTAINERD_NAME, Chain, OciLayout, REF_NAME, copy};

use super::Image;
use crate::context::Context;
use crate::network::Network;
use crate::output::{Outputs, Pending};
use crate::report::{Explain as _, Failure};

/// The name by which Apple's container tool finds an image.
const APPLE_NAME: &str = "com.apple.containerization.image.name";

/// Writes a layout, or adds to the one that is there.
pub(super) fn layout(
    path: &Path,
    images: &[Image<'_>],
    network: &Network,
    sources: &Chain,
) -> Result<(), Failure> {
    let layout = OciLayout::create(path)?;
    layout.remove_leftovers()?;
    for image in images {
        for (_, bytes) in image.documents() {
            layout.blobs().insert(bytes)?;
        }
        for blob in image.blobs() {
            network.run(copy(sources, layout.blobs(), blob))?;
        }
    }
    for image in images {
        for entry in entries(image) {
            layout.add(&entry, entry.annotations.get(REF_NAME).map(String::as_str))?;
        }
    }
    Ok(())
}

/// Writes a tar of a layout.
pub(super) fn oci_tar(
    context: &Context,
    path: &Path,
    images: &[Image<'_>],
    sources: &Chain,
) -> Result<(), Failure> {
    let mut export = Export::oci(index(images));
    add_blobs(&mut export, images, sources);
    write(context, path, &export)
}

/// Writes an archive for `docker load`, which has one image of each index: that for the platform, or the first.
pub(super) fn docker_save(
    context: &Context,
    path: &Path,
    images: &[Image<'_>],
    platform: Option<&Platform>,
    sources: &Chain,
) -> Result<(), Failure> {
    let mut docker = Vec::new();
    for image in images {
        if let Some(manifest) = docker_image(image, platform)? {
            docker.push(DockerImage::new(manifest, image.names()));
        }
    }
    let mut export = Export::docker(index(images), docker_manifest(&docker));
    add_blobs(&mut export, images, sources);
    write(context, path, &export)
}

/// Chooses what an engine without indexes gets of an image; nothing of an artifact.
fn docker_image<'a>(
    image: &'a Image<'_>,
    wanted: Option<&Platform>,
) -> Result<Option<&'a Raw<Manifest>>, Failure> {
    let images = image.contents.manifests.iter();
    let images: Vec<_> = images.filter(|(_, manifest)| manifest.is_image()).collect();
    let Some(wanted) = wanted.filter(|_| images.len() > 1) else {
        return Ok(images.first().map(|(_, manifest)| manifest));
    };
    let platforms = images.iter().map(|(entry, _)| entry.platform.as_ref());
    match best_match(&wanted.runnable(), platforms).and_then(|place| images.get(place)) {
        Some((_, manifest)) => Ok(Some(manifest)),
        None => Err(Failure::new(format!(
            "no image of {} is for {wanted}",
            image.root.digest
        ))),
    }
}

fn index(images: &[Image<'_>]) -> Vec<u8> {
    let entries: Vec<Descriptor> = images.iter().flat_map(entries).collect();
    layout_index(&entries)
}

/// Makes the entries of an image in a layout's index: one for each name, or one without any.
fn entries(image: &Image<'_>) -> Vec<Descriptor> {
    let names = image.names();
    if names.is_empty() {
        return vec![image.root.clone()];
    }
    let entries = names.into_iter().map(|name| {
        let mut entry = image.root.clone();
        for key in [APPLE_NAME, CONTAINERD_NAME, REF_NAME] {
            entry.annotations.insert(key.to_owned(), name.clone());
        }
        entry
    });
    entries.collect()
}

fn add_blobs(export: &mut Export, images: &[Image<'_>], sources: &Chain) {
    let store: Arc<dyn BlobSource> = Arc::new(sources.clone());
    for image in images {
        for (_, bytes) in image.documents() {
            export.document(bytes);
        }
        for blob in image.blobs() {
            export.blob(blob, Content::Store(Arc::clone(&store)));
        }
    }
}

fn write(context: &Context, path: &Path, export: &Export) -> Result<(), Failure> {
    let pending = BufWriter::with_capacity(1 << 20, Pending::create(context, path)?);
    let pending = export.write_tar(pending)?.into_inner();
    let pending = pending
        .map_err(std::io::IntoInnerError::into_error)
        .explain(|| "writing an archive")?;
    let mut outputs = Outputs::default();
    outputs.add(pending);
    outputs.commit(context)
}
