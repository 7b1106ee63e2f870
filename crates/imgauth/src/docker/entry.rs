//! One entry of `auths`, and the answer of a `docker-credential-` helper: a credential in one of its forms.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::text::{check_password, check_token, check_username};
use crate::{RegistryCredential, Secret};

/// The user name that says that the password is an identity token.
const TOKEN_USER: &str = "<token>";

/// Base64 as people write it, and as Go reads it: with and without padding, whatever the unused bits are.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Reads an entry; `None` if it is empty, as those are whose credential lies in a helper.
///
/// A token for the registry comes before an identity token, and that before a password, as Docker has it.
pub(super) fn credential(
    mut entry: Map<String, Value>,
) -> Result<Option<RegistryCredential>, String> {
    if let Some(token) = text(&mut entry, "registrytoken")? {
        check_token(token.expose(), "registrytoken")?;
        return Ok(Some(RegistryCredential::Bearer(token)));
    }
    if let Some(token) = text(&mut entry, "identitytoken")? {
        check_token(token.expose(), "identitytoken")?;
        return Ok(Some(RegistryCredential::IdentityToken { token }));
    }
    if let Some(auth) = text(&mut entry, "auth")? {
        let (username, password) = decode(&auth)?;
        return from_user(&username, password).map(Some);
    }
    match (text(&mut entry, "username")?, text(&mut entry, "password")?) {
        (Some(username), Some(password)) => from_user(username.expose(), password).map(Some),
        (Some(_), None) => Err("it has a user name and no password".to_owned()),
        (None, Some(_)) => Err("it has a password and no user name".to_owned()),
        (None, None) => Ok(None),
    }
}

/// Makes a credential of a user name and a secret.
pub(super) fn from_user(username: &str, secret: Secret) -> Result<RegistryCredential, String> {
    if username == TOKEN_USER {
        check_token(secret.expose(), "the identity token")?;
        return Ok(RegistryCredential::IdentityToken { token: secret });
    }
    check_username(username)?;
    check_password(secret.expose())?;
    Ok(RegistryCredential::basic(username, secret))
}

/// Reads `user:password`, in Base64.
pub(crate) fn decode(auth: &Secret) -> Result<(String, Secret), String> {
    // Some tools break the lines of what they encode.
    let packed: Zeroizing<Vec<u8>> = Zeroizing::new(
        auth.expose()
            .bytes()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect(),
    );
    let bytes = BASE64.decode(packed.as_slice()).map(Zeroizing::new);
    let bytes = bytes.map_err(|_| "auth is no Base64".to_owned())?;
    let text = std::str::from_utf8(&bytes).map_err(|_| "auth is no text".to_owned())?;
    let (username, password) = text
        .split_once(':')
        .ok_or_else(|| "auth has no colon between user name and password".to_owned())?;
    // Old clients of Docker filled the end with zeros, and it cuts them off.
    let password = password.trim_end_matches('\0');
    Ok((username.to_owned(), Secret::new(password)))
}

/// Takes a member that is text; one that is empty counts as absent.
pub(super) fn text(entry: &mut Map<String, Value>, name: &str) -> Result<Option<Secret>, String> {
    match entry.remove(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => Ok(Some(Secret::new(text))),
        Some(_) => Err(format!("{name} is no string")),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn read(json: &str) -> Result<Option<RegistryCredential>, String> {
        credential(serde_json::from_str(json).unwrap())
    }

    #[test]
    fn entry_gives_the_strongest_form_it_has() {
        let check = |json: &str, expected: Option<RegistryCredential>| {
            assert_eq!(read(json), Ok(expected), "{json}");
        };
        let basic = || Some(RegistryCredential::basic("user", "pass:word"));
        check("{}", None);
        check(r#"{"auth":"","email":"me@example.com"}"#, None);
        check(r#"{"auth":null}"#, None);
        check(r#"{"auth":"dXNlcjpwYXNzOndvcmQ="}"#, basic());
        check(r#"{"auth":"dXNlcjpwYXNzOndvcmQ"}"#, basic());
        check(r#"{"auth":"dXNlcjpw\n YXNzOndvcmQ=\n"}"#, basic());
        check(r#"{"auth":"dXNlcjpwYXNzOndvcmQAAA=="}"#, basic());
        check(r#"{"username":"user","password":"pass:word"}"#, basic());
        check(
            r#"{"auth":"dXNlcjo="}"#,
            Some(RegistryCredential::basic("user", "")),
        );
        check(
            r#"{"username":"<token>","password":"refresh"}"#,
            Some(RegistryCredential::identity_token("refresh")),
        );
        check(
            r#"{"auth":"PHRva2VuPjpyZWZyZXNo"}"#,
            Some(RegistryCredential::identity_token("refresh")),
        );
        check(
            r#"{"auth":"dXNlcjpwYXNzOndvcmQ=","identitytoken":"refresh"}"#,
            Some(RegistryCredential::identity_token("refresh")),
        );
        check(
            r#"{"auth":"dXNlcjpwYXNzOndvcmQ=","identitytoken":"refresh","registrytoken":"token"}"#,
            Some(RegistryCredential::bearer("token")),
        );
    }

    #[test]
    fn entry_that_cannot_be_used_says_why_and_not_what_it_has() {
        let faults: Vec<String> = [
            r#"{"auth":"!!!"}"#,
            r#"{"auth":"dXNlcg=="}"#,
            r#"{"auth":"OnBhc3M="}"#,
            r#"{"auth":"/w=="}"#,
            r#"{"auth":"dQpzOnA="}"#,
            r#"{"auth":17}"#,
            r#"{"username":"user"}"#,
            r#"{"password":"canary"}"#,
            r#"{"username":"a:b","password":"canary"}"#,
            "{\"username\":\"user\",\"password\":\"can\\u0000ary\"}",
            r#"{"identitytoken":"a b"}"#,
            r#"{"registrytoken":"a\r\nX-Canary: b"}"#,
            r#"{"username":"<token>","password":"a b"}"#,
        ]
        .map(|json| read(json).unwrap_err())
        .into();
        assert_snapshot!(faults.join("\n"), @r"
        auth is no Base64
        auth has no colon between user name and password
        the user name is empty
        auth is no text
        the user name has control characters
        auth is no string
        it has a user name and no password
        it has a password and no user name
        the user name has a colon
        the password has control characters
        identitytoken is empty or has characters that no token has
        registrytoken is empty or has characters that no token has
        the identity token is empty or has characters that no token has
        ");
    }
}
