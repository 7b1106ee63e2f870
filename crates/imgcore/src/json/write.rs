//! The writer of the canonical form: Go's `encoding/json`, byte for byte, so that our documents are the peer's.

use super::scan;

/// Writes checked text without white space and with canonical strings.
pub(super) fn compact(text: &str, out: &mut String) {
    tokens(text, |token, kind| match kind {
        Token::String => string(&scan::unescape(token), out),
        Token::Other => out.push_str(token),
    });
}

/// Writes checked text with an indent of two spaces.
pub(super) fn indented(text: &str, out: &mut String) {
    let mut depth = 0;
    let mut is_fresh = false;
    tokens(text, |token, kind| {
        let closes = matches!((token, kind), ("}" | "]", Token::Other));
        if closes {
            depth -= 1;
        }
        // An empty array or object stays on its line.
        if is_fresh != closes && (is_fresh || closes) {
            line(depth, out);
        }
        is_fresh = false;
        match (token, kind) {
            (token, Token::String) => string(&scan::unescape(token), out),
            ("{" | "[", Token::Other) => {
                out.push_str(token);
                depth += 1;
                is_fresh = true;
            }
            (",", Token::Other) => {
                out.push(',');
                line(depth, out);
            }
            (":", Token::Other) => out.push_str(": "),
            (token, Token::Other) => out.push_str(token),
        }
    });
}

/// Writes a string literal.
///
/// `<`, `>` and `&` are escaped so that a document may stand inside HTML, U+2028 and U+2029 so that it may stand inside
/// JavaScript: nobody needs either here, but the digests of the peer's documents depend on it.
pub(super) fn string(text: &str, out: &mut String) {
    use std::fmt::Write;
    out.push('"');
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        let short = match character {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\0'..'\u{20}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => "",
            _ => continue,
        };
        out.push_str(&text[plain..at]);
        plain = at + character.len_utf8();
        out.push_str(short);
        if short.is_empty() {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{:04x}", u32::from(character));
        }
    }
    out.push_str(&text[plain..]);
    out.push('"');
}

fn line(depth: usize, out: &mut String) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str("  ");
    }
}

#[derive(Clone, Copy)]
enum Token {
    String,
    Other,
}

/// Splits checked text into strings, brackets, separators and scalars.
fn tokens<'a>(text: &'a str, mut each: impl FnMut(&'a str, Token)) {
    let mut at = scan::skip_white_space(text, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        let (end, kind) = match byte {
            b'"' => (scan::end_of_value(text, at), Token::String),
            b'{' | b'}' | b'[' | b']' | b',' | b':' => (at + 1, Token::Other),
            _ => (scan::end_of_value(text, at), Token::Other),
        };
        each(&text[at..end], kind);
        at = scan::skip_white_space(text, end);
    }
}
