//! Texts from images, files and archives as a terminal may have them.
//!
//! Whoever made an image chose its names, labels and histories; a control character among them
//! could move the cursor, change colours or forge a line of our own.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A name on one line, from which its bytes can be told: `\n`, `\x1b`, and `\\` for a backslash.
pub(crate) fn name(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                _ if is_harmless(character) => text.push(character),
                _ => escape(character, &mut text),
            }
        }
        for byte in chunk.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A text on one line.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_harmless)
}

/// A text that may have several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| {
        character == '\n' || is_harmless(character)
    })
}

fn escaped(text: &str, stays: fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(stays) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if stays(character) {
            safe.push(character);
        } else {
            escape(character, &mut safe);
        }
    }
    Cow::Owned(safe)
}

/// Whether a character shows itself and changes nothing else; those that turn the direction of
/// writing do.
fn is_harmless(character: char) -> bool {
    let turns = matches!(character, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !character.is_control() && !turns
}

fn escape(character: char, text: &mut String) {
    // Writing to a string cannot fail.
    let _ = match character {
        '\n' => write!(text, "\\n"),
        '\r' => write!(text, "\\r"),
        '\t' => write!(text, "\\t"),
        '\0'..='\x7f' => write!(text, "\\x{:02x}", u32::from(character)),
        _ => write!(text, "\\u{{{:x}}}", u32::from(character)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_shows_each_of_its_bytes() {
        let check = |bytes: &[u8], expected: &str| assert_eq!(name(bytes), expected);
        check(b"usr/bin/sh", "usr/bin/sh");
        check("é ☃".as_bytes(), "é ☃");
        check(b"a\nb\x1b[31m\x7f", r"a\nb\x1b[31m\x7f");
        check(b"d\\n", r"d\\n");
        check(b"a\xffb\xc3", r"a\xffb\xc3");
        check("\u{9b}31m \u{202e}txt".as_bytes(), r"\u{9b}31m \u{202e}txt");
    }

    #[test]
    fn text_keeps_what_harms_nobody() {
        assert_eq!(line(r"C:\bin"), r"C:\bin");
        assert_eq!(line("a\n\tb"), r"a\n\tb");
        assert_eq!(lines("a\nb\x1b[2J"), "a\nb\\x1b[2J");
    }
}
