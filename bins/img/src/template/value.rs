//! The values that templates compute with.

use std::collections::BTreeMap;
use std::rc::Rc;

use imgcore::json;

/// How many bytes a text may have that a template makes.
pub(super) const MAX_TEXT: usize = 1 << 20;

/// A value, as Go sees one that came from JSON or from a template's own words.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// True or false.
    Bool(bool),
    /// A number from JSON, or a constant with a point or an exponent.
    Float(f64),
    /// A constant without a point, an index or a length.
    Int(i64),
    /// Values in order.
    List(List),
    /// Values by name.
    Map(Rc<BTreeMap<String, Self>>),
    /// What a key stands for that is not there. Its fields are missing too.
    Missing,
    /// JSON's `null`, where it was found. Unlike [`Value::Missing`] it has no fields.
    Null,
    /// Text.
    Text(Rc<str>),
}

/// Values in order.
#[derive(Clone, Debug)]
pub(crate) struct List {
    /// The values.
    pub(crate) items: Rc<[Value]>,
    /// What Go takes the items for: the two kinds print differently and only one can be joined.
    pub(crate) element: Element,
}

/// The static type of a list's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Element {
    /// Anything: a list from JSON.
    Any,
    /// Text only: a list that a function made.
    Text,
}

impl Value {
    /// Makes text.
    pub(crate) fn text(text: impl AsRef<str>) -> Self {
        Self::Text(text.as_ref().into())
    }

    /// Makes a list of texts, as `split` does.
    pub(crate) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(List {
            items: texts.into_iter().map(Self::text).collect(),
            element: Element::Text,
        })
    }

    /// Whether a condition takes the value for true: everything but the empty value of each kind.
    pub(crate) fn is_true(&self) -> bool {
        match self {
            Self::Bool(value) => *value,
            Self::Float(value) => *value != 0.0,
            Self::Int(value) => *value != 0,
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.is_empty(),
            Self::Missing | Self::Null => false,
            Self::Text(text) => !text.is_empty(),
        }
    }

    /// Whether this is no value.
    pub(crate) fn is_nothing(&self) -> bool {
        matches!(self, Self::Missing | Self::Null)
    }

    /// What a pipeline makes of its last value: a null loses the place where it was found.
    pub(super) fn settled(self) -> Self {
        match self {
            Self::Null => Self::Missing,
            other => other,
        }
    }

    /// Go's name of the value's type.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Bool(_) => "bool",
            Self::Float(_) => "float64",
            Self::Int(_) => "int",
            Self::List(list) => match list.element {
                Element::Any => "[]interface {}",
                Element::Text => "[]string",
            },
            Self::Map(_) => "map[string]interface {}",
            Self::Missing | Self::Null => "<nil>",
            Self::Text(_) => "string",
        }
    }
}

impl From<&json::Value> for Value {
    fn from(value: &json::Value) -> Self {
        match value.kind() {
            json::Kind::Array => Self::List(List {
                items: value
                    .elements()
                    .into_iter()
                    .flatten()
                    .map(|element| Self::from(&element))
                    .collect(),
                element: Element::Any,
            }),
            json::Kind::Bool => Self::Bool(value.as_bool() == Some(true)),
            json::Kind::Number => value.as_f64().map_or(Self::Null, Self::Float),
            json::Kind::Object => {
                let object = value.as_object().unwrap_or_default();
                let members = object.iter();
                Self::Map(Rc::new(
                    members
                        .map(|(key, value)| (key.to_owned(), Self::from(value)))
                        .collect(),
                ))
            }
            json::Kind::String => Self::text(value.as_str().unwrap_or_default()),
            json::Kind::Null => Self::Null,
        }
    }
}
