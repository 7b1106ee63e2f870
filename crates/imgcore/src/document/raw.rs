//! A document as its bytes and a parsed view of them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::{Config, Index, Manifest, malformed};
use crate::json::{Fields, Limits, Object, Value};
use crate::{Descriptor, Digest, Error, MediaType};

/// A document: its exact bytes, their digest, and a view of what they say.
///
/// Cloning is cheap. It dereferences to the view.
///
/// # Examples
///
/// ```
/// use imgcore::{Config, Raw};
///
/// let bytes = br#"{"os": "linux", "architecture": "arm64", "x-unknown": [1.0]}"#;
/// let config = Raw::<Config>::parse(bytes)?;
/// assert_eq!(config.platform().architecture, "arm64");
/// assert_eq!(config.bytes(), bytes);
/// assert_eq!(config.descriptor().size, bytes.len() as u64);
/// # Ok::<(), imgcore::Error>(())
/// ```
pub struct Raw<T>(Arc<Inner<T>>);

struct Inner<T> {
    bytes: Box<[u8]>,
    digest: Digest,
    object: Object,
    media_type: MediaType,
    view: T,
}

impl<T: View> Raw<T> {
    /// Reads a document of a known kind.
    ///
    /// Where the kind is not known, and for everything from a registry, use
    /// [`Document::classify`](super::Document::classify).
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Manifest, Raw};
    /// let error = Raw::<Manifest>::parse(br#"{"manifests":[]}"#).unwrap_err();
    /// assert_eq!(error.to_string(), "manifest is an index: choose one of its images");
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge) when the document is larger or deeper than
    /// [`Limits::default`] allows; [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when it is not of this kind or
    /// breaks the specification.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let value = Value::parse(bytes, &Limits::default())?;
        if let Some(object) = value.as_object() {
            T::check(&object)?;
        }
        Self::of(bytes, &value, None)
    }

    pub(super) fn of(
        bytes: &[u8],
        value: &Value,
        declared: Option<MediaType>,
    ) -> Result<Self, Error> {
        let object = value
            .as_object()
            .ok_or_else(|| malformed(&format!("{} is no JSON object", T::NAME)))?;
        let mut view = T::read(Fields::of_object(object.clone(), T::NAME))?;
        let media_type = declared.unwrap_or_else(|| view.own_media_type());
        view.set_media_type(&media_type);
        Ok(Self(Arc::new(Inner {
            digest: Digest::sha256_of(bytes),
            bytes: bytes.into(),
            object,
            media_type,
            view,
        })))
    }

    /// Returns the bytes, as they came.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{ }"#)?;
    /// assert_eq!(config.bytes(), b"{ }");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// Returns the SHA-256 digest of the bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{ }"#)?;
    /// assert_eq!(config.digest(), imgcore::Digest::sha256_of(b"{ }"));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn digest(&self) -> Digest {
        self.0.digest
    }

    /// Returns what the document calls itself or was called by its sender; an OCI type when nobody said.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{ }"#)?;
    /// assert_eq!(*config.media_type(), imgcore::MediaType::OCI_CONFIG);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn media_type(&self) -> &MediaType {
        &self.0.media_type
    }

    /// Returns a descriptor of the document: media type, digest and size.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{ }"#)?;
    /// assert_eq!(config.descriptor().size, 3);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::new(
            self.0.media_type.clone(),
            self.0.digest,
            self.0.bytes.len() as u64,
        )
    }

    /// Returns all members, those too that the view does not know.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"x-unknown": 1.50}"#)?;
    /// assert_eq!(config.object().get("x-unknown").map(|value| value.text()), Some("1.50"));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn object(&self) -> &Object {
        &self.0.object
    }
}

impl<T> Clone for Raw<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Raw<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.view
    }
}

impl<T> PartialEq for Raw<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}

impl<T> Eq for Raw<T> {}

impl<T: fmt::Debug> fmt::Debug for Raw<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw")
            .field("digest", &self.0.digest)
            .field("view", &self.0.view)
            .finish_non_exhaustive()
    }
}

/// A kind of document that [`Raw`] can hold: [`Config`], [`Index`] or [`Manifest`].
///
/// It is sealed: the specification has no further kind.
pub trait View: sealed::View {}

impl View for Config {}
impl View for Index {}
impl View for Manifest {}

pub(super) mod sealed {
    use super::{Error, Fields, MediaType, Object};

    #[expect(unnameable_types, reason = "nobody else may implement it")]
    pub trait View: Sized {
        /// What errors call the document.
        const NAME: &'static str;

        /// Checks that the members are of this kind before they are read as such.
        fn check(object: &Object) -> Result<(), Error>;

        /// Reads the members.
        fn read(fields: Fields) -> Result<Self, Error>;

        /// What the document calls itself.
        fn own_media_type(&self) -> MediaType;

        /// Takes over what the sender calls the document.
        fn set_media_type(&mut self, media_type: &MediaType);
    }
}
