//! Objects: members in their order, with the bytes that they had.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use super::{Value, scan, write};

/// A JSON object that remembers order and spelling.
///
/// An object that was read and not changed is written back as the very bytes that it had
/// ([`to_bytes`](Self::to_bytes)); one that was changed differs in the changed members only.
///
/// # Examples
///
/// ```
/// use imgcore::json::Object;
///
/// let mut object = Object::new();
/// object.set("size", 3_u64);
/// object.set("name", "a<b");
/// assert_eq!(object.to_compact(), br#"{"size":3,"name":"a\u003cb"}"#);
/// assert_eq!(object.get("size").and_then(|size| size.as_u64()), Some(3));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Object {
    members: Vec<Member>,
    /// White space before the closing brace of an object without members.
    inside: Text,
}

#[derive(Clone)]
struct Member {
    key: String,
    /// Everything before the value: white space, the name, the colon, white space.
    lead: Text,
    value: Value,
    /// White space after the value.
    trail: Text,
}

impl PartialEq for Member {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key && self.value == other.value
    }
}

impl Eq for Member {}

/// A piece of a document, or nothing.
#[derive(Clone, Default)]
struct Text(Option<Value>);

impl Text {
    fn as_str(&self) -> &str {
        self.0.as_ref().map_or("", Value::text)
    }
}

impl PartialEq for Text {
    /// White space does not count.
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

impl Eq for Text {}

impl Object {
    /// Makes an object without members.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::json::Object;
    ///
    /// assert_eq!(Object::new().to_bytes(), b"{}");
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a value apart that is known to be an object.
    pub(super) fn of(value: &Value) -> Self {
        let text = value.text();
        let piece = |range: Range<usize>| Text(Some(value.part(range)));
        let mut members = Vec::new();
        let mut at = 1;
        for member in scan::members(text) {
            members.push(Member {
                key: scan::unescape(&text[member.key]).into_owned(),
                lead: piece(at..member.value.start),
                trail: piece(member.value.end..member.end),
                value: value.part(member.value),
            });
            at = member.end + 1;
        }
        let inside = if members.is_empty() {
            piece(1..text.len() - 1)
        } else {
            Text::default()
        };
        Self { members, inside }
    }

    /// Returns the value of a member; the name is compared exactly.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let object = Value::parse(br#"{"size": 3}"#, &Limits::default())?.as_object().expect("it is one");
    /// assert_eq!(object.get("size").and_then(|size| size.as_u64()), Some(3));
    /// assert!(object.get("Size").is_none());
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.members
            .iter()
            .find(|member| member.key == key)
            .map(|member| &member.value)
    }

    /// Returns whether there is a member of this name.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let object = Value::parse(br#"{"size": null}"#, &Limits::default())?.as_object().expect("it is one");
    /// assert!(object.contains("size"));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Replaces the value of a member where it stands, or adds a member at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let mut object = Value::parse(br#"{"a": 1, "b": 2}"#, &Limits::default())?.as_object().expect("it is one");
    /// object.set("a", "one");
    /// object.set("c", 3_u64);
    /// assert_eq!(object.to_bytes(), br#"{"a": "one", "b": 2, "c": 3}"#);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        if let Some(member) = self.members.iter_mut().find(|member| member.key == key) {
            member.value = value;
            return;
        }
        self.push(key, value);
    }

    /// Removes a member and returns its value.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let mut object = Value::parse(br#"{"a": 1, "b": 2}"#, &Limits::default())?.as_object().expect("it is one");
    /// assert!(object.remove("a").is_some());
    /// assert_eq!(object.to_bytes(), br#"{ "b": 2}"#);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.members.iter().position(|member| member.key == key)?;
        let removed = self.members.remove(index);
        if index == self.members.len()
            && let Some(last) = self.members.last_mut()
        {
            last.trail = removed.trail;
        }
        Some(removed.value)
    }

    /// Iterates over the members in their order.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let object = Value::parse(br#"{"b": 1, "a": 2}"#, &Limits::default())?.as_object().expect("it is one");
    /// assert_eq!(object.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["b", "a"]);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.members
            .iter()
            .map(|member| (member.key.as_str(), &member.value))
    }

    /// Returns how many members there are.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let object = Value::parse(br#"{"b": 1, "a": 2}"#, &Limits::default())?.as_object().expect("it is one");
    /// assert_eq!(object.len(), 2);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Returns whether there are no members.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let object = Value::parse(br#"{ }"#, &Limits::default())?.as_object().expect("it is one");
    /// assert!(object.is_empty());
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Writes the object with every member that was not touched as the bytes that it had, white space included.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let mut object = Value::parse(br#"{"a" : 1.50, "b": 2}"#, &Limits::default())?.as_object().expect("it is one");
    /// object.set("b", 3_u64);
    /// assert_eq!(object.to_bytes(), br#"{"a" : 1.50, "b": 3}"#);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_text().into_bytes()
    }

    /// Writes the canonical form on one line, without white space and without a newline at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let object = Value::parse(br#"{"a" : [1, 2]}"#, &Limits::default())?.as_object().expect("it is one");
    /// assert_eq!(object.to_compact(), br#"{"a":[1,2]}"#);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn to_compact(&self) -> Vec<u8> {
        Value::from_text(self.to_text()).to_compact()
    }

    /// Writes the canonical form with an indent of two spaces, without a newline at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let object = Value::parse(br#"{"a" : 1}"#, &Limits::default())?.as_object().expect("it is one");
    /// assert_eq!(object.to_indented(), b"{\n  \"a\": 1\n}");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn to_indented(&self) -> Vec<u8> {
        Value::from_text(self.to_text()).to_indented()
    }

    /// Adds a member that is not there yet.
    fn push(&mut self, key: &str, value: Value) {
        let lead = self.lead_like_the_last(key);
        // The white space before the closing brace belongs behind the new member.
        let trail = match self.members.last_mut() {
            Some(last) => std::mem::take(&mut last.trail),
            None => std::mem::take(&mut self.inside),
        };
        self.members.push(Member {
            key: key.to_owned(),
            lead,
            value,
            trail,
        });
    }

    pub(super) fn to_text(&self) -> String {
        let mut out = String::from("{");
        for (index, member) in self.members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            out.push_str(member.lead.as_str());
            out.push_str(member.value.text());
            out.push_str(member.trail.as_str());
        }
        if self.members.is_empty() {
            out.push_str(self.inside.as_str());
        }
        out.push('}');
        out
    }

    /// Spells what stands before the value of a new member with the white space that the last member has.
    fn lead_like_the_last(&self, key: &str) -> Text {
        let last = self
            .members
            .last()
            .map_or("", |member| member.lead.as_str());
        let before = &last[..scan::skip_white_space(last, 0)];
        let after = &last[last.trim_end_matches([' ', '\t', '\n', '\r']).len()..];
        let mut lead = before.to_owned();
        write::string(key, &mut lead);
        lead.push(':');
        lead.push_str(after);
        Text(Some(Value::from_text(lead)))
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({})", self.to_text())
    }
}

impl<'k, V: Into<Value>> FromIterator<(&'k str, V)> for Object {
    /// Collects members in the order of the iterator; of equal names the first gives the place, the last the value.
    fn from_iter<I: IntoIterator<Item = (&'k str, V)>>(members: I) -> Self {
        let mut object = Self::new();
        // A map may have very many members, and `set` looks at all of them.
        let mut positions = HashMap::new();
        for (key, value) in members {
            let position = *positions.entry(key).or_insert(object.members.len());
            match object.members.get_mut(position) {
                Some(member) => member.value = value.into(),
                None => object.push(key, value.into()),
            }
        }
        object
    }
}
