//! What a registry says about an error, in the forms that registries have for it.
//!
//! The [specification's form][spec] is `{"errors":[{"code":…,"message":…,"detail":…}]}`. Token servers, proxies and
//! storage services answer with other objects, with text, with HTML or with nothing.
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes

use std::fmt;

use imgcore::json::{Limits, Value};

use super::url::redacted_text;

/// The most bytes of a body that are read: the rest of a longer one is not asked for.
pub const MAX_BYTES: usize = 64 * 1024;

/// The most errors of one body that are kept.
const MAX_ERRORS: usize = 16;

/// The most characters that are kept of a text.
const MAX_CHARACTERS: usize = 300;

/// One error in a registry's own words.
///
/// All texts are on one line, cleaned of control characters and of secrets, and cut to a few hundred characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegistryError {
    /// The code of the specification, or the registry's own: `MANIFEST_UNKNOWN`. Empty when there is none.
    pub code: String,
    /// What it says about it. Empty when it says nothing.
    pub message: String,
    /// What it adds: JSON on one line, or text.
    pub detail: Option<String>,
}

impl RegistryError {
    fn is_empty(&self) -> bool {
        self.code.is_empty() && self.message.is_empty()
    }
}

impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.code.as_str(), self.message.as_str()) {
            ("", message) => f.write_str(message),
            (code, "") => f.write_str(code),
            (code, message) => write!(f, "{code}: {message}"),
        }
    }
}

/// What the body of an error says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorBody {
    /// The errors, in their order; none when the body has no form that is known.
    pub errors: Vec<RegistryError>,
    /// A line of the text, or the title of the HTML page, when there are no errors.
    pub text: Option<String>,
}

impl ErrorBody {
    /// Returns whether one of the errors has a code, in whatever case.
    pub fn has(&self, code: &str) -> bool {
        self.errors
            .iter()
            .any(|error| error.code.eq_ignore_ascii_case(code))
    }

    /// Returns whether nothing was said.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.text.is_none()
    }
}

impl fmt::Display for ErrorBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        f.write_str(self.text.as_deref().unwrap_or_default())
    }
}

/// Reads the body of an answer that is an error; what is behind [`MAX_BYTES`] is not looked at.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::error_body::parse;
///
/// let body = br#"{"errors":[{"code":"DENIED","message":"not yours"}]}"#;
/// assert_eq!(parse(body, Some("application/json")).to_string(), "DENIED: not yours");
///
/// let page = b"<html><head><title>502 Bad\nGateway</title></head><body>...";
/// assert_eq!(parse(page, Some("text/html")).to_string(), "502 Bad Gateway");
/// ```
pub fn parse(body: &[u8], content_type: Option<&str>) -> ErrorBody {
    let body = &body[..body.len().min(MAX_BYTES)];
    let limits = Limits::default()
        .with_max_bytes(MAX_BYTES)
        .with_case_variants(true);
    if let Ok(value) = Value::parse(body, &limits) {
        let errors = from_json(&value);
        if !errors.is_empty() {
            return ErrorBody { errors, text: None };
        }
    }
    let text = String::from_utf8_lossy(body);
    let is_html = content_type.is_some_and(|it| it.to_ascii_lowercase().contains("html"))
        || text.trim_start().starts_with('<');
    let line = if is_html {
        html_line(&text)
    } else {
        clean(&text)
    };
    ErrorBody {
        errors: Vec::new(),
        text: Some(line).filter(|line| !line.is_empty()),
    }
}

/// Reads the list of the specification, one error alone in its place, or the object itself as one.
fn from_json(value: &Value) -> Vec<RegistryError> {
    let errors = value
        .as_object()
        .and_then(|object| object.get("errors").cloned());
    let Some(errors) = errors else {
        return error(value).into_iter().collect();
    };
    match errors.elements() {
        Some(elements) => elements
            .take(MAX_ERRORS)
            .filter_map(|element| error(&element))
            .collect(),
        None => error(&errors).into_iter().collect(),
    }
}

/// Reads one error: an object with any of the names that servers use, or a text alone.
fn error(value: &Value) -> Option<RegistryError> {
    if let Some(text) = value.as_str() {
        return Some(RegistryError {
            message: clean(&text),
            ..RegistryError::default()
        })
        .filter(|error| !error.is_empty());
    }
    let object = value.as_object()?;
    let first = |names: &[&str]| {
        names
            .iter()
            .filter_map(|name| scalar(object.get(name)?))
            .find(|text| !text.is_empty())
    };
    let error = RegistryError {
        code: first(&["code", "error", "status"]).unwrap_or_default(),
        message: first(&["message", "error_description", "details", "msg"]).unwrap_or_default(),
        detail: object
            .get("detail")
            .filter(|detail| !detail.is_null())
            .map(|detail| clean(&String::from_utf8_lossy(&detail.to_compact()))),
    };
    Some(error).filter(|error| !error.is_empty())
}

/// A text as it is, a number as it is written.
fn scalar(value: &Value) -> Option<String> {
    match value.as_str() {
        Some(text) => Some(clean(&text)),
        None => value.as_i64().map(|number| number.to_string()),
    }
}

/// The title of the page, or its text without the elements.
fn html_line(page: &str) -> String {
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|at| {
        let start = at + lower[at..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        page.get(start..end)
    });
    let title = clean(title.unwrap_or_default());
    if title.is_empty() {
        clean(&without_elements(page))
    } else {
        title
    }
}

fn without_elements(page: &str) -> String {
    let mut text = String::new();
    let mut is_inside = false;
    for character in page.chars() {
        match character {
            '<' => is_inside = true,
            '>' => {
                is_inside = false;
                text.push(' ');
            }
            _ if !is_inside => text.push(character),
            _ => {}
        }
    }
    text
}

/// One line that may be printed, cut at a limit.
fn clean(text: &str) -> String {
    let line = redacted_text(text);
    let mut characters = line.char_indices();
    match characters.nth(MAX_CHARACTERS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(body: &str, expected: &str) {
        assert_eq!(parse(body.as_bytes(), None).to_string(), expected, "{body}");
    }

    #[test]
    fn every_form_of_json_is_read() {
        check(
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository"}]}]}"#,
            "UNAUTHORIZED: authentication required",
        );
        check(
            r#"{"errors":[{"code":"A","message":"one"},{"code":"B"},{"message":"two"},{},null,7]}"#,
            "A: one; B; two",
        );
        check(r#"{"errors":{"code":"A","message":"alone"}}"#, "A: alone");
        check(r#"{"errors":["a text"]}"#, "a text");
        check(
            r#"{"details":"incorrect username or password"}"#,
            "incorrect username or password",
        );
        check(
            r#"{"error":"invalid_grant","error_description":"token is old"}"#,
            "invalid_grant: token is old",
        );
        check(
            r#"{"code":404,"message":"no such project"}"#,
            "404: no such project",
        );
        check(r#"{"status":"error","message":"down"}"#, "error: down");
        // No error in it: the text itself is the best there is.
        check(r#"{"errors":[]}"#, r#"{"errors":[]}"#);
        check("[]", "[]");
    }

    #[test]
    fn details_are_kept_on_one_line() {
        let body = parse(
            br#"{"errors":[{"code":"DENIED","detail": {"a":  1}}]}"#,
            None,
        );
        assert_eq!(body.errors[0].detail.as_deref(), Some(r#"{"a":1}"#));
        assert!(body.has("denied"));
        assert!(!body.has("UNAUTHORIZED"));
    }

    #[test]
    fn other_bodies_give_one_line() {
        check("", "");
        check("  \n ", "");
        check("Too Many\nRequests\r\n", "Too Many Requests");
        check("a\u{1b}[31mred\u{0}b", "a [31mred b");
        check(
            "<html><body><h1>413 Request Entity\nToo Large</h1></body>",
            "413 Request Entity Too Large",
        );
        check(
            "<!DOCTYPE html><TITLE lang=en>Error 405</TITLE>",
            "Error 405",
        );
        check("<title>", "");
        assert!(parse(b"", None).is_empty());
        let page = parse(b"gone <b>now</b>", Some("Text/HTML; charset=utf-8"));
        assert_eq!(page.to_string(), "gone now");
        assert_eq!(parse(b"\xff\xfe", None).to_string(), "\u{fffd}\u{fffd}");
    }

    #[test]
    fn secrets_in_bodies_are_blanked() {
        check(
            r#"{"errors":[{"code":"X","message":"GET https://u:imgkit-canary-1@s.example/b?X-Amz-Signature=imgkit-canary-2 failed"}]}"#,
            "X: GET https://s.example/b?X-Amz-Signature=[redacted] failed",
        );
    }

    #[test]
    fn long_texts_are_cut() {
        let line = parse("é".repeat(MAX_BYTES).as_bytes(), None).to_string();
        assert_eq!(line.chars().count(), MAX_CHARACTERS + 1);
        let many = format!(r#"{{"errors":[{}{{}}]}}"#, r#"{"code":"A"},"#.repeat(1000));
        assert_eq!(parse(many.as_bytes(), None).errors.len(), MAX_ERRORS);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), html in any::<bool>()) {
            let body = parse(&bytes, html.then_some("text/html"));
            prop_assert!(!body.to_string().contains(char::is_control));
        }
    }
}
