//! Types of flag values that several commands share.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{
    OsStringValueParser, TryMapValueParser, TypedValueParser as _, ValueParserFactory,
};

use crate::sys;

/// What is wrong with a word without `=`; the form that its flag wants is added where the flag is known.
pub(super) const NO_EQUALS_SIGN: &str = "no `=` in it";

/// `NAME=FILE`: cut at the first `=`; neither half needs to be UTF-8.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NameAndFile {
    pub(crate) name: OsString,
    pub(crate) file: PathBuf,
}

/// `KEY=VALUE`: cut at the first `=`. The value may be empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyAndValue {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// `I=FILE`: a decimal index and a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexAndFile {
    pub(crate) index: usize,
    pub(crate) file: PathBuf,
}

/// `I=TEXT`: a decimal index and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexAndText {
    pub(crate) index: usize,
    pub(crate) text: String,
}

/// `I,J=TEXT`: two decimal indexes and a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexesAndText {
    pub(crate) first: usize,
    pub(crate) second: usize,
    pub(crate) text: String,
}

/// `I,J=FILE`: two decimal indexes and a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct IndexesAndFile {
    pub(crate) first: usize,
    pub(crate) second: usize,
    pub(crate) file: PathBuf,
}

/// An integer as Go writes it: decimal, `0x`, `0o`, `0b`, octal by a leading zero, `_` between
/// digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Integer(pub(crate) i64);

/// A value that is made of a word of the command line.
trait FromWord: Clone + Send + Sync + Sized + 'static {
    fn from_word(word: &OsStr) -> Result<Self, String>;
}

impl FromWord for NameAndFile {
    fn from_word(word: &OsStr) -> Result<Self, String> {
        let (name, file) = split(word)?;
        let file = file.into();
        Ok(Self { name, file })
    }
}

impl FromWord for KeyAndValue {
    fn from_word(word: &OsStr) -> Result<Self, String> {
        let text = word.to_str().ok_or("not UTF-8")?;
        let (key, value) = text.split_once('=').ok_or(NO_EQUALS_SIGN)?;
        Ok(Self {
            key: key.to_owned(),
            value: value.to_owned(),
        })
    }
}

impl FromWord for IndexAndFile {
    fn from_word(word: &OsStr) -> Result<Self, String> {
        let (index, file) = split(word)?;
        Ok(Self {
            index: parse_index(&index.to_string_lossy())?,
            file: file.into(),
        })
    }
}

impl FromWord for IndexAndText {
    fn from_word(word: &OsStr) -> Result<Self, String> {
        let (index, text) = split(word)?;
        Ok(Self {
            index: parse_index(&index.to_string_lossy())?,
            text: text.into_string().map_err(|_| "not UTF-8")?,
        })
    }
}

impl FromWord for IndexesAndFile {
    fn from_word(word: &OsStr) -> Result<Self, String> {
        let (indexes, file) = split(word)?;
        let (first, second) = parse_indexes(&indexes.to_string_lossy())?;
        let file = file.into();
        Ok(Self {
            first,
            second,
            file,
        })
    }
}

impl FromWord for IndexesAndText {
    fn from_word(word: &OsStr) -> Result<Self, String> {
        let (indexes, text) = split(word)?;
        let (first, second) = parse_indexes(&indexes.to_string_lossy())?;
        let text = text.into_string().map_err(|_| "not UTF-8")?;
        Ok(Self {
            first,
            second,
            text,
        })
    }
}

impl FromWord for Integer {
    fn from_word(word: &OsStr) -> Result<Self, String> {
        word.to_str().ok_or("not UTF-8")?.parse()
    }
}

fn split(word: &OsStr) -> Result<(OsString, OsString), String> {
    sys::split_at_equals(word).ok_or_else(|| NO_EQUALS_SIGN.to_owned())
}

fn parse_index(text: &str) -> Result<usize, String> {
    text.parse()
        .map_err(|_| format!("`{text}` is not a decimal index"))
}

fn parse_indexes(text: &str) -> Result<(usize, usize), String> {
    let (first, second) = text
        .split_once(',')
        .ok_or("no `,` in front of the `=`; write INDEX,INDEX=…")?;
    Ok((parse_index(first)?, parse_index(second)?))
}

fn parse_integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (text.starts_with('-'), digits),
        None => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, digits, prefixed) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..], true),
        [b'0', b'o', ..] => (8, &lower[2..], true),
        [b'0', b'b', ..] => (2, &lower[2..], true),
        [b'0', _, ..] => (8, &lower[1..], true),
        _ => (10, lower.as_str(), false),
    };
    // An underscore stands between two digits; a prefix counts as one.
    let digits = if prefixed {
        digits.strip_prefix('_').unwrap_or(digits)
    } else {
        digits
    };
    if digits.split('_').any(str::is_empty) || !digits.starts_with(|c: char| c.is_digit(radix)) {
        return None;
    }
    let value = i128::from_str_radix(&digits.replace('_', ""), radix).ok()?;
    i64::try_from(if negative { -value } else { value }).ok()
}

impl FromStr for Integer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse_integer(text)
            .map(Self)
            .ok_or_else(|| "not an integer".to_owned())
    }
}

/// Clap's parser of a [`FromWord`] type.
type WordParser<T> = TryMapValueParser<OsStringValueParser, fn(OsString) -> Result<T, String>>;

macro_rules! parse_by_word {
    ($($type:ty),*) => {$(
        impl ValueParserFactory for $type {
            type Parser = WordParser<$type>;
            fn value_parser() -> Self::Parser {
                OsStringValueParser::new().try_map(|word| Self::from_word(&word))
            }
        }
    )*};
}
parse_by_word!(
    NameAndFile,
    KeyAndValue,
    IndexAndFile,
    IndexAndText,
    IndexesAndFile,
    IndexesAndText,
    Integer
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_as_go_reads_them() {
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(parse_integer(text), expected, "{text}");
        };
        check("0", Some(0));
        check("10", Some(10));
        check("-1", Some(-1));
        check("+7", Some(7));
        check("0x1F", Some(31));
        check("-0x10", Some(-16));
        check("0X1f", Some(31));
        check("0o17", Some(15));
        check("017", Some(15));
        check("0b101", Some(5));
        check("1_000", Some(1000));
        check("0x_ff", Some(255));
        check("0_7", Some(7));
        check("9223372036854775807", Some(i64::MAX));
        check("-9223372036854775808", Some(i64::MIN));
        check("9223372036854775808", None);
        check("", None);
        check("-", None);
        check("--1", None);
        check("1__0", None);
        check("_1", None);
        check("1_", None);
        check("0x", None);
        check("08", None);
        check("1.5", None);
        check("1e3", None);
        check("0x-1", None);
        check(" 1", None);
    }
}
