//! Reading the members of an object as the fields of a type, with errors that name the place.

use std::collections::{BTreeMap, HashMap};

use super::{Object, Value, scan};
use crate::{Error, ErrorKind};

/// What to do with members that a reader does not know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a reader is one or the other")]
pub enum Strictness {
    /// Unknown members are ignored.
    Lenient,
    /// An unknown member is an error.
    Strict,
}

/// An object that is read field by field.
///
/// A member whose value is `null` counts as absent, as Go's decoder has it. Every error is
/// [`ErrorKind::Malformed`] and names the place of the object and the member.
///
/// # Examples
///
/// ```
/// use imgcore::json::{Fields, Limits, Strictness, Value};
///
/// let value = Value::parse(br#"{"path": "/data", "mode": true}"#, &Limits::default())?;
/// let mut fields = Fields::of(&value, "mount 3")?;
/// assert_eq!(fields.string("path")?, "/data");
/// let error = fields.finish(Strictness::Strict).unwrap_err();
/// assert_eq!(error.to_string(), r#"mount 3 has the unknown member "mode""#);
/// # Ok::<(), imgcore::Error>(())
/// ```
#[derive(Debug)]
pub struct Fields {
    place: String,
    object: Object,
    known: Vec<String>,
}

impl Fields {
    /// Starts to read `value`, which errors call `place`.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::json::{Fields, Value};
    ///
    /// let error = Fields::of(&Value::from("text"), "manifest").unwrap_err();
    /// assert_eq!(error.to_string(), "manifest is no JSON object");
    /// ```
    ///
    /// # Errors
    ///
    /// When `value` is no object.
    pub fn of(value: &Value, place: impl Into<String>) -> Result<Self, Error> {
        let place = place.into();
        match value.as_object() {
            Some(object) => Ok(Self::of_object(object, place)),
            None => Err(malformed(&place, "is no JSON object")),
        }
    }

    /// Starts to read `object`, which errors call `place`.
    pub fn of_object(object: Object, place: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            object,
            known: Vec::new(),
        }
    }

    /// Returns what errors call the object.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns what errors call a member.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// assert_eq!(fields.place_of("layers[2]"), "thing: layers[2]");
    /// # fields.optional("x");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn place_of(&self, name: &str) -> String {
        format!("{}: {name}", self.place)
    }

    /// Makes an error about a member.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// assert_eq!(fields.error("size", "is odd").to_string(), "thing: size is odd");
    /// # fields.optional("x");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn error(&self, name: &str, what: &str) -> Error {
        Error::new(
            ErrorKind::Malformed,
            format!("{}: {name} {what}", self.place),
        )
    }

    /// Returns a member that may be absent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"a": null, "b": 1}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// assert!(fields.optional("a").is_none());
    /// assert!(fields.optional("b").is_some());
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn optional(&mut self, name: &str) -> Option<Value> {
        self.known.push(name.to_owned());
        self.object
            .get(name)
            .filter(|value| !value.is_null())
            .cloned()
    }

    /// Returns a member that must be there.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"a": 1}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// assert!(fields.required("a").is_ok());
    /// assert_eq!(fields.required("b").unwrap_err().to_string(), "thing: b is missing");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When it is absent.
    pub fn required(&mut self, name: &str) -> Result<Value, Error> {
        self.optional(name)
            .ok_or_else(|| self.error(name, "is missing"))
    }

    /// Returns a text that may be absent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"a": "text"}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// assert_eq!(fields.optional_string("a")?.as_deref(), Some("text"));
    /// assert_eq!(fields.optional_string("b")?, None);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the member is not a string.
    pub fn optional_string(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.optional(name) {
            None => Ok(None),
            Some(value) => self.as_string(name, &value).map(Some),
        }
    }

    /// Returns a text that must be there.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"a": "text", "b": 1}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// assert_eq!(fields.string("a")?, "text");
    /// assert_eq!(fields.string("b").unwrap_err().to_string(), "thing: b is no string");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the member is absent or not a string.
    pub fn string(&mut self, name: &str) -> Result<String, Error> {
        let value = self.required(name)?;
        self.as_string(name, &value)
    }

    /// Returns a text that must be there, parsed.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"platform": "linux/amd64"}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// let platform: imgcore::Platform = fields.parsed("platform")?;
    /// assert_eq!(platform.os, "linux");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the member is absent, not a string, or does not parse; the cause says why.
    pub fn parsed<T>(&mut self, name: &str) -> Result<T, Error>
    where
        T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        let text = self.string(name)?;
        text.parse()
            .map_err(|error| self.error(name, &format!("is {text:?}")).with_source(error))
    }

    /// Returns a list of texts, each parsed; one that is absent is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"platforms": ["linux/amd64"]}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// let platforms: Vec<imgcore::Platform> = fields.parsed_list("platforms")?;
    /// assert_eq!(platforms.len(), 1);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the member is not an array of strings, or when one does not parse; the cause says why.
    pub fn parsed_list<T>(&mut self, name: &str) -> Result<Vec<T>, Error>
    where
        T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
    {
        self.list(name, |value, place| {
            let text = value
                .as_str()
                .ok_or_else(|| malformed(&place, "is no string"))?;
            text.parse()
                .map_err(|error| malformed(&place, &format!("is {text:?}")).with_source(error))
        })
    }

    /// Returns a whole number from 0 to `u64::MAX` that must be there.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"size": 7}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// assert_eq!(fields.unsigned("size")?, 7);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the member is absent or no such number.
    pub fn unsigned(&mut self, name: &str) -> Result<u64, Error> {
        let value = self.required(name)?;
        value
            .as_u64()
            .ok_or_else(|| self.error(name, "is no whole number of 0 or more"))
    }

    /// Returns a boolean; one that is absent is false.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"a": true}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// assert!(fields.flag("a")?);
    /// assert!(!fields.flag("b")?);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the member is not a boolean.
    pub fn flag(&mut self, name: &str) -> Result<bool, Error> {
        match self.optional(name) {
            None => Ok(false),
            Some(value) => value
                .as_bool()
                .ok_or_else(|| self.error(name, "is neither true nor false")),
        }
    }

    /// Returns the elements of an array, each read by `read`, which gets the place of the element too; an array that
    /// is absent is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"sizes": [1, 2]}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// let sizes = fields.list("sizes", |value, _place| Ok(value.as_u64().unwrap_or_default()))?;
    /// assert_eq!(sizes, [1, 2]);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the member is not an array, and what `read` returns.
    pub fn list<T>(
        &mut self,
        name: &str,
        mut read: impl FnMut(&Value, String) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let Some(value) = self.optional(name) else {
            return Ok(Vec::new());
        };
        let elements = value
            .elements()
            .ok_or_else(|| self.error(name, "is no array"))?;
        elements
            .enumerate()
            .map(|(index, element)| read(&element, self.place_of(&format!("{name}[{index}]"))))
            .collect()
    }

    /// Returns a list of texts; one that is absent is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"words": ["a", "b"]}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// assert_eq!(fields.strings("words")?, ["a", "b"]);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the member is not an array of strings.
    pub fn strings(&mut self, name: &str) -> Result<Vec<String>, Error> {
        self.list(name, |value, place| match value.as_str() {
            Some(text) => Ok(text.into_owned()),
            None => Err(malformed(&place, "is no string")),
        })
    }

    /// Returns the members of an object whose values are texts; one that is absent is empty.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"labels": {"a": "1"}}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// assert_eq!(fields.string_map("labels")?["a"], "1");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When the member is not an object of strings.
    pub fn string_map(&mut self, name: &str) -> Result<BTreeMap<String, String>, Error> {
        let Some(value) = self.optional(name) else {
            return Ok(BTreeMap::new());
        };
        let object = value
            .as_object()
            .ok_or_else(|| self.error(name, "is no object"))?;
        object
            .iter()
            .map(|(key, value)| {
                Ok((
                    key.to_owned(),
                    self.as_string(&format!("{name}.{key}"), value)?,
                ))
            })
            .collect()
    }

    /// Ends the reading.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Fields, Limits, Value};
    /// let value = Value::parse(br#"{"size": 1, "x": 2}"#, &Limits::default())?;
    /// let mut fields = Fields::of(&value, "thing")?;
    /// fields.unsigned("size")?;
    /// assert!(fields.finish(imgcore::json::Strictness::Lenient).is_ok());
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When a member differs in case only from one that was asked for, which other readers would take for it; under
    /// [`Strictness::Strict`] also when there is a member that was not asked for.
    pub fn finish(self, strictness: Strictness) -> Result<(), Error> {
        let known: HashMap<String, &str> = self
            .known
            .iter()
            .map(|name| (scan::fold(name), name.as_str()))
            .collect();
        for (name, _) in self.object.iter() {
            match known.get(&scan::fold(name)) {
                Some(known) if *known == name => {}
                Some(known) => {
                    let what = format!("has the member {name:?}, which must be spelled {known:?}");
                    return Err(malformed(&self.place, &what));
                }
                None if strictness == Strictness::Strict => {
                    let what = format!("has the unknown member {name:?}");
                    return Err(malformed(&self.place, &what));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn as_string(&self, name: &str, value: &Value) -> Result<String, Error> {
        match value.as_str() {
            Some(text) => Ok(text.into_owned()),
            None => Err(self.error(name, "is no string")),
        }
    }
}

fn malformed(place: &str, what: &str) -> Error {
    Error::new(ErrorKind::Malformed, format!("{place} {what}"))
}
