//! Edits of manifests.

use super::{add_missing, replaced, retarget, retarget_json};
use crate::json::{Object, Value};
use crate::media_type::{Compression, Family};
use crate::{Config, Descriptor, Error, Manifest, MediaType, Raw};

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
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) or [`ErrorKind::TooLarge`](crate::ErrorKind::TooLarge)
    /// when the result is no manifest that would be read again.
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
