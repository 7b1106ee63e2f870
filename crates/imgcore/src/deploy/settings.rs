//! The settings that the operations of a deploy manifest share.

use std::fmt;
use std::str::FromStr;

use crate::json::{Fields, Object, Strictness, Value};
use crate::{Error, ErrorKind, LayerMetadata};

/// What holds for all operations of a deploy manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// Where a push takes layers from.
    pub push_strategy: Option<PushStrategy>,
    /// Where a load takes layers from.
    pub load_strategy: Option<LoadStrategy>,
    /// The sign setting of operations that bring none of their own.
    pub default_sign_setting: Option<LayerMetadata>,
    /// The repository that blobs are staged in; empty for none.
    pub blob_repository: String,
    /// Whether layers must be in the registry already.
    pub forbid_layer_push: bool,
}

/// Where a push takes layers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushStrategy {
    /// The build event service pushes; the client does nothing.
    Bes,
    /// The registry reads the remote cache itself.
    CasRegistry,
    /// Layers are files on this machine.
    Eager,
    /// Layers are streamed from the remote cache.
    Lazy,
}

/// Where a load takes layers from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LoadStrategy {
    /// Layers are files on this machine.
    Eager,
    /// Layers are streamed from the remote cache.
    Lazy,
}

impl Settings {
    pub(super) fn of(value: &Value, place: String, strictness: Strictness) -> Result<Self, Error> {
        let mut fields = Fields::of(value, place)?;
        let settings = Self {
            push_strategy: strategy(&mut fields, "push_strategy")?,
            load_strategy: strategy(&mut fields, "load_strategy")?,
            default_sign_setting: match fields.optional("default_sign_setting") {
                Some(value) => {
                    let place = fields.place_of("default_sign_setting");
                    Some(super::operation::descriptor(&value, place, strictness)?)
                }
                None => None,
            },
            blob_repository: fields
                .optional_string("blob_repository")?
                .unwrap_or_default(),
            forbid_layer_push: fields.flag("forbid_layer_push")?,
        };
        fields.finish(strictness)?;
        Ok(settings)
    }

    /// Writes the settings: members in their fixed order; absent, empty and false ones are left out.
    pub fn to_json(&self) -> Object {
        let mut object = Object::new();
        if let Some(strategy) = self.push_strategy {
            object.set("push_strategy", strategy.as_str());
        }
        if let Some(strategy) = self.load_strategy {
            object.set("load_strategy", strategy.as_str());
        }
        if let Some(setting) = &self.default_sign_setting {
            object.set("default_sign_setting", setting.to_json());
        }
        if !self.blob_repository.is_empty() {
            object.set("blob_repository", &self.blob_repository);
        }
        if self.forbid_layer_push {
            object.set("forbid_layer_push", true);
        }
        object
    }
}

/// Reads a strategy; an empty one counts as absent.
fn strategy<T>(fields: &mut Fields, name: &str) -> Result<Option<T>, Error>
where
    T: FromStr<Err = Error>,
{
    match fields
        .optional_string(name)?
        .filter(|text| !text.is_empty())
    {
        Some(_) => fields.parsed(name).map(Some),
        None => Ok(None),
    }
}

macro_rules! named {
    ($type:ident, $what:literal, $($variant:ident = $name:literal),+) => {
        impl $type {
            /// Returns the name in documents and on the command line.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $name),+
                }
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self, Error> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => {
                        let known = [$($name),+].join(", ");
                        let message = format!(concat!("{:?} is no ", $what, "; known are {}"), text, known);
                        Err(Error::new(ErrorKind::InvalidInput, message))
                    }
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(super) use named;

named!(
    PushStrategy,
    "push strategy",
    Bes = "bes",
    CasRegistry = "cas_registry",
    Eager = "eager",
    Lazy = "lazy"
);
named!(
    LoadStrategy,
    "load strategy",
    Eager = "eager",
    Lazy = "lazy"
);
