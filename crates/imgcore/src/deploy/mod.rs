//! Deploy manifests: what is to be pushed and loaded, written by a build and read where it is done.
//!
//! A [`DeployManifest`] is a list of operations and the settings that they share. The document keeps each operation
//! as it was written ([`Request`]), because a merge must not lose operations that only another program knows; one is
//! decoded when it is used. An [`Operation`] names documents and blobs by descriptor only: where their bytes come
//! from is decided by who carries it out.
//!
//! # Examples
//!
//! ```
//! use imgcore::deploy::{Command, DeployManifest, Operation, PushStrategy, RootKind};
//! use imgcore::json::Strictness;
//! use imgcore::{Digest, LayerMetadata, MediaType};
//!
//! let root = LayerMetadata::new(None, MediaType::OCI_MANIFEST, Digest::sha256_of(b"{}"), 2);
//! let mut push = Operation::new(Command::Push, RootKind::Manifest, root);
//! push.registry = "r.example".to_owned();
//! push.repository = "team/app".to_owned();
//! push.tags.push("v7".to_owned());
//!
//! let mut manifest = DeployManifest::default();
//! manifest.operations.push(push.to_request());
//! manifest.settings.push_strategy = Some(PushStrategy::Lazy);
//! let bytes = manifest.to_json_bytes();
//!
//! let read = DeployManifest::parse(&bytes, Strictness::Strict)?;
//! assert_eq!(read.operations[0].decode()?, Some(push));
//! # Ok::<(), imgcore::Error>(())
//! ```

mod merge;
mod operation;
mod settings;
#[cfg(test)]
mod tests;

pub use merge::{MergeOptions, merge};
pub use operation::{
    Command, CrossMountHint, ImageManifest, LayerBlob, Operation, Original, RootKind, Sign,
    SignTarget, Source,
};
pub use settings::{LoadStrategy, PushStrategy, Settings};

use crate::json::{Fields, Limits, Object, Strictness, Value};
use crate::{Error, ErrorKind};

/// Operations on images, and the settings that they share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeployManifest {
    /// What is to be done, in this order. A place in the list is an address: other files name operations by it.
    pub operations: Vec<Request>,
    /// What holds for all operations.
    pub settings: Settings,
}

/// One operation as it stands in the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    command: String,
    object: Object,
    place: String,
}

impl DeployManifest {
    /// Reads a deploy manifest.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::deploy::DeployManifest;
    /// use imgcore::json::Strictness;
    ///
    /// let text = br#"{"operations": [{"command": "push", "tag": "v7"}], "settings": {}}"#;
    /// let manifest = DeployManifest::parse(text, Strictness::Lenient)?;
    /// assert_eq!(manifest.operations[0].command(), "push");
    /// assert!(manifest.operations[0].decode().is_err(), "a push has `tags`");
    /// assert!(DeployManifest::parse(text, Strictness::Strict).is_err());
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] or [`ErrorKind::TooLarge`] when this is no JSON that this crate takes, when an
    /// operation has no `command`, when a setting has the wrong kind, and, if strict, when there is an unknown member
    /// anywhere or an operation of a known command that [`Request::decode`] refuses.
    pub fn parse(bytes: &[u8], strictness: Strictness) -> Result<Self, Error> {
        let value = Value::parse(bytes, &Limits::default())?;
        let mut fields = Fields::of(&value, "deploy manifest")?;
        let manifest = Self {
            operations: fields.list("operations", Request::of)?,
            settings: match fields.optional("settings") {
                Some(value) => Settings::of(&value, fields.place_of("settings"), strictness)?,
                None => Settings::default(),
            },
        };
        fields.finish(strictness)?;
        if strictness == Strictness::Strict {
            for request in &manifest.operations {
                request.decode()?;
            }
        }
        Ok(manifest)
    }

    /// Writes the document on one line, members in their fixed order, without a newline at the end.
    ///
    /// No operations at all are written as `null`, as the peer does.
    pub fn to_json_bytes(&self) -> Vec<u8> {
        let operations = if self.operations.is_empty() {
            Value::null()
        } else {
            let values = self
                .operations
                .iter()
                .map(|request| Value::from(request.object.clone()));
            values.collect()
        };
        let mut object = Object::new();
        object.set("operations", operations);
        object.set("settings", self.settings.to_json());
        object.to_compact()
    }
}

impl Request {
    /// Returns the command as it is written, be it known or not.
    pub fn command(&self) -> &str {
        &self.command
    }

    /// Decodes the operation, which must not have members that this crate does not know. `None`: its command is one
    /// of another program.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] when a member is missing, unknown or of the wrong kind; the text says where.
    pub fn decode(&self) -> Result<Option<Operation>, Error> {
        let Some(command) = Command::by_name(&self.command) else {
            return Ok(None);
        };
        let fields = Fields::of_object(self.object.clone(), self.place.as_str());
        Operation::of(command, fields).map(Some)
    }

    fn of(value: &Value, place: String) -> Result<Self, Error> {
        let mut fields = Fields::of(value, place)?;
        let command = fields.string("command")?;
        let place = fields.place().to_owned();
        let object = value
            .as_object()
            .ok_or_else(|| Error::new(ErrorKind::Malformed, format!("{place} is no object")))?;
        Ok(Self {
            command,
            object,
            place,
        })
    }
}
