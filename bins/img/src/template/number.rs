//! Numbers as Go reads and writes them.

use super::ast::Number;

/// Reads a constant. `None`: it is no number, or one that Go refuses.
pub(super) fn parse(text: &str) -> Option<Number> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let negative = text.starts_with('-');
    if !underscores_separate_digits(unsigned) {
        return None;
    }
    let digits = unsigned.replace('_', "");
    let lower = digits.to_ascii_lowercase();
    let (base, whole) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    if base != 10 && base != 8 || !lower.contains(['.', 'e']) {
        return parse_whole(whole, base, negative, text != unsigned);
    }
    let value: f64 = lower.parse().ok()?;
    value
        .is_finite()
        .then_some(Number::Float(if negative { -value } else { value }))
}

fn parse_whole(digits: &str, base: u32, negative: bool, signed: bool) -> Option<Number> {
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, base).ok()?;
    let value = if negative {
        0_i64.checked_sub_unsigned(magnitude)
    } else {
        i64::try_from(magnitude).ok()
    };
    match value {
        Some(value) => Some(Number::Int(value)),
        None if signed => None,
        None => Some(Number::TooLarge),
    }
}

fn underscores_separate_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.iter().enumerate().all(|(place, byte)| {
        *byte != b'_'
            || (place > 0
                && bytes[place - 1].is_ascii_alphanumeric()
                && bytes.get(place + 1).is_some_and(u8::is_ascii_hexdigit))
    })
}

/// Writes a number as `%e` does.
pub(super) fn exponential(value: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(digits) => format!("{value:.digits$e}"),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = split_exponent(&text);
    write_exponential(mantissa, exponent)
}

/// Writes a number as `%g` does: with an exponent where that is shorter. Without precision it has
/// the digits that it takes to read the same number back.
pub(super) fn general(value: f64, precision: Option<usize>) -> String {
    // The precision of %g counts all digits, and none means one.
    let digits = precision.map(|precision| precision.max(1));
    let text = match digits {
        Some(digits) => format!("{value:.*e}", digits - 1),
        None => format!("{value:e}"),
    };
    let (mantissa, exponent) = split_exponent(&text);
    let mantissa = without_trailing_zeros(mantissa);
    // "As short as possible" decides as six digits would.
    let limit = i32::try_from(digits.unwrap_or(6)).unwrap_or(i32::MAX);
    if exponent < -4 || exponent >= limit {
        return write_exponential(mantissa, exponent);
    }
    match digits {
        Some(digits) => {
            let places = i32::try_from(digits).unwrap_or(i32::MAX) - 1 - exponent;
            let places = usize::try_from(places).unwrap_or(0);
            without_trailing_zeros(&format!("{value:.places$}")).to_owned()
        }
        None => format!("{value}"),
    }
}

fn split_exponent(text: &str) -> (&str, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa, exponent.parse().unwrap_or(0))
}

fn write_exponential(mantissa: &str, exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
}

fn without_trailing_zeros(text: &str) -> &str {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_print_as_in_go() {
        let check = |value: f64, expected: [&str; 4]| {
            let actual = [
                general(value, None),
                general(value, Some(3)),
                general(value, Some(10)),
                general(value, Some(0)),
            ];
            assert_eq!(actual, expected);
        };
        check(100_000.0, ["100000", "1e+05", "100000", "1e+05"]);
        check(
            1_234_567.5,
            ["1.2345675e+06", "1.23e+06", "1234567.5", "1e+06"],
        );
        check(123_456.75, ["123456.75", "1.23e+05", "123456.75", "1e+05"]);
        check(0.0001, ["0.0001", "0.0001", "0.0001", "0.0001"]);
        check(0.000_01, ["1e-05", "1e-05", "1e-05", "1e-05"]);
        check(-2.5, ["-2.5", "-2.5", "-2.5", "-2"]);
        check(0.0, ["0", "0", "0", "0"]);
    }

    #[test]
    fn constants_are_read_as_in_go() {
        let check = |text: &str, expected| assert_eq!(parse(text), expected, "{text}");
        check("017", Some(Number::Int(15)));
        check("08", None);
        check("08.5", Some(Number::Float(8.5)));
        check("-0x_1F", Some(Number::Int(-31)));
        check("1__0", None);
        check("1_", None);
        check("-9223372036854775808", Some(Number::Int(i64::MIN)));
        check("9223372036854775808", Some(Number::TooLarge));
        check("18446744073709551616", None);
        check("1e999", None);
        check("1e", None);
        check("-", None);
        check(".5", Some(Number::Float(0.5)));
    }
}
