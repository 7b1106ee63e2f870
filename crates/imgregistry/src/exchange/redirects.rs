//! Sending one request, and following where it leads, by hand.

use std::pin::pin;

use bytes::Bytes;
use futures_util::future::{Either, select};
use http::header::{HeaderMap, HeaderValue, LOCATION, WARNING};
use http::{Method, Request};
use url::Url;

use super::watched::Watched;
use super::{Answer, Call, Exchange, Failure, authorize};
use crate::client::{Counted, Inner, Lane, Permit};
use crate::error::{Error, ErrorKind, Place};
use crate::protocol::address::{Reach, Rules};
use crate::protocol::redirect::{self, Follow, Hop, Movable, RedirectError};
use crate::protocol::url::Origin;
use crate::protocol::warning;
use crate::transport::Progress;
use crate::{Addresses, Event, RequestBody, Role, Route, TransportError, TransportErrorKind};

/// The flag for a private host, as programs on this crate have it.
pub(crate) const PRIVATE_HOST: &str = "--allow-private-host";

impl Exchange<'_> {
    /// Sends a request and follows its redirects, as far as the rules allow. A credential goes to its own host only, and
    /// never again once the chain has left that.
    pub(super) async fn follow(
        self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Failure> {
        let mut authorization = authorization.filter(|_| self.is_home(call, &call.url));
        let mut url = call.url.clone();
        let mut place = call.place.clone();
        let mut count = 0;
        loop {
            let body = RequestBody::bytes(call.body.clone());
            let answer = self.send(call, &url, &place, body, authorization).await?;
            if !call.follows || !redirect::is_redirect(answer.status.as_u16()) {
                return Ok(answer);
            }
            let hop = Hop {
                url: &url,
                count,
                has_credentials: authorization.is_some(),
                movable: movable(&call.method),
            };
            let next = self.decide(call, hop, &answer)?;
            if !next.keep_credentials {
                authorization = None;
            }
            place = if self.is_home(call, &next.url) {
                call.place.clone()
            } else {
                call.place.at(host_of(&next.url), Role::Storage)
            };
            url = next.url;
            count += 1;
        }
    }

    /// Returns how far a request may be led.
    fn reach(self, call: &Call) -> Reach {
        if call.is_foreign {
            return Rules::strict().into();
        }
        self.session.reach(self.client)
    }

    fn decide(self, call: &Call, hop: Hop<'_>, answer: &Answer) -> Result<Follow, Failure> {
        let locations = answer.headers.get_all(LOCATION);
        let mut locations = locations.iter();
        let location = locations.next().and_then(|value| value.to_str().ok());
        let location = location.filter(|_| locations.next().is_none());
        let status = answer.status.as_u16();
        let home = if call.is_foreign {
            Origin::of(&call.url)
        } else {
            self.session.endpoint().origin()
        };
        let decided = match home {
            Some(registry) => redirect::decide(hop, status, location, &registry, self.reach(call)),
            None => Err(RedirectError::NoLocation),
        };
        decided.map_err(|error| {
            let kind = match error {
                RedirectError::NoLocation | RedirectError::TooMany => ErrorKind::Protocol,
                _ => ErrorKind::Forbidden,
            };
            let own = Error::new(kind, &answer.place, chain(&error)).with_status(answer.status);
            let private = match &error {
                RedirectError::Refused(refused) if !call.is_foreign => refused.private_host(),
                _ => None,
            };
            Failure::permanent(match private {
                Some(host) => own.with_next_step(self.session.allow_private(&host)),
                None => own,
            })
        })
    }

    /// Sends a request of the client's own making to a token server.
    pub(crate) async fn send_to_realm(
        self,
        method: &Method,
        url: &Url,
        (headers, body): (HeaderMap, Bytes),
        route: Route,
        place: &Place,
    ) -> Result<Answer, Failure> {
        let request = Self::build(method, url, headers, RequestBody::bytes(body));
        let permit = self.enter(Lane::Token, place).await?;
        let sent = self.dispatch(request, url, route, place, permit).await;
        let registry = self.session.host();
        sent.map_err(|failure| failure.allowed_by("--allow-token-realm", registry, &host_of(url)))
    }

    /// Finds out something about the host of another request, without credentials, redirects and retries.
    pub(crate) async fn probe(
        self,
        url: &Url,
        route: Route,
        place: &Place,
        call: &Call,
    ) -> Result<Answer, Failure> {
        let request = Self::build(&Method::GET, url, HeaderMap::new(), RequestBody::empty());
        let permit = self.seat_of(call, place).await?;
        self.dispatch(request, url, route, place, permit).await
    }

    /// Sends one request to the registry or to where it led.
    pub(super) async fn send(
        self,
        call: &Call,
        url: &Url,
        place: &Place,
        body: RequestBody,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Failure> {
        let is_home = self.is_home(call, url);
        let mut headers = call.headers.clone();
        if is_home {
            self.session.dress(&mut headers);
        }
        authorize(&mut headers, authorization);
        let route = if is_home {
            self.session.route()
        } else {
            Route {
                addresses: Addresses::Checked(self.reach(call).rules_for(url)),
                ..Route::new(place.role)
            }
        };
        let request = Self::build(&call.method, url, headers, body);
        let permit = self.seat_of(call, place).await?;
        let sent = self.dispatch(request, url, route, place, permit).await;
        if call.is_foreign {
            return sent;
        }
        let registry = self.session.host();
        sent.map_err(|failure| failure.allowed_by(PRIVATE_HOST, registry, &host_of(url)))
    }

    fn build(
        method: &Method,
        url: &Url,
        headers: HeaderMap,
        body: RequestBody,
    ) -> Request<RequestBody> {
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers;
        // A URL of http or https with a host is a URI; anything else is refused where it comes in.
        if let Ok(uri) = url.as_str().parse() {
            *request.uri_mut() = uri;
        }
        request
    }

    /// Returns the place of a request under the ceiling, or waits for one.
    async fn seat_of(self, call: &Call, place: &Place) -> Result<Permit, Error> {
        match &call.permit {
            Some(permit) => Ok(permit.clone()),
            None => self.enter(call.lane, place).await,
        }
    }

    /// Waits for a place under the ceiling.
    pub(crate) async fn enter(self, lane: Lane, place: &Place) -> Result<Permit, Error> {
        let client = self.client;
        let entered = client.ceiling.enter(lane, &*client.clock, client.patience);
        entered.await.ok_or_else(|| {
            let detail = "as many requests as are allowed at once wait for this program";
            let error = Error::new(ErrorKind::Unavailable, place, detail);
            error.with_next_step("read or drop the blobs that are open, or allow more requests")
        })
    }

    /// Waits for the head of the answer.
    async fn dispatch(
        self,
        request: Request<RequestBody>,
        url: &Url,
        route: Route,
        place: &Place,
        permit: Permit,
    ) -> Result<Answer, Failure> {
        let client = self.client;
        client.observe(&Event::Request {
            operation: place.operation,
            method: request.method().clone(),
            host: place.host.clone(),
            role: route.role,
        });
        let counted = Counted {
            observer: client.observer.clone(),
            role: route.role,
        };
        let progress = request.body().progress();
        let sending = client.transport.send(request, route);
        let silence = pin!(silence(client, &progress));
        let response = match select(sending, silence).await {
            Either::Left((response, _)) => response,
            Either::Right(_) => Err(silent(client.patience.as_secs())),
        };
        let response = response.map_err(|error| Failure::of_transport(place, error))?;
        let (head, body) = response.into_parts();
        let warnings = head.headers.get_all(WARNING).iter();
        for text in warning::parse(warnings.filter_map(|it| it.to_str().ok())) {
            let host = place.host.clone();
            client.observe(&Event::Warning { host, text });
        }
        let clock = std::sync::Arc::clone(&client.clock);
        Ok(Answer {
            status: head.status,
            headers: head.headers,
            body: Watched::new(body, permit, counted, clock, client.patience),
            url: url.clone(),
            place: place.clone(),
        })
    }
}

/// Ends once the server has neither taken anything nor answered for as long as the client has patience.
async fn silence(client: &Inner, progress: &Progress) {
    loop {
        let before = progress.count();
        client.clock.patience(client.patience).await;
        if progress.count() == before {
            return;
        }
        client.ceiling.note();
    }
}

fn silent(seconds: u64) -> TransportError {
    let text = format!("the server was silent for {seconds} s");
    TransportError::new(TransportErrorKind::Stalled, text)
}

/// Says what a request can stand.
fn movable(method: &Method) -> Movable {
    match *method {
        Method::GET | Method::HEAD => Movable::Freely,
        _ => Movable::KeepingMethod,
    }
}

/// Joins an error with its cause: its text alone does not say why.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

/// Returns host and port of a URL, which is all of it that errors name.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
