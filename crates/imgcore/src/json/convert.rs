//! Values of what a program has: texts, numbers, lists and maps.

use std::collections::BTreeMap;

use super::{Object, Value, write};

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        let mut out = String::with_capacity(text.len() + 2);
        write::string(text, &mut out);
        Self::from_text(out)
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::from_text(value.to_string())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::from_text(value.to_string())
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Self {
        Self::from_text(value.to_string())
    }
}

/// `None` is `null`.
impl<V: Into<Self>> From<Option<V>> for Value {
    fn from(value: Option<V>) -> Self {
        value.map_or_else(|| Self::from_text("null".to_owned()), Into::into)
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self::from_text(object.to_text())
    }
}

impl<V: Into<Self>> From<Vec<V>> for Value {
    fn from(elements: Vec<V>) -> Self {
        elements.into_iter().map(Into::into).collect()
    }
}

impl From<&BTreeMap<String, String>> for Value {
    fn from(map: &BTreeMap<String, String>) -> Self {
        map.iter()
            .map(|(key, value)| (key.as_str(), Self::from(value)))
            .collect::<Object>()
            .into()
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(elements: I) -> Self {
        let mut out = String::from("[");
        for (index, element) in elements.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(element.text());
        }
        out.push(']');
        Self::from_text(out)
    }
}
