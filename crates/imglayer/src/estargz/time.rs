//! Times as the TOC has them.

use std::fmt;
use std::ops::RangeInclusive;

use imgtar::Timestamp;

/// A time in UTC and whole seconds.
pub(super) struct Rfc3339 {
    /// Seconds since the epoch.
    secs: i64,
}

impl Rfc3339 {
    /// Rounds a time to whole seconds. `None` for one that RFC 3339 cannot say, and for the epoch, which stands for an
    /// unknown time in the TOC: readers take it for what is not there.
    pub(super) fn of(time: Timestamp) -> Option<Self> {
        /// 0000-01-01T00:00:00Z to 9999-12-31T23:59:59Z: years have four digits.
        const RANGE: RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;
        let secs = (time.secs).saturating_add(i64::from(time.nanos >= 500_000_000));
        (secs != 0 && RANGE.contains(&secs)).then_some(Self { secs })
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.secs.div_euclid(86_400));
        let second = self.secs.rem_euclid(86_400);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(
            f,
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"
        )
    }
}

/// Returns the date of a day counted from the epoch, in the Gregorian calendar.
fn date(day: i64) -> (i64, i64, i64) {
    // Years start in March here, so that leap days end them, and eras of 400 years at 0000-03-01.
    const DAYS_BEFORE_EPOCH: i64 = 719_468;
    const ERA: i64 = 146_097;
    let day = day + DAYS_BEFORE_EPOCH;
    let (era, day) = (day.div_euclid(ERA), day.rem_euclid(ERA));
    // Leap days every 4 years (1460 days), none every 100 (36524), and one more every 400.
    let year = (day - day / 1460 + day / 36_524 - day / (ERA - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    // Five months from March on have 153 days, and again.
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_whole_seconds_of_utc() {
        let check = |secs, nanos, expected: &str| {
            let text = Rfc3339::of(Timestamp { secs, nanos }).map(|time| time.to_string());
            assert_eq!(text.unwrap_or_default(), expected, "{secs} {nanos}");
        };
        check(0, 0, "");
        check(0, 499_999_999, "");
        check(-1, 500_000_000, "");
        check(0, 500_000_000, "1970-01-01T00:00:01Z");
        check(1_700_000_000, 5, "2023-11-14T22:13:20Z");
        check(951_782_400, 0, "2000-02-29T00:00:00Z");
        check(951_868_799, 999_999_999, "2000-03-01T00:00:00Z");
        check(-1, 0, "1969-12-31T23:59:59Z");
        check(4_107_542_399, 0, "2100-02-28T23:59:59Z");
        check(4_107_542_400, 0, "2100-03-01T00:00:00Z");
        check(253_402_300_799, 0, "9999-12-31T23:59:59Z");
        check(253_402_300_799, 500_000_000, "");
        check(-62_167_219_200, 0, "0000-01-01T00:00:00Z");
        check(-62_167_219_201, 0, "");
        check(i64::MAX, 999_999_999, "");
        check(i64::MIN, 0, "");
    }
}
