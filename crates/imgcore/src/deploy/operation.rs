//! One operation of a deploy manifest.

use std::fmt;
use std::str::FromStr;

use super::Request;
use super::settings::named;
use crate::json::{Fields, Object, Strictness, Value};
use crate::{Error, ErrorKind, LayerMetadata};

/// What is to be done with one image.
///
/// Descriptors of a deploy manifest have the members of layer metadata, of which writers fill three.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Operation {
    /// What to do.
    pub command: Command,
    /// What the root is.
    pub root_kind: RootKind,
    /// The manifest or index that is deployed.
    pub root: LayerMetadata,
    /// The manifest, or those of the index in its order; none for a tag.
    pub manifests: Vec<ImageManifest>,
    /// Where the registry may mount blobs from.
    pub cross_mount_hint: Option<CrossMountHint>,
    /// Whether and how blobs are uploaded once for all repositories; empty for not.
    pub deduplicated_push: String,
    /// The repository that de-duplicated blobs are uploaded to; empty for the first destination.
    pub deduplicated_push_blob_repository: String,
    /// What a de-duplicated push uploads.
    pub deduplicated_push_content: String,
    /// Where the base image was pulled from.
    pub original: Original,
    /// The destination's registry. A load may have none.
    pub registry: String,
    /// The destination's repository. A load may have none.
    pub repository: String,
    /// The tags; for a load without registry, whole names.
    pub tags: Vec<String>,
    /// How the image is signed.
    pub sign: Option<Sign>,
    /// Whether the root refers to an image of an earlier operation.
    pub referrer: bool,
    /// What a load talks to; empty for the default.
    pub daemon: String,
}

/// What to do with an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Command {
    /// Give it to a container engine.
    Load,
    /// Upload it to a registry.
    Push,
    /// Give it a tag in a registry that has it.
    RegistryTag,
}

/// What kind of document an operation deploys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two kinds of documents")]
pub enum RootKind {
    /// An index of manifests.
    Index,
    /// One manifest.
    Manifest,
}

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
    Command,
    "command",
    Load = "load",
    Push = "push",
    RegistryTag = "registry_tag"
);
named!(
    RootKind,
    "kind of root",
    Index = "index",
    Manifest = "manifest"
);
named!(
    SignTarget,
    "target of signatures",
    All = "all",
    ChildManifests = "child_manifests",
    Referrers = "referrers",
    Roots = "roots"
);

impl Command {
    pub(super) fn by_name(name: &str) -> Option<Self> {
        name.parse().ok()
    }
}

impl Operation {
    /// Makes an operation without anything optional.
    pub fn new(command: Command, root_kind: RootKind, root: LayerMetadata) -> Self {
        Self {
            command,
            root_kind,
            root,
            manifests: Vec::new(),
            cross_mount_hint: None,
            deduplicated_push: String::new(),
            deduplicated_push_blob_repository: String::new(),
            deduplicated_push_content: String::new(),
            original: Original::default(),
            registry: String::new(),
            repository: String::new(),
            tags: Vec::new(),
            sign: None,
            referrer: false,
            daemon: String::new(),
        }
    }

    pub(super) fn of(command: Command, mut fields: Fields) -> Result<Self, Error> {
        let text = |fields: &mut Fields, name: &str| {
            fields.optional_string(name).map(Option::unwrap_or_default)
        };
        fields.required("command")?;
        let operation = Self {
            command,
            root_kind: fields.parsed("root_kind")?,
            root: descriptor_member(&mut fields, "root")?,
            manifests: fields.list("manifests", ImageManifest::of)?,
            cross_mount_hint: match fields.optional("cross_mount_hint") {
                Some(value) => {
                    let place = fields.place_of("cross_mount_hint");
                    Some(CrossMountHint::of(&value, place)?)
                }
                None => None,
            },
            deduplicated_push: text(&mut fields, "deduplicated_push")?,
            deduplicated_push_blob_repository: text(
                &mut fields,
                "deduplicated_push_blob_repository",
            )?,
            deduplicated_push_content: text(&mut fields, "deduplicated_push_content")?,
            original: Original {
                registries: fields.strings("original_registries")?,
                repository: text(&mut fields, "original_repository")?,
                tag: text(&mut fields, "original_tag")?,
                digest: text(&mut fields, "original_digest")?,
            },
            registry: text(&mut fields, "registry")?,
            repository: text(&mut fields, "repository")?,
            tags: fields.strings("tags")?,
            sign: match fields.optional("sign") {
                Some(value) => Some(Sign::of(&value, fields.place_of("sign"))?),
                None => None,
            },
            referrer: fields.flag("referrer")?,
            daemon: text(&mut fields, "daemon")?,
        };
        operation.check(&fields)?;
        fields.finish(Strictness::Strict)?;
        Ok(operation)
    }

    /// Checks what the command needs.
    fn check(&self, fields: &Fields) -> Result<(), Error> {
        if self.command != Command::Load {
            for (name, text) in [
                ("registry", &self.registry),
                ("repository", &self.repository),
            ] {
                if text.is_empty() {
                    return Err(fields.error(name, "is missing"));
                }
            }
        }
        Ok(())
    }

    /// Writes the operation as it stands in a deploy manifest: members in their fixed order.
    pub fn to_json(&self) -> Object {
        let mut object = Object::new();
        object.set("command", self.command.as_str());
        object.set("root_kind", self.root_kind.as_str());
        object.set("root", self.root.to_json());
        let manifests = match self.command {
            Command::RegistryTag => Value::null(),
            _ => self.manifests.iter().map(ImageManifest::to_json).collect(),
        };
        object.set("manifests", manifests);
        if let Some(hint) = &self.cross_mount_hint {
            object.set("cross_mount_hint", hint.to_json());
        }
        let needs_destination = self.command != Command::Load;
        let original = &self.original;
        set_text(&mut object, "deduplicated_push", &self.deduplicated_push);
        set_text(
            &mut object,
            "deduplicated_push_blob_repository",
            &self.deduplicated_push_blob_repository,
        );
        set_text(
            &mut object,
            "deduplicated_push_content",
            &self.deduplicated_push_content,
        );
        set_list(&mut object, "original_registries", &original.registries);
        set_text(&mut object, "original_repository", &original.repository);
        set_text(&mut object, "original_tag", &original.tag);
        set_text(&mut object, "original_digest", &original.digest);
        for (name, text) in [
            ("registry", &self.registry),
            ("repository", &self.repository),
        ] {
            if needs_destination || !text.is_empty() {
                object.set(name, text);
            }
        }
        set_list(&mut object, "tags", &self.tags);
        if let Some(sign) = &self.sign {
            object.set("sign", sign.to_json());
        }
        if self.referrer {
            object.set("referrer", true);
        }
        set_text(&mut object, "daemon", &self.daemon);
        object
    }

    /// Puts the operation into the form that stands in a [`DeployManifest`](super::DeployManifest).
    pub fn to_request(&self) -> Request {
        Request {
            command: self.command.as_str().to_owned(),
            object: self.to_json(),
            place: "operation".to_owned(),
        }
    }
}

impl ImageManifest {
    /// Makes a manifest without layers.
    pub fn new(descriptor: LayerMetadata, config: LayerMetadata) -> Self {
        Self {
            descriptor,
            config,
            layer_blobs: Vec::new(),
        }
    }

    fn of(value: &Value, place: String) -> Result<Self, Error> {
        let mut fields = Fields::of(value, place)?;
        let manifest = Self {
            descriptor: descriptor_member(&mut fields, "descriptor")?,
            config: descriptor_member(&mut fields, "config")?,
            layer_blobs: fields.list("layer_blobs", LayerBlob::of)?,
        };
        fields.finish(Strictness::Strict)?;
        Ok(manifest)
    }

    fn to_json(&self) -> Value {
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

    fn of(value: &Value, place: String) -> Result<Self, Error> {
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

    fn to_json(&self) -> Value {
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

    fn to_json(&self) -> Value {
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

    fn of(value: &Value, place: String) -> Result<Self, Error> {
        let mut fields = Fields::of(value, place)?;
        let registry = fields.optional_string("registry")?;
        let hint = Self::new(
            registry.filter(|text| !text.is_empty()),
            fields.string("repository")?,
        );
        fields.finish(Strictness::Strict)?;
        Ok(hint)
    }

    fn to_json(&self) -> Object {
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
    pub fn covers_referrers(&self) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|target| matches!(target, SignTarget::All | SignTarget::Referrers))
    }

    fn of(value: &Value, place: String) -> Result<Self, Error> {
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

    fn to_json(&self) -> Object {
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
pub(super) fn descriptor(
    value: &Value,
    place: String,
    strictness: Strictness,
) -> Result<LayerMetadata, Error> {
    let mut fields = Fields::of(value, place)?;
    let descriptor = LayerMetadata::of_fields(&mut fields, strictness)?;
    fields.finish(strictness)?;
    Ok(descriptor)
}

fn descriptor_member(fields: &mut Fields, name: &str) -> Result<LayerMetadata, Error> {
    let value = fields.required(name)?;
    descriptor(&value, fields.place_of(name), Strictness::Strict)
}

fn set_text(object: &mut Object, name: &str, text: &str) {
    if !text.is_empty() {
        object.set(name, text);
    }
}

fn set_list(object: &mut Object, name: &str, texts: &[String]) {
    if !texts.is_empty() {
        object.set(name, texts.to_vec());
    }
}
