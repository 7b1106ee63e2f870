//! Asking a token server, and reading what it answers.
//!
//! The forms are those of the [token authentication][get] (GET) and of its [OAuth 2 form][post] (POST), as the
//! registries share them.
//!
//! [get]: https://distribution.github.io/distribution/spec/auth/token/
//! [post]: https://distribution.github.io/distribution/spec/auth/oauth/

#[cfg(test)]
mod tests;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use imgauth::Secret;
use imgcore::json::{Limits, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use super::scope::ScopeSet;

/// The most bytes of an answer that are read.
pub const MAX_BYTES: usize = 64 * 1024;

/// How the client names itself to a token server.
pub const CLIENT_ID: &str = "imgkit";

/// The user's name that stands for "the password is a refresh token", by an old agreement.
const TOKEN_USER: &str = "<token>";

/// How long a token is good when the server does not say so.
const DEFAULT_LIFE: Duration = Duration::from_secs(60);

/// The longest life that is believed.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// Who asks for a token.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Grant<'a> {
    /// Nobody: what is public.
    Anonymous,
    /// A user with a password.
    Basic {
        /// The user.
        username: &'a str,
        /// The password.
        password: &'a Secret,
    },
    /// The holder of an identity token, which is a refresh token for the token server.
    Refresh {
        /// The refresh token.
        token: &'a Secret,
    },
}

/// A request to a token server.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenRequest {
    /// Where it goes.
    pub url: Url,
    /// The value of its header `Authorization`.
    pub authorization: Option<Secret>,
    /// The body of a POST, `application/x-www-form-urlencoded`; without one the request is a GET.
    pub form: Option<Secret>,
}

impl TokenRequest {
    /// Builds the request that a grant asks for: a POST for a refresh token, a GET for the others.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgregistry::protocol::scope::{Actions, Scope, ScopeSet};
    /// use imgregistry::protocol::token::{Grant, TokenRequest};
    ///
    /// let scopes = ScopeSet::new(Scope::new("team/app".parse()?, Actions::PULL));
    /// let realm = "https://auth.example/token".parse()?;
    /// let request = TokenRequest::new(&realm, Some("r.example"), &scopes, Grant::Anonymous);
    /// assert_eq!(
    ///     request.url.as_str(),
    ///     "https://auth.example/token?service=r.example&scope=repository%3Ateam%2Fapp%3Apull",
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(realm: &Url, service: Option<&str>, scopes: &ScopeSet, grant: Grant<'_>) -> Self {
        let Grant::Refresh { token } = grant else {
            return Self::get(realm, service, scopes, grant);
        };
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "refresh_token");
        if let Some(service) = service {
            form.append_pair("service", service);
        }
        form.append_pair("client_id", CLIENT_ID);
        form.append_pair("scope", &scopes.to_string());
        form.append_pair("refresh_token", token.expose());
        Self {
            url: realm.clone(),
            authorization: None,
            form: Some(Secret::new(form.finish())),
        }
    }

    /// Builds the GET form, which also servers know that answer a POST with 404 or 405
    /// (see [`wants_get`]): a refresh token goes as the password of the user `<token>`.
    pub fn get(realm: &Url, service: Option<&str>, scopes: &ScopeSet, grant: Grant<'_>) -> Self {
        let mut url = realm.clone();
        let mut query = url.query_pairs_mut();
        if let Some(service) = service {
            query.append_pair("service", service);
        }
        for scope in scopes.iter() {
            query.append_pair("scope", &scope.to_string());
        }
        drop(query);
        Self {
            url,
            authorization: match grant {
                Grant::Anonymous => None,
                Grant::Basic { username, password } => Some(basic(username, password)),
                Grant::Refresh { token } => Some(basic(TOKEN_USER, token)),
            },
            form: None,
        }
    }
}

/// Returns whether the answer to a POST means that the server knows the GET form only.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::token::wants_get;
///
/// assert!(wants_get(405));
/// assert!(!wants_get(401));
/// ```
pub fn wants_get(status: u16) -> bool {
    matches!(status, 404 | 405)
}

/// Returns the value of `Authorization` for a user and a password ([RFC 7617][rfc]).
///
/// [rfc]: https://www.rfc-editor.org/rfc/rfc7617
///
/// # Examples
///
/// ```
/// use imgauth::Secret;
/// use imgregistry::protocol::token::basic;
///
/// let header = basic("me", &Secret::new("word".to_owned()));
/// assert_eq!(header.expose(), "Basic bWU6d29yZA==");
/// ```
pub fn basic(username: &str, password: &Secret) -> Secret {
    let pair = Secret::new(format!("{username}:{}", password.expose()));
    Secret::new(format!("Basic {}", STANDARD.encode(pair.expose())))
}

/// Why an answer of a token server cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The token has characters that no header can carry.
    #[error("the token holds characters that no header can carry")]
    Characters,
    /// The body is not JSON, or no object.
    #[error("the answer is no JSON object")]
    NoObject,
    /// There is neither `token` nor `access_token`.
    #[error("the answer has neither `token` nor `access_token`")]
    NoToken,
    /// The body is too long.
    #[error("the answer has more than 64 KiB")]
    TooLong,
}

/// A token, and how long it is good.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenResponse {
    /// The token. It says nothing to the client, whatever it looks like.
    pub token: Secret,
    /// How long it is good, counted from when it was asked for: the server's clock is not looked at.
    pub life: Duration,
    /// A refresh token; servers give one only when they are asked.
    pub refresh_token: Option<Secret>,
}

impl TokenResponse {
    /// Reads the body of an answer with the status 200.
    ///
    /// `token` goes before `access_token`. Without `expires_in`, or with one that is no positive number, the token is
    /// good for 60 seconds; no more than a day is believed.
    ///
    /// # Errors
    ///
    /// [`TokenError`], when there is no token that a header can carry.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgregistry::protocol::token::TokenResponse;
    ///
    /// let answer = TokenResponse::parse(br#"{"access_token":"abc","expires_in":300}"#)?;
    /// assert_eq!(answer.token.expose(), "abc");
    /// assert_eq!((answer.life.as_secs(), answer.fresh_for().as_secs()), (300, 240));
    /// # Ok::<(), imgregistry::protocol::token::TokenError>(())
    /// ```
    pub fn parse(body: &[u8]) -> Result<Self, TokenError> {
        if body.len() > MAX_BYTES {
            return Err(TokenError::TooLong);
        }
        let limits = Limits::default()
            .with_max_bytes(MAX_BYTES)
            .with_case_variants(true);
        let object = Value::parse(body, &limits)
            .ok()
            .and_then(|value| value.as_object())
            .ok_or(TokenError::NoObject)?;
        let text = |name: &str| {
            let text = object.get(name)?.as_str()?;
            Some(text.into_owned()).filter(|text| !text.is_empty())
        };
        let token = text("token")
            .or_else(|| text("access_token"))
            .ok_or(TokenError::NoToken)?;
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Characters);
        }
        Ok(Self {
            token: Secret::new(token),
            life: object.get("expires_in").map_or(DEFAULT_LIFE, life),
            refresh_token: text("refresh_token").map(Secret::new),
        })
    }

    /// Returns how long the token is used before a new one is fetched: four fifths of its life, so that what begins with
    /// it also ends with it.
    pub fn fresh_for(&self) -> Duration {
        self.life.saturating_sub(self.life / 5)
    }

    /// Returns the value of `Authorization` for the registry.
    pub fn authorization(&self) -> Secret {
        Secret::new(format!("Bearer {}", self.token.expose()))
    }
}

/// Reads `expires_in`: a number, which some servers write as a text.
fn life(value: &Value) -> Duration {
    let seconds = match value.as_str() {
        Some(text) => text.trim().parse::<f64>().ok(),
        None => value.as_f64(),
    };
    seconds
        .filter(|seconds| *seconds > 0.0)
        .map_or(DEFAULT_LIFE, |seconds| {
            Duration::try_from_secs_f64(seconds)
                .unwrap_or(LONGEST_LIFE)
                .min(LONGEST_LIFE)
        })
}
