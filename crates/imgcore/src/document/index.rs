//! Image indexes.

use std::collections::BTreeMap;

use super::raw::sealed;
use super::{Shape, classify_members, malformed};
use crate::json::{Fields, Object, Strictness};
use crate::{Descriptor, Error, MediaType};

/// What an index says ([OCI image-spec, image-index.md][spec], and Docker's manifest list, which has the same members).
///
/// [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-index.md
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Index {
    /// What the document calls itself, or else what its sender called it; an OCI index when nobody said.
    pub media_type: MediaType,
    /// What kind of artifact this is, when it is no index of container images.
    pub artifact_type: Option<MediaType>,
    /// The images, or further indexes, in the order of preference.
    pub manifests: Vec<Descriptor>,
    /// The manifest that this index says something about.
    pub subject: Option<Descriptor>,
    /// Free text about the index.
    pub annotations: BTreeMap<String, String>,
}

impl sealed::View for Index {
    const NAME: &'static str = "index";

    fn check(object: &Object) -> Result<(), Error> {
        match classify_members(object, None)? {
            (Shape::Index, _) => Ok(()),
            (_, _) => Err(malformed("index is a manifest of one image")),
        }
    }

    fn read(mut fields: Fields) -> Result<Self, Error> {
        let _checked = fields.optional("schemaVersion");
        let media_type = fields.optional_string("mediaType")?.unwrap_or_default();
        let index = Self {
            media_type: match media_type.as_str() {
                "" => MediaType::OCI_INDEX,
                other => other.into(),
            },
            artifact_type: fields.optional_string("artifactType")?.map(MediaType::from),
            manifests: fields.list("manifests", Descriptor::at)?,
            subject: match fields.optional("subject") {
                Some(value) => Some(Descriptor::at(&value, fields.place_of("subject"))?),
                None => None,
            },
            annotations: fields.string_map("annotations")?,
        };
        fields.finish(Strictness::Lenient)?;
        Ok(index)
    }

    fn own_media_type(&self) -> MediaType {
        self.media_type.clone()
    }

    fn set_media_type(&mut self, media_type: &MediaType) {
        self.media_type.clone_from(media_type);
    }
}
