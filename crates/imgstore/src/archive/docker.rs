//! The documents at the top of layouts and Docker archives.

use imgcore::document::{Index, Manifest, Raw};
use imgcore::json::{Object, Value};
use imgcore::{Descriptor, Digest};

use crate::layout::{index_of, name_annotations};

/// One image of a Docker archive.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DockerImage {
    /// The image's config.
    pub config: Digest,
    /// Its layers, lowest first. Repeated ones are repeated.
    pub layers: Vec<Digest>,
    /// Its names, as references with a tag. An image without one is called `image:latest`: Docker loads none without.
    pub tags: Vec<String>,
}

impl DockerImage {
    /// Takes config and layers from a manifest.
    pub fn new(manifest: &Manifest, tags: Vec<String>) -> Self {
        Self {
            config: manifest.config.digest,
            layers: manifest.layers.iter().map(|layer| layer.digest).collect(),
            tags,
        }
    }
}

/// Writes the `manifest.json` of a Docker archive.
pub fn docker_manifest(images: &[DockerImage]) -> Vec<u8> {
    let images = images.iter().map(|image| {
        let path =
            |digest: &Digest| format!("blobs/{}/{}", digest.algorithm().name(), digest.hex());
        let tags = match image.tags.as_slice() {
            [] => vec!["image:latest".to_owned()],
            tags => tags.to_vec(),
        };
        let mut object = Object::new();
        object.set("Config", path(&image.config));
        object.set("RepoTags", tags);
        // The tool that ours replaces says `null` for an image without layers; Docker reads both.
        let layers: Vec<String> = image.layers.iter().map(path).collect();
        object.set("Layers", Some(layers).filter(|layers| !layers.is_empty()));
        Value::from(object)
    });
    images.collect::<Value>().to_indented()
}

/// Writes the `index.json` of a layout with these entries.
pub fn layout_index(entries: &[Descriptor]) -> Vec<u8> {
    index_of(entries)
}

/// Writes the `index.json` of a Docker archive: one entry a tag, in the order of the tags; one without a name when
/// there are no tags.
///
/// `image` comes from [`describe_manifest`] or [`describe_index`]. With `tag_only`, the name by which OCI tools find the
/// image is its tag instead of its full reference.
pub fn docker_index(image: &Descriptor, tags: &[String], tag_only: bool) -> Vec<u8> {
    let named = tags.iter().map(|reference| {
        let mut descriptor = image.clone();
        let ref_name = if tag_only {
            tag_of(reference)
        } else {
            reference
        };
        descriptor
            .annotations
            .extend(name_annotations(reference, ref_name));
        descriptor
    });
    match tags {
        [] => index_of(std::slice::from_ref(image)),
        _ => index_of(&named.collect::<Vec<_>>()),
    }
}

/// Describes a manifest as the entry of a layout's index: with its annotations, and with the kind of an artifact.
pub fn describe_manifest(manifest: &Raw<Manifest>) -> Descriptor {
    let mut descriptor = manifest.descriptor();
    descriptor.annotations.clone_from(&manifest.annotations);
    if !manifest.is_image() {
        descriptor.artifact_type = Some(manifest.config.media_type.clone());
    }
    descriptor
}

/// Describes an index as the entry of a layout's index: with its annotations.
pub fn describe_index(index: &Raw<Index>) -> Descriptor {
    let mut descriptor = index.descriptor();
    descriptor.annotations.clone_from(&index.annotations);
    descriptor
}

fn tag_of(reference: &str) -> &str {
    reference.rsplit_once(':').map_or(reference, |(_, tag)| tag)
}
