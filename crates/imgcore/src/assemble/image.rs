//! Config, manifest and descriptor of an image in one step.

use super::config::{ConfigOptions, assemble_config};
use super::invalid;
use super::manifest::{ManifestOptions, assemble_manifest};
use crate::json::{Limits, Object, Value};
use crate::{Config, Descriptor, Error, ErrorKind, LayerMetadata, Manifest, MediaType, Raw};

/// The image that another one is built on.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Base<'a> {
    /// Its config, which the new config starts from.
    pub config: Option<&'a Raw<Config>>,
    /// Its manifest, for the `urls` of foreign layers.
    pub manifest: Option<&'a Raw<Manifest>>,
}

/// How an image is made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageOptions {
    /// What the config says.
    pub config: ConfigOptions,
    /// A file of the shape of a config, laid over the base's; or the config itself, byte for byte, when
    /// [`config_media_type`](Self::config_media_type) is no image config.
    pub fragment: Option<Vec<u8>>,
    /// The type of the config, for an artifact that is no container image.
    pub config_media_type: Option<MediaType>,
    /// What the manifest says.
    pub manifest: ManifestOptions,
}

/// A config, the manifest over it, and the descriptor of that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// The bytes of the config.
    pub config: Vec<u8>,
    /// The bytes of the manifest.
    pub manifest: Vec<u8>,
    /// The descriptor of the manifest, as an index has it: with the annotations, with the platform when this is a
    /// container image, and with the artifact's type.
    pub descriptor: Descriptor,
}

/// Makes an image or artifact of `layers`, lowest first, those of the base included.
///
/// Without a [`config_media_type`](ImageOptions::config_media_type), or with that of an image config, the config is
/// [assembled](assemble_config). With another one, the fragment is the config, byte for byte; the
/// [empty type](MediaType::OCI_EMPTY) needs none.
///
/// # Errors
///
/// Those of [`assemble_config`] and [`assemble_manifest`]; [`ErrorKind::InvalidInput`] when a config that is no image
/// config has no fragment; and what [`Value::parse`] says about a fragment that is no JSON object.
pub fn assemble_image(
    base: &Base<'_>,
    layers: &[LayerMetadata],
    options: &ImageOptions,
) -> Result<Image, Error> {
    let media_type = options
        .config_media_type
        .as_ref()
        .map_or(MediaType::OCI_CONFIG, MediaType::to_oci);
    let is_image = media_type.is_image_config();
    let config = if is_image {
        let fragment = options
            .fragment
            .as_deref()
            .map(parse_fragment)
            .transpose()?;
        assemble_config(base.config, fragment.as_ref(), &options.config, layers)?
    } else {
        verbatim_config(&media_type, options)?
    };
    let config_descriptor = Descriptor::of(media_type, &config);
    let manifest = assemble_manifest(&config_descriptor, layers, base.manifest, &options.manifest)?;

    let mut descriptor = Descriptor::of(MediaType::OCI_MANIFEST, &manifest);
    descriptor.annotations = options.manifest.all_annotations();
    if is_image {
        descriptor.platform = Some(Raw::<Config>::parse(&config)?.platform().clone());
    }
    descriptor
        .artifact_type
        .clone_from(&options.manifest.artifact_type);
    Ok(Image {
        config,
        manifest,
        descriptor,
    })
}

fn parse_fragment(bytes: &[u8]) -> Result<Object, Error> {
    let value = Value::parse(bytes, &Limits::default()).map_err(|error| {
        Error::new(error.kind(), "config fragment cannot be read").with_source(error)
    })?;
    value
        .as_object()
        .ok_or_else(|| Error::new(ErrorKind::Malformed, "config fragment is no JSON object"))
}

fn verbatim_config(media_type: &MediaType, options: &ImageOptions) -> Result<Vec<u8>, Error> {
    match &options.fragment {
        Some(fragment) => Ok(fragment.clone()),
        None if *media_type == MediaType::OCI_EMPTY => Ok(b"{}".to_vec()),
        None => Err(invalid(format!(
            "config of type {media_type} has no content: give it as the config fragment"
        ))),
    }
}
