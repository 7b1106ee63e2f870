//! Image manifests.

use std::collections::BTreeMap;

use super::raw::sealed;
use super::{Shape, classify_members, malformed};
use crate::json::{Fields, Object, Strictness};
use crate::{Descriptor, Error, ErrorKind, MediaType};

/// What a manifest says ([OCI image-spec, manifest.md][spec], and Docker's schema 2, which has the same members).
///
/// [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Manifest {
    /// What the document calls itself, or else what its sender called it; an OCI manifest when nobody said.
    pub media_type: MediaType,
    /// What kind of artifact this is, when it is no container image.
    pub artifact_type: Option<MediaType>,
    /// The config of the image, or whatever an artifact has in its place.
    pub config: Descriptor,
    /// The layers, lowest first.
    pub layers: Vec<Descriptor>,
    /// The manifest that this one says something about.
    pub subject: Option<Descriptor>,
    /// Free text about the image.
    pub annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// How many layers a manifest may have. Runtimes stop at a few hundred; artifacts have been seen with thousands.
    pub const MAX_LAYERS: usize = 10_000;

    /// Returns whether this is a container image rather than another artifact.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::assemble::{Base, ImageOptions, assemble_image};
    /// # use imgcore::{Manifest, Platform, Raw};
    /// # let mut options = ImageOptions::default();
    /// # options.config.platform = Some(Platform::new("linux", "amd64"));
    /// # let image = assemble_image(&Base::default(), &[], &options)?;
    /// # let manifest = Raw::<Manifest>::parse(&image.manifest)?;
    /// assert!(manifest.is_image());
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn is_image(&self) -> bool {
        self.config.media_type.is_image_config()
    }
}

impl sealed::View for Manifest {
    const NAME: &'static str = "manifest";

    fn check(object: &Object) -> Result<(), Error> {
        match classify_members(object, None)? {
            (Shape::Manifest, _) => Ok(()),
            (_, _) => Err(malformed("manifest is an index: choose one of its images")),
        }
    }

    fn read(mut fields: Fields) -> Result<Self, Error> {
        let _checked = fields.optional("schemaVersion");
        let media_type = fields.optional_string("mediaType")?.unwrap_or_default();
        let manifest = Self {
            media_type: match media_type.as_str() {
                "" => MediaType::OCI_MANIFEST,
                other => other.into(),
            },
            artifact_type: fields.optional_string("artifactType")?.map(MediaType::from),
            config: Descriptor::at(&fields.required("config")?, fields.place_of("config"))?,
            layers: fields.list("layers", Descriptor::at)?,
            subject: match fields.optional("subject") {
                Some(value) => Some(Descriptor::at(&value, fields.place_of("subject"))?),
                None => None,
            },
            annotations: fields.string_map("annotations")?,
        };
        fields.finish(Strictness::Lenient)?;
        if manifest.layers.len() > Self::MAX_LAYERS {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "manifest has {} layers, more than the {} that are taken",
                    manifest.layers.len(),
                    Self::MAX_LAYERS
                ),
            ));
        }
        Ok(manifest)
    }

    fn own_media_type(&self) -> MediaType {
        self.media_type.clone()
    }

    fn set_media_type(&mut self, media_type: &MediaType) {
        self.media_type.clone_from(media_type);
    }
}
