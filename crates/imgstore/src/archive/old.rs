//! The images of Docker archives without manifests.

use imgcore::digest::HashingReader;
use imgcore::json::{self, Fields, Object, Strictness, Value};
use imgcore::{Descriptor, DiffId, Hasher, MediaType};
use imgtar::{Codec, DecodeLimits, Decoder};

use super::DOCKER_MANIFEST;
use super::image::ArchiveLimits;
use super::index::{ArchiveIndex, Span};
use crate::layout::name_annotations;
use crate::transfer::for_each_chunk;
use crate::{Error, Result};

/// A layer of an archive without manifests.
pub(super) struct OldLayer {
    pub(super) descriptor: Descriptor,
    pub(super) diff_id: DiffId,
}

impl ArchiveIndex {
    /// Reads a layer to learn its digests.
    pub(super) fn read_layer(&self, name: &str, span: Span, expected: &DiffId) -> Result<OldLayer> {
        let reading = |error| Error::from_io(format!("reading {name}"), error);
        let raw = self.open(span, 0).map_err(reading)?;
        let mut hashing = HashingReader::new(raw);
        let mut decoder = Decoder::new(&mut hashing, DecodeLimits::default())?;
        let codec = decoder.codec();
        let mut hasher = Hasher::new(expected.algorithm());
        let hash = |chunk: &[u8]| {
            hasher.update(chunk);
            Ok(())
        };
        for_each_chunk(&mut decoder, hash).map_err(reading)?;
        // Padding behind the last member belongs to the blob as well.
        for_each_chunk(&mut hashing, |_| Ok(())).map_err(reading)?;
        let (digest, size, _) = hashing.finish();
        let media_type = match codec {
            Codec::Gzip => MediaType::OCI_LAYER_GZIP,
            Codec::Zstd => MediaType::OCI_LAYER_ZSTD,
            Codec::None => MediaType::OCI_LAYER_TAR,
        };
        Ok(OldLayer {
            descriptor: Descriptor::new(media_type, digest, size),
            diff_id: DiffId::from_hasher(hasher),
        })
    }
}

/// One image of a `manifest.json`.
pub(super) struct OldImage {
    pub(super) config: String,
    pub(super) layers: Vec<String>,
    pub(super) tags: Vec<String>,
}

pub(super) fn parse_manifest(bytes: &[u8], limits: &ArchiveLimits) -> Result<Vec<OldImage>> {
    let document = Value::parse(bytes, &json::Limits::default())
        .map_err(|error| Error::from(error).at(DOCKER_MANIFEST))?;
    let images = document
        .as_array()
        .ok_or_else(|| Error::malformed(format!("{DOCKER_MANIFEST} is no list")))?;
    if images.len() > limits.images {
        let text = format!("{DOCKER_MANIFEST} has {} images", images.len());
        return Err(Error::too_large(format!(
            "{text}, {} are allowed",
            limits.images
        )));
    }
    let images = images.iter().enumerate().map(|(place, image)| {
        let mut fields = Fields::of(image, format!("image {place} of {DOCKER_MANIFEST}"))?;
        let image = OldImage {
            config: fields.string("Config")?,
            layers: fields.strings("Layers")?,
            tags: fields.strings("RepoTags")?,
        };
        fields.finish(Strictness::Lenient)?;
        if image.layers.len() > limits.layers {
            let text = format!("image {place} has {} layers", image.layers.len());
            return Err(Error::too_large(format!(
                "{text}, {} are allowed",
                limits.layers
            )));
        }
        Ok(image)
    });
    images.collect()
}

pub(super) fn manifest_json(config: &Descriptor, layers: &[Descriptor]) -> Vec<u8> {
    let mut manifest = Object::new();
    manifest.set("schemaVersion", 2_u64);
    manifest.set("mediaType", MediaType::OCI_MANIFEST.as_str());
    manifest.set("config", config.to_json());
    let layers: Value = layers
        .iter()
        .map(|layer| Value::from(layer.to_json()))
        .collect();
    manifest.set("layers", layers);
    manifest.to_compact()
}

pub(super) fn with_tags(descriptor: Descriptor, tags: &[String]) -> Vec<Descriptor> {
    if tags.is_empty() {
        return vec![descriptor];
    }
    let named = tags.iter().map(|tag| {
        let mut named = descriptor.clone();
        named.annotations = name_annotations(tag, tag);
        named
    });
    named.collect()
}

pub(super) fn missing(name: &str) -> Error {
    let text = format!("{DOCKER_MANIFEST} names {name:?}, which is not there");
    Error::malformed(text)
}
