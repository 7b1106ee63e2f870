//! Points in time, as documents spell them.

use super::invalid;
use crate::Error;

/// Returns the one spelling of a point in time: RFC 3339 with the offset that it has, `Z` for an offset of zero, and a
/// fraction of at most nine digits without zeros at its end.
///
/// # Examples
///
/// ```
/// use imgcore::assemble::canonical_timestamp;
///
/// assert_eq!(canonical_timestamp("2031-05-06T07:08:09.500+02:00")?, "2031-05-06T07:08:09.5+02:00");
/// assert_eq!(canonical_timestamp("2031-05-06T07:08:09.000-00:00")?, "2031-05-06T07:08:09Z");
/// # Ok::<(), imgcore::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) when the text is no date and time of [RFC 3339] (section
/// 5.6, with upper-case `T` and `Z`), or names a day or an hour that does not exist. Leap seconds are none here.
///
/// [RFC 3339]: https://www.rfc-editor.org/rfc/rfc3339#section-5.6
pub fn canonical_timestamp(text: &str) -> Result<String, Error> {
    parse(text).ok_or_else(|| {
        invalid(format!(
            "{text:?} is no RFC 3339 time such as 2031-05-06T07:08:09Z"
        ))
    })
}

fn parse(text: &str) -> Option<String> {
    let (seconds, rest) = text.split_at_checked("2031-05-06T07:08:09".len())?;
    check_seconds(seconds.as_bytes())?;
    let (fraction, offset) = match rest.strip_prefix('.') {
        None => ("", rest),
        Some(rest) => {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            if digits == 0 {
                return None;
            }
            rest.split_at(digits)
        }
    };
    let fraction = fraction.get(..9).unwrap_or(fraction).trim_end_matches('0');
    let dot = if fraction.is_empty() { "" } else { "." };
    Some(format!(
        "{seconds}{dot}{fraction}{}",
        canonical_offset(offset)?
    ))
}

fn check_seconds(text: &[u8]) -> Option<()> {
    for (at, separator) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if text[at] != separator {
            return None;
        }
    }
    let year = number(&text[..4])?;
    let month = number(&text[5..7])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    let exists = (1..=days).contains(&number(&text[8..10])?)
        && number(&text[11..13])? < 24
        && number(&text[14..16])? < 60
        && number(&text[17..19])? < 60;
    exists.then_some(())
}

fn canonical_offset(text: &str) -> Option<&str> {
    if text == "Z" {
        return Some(text);
    }
    let [b'+' | b'-', hours @ .., b':', tens, units] = text.as_bytes() else {
        return None;
    };
    let minutes = number(&[*tens, *units])?;
    if hours.len() != 2 || number(hours)? >= 24 || minutes >= 60 {
        return None;
    }
    let is_utc = number(hours)? == 0 && minutes == 0;
    Some(if is_utc { "Z" } else { text })
}

fn number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |value, digit| {
        Some(value * 10 + char::from(*digit).to_digit(10)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(canonical_timestamp(text).unwrap(), expected);
    }

    #[test]
    fn times_have_one_spelling() {
        check("2031-05-06T07:08:09Z", "2031-05-06T07:08:09Z");
        check("2031-05-06T07:08:09+00:00", "2031-05-06T07:08:09Z");
        check(
            "2031-05-06T07:08:09.120-03:30",
            "2031-05-06T07:08:09.12-03:30",
        );
        check(
            "2031-05-06T07:08:09.1234567899Z",
            "2031-05-06T07:08:09.123456789Z",
        );
        check("2031-05-06T07:08:09.0000000009Z", "2031-05-06T07:08:09Z");
        check("2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z");
        check("0001-01-01T23:59:59Z", "0001-01-01T23:59:59Z");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2031-05-06",
            "2031-05-06T07:08:09",
            "2031-05-06 07:08:09Z",
            "2031-05-06T07:08:09z",
            "2031-05-06T07:08:09.Z",
            "2031-05-06T07:08:09,5Z",
            "2031-05-06T07:08:09+0200",
            "2031-05-06T07:08:09+24:00",
            "2031-05-06T07:08:09+02:60",
            "2031-05-06T07:08:09++2:00",
            "2031-02-29T07:08:09Z",
            "1900-02-29T07:08:09Z",
            "2031-04-31T07:08:09Z",
            "2031-13-01T07:08:09Z",
            "2031-00-01T07:08:09Z",
            "2031-01-00T07:08:09Z",
            "2031-01-01T24:00:00Z",
            "2031-01-01T00:60:00Z",
            "2031-01-01T00:00:60Z",
            "2031-05-06T07:08:0é",
            "+031-05-06T07:08:09Z",
        ] {
            let error = canonical_timestamp(text).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
            assert_eq!(
                error.to_string(),
                format!("{text:?} is no RFC 3339 time such as 2031-05-06T07:08:09Z")
            );
        }
    }
}
