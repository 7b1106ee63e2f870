//! Sending one request, and following where it leads, by hand.

use std::pin::pin;

use futures_util::future::{Either, select};
use http::header::{HeaderMap, HeaderValue, LOCATION};
use http::{Method, Request, StatusCode};
use url::Url;

use super::watched::Watched;
use super::{Answer, Call, Exchange, Failure, authorize};
use crate::client::Counted;
use crate::error::{Error, ErrorKind, Place};
use crate::pending::redirect::{self, Decision};
use crate::{Addresses, Event, RequestBody, Role, Route, TransportError, TransportErrorKind};

impl Exchange<'_> {
    /// Sends a request and follows its redirects, as far as the rules allow. A credential goes to its own host only, and
    /// never again once the chain has left that.
    pub(super) async fn follow(
        self,
        call: &Call,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Failure> {
        let mut authorization = authorization.filter(|_| self.session.is_home(&call.url));
        let mut url = call.url.clone();
        let mut place = call.place.clone();
        let mut hop = 0;
        loop {
            let body = RequestBody::bytes(call.body.clone());
            let answer = self.send(call, &url, &place, body, authorization).await?;
            let Some(location) = location(call, &answer) else {
                return Ok(answer);
            };
            hop += 1;
            match redirect::decide(&url, location, hop) {
                Decision::Refuse(why) => return Err(refused(&place, &why.to_string()).into()),
                Decision::Follow {
                    url: next,
                    strip_credentials,
                } => {
                    if strip_credentials {
                        authorization = None;
                    }
                    if !self.session.is_home(&next) {
                        place = call.place.at(host_of(&next), Role::Storage);
                    }
                    url = next;
                }
            }
        }
    }

    /// Sends a request of the client's own making, without credentials, redirects and retries.
    pub(crate) async fn probe(
        self,
        url: &Url,
        route: Route,
        place: &Place,
    ) -> Result<Answer, Failure> {
        let request = Self::build(&Method::GET, url, HeaderMap::new(), RequestBody::empty());
        self.dispatch(request, url, route, place, true).await
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
        let is_home = self.session.is_home(url);
        let mut headers = call.headers.clone();
        if is_home {
            self.session.dress(&mut headers);
        }
        authorize(&mut headers, authorization);
        let route = match is_home {
            true => self.session.route(),
            false => Route {
                addresses: Addresses::Any,
                ..Route::new(place.role)
            },
        };
        // How long a body takes to go out, only its writer can judge.
        let is_watched = !body.is_stream();
        let request = Self::build(&call.method, url, headers, body);
        self.dispatch(request, url, route, place, is_watched).await
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

    /// Waits for a place under the ceiling, then for the head of the answer.
    async fn dispatch(
        self,
        request: Request<RequestBody>,
        url: &Url,
        route: Route,
        place: &Place,
        is_watched: bool,
    ) -> Result<Answer, Failure> {
        let client = self.client;
        let Ok(permit) = std::sync::Arc::clone(&client.ceiling).acquire_owned().await else {
            return Err(Error::new(ErrorKind::Unavailable, place, "the client is closed").into());
        };
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
        let sending = client.transport.send(request, route);
        let response = match is_watched {
            false => sending.await,
            true => {
                let silence = pin!(client.clock.patience(client.patience));
                match select(sending, silence).await {
                    Either::Left((response, _)) => response,
                    Either::Right(_) => Err(silent(client.patience.as_secs())),
                }
            }
        };
        let response = response.map_err(|error| Failure::of_transport(place, error))?;
        let (head, body) = response.into_parts();
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

fn silent(seconds: u64) -> TransportError {
    let text = format!("the server was silent for {seconds} s");
    TransportError::new(TransportErrorKind::Stalled, text)
}

/// Returns where an answer sends the client, if the call goes along with that.
fn location<'a>(call: &Call, answer: &'a Answer) -> Option<&'a str> {
    let is_redirect = match answer.status {
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => call.body.is_empty(),
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        _ => false,
    };
    if !call.follows || !is_redirect {
        return None;
    }
    answer.headers.get(LOCATION)?.to_str().ok()
}

fn refused(place: &Place, why: &str) -> Error {
    let detail = format!("the redirect is not followed: {why}");
    Error::new(ErrorKind::Forbidden, place, detail)
}

/// Returns host and port of a URL, which is all of it that errors name.
pub(crate) fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}
