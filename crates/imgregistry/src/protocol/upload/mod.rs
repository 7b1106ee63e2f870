//! Writing a blob: which requests, in which order, and what to do about each answer.
//!
//! [distribution-spec 1.1, "Pushing blobs"][spec] has four ways, and no registry takes all of them. The [`Machine`]
//! begins with one and goes on to the next when the registry does not take it:
//!
//! | form | requests | |
//! |---|---|---|
//! | [`Post`](Form::Post) | POST with the blob | many begin a session instead; only when asked for |
//! | [`Whole`](Form::Whole) | POST, PUT with the blob | the fewest requests; some proxies limit the body |
//! | [`Streamed`](Form::Streamed) | POST, PATCH with the blob, PUT | no `Content-Range`, so no limit on a chunk (GHCR) |
//! | [`Chunked`](Form::Chunked) | POST, PATCH for each chunk, PUT | what breaks is sent again by the chunk |
//!
//! What stands in `Range` of an answer is believed only where it matters: some registries (Amazon ECR) report less than
//! they have. After trouble the session is asked how far it is, and the upload goes on from there.
//!
//! # A driver
//!
//! ```
//! use imgregistry::protocol::upload::{Action, Answer, Machine, UploadError};
//!
//! /// Sends a request, and gives the head of its answer to the machine.
//! fn drive(mut machine: Machine, mut send: impl FnMut(&imgregistry::protocol::upload::Request, &mut Machine)) -> Result<(), UploadError> {
//!     loop {
//!         match machine.next() {
//!             Action::Send(request) => send(&request, &mut machine),
//!             // A real driver asks the retry policy, and gives up or waits.
//!             Action::Wait => machine.answer(Answer::Waited),
//!             Action::Done(_) => return Ok(()),
//!             Action::Failed(error) => return Err(error),
//!         }
//!     }
//! }
//! ```
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs

mod answers;
mod settings;
#[cfg(test)]
mod tests;

use std::ops::Range;

use http::Method;
use imgcore::{Digest, Repository};
use url::Url;

pub use settings::{Form, Settings};

use super::location::{LocationRules, UploadLocation};
use super::named::RefusedUrl;
use super::range::ChunkRange;
use super::url::Endpoint;

/// How often a lost session is begun anew.
const MAX_SESSIONS: u32 = 3;

/// How often the registry and the machine may disagree about the offset before the form is given up.
const MAX_DOUBTS: u32 = 2;

/// How often the registry may take back what it has confirmed.
const MAX_REWINDS: u32 = 3;

/// Chunks are not cut below this when a registry calls them too large.
const LEAST_CHUNK: u64 = 1 << 20;

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a driver must treat all of them")]
pub enum Action {
    /// The registry has the blob.
    Done(Done),
    /// The registry does not take the blob. What the last answer says tells a person why.
    Failed(UploadError),
    /// Send a request and [`answer`](Machine::answer).
    Send(Request),
    /// The last answer is trouble that may pass: ask the retry policy, wait, and answer [`Answer::Waited`]; or give up.
    Wait,
}

/// How the registry came to have the blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Done {
    /// It took it over from another repository.
    Mounted,
    /// It was sent.
    Uploaded,
}

/// A request of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The method.
    pub method: Method,
    /// Where it goes.
    pub url: Url,
    /// Whether the registry's credentials go along: only to the registry itself.
    pub sends_credentials: bool,
    /// Which bytes of the blob are the body, as `application/octet-stream` with a `Content-Length`. An empty range is an
    /// empty body.
    pub body: Option<Range<u64>>,
    /// The header `Content-Range`.
    pub content_range: Option<ChunkRange>,
    /// The repository that a mount takes the blob from: a token must be good for reading it as well.
    pub from: Option<Repository>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer<'a> {
    /// There was no answer. Any part of the body may have arrived.
    Broken,
    /// There was an answer; a request for a token that was refused counts as one with the status 401.
    Head(Head<'a>),
    /// The registry refused the request for its credentials alone (401), and there are others now: the same request is
    /// next. Should part of a chunk have arrived, its `Content-Range` will tell.
    Renewed,
    /// The driver has waited.
    Waited,
}

/// What the machine looks at of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a driver fills in what the answer has"
)]
pub struct Head<'a> {
    /// The status.
    pub status: u16,
    /// `Location`.
    pub location: Option<&'a str>,
    /// `Range`.
    pub range: Option<&'a str>,
    /// `OCI-Chunk-Min-Length`.
    pub chunk_minimum: Option<&'a str>,
    /// `Docker-Content-Digest`.
    pub digest: Option<&'a str>,
    /// `Content-Length`.
    pub content_length: Option<u64>,
}

/// Why a blob could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UploadError {
    /// The registry says that it has another blob now.
    #[error("the registry took the bytes of {expected} for {actual}")]
    Digest {
        /// What was sent.
        expected: Digest,
        /// What the registry says.
        actual: Digest,
    },
    /// The place of the session is none that the client goes to.
    #[error("the registry names a place for the upload where the client does not go")]
    Location(#[from] RefusedUrl),
    /// The registry forgets its sessions.
    #[error("the registry lost the upload {MAX_SESSIONS} times")]
    Lost,
    /// The registry said that it has the blob, and then that it has not.
    #[error("the registry confirmed {digest} and does not have it")]
    Missing {
        /// The blob.
        digest: Digest,
    },
    /// The registry began a session and did not say where.
    #[error("the registry began an upload and did not say where it goes on")]
    NoLocation,
    /// What the registry has is of another size.
    #[error("the registry has {actual} bytes of {digest} instead of {expected}")]
    Size {
        /// The blob.
        digest: Digest,
        /// Its size.
        expected: u64,
        /// The size that the registry says.
        actual: u64,
    },
    /// An answer that nothing can be done about, after all forms that could help.
    #[error("the registry answered with the status {0}")]
    Status(u16),
}

/// Writes one blob.
///
/// # Examples
///
/// ```
/// use imgcore::Digest;
/// use imgregistry::protocol::address::Rules;
/// use imgregistry::protocol::upload::{Action, Answer, Done, Head, Machine, Settings};
/// use imgregistry::protocol::url::{Endpoint, Scheme};
///
/// let endpoint = Endpoint::new(&"r.example".parse()?, Scheme::Https)?;
/// let digest = Digest::sha256_of(b"bytes");
/// let mut machine =
///     Machine::new(&endpoint, &"team/app".parse()?, digest, 5, Settings::default(), Rules::strict());
///
/// let Action::Send(request) = machine.next() else { panic!() };
/// assert_eq!((request.method.as_str(), request.url.path()), ("POST", "/v2/team/app/blobs/uploads/"));
/// machine.answer(Answer::Head(Head { status: 202, location: Some("/u/1"), ..Head::default() }));
///
/// let Action::Send(request) = machine.next() else { panic!() };
/// assert_eq!((request.method.as_str(), request.body), ("PUT", Some(0..5)));
/// let digest = digest.to_string();
/// machine.answer(Answer::Head(Head { status: 201, digest: Some(&digest), ..Head::default() }));
/// assert_eq!(machine.next(), Action::Done(Done::Uploaded));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Machine {
    digest: Digest,
    size: u64,
    places: Places,
    rules: LocationRules,
    mount_from: Option<Repository>,
    /// The form that is being tried, and those that are left.
    form: Form,
    forms: Vec<Form>,
    chunk: u64,
    max_chunk: u64,
    least_chunk: u64,
    location: Option<UploadLocation>,
    /// How many bytes the registry has, as far as is known.
    offset: u64,
    /// How many requests have brought bytes into the session.
    parts: u32,
    sessions: u32,
    /// How often the last part was refused for what may be its offset, and with which status.
    doubts: u32,
    doubted: u16,
    rewinds: u32,
    state: State,
}

/// The URLs that do not depend on the session.
#[derive(Clone, Debug)]
struct Places {
    begin: Url,
    post: Url,
    mount: Url,
    blob: Url,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Asks for a mount.
    Mounting,
    /// Begins a session.
    Beginning,
    /// Sends bytes from the offset on.
    Sending,
    /// Asks the session how far it is.
    Asking,
    /// Ends the session.
    Finishing,
    /// Asks whether the blob is there; the flag says that the registry has confirmed it.
    Checking(bool),
    /// Waits, and then goes on so.
    Waiting(Resume),
    Done(Done),
    Failed(UploadError),
}

/// What follows a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Resume {
    Begin,
    Ask,
    Check(bool),
}

impl Machine {
    /// Makes a machine for a blob of `size` bytes; the repository is named [as on its registry](Endpoint::repository).
    ///
    /// `addresses` are the rules for sessions on other hosts than the registry's.
    pub fn new(
        endpoint: &Endpoint,
        repository: &Repository,
        digest: Digest,
        size: u64,
        settings: Settings,
        addresses: impl Into<super::address::Reach>,
    ) -> Self {
        let mount_from = settings.mount_from;
        let places = Places {
            begin: endpoint.uploads(repository),
            post: endpoint.upload_whole(repository, &digest),
            mount: endpoint.mount(repository, &digest, mount_from.as_ref()),
            blob: endpoint.blob(repository, &digest),
        };
        let mut forms = vec![Form::Whole, Form::Streamed, Form::Chunked];
        forms.retain(|form| *form != settings.first);
        let chunk = settings.chunk.max(1);
        Self {
            digest,
            size,
            places,
            rules: LocationRules::new(endpoint.origin(), addresses),
            form: settings.first,
            forms,
            chunk,
            max_chunk: settings.max_chunk.max(chunk),
            least_chunk: LEAST_CHUNK.min(chunk),
            location: None,
            offset: 0,
            parts: 0,
            sessions: 1,
            doubts: 0,
            doubted: 0,
            rewinds: 0,
            state: match mount_from {
                Some(_) => State::Mounting,
                None => State::Beginning,
            },
            mount_from,
        }
    }

    /// Refuses sessions on other hosts than the registry's.
    #[must_use]
    pub fn on_same_host_only(mut self) -> Self {
        self.rules.same_host_only = true;
        self
    }

    /// Returns how many bytes the registry has, as far as is known: what comes before is not needed again, unless the
    /// session is lost or the form changes.
    ///
    /// A driver forgets earlier attempts when this has grown.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns what to do. It stays the same until there is an [`answer`](Self::answer).
    pub fn next(&self) -> Action {
        let request = match &self.state {
            State::Mounting => Request {
                body: Some(0..0),
                from: self.mount_from.clone(),
                ..plain(Method::POST, &self.places.mount)
            },
            State::Beginning if self.form == Form::Post => Request {
                body: Some(0..self.size),
                ..plain(Method::POST, &self.places.post)
            },
            State::Beginning => Request {
                body: Some(0..0),
                ..plain(Method::POST, &self.places.begin)
            },
            State::Sending => self.sending(),
            State::Asking => self.in_session(Method::GET, None),
            State::Finishing => self.put(self.size..self.size),
            State::Checking(_) => plain(Method::HEAD, &self.places.blob),
            State::Waiting(_) => return Action::Wait,
            State::Done(done) => return Action::Done(*done),
            State::Failed(error) => return Action::Failed(error.clone()),
        };
        Action::Send(request)
    }

    /// Returns the request that gives up the session, if there is one. Its answer does not matter.
    pub fn cancel(&self) -> Option<Request> {
        let is_over = matches!(self.state, State::Done(_) | State::Checking(true));
        self.location
            .as_ref()
            .filter(|_| !is_over)
            .map(|_| self.in_session(Method::DELETE, None))
    }

    /// Returns which bytes the next request of [`State::Sending`] has.
    fn part(&self) -> Range<u64> {
        let end = match self.form {
            Form::Chunked => self.offset.saturating_add(self.chunk).min(self.size),
            _ => self.size,
        };
        self.offset..end
    }

    /// Returns whether the blob goes with the PUT that ends the session.
    fn is_put(&self) -> bool {
        self.form == Form::Whole && self.offset == 0
    }

    fn sending(&self) -> Request {
        let part = self.part();
        if self.is_put() {
            return self.put(part);
        }
        // The first request of a stream has none: registries limit what comes with one.
        let is_bare = self.form == Form::Streamed && part.start == 0;
        let range = ChunkRange::new(part.start, part.end - part.start);
        Request {
            content_range: range.filter(|_| !is_bare),
            ..self.in_session(Method::PATCH, Some(part))
        }
    }

    fn put(&self, body: Range<u64>) -> Request {
        let mut request = self.in_session(Method::PUT, Some(body));
        if let Some(location) = &self.location {
            request.url = location.with_digest(&self.digest);
        }
        request
    }

    fn in_session(&self, method: Method, body: Option<Range<u64>>) -> Request {
        let (url, sends_credentials) = match &self.location {
            Some(location) => (location.url(), location.sends_credentials()),
            // Not reached: there is a location in every state that asks for it.
            None => (&self.places.begin, true),
        };
        Request {
            sends_credentials,
            body,
            ..plain(method, url)
        }
    }
}

fn plain(method: Method, url: &Url) -> Request {
    Request {
        method,
        url: url.clone(),
        sends_credentials: true,
        body: None,
        content_range: None,
        from: None,
    }
}
