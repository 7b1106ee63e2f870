//! Media types of image documents and layers.

use std::borrow::Cow;
use std::fmt;

/// A media type: a known one, or any other text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MediaType(Cow<'static, str>);

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

    /// Takes a text that is known at compile time.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
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
