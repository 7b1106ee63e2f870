//! Points in time as helpers write them: RFC 3339.

use std::time::{Duration, SystemTime};

/// Reads a time like `2026-11-24T18:00:00Z`, with a fraction and an offset where there are some.
///
/// The fraction is dropped: a credential may end a second early.
pub(crate) fn parse_rfc3339(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    let separators = [(4, b"-"), (7, b"-"), (13, b":"), (16, b":")];
    let has = |(at, one): (usize, &[u8; 1])| bytes.get(at) == Some(&one[0]);
    if !separators.into_iter().all(has) || !matches!(bytes.get(10)?, b'T' | b't' | b' ') {
        return None;
    }
    let year = number(bytes.get(0..4)?)?;
    let month = number(bytes.get(5..7)?).filter(|month| (1..=12).contains(month))?;
    let day = number(bytes.get(8..10)?).filter(|day| (1..=days_of(year, month)).contains(day))?;
    let hour = number(bytes.get(11..13)?).filter(|hour| *hour < 24)?;
    let minute = number(bytes.get(14..16)?).filter(|minute| *minute < 60)?;
    // A leap second counts as the one before it.
    let second = number(bytes.get(17..19)?)
        .filter(|second| *second <= 60)?
        .min(59);
    let offset = offset(skip_fraction(bytes.get(19..)?)?)?;
    let seconds =
        days_since_epoch(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - offset;
    let distance = Duration::from_secs(seconds.unsigned_abs());
    if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    }
}

fn number(digits: &[u8]) -> Option<i64> {
    let all_digits = digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok()?;
    all_digits.then(|| text.parse().ok()).flatten()
}

fn skip_fraction(rest: &[u8]) -> Option<&[u8]> {
    let Some(fraction) = rest.strip_prefix(b".") else {
        return Some(rest);
    };
    let digits = fraction
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    (digits > 0).then(|| &fraction[digits..])
}

/// Seconds to the east of Greenwich.
fn offset(text: &[u8]) -> Option<i64> {
    let sign = match text {
        b"Z" | b"z" => return Some(0),
        [b'+', ..] => 1,
        [b'-', ..] => -1,
        _ => return None,
    };
    if text.len() != 6 || text[3] != b':' {
        return None;
    }
    let hours = number(&text[1..3]).filter(|hours| *hours < 24)?;
    let minutes = number(&text[4..6]).filter(|minutes| *minutes < 60)?;
    Some(sign * (hours * 3600 + minutes * 60))
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1 January 1970 to a day of the Gregorian calendar, for years from 0 on.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let leap_days_before = |year: i64| {
        // The leap days of the years 0 to `year - 1`; the year 0 is one of them.
        let last = year - 1;
        if year == 0 {
            0
        } else {
            last / 4 - last / 100 + last / 400 + 1
        }
    };
    let years = year * 365 + leap_days_before(year) - (1970 * 365 + leap_days_before(1970));
    let months: i64 = (1..month).map(|month| days_of(year, month)).sum();
    years + months + day - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<i64> {
        let time = parse_rfc3339(text)?;
        let seconds = match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_secs()).unwrap(),
            Err(before) => -i64::try_from(before.duration().as_secs()).unwrap(),
        };
        Some(seconds)
    }

    #[test]
    fn times_are_seconds_since_1970() {
        let check = |text: &str, expected: i64| assert_eq!(seconds(text), Some(expected), "{text}");
        check("1970-01-01T00:00:00Z", 0);
        check("1969-12-31T23:59:59Z", -1);
        check("1970-01-01t00:00:01z", 1);
        check("1970-01-01 00:00:01Z", 1);
        check("2000-02-29T12:00:00Z", 951_825_600);
        check("2000-03-01T00:00:00Z", 951_868_800);
        check("2026-11-24T18:45:10Z", 1_795_545_910);
        check("2026-11-24T18:45:10.999999999Z", 1_795_545_910);
        check("2026-11-24T20:15:10+01:30", 1_795_545_910);
        check("2026-11-24T13:45:10-05:00", 1_795_545_910);
        check("2016-12-31T23:59:60Z", 1_483_228_799);
        check("0000-01-01T00:00:00Z", -62_167_219_200);
        check("9999-12-31T23:59:59Z", 253_402_300_799);
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "2026-11-24",
            "2026-11-24T18:45:10",
            "2026-11-24T18:45Z",
            "2026-13-24T18:45:10Z",
            "2026-02-29T18:45:10Z",
            "2026-11-31T18:45:10Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T18:60:10Z",
            "2026-11-24T18:45:61Z",
            "2026-11-24T18:45:10.Z",
            "2026-11-24T18:45:10+0100",
            "2026-11-24T18:45:10+01:00 ",
            "+026-11-24T18:45:10Z",
            "1795545910",
            "２０２６-11-24T18:45:10Z",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }
}
