//! The driver of the upload's state machine: it sends what the machine wants, and tells it what came back.

use bytes::Bytes;
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RANGE,
};
use http::{Method, StatusCode};
use imgcore::Descriptor;

use super::place;
use crate::client::Lane;
use crate::error::{Error, ErrorKind, Operation, Place, Result};
use crate::exchange::{Answer, Call, Failure, chain, host_of, of_status};
use crate::protocol::retry::Class;
use crate::protocol::scope::{Actions, Scope};
use crate::protocol::upload::{self, Action, Done, Head, Machine, Request, Settings, UploadError};
use crate::remote::Remote;
use crate::{Event, RequestBody, Role};

const CHUNK_MINIMUM: HeaderName = HeaderName::from_static("oci-chunk-min-length");
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// How often the registry may refuse a fresh credential for the same bytes.
const MAX_RENEWALS: u32 = 2;

/// One blob on its way.
pub(super) struct Driver {
    remote: Remote,
    machine: Machine,
    place: Place,
    /// The number of the attempt that is running.
    attempt: u32,
    /// What the registry had when attempts were last counted from one.
    counted_from: u64,
    /// How often the credentials were renewed without anything having come of it.
    renewals: u32,
    /// What went wrong last.
    last: Option<Failure>,
}

/// What the machine needs from whoever has the bytes.
pub(super) enum Step {
    /// A request with bytes of the blob.
    Bytes(Request),
    /// Nothing more.
    Done(Done),
}

impl Driver {
    pub(super) async fn new(remote: &Remote, descriptor: &Descriptor, settings: Settings) -> Self {
        let site = remote.origin();
        site.settle(remote).await;
        let reach = site.session.reach(remote.inner());
        let machine = Machine::new(
            site.session.endpoint(),
            &site.repository,
            descriptor.digest,
            descriptor.size,
            settings,
            reach,
        );
        let machine = if remote.inner().same_host_uploads {
            machine.on_same_host_only()
        } else {
            machine
        };
        Self {
            remote: remote.clone(),
            machine,
            place: place(remote, descriptor),
            attempt: 1,
            counted_from: 0,
            renewals: 0,
            last: None,
        }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Returns what went wrong last, as a text.
    pub(super) fn trouble(&self) -> Option<String> {
        self.last.as_ref().map(|failure| failure.error.summary())
    }

    /// Gives the session up, so that the registry need not keep what came. Whether that works is of no interest.
    pub(super) async fn cancel(&self) {
        if let Some(request) = self.machine.cancel() {
            let call = self.call(&request);
            let exchange = self.remote.origin().exchange(&self.remote);
            drop(exchange.attempt(&call).await);
        }
    }

    /// Gives the session up without waiting for that, where there is a runtime to do it on.
    pub(super) fn cancel_later(&self) {
        let (Some(request), Some(runtime)) = (self.machine.cancel(), &self.remote.inner().runtime)
        else {
            return;
        };
        let (call, remote) = (self.call(&request), self.remote.clone());
        runtime.spawn(async move {
            let exchange = remote.origin().exchange(&remote);
            drop(exchange.attempt(&call).await);
        });
    }

    /// Returns how many bytes the registry has, as far as is known.
    pub(super) fn offset(&self) -> u64 {
        self.machine.offset()
    }

    /// Sends everything that needs no bytes of the blob, until some are needed or all is done.
    pub(super) async fn advance(&mut self) -> Result<Step> {
        loop {
            match self.machine.next() {
                Action::Done(done) => return Ok(Step::Done(done)),
                Action::Failed(error) => return Err(self.failed(&error)),
                Action::Wait => self.wait().await?,
                Action::Send(request) if has_bytes(&request) => return Ok(Step::Bytes(request)),
                Action::Send(request) => self.send_head(&request).await,
            }
        }
    }

    /// Sends the wish for a mount; returns whether it was fulfilled.
    pub(super) async fn mount(&mut self) -> Result<bool> {
        if let Action::Send(request) = self.machine.next() {
            self.send_head(&request).await;
        }
        match self.machine.next() {
            Action::Done(_) => Ok(true),
            Action::Failed(error) => Err(self.failed(&error)),
            _ => Ok(false),
        }
    }

    async fn send_head(&mut self, request: &Request) {
        let call = self.call(request);
        let remote = self.remote.clone();
        let outcome = remote.origin().exchange(&remote).attempt(&call).await;
        self.take(outcome).await;
    }

    /// Sends a request with bytes of the blob.
    pub(super) async fn send(&mut self, request: &Request, body: RequestBody) {
        let call = self.call(request);
        let remote = self.remote.clone();
        let exchange = remote.origin().exchange(&remote);
        let sent = exchange.stream(&call, body).await;
        self.sent(&call, request, sent).await;
    }

    /// Takes the outcome of a request with bytes of the blob.
    pub(super) async fn sent(&mut self, call: &Call, request: &Request, (used, outcome): Sent) {
        let remote = self.remote.clone();
        let answer = match outcome {
            Ok(answer) => answer,
            Err(failure) => return self.take(Err(failure)).await,
        };
        if answer.status.is_success()
            && let Some(range) = &request.body
        {
            let bytes = range.end - range.start;
            remote.inner().observe(&Event::Sent { bytes });
            self.renewals = 0;
        }
        if answer.status != StatusCode::UNAUTHORIZED || !answer.is_from_registry() {
            return self.take(Ok(answer)).await;
        }
        let answer = answer.at_hand().await;
        let exchange = remote.origin().exchange(&remote);
        let challenge = Some((&answer.url, &answer.headers));
        let fresh = exchange
            .session
            .answer_challenge(exchange, challenge, &call.scopes, used.as_ref())
            .await;
        match fresh {
            Ok(Some(_)) if self.renewals < MAX_RENEWALS => {
                self.renewals += 1;
                self.machine.answer(upload::Answer::Renewed);
            }
            Ok(_) => self.take(Ok(answer)).await,
            Err(failure) => self.take(Err(failure)).await,
        }
    }

    async fn take(&mut self, outcome: Result<Answer, Failure>) {
        match outcome {
            Ok(answer) => {
                self.machine.answer(upload::Answer::Head(head(&answer)));
                if !answer.status.is_success() {
                    self.last = Some(Failure::of_answer(answer).await);
                }
            }
            // No token, no permission: the machine may know another way (without the mount).
            Err(failure) if failure.is_refused_token() => {
                let head = Head {
                    status: StatusCode::UNAUTHORIZED.as_u16(),
                    ..Head::default()
                };
                self.machine.answer(upload::Answer::Head(head));
                self.last = Some(failure);
            }
            Err(failure) => {
                self.machine.answer(upload::Answer::Broken);
                self.last = Some(failure);
            }
        }
    }

    async fn wait(&mut self) -> Result<()> {
        let Some(failure) = self.last.take() else {
            self.machine.answer(upload::Answer::Waited);
            return Ok(());
        };
        if self.machine.offset() > self.counted_from {
            self.counted_from = self.machine.offset();
            self.attempt = 1;
        }
        let remote = self.remote.clone();
        let exchange = remote.origin().exchange(&remote);
        if !exchange.wait(Class::Upload, &failure, self.attempt).await {
            return Err(failure.error.with_attempts(self.attempt));
        }
        self.attempt += 1;
        self.machine.answer(upload::Answer::Waited);
        Ok(())
    }

    /// Makes the request of the machine one of the exchange.
    pub(super) fn call(&self, request: &Request) -> Call {
        let site = self.remote.origin();
        let place = if site.session.is_home(&request.url) {
            self.place.clone()
        } else {
            self.place.at(host_of(&request.url), Role::Upload)
        };
        let place = match &request.from {
            Some(_) => Place {
                operation: Operation::MountBlob,
                ..place
            },
            None => place,
        };
        let method = request.method.clone();
        let mut call = site.call(place, method, request.url.clone(), Actions::PUSH);
        call.class = Class::Upload;
        call.lane = Lane::Writing;
        call.follows = request.method == Method::HEAD;
        if let Some(from) = &request.from {
            call.scopes.add(Scope::new(from.clone(), Actions::PULL));
        }
        call.headers = headers(request);
        call.body = Bytes::new();
        call
    }

    fn failed(&mut self, error: &UploadError) -> Error {
        let last = self.last.take();
        match (error, last) {
            (UploadError::Status(_), Some(failure)) => {
                let site = self.remote.origin();
                match failure.error.kind() {
                    ErrorKind::Denied => site.session.explain(failure.error, &site.repository),
                    _ => failure.error,
                }
            }
            (UploadError::Status(status), None) => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_GATEWAY);
                Error::new(of_status(status), &self.place, String::new()).with_status(status)
            }
            (UploadError::Location(refused), _) => {
                let own = Error::new(ErrorKind::Forbidden, &self.place, chain(error));
                match refused.private_host() {
                    Some(host) => {
                        let session = &self.remote.origin().session;
                        own.with_next_step(session.allow_private(&host))
                    }
                    None => own,
                }
            }
            (UploadError::Digest { expected, actual }, _) => {
                let kind = ErrorKind::DigestMismatch {
                    expected: *expected,
                    actual: *actual,
                };
                Error::new(kind, &self.place, chain(error))
            }
            (
                UploadError::Size {
                    expected, actual, ..
                },
                _,
            ) => {
                let kind = ErrorKind::SizeMismatch {
                    expected: *expected,
                    actual: *actual,
                };
                Error::new(kind, &self.place, chain(error))
            }
            _ => Error::new(ErrorKind::Protocol, &self.place, chain(error)),
        }
    }
}

/// The credential that a request had, and how it ended.
pub(super) type Sent = (Option<HeaderValue>, Result<Answer, Failure>);

fn has_bytes(request: &Request) -> bool {
    request.body.as_ref().is_some_and(|range| !range.is_empty())
}

fn headers(request: &Request) -> http::HeaderMap {
    let mut headers = http::HeaderMap::new();
    if let Some(range) = &request.body {
        let length = range.end - range.start;
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        if length > 0 || request.method != Method::POST {
            let octets = HeaderValue::from_static("application/octet-stream");
            headers.insert(CONTENT_TYPE, octets);
        }
    }
    if let Some(range) = &request.content_range
        && let Ok(range) = HeaderValue::from_str(&range.to_string())
    {
        headers.insert(CONTENT_RANGE, range);
    }
    headers
}

fn head(answer: &Answer) -> Head<'_> {
    Head {
        status: answer.status.as_u16(),
        location: answer.header(LOCATION),
        range: answer.header(RANGE),
        chunk_minimum: answer.header(CHUNK_MINIMUM),
        digest: answer.header(CONTENT_DIGEST),
        content_length: answer.content_length(),
    }
}
