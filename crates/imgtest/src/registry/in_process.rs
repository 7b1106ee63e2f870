//! A network of handlers without sockets: hosts have the names that a test gives them.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Uri};
use http_body_util::BodyExt as _;
use imgserve::http::{Body, Handler, Request, Response};

use super::answers::body_of;
use super::fault::Reset;
use super::recorder::lock;

/// Takes requests to handlers by scheme, host and port.
///
/// A host that was not added cannot be reached, and the attempt is remembered: that is how a test sees a client that
/// goes where it should not.
#[derive(Clone, Default)]
pub struct InProcess {
    /// Origin and the beginning of a path, the longest path first.
    routes: Vec<(String, String, Arc<dyn Handler>)>,
    unreached: Arc<Mutex<Vec<String>>>,
}

/// An answer that was read to its end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Whole {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Whole {
    /// Returns a header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl InProcess {
    /// Makes a network without hosts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a host, such as `https://registry.example` or `http://localhost:5000`.
    #[must_use]
    pub fn with(self, origin: &str, handler: Arc<impl Handler + ?Sized>) -> Self {
        self.with_path(origin, "/", handler)
    }

    /// Adds a handler for all paths of a host that begin so: a token server that lives beside its registry.
    #[must_use]
    pub fn with_path(
        mut self,
        origin: &str,
        path: &str,
        handler: Arc<impl Handler + ?Sized>,
    ) -> Self {
        let origin: Uri = origin.parse().expect("an origin of a test is an URI");
        let key = key_of(&origin).expect("an origin of a test has a scheme and a host");
        let handler: Arc<dyn Handler> = Arc::new(Shared(handler));
        self.routes.push((key, path.to_owned(), handler));
        self.routes
            .sort_by_key(|(_, path, _)| std::cmp::Reverse(path.len()));
        self
    }

    /// Returns what stands at the root of a host.
    pub fn handler(&self, origin: &str) -> Option<Arc<dyn Handler>> {
        let key = key_of(&origin.parse().ok()?)?;
        let route = self
            .routes
            .iter()
            .find(|(known, path, _)| *known == key && path == "/")?;
        Some(Arc::clone(&route.2))
    }

    /// Takes a host away: nobody listens there any more.
    #[must_use]
    pub fn without(mut self, origin: &str) -> Self {
        let origin: Uri = origin.parse().expect("an origin of a test is an URI");
        let key = key_of(&origin).expect("an origin of a test has a scheme and a host");
        self.routes.retain(|(known, _, _)| *known != key);
        self
    }

    /// Sends a request with an absolute URI.
    ///
    /// # Errors
    ///
    /// The host does not exist, or its handler breaks the connection.
    pub async fn send(&self, request: Request) -> io::Result<Response> {
        let key = key_of(request.uri())
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not an absolute URI"))?;
        let path = request.uri().path();
        let route = self
            .routes
            .iter()
            .find(|(origin, begin, _)| *origin == key && path.starts_with(begin.as_str()));
        let Some((_, _, handler)) = route else {
            lock(&self.unreached).push(key.clone());
            let text = format!("no host {key} in this test");
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, text));
        };
        let response = Arc::clone(handler)
            .handle(as_a_server_sees_it(request))
            .await;
        if response.extensions().get::<Reset>().is_some() {
            let text = "the test's server resets the connection";
            return Err(io::Error::new(io::ErrorKind::ConnectionReset, text));
        }
        Ok(response)
    }

    /// Gets an address and reads the whole answer.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), or the body breaks.
    pub async fn get(&self, uri: &str) -> io::Result<Whole> {
        self.request("GET", uri, &[], Bytes::new()).await
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), or the body breaks.
    pub async fn request(
        &self,
        method: &str,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> io::Result<Whole> {
        let mut request = http::Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(body_of(body))
            .expect("a test sends proper requests");
        whole(self.send(request).await?).await
    }

    /// Returns the hosts that somebody wanted to reach and that do not exist.
    pub fn unreached(&self) -> Vec<String> {
        lock(&self.unreached).clone()
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(
                self.routes
                    .iter()
                    .map(|(origin, path, _)| format!("{origin}{path}")),
            )
            .finish()
    }
}

async fn whole(response: Response) -> io::Result<Whole> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Whole {
        status: parts.status,
        headers: parts.headers,
        body,
    })
}

/// Moves the host from the URI into a header, as on the wire of HTTP/1.1.
fn as_a_server_sees_it(request: http::Request<Body>) -> Request {
    let (mut parts, body) = request.into_parts();
    if let Some(authority) = parts.uri.authority() {
        let host = authority.as_str().rsplit('@').next().unwrap_or_default();
        let host = host.parse().expect("an authority is a header value");
        parts.headers.insert(http::header::HOST, host);
    }
    let target = parts
        .uri
        .path_and_query()
        .map_or("/", |target| target.as_str());
    parts.uri = target.parse().expect("a part of an URI is one");
    http::Request::from_parts(parts, body)
}

fn key_of(uri: &Uri) -> Option<String> {
    let scheme = uri.scheme_str()?;
    let port = uri
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some(format!(
        "{scheme}://{}:{port}",
        uri.host()?.to_ascii_lowercase()
    ))
}

/// Lets one handler stand under many hosts, whatever its type.
struct Shared<H: ?Sized>(Arc<H>);

impl<H: Handler + ?Sized> Handler for Shared<H> {
    fn handle(
        self: Arc<Self>,
        request: Request,
    ) -> futures_core::future::BoxFuture<'static, Response> {
        Arc::clone(&self.0).handle(request)
    }
}

#[cfg(test)]
mod tests {
    use super::super::answers::{answer, handler, respond};
    use super::*;

    #[tokio::test]
    async fn hosts_are_told_apart_by_scheme_name_and_port() {
        let network = InProcess::new()
            .with("https://one.example", answer(200, "one"))
            .with("http://one.example", answer(200, "plain"))
            .with("https://one.example:444", answer(200, "other"));
        for (uri, expected) in [
            ("https://one.example/x", "one"),
            ("https://one.example:443/x", "one"),
            ("http://one.example/x", "plain"),
            ("https://one.example:444/", "other"),
        ] {
            assert_eq!(network.get(uri).await.unwrap().body, expected, "{uri}");
        }
        assert!(network.get("https://two.example/").await.is_err());
        assert_eq!(network.unreached(), ["https://two.example:443"]);
    }

    #[tokio::test]
    async fn handlers_see_what_a_server_sees() {
        let echo = handler(|parts| {
            let host = parts.headers["host"].to_str().unwrap();
            respond(200, &[], format!("{host} {}", parts.uri))
        });
        let network = InProcess::new().with("https://one.example:444", echo);
        let answer = network.get("https://one.example:444/a?b=c").await.unwrap();
        assert_eq!(answer.body, "one.example:444 /a?b=c");
    }
}
