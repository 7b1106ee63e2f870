//! Numbers as Go reads and writes them.

use super::ast::Number;

/// The bits behind the point of a number's mantissa.
const FRACTION_BITS: u32 = 52;

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

/// Writes a number as `%x` does: the digits of its mantissa in base 16, and a power of two.
pub(super) fn hexadecimal(value: f64, precision: Option<usize>) -> String {
    let bits = value.to_bits();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let mut mantissa = bits & ((1 << FRACTION_BITS) - 1);
    let mut exponent = i32::try_from(bits >> FRACTION_BITS & 0x7ff).unwrap_or(0) - 1023;
    if exponent == -1023 {
        // Below the smallest normal number the first bit is not implied; zero has none at all.
        exponent = if mantissa == 0 { 0 } else { -1022 };
        while mantissa != 0 && mantissa >> FRACTION_BITS == 0 {
            mantissa <<= 1;
            exponent -= 1;
        }
    } else {
        mantissa |= 1 << FRACTION_BITS;
    }
    let mut digits = FRACTION_BITS as usize / 4;
    if let Some(wanted) = precision.filter(|wanted| *wanted < digits) {
        let dropped = 4 * (digits - wanted);
        let half = 1 << (dropped - 1);
        let rest = mantissa & ((1 << dropped) - 1);
        mantissa >>= dropped;
        mantissa += u64::from(rest > half || (rest == half && mantissa & 1 == 1));
        digits = wanted;
        if mantissa >> (4 * digits) > 1 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let first = mantissa >> (4 * digits);
    let rest = mantissa & ((1 << (4 * digits)) - 1);
    let mut fraction = format!("{rest:0digits$x}");
    match precision {
        None => fraction.truncate(fraction.trim_end_matches('0').len()),
        Some(0) => fraction.clear(),
        Some(wanted) => fraction.extend(std::iter::repeat_n('0', wanted - digits)),
    }
    let point = if fraction.is_empty() { "" } else { "." };
    let exponent_sign = if exponent < 0 { '-' } else { '+' };
    let exponent = exponent.unsigned_abs();
    format!("{sign}0x{first}{point}{fraction}p{exponent_sign}{exponent:02}")
}

/// Writes a number as `%b` does: its mantissa as a whole number, and a power of two.
pub(super) fn binary(value: f64) -> String {
    let bits = value.to_bits();
    let sign = if value.is_sign_negative() { "-" } else { "" };
    let fraction = bits & ((1 << FRACTION_BITS) - 1);
    let (mantissa, exponent) = match i32::try_from(bits >> FRACTION_BITS & 0x7ff).unwrap_or(0) {
        0 => (fraction, 1 - 1075),
        biased => (fraction | 1 << FRACTION_BITS, biased - 1075),
    };
    format!("{sign}{mantissa}p{exponent:+}")
}

/// Gives a number a point, and zeros up to a number of digits.
pub(super) fn with_point(text: &str, digits: usize) -> String {
    let (mantissa, exponent) = match text.find('e') {
        Some(place) => text.split_at(place),
        None => (text, ""),
    };
    let shown = mantissa.trim_start_matches(['-', '0', '.']);
    let mut significant = shown.bytes().filter(u8::is_ascii_digit).count();
    let mut mantissa = mantissa.to_owned();
    if !mantissa.contains('.') {
        significant += usize::from(mantissa.trim_start_matches('-') == "0");
        mantissa.push('.');
    }
    mantissa.extend(std::iter::repeat_n('0', digits.saturating_sub(significant)));
    mantissa + exponent
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
