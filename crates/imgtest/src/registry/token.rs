//! A token server that behaves in each of the ways that real ones are known for.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_core::future::BoxFuture;
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use imgserve::http::{Handler, Request, Response};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::answers::{refusal, respond};
use super::class::{query_value, query_values};
use super::recorder::{decoded_basic, lock};

/// How a [`TokenServer`] behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TokenOptions {
    /// The name that requests must give as `service`; nothing where it does not look.
    pub service: Option<String>,
    /// Users with their passwords.
    pub users: BTreeMap<String, String>,
    /// Identity tokens, which are refresh tokens by another name.
    pub identity_tokens: Vec<String>,
    /// Whether whoever has no credentials gets a token to pull.
    pub anonymous: bool,
    /// Repositories that tokens without a user are not good for.
    pub private: Vec<String>,
    /// Repositories whose name in any scope makes the whole request fail, as Docker Hub does with unknown ones.
    pub fatal_repositories: Vec<String>,
    /// What POST is answered with.
    pub post: Post,
    /// How many of the scopes of a request count.
    pub scopes: Scopes,
    /// What the token is called in the answer.
    pub field: TokenField,
    /// What is said about a token's life.
    pub expires_in: ExpiresIn,
    /// How long a token really lives.
    pub life: Duration,
    /// The longest target that is taken, in bytes; GitLab has a limit.
    pub max_target: usize,
    /// The longest `Authorization` that is taken, in bytes; Azure has a limit.
    pub max_authorization: usize,
    /// Whether `offline_token=true` breaks it.
    pub breaks_on_offline_token: bool,
    /// Whether an answer to a user carries a refresh token though nobody asked.
    pub always_refresh_token: bool,
}

impl Default for TokenOptions {
    fn default() -> Self {
        Self {
            service: None,
            users: BTreeMap::new(),
            identity_tokens: Vec::new(),
            anonymous: true,
            private: Vec::new(),
            fatal_repositories: Vec::new(),
            post: Post::Supported,
            scopes: Scopes::All,
            field: TokenField::Token,
            expires_in: ExpiresIn::Seconds(300),
            life: Duration::from_secs(300),
            max_target: 8 * 1024,
            max_authorization: 16 * 1024,
            breaks_on_offline_token: false,
            always_refresh_token: false,
        }
    }
}

/// What a token server makes of a POST with a form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test names each of them")]
pub enum Post {
    /// It answers with a token.
    Supported,
    /// It answers 405.
    MethodNotAllowed,
    /// It answers 404.
    NotFound,
}

/// How many of the scopes in a request count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test names each of them")]
pub enum Scopes {
    /// All of them.
    All,
    /// The first one only.
    OnlyFirst,
}

/// What the token is called in the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test names each of them")]
pub enum TokenField {
    /// `token`.
    Token,
    /// `access_token`.
    AccessToken,
    /// Both, with the same token.
    Both,
}

/// What the answer says about a token's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test names each of them")]
pub enum ExpiresIn {
    /// Nothing: 60 seconds by the specification.
    Absent,
    /// A number, which may be zero or negative.
    Seconds(i64),
    /// A number in quotes.
    Quoted(&'static str),
}

/// A token that was handed out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Issued {
    /// The token. It contains `imgkit-canary-`, so that it is noticed where it should not be.
    pub token: String,
    /// Who got it: a user's name, `identity` for who came with an identity token, nothing for the anonymous.
    pub to: Option<String>,
    /// What it is good for: repository and actions.
    pub grants: Vec<(String, Vec<String>)>,
    /// How it was asked for.
    pub method: Method,
    /// The scopes that were asked for, as they were written.
    pub asked: Vec<String>,
    ends: Instant,
}

/// Whether a token is good for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a guard decides each of them")]
pub enum Verdict {
    /// It is.
    Granted,
    /// Its time is over, or it was taken back.
    Expired,
    /// It does not allow that.
    Insufficient,
    /// It is none of ours.
    Unknown,
}

/// A [`Handler`] that hands tokens out, and knows which ones are good for what.
///
/// Time is tokio's, so a test with paused time moves it.
pub struct TokenServer {
    options: TokenOptions,
    issued: Mutex<Vec<Issued>>,
}

struct Asked {
    method: Method,
    /// User and password, or nothing.
    basic: Option<(String, String)>,
    refresh_token: Option<String>,
    service: Option<String>,
    scopes: Vec<String>,
    wants_refresh_token: bool,
}

impl TokenServer {
    /// Makes a token server.
    pub fn new(options: TokenOptions) -> Arc<Self> {
        Arc::new(Self {
            options,
            issued: Mutex::default(),
        })
    }

    /// Returns every token that was handed out.
    pub fn issued(&self) -> Vec<Issued> {
        lock(&self.issued).clone()
    }

    /// Takes back all tokens that are out.
    pub fn expire_all(&self) {
        let now = Instant::now();
        for issued in lock(&self.issued).iter_mut() {
            issued.ends = now;
        }
    }

    /// Says whether a token is good for actions on a repository, or simply good when there is none.
    pub fn judge(&self, token: &str, repository: Option<&str>, needs: &[&str]) -> Verdict {
        let issued = lock(&self.issued);
        let Some(issued) = issued.iter().find(|issued| issued.token == token) else {
            return Verdict::Unknown;
        };
        if issued.ends <= Instant::now() {
            return Verdict::Expired;
        }
        let Some(repository) = repository else {
            return Verdict::Granted;
        };
        let has = |action: &&str| {
            issued.grants.iter().any(|(name, actions)| {
                name == repository && actions.iter().any(|have| have == action || have == "*")
            })
        };
        if needs.iter().all(has) {
            Verdict::Granted
        } else {
            Verdict::Insufficient
        }
    }

    fn decide(&self, asked: &Asked) -> Response {
        let options = &self.options;
        if asked.method == Method::POST {
            match options.post {
                Post::Supported => {}
                Post::MethodNotAllowed => return respond(405, &[], "Method Not Allowed"),
                Post::NotFound => return respond(404, &[], "404 page not found"),
            }
        }
        if let Some(service) = &options.service
            && asked.service.as_ref() != Some(service)
        {
            return refusal(400, "UNSUPPORTED", "this is not a service of ours");
        }
        if options.breaks_on_offline_token && asked.wants_refresh_token {
            return refusal(400, "UNSUPPORTED", "offline_token is not known here");
        }
        let to = match self.authenticate(asked) {
            Ok(to) => to,
            Err(response) => return *response,
        };
        let counted = match options.scopes {
            Scopes::All => asked.scopes.len(),
            Scopes::OnlyFirst => 1,
        };
        let mut grants = Vec::new();
        for scope in asked.scopes.iter().take(counted) {
            let Some((name, actions)) = parse_scope(scope) else {
                return refusal(400, "UNSUPPORTED", "malformed scope");
            };
            if options.fatal_repositories.contains(&name) {
                return refusal(400, "DENIED", "a repository in the scope is not known");
            }
            let is_private = options.private.contains(&name);
            let actions: Vec<String> = match (&to, is_private) {
                (Some(_), _) => actions,
                (None, true) => Vec::new(),
                (None, false) => actions
                    .into_iter()
                    .filter(|action| action == "pull")
                    .collect(),
            };
            if !actions.is_empty() {
                grants.push((name, actions));
            }
        }
        self.issue(asked, to, grants)
    }

    /// Returns who asks: a name, or nothing for the anonymous.
    fn authenticate(&self, asked: &Asked) -> Result<Option<String>, Box<Response>> {
        let unauthorized = || {
            Box::new(refusal(
                401,
                "UNAUTHORIZED",
                "incorrect username or password",
            ))
        };
        if let Some((user, password)) = &asked.basic {
            // Some clients send an identity token as the password of a user called `<token>`.
            return match self.options.users.get(user) {
                Some(expected) if expected == password => Ok(Some(user.clone())),
                _ => Err(unauthorized()),
            };
        }
        if let Some(token) = &asked.refresh_token {
            let known = self.options.identity_tokens.contains(token) || token.starts_with(REFRESH);
            return if known {
                Ok(Some("identity".into()))
            } else {
                Err(unauthorized())
            };
        }
        if asked.method == Method::GET && self.options.anonymous {
            return Ok(None);
        }
        Err(unauthorized())
    }

    fn issue(
        &self,
        asked: &Asked,
        to: Option<String>,
        grants: Vec<(String, Vec<String>)>,
    ) -> Response {
        let mut all = lock(&self.issued);
        let token = format!("imgkit-canary-opaque.token_{}~/+=", all.len());
        let mut body = Map::new();
        if self.options.field != TokenField::AccessToken {
            body.insert("token".into(), json!(token));
        }
        if self.options.field != TokenField::Token {
            body.insert("access_token".into(), json!(token));
        }
        match self.options.expires_in {
            ExpiresIn::Absent => {}
            ExpiresIn::Seconds(seconds) => drop(body.insert("expires_in".into(), json!(seconds))),
            ExpiresIn::Quoted(text) => drop(body.insert("expires_in".into(), json!(text))),
        }
        if to.is_some() && (asked.wants_refresh_token || self.options.always_refresh_token) {
            body.insert(
                "refresh_token".into(),
                json!(format!("{REFRESH}{}", all.len())),
            );
        }
        all.push(Issued {
            token,
            to,
            grants,
            method: asked.method.clone(),
            asked: asked.scopes.clone(),
            ends: Instant::now() + self.options.life,
        });
        let body = Value::Object(body).to_string();
        respond(200, &[("Content-Type", "application/json")], body)
    }
}

const REFRESH: &str = "imgkit-canary-refresh-";

impl Handler for TokenServer {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = match body.collect().await {
                Ok(body) => body.to_bytes(),
                Err(_) => return respond(400, &[], "the body broke"),
            };
            if parts.uri.to_string().len() > self.options.max_target {
                return respond(StatusCode::URI_TOO_LONG.as_u16(), &[], "URI too long");
            }
            let authorization = parts.headers.get(http::header::AUTHORIZATION);
            let authorization = authorization.and_then(|value| value.to_str().ok());
            if authorization.is_some_and(|text| text.len() > self.options.max_authorization) {
                return respond(400, &[], "Request Header Or Cookie Too Large");
            }
            let form = String::from_utf8_lossy(&body).into_owned();
            match read(&parts, authorization, &form) {
                Ok(asked) => self.decide(&asked),
                Err(response) => *response,
            }
        })
    }
}

impl fmt::Debug for TokenServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenServer").finish_non_exhaustive()
    }
}

fn read(
    parts: &http::request::Parts,
    authorization: Option<&str>,
    form: &str,
) -> Result<Asked, Box<Response>> {
    let basic = match authorization {
        None => None,
        Some(value) => {
            let decoded = decoded_basic(value);
            let pair = decoded.as_deref().and_then(|text| text.split_once(':'));
            let Some((user, password)) = pair else {
                let text = "a token server takes Basic and nothing else";
                return Err(Box::new(refusal(401, "UNAUTHORIZED", text)));
            };
            Some((user.to_owned(), password.to_owned()))
        }
    };
    match parts.method {
        Method::GET => {
            let query = parts.uri.query().unwrap_or_default();
            Ok(Asked {
                method: Method::GET,
                basic,
                refresh_token: None,
                service: query_value(query, "service"),
                scopes: query_values(query, "scope"),
                wants_refresh_token: query_value(query, "offline_token").as_deref() == Some("true"),
            })
        }
        Method::POST => Ok(read_form(basic, form)),
        _ => Err(Box::new(respond(405, &[], ""))),
    }
}

fn read_form(basic: Option<(String, String)>, form: &str) -> Asked {
    let grant = query_value(form, "grant_type").unwrap_or_default();
    let password = (grant == "password").then(|| {
        let field = |name| query_value(form, name).unwrap_or_default();
        (field("username"), field("password"))
    });
    let scopes = query_value(form, "scope").unwrap_or_default();
    Asked {
        method: Method::POST,
        basic: basic.or(password),
        refresh_token: (grant == "refresh_token")
            .then(|| query_value(form, "refresh_token"))
            .flatten(),
        service: query_value(form, "service"),
        scopes: scopes
            .split(' ')
            .filter(|scope| !scope.is_empty())
            .map(Into::into)
            .collect(),
        wants_refresh_token: query_value(form, "access_type").as_deref() == Some("offline"),
    }
}

/// Reads `repository:NAME:ACTION,ACTION`.
fn parse_scope(scope: &str) -> Option<(String, Vec<String>)> {
    let (kind, rest) = scope.split_once(':')?;
    let (name, actions) = rest.rsplit_once(':')?;
    let is_known = kind == "repository" || kind.starts_with("repository(") || kind == "registry";
    is_known.then(|| {
        (
            name.to_owned(),
            actions.split(',').map(Into::into).collect(),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::InProcess;
    use super::*;

    const REALM: &str = "https://auth.example/token";

    fn server(change: impl FnOnce(&mut TokenOptions)) -> (Arc<TokenServer>, InProcess) {
        let mut options = TokenOptions::default();
        options
            .users
            .insert("me".into(), "imgkit-canary-password".into());
        options
            .identity_tokens
            .push("imgkit-canary-identity".into());
        change(&mut options);
        let server = TokenServer::new(options);
        let network = InProcess::new().with("https://auth.example", Arc::clone(&server));
        (server, network)
    }

    fn basic(user: &str, password: &str) -> String {
        use base64::Engine as _;
        let text = format!("{user}:{password}");
        format!(
            "Basic {}",
            base64::engine::general_purpose::STANDARD.encode(text)
        )
    }

    #[tokio::test(start_paused = true)]
    async fn the_anonymous_may_pull_for_a_while() {
        let (server, network) = server(|_| {});
        let answer = network
            .get(&format!("{REALM}?scope=repository:a/b:pull,push"))
            .await
            .unwrap();
        assert_eq!(answer.status, 200);
        let token = &server.issued()[0].token;
        assert_eq!(
            server.judge(token, Some("a/b"), &["pull"]),
            Verdict::Granted
        );
        assert_eq!(
            server.judge(token, Some("a/b"), &["push"]),
            Verdict::Insufficient
        );
        assert_eq!(
            server.judge(token, Some("c"), &["pull"]),
            Verdict::Insufficient
        );
        assert_eq!(
            server.judge("made up", Some("a/b"), &["pull"]),
            Verdict::Unknown
        );
        tokio::time::advance(Duration::from_secs(301)).await;
        assert_eq!(
            server.judge(token, Some("a/b"), &["pull"]),
            Verdict::Expired
        );
    }

    #[tokio::test]
    async fn users_and_identity_tokens_get_what_they_ask_for() {
        let (server, network) = server(|_| {});
        let scope = format!("{REALM}?scope=repository:a:pull,push");
        let right = basic("me", "imgkit-canary-password");
        let wrong = basic("me", "guessed");
        for (header, status) in [(&right, 200), (&wrong, 401)] {
            let headers = [("Authorization", header.as_str())];
            let answer = network.request("GET", &scope, &headers, "").await.unwrap();
            assert_eq!(answer.status, status);
        }
        let form = "grant_type=refresh_token&refresh_token=imgkit-canary-identity&scope=repository%3Aa%3Apush";
        let answer = network.request("POST", REALM, &[], form).await.unwrap();
        assert_eq!(answer.status, 200);
        let issued = server.issued();
        assert_eq!(issued[1].to.as_deref(), Some("identity"));
        assert_eq!(
            server.judge(&issued[1].token, Some("a"), &["push"]),
            Verdict::Granted
        );
    }

    #[tokio::test]
    async fn only_the_first_scope_may_count() {
        let (server, network) = server(|options| options.scopes = Scopes::OnlyFirst);
        let uri = format!("{REALM}?scope=repository:a:pull&scope=repository:b:pull");
        network.get(&uri).await.unwrap();
        assert_eq!(
            server.issued()[0].grants,
            [("a".to_owned(), vec!["pull".to_owned()])]
        );
    }
}
