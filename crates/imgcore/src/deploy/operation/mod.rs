//! One operation of a deploy manifest.

mod parts;

use std::fmt;
use std::str::FromStr;

pub use parts::{CrossMountHint, ImageManifest, LayerBlob, Original, Sign, SignTarget, Source};

pub(super) use parts::descriptor;
use parts::descriptor_member;

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
