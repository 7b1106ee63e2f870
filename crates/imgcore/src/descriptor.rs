//! Descriptors: typed, sized, verifiable references to content.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::json::{Fields, Object, Strictness, Value};
use crate::{Digest, Error, MediaType, Platform};

/// A reference to content ([OCI image-spec, descriptor.md][spec]).
///
/// # Examples
///
/// ```
/// use imgcore::json::{Limits, Value};
/// use imgcore::{Descriptor, MediaType};
///
/// let descriptor = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
/// let json = descriptor.to_json();
/// assert!(json.to_compact().starts_with(br#"{"mediaType":"application/vnd.oci.empty.v1+json","#));
/// assert_eq!(Descriptor::from_json(&json)?, descriptor);
/// # Ok::<(), imgcore::Error>(())
/// ```
///
/// [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// The digest of the content.
    pub digest: Digest,
    /// The size of the content in bytes.
    pub size: u64,
    /// Other places to have the content from. Never followed unasked.
    pub urls: Vec<String>,
    /// Free text about the content.
    pub annotations: BTreeMap<String, String>,
    /// The content itself, when it is small.
    pub data: Option<Vec<u8>>,
    /// The platform of the image that the descriptor points to.
    pub platform: Option<Platform>,
    /// What kind of artifact the manifest is that the descriptor points to.
    pub artifact_type: Option<MediaType>,
}

impl Descriptor {
    /// Makes a descriptor with the three members that every descriptor has.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::{Descriptor, Digest, MediaType};
    ///
    /// let descriptor = Descriptor::new(MediaType::OCI_CONFIG, Digest::sha256_of(b"{}"), 2);
    /// assert_eq!(descriptor, Descriptor::of(MediaType::OCI_CONFIG, b"{}"));
    /// ```
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }

    /// Describes bytes in memory.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::{Descriptor, Digest, MediaType};
    ///
    /// let descriptor = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
    /// assert_eq!((descriptor.size, descriptor.digest), (2, Digest::sha256_of(b"{}")));
    /// ```
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256_of(bytes), bytes.len() as u64)
    }

    /// Reads a descriptor; members that the specification does not know are ignored.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::Descriptor;
    /// use imgcore::json::Object;
    ///
    /// let error = Descriptor::from_json(&Object::new()).unwrap_err();
    /// assert_eq!(error.to_string(), "descriptor: mediaType is missing");
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when a member has the wrong kind, when one of `mediaType`,
    /// `digest` and `size` is missing, or when `data` is not what `digest` and `size` say.
    pub fn from_json(object: &Object) -> Result<Self, Error> {
        Self::read(Fields::of_object(object.clone(), "descriptor"))
    }

    /// Reads a descriptor that stands in a larger document, at `place`.
    pub(crate) fn at(value: &Value, place: String) -> Result<Self, Error> {
        Self::read(Fields::of(value, place)?)
    }

    fn read(mut fields: Fields) -> Result<Self, Error> {
        let descriptor = Self {
            media_type: media_type(&mut fields)?,
            digest: fields.parsed("digest")?,
            size: size(&mut fields)?,
            urls: fields.strings("urls")?,
            annotations: fields.string_map("annotations")?,
            data: match fields.optional_string("data")? {
                Some(text) => Some(decode(&fields, &text)?),
                None => None,
            },
            platform: match fields.optional("platform") {
                Some(value) => Some(Platform::at(&value, fields.place_of("platform"))?),
                None => None,
            },
            artifact_type: fields.optional_string("artifactType")?.map(MediaType::from),
        };
        descriptor.check_data(&fields)?;
        fields.finish(Strictness::Lenient)?;
        Ok(descriptor)
    }

    /// Content that travels inside its descriptor is verified like any other.
    fn check_data(&self, fields: &Fields) -> Result<(), Error> {
        let Some(data) = &self.data else {
            return Ok(());
        };
        if data.len() as u64 != self.size {
            return Err(fields.error(
                "data",
                &format!("has {} bytes instead of {}", data.len(), self.size),
            ));
        }
        let mut hasher = crate::Hasher::new(self.digest.algorithm());
        hasher.update(data);
        let actual = hasher.finish();
        if actual != self.digest {
            return Err(fields.error(
                "data",
                &format!("has the digest {actual} instead of {}", self.digest),
            ));
        }
        Ok(())
    }

    /// Writes the descriptor: known members in their fixed order, absent ones left out.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::{Descriptor, MediaType};
    ///
    /// let json = Descriptor::of(MediaType::OCI_EMPTY, b"{}").to_json();
    /// let names: Vec<_> = json.iter().map(|(name, _)| name).collect();
    /// assert_eq!(names, ["mediaType", "digest", "size"]);
    /// ```
    pub fn to_json(&self) -> Object {
        let mut object = Object::new();
        object.set("mediaType", self.media_type.as_str());
        object.set("digest", self.digest.to_string());
        object.set("size", self.size);
        if !self.urls.is_empty() {
            object.set("urls", self.urls.clone());
        }
        if !self.annotations.is_empty() {
            object.set("annotations", &self.annotations);
        }
        if let Some(data) = &self.data {
            object.set("data", STANDARD.encode(data));
        }
        if let Some(platform) = &self.platform {
            object.set("platform", platform.to_json());
        }
        if let Some(artifact_type) = &self.artifact_type {
            object.set("artifactType", artifact_type.as_str());
        }
        object
    }
}

/// Reads a media type that may be put into a header.
pub(crate) fn media_type(fields: &mut Fields) -> Result<MediaType, Error> {
    let text = fields.string("mediaType")?;
    if text.chars().all(|character| matches!(character, ' '..='~')) {
        return Ok(text.into());
    }
    Err(fields.error("mediaType", "has characters that no media type has"))
}

/// Reads a size; the specification has it in 63 bits, and so do all other readers.
pub(crate) fn size(fields: &mut Fields) -> Result<u64, Error> {
    let size = fields.unsigned("size")?;
    if i64::try_from(size).is_err() {
        return Err(fields.error("size", "is larger than any content can be"));
    }
    Ok(size)
}

fn decode(fields: &Fields, text: &str) -> Result<Vec<u8>, Error> {
    STANDARD
        .decode(text)
        .map_err(|error| fields.error("data", "is no base64").with_source(error))
}

impl Platform {
    /// Reads a platform, of a descriptor or of the members that a config has for it.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::Platform;
    ///
    /// let platform: Platform = "linux/arm64/v8".parse()?;
    /// assert_eq!(Platform::from_json(&platform.to_json())?, platform);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) when a member has the wrong kind.
    pub fn from_json(object: &Object) -> Result<Self, Error> {
        Self::read(Fields::of_object(object.clone(), "platform"))
    }

    fn at(value: &Value, place: String) -> Result<Self, Error> {
        Self::read(Fields::of(value, place)?)
    }

    fn read(mut fields: Fields) -> Result<Self, Error> {
        // Indexes in the wild have entries without them; a platform that says nothing matches nothing.
        let platform = Self {
            architecture: fields.optional_string("architecture")?.unwrap_or_default(),
            os: fields.optional_string("os")?.unwrap_or_default(),
            os_version: non_empty(fields.optional_string("os.version")?),
            os_features: fields.strings("os.features")?,
            variant: non_empty(fields.optional_string("variant")?),
        };
        fields.finish(Strictness::Lenient)?;
        Ok(platform)
    }

    /// Writes the platform: known members in their fixed order, absent ones left out.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::Platform;
    ///
    /// let json = Platform::new("linux", "amd64").to_json();
    /// assert_eq!(json.to_compact(), br#"{"architecture":"amd64","os":"linux"}"#);
    /// ```
    pub fn to_json(&self) -> Object {
        let mut object = Object::new();
        object.set("architecture", self.architecture.as_str());
        object.set("os", self.os.as_str());
        if let Some(version) = &self.os_version {
            object.set("os.version", version);
        }
        if !self.os_features.is_empty() {
            object.set("os.features", self.os_features.clone());
        }
        if let Some(variant) = &self.variant {
            object.set("variant", variant);
        }
        object
    }
}

fn non_empty(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl From<Descriptor> for Value {
    fn from(descriptor: Descriptor) -> Self {
        descriptor.to_json().into()
    }
}

impl From<&Descriptor> for Value {
    fn from(descriptor: &Descriptor) -> Self {
        descriptor.to_json().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Limits;

    fn parse(text: &str) -> Result<Descriptor, Error> {
        let value = Value::parse(text.as_bytes(), &Limits::default())?;
        Descriptor::from_json(&value.as_object().unwrap())
    }

    #[test]
    fn members_are_written_in_their_fixed_order() {
        let mut descriptor = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
        descriptor.urls.push("https://a.example/?b&c".to_owned());
        descriptor.annotations = [("b", "2"), ("a", "1")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
        descriptor.data = Some(b"{}".to_vec());
        let mut platform = Platform::default();
        "windows".clone_into(&mut platform.os);
        "amd64".clone_into(&mut platform.architecture);
        platform.os_version = Some("10.0.20348.1".to_owned());
        platform.os_features = vec!["win32k".to_owned()];
        platform.variant = Some("v2".to_owned());
        descriptor.platform = Some(platform);
        descriptor.artifact_type = Some("application/x".into());
        let json = descriptor.to_json();
        insta::assert_snapshot!(String::from_utf8(json.to_indented()).unwrap(), @r#"
        {
          "mediaType": "application/vnd.oci.empty.v1+json",
          "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
          "size": 2,
          "urls": [
            "https://a.example/?b\u0026c"
          ],
          "annotations": {
            "a": "1",
            "b": "2"
          },
          "data": "e30=",
          "platform": {
            "architecture": "amd64",
            "os": "windows",
            "os.version": "10.0.20348.1",
            "os.features": [
              "win32k"
            ],
            "variant": "v2"
          },
          "artifactType": "application/x"
        }
        "#);
        assert_eq!(Descriptor::from_json(&json).unwrap(), descriptor);
    }

    #[test]
    fn what_is_no_descriptor_is_refused() {
        let empty = Digest::sha256_of(b"{}");
        let with =
            |more: &str| format!(r#"{{"mediaType":"a/b","digest":"{empty}","size":2{more}}}"#);
        let check = |text: &str, expected: &str| {
            assert_eq!(parse(text).unwrap_err().to_string(), expected, "{text}");
        };
        check("{}", "descriptor: mediaType is missing");
        check(
            r#"{"mediaType":"a/b","digest":"sha256:12"}"#,
            r#"descriptor: digest is "sha256:12""#,
        );
        check(
            &with(r#","Urls":[]"#),
            r#"descriptor has the member "Urls", which must be spelled "urls""#,
        );
        check(&with(r#","data":"*""#), "descriptor: data is no base64");
        check(
            &with(r#","data":"e30K""#),
            "descriptor: data has 3 bytes instead of 2",
        );
        let other = Digest::sha256_of(b"[]");
        check(
            &with(r#","data":"W10=""#),
            &format!("descriptor: data has the digest {other} instead of {empty}"),
        );
        check(
            &with(r#","platform":[]"#),
            "descriptor: platform is no JSON object",
        );
        check(&with(r#","urls":[1]"#), "descriptor: urls[0] is no string");
    }

    #[test]
    fn members_of_the_future_are_ignored() {
        let digest = Digest::sha256_of(b"");
        let text =
            format!(r#"{{"x":[],"mediaType":"a/b","digest":"{digest}","size":0,"platform":null}}"#);
        assert_eq!(
            parse(&text).unwrap(),
            Descriptor::new("a/b".into(), digest, 0)
        );
    }
}
