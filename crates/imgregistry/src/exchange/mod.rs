//! One request with everything that belongs to it: authentication, redirects, retries, the ceiling.

mod answer;
mod failure;
mod redirects;
mod watched;

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Method, StatusCode};
use imgcore::Repository;
use url::Url;

pub(crate) use self::answer::Answer;
pub(crate) use self::failure::{Failure, lasting, of_status, private_host};
pub(crate) use self::redirects::{PRIVATE_HOST, chain, host_of};
use crate::client::{Inner, Lane, Permit};
use crate::error::{Error, ErrorKind, Place, Result};
use crate::protocol::retry::Class;
use crate::protocol::scope::ScopeSet;
use crate::session::Session;
use crate::{Event, RequestBody};

/// One request, as often as it takes.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) place: Place,
    pub(crate) class: Class,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    /// What can be sent again.
    pub(crate) body: Bytes,
    /// What a token must be good for.
    pub(crate) scopes: ScopeSet,
    /// Whether a redirect may be followed.
    pub(crate) follows: bool,
    /// Whether a document named the URL and not the registry: then it is a stranger's, whatever host it has.
    pub(crate) is_foreign: bool,
    /// With which others it shares the ceiling.
    pub(crate) lane: Lane,
    /// The place that whoever makes the request has already.
    pub(crate) permit: Option<Permit>,
}

/// A document that was read, with the head of its answer.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Bytes,
}

/// A session with the client that it belongs to.
#[derive(Clone, Copy)]
pub(crate) struct Exchange<'a> {
    pub(crate) client: &'a Inner,
    pub(crate) session: &'a Session,
}

impl Exchange<'_> {
    /// Sends a request until there is an answer that trying again would not change.
    ///
    /// An answer of any status that the policy does not retry is returned, 404 and 401 included.
    pub(crate) async fn call(self, call: &Call) -> Result<Answer> {
        Ok(self.call_and_doubt(call).await?.0)
    }

    /// As [`call`](Self::call), and says whether an attempt before the last one may have been obeyed.
    pub(crate) async fn call_and_doubt(self, call: &Call) -> Result<(Answer, bool)> {
        let once = |_| async { lasting(self.attempt(call).await?, call.class).await };
        self.persist(call.class, u32::MAX, once).await
    }

    /// Tries something as often as the policy allows, and `limit` times at most; says whether an attempt before the last
    /// one may have been obeyed. `once` gets the number of the attempt, from one on.
    pub(crate) async fn persist<T, F>(
        self,
        class: Class,
        limit: u32,
        once: impl Fn(u32) -> F,
    ) -> Result<(T, bool)>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let mut attempt = 1;
        let mut is_in_doubt = false;
        loop {
            let failure = match once(attempt).await {
                Ok(done) => return Ok((done, is_in_doubt)),
                Err(failure) => failure,
            };
            is_in_doubt |= failure.may_be_obeyed();
            if attempt == limit || !self.wait(class, &failure, attempt).await {
                return Err(failure.error.with_attempts(attempt));
            }
            attempt += 1;
        }
    }

    /// Waits for as long as the policy says, and returns whether to try again.
    pub(crate) async fn wait(self, class: Class, failure: &Failure, attempt: u32) -> bool {
        let clock = &self.client.clock;
        let Some(pause) = failure.pause(self, class, attempt) else {
            return false;
        };
        self.client.observe(&Event::Waiting {
            host: failure.error.host().to_owned(),
            attempt,
            pause,
            reason: failure.error.to_string(),
        });
        clock.sleep(pause).await;
        true
    }

    /// Reads a document of at most `limit` bytes and makes something of it.
    ///
    /// What makes no sense is read once more: a proxy may have cut it, and the next copy may be whole.
    pub(crate) async fn read_as<T>(
        self,
        call: &Call,
        limit: usize,
        parse: impl Fn(&Read) -> Result<T>,
    ) -> Result<T> {
        let read = self.read(call, limit).await?;
        match parse(&read) {
            Err(error) if is_damage(error.kind()) => parse(&self.read(call, limit).await?),
            parsed => parsed,
        }
    }

    /// Reads a document of at most `limit` bytes, again from its start when it breaks off.
    pub(crate) async fn read(self, call: &Call, limit: usize) -> Result<Read> {
        let once = |_| self.read_once(call, limit);
        Ok(self.persist(call.class, u32::MAX, once).await?.0)
    }

    async fn read_once(self, call: &Call, limit: usize) -> Result<Read, Failure> {
        let answer = lasting(self.attempt(call).await?, call.class).await?;
        if !answer.status.is_success() {
            let repository = call.scopes.needed().repository();
            return Err(self.refused(answer, repository).await.into());
        }
        let headers = answer.headers.clone();
        let bytes = answer.bytes(limit).await?;
        Ok(Read { headers, bytes })
    }

    /// Makes the error of an answer that says no.
    pub(crate) async fn refused(self, answer: Answer, repository: &Repository) -> Error {
        let is_from_registry = answer.is_from_registry();
        let error = answer.into_error().await;
        match error.kind() {
            ErrorKind::Denied if is_from_registry => self.session.explain(error, repository),
            _ => error,
        }
    }

    /// Sends a request once, or twice when the registry asks for credentials.
    pub(crate) async fn attempt(self, call: &Call) -> Result<Answer, Failure> {
        if call.is_foreign {
            return self.follow(call, None).await;
        }
        let used = self.session.authorization(self, &call.scopes).await?;
        let answer = self.settled(call, used.as_ref()).await?;
        if !self.may_be_challenge(&answer, used.is_some()) {
            return Ok(answer);
        }
        let answer = answer.at_hand().await;
        let is_plain = answer.status == StatusCode::UNAUTHORIZED;
        // Some registries hide what strangers may not see behind "not found".
        if !is_plain && !self.session.learn_by_ping(self, call).await {
            return Ok(answer);
        }
        let challenge = is_plain.then_some((&answer.url, &answer.headers));
        let fresh = self
            .session
            .answer_challenge(self, challenge, &call.scopes, used.as_ref())
            .await;
        match fresh {
            Ok(Some(fresh)) => self.settled(call, Some(&fresh)).await,
            Err(failure) if is_plain => Err(failure),
            // It was worth a try, and the answer says what it said.
            Ok(None) | Err(_) => Ok(answer),
        }
    }

    /// Sends to the scheme that the registry speaks, which the first exchange finds out where the settings leave it open.
    async fn settled(
        self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Failure> {
        let mut call = call.clone();
        loop {
            if let Some(outcome) = self.by_one_way(&mut call, authorization).await {
                return outcome;
            }
        }
    }

    /// Sends by the way that is known; `None` where another way proves to be the right one.
    pub(crate) async fn by_one_way(
        self,
        call: &mut Call,
        authorization: Option<&HeaderValue>,
    ) -> Option<Result<Answer, Failure>> {
        let session = self.session;
        let way = session.course();
        session.rebase(&mut call.url);
        let mut outcome = self.follow(call, authorization).await;
        let is_odd = match &outcome {
            Ok(answer) => answer.status == StatusCode::BAD_REQUEST,
            Err(failure) => failure.may_be_wrong_scheme() || session.course() != way,
        };
        if is_odd {
            if !session.is_settled()
                && let Ok(answer) = outcome
            {
                // The question that comes next needs its place under the ceiling.
                outcome = Ok(answer.at_hand().await);
            }
            match session.try_other_scheme(self, call, way).await {
                Ok(true) => return None,
                Ok(false) => {}
                Err(untrusted) => return Some(Err(untrusted)),
            }
        }
        if outcome.is_ok() {
            session.confirm(way);
        }
        Some(outcome)
    }

    /// Sends a body once, with the credential that is at hand; returns that as well. No redirect is followed.
    pub(crate) async fn stream(
        self,
        call: &Call,
        body: RequestBody,
    ) -> (Option<HeaderValue>, Result<Answer, Failure>) {
        let mut call = call.clone();
        self.session.rebase(&mut call.url);
        let used = if self.is_home(&call, &call.url) {
            self.session.authorization(self, &call.scopes).await
        } else {
            Ok(None)
        };
        match used {
            Ok(used) => {
                let sent = self.send(&call, &call.url, &call.place, body, used.as_ref());
                let outcome = sent.await;
                (used, outcome)
            }
            Err(failure) => (None, Err(failure)),
        }
    }

    /// Returns whether a URL of this request is the registry's own, where its credentials may go.
    fn is_home(self, call: &Call, url: &Url) -> bool {
        !call.is_foreign && self.session.is_home(url)
    }

    fn may_be_challenge(self, answer: &Answer, had_credentials: bool) -> bool {
        match answer.status {
            StatusCode::UNAUTHORIZED => answer.is_from_registry(),
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => {
                answer.is_from_registry() && !had_credentials && self.session.is_unexplored()
            }
            _ => false,
        }
    }
}

/// Returns whether a document is one that may have been hurt on its way.
fn is_damage(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::DigestMismatch { .. } | ErrorKind::Protocol | ErrorKind::SizeMismatch { .. }
    )
}

/// Puts the credential in, marked so that nobody prints or indexes it.
pub(crate) fn authorize(headers: &mut HeaderMap, authorization: Option<&HeaderValue>) {
    if let Some(value) = authorization {
        let mut value = value.clone();
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
}
