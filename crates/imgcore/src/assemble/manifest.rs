//! Manifests from a config and layers.

use std::collections::BTreeMap;

use super::{Error, invalid};
use crate::json::Object;
use crate::{Descriptor, Digest, LayerMetadata, Manifest, MediaType, Raw};

/// The annotation of the digest of the base image ([OCI image-spec, annotations.md][spec]).
///
/// [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/annotations.md
const BASE_DIGEST: &str = "org.opencontainers.image.base.digest";
/// The annotation of the reference of the base image.
const BASE_NAME: &str = "org.opencontainers.image.base.name";

/// In an artifact of ORAS, the digest of what a directory's archive contains.
const ORAS_CONTENT_DIGEST: &str = "io.deis.oras.content.digest";
/// The value of that annotation for which the layer's `diff_id` is put in.
const DERIVE_FROM_DIFF_ID: &str = "DERIVE_FROM_DIFF_ID";

/// The empty JSON object, which stands for "nothing" in artifacts.
const EMPTY: &[u8] = b"{}";

/// What a manifest says besides config and layers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManifestOptions {
    /// What kind of artifact this is.
    pub artifact_type: Option<MediaType>,
    /// The manifest that this one says something about.
    pub subject: Option<Descriptor>,
    /// Free text about the image. What is said here about the base wins over the two below.
    pub annotations: BTreeMap<String, String>,
    /// The digest of the base image's manifest or index, for the annotation of that name.
    pub base_digest: Option<Digest>,
    /// The reference of the base image, for the annotation of that name.
    pub base_name: Option<String>,
}

impl ManifestOptions {
    pub(super) fn all_annotations(&self) -> BTreeMap<String, String> {
        let mut annotations = self.annotations.clone();
        if let Some(digest) = self.base_digest {
            let entry = annotations.entry(BASE_DIGEST.to_owned());
            entry.or_insert_with(|| digest.to_string());
        }
        if let Some(name) = &self.base_name {
            let entry = annotations.entry(BASE_NAME.to_owned());
            entry.or_insert_with(|| name.clone());
        }
        annotations
    }
}

/// Makes a manifest.
///
/// Docker's types become OCI's; of a foreign layer that `base` has too, the `urls` are kept. Content that is the empty
/// JSON object travels inside its descriptor.
///
/// # Examples
///
/// ```
/// use imgcore::assemble::{ManifestOptions, assemble_manifest};
/// use imgcore::{Descriptor, Manifest, MediaType, Raw};
///
/// let mut options = ManifestOptions::default();
/// options.artifact_type = Some("application/vnd.example.report".into());
/// let config = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
/// let manifest = Raw::<Manifest>::parse(&assemble_manifest(&config, &[], None, &options)?)?;
/// assert_eq!(manifest.config.data.as_deref(), Some(&b"{}"[..]));
/// # Ok::<(), imgcore::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when an annotation asks for the `diff_id` of a layer that
/// has none.
pub fn assemble_manifest(
    config: &Descriptor,
    layers: &[LayerMetadata],
    base: Option<&Raw<Manifest>>,
    options: &ManifestOptions,
) -> Result<Vec<u8>, Error> {
    let layers = layers
        .iter()
        .enumerate()
        .map(|(index, layer)| layer_descriptor(index, layer, base))
        .collect::<Result<Vec<_>, _>>()?;
    let mut manifest = Object::new();
    manifest.set("schemaVersion", 2_u64);
    manifest.set("mediaType", MediaType::OCI_MANIFEST.as_str());
    if let Some(artifact_type) = &options.artifact_type {
        manifest.set("artifactType", artifact_type.as_str());
    }
    manifest.set("config", inline_empty(oci(config.clone())));
    manifest.set("layers", layers);
    if let Some(subject) = &options.subject {
        manifest.set("subject", subject);
    }
    let annotations = options.all_annotations();
    if !annotations.is_empty() {
        manifest.set("annotations", &annotations);
    }
    Ok(manifest.to_compact())
}

fn layer_descriptor(
    index: usize,
    layer: &LayerMetadata,
    base: Option<&Raw<Manifest>>,
) -> Result<Descriptor, Error> {
    let mut descriptor = inline_empty(oci(layer.descriptor()));
    if let Some(value) = descriptor.annotations.get_mut(ORAS_CONTENT_DIGEST)
        && value == DERIVE_FROM_DIFF_ID
    {
        let diff_id = layer.diff_id.ok_or_else(|| {
            invalid(format!(
                "layer {index} ({}) has no diff_id for its annotation {ORAS_CONTENT_DIGEST}",
                layer.digest
            ))
        })?;
        *value = diff_id.to_string();
    }
    let in_base = base.and_then(|base| base.layers.iter().find(|it| it.digest == layer.digest));
    if let Some(in_base) = in_base {
        descriptor.urls.clone_from(&in_base.urls);
    }
    Ok(descriptor)
}

fn oci(mut descriptor: Descriptor) -> Descriptor {
    descriptor.media_type = descriptor.media_type.to_oci();
    descriptor
}

fn inline_empty(mut descriptor: Descriptor) -> Descriptor {
    let is_empty = descriptor.size == EMPTY.len() as u64
        && descriptor.media_type == MediaType::OCI_EMPTY
        && descriptor.digest == Digest::sha256_of(EMPTY);
    if is_empty {
        descriptor.data = Some(EMPTY.to_vec());
    }
    descriptor
}
