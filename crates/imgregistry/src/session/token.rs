//! Tokens: fetched once for all that need the same, and again before they end.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use imgauth::RegistryCredential;
use imgcore::RegistryHost;
use tokio::sync::Mutex as AsyncMutex;

use super::auth::Realm;
use super::credentials::header;
use crate::Role;
use crate::error::{Error, ErrorKind, Operation, Place};
use crate::exchange::{Answer, Exchange, Failure, chain, host_of, private_host};
use crate::protocol::realm;
use crate::protocol::redirect;
use crate::protocol::retry::Class;
use crate::protocol::scope::ScopeSet;
use crate::protocol::token::{self, Grant, TokenRequest, TokenResponse};

/// More sets of scopes than a run has. A process that serves many repositories starts over here.
const MAX_SLOTS: usize = 1024;

/// The tokens of one host.
#[derive(Debug, Default)]
pub(super) struct Tokens(Mutex<HashMap<ScopeSet, Slot>>);

type Slot = Arc<Shared>;

/// What all that need the same token share.
#[derive(Debug, Default)]
struct Shared {
    /// How often the token server was asked.
    asked: AtomicU64,
    /// Whoever holds the lock asks; the others wait for it and take what it got.
    held: AsyncMutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    /// How the last question ended, where it did not end well.
    failure: Option<Error>,
}

#[derive(Debug)]
struct Token {
    header: HeaderValue,
    asked: Instant,
    fresh_for: Duration,
}

impl Tokens {
    /// Returns a token for all of `scopes` that is not `refused`, from memory or from the token server.
    pub(super) async fn token(
        &self,
        exchange: Exchange<'_>,
        realm: &Realm,
        scopes: &ScopeSet,
        credential: Option<&RegistryCredential>,
        refused: Option<&HeaderValue>,
    ) -> Result<HeaderValue, Failure> {
        let slot = self.slot(scopes);
        let asked_before = slot.asked.load(Ordering::Acquire);
        let mut held = slot.held.lock().await;
        if let Some(token) = &held.token {
            let now = exchange.client.clock.now();
            let age = now.saturating_duration_since(token.asked);
            if age < token.fresh_for && Some(&token.header) != refused {
                return Ok(token.header.clone());
            }
        }
        // Who has waited for a question that did not end well does not ask it once more.
        if let Some(error) = &held.failure
            && slot.asked.load(Ordering::Acquire) != asked_before
        {
            return Err(Failure::permanent(error.echo()));
        }
        let outcome = fetch(exchange, realm, scopes, credential).await;
        slot.asked.fetch_add(1, Ordering::AcqRel);
        held.failure = outcome.as_ref().err().map(|failure| failure.error.echo());
        let token = outcome?;
        let header = token.header.clone();
        held.token = Some(token);
        Ok(header)
    }

    /// Returns the slot of a set of scopes: the one of a larger set where that has a token already.
    fn slot(&self, scopes: &ScopeSet) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_token = |slot: &Slot| slot.held.try_lock().is_ok_and(|held| held.token.is_some());
        let larger = slots
            .iter()
            .find(|(known, slot)| *known != scopes && known.covers(scopes) && has_token(slot));
        if let Some((_, slot)) = larger {
            return Arc::clone(slot);
        }
        if slots.len() >= MAX_SLOTS {
            slots.clear();
        }
        Arc::clone(slots.entry(scopes.clone()).or_default())
    }
}

/// Asks the token server, again and again as the policy has it.
async fn fetch(
    exchange: Exchange<'_>,
    realm: &Realm,
    scopes: &ScopeSet,
    credential: Option<&RegistryCredential>,
) -> Result<Token, Failure> {
    let once = |attempt| async move {
        let token = fetch_once(exchange, realm, scopes, credential).await;
        token.map_err(|failure| match attempt {
            // What makes no sense may have been cut on its way: it is asked for once more.
            1 if is_nonsense(&failure.error) => failure.into_transient(),
            _ => failure,
        })
    };
    let fetched = exchange.persist(Class::Repeatable, u32::MAX, once).await;
    // The request that needs the token must not start all this over.
    fetched.map(|(token, _)| token).map_err(Failure::permanent)
}

/// Returns whether the token server said yes, and nothing that can be read.
fn is_nonsense(error: &Error) -> bool {
    error.kind() == ErrorKind::Protocol && error.status().is_none()
}

async fn fetch_once(
    exchange: Exchange<'_>,
    realm: &Realm,
    scopes: &ScopeSet,
    credential: Option<&RegistryCredential>,
) -> Result<Token, Failure> {
    let session = exchange.session;
    let asked_by = session.place(Operation::Authorize, Some(scopes.needed().repository()));
    let context = realm::Context {
        registry: session.host(),
        endpoint: session.endpoint(),
        allowed: &exchange.client.allowed_realms,
    };
    let server = realm::check(realm.challenge.realm.as_deref(), &realm.asked, context)
        .map_err(|error| forbidden(&asked_by, session.host(), &error))?;
    let grant = grant(credential);
    if !matches!(grant, Grant::Anonymous) {
        server
            .check_credentials()
            .map_err(|error| forbidden(&asked_by, session.host(), &error))?;
    }
    let place = asked_by.at(host_of(server.url()), Role::Token);
    let ask = Ask {
        exchange,
        server: &server,
        place: &place,
    };
    let service = realm.challenge.service.as_deref();
    let asked = exchange.client.clock.now();
    let request = TokenRequest::new(server.url(), service, scopes, grant);
    let is_form = request.form.is_some();
    let mut answer = ask.send(request).await?;
    if is_form && token::wants_get(answer.status.as_u16()) {
        let request = TokenRequest::get(server.url(), service, scopes, grant);
        answer = ask.send(request).await?;
    }
    ask.read(answer, asked).await
}

/// A token server that is being asked.
#[derive(Clone, Copy)]
struct Ask<'a> {
    exchange: Exchange<'a>,
    server: &'a realm::Realm,
    place: &'a Place,
}

impl Ask<'_> {
    /// Sends the question. No redirect is followed: it would carry the credentials to who knows where.
    async fn send(self, request: TokenRequest) -> Result<Answer, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &request.authorization {
            let value = header(authorization).ok_or_else(|| {
                let detail = "the credentials hold characters that no header can carry";
                Error::new(ErrorKind::InvalidInput, self.place, detail)
            })?;
            headers.insert(AUTHORIZATION, value);
        }
        let (method, body) = match &request.form {
            None => (Method::GET, Bytes::new()),
            Some(form) => {
                let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
                headers.insert(CONTENT_TYPE, form_type);
                let body = Bytes::copy_from_slice(form.expose().as_bytes());
                (Method::POST, body)
            }
        };
        let session = self.exchange.session;
        let route = session.route_to_realm(&request.url, self.server.addresses());
        self.exchange
            .send_to_realm(&method, &request.url, (headers, body), route, self.place)
            .await
    }

    async fn read(self, answer: Answer, asked: Instant) -> Result<Token, Failure> {
        if answer.status != StatusCode::OK {
            return Err(self.refused(answer).await);
        }
        let body = answer.bytes(token::MAX_BYTES).await?;
        let unusable = |detail: String| Error::new(ErrorKind::Protocol, self.place, detail);
        let response = TokenResponse::parse(&body).map_err(|error| unusable(error.to_string()))?;
        let header = header(&response.authorization())
            .ok_or_else(|| unusable("the token is no text for a header".to_owned()))?;
        Ok(Token {
            header,
            asked,
            fresh_for: response.fresh_for(),
        })
    }

    async fn refused(self, answer: Answer) -> Failure {
        let status = answer.status;
        let failure = Failure::of_answer(answer).await;
        if redirect::is_redirect(status.as_u16()) {
            let detail = "token servers are not followed to other places";
            let error = Error::new(ErrorKind::Forbidden, self.place, detail);
            return Failure::permanent(error.with_status(status));
        }
        failure
    }
}

fn grant(credential: Option<&RegistryCredential>) -> Grant<'_> {
    match credential {
        Some(RegistryCredential::Basic { username, password }) => {
            Grant::Basic { username, password }
        }
        Some(RegistryCredential::IdentityToken { token }) => Grant::Refresh { token },
        _ => Grant::Anonymous,
    }
}

fn forbidden(place: &Place, registry: &RegistryHost, error: &realm::RealmError) -> Failure {
    let own = Error::new(ErrorKind::Forbidden, place, chain(error));
    let private = match error {
        realm::RealmError::Refused(refused) => refused.private_host(),
        _ => None,
    };
    let own = match private {
        Some(host) => own.with_next_step(private_host("--allow-token-realm", registry, &host)),
        None if matches!(error, realm::RealmError::Untrusted { .. }) => {
            own.with_next_step_in_text()
        }
        None => own,
    };
    own.into()
}
