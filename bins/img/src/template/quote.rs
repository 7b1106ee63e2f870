//! Quoted text: Go's quotations, read and written, and the escapes of three web formats.

use std::fmt::Write as _;

/// Reads what stands between quotes in a template. `None`: it is no quotation, or no text.
pub(super) fn unquote(quoted: &str) -> Option<String> {
    let quote = quoted.chars().next()?;
    let inner = quoted.strip_prefix(quote)?.strip_suffix(quote)?;
    if quote == '`' {
        return Some(inner.replace('\r', ""));
    }
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        if c == '\\' {
            rest = read_escape(rest, quote, &mut bytes)?;
        } else {
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    String::from_utf8(bytes).ok()
}

/// Reads the one character between single quotes.
pub(super) fn unquote_character(quoted: &str) -> Option<char> {
    let inner = quoted.strip_prefix('\'')?.strip_suffix('\'')?;
    // A byte over 0x7f is a number here and would be no text there.
    if let Some(digits) = inner.strip_prefix("\\x").filter(|digits| digits.len() == 2) {
        return u8::from_str_radix(digits, 16).ok().map(char::from);
    }
    let text = unquote(quoted)?;
    let mut characters = text.chars();
    let only = characters.next()?;
    characters.next().is_none().then_some(only)
}

fn read_escape<'a>(text: &'a str, quote: char, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let kind = text.chars().next()?;
    let rest = &text[kind.len_utf8()..];
    let simple = match kind {
        'a' => 7,
        'b' => 8,
        'f' => 12,
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => 11,
        '\\' => b'\\',
        '\'' | '"' if kind == quote => u8::try_from(kind).ok()?,
        'x' => {
            bytes.push(u8::from_str_radix(rest.get(..2)?, 16).ok()?);
            return rest.get(2..);
        }
        'u' | 'U' => {
            let length = if kind == 'u' { 4 } else { 8 };
            let digits = rest.get(..length)?;
            let code = u32::from_str_radix(digits, 16).ok()?;
            let c = char::from_u32(code)?;
            bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            return rest.get(length..);
        }
        '0'..='7' => {
            bytes.push(u8::from_str_radix(text.get(..3)?, 8).ok()?);
            return text.get(3..);
        }
        _ => return None,
    };
    bytes.push(simple);
    Some(rest)
}

/// Writes text as Go quotes it; with `ascii`, what is not ASCII is escaped too.
pub(super) fn quote(text: &str, ascii: bool) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        push_quoted(&mut out, c, '"', ascii);
    }
    out.push('"');
    out
}

/// Writes one character as Go quotes it.
pub(super) fn quote_character(c: char, ascii: bool) -> String {
    let mut out = String::from("'");
    push_quoted(&mut out, c, '\'', ascii);
    out.push('\'');
    out
}

fn push_quoted(out: &mut String, c: char, quote: char, ascii: bool) {
    let escaped = match c {
        '\\' => "\\\\",
        '\x07' => "\\a",
        '\x08' => "\\b",
        '\x0c' => "\\f",
        '\n' => "\\n",
        '\r' => "\\r",
        '\t' => "\\t",
        '\x0b' => "\\v",
        c if c == quote => {
            out.push('\\');
            out.push(c);
            return;
        }
        c if is_printable(c) && (c.is_ascii() || !ascii) => {
            out.push(c);
            return;
        }
        _ => "",
    };
    out.push_str(escaped);
    if escaped.is_empty() {
        push_code(out, c);
    }
}

fn push_code(out: &mut String, c: char) {
    let code = u32::from(c);
    let written = match code {
        0..0x20 | 0x7f => write!(out, "\\x{code:02x}"),
        0x20..0x1_0000 => write!(out, "\\u{code:04x}"),
        _ => write!(out, "\\U{code:08x}"),
    };
    written.expect("because writing to a String cannot fail");
}

/// Whether text can stand between backticks as it is.
pub(super) fn can_be_raw(text: &str) -> bool {
    text.chars()
        .all(|c| c == '\t' || (!c.is_ascii_control() && c != '`' && c != '\u{feff}'))
}

/// Whether Go takes a character for a visible one or the space.
pub(super) fn is_printable(c: char) -> bool {
    if c.is_ascii() {
        return !c.is_ascii_control();
    }
    // Inside a text, Rust escapes exactly the characters that cannot be printed; at its start
    // combining marks too, hence the letter before.
    let text = String::from_iter(['a', c]);
    text.escape_debug().nth(1) == Some(c)
}

/// Escapes text for HTML.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => out.push_str("&#34;"),
            '\'' => out.push_str("&#39;"),
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\0' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Escapes text for a JavaScript string.
pub(super) fn js(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' | '\'' | '"' => {
                out.push('\\');
                out.push(c);
            }
            '<' | '>' | '&' | '=' => push_js_code(&mut out, c),
            c if is_printable(c) => out.push(c),
            c => push_js_code(&mut out, c),
        }
    }
    out
}

fn push_js_code(out: &mut String, c: char) {
    write!(out, "\\u{:04X}", u32::from(c)).expect("because writing to a String cannot fail");
}

/// Escapes text for the query of a URL.
pub(super) fn url_query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                write!(out, "%{byte:02X}").expect("because writing to a String cannot fail");
            }
        }
    }
    out
}
