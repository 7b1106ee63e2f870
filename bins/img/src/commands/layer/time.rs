//! Times of RFC 3339, section 5.6.
//!
//! ```text
//! date-time = year "-" month "-" day ( "T" | "t" ) hour ":" minute ":" second [ "." 1*DIGIT ]
//!             ( "Z" | "z" | ( "+" | "-" ) hour ":" minute )
//! ```

use imgtar::Timestamp;

/// Reads a time; digits of the fraction beyond nanoseconds are dropped.
pub(super) fn parse(text: &str) -> Option<Timestamp> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't'])?;
    let (time, rest) = rest.split_at_checked(8)?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let (nanos, offset) = fraction(rest)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_since_epoch(year, month, day)?;
    let secs = days * 86_400 + hour * 3_600 + minute * 60 + second - offset_seconds(offset)?;
    Some(Timestamp { secs, nanos })
}

fn numbers(text: &str, separator: char, lengths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let mut values = [0; 3];
    for (value, length) in values.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length)?;
        *value = digits(part)?;
    }
    parts.next().is_none().then_some(values)
}

fn digits(text: &str) -> Option<i64> {
    let all_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    all_digits.then(|| text.parse().ok())?
}

/// Splits `.123Z` into nanoseconds and the offset's text.
fn fraction(text: &str) -> Option<(u32, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let (fraction, offset) = rest.split_at(length);
    let kept = &fraction[..length.min(9)];
    let scale = 10_i64.pow(9 - u32::try_from(kept.len()).ok()?);
    Some((u32::try_from(digits(kept)? * scale).ok()?, offset))
}

fn offset_seconds(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.chars().next()? {
        '+' => 1,
        '-' => -1,
        _ => return None,
    };
    let (hour, minute) = text[1..].split_once(':')?;
    let (hour, minute) = (two_digits(hour)?, two_digits(minute)?);
    (hour <= 23 && minute <= 59).then_some(sign * (hour * 3_600 + minute * 60))
}

fn two_digits(text: &str) -> Option<i64> {
    digits(text).filter(|_| text.len() == 2)
}

/// Counts days in the proleptic Gregorian calendar; `None` for a day that does not exist.
fn days_since_epoch(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => return None,
    };
    if !(1..=length).contains(&day) {
        return None;
    }
    // Years that start in March have their leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let month = (month + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    Some(
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
            - 719_468,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_rfc_3339_says() {
        let check = |text: &str, expected: Option<(i64, u32)>| {
            let time = parse(text).map(|time| (time.secs, time.nanos));
            assert_eq!(time, expected, "{text}");
        };
        check("1970-01-01T00:00:00Z", Some((0, 0)));
        check("2031-05-06T07:08:09Z", Some((1_935_817_689, 0)));
        check("2031-05-06t07:08:09z", Some((1_935_817_689, 0)));
        check("2031-05-06T07:08:09.5Z", Some((1_935_817_689, 500_000_000)));
        check(
            "2031-05-06T07:08:09.1234567899Z",
            Some((1_935_817_689, 123_456_789)),
        );
        check("2031-05-06T09:08:09+02:00", Some((1_935_817_689, 0)));
        check("2031-05-06T05:38:09-01:30", Some((1_935_817_689, 0)));
        check("1969-12-31T23:59:59Z", Some((-1, 0)));
        check("2024-02-29T00:00:00Z", Some((1_709_164_800, 0)));
        check("0001-01-01T00:00:00Z", Some((-62_135_596_800, 0)));
        check("0000-01-01T00:00:00Z", Some((-62_167_219_200, 0)));
        check("9999-12-31T23:59:59Z", Some((253_402_300_799, 0)));
        check("2023-02-29T00:00:00Z", None);
        check("2100-02-29T00:00:00Z", None);
        check("2031-13-01T00:00:00Z", None);
        check("2031-00-01T00:00:00Z", None);
        check("2031-05-06T24:00:00Z", None);
        check("2031-05-06T07:08:09", None);
        check("2031-05-06T07:08:09.Z", None);
        check("2031-05-06 07:08:09Z", None);
        check("2031-05-06T07:08:09+0200", None);
        check("2031-05-06T07:08:09+2:00", None);
        check("2031-5-6T07:08:09Z", None);
        check("2031-05-06T07:08:09Zx", None);
        check("２031-05-06T07:08:09Z", None);
        check("", None);
    }
}
