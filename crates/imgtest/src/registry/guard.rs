//! Demands credentials before a handler is reached, in every shape that the demand is known to have.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use http::HeaderMap;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use imgserve::http::{Handler, Request, Response};

use super::answers::refusal;
use super::class::{query_value, repository_of};
use super::recorder::decoded_basic;
use super::{RequestClass, TokenServer, Verdict};

/// A [`Handler`] that lets through who shows credentials, and tells the others how to get some.
pub struct Guard {
    inner: Arc<dyn Handler>,
    users: BTreeMap<String, String>,
    tokens: Option<Tokens>,
    verbatim: Vec<String>,
    service: String,
    challenge: Challenge,
    insufficient: Insufficient,
}

struct Tokens {
    server: Arc<TokenServer>,
    realm: String,
}

/// The shape of the `WWW-Authenticate` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test goes through all of them")]
pub enum Challenge {
    /// One header with quoted values.
    Plain,
    /// Values without quotes.
    Unquoted,
    /// The scheme in upper case, the names in mixed case.
    UpperCase,
    /// The scheme in lower case.
    LowerCase,
    /// No `scope`.
    NoScope,
    /// No `service`.
    NoService,
    /// A service with escaped quotes and a comma.
    EscapedQuotes,
    /// One header for Basic, and one for Bearer.
    TwoHeaders,
    /// Both in one header.
    OneHeaderForBoth,
    /// A realm that is a path on the registry itself.
    RelativeRealm,
    /// White space where nobody expects it.
    Spaced,
    /// Parameters that nobody knows, and an `error`.
    UnknownParameters,
}

impl Challenge {
    /// Every shape.
    pub const ALL: [Self; 12] = [
        Self::Plain,
        Self::Unquoted,
        Self::UpperCase,
        Self::LowerCase,
        Self::NoScope,
        Self::NoService,
        Self::EscapedQuotes,
        Self::TwoHeaders,
        Self::OneHeaderForBoth,
        Self::RelativeRealm,
        Self::Spaced,
        Self::UnknownParameters,
    ];

    /// Returns the service as it is announced, which token requests must repeat; nothing where none is.
    pub fn service(self, service: &str) -> Option<String> {
        match self {
            Self::NoService => None,
            Self::EscapedQuotes => Some(format!("the \"{service}\", ours")),
            _ => Some(service.to_owned()),
        }
    }

    /// Writes the headers that demand a token.
    pub fn headers(self, realm: &str, service: &str, scope: &str) -> Vec<String> {
        let plain = format!(r#"Bearer realm="{realm}",service="{service}",scope="{scope}""#);
        match self {
            Self::Plain => vec![plain],
            Self::Unquoted => {
                // A scope for pushing has a comma, which only quotes can carry.
                let scope = if scope.contains(',') {
                    format!("\"{scope}\"")
                } else {
                    scope.into()
                };
                vec![format!(
                    "Bearer realm=\"{realm}\",service={service},scope={scope}"
                )]
            }
            Self::UpperCase => {
                vec![format!(
                    r#"BEARER Realm="{realm}",SERVICE="{service}",Scope="{scope}""#
                )]
            }
            Self::LowerCase => vec![plain.replacen("Bearer", "bearer", 1)],
            Self::NoScope => vec![format!(r#"Bearer realm="{realm}",service="{service}""#)],
            Self::NoService => vec![format!(r#"Bearer realm="{realm}",scope="{scope}""#)],
            Self::EscapedQuotes => vec![format!(
                r#"Bearer realm="{realm}",service="the \"{service}\", ours",scope="{scope}""#
            )],
            Self::TwoHeaders => vec![r#"Basic realm="registry, with a comma""#.into(), plain],
            Self::OneHeaderForBoth => vec![format!(r#"Basic realm="registry", {plain}"#)],
            Self::RelativeRealm => {
                let start = realm.find("://").map_or(0, |at| at + 3);
                let path = realm[start..]
                    .find('/')
                    .map_or("/", |at| &realm[start + at..]);
                vec![format!(
                    r#"Bearer realm="{path}",service="{service}",scope="{scope}""#
                )]
            }
            Self::Spaced => vec![format!(
                "Bearer   realm = \"{realm}\" ,, service=\"{service}\" ,\tscope=\"{scope}\" "
            )],
            Self::UnknownParameters => vec![format!(
                r#"Bearer error="insufficient_scope",realm="{realm}",x="y=z",service="{service}",scope="{scope}""#
            )],
        }
    }
}

/// What a good token that allows too little is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test names each of them")]
pub enum Insufficient {
    /// 401 with a challenge that names the scope, as the specification of tokens has it.
    Challenge,
    /// 403 without one.
    Forbidden,
    /// 404: the repository's existence is a secret.
    NotFound,
}

impl Guard {
    /// Demands a user and a password.
    pub fn basic(inner: Arc<dyn Handler>, users: &[(&str, &str)]) -> Self {
        Self::new(inner).with_users(users)
    }

    /// Demands a token of a server. `realm` is where clients reach it.
    pub fn bearer(inner: Arc<dyn Handler>, server: &Arc<TokenServer>, realm: &str) -> Self {
        let mut guard = Self::new(inner);
        guard.tokens = Some(Tokens {
            server: Arc::clone(server),
            realm: realm.to_owned(),
        });
        guard
    }

    fn new(inner: Arc<dyn Handler>) -> Self {
        Self {
            inner,
            users: BTreeMap::new(),
            tokens: None,
            verbatim: Vec::new(),
            service: "registry.test".into(),
            challenge: Challenge::Plain,
            insufficient: Insufficient::Challenge,
        }
    }

    /// Takes users with their passwords too.
    #[must_use]
    pub fn with_users(mut self, users: &[(&str, &str)]) -> Self {
        let users = users
            .iter()
            .map(|(user, password)| (user.to_string(), password.to_string()));
        self.users.extend(users);
        self
    }

    /// Takes a bearer token as it is, wherever it came from.
    #[must_use]
    pub fn with_verbatim_token(mut self, token: &str) -> Self {
        self.verbatim.push(token.to_owned());
        self
    }

    /// Sets the name that the challenge gives as `service`.
    #[must_use]
    pub fn with_service(mut self, service: &str) -> Self {
        service.clone_into(&mut self.service);
        self
    }

    /// Sets the shape of the challenge.
    #[must_use]
    pub fn with_challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = challenge;
        self
    }

    /// Sets the answer to tokens that allow too little.
    #[must_use]
    pub fn with_insufficient(mut self, insufficient: Insufficient) -> Self {
        self.insufficient = insufficient;
        self
    }

    fn judge(&self, parts: &http::request::Parts) -> Verdict {
        let Some(value) = authorization(&parts.headers) else {
            return Verdict::Unknown;
        };
        if let Some(pair) = decoded_basic(value) {
            let known = pair.split_once(':').is_some_and(|(user, password)| {
                self.users
                    .get(user)
                    .is_some_and(|expected| expected == password)
            });
            return if known {
                Verdict::Granted
            } else {
                Verdict::Unknown
            };
        }
        let Some((scheme, token)) = value.split_once(' ') else {
            return Verdict::Unknown;
        };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Verdict::Unknown;
        }
        if self.verbatim.iter().any(|known| known == token) {
            return Verdict::Granted;
        }
        let Some(tokens) = &self.tokens else {
            return Verdict::Unknown;
        };
        let class = RequestClass::of(&parts.method, parts.uri.path(), parts.uri.query());
        let repository = repository_of(parts.uri.path());
        let verdict = tokens.server.judge(token, repository, class.needs());
        // Reading the other repository takes a permission of its own.
        let from = parts
            .uri
            .query()
            .and_then(|query| query_value(query, "from"));
        match (verdict, class, from) {
            (Verdict::Granted, RequestClass::Mount, Some(from)) => {
                match tokens.server.judge(token, Some(&from), &["pull"]) {
                    Verdict::Granted => Verdict::Granted,
                    _ => Verdict::Insufficient,
                }
            }
            (verdict, _, _) => verdict,
        }
    }

    fn demand(&self, parts: &http::request::Parts) -> Response {
        let mut response = refusal(401, "UNAUTHORIZED", "authentication required");
        for value in self.challenges(parts) {
            let value = value.parse().expect("a challenge is a header value");
            response.headers_mut().append(WWW_AUTHENTICATE, value);
        }
        response
    }

    fn challenges(&self, parts: &http::request::Parts) -> Vec<String> {
        let Some(tokens) = &self.tokens else {
            return vec![r#"Basic realm="registry""#.into()];
        };
        let class = RequestClass::of(&parts.method, parts.uri.path(), parts.uri.query());
        let actions = class.needs().join(",");
        let scope = repository_of(parts.uri.path())
            .map(|repository| format!("repository:{repository}:{actions}"));
        let Some(scope) = scope.filter(|_| !actions.is_empty()) else {
            let mut shape = self.challenge;
            if shape != Challenge::NoService {
                shape = Challenge::NoScope;
            }
            return shape.headers(&tokens.realm, &self.service, "");
        };
        self.challenge.headers(&tokens.realm, &self.service, &scope)
    }
}

impl Handler for Guard {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let refusal = match self.judge(&parts) {
                Verdict::Granted => {
                    let request = http::Request::from_parts(parts, body);
                    return Arc::clone(&self.inner).handle(request).await;
                }
                Verdict::Expired | Verdict::Unknown => self.demand(&parts),
                Verdict::Insufficient => match self.insufficient {
                    Insufficient::Challenge => self.demand(&parts),
                    Insufficient::Forbidden => {
                        refusal(403, "DENIED", "requested access to the resource is denied")
                    }
                    Insufficient::NotFound => {
                        refusal(404, "NAME_UNKNOWN", "repository name not known to registry")
                    }
                },
            };
            // As real servers do: they refuse before they read.
            drop(body);
            refusal
        })
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("challenge", &self.challenge)
            .finish_non_exhaustive()
    }
}

fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(AUTHORIZATION)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::super::{InProcess, TokenOptions, answer};
    use super::*;

    const BLOB: &str = "https://registry.example/v2/a/blobs/sha256:1";

    #[tokio::test]
    async fn basic_is_demanded_and_taken() {
        let guard = Guard::basic(answer(200, "in"), &[("me", "imgkit-canary-password")]);
        let network = InProcess::new().with("https://registry.example", Arc::new(guard));
        let refused = network.get(BLOB).await.unwrap();
        assert_eq!(refused.status, 401);
        assert_eq!(
            refused.header("www-authenticate"),
            Some(r#"Basic realm="registry""#)
        );
        let right = [(
            "Authorization",
            "Basic bWU6aW1na2l0LWNhbmFyeS1wYXNzd29yZA==",
        )];
        assert_eq!(
            network.request("GET", BLOB, &right, "").await.unwrap().body,
            "in"
        );
        let wrong = [("Authorization", "Basic bWU6eA==")];
        assert_eq!(
            network
                .request("GET", BLOB, &wrong, "")
                .await
                .unwrap()
                .status,
            401
        );
    }

    #[tokio::test]
    async fn tokens_are_good_for_what_they_were_given_for() {
        let server = TokenServer::new(TokenOptions::default());
        let guard = Guard::bearer(answer(200, "in"), &server, "https://auth.example/token");
        let network = InProcess::new()
            .with("https://registry.example", Arc::new(guard))
            .with("https://auth.example", Arc::clone(&server));
        let refused = network.get(BLOB).await.unwrap();
        assert_eq!(
            refused.header("www-authenticate").unwrap(),
            r#"Bearer realm="https://auth.example/token",service="registry.test",scope="repository:a:pull""#
        );
        network
            .get("https://auth.example/token?scope=repository:a:pull")
            .await
            .unwrap();
        let token = format!("Bearer {}", server.issued()[0].token);
        let headers = [("Authorization", token.as_str())];
        assert_eq!(
            network
                .request("GET", BLOB, &headers, "")
                .await
                .unwrap()
                .status,
            200
        );
        let other = "https://registry.example/v2/b/blobs/sha256:1";
        assert_eq!(
            network
                .request("GET", other, &headers, "")
                .await
                .unwrap()
                .status,
            401
        );
        server.expire_all();
        assert_eq!(
            network
                .request("GET", BLOB, &headers, "")
                .await
                .unwrap()
                .status,
            401
        );
    }
}
