//! JSON for documents whose bytes matter.
//!
//! A digest names exact bytes, so a document that somebody else wrote must come out of an edit as it went in, but for
//! what was edited. A [`Value`] therefore *is* its text: a checked slice of the document. An [`Object`] is the list of
//! its members in their order, each with the bytes that it had; members that are not touched are written back as
//! they were ([`Object::to_bytes`]). What we create ourselves has one canonical form ([`Object::to_compact`],
//! [`Object::to_indented`]).
//!
//! The parser takes [RFC 8259] and is stricter where readers are known to differ, because a document that two programs
//! read differently is an attack: no member twice (nor under two spellings that differ in case only, which Go takes
//! for the same), nothing after the document, no byte order mark, no invalid UTF-8, no lone surrogate, no integer
//! beyond 64 bits, no deep nesting.
//!
//! # Examples
//!
//! ```
//! use imgcore::json::{Limits, Value};
//!
//! let mut config = Value::parse(br#"{"os": "linux",  "x-y": 1.50, "variant": "v7"}"#, &Limits::default())?
//!     .as_object()
//!     .expect("it is an object");
//! config.set("variant", "v8");
//! assert_eq!(config.to_bytes(), br#"{"os": "linux",  "x-y": 1.50, "variant": "v8"}"#);
//! assert_eq!(config.to_compact(), br#"{"os":"linux","x-y":1.50,"variant":"v8"}"#);
//! # Ok::<(), imgcore::Error>(())
//! ```
//!
//! [RFC 8259]: https://www.rfc-editor.org/rfc/rfc8259

mod convert;
mod fields;
mod limits;
mod object;
mod scan;
mod write;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

pub use fields::{Fields, Strictness};
pub use limits::Limits;
pub use object::Object;

use crate::{Error, ErrorKind};

/// Writes a string literal in its canonical form to the end of `out`.
///
/// For documents that are too large to be a [`Value`] first.
///
/// # Examples
///
/// ```
/// let mut out = String::new();
/// imgcore::json::push_string("a \"b\" & c", &mut out);
/// assert_eq!(out, r#""a \"b\" \u0026 c""#);
/// ```
pub fn push_string(text: &str, out: &mut String) {
    write::string(text, out);
}

/// Returns whether Go's decoder takes two names for the same member.
pub(crate) fn is_same_for_go(one: &str, other: &str) -> bool {
    one == other || scan::fold(one) == scan::fold(other)
}

/// What a [`Value`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "JSON has these six kinds and will have no other"
)]
pub enum Kind {
    /// `[…]`
    Array,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
    /// A number.
    Number,
    /// `{…}`
    Object,
    /// `"…"`
    String,
}

/// A JSON value: a checked piece of text, which is taken apart only where somebody looks.
///
/// Cloning is cheap: values share the text of their document. Two values are equal when their canonical texts are.
///
/// # Examples
///
/// ```
/// use imgcore::json::{Limits, Value};
///
/// let value = Value::parse(br#"["a", 2, {"b": null}]"#, &Limits::default())?;
/// let elements = value.as_array().expect("it is an array");
/// assert_eq!(elements[0].as_str().as_deref(), Some("a"));
/// assert_eq!(elements[1].as_u64(), Some(2));
/// assert_eq!(value.to_compact(), br#"["a",2,{"b":null}]"#);
/// assert!(Value::parse(br#"{"size": 1, "Size": 2}"#, &Limits::default()).is_err());
/// # Ok::<(), imgcore::Error>(())
/// ```
#[derive(Clone)]
pub struct Value {
    /// The whole document that this value is a part of.
    document: Arc<str>,
    /// Where the value stands: without white space around it, never empty.
    start: usize,
    end: usize,
}

impl Value {
    /// Reads a document.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::json::{Limits, Value};
    ///
    /// let error = Value::parse(b"[1,]", &Limits::default()).unwrap_err();
    /// assert_eq!(error.to_string(), "JSON document has no value where one must start at byte 3");
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`] when it is larger or deeper than `limits`; [`ErrorKind::Malformed`] when it is not JSON
    /// or breaks one of the rules of this [module](self). The text gives the offset of the byte that is to blame.
    pub fn parse(bytes: &[u8], limits: &Limits) -> Result<Self, Error> {
        if bytes.len() > limits.max_bytes {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "JSON document has {} bytes, more than the {} that are taken",
                    bytes.len(),
                    limits.max_bytes
                ),
            ));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            Error::new(
                ErrorKind::Malformed,
                format!("JSON document is not valid UTF-8 at byte {at}"),
            )
        })?;
        let (start, end) = scan::check_document(text, limits)?;
        Ok(Self {
            document: Arc::from(text),
            start,
            end,
        })
    }

    /// Makes `null`.
    pub fn null() -> Self {
        Self::from_text("null".to_owned())
    }

    /// Returns the kind.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"[]"#, &Limits::default())?;
    /// assert_eq!(value.kind(), imgcore::json::Kind::Array);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn kind(&self) -> Kind {
        match self.text().as_bytes()[0] {
            b'[' => Kind::Array,
            b'{' => Kind::Object,
            b'"' => Kind::String,
            b'n' => Kind::Null,
            b't' | b'f' => Kind::Bool,
            _ => Kind::Number,
        }
    }

    /// Returns the text of the value as the document has it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#" [1, 2.50] "#, &Limits::default())?;
    /// assert_eq!(value.text(), "[1, 2.50]");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn text(&self) -> &str {
        &self.document[self.start..self.end]
    }

    /// Returns whether this is `null`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"null"#, &Limits::default())?;
    /// assert!(value.is_null());
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn is_null(&self) -> bool {
        self.kind() == Kind::Null
    }

    /// Returns the value of a boolean.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"true"#, &Limits::default())?;
    /// assert_eq!(value.as_bool(), Some(true));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn as_bool(&self) -> Option<bool> {
        match self.text() {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// Returns the value of a whole number from 0 to `u64::MAX` that is written without fraction and exponent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"[7, -7, 7.0]"#, &Limits::default())?;
    /// let numbers: Vec<_> = value.elements().into_iter().flatten().map(|it| it.as_u64()).collect();
    /// assert_eq!(numbers, [Some(7), None, None]);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn as_u64(&self) -> Option<u64> {
        self.text().parse().ok()
    }

    /// Returns the value of a whole number in the range of `i64` that is written without fraction and exponent.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"-7"#, &Limits::default())?;
    /// assert_eq!(value.as_i64(), Some(-7));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn as_i64(&self) -> Option<i64> {
        self.text().parse().ok()
    }

    /// Returns the value of any number, rounded to the nearest `f64`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"15e-1"#, &Limits::default())?;
    /// assert_eq!(value.as_f64(), Some(1.5));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn as_f64(&self) -> Option<f64> {
        match self.kind() {
            Kind::Number => self.text().parse().ok(),
            _ => None,
        }
    }

    /// Returns the text that a string stands for.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#""a\u0062""#, &Limits::default())?;
    /// assert_eq!(value.as_str().as_deref(), Some("ab"));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn as_str(&self) -> Option<Cow<'_, str>> {
        match self.kind() {
            Kind::String => Some(scan::unescape(self.text())),
            _ => None,
        }
    }

    /// Returns the elements of an array.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"[1, 2]"#, &Limits::default())?;
    /// assert_eq!(value.as_array().map(|elements| elements.len()), Some(2));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn as_array(&self) -> Option<Vec<Self>> {
        self.elements().map(Iterator::collect)
    }

    /// Iterates over the elements of an array, without a list of them all.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"[1, 2]"#, &Limits::default())?;
    /// let sum: u64 = value.elements().into_iter().flatten().filter_map(|it| it.as_u64()).sum();
    /// assert_eq!(sum, 3);
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn elements(&self) -> Option<impl Iterator<Item = Self>> {
        match self.kind() {
            Kind::Array => Some(scan::elements(self.text()).map(|range| self.part(range))),
            _ => None,
        }
    }

    /// Returns the members of an object.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"{"a": 1}"#, &Limits::default())?;
    /// assert!(value.as_object().is_some_and(|object| object.contains("a")));
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn as_object(&self) -> Option<Object> {
        match self.kind() {
            Kind::Object => Some(Object::of(self)),
            _ => None,
        }
    }

    /// Writes the canonical form on one line, without white space and without a newline at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"[ 1, 2 ]"#, &Limits::default())?;
    /// assert_eq!(value.to_compact(), b"[1,2]");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn to_compact(&self) -> Vec<u8> {
        let mut out = String::with_capacity(self.text().len());
        write::compact(self.text(), &mut out);
        out.into_bytes()
    }

    /// Writes the canonical form with an indent of two spaces, without a newline at the end.
    ///
    /// # Examples
    ///
    /// ```
    /// # use imgcore::json::{Limits, Value};
    /// let value = Value::parse(br#"[1]"#, &Limits::default())?;
    /// assert_eq!(value.to_indented(), b"[\n  1\n]");
    /// # Ok::<(), imgcore::Error>(())
    /// ```
    pub fn to_indented(&self) -> Vec<u8> {
        let mut out = String::with_capacity(2 * self.text().len());
        write::indented(self.text(), &mut out);
        out.into_bytes()
    }

    /// Takes text that this crate wrote and that is one JSON value.
    fn from_text(text: String) -> Self {
        let end = text.len();
        Self {
            document: Arc::from(text),
            start: 0,
            end,
        }
    }

    /// Returns the part of this value's text that `range` (counted from the start of the value) selects.
    fn part(&self, range: std::ops::Range<usize>) -> Self {
        Self {
            document: Arc::clone(&self.document),
            start: self.start + range.start,
            end: self.start + range.end,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() || self.to_compact() == other.to_compact()
    }
}

impl Eq for Value {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Value({})", self.text())
    }
}

#[cfg(test)]
mod tests;
