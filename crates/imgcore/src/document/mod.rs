//! Documents: the manifests, indexes and configs that images are made of.
//!
//! A document is known by the digest of its bytes, so it is kept as those bytes with a parsed view beside them
//! ([`Raw`]); nothing here writes a document again that it did not create.
//!
//! Whether bytes are a manifest or an index is decided by what they say, never by what the sender calls them alone:
//! [`Document::classify`] refuses what could be taken for both ([CVE-2021-41190]).
//!
//! [CVE-2021-41190]: https://nvd.nist.gov/vuln/detail/CVE-2021-41190

mod config;
mod index;
mod manifest;
mod nesting;
mod raw;

pub use config::Config;
pub use index::Index;
pub use manifest::Manifest;
pub use nesting::Nesting;
pub use raw::{Raw, View};

use crate::json::{Fields, Kind, Limits, Object, Value};
use crate::{Descriptor, Error, ErrorKind, MediaType};

/// A manifest or an index: what a reference in a registry leads to.
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "the specification has these two")]
pub enum Document {
    /// An index of images.
    Index(Raw<Index>),
    /// A manifest of one image or artifact.
    Manifest(Raw<Manifest>),
}

impl Document {
    /// Finds out what a document is, and reads it.
    ///
    /// `content_type` is what the sender calls it: the `Content-Type` header, or the media type of the descriptor that
    /// led here.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::{Document, MediaType};
    ///
    /// let bytes = br#"{"schemaVersion":2,"manifests":[]}"#;
    /// let document = Document::classify(bytes, Some(&MediaType::OCI_INDEX))?;
    /// assert!(matches!(document, Document::Index(_)));
    /// assert!(Document::classify(bytes, Some(&MediaType::OCI_MANIFEST)).is_err());
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] when the document is larger or deeper than [`Limits::default`] allows;
    /// [`ErrorKind::Malformed`] when it is neither a manifest nor an index, when it has members of both, when
    /// `mediaType`, `content_type` and the members do not agree, when it is of Docker's schema 1, or when a member
    /// breaks the specification.
    pub fn classify(bytes: &[u8], content_type: Option<&MediaType>) -> Result<Self, Error> {
        let value = Value::parse(bytes, &Limits::default())?;
        let object = value
            .as_object()
            .ok_or_else(|| malformed("document is no JSON object"))?;
        match classify_members(&object, content_type)? {
            (Shape::Index, declared) => Ok(Self::Index(Raw::of(bytes, &value, declared)?)),
            (Shape::Manifest, declared) => Ok(Self::Manifest(Raw::of(bytes, &value, declared)?)),
        }
    }

    /// Returns the bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::Document;
    /// let text = br#"{ "manifests": [] }"#;
    /// assert_eq!(Document::classify(text, None)?.bytes(), text);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Index(index) => index.bytes(),
            Self::Manifest(manifest) => manifest.bytes(),
        }
    }

    /// Returns the descriptor of the document: media type, digest and size.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Digest, Document};
    /// let text = br#"{ "manifests": [] }"#;
    /// assert_eq!(Document::classify(text, None)?.descriptor().digest, Digest::sha256_of(text));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn descriptor(&self) -> Descriptor {
        match self {
            Self::Index(index) => index.descriptor(),
            Self::Manifest(manifest) => manifest.descriptor(),
        }
    }
}

/// Reads what has the shape of a document of a known kind; errors call it `place`.
pub(crate) fn read_view<T: View>(object: &Object, place: &str) -> Result<T, Error> {
    T::read(Fields::of_object(object.clone(), place))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Index,
    Manifest,
}

/// Finds out what a document is, and what it is called.
fn classify_members(
    object: &Object,
    content_type: Option<&MediaType>,
) -> Result<(Shape, Option<MediaType>), Error> {
    let declared = check_types(object, content_type)?;
    Ok((shape(object, declared.as_ref())?, declared))
}

/// Returns the media type of a document, by itself or else by its sender, who must not contradict it.
fn check_types(
    object: &Object,
    content_type: Option<&MediaType>,
) -> Result<Option<MediaType>, Error> {
    let own = match object.get("mediaType").filter(|value| !value.is_null()) {
        None => None,
        Some(value) => {
            let text = value
                .as_str()
                .ok_or_else(|| malformed("document: mediaType is no string"))?;
            // Some writers leave it empty instead of out.
            Some(MediaType::from(&*text)).filter(|media_type| !media_type.as_str().is_empty())
        }
    };
    let Some(sent) = content_type else {
        return Ok(own);
    };
    // A parameter ("; charset=utf-8") says nothing about JSON; media types are compared without regard to case.
    let sent_text = sent.as_str().split(';').next().unwrap_or_default().trim();
    if sent_text.is_empty() || !is_document_type(sent_text) {
        return Ok(own);
    }
    match own {
        Some(own) if !own.as_str().eq_ignore_ascii_case(sent_text) => Err(malformed(&format!(
            "document calls itself {own} but came as {sent_text}"
        ))),
        Some(own) => Ok(Some(own)),
        None => Ok(Some(sent_text.to_ascii_lowercase().into())),
    }
}

/// Returns whether a media type that a sender gives says anything: some servers call everything JSON or bytes.
fn is_document_type(text: &str) -> bool {
    !["application/json", "application/octet-stream", "text/plain"]
        .iter()
        .any(|vague| vague.eq_ignore_ascii_case(text))
}

/// Decides what a document is by its members, and checks that its media type says the same.
fn shape(object: &Object, declared: Option<&MediaType>) -> Result<Shape, Error> {
    refuse_other_spellings(object)?;
    check_schema_version(object)?;
    if let Some(declared) = declared
        && !declared.is_manifest()
        && !declared.is_index()
    {
        return Err(malformed(&format!(
            "document is {declared}, which is neither a manifest nor an index"
        )));
    }
    let has = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
    let declared_index = declared.is_some_and(MediaType::is_index);
    let declared_manifest = declared.is_some_and(MediaType::is_manifest);
    let has_manifest_members = object.contains("layers") || object.contains("config");
    if object.contains("manifests") && has_manifest_members {
        return Err(malformed(
            "document has the members of a manifest (\"config\" or \"layers\") and of an index (\"manifests\")",
        ));
    }
    // An index without entries may have `null`, as Go writes it.
    if object.contains("manifests") && !declared_manifest {
        return match object.get("manifests").map(Value::kind) {
            Some(Kind::Array | Kind::Null) => Ok(Shape::Index),
            _ => Err(malformed("index: manifests is no array")),
        };
    }
    if has("config") && !declared_index {
        return Ok(Shape::Manifest);
    }
    match declared {
        Some(declared) if declared_index && !has_manifest_members => Err(malformed(&format!(
            "document calls itself {declared} but has no \"manifests\""
        ))),
        Some(declared) if declared_manifest && !object.contains("manifests") => Err(malformed(
            &format!("document calls itself {declared} but has no \"config\""),
        )),
        Some(declared) if declared_index || declared_manifest => Err(malformed(&format!(
            "document calls itself {declared} but has the members of another kind"
        ))),
        _ => Err(malformed("document is neither a manifest nor an index")),
    }
}

/// Go takes `Layers` for `layers`, so that a document with it would have layers for some programs only.
fn refuse_other_spellings(object: &Object) -> Result<(), Error> {
    const NAMES: [&str; 5] = [
        "config",
        "layers",
        "manifests",
        "mediaType",
        "schemaVersion",
    ];
    for (key, _) in object.iter() {
        for name in NAMES {
            if key != name && crate::json::is_same_for_go(key, name) {
                return Err(malformed(&format!(
                    "document has the member {key:?}, which must be spelled {name:?}"
                )));
            }
        }
    }
    Ok(())
}

fn check_schema_version(object: &Object) -> Result<(), Error> {
    match object.get("schemaVersion").map(Value::as_u64) {
        Some(Some(1)) => Err(malformed(
            "document is a Docker schema 1 manifest, which is not supported: have the image pushed again by a current tool",
        )),
        // Early tools for artifacts left it out.
        Some(Some(2)) | None => Ok(()),
        Some(_) => Err(malformed("document: schemaVersion is not 2")),
    }
}

fn malformed(message: &str) -> Error {
    Error::new(ErrorKind::Malformed, message)
}

#[cfg(test)]
mod tests;
