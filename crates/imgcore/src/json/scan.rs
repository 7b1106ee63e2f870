//! The scanner: checks a document once, and takes checked text apart afterwards.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use super::Limits;
use crate::{Error, ErrorKind};

/// Deeper than any real document, and shallow enough for the stack of any thread.
const DEEPEST: usize = 128;

/// Members whose value is a map from free text, so that its keys may differ in case only.
const FREE_TEXT_MAPS: [&str; 5] = ["annotations", "env", "exposedports", "labels", "volumes"];

/// Checks a whole document and returns where its value starts and ends.
pub(super) fn check_document(text: &str, limits: &Limits) -> Result<(usize, usize), Error> {
    let mut checker = Checker {
        text,
        at: 0,
        max_depth: limits.max_depth.min(DEEPEST),
        allow_case_variants: limits.allow_case_variants,
    };
    if text.starts_with('\u{feff}') {
        return Err(checker.malformed("starts with a byte order mark"));
    }
    checker.white_space();
    let start = checker.at;
    checker.value(0, limits.allow_case_variants)?;
    let end = checker.at;
    checker.white_space();
    match checker.peek() {
        None => Ok((start, end)),
        Some(_) => Err(checker.malformed("goes on after its end")),
    }
}

struct Checker<'a> {
    text: &'a str,
    at: usize,
    max_depth: usize,
    allow_case_variants: bool,
}

impl Checker<'_> {
    /// Checks one value; `free_text` says whether it is a map whose keys may differ in case only.
    fn value(&mut self, depth: usize, free_text: bool) -> Result<(), Error> {
        match self.peek() {
            Some(b'{') => self.object(depth + 1, free_text),
            Some(b'[') => self.array(depth + 1),
            Some(b'"') => self.string().map(drop),
            Some(b't') => self.word("true"),
            Some(b'f') => self.word("false"),
            Some(b'n') => self.word("null"),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(_) => Err(self.malformed("has no value where one must start")),
            None => Err(self.malformed("ends too early")),
        }
    }

    fn object(&mut self, depth: usize, free_text: bool) -> Result<(), Error> {
        self.enter(depth)?;
        let mut seen = HashSet::new();
        self.white_space();
        if self.accept(b'}') {
            return Ok(());
        }
        loop {
            self.white_space();
            let key_at = self.at;
            if self.peek() != Some(b'"') {
                return Err(self.malformed("has no member name where one must start"));
            }
            let key = self.string()?;
            let is_map = self.allow_case_variants
                || FREE_TEXT_MAPS
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&key));
            let unique = if free_text { key.clone() } else { fold(&key) };
            if !seen.insert(unique) {
                self.at = key_at;
                return Err(self.malformed(&format!("has the member {key:?} a second time")));
            }
            self.white_space();
            self.expect(b':')?;
            self.white_space();
            self.value(depth, is_map)?;
            self.white_space();
            if self.accept(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Error> {
        self.enter(depth)?;
        self.white_space();
        if self.accept(b']') {
            return Ok(());
        }
        loop {
            self.white_space();
            self.value(depth, self.allow_case_variants)?;
            self.white_space();
            if self.accept(b']') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Steps over the opening bracket.
    fn enter(&mut self, depth: usize) -> Result<(), Error> {
        if depth > self.max_depth {
            return Err(Error::new(
                ErrorKind::TooLarge,
                format!(
                    "JSON document is nested deeper than {} levels at byte {}",
                    self.max_depth, self.at
                ),
            ));
        }
        self.at += 1;
        Ok(())
    }

    /// Checks a string and returns the text that it stands for.
    fn string(&mut self) -> Result<String, Error> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.peek() {
                None => return Err(self.malformed("ends inside a string")),
                Some(b'"') => break self.at += 1,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err(self.malformed("has a control character in a string")),
                Some(_) => self.at += 1,
            }
        }
        Ok(unescape(&self.text[start..self.at]).into_owned())
    }

    fn escape(&mut self) -> Result<(), Error> {
        let rest = &self.text.as_bytes()[self.at + 1..];
        match rest.first() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 2,
            Some(b'u') => {
                let first = hex4(rest.get(1..5)).ok_or_else(|| self.bad_escape())?;
                let is_pair = (0xd800..0xdc00).contains(&first);
                if is_pair {
                    let low = match rest.get(5..7) {
                        Some(b"\\u") => hex4(rest.get(7..11)),
                        _ => None,
                    };
                    if !low.is_some_and(|low| (0xdc00..0xe000).contains(&low)) {
                        return Err(self.malformed("has half a surrogate pair in a string"));
                    }
                } else if (0xdc00..0xe000).contains(&first) {
                    return Err(self.malformed("has half a surrogate pair in a string"));
                }
                self.at += if is_pair { 12 } else { 6 };
            }
            _ => return Err(self.bad_escape()),
        }
        Ok(())
    }

    fn bad_escape(&self) -> Error {
        self.malformed("has an unknown escape in a string")
    }

    fn word(&mut self, word: &str) -> Result<(), Error> {
        if !self.text[self.at..].starts_with(word) {
            return Err(self.malformed("has no value where one must start"));
        }
        self.at += word.len();
        Ok(())
    }

    fn number(&mut self) -> Result<(), Error> {
        let start = self.at;
        self.accept(b'-');
        if !self.accept(b'0') {
            self.digits()?;
        }
        let mut is_integer = true;
        if self.accept(b'.') {
            is_integer = false;
            self.digits()?;
        }
        if self.accept(b'e') || self.accept(b'E') {
            is_integer = false;
            let _sign = self.accept(b'+') || self.accept(b'-');
            self.digits()?;
        }
        let text = &self.text[start..self.at];
        let fits = if is_integer {
            text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok()
        } else {
            text.parse::<f64>().is_ok_and(f64::is_finite)
        };
        if !fits {
            self.at = start;
            return Err(self.malformed("has a number beyond 64 bits"));
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.malformed("has a number without a digit where one must stand"));
        }
        Ok(())
    }

    fn white_space(&mut self) {
        self.at = skip_white_space(self.text, self.at);
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8) -> Result<(), Error> {
        if self.accept(byte) {
            return Ok(());
        }
        match self.peek() {
            None => Err(self.malformed("ends too early")),
            Some(_) => Err(self.malformed(&format!(
                "has no {:?} where one must stand",
                char::from(byte)
            ))),
        }
    }

    fn malformed(&self, what: &str) -> Error {
        Error::new(
            ErrorKind::Malformed,
            format!("JSON document {what} at byte {}", self.at),
        )
    }
}

/// Makes names equal that Go's decoder takes for the same member: case does not count, and neither do the two
/// letters beyond ASCII that fold into it (the long s and the Kelvin sign).
pub(super) fn fold(name: &str) -> String {
    name.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .collect()
}

fn hex4(digits: Option<&[u8]>) -> Option<u32> {
    let mut value = 0;
    for digit in digits? {
        value = value << 4 | char::from(*digit).to_digit(16)?;
    }
    Some(value)
}

// Everything below takes text that was checked or that this crate wrote, and steps over what cannot be there.

/// Returns where the first byte at or after `at` is that is no white space.
pub(super) fn skip_white_space(text: &str, at: usize) -> usize {
    let rest = text.as_bytes().get(at..).unwrap_or_default();
    let white = rest
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'\t' | b'\n' | b'\r'));
    at + white.count()
}

/// Returns where the value ends that starts at `start`.
pub(super) fn end_of_value(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = start;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                at += bytes[at..]
                    .iter()
                    .take_while(|byte| is_scalar(**byte))
                    .count();
            }
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            break;
        }
    }
    at
}

fn is_scalar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')
}

/// Returns where the string ends that starts at `start`.
fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        at += match byte {
            b'"' => return at + 1,
            b'\\' => 2,
            _ => 1,
        };
    }
    bytes.len()
}

/// Iterates over the elements of an array.
pub(super) fn elements(array: &str) -> impl Iterator<Item = Range<usize>> {
    let mut at = 1;
    std::iter::from_fn(move || {
        let start = skip_white_space(array, at);
        if matches!(array.as_bytes().get(start), None | Some(b']')) {
            return None;
        }
        let end = end_of_value(array, start);
        // Past the comma, or onto the closing bracket.
        at = skip_white_space(array, end);
        at += usize::from(array.as_bytes().get(at) == Some(&b','));
        Some(start..end)
    })
}

/// A member of an object, as places in the object's text.
pub(super) struct MemberAt {
    /// The name, with its quotes.
    pub(super) key: Range<usize>,
    /// The value.
    pub(super) value: Range<usize>,
    /// The end of the white space after the value, where a comma or the closing brace stands.
    pub(super) end: usize,
}

/// Iterates over the members of an object.
pub(super) fn members(object: &str) -> impl Iterator<Item = MemberAt> {
    let mut at = 1;
    std::iter::from_fn(move || {
        let key_start = skip_white_space(object, at);
        if object.as_bytes().get(key_start) != Some(&b'"') {
            return None;
        }
        let key_end = end_of_string(object.as_bytes(), key_start);
        let colon = skip_white_space(object, key_end);
        let start = skip_white_space(object, colon + 1);
        let value_end = end_of_value(object, start);
        let end = skip_white_space(object, value_end);
        at = end + 1;
        Some(MemberAt {
            key: key_start..key_end,
            value: start..value_end,
            end,
        })
    })
}

/// Returns the text that a string literal (with its quotes) stands for.
pub(super) fn unescape(literal: &str) -> Cow<'_, str> {
    let inner = literal.get(1..literal.len() - 1).unwrap_or_default();
    if !inner.contains('\\') {
        return Cow::Borrowed(inner);
    }
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(position) = rest.find('\\') {
        out.push_str(&rest[..position]);
        let (character, length) = escaped(&rest.as_bytes()[position..]);
        out.push(character);
        rest = rest.get(position + length..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Returns the character of the escape that `bytes` start with, and how long the escape is.
fn escaped(bytes: &[u8]) -> (char, usize) {
    let simple = match bytes.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => {
            let first = hex4(bytes.get(2..6)).unwrap_or_default();
            if let Some(character) = char::from_u32(first) {
                return (character, 6);
            }
            let low = hex4(bytes.get(8..12)).unwrap_or_default();
            let pair = 0x1_0000 + ((first & 0x3ff) << 10 | low & 0x3ff);
            return (
                char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER),
                12,
            );
        }
        Some(other) => char::from(*other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (simple, 2)
}
