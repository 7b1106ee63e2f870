//! Middleware with the ways in which real registries depart from the plain protocol.

mod blobs;
mod manifests;
mod sessions;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use http_body_util::BodyExt as _;
use imgserve::http::{Handler, Request, Response};

use super::RequestClass;
use super::answers::{refusal, respond};
use sessions::Session;

pub use blobs::SignedStorage;

/// What a registry does otherwise. The default does nothing otherwise.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Customs {
    /// How uploads go.
    pub uploads: Uploads,
    /// What mounts are answered with.
    pub mounts: Mounts,
    /// What is peculiar about manifests and tags.
    pub manifests: Manifests,
    /// What is peculiar about reading blobs.
    pub blobs: Blobs,
}

/// How uploads go.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
#[non_exhaustive]
pub struct Uploads {
    /// What a `Location` looks like.
    pub location: LocationForm,
    /// What PATCH is answered with.
    pub patch: Patch,
    /// What the `Range` header of answers says.
    pub range: RangeSays,
    /// A chunk with `Content-Range` may have so many bytes at most: 416 otherwise.
    pub max_chunk: Option<u64>,
    /// A chunk with `Content-Range` must have so many bytes at least, the last one excepted: 400 otherwise.
    pub min_chunk: Option<u64>,
    /// Whether the minimum is announced as `OCI-Chunk-Min-Length`.
    pub announces_min_chunk: bool,
    /// A second PATCH makes it forget the first.
    pub forgets_earlier_chunks: bool,
    /// The body of the PUT that ends an upload may have so many bytes at most: 413 otherwise.
    pub max_put: Option<u64>,
    /// A POST that is followed by a PUT with the whole body is answered 404.
    pub refuses_whole_put: bool,
    /// Anything but `A-B` as `Content-Range` is answered 416.
    pub wants_bare_content_range: bool,
    /// `Content-Range` on the PUT of a whole blob is answered 400, a missing length 411.
    pub strict_put: bool,
    /// An `Accept` header on an upload is answered 406.
    pub refuses_accept: bool,
    /// An upload needs the repository to exist: one of these.
    pub only_repositories: Vec<String>,
}

/// What a `Location` of an upload looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test goes through all of them")]
pub enum LocationForm {
    /// As the registry behind writes it.
    #[default]
    Untouched,
    /// The whole URL, with an opaque query that must come back byte for byte.
    Absolute,
    /// The path, with an opaque query.
    Relative,
    /// The path without any query.
    Bare,
    /// Only a query, which belongs to the URL that was asked.
    QueryOnly,
    /// A path that no specification knows: `upload` and not `uploads`.
    Singular,
    /// Two parameters in the query, as Azure has them.
    TwoParameters,
}

/// What PATCH is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test goes through all of them")]
pub enum Patch {
    /// This status when all is well.
    Answered(u16),
    /// This status always: there is no PATCH.
    Refused(u16),
}

impl Default for Patch {
    fn default() -> Self {
        Self::Answered(202)
    }
}

/// What `Range` says of an upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test goes through all of them")]
pub enum RangeSays {
    /// The truth.
    #[default]
    Truth,
    /// Nothing.
    Nothing,
    /// The end of the first chunk for ever.
    FirstChunk,
    /// The truth after `bytes=`.
    WithUnit,
}

/// What a mount is answered with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a test names each of them")]
pub enum Mounts {
    /// 201, or 202 with a session when the source does not have the blob.
    #[default]
    Done,
    /// 202 with a session, always.
    Ignored,
    /// This status, always.
    Refused(u16),
    /// 201, or this status when the source does not have the blob.
    UnknownSource(u16),
    /// 201, or 202 with a session; this status without a source.
    NeedsSource(u16),
    /// 201 within the first part of the repository's name; 202 across.
    SameOwner,
    /// 201 when a manifest in the source repository names the blob; 202 before.
    CommittedOnly,
}

/// What is peculiar about manifests and tags.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a habit of its own")]
#[non_exhaustive]
pub struct Manifests {
    /// GET and HEAD without `Accept` are answered 404.
    pub needs_accept: bool,
    /// HEAD without the stored type in `Accept` names another digest: that of a converted manifest.
    pub converts_without_accept: bool,
    /// Manifests of Docker's types are answered 415.
    pub refuses_docker_types: bool,
    /// A tag cannot take a manifest of another type: 400.
    pub refuses_retyping: bool,
    /// A tag that exists cannot be written, with this status and code.
    pub immutable_tags: Option<(u16, &'static str)>,
    /// There is no referrers API: 404.
    pub no_referrers: bool,
    /// `n` of a list may be so large: 400 otherwise.
    pub max_page: Option<u64>,
    /// The list of an empty repository is `null`.
    pub null_tags: bool,
    /// Answers carry the headers of a pull limit.
    pub rate_limit_headers: bool,
    /// Answers carry no `Docker-Content-Digest`.
    pub no_digest_header: bool,
}

/// What is peculiar about reading blobs.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Blobs {
    /// GET sends the client to this origin, with a signed query.
    pub storage: Option<String>,
    /// HEAD is sent there too.
    pub redirects_head: bool,
    /// HEAD has no `Content-Length`.
    pub no_length: bool,
    /// HEAD is answered 405.
    pub no_head: bool,
}

/// A [`Handler`] with [`Customs`] before another.
pub struct Accustomed {
    inner: Arc<dyn Handler>,
    /// What clients call this registry, such as `https://registry.example`.
    origin: String,
    customs: Customs,
    sessions: Mutex<BTreeMap<String, Session>>,
    tagged: Mutex<manifests::Tagged>,
    storage: Arc<SignedStorage>,
}

impl Accustomed {
    /// Puts customs before a registry that clients reach at `origin`.
    pub fn new(inner: Arc<dyn Handler>, origin: &str, customs: Customs) -> Arc<Self> {
        let storage = SignedStorage::new(Arc::clone(&inner));
        Arc::new(Self {
            inner,
            origin: origin.to_owned(),
            customs,
            sessions: Mutex::default(),
            tagged: Mutex::default(),
            storage,
        })
    }

    /// Returns the storage that blobs are redirected to.
    pub fn storage(&self) -> Arc<SignedStorage> {
        Arc::clone(&self.storage)
    }

    async fn route(self: Arc<Self>, request: Request) -> Response {
        let uri = request.uri().clone();
        let class = RequestClass::of(request.method(), uri.path(), uri.query());
        match class {
            RequestClass::StartUpload | RequestClass::Mount => self.start(request, class).await,
            RequestClass::PatchUpload
            | RequestClass::FinishUpload
            | RequestClass::UploadStatus
            | RequestClass::CancelUpload => self.go_on(request, class).await,
            RequestClass::GetBlob | RequestClass::HeadBlob => self.read_blob(request, class).await,
            RequestClass::GetManifest | RequestClass::HeadManifest => {
                self.read_manifest(request).await
            }
            RequestClass::PutManifest => self.write_manifest(request).await,
            RequestClass::Tags => self.list_tags(request).await,
            RequestClass::Referrers if self.customs.manifests.no_referrers => {
                respond(404, &[("Content-Type", "text/plain")], "404 page not found")
            }
            _ => Arc::clone(&self.inner).handle(request).await,
        }
    }
}

impl Handler for Accustomed {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(self.route(request))
    }
}

impl fmt::Debug for Accustomed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accustomed")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Reads a request to its end and refuses it: most clients cannot take an answer while they still send.
async fn refuse(request: Request, status: u16, code: &str, message: &str) -> Response {
    drop(request.into_body().collect().await);
    refusal(status, code, message)
}
