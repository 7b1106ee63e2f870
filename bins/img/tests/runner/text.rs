//! Words, escapes and differences of texts.

use std::fmt::Write as _;

/// Splits a line into words: white space separates, `"…"` keeps it and knows escapes.
pub(crate) fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(next) = chars.next() {
        match next {
            '"' => {
                let mut quoted = String::new();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => {
                            quoted.push('\\');
                            quoted.extend(chars.next());
                        }
                        Some(inside) => quoted.push(inside),
                        None => return Err(format!("a quote does not end: {line}")),
                    }
                }
                let bytes = unescape(&quoted)?;
                let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
                word.get_or_insert_default().push_str(&text);
            }
            space if space.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Replaces `\0`, `\n`, `\r`, `\t`, `\"`, `\\` and `\xNN`.
pub(crate) fn unescape(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        bytes.push(match rest.next() {
            Some(b'0') => 0,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(same @ (b'"' | b'\\')) => same,
            Some(b'x') => {
                let digits = [rest.next(), rest.next()].map(Option::unwrap_or_default);
                let digits = String::from_utf8_lossy(&digits).into_owned();
                u8::from_str_radix(&digits, 16).map_err(|_| format!("bad escape \\x{digits}"))?
            }
            other => return Err(format!("bad escape \\{:?}", other.map(char::from))),
        });
    }
    Ok(bytes)
}

/// Bytes as lines that a case can hold: control characters and bytes that are no text escaped.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for char in chunk.valid().chars() {
            match char {
                '\n' => text.push('\n'),
                '\0' => text.push_str("\\0"),
                control if control.is_control() => {
                    let _ = write!(text, "\\x{:02x}", u32::from(control));
                }
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// Shows the lines in which two texts differ.
pub(crate) fn difference(expected: &str, actual: &str) -> String {
    let expected: Vec<&str> = expected.split('\n').collect();
    let actual: Vec<&str> = actual.split('\n').collect();
    let same = |(a, b): &(&&str, &&str)| a == b;
    let before = expected.iter().zip(&actual).take_while(same).count();
    let most_after = expected.len().min(actual.len()) - before;
    let after = expected.iter().rev().zip(actual.iter().rev());
    let after = after.take_while(same).take(most_after).count();
    let mut text = String::new();
    if before > 0 {
        let _ = writeln!(text, "  … {before} equal lines");
    }
    for line in &expected[before..expected.len() - after] {
        let _ = writeln!(text, "- {line}");
    }
    for line in &actual[before..actual.len() - after] {
        let _ = writeln!(text, "+ {line}");
    }
    text
}
