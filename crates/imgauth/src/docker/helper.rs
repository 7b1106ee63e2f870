//! The `docker-credential-` programs: their names, what they are asked, and what they answer.

use serde_json::Value;
use zeroize::Zeroizing;

use super::entry;
use crate::text::shown;
use crate::{Error, RegistryCredential, Result};

/// What Docker's helpers say, and fail, when they have nothing for a registry.
const NOT_FOUND: &str = "credentials not found";

/// The name of a helper as configs write it: what follows `docker-credential-` in the name of its program.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct HelperName(String);

impl HelperName {
    /// Takes letters, digits, dots, dashes and underscores: a name is no path, and no word of a shell.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !text.is_empty() && text.len() <= 128 && text.bytes().all(is_taken) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("{} is no name of a helper", shown(text)))
    }

    /// Returns the name of the program.
    pub(crate) fn program(&self) -> String {
        format!("docker-credential-{}", self.0)
    }
}

/// Reads what a `docker-credential-` helper says to `get`: `{"ServerURL", "Username", "Secret"}`.
///
/// `None` is an answer without a credential. The user name `<token>` says that the secret is an identity token.
///
/// # Examples
///
/// ```
/// let answer = br#"{"ServerURL":"registry.example","Username":"<token>","Secret":"hunter2"}"#;
/// let credential = imgauth::docker::parse_answer(answer)?.unwrap();
/// assert_eq!(credential.form(), "identity token");
/// # Ok::<(), imgauth::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) for another answer, and for names and secrets with characters
/// that they cannot have. The text does not say which.
pub fn parse_answer(answer: &[u8]) -> Result<Option<RegistryCredential>> {
    let Ok(Value::Object(mut object)) = serde_json::from_slice(answer) else {
        return Err(Error::malformed("its answer is no JSON object"));
    };
    let username = entry::text(&mut object, "Username").map_err(Error::malformed)?;
    let secret = entry::text(&mut object, "Secret").map_err(Error::malformed)?;
    match (username, secret) {
        (None, None) => Ok(None),
        (Some(username), Some(secret)) => entry::from_user(username.expose(), secret)
            .map(Some)
            .map_err(Error::malformed),
        (None, Some(_)) => Err(Error::malformed("its answer has no Username")),
        (Some(_), None) => Err(Error::malformed("its answer has no Secret")),
    }
}

/// Whether a helper that failed only says that it has nothing.
pub(crate) fn says_not_found(stdout: &Zeroizing<Vec<u8>>) -> bool {
    let needle = NOT_FOUND.as_bytes();
    stdout.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn names_are_words_without_meaning_to_paths_and_shells() {
        for name in [
            "desktop",
            "ecr-login",
            "secretservice",
            "osxkeychain",
            "a.b_C-9",
        ] {
            assert_eq!(
                HelperName::parse(name).unwrap().program(),
                format!("docker-credential-{name}")
            );
        }
        for name in [
            "", "../evil", "a/b", "a\\b", "a b", "a;b", "$(a)", "a\0b", "a\nb", "ä", "c:evil",
        ] {
            assert!(HelperName::parse(name).is_err(), "{name:?}");
        }
        assert!(HelperName::parse(&"a".repeat(129)).is_err());
    }

    #[test]
    fn answer_is_a_password_or_an_identity_token() {
        let check = |answer: &str, expected| {
            assert_eq!(
                parse_answer(answer.as_bytes()).unwrap(),
                expected,
                "{answer}"
            );
        };
        check(
            r#"{"ServerURL":"r","Username":"user","Secret":"pass"}"#,
            Some(RegistryCredential::basic("user", "pass")),
        );
        check(
            r#"{"Username":"_json_key","Secret":"{\n}"}"#,
            Some(RegistryCredential::basic("_json_key", "{\n}")),
        );
        check(
            r#"{"Username":"<token>","Secret":"refresh"}"#,
            Some(RegistryCredential::identity_token("refresh")),
        );
        check(r#"{"ServerURL":"r","Username":"","Secret":""}"#, None);
    }

    #[test]
    fn answer_that_is_none_does_not_show_itself() {
        let texts = [
            "canary",
            "[\"canary\"]",
            r#"{"Username":"canary","Secret":""}"#,
            r#"{"Username":"","Secret":"canary"}"#,
            r#"{"Username":"can:ary","Secret":"canary"}"#,
            "{\"Username\":\"can\\nary\",\"Secret\":\"canary\"}",
            "{\"Username\":\"user\",\"Secret\":\"can\\u0007ary\"}",
            r#"{"Username":["canary"],"Secret":"canary"}"#,
        ]
        .map(|answer| parse_answer(answer.as_bytes()).unwrap_err().to_string());
        assert_snapshot!(texts.join("\n"), @r"
        its answer is no JSON object
        its answer is no JSON object
        its answer has no Secret
        its answer has no Username
        the user name has a colon
        the user name has control characters
        the password has control characters
        Username is no string
        ");
    }
}
