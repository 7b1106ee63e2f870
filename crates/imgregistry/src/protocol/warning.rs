//! What a registry wants a person to know: the header `Warning`.
//!
//! [distribution-spec 1.1, "Warnings"][spec], with the grammar of [RFC 7234, section 5.5][rfc]: only code 299 of the agent
//! `-` without a date is for people.
//!
//! ```text
//! header  = warning , { "," , warning } ;
//! warning = code , SP , agent , SP , quoted-string , [ SP , date ] ;
//! ```
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#warnings
//! [rfc]: https://www.rfc-editor.org/rfc/rfc7234#section-5.5

use super::url::redacted_text;

/// The most bytes of warnings in one answer: the specification's limit.
const MAX_BYTES: usize = 4096;

/// Reads all `Warning` headers of an answer, and returns the texts that are for people: on one line each, cleaned of
/// control characters and of secrets, none twice.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::warning::parse;
///
/// let headers = [r#"299 - "this image is \"old\"", 110 - "stale""#];
/// assert_eq!(parse(headers), [r#"this image is "old""#]);
/// ```
pub fn parse<'a>(headers: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut texts = Vec::new();
    let mut bytes = 0;
    for header in headers {
        bytes += header.len();
        if bytes > MAX_BYTES {
            break;
        }
        let mut rest = header;
        while let Some((text, behind)) = warning(rest) {
            rest = behind;
            let text = text.map(|text| redacted_text(&text));
            texts.extend(text.filter(|text| !text.is_empty() && !texts.contains(text)));
        }
    }
    texts
}

/// Reads one warning, and gives what is behind it; its text only if it is for people.
fn warning(header: &str) -> Option<(Option<String>, &str)> {
    let header = header.trim_start_matches(|it: char| it == ',' || it.is_whitespace());
    let (code, rest) = header.split_once(' ')?;
    let (agent, rest) = rest.trim_start().split_once(' ')?;
    let (text, rest) = quoted(rest.trim_start())?;
    let (date, rest) = match quoted(rest.trim_start()) {
        Some((date, rest)) => (Some(date), rest),
        None => (None, rest),
    };
    let is_for_people = code == "299" && agent == "-" && date.is_none();
    Some((is_for_people.then_some(text), rest))
}

/// Reads a text in quotes; `None` without them, and when they never close.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.strip_prefix('"')?.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            character => value.push(character),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_for_people_is_read() {
        for (headers, expected) in [
            (&[r#"299 - "one""#][..], &["one"][..]),
            (
                &[r#"299 - "one", 299 - "two, and more""#],
                &["one", "two, and more"],
            ),
            (&[r#"299 - "one""#, r#"299  -  "two" "#], &["one", "two"]),
            (&[r#"299 - "same""#, r#"299 - "same""#], &["same"]),
            (&[r#"299 - "a \"b\" \\ c""#], &[r#"a "b" \ c"#]),
            (&[r#"110 - "stale", 299 - "kept""#], &["kept"]),
            (&[r#"299 proxy.example "x", 299 - "kept""#], &["kept"]),
            (
                &[r#"299 - "dated" "Sun, 06 Nov 1994 08:49:37 GMT", 299 - "kept""#],
                &["kept"],
            ),
            (
                &[r#"299 - "see https://u:p@r.example/?k=v""#],
                &["see https://r.example/?k=[redacted]"],
            ),
            (
                &[
                    r#"299 - """#,
                    "299 - ",
                    "299",
                    "",
                    ",",
                    r#"299 - "open"#,
                    r#"299 - "open\"#,
                ],
                &[],
            ),
        ] {
            assert_eq!(parse(headers.iter().copied()), expected, "{headers:?}");
        }
    }

    #[test]
    fn a_flood_of_warnings_is_cut() {
        let long = format!(r#"299 - "{}""#, "x".repeat(MAX_BYTES));
        assert!(parse([long.as_str()]).is_empty());
        let many: Vec<_> = (0..1000).map(|at| format!(r#"299 - "{at}""#)).collect();
        assert!(parse(many.iter().map(String::as_str)).len() < 500);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(header in ".{0,40}|(299 - \"[a-z\\\\\", ]{0,10}\",? ?){0,4}") {
            for text in parse([header.as_str()]) {
                prop_assert!(!text.contains(char::is_control));
            }
        }
    }
}
