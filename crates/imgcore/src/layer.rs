//! Layer metadata: what assembly needs to know of a layer instead of its bytes.

use std::collections::BTreeMap;

use crate::json::{Fields, Limits, Object, Strictness, Value};
use crate::{Descriptor, DiffId, Digest, Error, MediaType, descriptor};

/// What is known of a layer without its bytes: the JSON file that stands beside every layer blob.
///
/// # Examples
///
/// ```
/// use imgcore::json::Strictness;
/// use imgcore::{Digest, DiffId, LayerMetadata, MediaType};
///
/// let tar = [0; 1024];
/// let layer = LayerMetadata::new(
///     Some(DiffId::sha256_of(&tar)),
///     MediaType::OCI_LAYER_TAR,
///     Digest::sha256_of(&tar),
///     1024,
/// );
/// assert_eq!(LayerMetadata::parse(&layer.to_json_bytes(), Strictness::Strict)?, layer);
/// # Ok::<(), imgcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerMetadata {
    /// The digest of the uncompressed tar; `None` for a blob that is no tar.
    pub diff_id: Option<DiffId>,
    /// The media type of the blob.
    pub media_type: MediaType,
    /// The digest of the blob.
    pub digest: Digest,
    /// The size of the blob in bytes.
    pub size: u64,
    /// Annotations of the layer's descriptor.
    pub annotations: BTreeMap<String, String>,
    /// The history entries that belong to the layer, oldest first.
    pub history: Vec<HistoryEntry>,
}

impl LayerMetadata {
    /// Makes metadata without annotations and history.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Digest, LayerMetadata, MediaType};
    /// let digest = Digest::sha256_of(b"blob");
    /// let layer = LayerMetadata::new(None, MediaType::OCI_LAYER_GZIP, digest, 4);
    /// assert!(layer.annotations.is_empty());
    /// ```
    pub fn new(diff_id: Option<DiffId>, media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            diff_id,
            media_type,
            digest,
            size,
            annotations: BTreeMap::new(),
            history: Vec::new(),
        }
    }

    /// Reads a metadata file.
    ///
    /// White space, the order of the members, and empty `annotations` and `history` do not matter: Bazel rules write
    /// such files too. A descriptor file is read as metadata without `diff_id` when `strictness` is lenient.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::LayerMetadata;
    /// use imgcore::json::Strictness;
    ///
    /// let error = LayerMetadata::parse(br#"{"mediaType":"a/b"}"#, Strictness::Strict).unwrap_err();
    /// assert_eq!(error.to_string(), "layer metadata: digest is missing");
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) or [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge)
    /// when the file is no JSON that this crate takes, when a member has the wrong kind, when one of `mediaType`,
    /// `digest` and `size` is missing, and, if strict, when any object in it has an unknown member.
    pub fn parse(bytes: &[u8], strictness: Strictness) -> Result<Self, Error> {
        let mut fields = Fields::of(&Value::parse(bytes, &Limits::default())?, "layer metadata")?;
        let metadata = Self::of_fields(&mut fields, strictness)?;
        fields.finish(strictness)?;
        Ok(metadata)
    }

    /// Reads the members of metadata from an object that may have others, too.
    pub(crate) fn of_fields(fields: &mut Fields, strictness: Strictness) -> Result<Self, Error> {
        Ok(Self {
            diff_id: match fields.optional("diff_id") {
                Some(_) => Some(fields.parsed("diff_id")?),
                None => None,
            },
            media_type: descriptor::media_type(fields)?,
            digest: fields.parsed("digest")?,
            size: descriptor::size(fields)?,
            annotations: fields.string_map("annotations")?,
            history: fields.list("history", |value, place| {
                HistoryEntry::at(value, place, strictness)
            })?,
        })
    }

    /// Writes the metadata file: members in their fixed order, an indent of two spaces, a newline at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Digest, LayerMetadata, MediaType};
    /// let digest = Digest::sha256_of(b"blob");
    /// let layer = LayerMetadata::new(None, MediaType::OCI_LAYER_GZIP, digest, 4);
    /// assert!(layer.to_json_bytes().starts_with(b"{\n  \"mediaType\": "));
    /// ```
    pub fn to_json_bytes(&self) -> Vec<u8> {
        let mut bytes = self.to_json().to_indented();
        bytes.push(b'\n');
        bytes
    }

    /// Writes the metadata: members in their fixed order, absent ones left out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Digest, LayerMetadata, MediaType};
    /// let digest = Digest::sha256_of(b"blob");
    /// let layer = LayerMetadata::new(None, MediaType::OCI_LAYER_GZIP, digest, 4);
    /// assert_eq!(layer.to_json().get("size").and_then(|size| size.as_u64()), Some(4));
    /// ```
    pub fn to_json(&self) -> Object {
        let mut object = Object::new();
        if let Some(diff_id) = self.diff_id {
            object.set("diff_id", diff_id.to_string());
        }
        object.set("mediaType", self.media_type.as_str());
        object.set("digest", self.digest.to_string());
        object.set("size", self.size);
        if !self.annotations.is_empty() {
            object.set("annotations", &self.annotations);
        }
        if !self.history.is_empty() {
            object.set("history", self.history.iter().collect::<Value>());
        }
        object
    }

    /// Returns the descriptor of the blob, with the annotations.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Digest, LayerMetadata, MediaType};
    /// let digest = Digest::sha256_of(b"blob");
    /// let layer = LayerMetadata::new(None, MediaType::OCI_LAYER_GZIP, digest, 4);
    /// assert_eq!(layer.descriptor().digest, digest);
    /// ```
    pub fn descriptor(&self) -> Descriptor {
        let mut descriptor = Descriptor::new(self.media_type.clone(), self.digest, self.size);
        descriptor.annotations.clone_from(&self.annotations);
        descriptor
    }
}

/// One step of an image's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When, in RFC 3339.
    pub created: Option<String>,
    /// Which command made the layer.
    pub created_by: Option<String>,
    /// Who.
    pub author: Option<String>,
    /// Free text.
    pub comment: Option<String>,
    /// Whether the step made no layer.
    pub empty_layer: bool,
}

impl HistoryEntry {
    /// Makes the entry of a layer that a command made.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::HistoryEntry;
    /// let entry = HistoryEntry::created_by("bazel build //app:layer");
    /// assert_eq!(entry.to_json().to_compact(), br#"{"created_by":"bazel build //app:layer"}"#);
    /// ```
    pub fn created_by(command: impl Into<String>) -> Self {
        Self {
            created_by: Some(command.into()),
            ..Self::default()
        }
    }

    /// Reads an entry that stands in a larger document, at `place`.
    pub(crate) fn at(value: &Value, place: String, strictness: Strictness) -> Result<Self, Error> {
        let mut fields = Fields::of(value, place)?;
        let entry = Self {
            created: fields.optional_string("created")?,
            created_by: fields.optional_string("created_by")?,
            author: fields.optional_string("author")?,
            comment: fields.optional_string("comment")?,
            empty_layer: fields.flag("empty_layer")?,
        };
        fields.finish(strictness)?;
        Ok(entry)
    }

    /// Writes the entry: members in their fixed order; absent and empty ones are left out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::HistoryEntry;
    /// assert_eq!(HistoryEntry::default().to_json().to_compact(), b"{}");
    /// ```
    pub fn to_json(&self) -> Object {
        let mut object = Object::new();
        for (name, text) in [
            ("created", &self.created),
            ("created_by", &self.created_by),
            ("author", &self.author),
            ("comment", &self.comment),
        ] {
            if let Some(text) = text.as_deref().filter(|text| !text.is_empty()) {
                object.set(name, text);
            }
        }
        if self.empty_layer {
            object.set("empty_layer", true);
        }
        object
    }
}

impl<'a> FromIterator<&'a HistoryEntry> for Value {
    fn from_iter<I: IntoIterator<Item = &'a HistoryEntry>>(entries: I) -> Self {
        entries
            .into_iter()
            .map(|entry| Self::from(entry.to_json()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LayerMetadata {
        let mut layer = LayerMetadata::new(
            Some(DiffId::sha256_of(b"tar")),
            MediaType::OCI_LAYER_GZIP,
            Digest::sha256_of(b"blob"),
            9000,
        );
        layer
            .annotations
            .insert("org.example.team".to_owned(), "a & b".to_owned());
        layer
            .history
            .push(HistoryEntry::created_by("bazel build //app:layer"));
        layer.history.push(HistoryEntry {
            created: Some("2031-05-06T07:08:09Z".to_owned()),
            author: Some("me".to_owned()),
            comment: Some("none".to_owned()),
            empty_layer: true,
            ..HistoryEntry::default()
        });
        layer
    }

    #[test]
    fn the_file_has_two_spaces_and_a_newline() {
        let text = String::from_utf8(sample().to_json_bytes()).unwrap();
        insta::assert_snapshot!(text, @r#"
        {
          "diff_id": "sha256:90aebae315675cbf04612de4f7d5874850f48e0b8dd82becbeaa47ca93f5ebfb",
          "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
          "digest": "sha256:fa2c8cc4f28176bbeed4b736df569a34c79cd3723e9ec42f9674b4d46ac6b8b8",
          "size": 9000,
          "annotations": {
            "org.example.team": "a \u0026 b"
          },
          "history": [
            {
              "created_by": "bazel build //app:layer"
            },
            {
              "created": "2031-05-06T07:08:09Z",
              "author": "me",
              "comment": "none",
              "empty_layer": true
            }
          ]
        }
        "#);
        assert!(text.ends_with("}\n"));
        assert_eq!(
            LayerMetadata::parse(text.as_bytes(), Strictness::Strict).unwrap(),
            sample()
        );
    }

    #[test]
    fn bazels_spelling_is_read() {
        let digest = Digest::sha256_of(b"blob");
        let text = format!(
            r#"{{"annotations":{{}},"digest":"{digest}","history":[],"mediaType":"a/b","size":4}}"#
        );
        let expected = LayerMetadata::new(None, "a/b".into(), digest, 4);
        assert_eq!(
            LayerMetadata::parse(text.as_bytes(), Strictness::Strict).unwrap(),
            expected
        );
    }

    #[test]
    fn unknown_members_are_refused_by_the_strict_reader_only() {
        let digest = Digest::sha256_of(b"blob");
        for (more, expected) in [
            (
                r#""urls":[]"#,
                r#"layer metadata has the unknown member "urls""#,
            ),
            (
                r#""history":[{},{"x":1}]"#,
                r#"layer metadata: history[1] has the unknown member "x""#,
            ),
        ] {
            let text = format!(r#"{{"mediaType":"a/b","digest":"{digest}","size":4,{more}}}"#);
            let error = LayerMetadata::parse(text.as_bytes(), Strictness::Strict).unwrap_err();
            assert_eq!(error.to_string(), expected);
            LayerMetadata::parse(text.as_bytes(), Strictness::Lenient).unwrap();
        }
    }

    #[test]
    fn a_file_without_digest_is_no_metadata() {
        let error = LayerMetadata::parse(b"{\"mediaType\":\"\"}", Strictness::Lenient).unwrap_err();
        assert_eq!(error.to_string(), "layer metadata: digest is missing");
        let error = LayerMetadata::parse(b"", Strictness::Lenient).unwrap_err();
        assert_eq!(error.to_string(), "JSON document ends too early at byte 0");
    }
}
