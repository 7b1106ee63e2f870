//! One 512-byte header block: where its fields are and how numbers stand in them.

use std::ops::Range;

use super::BLOCK_SIZE;

pub(crate) type Block = [u8; BLOCK_SIZE];

pub(crate) const NAME: Range<usize> = 0..100;
pub(crate) const MODE: Range<usize> = 100..108;
pub(crate) const UID: Range<usize> = 108..116;
pub(crate) const GID: Range<usize> = 116..124;
pub(crate) const SIZE: Range<usize> = 124..136;
pub(crate) const MTIME: Range<usize> = 136..148;
pub(crate) const CHECKSUM: Range<usize> = 148..156;
pub(crate) const TYPE_FLAG: usize = 156;
pub(crate) const LINK: Range<usize> = 157..257;
pub(crate) const MAGIC: Range<usize> = 257..265;
pub(crate) const USER_NAME: Range<usize> = 265..297;
pub(crate) const GROUP_NAME: Range<usize> = 297..329;
pub(crate) const DEVICE_MAJOR: Range<usize> = 329..337;
pub(crate) const DEVICE_MINOR: Range<usize> = 337..345;
pub(crate) const PREFIX: Range<usize> = 345..500;

/// Magic and version of POSIX.1-1988 and later.
pub(crate) const MAGIC_USTAR: [u8; 8] = *b"ustar\x0000";
/// Magic and version of GNU tar's older format.
pub(crate) const MAGIC_GNU: [u8; 8] = *b"ustar  \0";

/// Returns the largest number that an octal field of `width` bytes holds, its end being a NUL.
pub(crate) const fn octal_max(width: usize) -> u64 {
    (1 << (3 * (width - 1))) - 1
}

/// Writes `value` as octal digits that fill the field up to a final NUL.
///
/// A value that does not fit is written as zero: the PAX record beside it has the real one.
pub(crate) fn put_octal(field: &mut [u8], value: u64) {
    let mut rest = if value > octal_max(field.len()) {
        0
    } else {
        value
    };
    let digits = field.len() - 1;
    field[digits] = 0;
    for digit in field[..digits].iter_mut().rev() {
        *digit = b'0' + (rest & 7) as u8;
        rest >>= 3;
    }
}

/// Returns the header's sum: all bytes, with the checksum field itself taken as spaces.
///
/// The second number is the same over signed bytes, as some old writers had it.
pub(crate) fn checksum(block: &Block) -> (u64, i64) {
    let mut unsigned = 0;
    let mut signed = 0;
    for (index, &byte) in block.iter().enumerate() {
        let byte = if CHECKSUM.contains(&index) {
            b' '
        } else {
            byte
        };
        unsigned += u64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    (unsigned, signed)
}

/// Fills the checksum field in the form that all writers share: six digits, NUL, space.
pub(crate) fn put_checksum(block: &mut Block) {
    let (sum, _) = checksum(block);
    put_octal(&mut block[CHECKSUM.start..CHECKSUM.end - 1], sum);
    block[CHECKSUM.end - 1] = b' ';
}

/// Returns the bytes of a text field up to its first NUL.
pub(crate) fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// Reads a number in octal or base 256.
///
/// Octal may have spaces in front, and spaces and NULs behind; an empty field is 0. Base 256 is two's
/// complement in what is left of the field after its first bit.
pub(crate) fn number(field: &[u8]) -> Result<i64, String> {
    if field[0] & 0x80 != 0 {
        return base_256(field);
    }
    let digits = field.trim_ascii_start();
    let end = digits
        .iter()
        .position(|&byte| byte == b' ' || byte == 0)
        .unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    if rest.iter().any(|&byte| byte != b' ' && byte != 0) {
        return Err(format!(
            "has more than one number: \"{}\"",
            field.escape_ascii()
        ));
    }
    // Fields have at most 12 bytes, so 36 bits: the sum cannot overflow.
    digits.iter().try_fold(0, |sum, &digit| match digit {
        b'0'..=b'7' => Ok(sum << 3 | i64::from(digit - b'0')),
        _ => Err(format!(
            "is not an octal number: \"{}\"",
            field.escape_ascii()
        )),
    })
}

fn base_256(field: &[u8]) -> Result<i64, String> {
    // The second-highest bit is the sign; spread it over the marker bit.
    let first = (field[0] << 1).cast_signed() >> 1;
    let mut value = i128::from(first);
    for &byte in &field[1..] {
        value = value << 8 | i128::from(byte);
    }
    i64::try_from(value).map_err(|_| "overflows 64 bits".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_fields_are_padded_with_zeros_and_end_with_nul() {
        let check = |value, expected: &[u8]| {
            let mut field = [0xff; 8];
            put_octal(&mut field, value);
            assert_eq!(
                field.escape_ascii().to_string(),
                expected.escape_ascii().to_string()
            );
        };
        check(0, b"0000000\0");
        check(0o755, b"0000755\0");
        check(octal_max(8), b"7777777\0");
        check(octal_max(8) + 1, b"0000000\0");
    }

    #[test]
    fn numbers_are_read_in_every_form_that_writers_use() {
        let check = |field: &[u8], expected: Result<i64, &str>| {
            let actual = number(field);
            assert_eq!(
                actual.as_ref().map_err(String::as_str).copied(),
                expected,
                "{field:?}"
            );
        };
        check(b"0000644\0", Ok(0o644));
        check(b"   644 \0", Ok(0o644));
        check(b"00000644", Ok(0o644));
        check(b"\0\0\0\0\0\0\0\0", Ok(0));
        check(b"        ", Ok(0));
        check(b"77777777777\0", Ok(8 * 1024 * 1024 * 1024 - 1));
        check(b"\x80\0\0\0\0\0\0\x05", Ok(5));
        check(b"\xff\xff\xff\xff\xff\xff\xff\xff", Ok(-1));
        check(b"\xff\xff\xff\xff\xff\xff\xff\x00", Ok(-256));
        check(b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff", Ok(i64::MAX));
        check(b"\x80\0\0\0\x80\0\0\0\0\0\0\0", Err("overflows 64 bits"));
        check(
            b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
            Err("overflows 64 bits"),
        );
        check(b"\xc0\0\0\0\0\0\0\0\0\0\0\0", Err("overflows 64 bits"));
        check(
            b"0000689\0",
            Err(r#"is not an octal number: "0000689\x00""#),
        );
        check(
            b"-000644\0",
            Err(r#"is not an octal number: "-000644\x00""#),
        );
        check(
            b"64\x00 64 \0",
            Err(r#"has more than one number: "64\x00 64 \x00""#),
        );
    }
}
