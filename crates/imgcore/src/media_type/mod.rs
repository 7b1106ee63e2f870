//! Media types of image documents and layers.
//!
//! Two families name the same things: the OCI image specification ([media-types.md][spec]) and Docker's schema 2. What
//! this toolkit writes is always OCI; [`MediaType::to_oci`] has the table of equivalents.
//!
//! [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/media-types.md

mod table;

use std::borrow::Cow;
use std::fmt;

use table::{Known, Role, TABLE};

/// A media type: a known one, or any other text.
///
/// # Examples
///
/// ```
/// use imgcore::MediaType;
/// use imgcore::media_type::{Compression, Family};
///
/// let layer = MediaType::DOCKER_LAYER_GZIP;
/// assert_eq!(layer.family(), Family::Docker);
/// assert_eq!(layer.compression(), Some(Compression::Gzip));
/// assert_eq!(layer.to_oci(), MediaType::OCI_LAYER_GZIP);
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Cow<'static, str>);

/// Which specification a media type belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Family {
    /// Docker's image manifest version 2, schema 2.
    Docker,
    /// The OCI image specification.
    Oci,
    /// Neither: an artifact's own type.
    Other,
}

/// How a layer's tar is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Compression {
    /// In gzip.
    Gzip,
    /// As it is.
    None,
    /// In zstd.
    Zstd,
}

impl MediaType {
    /// An OCI image manifest.
    pub const OCI_MANIFEST: Self = Self::from_static("application/vnd.oci.image.manifest.v1+json");
    /// An OCI image index.
    pub const OCI_INDEX: Self = Self::from_static("application/vnd.oci.image.index.v1+json");
    /// An OCI image config.
    pub const OCI_CONFIG: Self = Self::from_static("application/vnd.oci.image.config.v1+json");
    /// The empty JSON object that stands for "nothing".
    pub const OCI_EMPTY: Self = Self::from_static("application/vnd.oci.empty.v1+json");
    /// An uncompressed layer.
    pub const OCI_LAYER_TAR: Self = Self::from_static("application/vnd.oci.image.layer.v1.tar");
    /// A gzip layer.
    pub const OCI_LAYER_GZIP: Self =
        Self::from_static("application/vnd.oci.image.layer.v1.tar+gzip");
    /// A zstd layer.
    pub const OCI_LAYER_ZSTD: Self =
        Self::from_static("application/vnd.oci.image.layer.v1.tar+zstd");
    /// An uncompressed layer that may not be redistributed.
    pub const OCI_FOREIGN_LAYER_TAR: Self =
        Self::from_static("application/vnd.oci.image.layer.nondistributable.v1.tar");
    /// A gzip layer that may not be redistributed.
    pub const OCI_FOREIGN_LAYER_GZIP: Self =
        Self::from_static("application/vnd.oci.image.layer.nondistributable.v1.tar+gzip");
    /// A zstd layer that may not be redistributed.
    pub const OCI_FOREIGN_LAYER_ZSTD: Self =
        Self::from_static("application/vnd.oci.image.layer.nondistributable.v1.tar+zstd");
    /// A Docker image manifest of schema 2.
    pub const DOCKER_MANIFEST: Self =
        Self::from_static("application/vnd.docker.distribution.manifest.v2+json");
    /// A Docker manifest list.
    pub const DOCKER_MANIFEST_LIST: Self =
        Self::from_static("application/vnd.docker.distribution.manifest.list.v2+json");
    /// A Docker image config.
    pub const DOCKER_CONFIG: Self =
        Self::from_static("application/vnd.docker.container.image.v1+json");
    /// An uncompressed Docker layer.
    pub const DOCKER_LAYER_TAR: Self =
        Self::from_static("application/vnd.docker.image.rootfs.diff.tar");
    /// A Docker gzip layer.
    pub const DOCKER_LAYER_GZIP: Self =
        Self::from_static("application/vnd.docker.image.rootfs.diff.tar.gzip");
    /// A Docker zstd layer, which some builders write although Docker never defined it.
    pub const DOCKER_LAYER_ZSTD: Self =
        Self::from_static("application/vnd.docker.image.rootfs.diff.tar.zstd");
    /// An uncompressed Docker layer whose content is elsewhere.
    pub const DOCKER_FOREIGN_LAYER_TAR: Self =
        Self::from_static("application/vnd.docker.image.rootfs.foreign.diff.tar");
    /// A Docker gzip layer whose content is elsewhere.
    pub const DOCKER_FOREIGN_LAYER_GZIP: Self =
        Self::from_static("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");

    /// Takes a text that is known at compile time.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// const REPORT: MediaType = MediaType::from_static("application/vnd.example.report");
    /// assert_eq!(REPORT, MediaType::from("application/vnd.example.report"));
    /// ```
    pub const fn from_static(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Returns the text.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// assert_eq!(MediaType::OCI_EMPTY.as_str(), "application/vnd.oci.empty.v1+json");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the type of an OCI layer of this compression.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// use imgcore::media_type::Compression;
    ///
    /// assert_eq!(MediaType::layer(Compression::Zstd), MediaType::OCI_LAYER_ZSTD);
    /// ```
    pub fn layer(compression: Compression) -> Self {
        match compression {
            Compression::Gzip => Self::OCI_LAYER_GZIP,
            Compression::None => Self::OCI_LAYER_TAR,
            Compression::Zstd => Self::OCI_LAYER_ZSTD,
        }
    }

    /// Returns which specification the type belongs to.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// use imgcore::media_type::Family;
    ///
    /// assert_eq!(MediaType::DOCKER_CONFIG.family(), Family::Docker);
    /// assert_eq!(MediaType::from("text/plain").family(), Family::Other);
    /// ```
    pub fn family(&self) -> Family {
        self.known().map_or(Family::Other, |known| known.family)
    }

    /// Returns how the tar of a layer is stored; `None` for what is no layer of a known type.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// use imgcore::media_type::Compression;
    ///
    /// assert_eq!(MediaType::DOCKER_LAYER_TAR.compression(), Some(Compression::None));
    /// assert_eq!(MediaType::OCI_CONFIG.compression(), None);
    /// ```
    pub fn compression(&self) -> Option<Compression> {
        match self.role()? {
            Role::Layer { compression, .. } => Some(compression),
            _ => None,
        }
    }

    /// Returns whether this is an image manifest of either family.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// assert!(MediaType::DOCKER_MANIFEST.is_manifest());
    /// assert!(!MediaType::OCI_INDEX.is_manifest());
    /// ```
    pub fn is_manifest(&self) -> bool {
        self.role() == Some(Role::Manifest)
    }

    /// Returns whether this is an index or a manifest list.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// assert!(MediaType::DOCKER_MANIFEST_LIST.is_index());
    /// assert!(!MediaType::OCI_MANIFEST.is_index());
    /// ```
    pub fn is_index(&self) -> bool {
        self.role() == Some(Role::Index)
    }

    /// Returns whether this is the config of a container image of either family.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// assert!(MediaType::DOCKER_CONFIG.is_image_config());
    /// assert!(!MediaType::OCI_EMPTY.is_image_config());
    /// ```
    pub fn is_image_config(&self) -> bool {
        self.role() == Some(Role::Config)
    }

    /// Returns whether this is a layer of an image: a tar, compressed or not, of either family.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// assert!(MediaType::OCI_LAYER_ZSTD.is_layer());
    /// assert!(!MediaType::from("application/vnd.example.model").is_layer());
    /// ```
    pub fn is_layer(&self) -> bool {
        matches!(self.role(), Some(Role::Layer { .. }))
    }

    /// Returns whether this is a layer that may not be redistributed ("foreign"), so that its content may be missing
    /// and its descriptor has `urls`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// assert!(MediaType::DOCKER_FOREIGN_LAYER_GZIP.is_foreign_layer());
    /// assert!(!MediaType::DOCKER_LAYER_GZIP.is_foreign_layer());
    /// ```
    pub fn is_foreign_layer(&self) -> bool {
        matches!(
            self.role(),
            Some(Role::Layer {
                is_foreign: true,
                ..
            })
        )
    }

    /// Returns the type of the OCI family that names the same thing; an OCI or other type is returned as it is.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::MediaType;
    /// assert_eq!(MediaType::DOCKER_MANIFEST_LIST.to_oci(), MediaType::OCI_INDEX);
    /// assert_eq!(MediaType::from("text/plain").to_oci(), MediaType::from("text/plain"));
    /// ```
    #[must_use]
    pub fn to_oci(&self) -> Self {
        let Some(Known {
            family: Family::Docker,
            role,
            ..
        }) = self.known()
        else {
            return self.clone();
        };
        let oci = TABLE
            .iter()
            .find(|known| known.family == Family::Oci && known.role == *role);
        oci.map_or_else(|| self.clone(), |known| known.media_type.clone())
    }

    fn role(&self) -> Option<Role> {
        self.known().map(|known| known.role)
    }

    fn known(&self) -> Option<&'static Known> {
        TABLE.iter().find(|known| known.media_type == *self)
    }
}

impl From<String> for MediaType {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

impl From<&str> for MediaType {
    fn from(text: &str) -> Self {
        Self(Cow::Owned(text.to_owned()))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MediaType({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(docker: &MediaType, oci: &MediaType) {
        assert_eq!(docker.family(), Family::Docker);
        assert_eq!(oci.family(), Family::Oci);
        assert_eq!(docker.to_oci(), *oci);
        assert_eq!(oci.to_oci(), *oci);
        assert_eq!(docker.role(), oci.role());
    }

    #[test]
    fn every_docker_type_has_an_oci_type() {
        check(&MediaType::DOCKER_MANIFEST, &MediaType::OCI_MANIFEST);
        check(&MediaType::DOCKER_MANIFEST_LIST, &MediaType::OCI_INDEX);
        check(&MediaType::DOCKER_CONFIG, &MediaType::OCI_CONFIG);
        check(&MediaType::DOCKER_LAYER_TAR, &MediaType::OCI_LAYER_TAR);
        check(&MediaType::DOCKER_LAYER_GZIP, &MediaType::OCI_LAYER_GZIP);
        check(&MediaType::DOCKER_LAYER_ZSTD, &MediaType::OCI_LAYER_ZSTD);
        check(
            &MediaType::DOCKER_FOREIGN_LAYER_TAR,
            &MediaType::OCI_FOREIGN_LAYER_TAR,
        );
        check(
            &MediaType::DOCKER_FOREIGN_LAYER_GZIP,
            &MediaType::OCI_FOREIGN_LAYER_GZIP,
        );
    }

    #[test]
    fn an_artifacts_own_type_is_left_alone() {
        let own = MediaType::from("application/vnd.example.model.v1.tar+gzip");
        assert_eq!(own.family(), Family::Other);
        assert_eq!(own.to_oci(), own);
        assert_eq!(own.compression(), None);
        assert!(!own.is_layer() && !own.is_manifest() && !own.is_index() && !own.is_image_config());
    }

    #[test]
    fn foreign_layers_are_told_apart() {
        assert!(MediaType::DOCKER_FOREIGN_LAYER_GZIP.is_foreign_layer());
        assert!(MediaType::OCI_FOREIGN_LAYER_ZSTD.is_foreign_layer());
        assert!(!MediaType::OCI_LAYER_ZSTD.is_foreign_layer());
    }
}
