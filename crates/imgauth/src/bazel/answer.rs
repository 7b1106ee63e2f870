//! What a Bazel credential helper answers.

use std::fmt;
use std::time::SystemTime;

use serde_json::Value;

use crate::text::{check_password, check_token, check_username, is_header_name, is_header_value};
use crate::{CacheCredential, Error, RegistryCredential, Result, Secret};

/// The headers that a helper gives for a URI, and how long they hold.
///
/// # Examples
///
/// ```
/// use imgauth::bazel::HelperAnswer;
///
/// let answer = HelperAnswer::parse(br#"{"headers":{"Authorization":["Bearer hunter2"]}}"#)?;
/// assert_eq!(answer.registry_credential()?.unwrap().form(), "bearer token");
/// assert_eq!(answer.expires(), None);
/// # Ok::<(), imgauth::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct HelperAnswer {
    headers: Vec<(String, Secret)>,
    expires: Option<SystemTime>,
}

impl HelperAnswer {
    /// Reads an answer.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) for another document, and for headers that could not be sent.
    /// The text does not say what they hold.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let Ok(Value::Object(mut object)) = serde_json::from_slice(bytes) else {
            return Err(Error::malformed("its answer is no JSON object"));
        };
        let headers = match object.remove("headers") {
            None | Some(Value::Null) => serde_json::Map::new(),
            Some(Value::Object(headers)) => headers,
            Some(_) => return Err(Error::malformed("headers is no object")),
        };
        let mut answer = Self {
            headers: Vec::new(),
            expires: None,
        };
        for (name, values) in headers {
            answer.add(&name, values)?;
        }
        answer.expires = match object.remove("expires") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(
                crate::time::parse_rfc3339(&text)
                    .ok_or_else(|| Error::malformed("expires is no RFC 3339 time"))?,
            ),
            Some(_) => return Err(Error::malformed("expires is no string")),
        };
        Ok(answer)
    }

    fn add(&mut self, name: &str, values: Value) -> Result<()> {
        if !is_header_name(name) {
            return Err(Error::malformed("a header has a name that is none"));
        }
        let Value::Array(values) = values else {
            return Err(Error::malformed("a header is no list of values"));
        };
        for value in values {
            let Value::String(value) = value else {
                return Err(Error::malformed("a value of a header is no string"));
            };
            let value = Secret::new(value);
            if !is_header_value(value.expose()) {
                let message = "a value of a header has characters that no header has";
                return Err(Error::malformed(message));
            }
            self.headers.push((name.to_owned(), value));
        }
        Ok(())
    }

    /// Returns until when the headers hold, if the helper says so.
    pub fn expires(&self) -> Option<SystemTime> {
        self.expires
    }

    /// Returns what the headers say to a registry: the first `Authorization`, as Basic or Bearer. A bearer token is sent
    /// as it is, and is no refresh token.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`](crate::ErrorKind::Malformed) if it is neither.
    pub fn registry_credential(&self) -> Result<Option<RegistryCredential>> {
        let authorization = self
            .headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let Some((_, value)) = authorization else {
            return Ok(None);
        };
        let (scheme, rest) = value.expose().split_once(' ').unwrap_or_default();
        let rest = rest.trim();
        if scheme.eq_ignore_ascii_case("bearer") {
            check_token(rest, "its bearer token").map_err(Error::malformed)?;
            return Ok(Some(RegistryCredential::bearer(rest)));
        }
        if scheme.eq_ignore_ascii_case("basic") {
            return basic(rest).map(Some).map_err(Error::malformed);
        }
        Err(Error::malformed(
            "its Authorization is neither Basic nor Bearer",
        ))
    }

    /// Returns what the headers say to the remote cache: all of them.
    pub fn cache_credential(&self) -> CacheCredential {
        CacheCredential::new(self.headers.iter().cloned())
    }

    /// Whether there is no header at all.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }
}

fn basic(encoded: &str) -> Result<RegistryCredential, String> {
    let (username, password) = crate::docker::decode(&Secret::new(encoded))?;
    check_username(&username)?;
    check_password(password.expose())?;
    Ok(RegistryCredential::basic(username, password))
}

impl fmt::Debug for HelperAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.headers.iter().map(|(name, _)| name);
        f.debug_struct("HelperAnswer")
            .field("headers", &names.collect::<Vec<_>>())
            .field("expires", &self.expires)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;

    use super::*;

    fn parse(text: &str) -> Result<HelperAnswer> {
        HelperAnswer::parse(text.as_bytes())
    }

    #[test]
    fn authorization_is_basic_or_a_bearer_token_as_it_stands() {
        let check = |headers: &str, expected: Option<RegistryCredential>| {
            let answer = parse(&format!(r#"{{"headers":{headers}}}"#)).unwrap();
            assert_eq!(answer.registry_credential().unwrap(), expected, "{headers}");
        };
        check("{}", None);
        check("null", None);
        check(r#"{"X-Other":["canary"]}"#, None);
        check(r#"{"Authorization":[]}"#, None);
        let bearer = || Some(RegistryCredential::bearer("a.b-c="));
        check(r#"{"Authorization":["Bearer a.b-c="]}"#, bearer());
        check(r#"{"authorization":["bearer  a.b-c="]}"#, bearer());
        check(
            r#"{"Authorization":["Bearer a.b-c=","Basic eDp5"]}"#,
            bearer(),
        );
        let basic = || Some(RegistryCredential::basic("x", "y"));
        check(r#"{"Authorization":["Basic eDp5"]}"#, basic());
        check(
            r#"{"Authorization":["BASIC eDp5"],"X-Other":["canary"]}"#,
            basic(),
        );
        // `<token>` is a word of Docker's helpers, and none of Bazel's.
        check(
            r#"{"Authorization":["Basic PHRva2VuPjp5"]}"#,
            Some(RegistryCredential::basic("<token>", "y")),
        );
    }

    #[test]
    fn cache_gets_every_header() {
        let answer = parse(r#"{"headers":{"Authorization":["Bearer a"],"X-Key":["b","c"]}}"#);
        let credential = answer.unwrap().cache_credential();
        let headers: Vec<_> = credential
            .headers()
            .map(|(name, value)| format!("{name}: {}", value.expose()))
            .collect();
        assert_eq!(headers, ["Authorization: Bearer a", "X-Key: b", "X-Key: c"]);
    }

    #[test]
    fn expiry_is_a_time_or_absent() {
        let expires = |text: &str| parse(text).unwrap().expires();
        assert_eq!(expires("{}"), None);
        assert_eq!(expires(r#"{"expires":""}"#), None);
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
        assert_eq!(
            expires(r#"{"expires":"1970-01-01T01:01:00+01:00"}"#),
            Some(time)
        );
    }

    #[test]
    fn answer_that_is_none_does_not_show_itself() {
        let texts = [
            "canary",
            "[]",
            r#"{"headers":["canary"]}"#,
            r#"{"headers":{"can ary":["x"]}}"#,
            r#"{"headers":{"Authorization":"Bearer canary"}}"#,
            r#"{"headers":{"Authorization":[["canary"]]}}"#,
            r#"{"headers":{"Authorization":["Bearer canary\r\nX: y"]}}"#,
            r#"{"headers":{},"expires":"canary"}"#,
            r#"{"headers":{},"expires":17}"#,
        ]
        .map(|text| parse(text).unwrap_err().to_string());
        assert_snapshot!(texts.join("\n"), @r"
        its answer is no JSON object
        its answer is no JSON object
        headers is no object
        a header has a name that is none
        a header is no list of values
        a value of a header is no string
        a value of a header has characters that no header has
        expires is no RFC 3339 time
        expires is no string
        ");
    }

    #[test]
    fn authorization_that_no_registry_knows_is_an_error() {
        let texts = [
            "canary",
            "Bearer",
            "Bearer ",
            "Bearer can ary",
            "Negotiate canary",
            "Basic !canary",
            "Basic Y2FuYXJ5",
            "Basic OmNhbmFyeQ==",
        ]
        .map(|value| {
            let answer = parse(&format!(r#"{{"headers":{{"Authorization":["{value}"]}}}}"#));
            answer
                .unwrap()
                .registry_credential()
                .unwrap_err()
                .to_string()
        });
        assert_snapshot!(texts.join("\n"), @r"
        its Authorization is neither Basic nor Bearer
        its Authorization is neither Basic nor Bearer
        its bearer token is empty or has characters that no token has
        its bearer token is empty or has characters that no token has
        its Authorization is neither Basic nor Bearer
        auth is no Base64
        auth has no colon between user name and password
        the user name is empty
        ");
    }
}
