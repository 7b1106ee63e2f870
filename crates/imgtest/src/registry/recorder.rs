//! Writes down what a server was asked, for assertions on its side of the wire.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use imgserve::http::{Body, BoxError, Handler, Request, Response};

use super::RequestClass;

/// So much of each request's body is kept, in bytes: enough for token forms and manifests.
const KEPT_BODY: usize = 64 * 1024;

/// A [`Handler`] that passes everything on and remembers it.
///
/// ```
/// use std::sync::Arc;
/// use imgtest::registry::{InProcess, Recorder, RequestClass, answer};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let recorder = Recorder::new(answer(200, "hello"));
/// let network = InProcess::new().with("https://registry.example", Arc::clone(&recorder));
/// network.get("https://registry.example/v2/").await.unwrap();
/// assert_eq!(recorder.count(RequestClass::Ping), 1);
/// # }
/// ```
pub struct Recorder {
    inner: Arc<dyn Handler>,
    exchanges: Mutex<Vec<Arc<Entry>>>,
    flying: Arc<Flying>,
}

/// One request, and what was answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Exchange {
    /// What kind of request it was.
    pub class: RequestClass,
    /// The method.
    pub method: Method,
    /// The target, as it arrived.
    pub uri: Uri,
    /// The headers, as they arrived.
    pub headers: HeaderMap,
    /// The beginning of the body, up to 64 KiB.
    pub body: Bytes,
    /// How many bytes of body arrived.
    pub received: u64,
    /// How many bytes of body were answered.
    pub sent: u64,
    /// The status of the answer; nothing while the handler is at work.
    pub status: Option<StatusCode>,
}

impl Exchange {
    /// Returns a header as text, the first of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns whether the text stands anywhere in the request: target, headers (decoded where they are Basic), body.
    pub fn contains(&self, text: &str) -> bool {
        let in_headers = self.headers.iter().any(|(_, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            value.contains(text) || decoded_basic(&value).is_some_and(|value| value.contains(text))
        });
        in_headers
            || self.uri.to_string().contains(text)
            || String::from_utf8_lossy(&self.body).contains(text)
    }
}

#[derive(Debug)]
struct Entry {
    class: RequestClass,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Mutex<Vec<u8>>,
    received: AtomicU64,
    sent: AtomicU64,
    status: Mutex<Option<StatusCode>>,
}

#[derive(Debug, Default)]
struct Flying {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Recorder {
    /// Records what reaches a handler.
    pub fn new(inner: Arc<dyn Handler>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            exchanges: Mutex::default(),
            flying: Arc::default(),
        })
    }

    /// Returns all that happened, in the order in which requests arrived.
    pub fn exchanges(&self) -> Vec<Exchange> {
        let entries = lock(&self.exchanges).clone();
        entries.iter().map(|entry| entry.snapshot()).collect()
    }

    /// Returns the requests of a class.
    pub fn of(&self, class: RequestClass) -> Vec<Exchange> {
        let mut exchanges = self.exchanges();
        exchanges.retain(|exchange| exchange.class == class);
        exchanges
    }

    /// Counts the requests of a class.
    pub fn count(&self, class: RequestClass) -> usize {
        self.of(class).len()
    }

    /// Counts all requests.
    pub fn len(&self) -> usize {
        lock(&self.exchanges).len()
    }

    /// Returns whether nothing arrived.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how many bytes of bodies arrived.
    pub fn received(&self) -> u64 {
        self.exchanges()
            .iter()
            .map(|exchange| exchange.received)
            .sum()
    }

    /// Returns how many bytes of bodies were answered.
    pub fn sent(&self) -> u64 {
        self.exchanges().iter().map(|exchange| exchange.sent).sum()
    }

    /// Returns how many requests were under way at once, at most: from their arrival to the end of the answer's body.
    pub fn most_in_flight(&self) -> usize {
        self.flying.most.load(Ordering::SeqCst)
    }

    /// Returns the requests that carry the text in any place.
    pub fn containing(&self, text: &str) -> Vec<Exchange> {
        let mut exchanges = self.exchanges();
        exchanges.retain(|exchange| exchange.contains(text));
        exchanges
    }

    /// Returns the requests that carry a header that a stranger must not see: `Authorization`, a cookie, a proxy's
    /// password.
    pub fn with_credentials(&self) -> Vec<Exchange> {
        let mut exchanges = self.exchanges();
        exchanges.retain(|exchange| {
            [
                "authorization",
                "cookie",
                "proxy-authorization",
                "x-registry-auth",
            ]
            .iter()
            .any(|name| exchange.headers.contains_key(*name))
        });
        exchanges
    }

    /// Forgets everything that happened so far.
    pub fn clear(&self) {
        lock(&self.exchanges).clear();
        self.flying.most.store(0, Ordering::SeqCst);
    }
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers may hold secrets: the list is for assertions and not for logs.
        f.debug_struct("Recorder")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

impl Handler for Recorder {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        let landing = Landing::start(&self.flying);
        let (parts, body) = request.into_parts();
        let entry = Arc::new(Entry {
            class: RequestClass::of(&parts.method, parts.uri.path(), parts.uri.query()),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            body: Mutex::default(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            status: Mutex::new(None),
        });
        lock(&self.exchanges).push(Arc::clone(&entry));
        let body = Counted::new(body, Arc::clone(&entry), Direction::In, None).boxed_unsync();
        let request = Request::from_parts(parts, body);
        Box::pin(async move {
            let response = Arc::clone(&self.inner).handle(request).await;
            *lock(&entry.status) = Some(response.status());
            response
                .map(|body| Counted::new(body, entry, Direction::Out, Some(landing)).boxed_unsync())
        })
    }
}

impl Entry {
    fn snapshot(&self) -> Exchange {
        Exchange {
            class: self.class,
            method: self.method.clone(),
            uri: self.uri.clone(),
            headers: self.headers.clone(),
            body: lock(&self.body).clone().into(),
            received: self.received.load(Ordering::SeqCst),
            sent: self.sent.load(Ordering::SeqCst),
            status: *lock(&self.status),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    In,
    Out,
}

/// A body whose bytes are counted where they pass.
struct Counted {
    body: Body,
    entry: Arc<Entry>,
    direction: Direction,
    /// Ends the request's flight when the body is dropped.
    _landing: Option<Landing>,
}

impl Counted {
    fn new(body: Body, entry: Arc<Entry>, direction: Direction, landing: Option<Landing>) -> Self {
        Self {
            body,
            entry,
            direction,
            _landing: landing,
        }
    }

    fn count(&self, data: &Bytes) {
        let counter = match self.direction {
            Direction::In => &self.entry.received,
            Direction::Out => &self.entry.sent,
        };
        counter.fetch_add(data.len() as u64, Ordering::SeqCst);
        if self.direction == Direction::In {
            let mut kept = lock(&self.entry.body);
            let room = KEPT_BODY.saturating_sub(kept.len()).min(data.len());
            kept.extend_from_slice(&data[..room]);
        }
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            self.count(data);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// One request under way.
struct Landing(Arc<Flying>);

impl Landing {
    fn start(flying: &Arc<Flying>) -> Self {
        let now = flying.now.fetch_add(1, Ordering::SeqCst) + 1;
        flying.most.fetch_max(now, Ordering::SeqCst);
        Self(Arc::clone(flying))
    }
}

impl Drop for Landing {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Returns `user:password` of a Basic header.
pub(crate) fn decoded_basic(value: &str) -> Option<String> {
    let (scheme, encoded) = value.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()
}

/// Locks, even when another test's assertion failed under the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
