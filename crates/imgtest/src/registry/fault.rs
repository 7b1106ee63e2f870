//! Scripted misbehaviour: which kind of request meets which fault, and how often.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::header::CONTENT_LENGTH;
use http_body::Frame;
use http_body_util::BodyExt as _;
use imgserve::http::{Body, BoxError, Handler, Request, Response};

use super::RequestClass;
use super::answers::respond;
use super::recorder::lock;

/// Marks an answer that is none: the connection breaks before it. It stands in the answer's extensions.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_structs, reason = "a mark has no parts")]
pub struct Reset;

/// One way to misbehave.
#[derive(Clone)]
#[non_exhaustive]
pub enum Fault {
    /// Answers this, and the handler behind is not asked.
    Answer {
        /// The status.
        status: u16,
        /// The headers.
        headers: Vec<(String, String)>,
        /// The body.
        body: Bytes,
    },
    /// The connection breaks before the request is read.
    Reset,
    /// The request is obeyed, and the connection breaks before the answer.
    LostAnswer,
    /// The connection breaks after so many bytes of the request's body, which reach the handler.
    CutRequest {
        /// How many bytes come through.
        after: u64,
    },
    /// No answer ever comes.
    Stall,
    /// Nothing comes after so many bytes of the answer's body.
    StallBody {
        /// How many bytes come.
        after: u64,
    },
    /// The answer's body ends after so many bytes as if that were its end.
    Truncate {
        /// How many bytes come.
        after: u64,
    },
    /// The connection breaks after so many bytes of the answer's body.
    Break {
        /// How many bytes come.
        after: u64,
    },
    /// The announced length of the body is wrong by so much.
    WrongLength {
        /// What is added to the true length.
        by: i64,
    },
    /// One bit of the answer's body is another.
    Corrupt,
    /// More bytes follow the answer's body.
    Extend {
        /// How many bytes.
        by: u64,
    },
    /// The answer's body never ends.
    Endless,
    /// The answer is changed on its way.
    Change(Arc<dyn Fn(&mut Response) + Send + Sync>),
    /// Something happens before the handler is asked: tokens expire, say.
    Before(Arc<dyn Fn() + Send + Sync>),
}

impl Fault {
    /// Answers with a status and the text that servers write below it.
    pub fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: vec![("Content-Type".into(), "text/plain".into())],
            body: format!("{status} from the fault injector\n").into(),
        }
    }

    /// Sends the client elsewhere.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).with_header("Location", location)
    }

    /// Adds a header to an [`Answer`](Self::Answer), or sets it in a changed one.
    #[must_use]
    pub fn with_header(self, name: &str, value: &str) -> Self {
        let Self::Answer {
            status,
            mut headers,
            body,
        } = self
        else {
            panic!("only an answer has headers");
        };
        headers.push((name.to_owned(), value.to_owned()));
        Self::Answer {
            status,
            headers,
            body,
        }
    }

    /// Gives an [`Answer`](Self::Answer) another body.
    #[must_use]
    pub fn with_body(self, new_type: &str, new_body: impl Into<Bytes>) -> Self {
        let Self::Answer {
            status,
            mut headers,
            ..
        } = self
        else {
            panic!("only an answer has a body");
        };
        headers.retain(|(name, _)| name != "Content-Type");
        headers.push(("Content-Type".into(), new_type.into()));
        Self::Answer {
            status,
            headers,
            body: new_body.into(),
        }
    }

    /// Changes the true answer on its way.
    pub fn change(change: impl Fn(&mut Response) + Send + Sync + 'static) -> Self {
        Self::Change(Arc::new(change))
    }

    /// Lets something happen before the handler is asked.
    pub fn before(hook: impl Fn() + Send + Sync + 'static) -> Self {
        Self::Before(Arc::new(hook))
    }

    /// Sets a header of the true answer.
    pub fn set_header(name: &'static str, value: &str) -> Self {
        let value: http::HeaderValue = value.parse().expect("a test names proper headers");
        Self::change(move |response| {
            response.headers_mut().insert(name, value.clone());
        })
    }

    /// Removes a header of the true answer.
    pub fn remove_header(name: &'static str) -> Self {
        Self::change(move |response| {
            response.headers_mut().remove(name);
        })
    }

    async fn apply(self, inner: Arc<dyn Handler>, request: Request) -> Response {
        match self {
            Self::Answer {
                status,
                headers,
                body,
            } => {
                drop(request.into_body().collect().await);
                let headers: Vec<_> = headers
                    .iter()
                    .map(|(n, v)| (n.as_str(), v.as_str()))
                    .collect();
                respond(status, &headers, body)
            }
            Self::Reset => reset(),
            Self::LostAnswer => {
                drop(inner.handle(request).await);
                reset()
            }
            Self::CutRequest { after } => {
                let cut = request.map(|body| Altered::new(body, End::Break, after).boxed_unsync());
                drop(inner.handle(cut).await);
                reset()
            }
            Self::Stall => std::future::pending().await,
            Self::StallBody { after } => altered(inner.handle(request).await, End::Stall, after),
            Self::Truncate { after } => altered(inner.handle(request).await, End::Quiet, after),
            Self::Break { after } => altered(inner.handle(request).await, End::Break, after),
            Self::WrongLength { by } => wrong_length(inner.handle(request).await, by),
            Self::Corrupt => {
                let response = inner.handle(request).await;
                response.map(|body| body.map_frame(flip).boxed_unsync())
            }
            Self::Extend { by } => {
                let mut response = inner.handle(request).await;
                response.headers_mut().remove(CONTENT_LENGTH);
                response.map(|body| Longer { body, more: by }.boxed_unsync())
            }
            Self::Endless => {
                let mut response = inner.handle(request).await;
                response.headers_mut().remove(CONTENT_LENGTH);
                response.map(|body| {
                    Longer {
                        body,
                        more: u64::MAX,
                    }
                    .boxed_unsync()
                })
            }
            Self::Change(change) => {
                let mut response = inner.handle(request).await;
                change(&mut response);
                response
            }
            Self::Before(hook) => {
                hook();
                inner.handle(request).await
            }
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer {
                status, headers, ..
            } => {
                write!(f, "Answer {status}")?;
                let retry = headers.iter().find(|(name, _)| name == "Retry-After");
                retry.map_or(Ok(()), |(_, value)| write!(f, " Retry-After {value:?}"))
            }
            Self::Reset => f.write_str("Reset"),
            Self::LostAnswer => f.write_str("LostAnswer"),
            Self::CutRequest { after } => write!(f, "CutRequest after {after}"),
            Self::Stall => f.write_str("Stall"),
            Self::StallBody { after } => write!(f, "StallBody after {after}"),
            Self::Truncate { after } => write!(f, "Truncate after {after}"),
            Self::Break { after } => write!(f, "Break after {after}"),
            Self::WrongLength { by } => write!(f, "WrongLength by {by}"),
            Self::Corrupt => f.write_str("Corrupt"),
            Self::Extend { by } => write!(f, "Extend by {by}"),
            Self::Endless => f.write_str("Endless"),
            Self::Change(_) => f.write_str("Change"),
            Self::Before(_) => f.write_str("Before"),
        }
    }
}

/// Returns the faults of a server that has too much to do: 429, 500, 502, 503, 504 and 522, each with every form that
/// `Retry-After` is known to have. `now` is the time of day that dates are made from.
pub fn overloads(now: std::time::SystemTime) -> Vec<Fault> {
    let mut faults = Vec::new();
    for status in [429, 500, 502, 503, 504, 522] {
        faults.push(Fault::status(status));
        for value in retry_after_forms(now) {
            faults.push(Fault::status(status).with_header("Retry-After", &value));
        }
    }
    let html = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>";
    faults.push(Fault::status(502).with_body("text/html", html));
    let hint = "retry-after: 880.092\u{b5}s, allowed: 44000/minute";
    faults.push(Fault::status(429).with_body("text/plain", hint));
    faults.push(Fault::status(429).with_body("application/json", r#"{"errors": "many"#));
    faults.push(Fault::status(499).with_body("text/plain", ""));
    faults
}

/// Returns every form of `Retry-After`: seconds, none, far too many, a date to come and one that is over, and rubbish.
pub fn retry_after_forms(now: std::time::SystemTime) -> Vec<String> {
    let seconds = std::time::Duration::from_secs;
    vec![
        "2".into(),
        "0".into(),
        "99999999999".into(),
        httpdate::fmt_http_date(now + seconds(3)),
        httpdate::fmt_http_date(now - seconds(3600)),
        "-5".into(),
        "1.5".into(),
        "soon".into(),
    ]
}

/// When a fault strikes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Rule {
    class: Option<RequestClass>,
    fault: Fault,
    skip: usize,
    times: usize,
}

impl Rule {
    /// Strikes every request, always.
    pub fn new(fault: Fault) -> Self {
        Self {
            class: None,
            fault,
            skip: 0,
            times: usize::MAX,
        }
    }

    /// Strikes requests of one class only.
    #[must_use]
    pub fn on(mut self, class: RequestClass) -> Self {
        self.class = Some(class);
        self
    }

    /// Lets so many requests pass first.
    #[must_use]
    pub fn after(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes so often and no more.
    #[must_use]
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }
}

/// A [`Handler`] in front of another, with a script of faults.
///
/// ```
/// use std::sync::Arc;
/// use imgtest::registry::{Fault, Faults, InProcess, RequestClass, answer};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let faults = Faults::new(answer(200, "fine"));
/// faults.once(RequestClass::Ping, Fault::status(503));
/// let network = InProcess::new().with("https://registry.example", Arc::clone(&faults));
/// let ping = "https://registry.example/v2/";
/// assert_eq!(network.get(ping).await.unwrap().status, 503);
/// assert_eq!(network.get(ping).await.unwrap().status, 200);
/// # }
/// ```
pub struct Faults {
    inner: Arc<dyn Handler>,
    rules: Mutex<Vec<Rule>>,
    struck: Mutex<usize>,
}

impl Faults {
    /// Puts an empty script before a handler.
    pub fn new(inner: Arc<dyn Handler>) -> Arc<Self> {
        Arc::new(Self {
            inner,
            rules: Mutex::default(),
            struck: Mutex::default(),
        })
    }

    /// Adds a rule. The first rule that fits a request strikes it.
    pub fn script(&self, rule: Rule) {
        lock(&self.rules).push(rule);
    }

    /// Strikes the next request of a class.
    pub fn once(&self, class: RequestClass, fault: Fault) {
        self.script(Rule::new(fault).on(class).times(1));
    }

    /// Strikes every request of a class.
    pub fn always(&self, class: RequestClass, fault: Fault) {
        self.script(Rule::new(fault).on(class));
    }

    /// Returns how often a fault struck.
    pub fn struck(&self) -> usize {
        *lock(&self.struck)
    }

    /// Forgets the script.
    pub fn clear(&self) {
        lock(&self.rules).clear();
    }

    fn choose(&self, class: RequestClass) -> Option<Fault> {
        let mut rules = lock(&self.rules);
        for rule in rules.iter_mut() {
            if rule.times == 0 || rule.class.is_some_and(|wanted| wanted != class) {
                continue;
            }
            if rule.skip > 0 {
                rule.skip -= 1;
                continue;
            }
            rule.times = rule.times.saturating_sub(1);
            *lock(&self.struck) += 1;
            return Some(rule.fault.clone());
        }
        None
    }
}

impl Handler for Faults {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        let uri = request.uri();
        let class = RequestClass::of(request.method(), uri.path(), uri.query());
        let inner = Arc::clone(&self.inner);
        match self.choose(class) {
            Some(fault) => Box::pin(fault.apply(inner, request)),
            None => inner.handle(request),
        }
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faults")
            .field("rules", &*lock(&self.rules))
            .finish_non_exhaustive()
    }
}

fn reset() -> Response {
    // Over a socket the mark is not seen: there, a body that breaks at once takes the connection down.
    let mut response = respond(200, &[("Content-Length", "1")], "");
    response.extensions_mut().insert(Reset);
    response.map(|body| Altered::new(body, End::Break, 0).boxed_unsync())
}

fn altered(response: Response, end: End, after: u64) -> Response {
    response.map(|body| Altered::new(body, end, after).boxed_unsync())
}

fn wrong_length(mut response: Response, by: i64) -> Response {
    let headers = response.headers_mut();
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let length: u64 = length.unwrap_or(0);
    headers.insert(CONTENT_LENGTH, length.saturating_add_signed(by).into());
    response
}

fn flip(frame: Frame<Bytes>) -> Frame<Bytes> {
    match frame.into_data() {
        Ok(data) => {
            let mut data = data.to_vec();
            if let Some(last) = data.last_mut() {
                *last ^= 1;
            }
            Frame::data(data.into())
        }
        Err(frame) => frame,
    }
}

#[derive(Clone, Copy)]
enum End {
    Quiet,
    Break,
    Stall,
}

/// A body that does not come to its proper end.
struct Altered {
    body: Body,
    end: End,
    left: u64,
}

impl Altered {
    fn new(body: Body, end: End, after: u64) -> Self {
        Self {
            body,
            end,
            left: after,
        }
    }
}

impl http_body::Body for Altered {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if self.left == 0 {
            return match self.end {
                End::Quiet => Poll::Ready(None),
                End::Break => Poll::Ready(Some(Err("the test's server breaks here".into()))),
                // Nobody wakes this task again; the client's own patience must.
                End::Stall => Poll::Pending,
            };
        }
        let frame = std::task::ready!(Pin::new(&mut self.body).poll_frame(context));
        let Some(Ok(frame)) = frame else {
            // The body is shorter than the fault's place: the fault is at its end.
            self.left = 0;
            return self.poll_frame(context);
        };
        let Ok(mut data) = frame.into_data() else {
            return self.poll_frame(context);
        };
        let room = usize::try_from(self.left).unwrap_or(usize::MAX);
        data.truncate(room);
        self.left -= data.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

/// A body with more behind it.
struct Longer {
    body: Body,
    more: u64,
}

impl http_body::Body for Longer {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Some(frame) = std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) {
            return Poll::Ready(Some(frame));
        }
        if self.more == 0 {
            return Poll::Ready(None);
        }
        let now = usize::try_from(self.more.min(16 * 1024)).unwrap_or(0);
        self.more -= now as u64;
        Poll::Ready(Some(Ok(Frame::data(vec![b' '; now].into()))))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{InProcess, answer};
    use super::*;

    const URI: &str = "https://registry.example/v2/a/blobs/sha256:1";

    async fn with(fault: Fault) -> std::io::Result<super::super::Whole> {
        let faults = Faults::new(answer(200, "0123456789"));
        faults.once(RequestClass::GetBlob, fault);
        let network = InProcess::new().with("https://registry.example", Arc::clone(&faults));
        let answer = network.get(URI).await;
        assert_eq!(faults.struck(), 1);
        assert_eq!(
            network.get(URI).await.unwrap().body,
            "0123456789",
            "once is once"
        );
        answer
    }

    #[tokio::test]
    async fn each_fault_shows_as_what_it_is() {
        assert!(with(Fault::Reset).await.is_err());
        assert!(with(Fault::LostAnswer).await.is_err());
        assert!(with(Fault::Break { after: 3 }).await.is_err());
        assert_eq!(
            with(Fault::Truncate { after: 3 }).await.unwrap().body,
            "012"
        );
        assert_eq!(with(Fault::Corrupt).await.unwrap().body, "0123456788");
        assert_eq!(
            with(Fault::Extend { by: 2 }).await.unwrap().body,
            "0123456789  "
        );
        let wrong = with(Fault::WrongLength { by: 5 }).await.unwrap();
        assert_eq!(wrong.header("content-length"), Some("15"));
        let moved = with(Fault::redirect(307, "https://other.example/"))
            .await
            .unwrap();
        assert_eq!(
            (moved.status.as_u16(), moved.header("location")),
            (307, Some("https://other.example/"))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_stall_lasts_for_ever() {
        let hour = std::time::Duration::from_secs(3600);
        assert!(
            tokio::time::timeout(hour, with(Fault::Stall))
                .await
                .is_err()
        );
        assert!(
            tokio::time::timeout(hour, with(Fault::StallBody { after: 2 }))
                .await
                .is_err()
        );
    }

    #[tokio::test]
    async fn rules_wait_and_end() {
        let faults = Faults::new(answer(200, ""));
        faults.script(
            Rule::new(Fault::status(503))
                .on(RequestClass::GetBlob)
                .after(1)
                .times(2),
        );
        let network = InProcess::new().with("https://registry.example", Arc::clone(&faults));
        let mut seen = Vec::new();
        for _ in 0..4 {
            seen.push(network.get(URI).await.unwrap().status.as_u16());
        }
        assert_eq!(seen, [200, 503, 503, 200]);
    }
}
