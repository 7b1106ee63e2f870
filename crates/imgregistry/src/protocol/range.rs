//! Ranges of bytes, in the four ways that they are written.
//!
//! | header | who | form | |
//! |---|---|---|---|
//! | `Range` | client, GET | `bytes=5-` | [RFC 9110, section 14.2][range] |
//! | `Content-Range` | server, 206 | `bytes 5-9/10` | [RFC 9110, section 14.4][content] |
//! | `Content-Range` | client, PATCH | `5-9` | [distribution-spec][chunk], without a unit |
//! | `Range` | server, upload | `0-9` | the same; some write `bytes=0-9`, and `0--1` when there is nothing |
//!
//! [range]: https://www.rfc-editor.org/rfc/rfc9110#section-14.2
//! [content]: https://www.rfc-editor.org/rfc/rfc9110#section-14.4
//! [chunk]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-in-chunks

use std::fmt;

/// The header that asks for a part of a blob.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::range::RequestRange;
///
/// assert_eq!(RequestRange::from_to(5, None).unwrap().to_string(), "bytes=5-");
/// assert_eq!(RequestRange::from_to(5, Some(10)).unwrap().to_string(), "bytes=5-9");
/// assert!(RequestRange::from_to(5, Some(5)).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestRange {
    start: u64,
    /// Behind the last byte.
    end: Option<u64>,
}

impl RequestRange {
    /// Asks for the bytes from `start` up to and without `end`; `None` when there is none between.
    pub fn from_to(start: u64, end: Option<u64>) -> Option<Self> {
        if end.is_some_and(|end| end <= start) {
            return None;
        }
        Some(Self { start, end })
    }

    /// Returns the first byte.
    pub fn start(&self) -> u64 {
        self.start
    }

    /// Returns the place behind the last byte; `None` is the end of the blob.
    pub fn end(&self) -> Option<u64> {
        self.end
    }
}

impl fmt::Display for RequestRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bytes={}-", self.start)?;
        match self.end {
            Some(end) => write!(f, "{}", end - 1),
            None => Ok(()),
        }
    }
}

/// Which bytes an answer with the status 206 holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ContentRange {
    /// The first byte.
    pub start: u64,
    /// Behind the last byte.
    pub end: u64,
    /// The size of the whole; `None` when the server does not say.
    pub size: Option<u64>,
}

impl ContentRange {
    /// Reads `Content-Range` of an answer.
    ///
    /// `None` for other units, for ranges that end before they start or behind the size, and for `bytes */10`, which is
    /// no range.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgregistry::protocol::range::ContentRange;
    ///
    /// let range = ContentRange::parse("bytes 5-9/10").unwrap();
    /// assert_eq!((range.start, range.end, range.size), (5, 10, Some(10)));
    /// assert!(ContentRange::parse("bytes 5-9/9").is_none());
    /// ```
    pub fn parse(header: &str) -> Option<Self> {
        let header = header.trim();
        let (unit, rest) = header.split_at_checked("bytes".len())?;
        if !unit.eq_ignore_ascii_case("bytes") || !rest.starts_with([' ', '\t', '=']) {
            return None;
        }
        let (range, size) = rest[1..].split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let start = number(first)?;
        let end = number(last)?.checked_add(1)?;
        let size = match size.trim() {
            "*" => None,
            size => Some(number(size)?),
        };
        let is_whole = start < end && size.is_none_or(|size| end <= size);
        is_whole.then_some(Self { start, end, size })
    }
}

/// Which bytes a chunk of an upload holds: printed for its header `Content-Range`, without a unit, which some registries
/// insist on.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::range::ChunkRange;
///
/// assert_eq!(ChunkRange::new(5, 5).unwrap().to_string(), "5-9");
/// assert!(ChunkRange::new(5, 0).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ChunkRange {
    start: u64,
    last: u64,
}

impl ChunkRange {
    /// Makes the range of so many bytes from a place on; `None` without any.
    pub fn new(start: u64, length: u64) -> Option<Self> {
        let last = start.checked_add(length.checked_sub(1)?)?;
        Some(Self { start, last })
    }
}

impl fmt::Display for ChunkRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.start, self.last)
    }
}

/// Reads the header `Range` of an answer about an upload: how many bytes the registry has.
///
/// `0-9` and `bytes=0-9` are ten. `0--1` is none. `0-0` is one byte or, with registries that cannot say "none", none:
/// the caller knows which when it has sent nothing. `None` when the header says nothing that is known.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::range::uploaded;
///
/// assert_eq!(uploaded("0-9"), Some(10));
/// assert_eq!(uploaded("bytes=0-9"), Some(10));
/// assert_eq!(uploaded("0--1"), Some(0));
/// assert_eq!(uploaded("5-9"), None);
/// ```
pub fn uploaded(header: &str) -> Option<u64> {
    let header = header.trim();
    let range = match header.split_at_checked("bytes".len()) {
        Some((unit, rest)) if unit.eq_ignore_ascii_case("bytes") => {
            rest.trim_start().strip_prefix('=').unwrap_or(rest)
        }
        _ => header,
    };
    let (first, last) = range.trim().split_once('-')?;
    if number(first)? != 0 {
        return None;
    }
    if last.trim() == "-1" {
        return Some(0);
    }
    number(last)?.checked_add(1)
}

/// Reads `OCI-Chunk-Min-Length`: the least length of a chunk that is not the last one.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::range::chunk_minimum;
///
/// assert_eq!(chunk_minimum("5242880"), Some(5 << 20));
/// assert_eq!(chunk_minimum("much"), None);
/// ```
pub fn chunk_minimum(header: &str) -> Option<u64> {
    number(header)
}

/// Digits only: `+5` is no number of a header.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_registry_has_is_read_in_every_form() {
        for (header, expected) in [
            ("0-9", Some(10)),
            ("bytes=0-9", Some(10)),
            ("BYTES=0-9", Some(10)),
            ("bytes 0-9", Some(10)),
            (" 0 - 9 ", Some(10)),
            ("0-0", Some(1)),
            ("0--1", Some(0)),
            ("bytes=0--1", Some(0)),
            ("0-18446744073709551615", None),
            ("0-18446744073709551614", Some(u64::MAX)),
            ("0-99999999999999999999", None),
            ("5-9", None),
            ("0-", None),
            ("0--2", None),
            ("-9", None),
            ("9", None),
            ("", None),
            ("bytes=", None),
            ("0-9,20-29", None),
            ("0-+9", None),
            ("é", None),
        ] {
            assert_eq!(uploaded(header), expected, "{header}");
        }
    }

    #[test]
    fn the_range_of_an_answer_is_read() {
        let range = |start, end, size| Some(ContentRange { start, end, size });
        for (header, expected) in [
            ("bytes 0-9/10", range(0, 10, Some(10))),
            ("Bytes 5-9/*", range(5, 10, None)),
            ("bytes=5-9/10", range(5, 10, Some(10))),
            ("bytes 5-5/100", range(5, 6, Some(100))),
            ("bytes 9-5/10", None),
            ("bytes 5-10/10", None),
            ("bytes */10", None),
            ("bytes 5-9", None),
            ("bytes5-9/10", None),
            ("items 5-9/10", None),
            ("bytes 0-18446744073709551615/*", None),
            ("", None),
            ("bytés 0-1/2", None),
        ] {
            assert_eq!(ContentRange::parse(header), expected, "{header}");
        }
    }

    #[test]
    fn a_chunk_beyond_all_numbers_has_no_range() {
        assert_eq!(
            ChunkRange::new(u64::MAX, 1).unwrap().to_string(),
            format!("{0}-{0}", u64::MAX)
        );
        assert_eq!(ChunkRange::new(u64::MAX, 2), None);
    }

    proptest! {
        #[test]
        fn a_chunk_that_begins_at_zero_is_what_the_registry_has_then(length in 1_u64..) {
            let chunk = ChunkRange::new(0, length).unwrap().to_string();
            prop_assert_eq!(uploaded(&chunk), Some(length));
        }

        #[test]
        fn any_text_is_read_without_panic(text in ".{0,20}|(bytes)?[ =]?[0-9*/ -]{0,20}") {
            uploaded(&text);
            chunk_minimum(&text);
            if let Some(range) = ContentRange::parse(&text) {
                prop_assert!(range.start < range.end);
            }
        }
    }
}
