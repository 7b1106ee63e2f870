//! The headers that say which bytes are meant.

use std::ops::Range;

use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderName, RANGE};

/// Which bytes of a blob a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of them: nothing else is asked for, or something that this server need not understand.
    All,
    /// Some of them; never none.
    Part(Range<u64>),
    /// None that there are.
    Nothing,
}

/// Reads the `Range` header of a request for `size` bytes (RFC 9110, section 14.2).
pub(super) fn wanted(headers: &HeaderMap, size: u64) -> Wanted {
    let Some(text) = only(headers, &RANGE) else {
        return Wanted::All;
    };
    let Some(spec) = text.trim().strip_prefix("bytes=") else {
        return Wanted::All;
    };
    // Several ranges would be an answer of several parts, which nobody asks a registry for.
    let Some((first, last)) = spec.split_once('-') else {
        return Wanted::All;
    };
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.trim().is_empty() => first..size,
        (None, Some(length)) if first.trim().is_empty() => size.saturating_sub(length)..size,
        _ => return Wanted::All,
    };
    if range.start >= range.end {
        return Wanted::Nothing;
    }
    Wanted::Part(range)
}

/// Reads where the bytes of an upload belong: `<first>-<last>`, both included. Some clients write it as HTTP has it,
/// with `bytes` in front and a size behind.
pub(super) fn chunk(headers: &HeaderMap) -> Result<Option<Range<u64>>, Unreadable> {
    if !headers.contains_key(CONTENT_RANGE) {
        return Ok(None);
    }
    let text = only(headers, &CONTENT_RANGE);
    text.and_then(chunk_of).map(Some).ok_or(Unreadable)
}

fn chunk_of(text: &str) -> Option<Range<u64>> {
    let text = text.trim();
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let text = text.split_once('/').map_or(text, |(range, _)| range);
    let (first, last) = text.split_once('-')?;
    let (first, end) = (number(first)?, number(last)?.checked_add(1)?);
    (first < end).then_some(first..end)
}

/// Reads how many bytes a body has.
pub(super) fn length(headers: &HeaderMap) -> Result<Option<u64>, Unreadable> {
    if !headers.contains_key(CONTENT_LENGTH) {
        return Ok(None);
    }
    let text = only(headers, &CONTENT_LENGTH);
    text.and_then(number).map(Some).ok_or(Unreadable)
}

/// A header that does not say what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.any(|other| other != value) {
        return None;
    }
    value.to_str().ok()
}

fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // What does not fit lies behind the end of everything.
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let values = values
            .iter()
            .map(|value| (name.clone(), value.parse().unwrap()));
        values.collect()
    }

    #[test]
    fn ranges_are_read_as_http_has_them() {
        let check = |text: &str, expected: Wanted| {
            let found = wanted(&headers(&RANGE, &[text]), 2048);
            assert_eq!(found, expected, "{text}");
        };
        check("bytes=0-0", Wanted::Part(0..1));
        check("bytes=500-1499", Wanted::Part(500..1500));
        check("bytes=500-", Wanted::Part(500..2048));
        check("bytes=-500", Wanted::Part(1548..2048));
        check("bytes=-5000", Wanted::Part(0..2048));
        check("bytes=2000-5000", Wanted::Part(2000..2048));
        check("bytes=0-99999999999999999999999", Wanted::Part(0..2048));
        check("bytes= 1 - 2 ", Wanted::Part(1..3));
        check("bytes=500-0", Wanted::Nothing);
        check("bytes=2048-", Wanted::Nothing);
        check("bytes=5000-10000", Wanted::Nothing);
        check("bytes=99999999999999999999999-", Wanted::Nothing);
        check("bytes=-0", Wanted::Nothing);
        for other in ["", "bytes", "bytes=", "bytes=-", "lines=1-2", "bytes=a-b"] {
            check(other, Wanted::All);
        }
        for other in ["bytes=0-1,3-4", "bytes=+1-2", "bytes=--1", "bytes=1-2-3"] {
            check(other, Wanted::All);
        }
        let two = headers(&RANGE, &["bytes=0-1", "bytes=1-2"]);
        assert_eq!(wanted(&two, 10), Wanted::All);
        assert_eq!(wanted(&HeaderMap::new(), 10), Wanted::All);
        assert_eq!(wanted(&headers(&RANGE, &["bytes=0-"]), 0), Wanted::Nothing);
    }

    #[test]
    fn chunks_say_where_they_belong() {
        let check = |text: &str, expected: Option<Range<u64>>| {
            let found = chunk(&headers(&CONTENT_RANGE, &[text]));
            assert_eq!(found, expected.map(Some).ok_or(Unreadable), "{text}");
        };
        check("0-1023", Some(0..1024));
        check("1024-1024", Some(1024..1025));
        check("bytes 5-9/10", Some(5..10));
        check("bytes 5-9/*", Some(5..10));
        for broken in ["", "5", "9-5", "a-b", "-5", "5-", "0-18446744073709551615"] {
            check(broken, None);
        }
        assert_eq!(chunk(&HeaderMap::new()), Ok(None));
    }

    #[test]
    fn a_length_is_a_number_or_refused() {
        let check = |values: &[&str], expected| {
            assert_eq!(length(&headers(&CONTENT_LENGTH, values)), expected);
        };
        check(&["12"], Ok(Some(12)));
        check(&["12", "12"], Ok(Some(12)));
        check(&["12", "13"], Err(Unreadable));
        check(&["-1"], Err(Unreadable));
        assert_eq!(length(&HeaderMap::new()), Ok(None));
    }
}
