//! Which texts may stand in a credential, and how a text from outside may be shown.

/// Checks a token that stands in a header as it is: visible ASCII.
pub(crate) fn check_token(token: &str, what: &str) -> Result<(), String> {
    let is_visible = token.bytes().all(|byte| byte.is_ascii_graphic());
    if !token.is_empty() && is_visible {
        return Ok(());
    }
    Err(format!(
        "{what} is empty or has characters that no token has"
    ))
}

/// Checks the value of a header: one line of visible ASCII and spaces.
pub(crate) fn is_header_value(value: &str) -> bool {
    value
        .bytes()
        .all(|byte| byte.is_ascii_graphic() || matches!(byte, b' ' | b'\t'))
}

/// Checks the name of a header: a token of [RFC 9110], section 5.6.2.
///
/// [RFC 9110]: https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2
pub(crate) fn is_header_name(name: &str) -> bool {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_token)
}

/// Checks a user name: a colon would move the border to the password, and control characters have no place.
pub(crate) fn check_username(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("the user name is empty".to_owned());
    }
    if name.contains(':') {
        return Err("the user name has a colon".to_owned());
    }
    if name.chars().any(char::is_control) {
        return Err("the user name has control characters".to_owned());
    }
    Ok(())
}

/// Checks a password. Lines are allowed, since a JSON key (`_json_key`) is a password of several.
pub(crate) fn check_password(password: &str) -> Result<(), String> {
    let is_refused = |char: char| char.is_control() && !matches!(char, '\t' | '\n' | '\r');
    if password.chars().any(is_refused) {
        return Err("the password has control characters".to_owned());
    }
    Ok(())
}

/// A name from a document as it may be shown: on one line, not long, and without what stands before an `@`.
pub(crate) fn shown(name: &str) -> String {
    let without_user = name.rsplit('@').next().unwrap_or_default();
    let short: String = without_user.chars().take(80).collect();
    let dots = if short.len() < without_user.len() {
        "…"
    } else {
        ""
    };
    format!("\"{}{dots}\"", short.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_on_one_line_and_without_users() {
        let check = |name: &str, expected: &str| assert_eq!(shown(name), expected);
        check("registry.example", "\"registry.example\"");
        check(
            "https://user:pass@registry.example/",
            "\"registry.example/\"",
        );
        check("a\nb\x1b[2J", r#""a\nb\u{1b}[2J""#);
        check(&"x".repeat(100), &format!("\"{}…\"", "x".repeat(80)));
    }

    #[test]
    fn tokens_are_visible_ascii() {
        assert!(check_token("eyJh.b-_~+/=", "it").is_ok());
        for token in ["", "a b", "a\r\nX: y", "ä", "a\0"] {
            assert!(check_token(token, "it").is_err(), "{token:?}");
        }
    }

    #[test]
    fn user_names_have_no_colon_and_passwords_may_have_lines() {
        assert!(check_username("_json_key").is_ok());
        assert!(check_username("robot$team+ci").is_ok());
        for name in ["", "a:b", "a\nb"] {
            assert!(check_username(name).is_err(), "{name:?}");
        }
        assert!(check_password("{\n\t\"type\": \"x\"\r\n}").is_ok());
        assert!(check_password("").is_ok());
        assert!(check_password("a\0b").is_err());
        assert!(check_password("a\x1bb").is_err());
    }
}
