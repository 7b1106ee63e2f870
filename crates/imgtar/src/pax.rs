//! PAX records: `"<length> <keyword>=<value>\n"`, the length counting itself.
//!
//! The format is POSIX.1-2017, `pax`, "pax Header Block" and "pax Extended Header".

use crate::header::Timestamp;

/// What a keyword means to this crate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keyword {
    Charset,
    Gid,
    GroupName,
    Link,
    Mtime,
    /// Kept as it is.
    Other,
    Path,
    Size,
    /// A sparse map in one of its forms.
    Sparse,
    Uid,
    UserName,
}

impl Keyword {
    pub(crate) fn of(key: &str) -> Self {
        match key {
            "gid" => Self::Gid,
            "gname" => Self::GroupName,
            "hdrcharset" => Self::Charset,
            "linkpath" => Self::Link,
            "mtime" => Self::Mtime,
            "path" => Self::Path,
            "size" => Self::Size,
            "uid" => Self::Uid,
            "uname" => Self::UserName,
            "SCHILY.realsize" => Self::Sparse,
            _ if key.starts_with("GNU.sparse.") => Self::Sparse,
            _ => Self::Other,
        }
    }
}

/// Appends one record.
pub(crate) fn push_record(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    // Space, equals sign and newline.
    let rest = key.len() + value.len() + 3;
    let mut length = rest + digits(rest);
    if rest + digits(length) != length {
        length = rest + digits(length);
    }
    out.extend_from_slice(length.to_string().as_bytes());
    out.push(b' ');
    out.extend_from_slice(key.as_bytes());
    out.push(b'=');
    out.extend_from_slice(value);
    out.push(b'\n');
}

fn digits(number: usize) -> usize {
    number.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// One record, borrowed from the header's bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a [u8],
}

/// Takes the records of an extended header apart, strictly.
///
/// The text of a problem continues "the PAX header …".
pub(crate) fn parse(bytes: &[u8]) -> impl Iterator<Item = Result<Record<'_>, String>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let record = parse_one(&mut rest).map_err(|problem| {
            rest = &[];
            problem.to_owned()
        });
        Some(record)
    })
}

fn parse_one<'a>(rest: &mut &'a [u8]) -> Result<Record<'a>, &'static str> {
    // No record within a header's size limit has more digits than this.
    const MAX_DIGITS: usize = 10;
    let digits = rest
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .take(MAX_DIGITS + 1)
        .count();
    let number = std::str::from_utf8(&rest[..digits]).unwrap_or_default();
    if digits == 0 || digits > MAX_DIGITS || number.starts_with('0') {
        return Err("has a record without a proper length");
    }
    let length: usize = number
        .parse()
        .map_err(|_| "has a record without a proper length")?;
    let record = rest
        .get(..length)
        .ok_or("has a record that is longer than the header")?;
    let body = record
        .get(digits..)
        .and_then(|body| body.strip_prefix(b" "))
        .and_then(|body| body.strip_suffix(b"\n"))
        .ok_or("has a record whose length is wrong")?;
    let equals = body
        .iter()
        .position(|&byte| byte == b'=')
        .ok_or("has a record without a '='")?;
    let key = std::str::from_utf8(&body[..equals]).map_err(|_| "has a keyword that is no UTF-8")?;
    if key.is_empty() || key.contains('\0') {
        return Err("has an empty keyword or one with a NUL");
    }
    *rest = &rest[length..];
    Ok(Record {
        key,
        value: &body[equals + 1..],
    })
}

/// Writes a time as PAX has it: a decimal fraction of seconds without needless zeros.
pub(crate) fn format_time(time: Timestamp) -> String {
    // Before the epoch the fraction counts away from zero, and `secs` is rounded down.
    let is_negative = time.secs < 0;
    let (secs, nanos) = if is_negative && time.nanos > 0 {
        ((time.secs + 1).unsigned_abs(), 1_000_000_000 - time.nanos)
    } else {
        (time.secs.unsigned_abs(), time.nanos)
    };
    let sign = if is_negative { "-" } else { "" };
    if nanos == 0 {
        return format!("{sign}{secs}");
    }
    format!("{sign}{secs}.{nanos:09}")
        .trim_end_matches('0')
        .to_owned()
}

/// Reads a time; digits beyond nanoseconds are dropped, towards zero, as every reader does.
pub(crate) fn parse_time(value: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(value).ok()?;
    let (is_negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let secs = i64::try_from(parse_decimal(whole.as_bytes())?).ok()?;
    let nanos: u32 = format!("{fraction:0<9.9}").parse().ok()?;
    Some(match (is_negative, nanos) {
        (false, _) => Timestamp { secs, nanos },
        (true, 0) => Timestamp { secs: -secs, nanos },
        (true, _) => Timestamp {
            secs: -secs - 1,
            nanos: 1_000_000_000 - nanos,
        },
    })
}

/// Reads a decimal number without sign, spaces or overflow.
pub(crate) fn parse_decimal(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}
