//! What came of a load.

use std::collections::BTreeMap;
use std::fmt;

use imgcore::Digest;
use imgcore::json::{Object, Value};

use crate::Change;

/// What came of a load: the names that the image has now, and what it took. As a text it is a list for people, and
/// [`to_json`](Self::to_json) gives one for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The engine, as it calls itself.
    pub engine: String,
    /// The names, in the order of the image.
    pub names: Vec<Named>,
    /// Blobs that were there, documents included.
    pub present: Amount,
    /// Blobs that were sent, documents included.
    pub sent: Amount,
    /// The bytes of blobs that travelled: fewer than [`sent`](Self::sent) has where a load that broke off was gone on with,
    /// more where something was sent twice.
    pub bytes_written: u64,
    /// Blobs that got labels which they lacked.
    pub repaired: u64,
    /// Images of the index whose layers stay behind.
    pub left_out: u64,
    /// The requests that went out, by their method.
    pub requests: BTreeMap<String, u64>,
}

/// A name that stands for the image.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Named {
    /// The name, as the engine writes it.
    pub name: String,
    /// The digest that it stands for.
    pub digest: Digest,
    /// What became of the name.
    pub change: Change,
}

/// Some blobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Amount {
    /// How many.
    pub blobs: u64,
    /// Their size in bytes, all together.
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, size: u64) {
        self.blobs += 1;
        self.bytes += size;
    }
}

impl Change {
    /// Returns the word for it: `created`, `moved` or `unchanged`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Moved => "moved",
            Self::Unchanged => "unchanged",
        }
    }
}

impl Report {
    /// Returns whether the engine was not changed at all.
    pub fn is_unchanged(&self) -> bool {
        let is_named = self.names.iter().all(|it| it.change == Change::Unchanged);
        is_named && self.sent.blobs == 0 && self.repaired == 0
    }

    /// Writes the report as JSON. Members are added in later versions, never changed.
    pub fn to_json(&self) -> Vec<u8> {
        let amount = |amount: &Amount| {
            let mut object = Object::new();
            object.set("blobs", amount.blobs);
            object.set("bytes", amount.bytes);
            object
        };
        let names = self.names.iter().map(|it| {
            let mut object = Object::new();
            object.set("name", it.name.as_str());
            object.set("digest", it.digest.to_string());
            object.set("change", it.change.as_str());
            Value::from(object)
        });
        let mut requests = Object::new();
        for (method, count) in &self.requests {
            requests.set(method, *count);
        }
        let mut object = Object::new();
        object.set("engine", self.engine.as_str());
        object.set("names", names.collect::<Vec<_>>());
        object.set("present", amount(&self.present));
        object.set("sent", amount(&self.sent));
        object.set("bytes_written", self.bytes_written);
        object.set("repaired", self.repaired);
        object.set("left_out", self.left_out);
        object.set("requests", requests);
        object.to_compact()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "engine: {}", self.engine)?;
        for it in &self.names {
            writeln!(f, "{}: {} ({})", it.change.as_str(), it.name, it.digest)?;
        }
        let Amount { blobs, bytes } = self.sent;
        let written = self.bytes_written;
        writeln!(
            f,
            "sent: {blobs} blobs, {bytes} bytes, {written} of them written"
        )?;
        let Amount { blobs, bytes } = self.present;
        writeln!(f, "there before: {blobs} blobs, {bytes} bytes")?;
        if self.repaired > 0 {
            writeln!(f, "repaired: {} blobs", self.repaired)?;
        }
        if self.left_out > 0 {
            writeln!(f, "left out: {} images of other platforms", self.left_out)?;
        }
        let requests = self.requests.iter();
        let requests: Vec<_> = requests
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        write!(f, "requests: {}", requests.join(", "))
    }
}
