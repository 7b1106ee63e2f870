//! Key/value files: the text files that carry environment, labels, annotations and tags.
//!
//! One file is either a list of plain words or a set of `KEY=VALUE` pairs. It may be written as
//! lines, as a JSON array of strings, or (pairs only) as a JSON object:
//!
//! ```text
//! file   = [ BOM ] ( object | array | lines )      white space around it is dropped
//! object = JSON object: key → string | list of strings (the last one counts; none drops the key)
//! array  = JSON array of strings, each trimmed, empty ones dropped
//! lines  = one word a line, trimmed; empty lines and lines that start with `#` are dropped
//! ```

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};

/// What a key/value file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum KeyValueFile {
    /// No words at all: the file says neither which kind it is nor anything else.
    Empty,
    /// Plain words, none of which contains `=`, in file order.
    List(Vec<String>),
    /// Keys with their values.
    Pairs(BTreeMap<String, String>),
}

/// Why a key/value file cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParseKeyValueError {
    /// A pair without a key.
    #[error("{0:?} has no key before the `=`")]
    EmptyKey(String),
    /// Not the JSON that the first byte promises.
    #[error("not a JSON {expected}")]
    Json {
        /// What was promised.
        expected: &'static str,
        /// What the JSON parser says.
        source: serde_json::Error,
    },
    /// Pairs and plain words in one file.
    #[error("{pair:?} is KEY=VALUE but {word:?} is not: a file holds one kind only")]
    Mixed {
        /// The first pair of the file.
        pair: String,
        /// The first plain word of the file.
        word: String,
    },
    /// A list where only pairs are of use.
    #[error("{0:?} is not KEY=VALUE")]
    NotPairs(String),
    /// Bytes that are no text.
    #[error("not UTF-8 text")]
    NotText(#[source] std::str::Utf8Error),
}

impl KeyValueFile {
    /// Reads a file of either kind.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, ParseKeyValueError> {
        let text = std::str::from_utf8(bytes).map_err(ParseKeyValueError::NotText)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).trim();
        match text.as_bytes().first() {
            Some(b'{') => parse_object(text).map(Self::Pairs),
            Some(b'[') => {
                let words: Vec<String> = parse_json(text, "array of strings")?;
                from_words(words.iter().map(|word| word.trim()))
            }
            _ => from_words(
                text.lines()
                    .map(str::trim)
                    .filter(|line| !line.starts_with('#')),
            ),
        }
    }

    /// Reads a file that must hold pairs; a file without words is no pairs.
    pub(crate) fn parse_pairs(
        bytes: &[u8],
    ) -> Result<BTreeMap<String, String>, ParseKeyValueError> {
        match Self::parse(bytes)? {
            Self::Empty => Ok(BTreeMap::new()),
            Self::List(words) => Err(ParseKeyValueError::NotPairs(
                words.into_iter().next().unwrap_or_default(),
            )),
            Self::Pairs(pairs) => Ok(pairs),
        }
    }
}

fn from_words<'a>(
    words: impl Iterator<Item = &'a str>,
) -> Result<KeyValueFile, ParseKeyValueError> {
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    let pair = words.iter().find(|word| word.contains('='));
    let word = words.iter().find(|word| !word.contains('='));
    match (pair, word) {
        (None, None) => Ok(KeyValueFile::Empty),
        (None, Some(_)) => Ok(KeyValueFile::List(
            words.into_iter().map(str::to_owned).collect(),
        )),
        (Some(_), None) => words
            .into_iter()
            .map(split_pair)
            .collect::<Result<_, _>>()
            .map(KeyValueFile::Pairs),
        (Some(pair), Some(word)) => Err(ParseKeyValueError::Mixed {
            pair: (*pair).to_owned(),
            word: (*word).to_owned(),
        }),
    }
}

fn split_pair(word: &str) -> Result<(String, String), ParseKeyValueError> {
    let (key, value) = word.split_once('=').unwrap_or((word, ""));
    let key = key.trim();
    if key.is_empty() {
        return Err(ParseKeyValueError::EmptyKey(word.to_owned()));
    }
    Ok((key.to_owned(), value.trim().to_owned()))
}

fn parse_object(text: &str) -> Result<BTreeMap<String, String>, ParseKeyValueError> {
    let Members(members) = parse_json(text, "object of strings or lists of strings")?;
    let mut pairs = BTreeMap::new();
    for (key, value) in members {
        if key.is_empty() {
            return Err(ParseKeyValueError::EmptyKey(key));
        }
        let value = match value {
            OneOrMany::One(value) => Some(value),
            OneOrMany::Many(values) => values.into_iter().next_back(),
        };
        match value {
            Some(value) => pairs.insert(key, value),
            None => pairs.remove(&key),
        };
    }
    Ok(pairs)
}

fn parse_json<'de, T: Deserialize<'de>>(
    text: &'de str,
    expected: &'static str,
) -> Result<T, ParseKeyValueError> {
    serde_json::from_str(text).map_err(|source| ParseKeyValueError::Json { expected, source })
}

/// The members of an object in file order, repeated keys included.
struct Members(Vec<(String, OneOrMany)>);

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings or lists of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            let value = access.next_value().map_err(|_| {
                de::Error::custom(format_args!(
                    "the value of {key:?} is neither a string nor a list of strings"
                ))
            })?;
            members.push((key, value));
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(expected: &[(&str, &str)]) -> KeyValueFile {
        KeyValueFile::Pairs(
            expected
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    fn list(expected: &[&str]) -> KeyValueFile {
        KeyValueFile::List(expected.iter().map(|word| (*word).to_owned()).collect())
    }

    fn check(text: &str, expected: &KeyValueFile) {
        let actual = KeyValueFile::parse(text.as_bytes()).unwrap();
        assert_eq!(&actual, expected, "{text:?}");
    }

    fn check_error(bytes: &[u8], expected: &str) {
        let error = KeyValueFile::parse(bytes).unwrap_err();
        assert_eq!(error.to_string(), expected, "{bytes:?}");
    }

    #[test]
    fn lines_of_pairs_are_trimmed_and_split_at_the_first_equals_sign() {
        check("A=1\nB=x=y\n", &pairs(&[("A", "1"), ("B", "x=y")]));
        check(
            "  A = 1 \r\n\r\n# note=1\nB=",
            &pairs(&[("A", "1"), ("B", "")]),
        );
        check("A=1\nA=2\n", &pairs(&[("A", "2")]));
        check(
            "A=\"1\"\nexport B=2",
            &pairs(&[("A", "\"1\""), ("export B", "2")]),
        );
    }

    #[test]
    fn lines_without_an_equals_sign_are_a_list() {
        check("one\n  two  \n#three\n\none", &list(&["one", "two", "one"]));
    }

    #[test]
    fn a_file_without_words_is_empty() {
        for text in [
            "",
            "\n \n",
            "# only a note",
            "\u{feff}",
            "[]",
            "[\"\", \"  \"]",
        ] {
            check(text, &KeyValueFile::Empty);
        }
    }

    #[test]
    fn json_objects_keep_their_values_verbatim() {
        check(
            "{\"A\": \" 1 \", \"B\": \"#\"}",
            &pairs(&[("A", " 1 "), ("B", "#")]),
        );
        check("\u{feff} {\"A\": [\"1\", \"2\"]}", &pairs(&[("A", "2")]));
        check("{\"A\": \"1\", \"A\": \"2\"}", &pairs(&[("A", "2")]));
        check("{\"A\": [], \"B\": \"1\"}", &pairs(&[("B", "1")]));
        check("{\"A\": \"1\", \"A\": []}", &pairs(&[]));
        check("{}", &pairs(&[]));
    }

    #[test]
    fn json_arrays_are_words() {
        check("[\" a \", \"\", \"b\"]", &list(&["a", "b"]));
        check("[\"A = 1\", \"A=2 \"]", &pairs(&[("A", "2")]));
        check("[\"#a\"]", &list(&["#a"]));
    }

    #[test]
    fn errors_name_the_word() {
        check_error(
            b"A=1\nplain",
            "\"A=1\" is KEY=VALUE but \"plain\" is not: a file holds one kind only",
        );
        check_error(b"=1", "\"=1\" has no key before the `=`");
        check_error(b"{\"\": \"1\"}", "\"\" has no key before the `=`");
        check_error(b"[1]", "not a JSON array of strings");
        check_error(
            b"{\"A\": 1}",
            "not a JSON object of strings or lists of strings",
        );
        check_error(b"{} {}", "not a JSON object of strings or lists of strings");
        check_error(b"A=\xff", "not UTF-8 text");
    }

    #[test]
    fn a_list_is_refused_where_pairs_are_needed() {
        let error = KeyValueFile::parse_pairs(b"one\ntwo").unwrap_err();
        assert_eq!(error.to_string(), "\"one\" is not KEY=VALUE");
        assert_eq!(KeyValueFile::parse_pairs(b"").unwrap(), BTreeMap::new());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_a_file_or_an_error(bytes in proptest::collection::vec(0_u8.., 0..40)) {
            let _ = KeyValueFile::parse(&bytes);
        }

        #[test]
        fn an_object_gives_back_what_was_put_in(
            expected in proptest::collection::btree_map("\\PC{1,8}", "\\PC{0,8}", 0..6)
        ) {
            let text = serde_json::to_string(&expected).unwrap();
            let actual = KeyValueFile::parse_pairs(text.as_bytes()).unwrap();
            proptest::prop_assert_eq!(actual, expected);
        }

        #[test]
        fn lines_and_array_of_the_same_words_are_the_same_file(
            words in proptest::collection::vec("[a-z=]{1,6}", 0..6)
        ) {
            let lines = KeyValueFile::parse(words.join("\n").as_bytes());
            let array = serde_json::to_string(&words).unwrap();
            let array = KeyValueFile::parse(array.as_bytes());
            match (lines, array) {
                (Ok(lines), Ok(array)) => proptest::prop_assert_eq!(lines, array),
                (lines, array) => proptest::prop_assert!(lines.is_err() && array.is_err()),
            }
        }
    }
}
