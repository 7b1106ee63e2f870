//! The functions that Go does not have: `KEY=VALUE` lists and times.

use super::value::{Element, Value};

/// The value of the first `KEY=…` of a list; nothing if there is none, or no list.
pub(super) fn get(list: &Value, key: &str) -> String {
    let Value::List(list) = list else {
        return String::new();
    };
    let found = list.items.iter().find_map(|item| match item {
        Value::Text(pair) => pair.strip_prefix(key)?.strip_prefix('='),
        _ => None,
    });
    found.unwrap_or_default().to_owned()
}

/// Puts the texts of a list that `split` made behind each other.
pub(super) fn join(list: &Value, separator: &str) -> Result<String, String> {
    match list {
        Value::List(list) if list.element == Element::Text => {
            let texts: Vec<&str> = list
                .items
                .iter()
                .map(|item| match item {
                    Value::Text(text) => text,
                    _ => "",
                })
                .collect();
            Ok(texts.join(separator))
        }
        // Nothing at all is an empty list; a null from JSON is not.
        Value::Missing => Ok(String::new()),
        Value::List(_) => Err("join takes a list that split made, not one from JSON".to_owned()),
        other => Err(format!(
            "join takes a list, not a value of type {}",
            other.type_name()
        )),
    }
}

/// Writes seconds since 1970, a number or a text, as a time. Nothing stays nothing.
pub(super) fn rfc3339(value: &Value) -> Result<String, String> {
    let seconds = match value {
        Value::Missing | Value::Null => return Ok(String::new()),
        Value::Text(text) if text.is_empty() => return Ok(String::new()),
        Value::Text(text) => text
            .parse()
            .map_err(|_| format!("{text:?} is no number of seconds"))?,
        Value::Int(seconds) => *seconds,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "parts of a second are dropped, and what is too large is refused below"
        )]
        Value::Float(seconds) => *seconds as i64,
        other => return Err(format!("a value of type {} is no time", other.type_name())),
    };
    time_text(seconds).ok_or_else(|| format!("{seconds} seconds are outside the years 0 to 9999"))
}

/// Writes seconds since 1970 as RFC 3339 in UTC. `None`: not a year of four digits.
pub(crate) fn time_text(seconds: i64) -> Option<String> {
    const DAY: i64 = 24 * 60 * 60;
    let (year, month, day) = date(seconds.div_euclid(DAY))?;
    let rest = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (rest / 3600, rest / 60 % 60, rest % 60);
    Some(format!(
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
    ))
}

/// The date of a day, counted from 1 January 1970.
fn date(day: i64) -> Option<(i64, i64, i64)> {
    // Counting years from 1 March puts the leap day at the end of the year, so the months before
    // it have fixed lengths; 400 years always have the same number of days.
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let since_march_of_0 = day.checked_add(719_468)?;
    let era = since_march_of_0.div_euclid(DAYS_OF_400_YEARS);
    let day_of_era = since_march_of_0.rem_euclid(DAYS_OF_400_YEARS);
    let leap_days = day_of_era / 1460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leap_days) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (0..=9999).contains(&year).then_some((year, month, day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_times() {
        let check = |seconds, expected: Option<&str>| {
            assert_eq!(time_text(seconds).as_deref(), expected, "{seconds}");
        };
        check(0, Some("1970-01-01T00:00:00Z"));
        check(951_782_400, Some("2000-02-29T00:00:00Z"));
        check(-1, Some("1969-12-31T23:59:59Z"));
        check(253_402_300_799, Some("9999-12-31T23:59:59Z"));
        check(253_402_300_800, None);
        check(-62_167_219_200, Some("0000-01-01T00:00:00Z"));
        check(-62_167_219_201, None);
        check(i64::MAX, None);
        check(i64::MIN, None);
    }
}
