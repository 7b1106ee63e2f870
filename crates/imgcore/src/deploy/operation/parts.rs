//! The parts of an operation: manifests, layers, and what is said about them.

use std::fmt;
use std::str::FromStr;

use crate::deploy::settings::named;
use crate::json::{Fields, Object, Strictness, Value};
use crate::{Error, ErrorKind, LayerMetadata};

/// One manifest of an operation, with the blobs that it needs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageManifest {
    /// The manifest.
    pub descriptor: LayerMetadata,
    /// Its config.
    pub config: LayerMetadata,
    /// Its layers, lowest first.
    pub layer_blobs: Vec<LayerBlob>,
}

/// One layer, and where it can be had from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerBlob {
    /// The layer.
    pub layer: LayerMetadata,
    /// Repositories that have it.
    pub sources: Vec<Source>,
    /// The file that it can be rebuilt from.
    pub compact_stream: Option<LayerMetadata>,
}

/// A repository that has a blob.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Source {
    /// The registry.
    pub registry: String,
    /// The repository in it.
    pub repository: String,
}

/// A repository that blobs may be mounted from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CrossMountHint {
    /// The registry; `None` for that of the destination.
    pub registry: Option<String>,
    /// The repository.
    pub repository: String,
}

/// Where a base image was pulled from. All members may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Original {
    /// The registries that have it, best first.
    pub registries: Vec<String>,
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The digest.
    pub digest: String,
}

/// How an image is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sign {
    /// The setting file; `None` for the default of the deploy manifest.
    pub setting: Option<LayerMetadata>,
    /// Whether a failure is only reported.
    pub best_effort: bool,
    /// What is signed; empty for the roots.
    pub targets: Vec<SignTarget>,
}

/// What a signature is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignTarget {
    /// Everything.
    All,
    /// Each manifest of an index.
    ChildManifests,
    /// Documents that refer to the image.
    Referrers,
    /// The root of each operation.
    Roots,
}

named!(
    SignTarget,
    "target of signatures",
    All = "all",
    ChildManifests = "child_manifests",
    Referrers = "referrers",
    Roots = "roots"
);

impl ImageManifest {
    /// Makes a manifest without layers.
    pub fn new(descriptor: LayerMetadata, config: LayerMetadata) -> Self {
        Self {
            descriptor,
            config,
            layer_blobs: Vec::new(),
        }
    }

    pub(super) fn of(value: &Value, place: String) -> Result<Self, Error> {
        let mut fields = Fields::of(value, place)?;
        let manifest = Self {
            descriptor: descriptor_member(&mut fields, "descriptor")?,
            config: descriptor_member(&mut fields, "config")?,
            layer_blobs: fields.list("layer_blobs", LayerBlob::of)?,
        };
        fields.finish(Strictness::Strict)?;
        Ok(manifest)
    }

    pub(super) fn to_json(&self) -> Value {
        let layers: Value = self.layer_blobs.iter().map(LayerBlob::to_json).collect();
        let mut object = Object::new();
        object.set("descriptor", self.descriptor.to_json());
        object.set("config", self.config.to_json());
        object.set("layer_blobs", layers);
        object.into()
    }
}

impl LayerBlob {
    /// Makes a layer that nobody is known to have.
    pub fn new(layer: LayerMetadata) -> Self {
        Self {
            layer,
            sources: Vec::new(),
            compact_stream: None,
        }
    }

    pub(super) fn of(value: &Value, place: String) -> Result<Self, Error> {
        let mut fields = Fields::of(value, place)?;
        let blob = Self {
            layer: LayerMetadata::of_fields(&mut fields, Strictness::Strict)?,
            sources: fields.list("sources", Source::at)?,
            compact_stream: match fields.optional("compact_stream") {
                Some(_) => Some(descriptor_member(&mut fields, "compact_stream")?),
                None => None,
            },
        };
        fields.finish(Strictness::Strict)?;
        Ok(blob)
    }

    pub(super) fn to_json(&self) -> Value {
        let mut object = self.layer.to_json();
        if !self.sources.is_empty() {
            object.set(
                "sources",
                self.sources.iter().map(Source::to_json).collect::<Value>(),
            );
        }
        if let Some(stream) = &self.compact_stream {
            object.set("compact_stream", stream.to_json());
        }
        object.into()
    }
}

impl Source {
    /// Names a repository.
    pub fn new(registry: impl Into<String>, repository: impl Into<String>) -> Self {
        Self {
            registry: registry.into(),
            repository: repository.into(),
        }
    }

    fn at(value: &Value, place: String) -> Result<Self, Error> {
        let mut fields = Fields::of(value, place)?;
        let source = Self::new(fields.string("registry")?, fields.string("repository")?);
        fields.finish(Strictness::Strict)?;
        Ok(source)
    }

    pub(super) fn to_json(&self) -> Value {
        let members = [
            ("registry", &self.registry),
            ("repository", &self.repository),
        ];
        members.into_iter().collect::<Object>().into()
    }
}

impl CrossMountHint {
    /// Names a repository, in another registry or in that of the destination.
    pub fn new(registry: Option<String>, repository: impl Into<String>) -> Self {
        Self {
            registry,
            repository: repository.into(),
        }
    }

    pub(super) fn of(value: &Value, place: String) -> Result<Self, Error> {
        let mut fields = Fields::of(value, place)?;
        let registry = fields.optional_string("registry")?;
        let hint = Self::new(
            registry.filter(|text| !text.is_empty()),
            fields.string("repository")?,
        );
        fields.finish(Strictness::Strict)?;
        Ok(hint)
    }

    pub(super) fn to_json(&self) -> Object {
        let mut object = Object::new();
        if let Some(registry) = &self.registry {
            object.set("registry", registry);
        }
        object.set("repository", &self.repository);
        object
    }
}

impl Sign {
    /// Returns whether documents that refer to the image are signed.
    ///
    /// ```
    /// use imgcore::deploy::{Sign, SignTarget};
    ///
    /// let mut sign = Sign::default();
    /// assert!(!sign.covers_referrers());
    /// sign.targets.push(SignTarget::All);
    /// assert!(sign.covers_referrers());
    /// ```
    pub fn covers_referrers(&self) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|target| matches!(target, SignTarget::All | SignTarget::Referrers))
    }

    pub(super) fn of(value: &Value, place: String) -> Result<Self, Error> {
        let mut fields = Fields::of(value, place)?;
        let sign = Self {
            setting: match fields.optional("setting") {
                Some(_) => Some(descriptor_member(&mut fields, "setting")?),
                None => None,
            },
            best_effort: fields.flag("best_effort")?,
            targets: fields.parsed_list("targets")?,
        };
        fields.finish(Strictness::Strict)?;
        Ok(sign)
    }

    pub(super) fn to_json(&self) -> Object {
        let mut object = Object::new();
        if let Some(setting) = &self.setting {
            object.set("setting", setting.to_json());
        }
        if self.best_effort {
            object.set("best_effort", true);
        }
        if !self.targets.is_empty() {
            let targets = self
                .targets
                .iter()
                .map(|target| Value::from(target.as_str()));
            object.set("targets", targets.collect::<Value>());
        }
        object
    }
}

/// Reads a descriptor that stands at `place`.
pub(in crate::deploy) fn descriptor(
    value: &Value,
    place: String,
    strictness: Strictness,
) -> Result<LayerMetadata, Error> {
    let mut fields = Fields::of(value, place)?;
    let descriptor = LayerMetadata::of_fields(&mut fields, strictness)?;
    fields.finish(strictness)?;
    Ok(descriptor)
}

/// Reads a descriptor that must be there.
pub(super) fn descriptor_member(fields: &mut Fields, name: &str) -> Result<LayerMetadata, Error> {
    let value = fields.required(name)?;
    descriptor(&value, fields.place_of(name), Strictness::Strict)
}
