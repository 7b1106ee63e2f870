//! How a host wants to be logged in to, and the tokens that it takes.

use std::sync::{Arc, Mutex, PoisonError};

use http::StatusCode;
use http::header::{HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use imgauth::{RegistryCredential, Resolution};
use imgcore::{RegistryHost, Repository};
use url::Url;

use super::credentials::{Credentials, direct_header};
use super::token::Tokens;
use crate::Role;
use crate::error::{Error, ErrorKind};
use crate::exchange::{Answer, Exchange, Failure};
use crate::protocol::challenge::{self, BearerChallenge, Challenge};
use crate::protocol::scope::ScopeSet;

/// The state of being logged in to one host.
#[derive(Debug, Default)]
pub(super) struct Auth {
    scheme: Mutex<Scheme>,
    credentials: Credentials,
    tokens: Tokens,
}

/// What a host has shown that it wants.
#[derive(Clone, Debug, Default)]
enum Scheme {
    /// Nothing was asked yet: public images need nothing, and asking would cost a request.
    #[default]
    Unexplored,
    /// It wants nothing.
    Open,
    /// It wants the credentials themselves.
    Basic,
    /// It wants a token of its token server.
    Bearer(Arc<Realm>),
}

/// Where a host's tokens come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Realm {
    /// The URL of the request that was refused: a realm may be relative to it.
    pub(super) asked: Url,
    pub(super) challenge: BearerChallenge,
}

/// What is to be made of a credential.
struct Wanted<'a> {
    scheme: Scheme,
    scopes: &'a ScopeSet,
    refused: Option<&'a HeaderValue>,
}

impl Auth {
    pub(super) fn is_unexplored(&self) -> bool {
        matches!(self.scheme(), Scheme::Unexplored)
    }

    fn scheme(&self) -> Scheme {
        let scheme = self.scheme.lock().unwrap_or_else(PoisonError::into_inner);
        scheme.clone()
    }

    fn set(&self, scheme: Scheme) {
        *self.scheme.lock().unwrap_or_else(PoisonError::into_inner) = scheme;
    }

    /// Learns from the answer to a ping; returns whether the host wants anything.
    pub(super) fn learn(&self, asked: &Url, answer: &Answer) -> bool {
        if answer.status == StatusCode::UNAUTHORIZED {
            self.learn_challenges(asked, &answer.headers);
        } else {
            self.set(Scheme::Open);
        }
        !matches!(self.scheme(), Scheme::Open | Scheme::Unexplored)
    }

    fn learn_challenges(&self, asked: &Url, headers: &HeaderMap) {
        let values = headers.get_all(WWW_AUTHENTICATE);
        let challenges = challenge::parse(values.iter().map(HeaderValue::as_bytes));
        let mut found = None;
        for challenge in challenges {
            match challenge {
                Challenge::Bearer(challenge) if challenge.realm.is_some() => {
                    let realm = Realm {
                        asked: asked.clone(),
                        challenge,
                    };
                    self.set(Scheme::Bearer(Arc::new(realm)));
                    return;
                }
                Challenge::Basic { .. } => found = Some(Scheme::Basic),
                _ => {}
            }
        }
        if let Some(scheme) = found {
            self.set(scheme);
        }
    }

    /// Returns what to send, as far as it is known what the host wants. `refused` is what must not be sent again.
    pub(super) async fn current(
        &self,
        exchange: Exchange<'_>,
        scopes: &ScopeSet,
        refused: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let scheme = self.scheme();
        if matches!(scheme, Scheme::Unexplored | Scheme::Open) {
            return Ok(None);
        }
        let wanted = Wanted {
            scheme,
            scopes,
            refused,
        };
        let repository = scopes.needed().repository();
        let resolution = self.credentials.resolve(exchange, repository).await;
        let mut made = self.make(exchange, &wanted, &resolution).await;
        let is_refused = resolution.credential.is_some() && made.as_ref().is_err_and(is_refusal);
        if is_refused {
            // The token server was shown something that is over: the keychain may have something newer.
            let newer = self.credentials.renew(exchange, repository, &resolution);
            let newer = newer.await;
            if newer.credential != resolution.credential {
                made = self.make(exchange, &wanted, &newer).await;
            }
        }
        made.map_err(|mut failure| {
            if failure.error.kind() == ErrorKind::Denied {
                let host = exchange.session.host();
                failure.error = self.explain(failure.error, host, repository);
            }
            failure
        })
    }

    /// Makes what the host wants of a credential, if that is not what it refused.
    async fn make(
        &self,
        exchange: Exchange<'_>,
        wanted: &Wanted<'_>,
        resolution: &Resolution,
    ) -> Result<Option<HeaderValue>, Failure> {
        let refused = wanted.refused;
        let sent = match (&wanted.scheme, resolution.credential.as_ref()) {
            // What a helper gives as a header goes out as it is, and is never traded for a token.
            (_, Some(credential @ RegistryCredential::Bearer(_)))
            | (Scheme::Basic, Some(credential)) => direct_header(credential),
            (Scheme::Bearer(realm), credential) => {
                let scopes = wanted.scopes;
                let token = self
                    .tokens
                    .token(exchange, realm, scopes, credential, refused);
                Some(token.await?)
            }
            _ => None,
        };
        Ok(sent.filter(|sent| Some(sent) != refused))
    }

    /// Returns what to send after a refusal; `None` when there is nothing that was not refused.
    ///
    /// `answer` is the URL that was asked and the head of the refusal, where that was a 401.
    pub(super) async fn answer(
        &self,
        exchange: Exchange<'_>,
        answer: Option<(&Url, &HeaderMap)>,
        scopes: &ScopeSet,
        used: Option<&HeaderValue>,
    ) -> Result<Option<HeaderValue>, Failure> {
        let mut scopes = scopes.clone();
        if let Some((asked, headers)) = answer {
            self.learn_challenges(asked, headers);
            if let Scheme::Bearer(realm) = self.scheme()
                && let Some(scope) = &realm.challenge.scope
            {
                scopes.add_challenge(scope);
            }
        }
        let fresh = self.current(exchange, &scopes, used).await?;
        if fresh.is_some() || used.is_none() {
            return Ok(fresh);
        }
        // The keychain may have something newer than what was refused.
        let repository = scopes.needed().repository();
        if let Some(known) = self.credentials.known(repository) {
            self.credentials.renew(exchange, repository, &known).await;
        }
        self.current(exchange, &scopes, used).await
    }

    /// Adds to a refusal what a person can do about it.
    pub(super) fn explain(
        &self,
        error: Error,
        host: &RegistryHost,
        repository: &Repository,
    ) -> Error {
        let Some(resolution) = self.credentials.known(repository) else {
            return error
                .with_next_step("the registry names no way to log in that this client knows");
        };
        let trail: Vec<String> = resolution.trail.iter().map(ToString::to_string).collect();
        let looked = if trail.is_empty() {
            String::new()
        } else {
            format!(" (looked in: {})", trail.join("; "))
        };
        match resolution.credential {
            Some(_) if error.status() == Some(StatusCode::UNAUTHORIZED) => {
                error.with_next_step(format!("check that these credentials are right{looked}"))
            }
            Some(_) => {
                error.with_next_step(format!("check that these credentials may do this{looked}"))
            }
            None => error.with_login(format!(
                "log in to {host}: no credentials were found{looked}"
            )),
        }
    }
}

/// Returns whether a token server does not take the credentials. Some answer 400 to a refresh token that is over.
fn is_refusal(failure: &Failure) -> bool {
    let error = &failure.error;
    let is_bad_request = error.status() == Some(StatusCode::BAD_REQUEST);
    error.role() == Role::Token && (error.kind() == ErrorKind::Denied || is_bad_request)
}
