//! How long a server wants to be left alone, in every form that servers say it in.

use std::time::{Duration, SystemTime};

/// The longest wait that a server can ask for; more is read as this much.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Reads `Retry-After`: seconds, or a date ([RFC 9110, section 10.2.3][rfc]).
///
/// A date that is past is no wait; a number too large to be one is the longest; anything else is `None`.
///
/// [rfc]: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3
///
/// # Examples
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use imgregistry::protocol::retry::retry_after;
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777);
/// assert_eq!(retry_after("Sun, 06 Nov 1994 08:50:00 GMT", now), Some(Duration::from_secs(23)));
/// assert_eq!(retry_after("soon", now), None);
/// ```
pub fn retry_after(header: &str, now: SystemTime) -> Option<Duration> {
    let header = header.trim();
    if let Ok(date) = httpdate::parse_http_date(header) {
        let wait = date.duration_since(now).unwrap_or(Duration::ZERO);
        return Some(wait.min(LONGEST));
    }
    let (whole, fraction) = header.split_once('.').unwrap_or((header, "0"));
    if !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let seconds = whole.parse().unwrap_or(u64::MAX);
    let round_up = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    Some(Duration::from_secs(seconds.saturating_add(round_up)).min(LONGEST))
}

/// Reads the hint in the text of GHCR's answers: `retry-after: 880.092µs, allowed: 44000/minute`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use imgregistry::protocol::retry::body_hint;
///
/// let body = "too many requests: retry-after: 1m0.5s, allowed: 44000/minute";
/// assert_eq!(body_hint(body), Some(Duration::from_millis(60_500)));
/// ```
pub fn body_hint(body: &str) -> Option<Duration> {
    const NAME: &str = "retry-after:";
    let at = body
        .char_indices()
        .find(|(at, _)| {
            body.get(*at..at + NAME.len())
                .is_some_and(|text| text.eq_ignore_ascii_case(NAME))
        })?
        .0;
    let value = body[at + NAME.len()..]
        .trim_start()
        .split(|it: char| it == ',' || it == '"' || it.is_whitespace())
        .next()?;
    duration(value)
}

/// Reads a duration as Go writes it: `1h2m3.5s`, `880.092µs`.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut all = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|it: char| !it.is_ascii_digit() && it != '.')?;
        let (number, behind) = rest.split_at(end);
        let end = behind
            .find(|it: char| it.is_ascii_digit() || it == '.')
            .unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            // The micro sign and the Greek letter both occur.
            "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        all += number.parse::<f64>().ok()? * seconds;
        rest = behind;
    }
    if text.is_empty() {
        return None;
    }
    Some(
        Duration::try_from_secs_f64(all)
            .unwrap_or(LONGEST)
            .min(LONGEST),
    )
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
