//! Edits: another document that differs from an existing one in what was edited, and in nothing else.
//!
//! Every member that is not touched keeps the bytes that it had, unknown ones, the spelling of numbers and the white
//! space included. So an image can be recompressed, or a child of an index be replaced, without losing what the tool
//! that made it wanted to say.
//!
//! # Examples
//!
//! ```
//! use imgcore::edit::ConfigEdit;
//! use imgcore::{Config, DiffId, Raw};
//!
//! let old = Raw::<Config>::parse(
//!     br#"{"os": "linux", "x": 1.50, "rootfs": {"type": "layers", "diff_ids": []}}"#,
//! )?;
//! let diff_id = DiffId::sha256_of(b"tar");
//! let mut edit = ConfigEdit::new(&old);
//! edit.set_diff_ids(&[diff_id]);
//! let new = edit.finish()?;
//! let expected = format!(r#"{{"os": "linux", "x": 1.50, "rootfs": {{"type": "layers", "diff_ids": ["{diff_id}"]}}}}"#);
//! assert_eq!(new.bytes(), expected.as_bytes());
//! # Ok::<(), imgcore::Error>(())
//! ```

use crate::json::{Object, Value};
use crate::media_type::{Compression, Family};
use crate::{
    Config, Descriptor, DiffId, Error, ErrorKind, HistoryEntry, Index, Manifest, MediaType, Raw,
};

/// An edit of a config.
#[derive(Clone, Debug)]
pub struct ConfigEdit {
    object: Object,
}

impl ConfigEdit {
    /// Starts from a config.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{ }"#)?;
    /// assert_eq!(imgcore::edit::ConfigEdit::new(&config).finish()?, config);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn new(config: &Raw<Config>) -> Self {
        Self {
            object: config.object().clone(),
        }
    }

    /// Replaces the digests of the uncompressed layers.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"rootfs":{"x":1}}"#)?;
    /// let mut edit = imgcore::edit::ConfigEdit::new(&config);
    /// edit.set_diff_ids(&[]);
    /// assert_eq!(edit.finish()?.bytes(), br#"{"rootfs":{"x":1,"type":"layers","diff_ids":[]}}"#);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set_diff_ids(&mut self, diff_ids: &[DiffId]) {
        let mut rootfs = self
            .object
            .get("rootfs")
            .and_then(Value::as_object)
            .unwrap_or_default();
        rootfs.set("type", "layers");
        rootfs.set(
            "diff_ids",
            diff_ids.iter().map(ToString::to_string).collect::<Vec<_>>(),
        );
        self.object.set("rootfs", rootfs);
    }

    /// Replaces the history; an empty one is left out.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"history":[{}]}"#)?;
    /// let mut edit = imgcore::edit::ConfigEdit::new(&config);
    /// edit.set_history(&[]);
    /// assert_eq!(edit.finish()?.bytes(), b"{}");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set_history(&mut self, history: &[HistoryEntry]) {
        if history.is_empty() {
            self.object.remove("history");
        } else {
            self.object
                .set("history", history.iter().collect::<Value>());
        }
    }

    /// Sets a member to any value.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::{Config, Raw};
    /// let config = Raw::<Config>::parse(br#"{"author":"them"}"#)?;
    /// let mut edit = imgcore::edit::ConfigEdit::new(&config);
    /// edit.set("author", "us");
    /// assert_eq!(edit.finish()?.author(), Some("us"));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.object.set(name, value);
    }

    /// Ends the edit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] or [`ErrorKind::TooLarge`] when the result is no config that would be read again.
    pub fn finish(self) -> Result<Raw<Config>, Error> {
        Raw::parse(&self.object.to_bytes())
    }
}

/// An edit of a manifest.
///
/// A manifest in Docker's schema 2 that is given a layer of a type that Docker does not have (zstd, or any OCI type)
/// becomes an OCI manifest as a whole: its own type and those of config and layers.
#[derive(Clone, Debug)]
pub struct ManifestEdit {
    object: Object,
    media_type: MediaType,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl ManifestEdit {
    /// Starts from a manifest.
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
    /// use imgcore::edit::ManifestEdit;
    ///
    /// assert_eq!(ManifestEdit::new(&manifest).finish()?, manifest);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn new(manifest: &Raw<Manifest>) -> Self {
        Self {
            object: manifest.object().clone(),
            media_type: manifest.media_type().clone(),
            config: manifest.config.clone(),
            layers: manifest.layers.clone(),
        }
    }

    /// Points to another config of the same type.
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
    /// use imgcore::edit::ManifestEdit;
    /// use imgcore::Config;
    ///
    /// let config = Raw::<Config>::parse(b"{}")?;
    /// let mut edit = ManifestEdit::new(&manifest);
    /// edit.set_config(&config);
    /// assert_eq!(edit.finish()?.config.digest, config.digest());
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set_config(&mut self, config: &Raw<Config>) {
        let mut target = config.descriptor();
        target.media_type.clone_from(&self.config.media_type);
        self.config = retarget(&self.config, &target);
        self.set_member("config", |object| retarget_json(object, &target));
    }

    /// Replaces the layers, lowest first.
    ///
    /// A layer that was there before, with the same descriptor, keeps the bytes of its descriptor.
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
    /// use imgcore::edit::ManifestEdit;
    /// use imgcore::{Descriptor, MediaType};
    ///
    /// let layer = Descriptor::of(MediaType::OCI_LAYER_ZSTD, b"blob");
    /// let mut edit = ManifestEdit::new(&manifest);
    /// edit.set_layers(&[layer.clone()]);
    /// assert_eq!(edit.finish()?.layers, [layer]);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set_layers(&mut self, layers: &[Descriptor]) {
        self.object.set(
            "layers",
            replaced(&self.object, "layers", &self.layers, layers),
        );
        self.layers = layers.to_vec();
    }

    /// Sets an annotation of the manifest.
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
    /// use imgcore::edit::ManifestEdit;
    ///
    /// let mut edit = ManifestEdit::new(&manifest);
    /// edit.set_annotation("team", "blue");
    /// assert_eq!(edit.finish()?.annotations["team"], "blue");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set_annotation(&mut self, name: &str, text: &str) {
        let annotations = self.object.get("annotations").and_then(Value::as_object);
        let mut annotations = annotations.unwrap_or_default();
        annotations.set(name, text);
        self.object.set("annotations", annotations);
    }

    /// Makes an OCI manifest of one in Docker's schema 2; another one stays as it is.
    pub fn convert_to_oci(&mut self) {
        if self.media_type.family() != Family::Docker {
            return;
        }
        self.media_type = self.media_type.to_oci();
        self.object.set("mediaType", self.media_type.as_str());
        self.config.media_type = self.config.media_type.to_oci();
        let config_type = self.config.media_type.clone();
        self.set_member("config", |object| {
            object.set("mediaType", config_type.as_str());
        });
        let elements = self
            .object
            .get("layers")
            .and_then(Value::as_array)
            .unwrap_or_default();
        let converted = elements.iter().map(|element| {
            let Some(mut object) = element.as_object() else {
                return element.clone();
            };
            if let Some(media_type) = object.get("mediaType").and_then(Value::as_str) {
                let oci = MediaType::from(&*media_type).to_oci();
                object.set("mediaType", oci.as_str());
            }
            object.into()
        });
        self.object.set("layers", converted.collect::<Value>());
        for layer in &mut self.layers {
            layer.media_type = layer.media_type.to_oci();
        }
    }

    /// Ends the edit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] or [`ErrorKind::TooLarge`] when the result is no manifest that would be read again.
    pub fn finish(mut self) -> Result<Raw<Manifest>, Error> {
        let is_foreign_to_docker = |layer: &Descriptor| {
            layer.media_type.family() == Family::Oci
                || layer.media_type.compression() == Some(Compression::Zstd)
        };
        if self.layers.iter().any(is_foreign_to_docker) {
            self.convert_to_oci();
        }
        add_missing(&mut self.object, &self.media_type);
        Raw::parse(&self.object.to_bytes())
    }

    fn set_member(&mut self, name: &str, change: impl FnOnce(&mut Object)) {
        if let Some(mut object) = self.object.get(name).and_then(Value::as_object) {
            change(&mut object);
            self.object.set(name, object);
        }
    }
}

/// An edit of an index.
#[derive(Clone, Debug)]
pub struct IndexEdit {
    object: Object,
    media_type: MediaType,
    manifests: Vec<Descriptor>,
}

impl IndexEdit {
    /// Starts from an index.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::assemble::{IndexOptions, assemble_index};
    /// # use imgcore::edit::IndexEdit;
    /// # use imgcore::{Descriptor, Index, MediaType, Raw};
    /// # let index = Raw::<Index>::parse(&assemble_index(&[], &IndexOptions::default()))?;
    /// assert_eq!(IndexEdit::new(&index).finish()?, index);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn new(index: &Raw<Index>) -> Self {
        Self {
            object: index.object().clone(),
            media_type: index.media_type().clone(),
            manifests: index.manifests.clone(),
        }
    }

    /// Replaces the entries.
    ///
    /// An entry that was there before, with the same descriptor, keeps its bytes.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::assemble::{IndexOptions, assemble_index};
    /// # use imgcore::edit::IndexEdit;
    /// # use imgcore::{Descriptor, Index, MediaType, Raw};
    /// # let index = Raw::<Index>::parse(&assemble_index(&[], &IndexOptions::default()))?;
    /// let entry = Descriptor::of(MediaType::OCI_MANIFEST, b"manifest");
    /// let mut edit = IndexEdit::new(&index);
    /// edit.set_manifests(&[entry.clone()]);
    /// assert_eq!(edit.finish()?.manifests, [entry]);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set_manifests(&mut self, manifests: &[Descriptor]) {
        let entries = replaced(&self.object, "manifests", &self.manifests, manifests);
        self.object.set("manifests", entries);
        self.manifests = manifests.to_vec();
    }

    /// Points the entry at `position` (from 0) to another document; its platform, its annotations and members that this
    /// crate does not know stay.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::assemble::{IndexOptions, assemble_index};
    /// # use imgcore::edit::IndexEdit;
    /// # use imgcore::{Descriptor, Index, MediaType, Raw};
    /// # let index = Raw::<Index>::parse(&assemble_index(&[], &IndexOptions::default()))?;
    /// let target = Descriptor::of(MediaType::OCI_MANIFEST, b"manifest");
    /// let error = IndexEdit::new(&index).retarget(0, &target).unwrap_err();
    /// assert_eq!(error.to_string(), "index has 0 entries and no entry 0");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when there is no such entry.
    pub fn retarget(&mut self, position: usize, target: &Descriptor) -> Result<(), Error> {
        let mut entries = self
            .object
            .get("manifests")
            .and_then(Value::as_array)
            .unwrap_or_default();
        let count = entries.len();
        let (Some(entry), Some(descriptor)) =
            (entries.get_mut(position), self.manifests.get_mut(position))
        else {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                format!("index has {count} entries and no entry {position}"),
            ));
        };
        if let Some(mut object) = entry.as_object() {
            retarget_json(&mut object, target);
            *entry = object.into();
        }
        *descriptor = retarget(descriptor, target);
        self.object.set("manifests", entries);
        Ok(())
    }

    /// Ends the edit.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] or [`ErrorKind::TooLarge`] when the result is no index that would be read again.
    pub fn finish(mut self) -> Result<Raw<Index>, Error> {
        add_missing(&mut self.object, &self.media_type);
        Raw::parse(&self.object.to_bytes())
    }
}

/// Points a descriptor, given as JSON, to other content: `mediaType`, `digest` and `size` are replaced, content inside it
/// goes, everything else stays.
///
/// # Examples
///
/// ```
/// use imgcore::json::Object;
/// use imgcore::{Descriptor, MediaType, edit};
///
/// let mut descriptor = Object::new();
/// descriptor.set("x", true);
/// edit::retarget_json(&mut descriptor, &Descriptor::of(MediaType::OCI_MANIFEST, b"{}"));
/// assert!(descriptor.to_compact().starts_with(br#"{"x":true,"mediaType":"application/vnd.oci.image."#));
/// ```
pub fn retarget_json(descriptor: &mut Object, target: &Descriptor) {
    descriptor.set("mediaType", target.media_type.as_str());
    descriptor.set("digest", target.digest.to_string());
    descriptor.set("size", target.size);
    descriptor.remove("data");
}

fn retarget(descriptor: &Descriptor, target: &Descriptor) -> Descriptor {
    Descriptor {
        media_type: target.media_type.clone(),
        digest: target.digest,
        size: target.size,
        data: None,
        ..descriptor.clone()
    }
}

/// Returns the list `new` of descriptors, where those that are in `old` too keep the text that they have in `object`.
fn replaced(object: &Object, name: &str, old: &[Descriptor], new: &[Descriptor]) -> Value {
    let texts = object
        .get(name)
        .and_then(Value::as_array)
        .unwrap_or_default();
    new.iter()
        .map(|descriptor| {
            let position = old.iter().position(|old| old == descriptor);
            position
                .and_then(|position| texts.get(position).cloned())
                .unwrap_or_else(|| descriptor.into())
        })
        .collect()
}

/// What we write says what it is, also where the source did not.
fn add_missing(object: &mut Object, media_type: &MediaType) {
    let is_silent = |value: Option<&Value>| {
        value.is_none_or(|value| {
            value.is_null() || value.as_str().is_some_and(|text| text.is_empty())
        })
    };
    if is_silent(object.get("schemaVersion")) {
        object.set("schemaVersion", 2_u64);
    }
    if is_silent(object.get("mediaType")) {
        object.set("mediaType", media_type.as_str());
    }
}

#[cfg(test)]
mod tests;
