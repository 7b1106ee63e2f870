//! The registry: what it is made of, and how a request goes through it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use futures_core::future::BoxFuture;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use imgcore::Digest;
use imgstore::{
    BlobSink, BlobSource, DirectoryOptions, DirectoryStore, Durability, MemoryStore, make_directory,
};
use tokio::runtime::Handle;

use super::lock::Lock;
use super::records::{DirectoryRecords, MemoryRecords, Records};
use super::refusal::{Code, Refusal};
use super::route::{Operation, route};
use super::uploads::Uploads;
use crate::http::{Body, Handler, Request, Response, body};
use crate::{Error, Result};

const API_VERSION: HeaderName = HeaderName::from_static("docker-distribution-api-version");
pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// How much of a body is read after its request was refused, in bytes.
///
/// A client that still writes when its connection is closed may never see the answer, and small bodies cost less than a
/// new connection.
const DRAINED: usize = 256 * 1024;

/// A registry: the OCI distribution protocol as a [`Handler`].
///
/// It knows no users: whoever can reach it may read and write everything. Wrap it in a handler that asks for
/// credentials, or let it listen on loopback only.
///
/// It needs a `tokio` runtime when its uploads lie in a directory.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use imgserve::distribution::Registry;
/// use imgserve::http::{Handler, Request, body};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let registry = Arc::new(Registry::in_memory());
/// let mut request = Request::new(body::empty());
/// *request.uri_mut() = "/v2/".parse().unwrap();
/// assert_eq!(registry.handle(request).await.status(), 200);
/// # });
/// ```
pub struct Registry {
    pub(super) blobs: Arc<dyn Store>,
    pub(super) records: Arc<dyn Records>,
    pub(super) uploads: Arc<Uploads>,
    pub(super) options: RegistryOptions,
    /// Keeps other processes out of the directory, where there is one.
    _lock: Option<Lock>,
    /// Held while manifests and tags change: a manifest must not go while a tag comes to lead to it.
    pub(super) changes: tokio::sync::Mutex<()>,
    /// Where the bytes lie that can be freed; nothing for a store of somebody else.
    bytes: Option<Arc<dyn Freeing>>,
    /// Held for reading from the look whether bytes are there until a repository has them, and alone while bytes go that
    /// no repository has. Taken before `changes`.
    pub(super) keeping: tokio::sync::RwLock<()>,
}

/// A store from which blobs can be removed.
trait Freeing: Send + Sync {
    fn free(&self, digest: &Digest) -> imgstore::Result<()>;
}

impl Freeing for DirectoryStore {
    fn free(&self, digest: &Digest) -> imgstore::Result<()> {
        self.remove(digest).map(drop)
    }
}

impl Freeing for MemoryStore {
    fn free(&self, digest: &Digest) -> imgstore::Result<()> {
        self.remove(digest);
        Ok(())
    }
}

/// What a registry needs of a store.
pub(super) trait Store: BlobSource + BlobSink {}

impl<S: BlobSource + BlobSink + ?Sized> Store for S {}

/// What a registry takes.
#[derive(Clone)]
#[non_exhaustive]
pub struct RegistryOptions {
    /// What to do with manifests whose content is not there.
    pub missing_content: MissingContent,
    /// Whether a blob that any repository has may be mounted by its digest alone.
    ///
    /// Whoever knows a digest then gets the bytes, of whichever repository they are. Off unless told otherwise: such a
    /// mount is then answered with an upload.
    pub anonymous_mounts: bool,
    /// Told of failures that are the registry's own, which clients only see as status 500.
    pub failures: Option<FailureSink>,
}

/// What is told of a registry's own failures.
pub type FailureSink = Arc<dyn Fn(&(dyn std::error::Error + 'static)) + Send + Sync>;

impl Default for RegistryOptions {
    fn default() -> Self {
        Self {
            missing_content: MissingContent::Refuse,
            anonymous_mounts: false,
            failures: None,
        }
    }
}

impl fmt::Debug for RegistryOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryOptions")
            .field("missing_content", &self.missing_content)
            .field("anonymous_mounts", &self.anonymous_mounts)
            .field("failures", &self.failures.is_some())
            .finish()
    }
}

impl RegistryOptions {
    /// Chooses what to do with manifests whose content is not there.
    #[must_use]
    pub fn with_missing_content(mut self, missing_content: MissingContent) -> Self {
        self.missing_content = missing_content;
        self
    }

    /// Chooses whether a blob may be mounted by its digest alone.
    #[must_use]
    pub fn with_anonymous_mounts(mut self, anonymous_mounts: bool) -> Self {
        self.anonymous_mounts = anonymous_mounts;
        self
    }

    /// Tells `sink` of the registry's own failures.
    #[must_use]
    pub fn with_failures(
        mut self,
        sink: impl Fn(&(dyn std::error::Error + 'static)) + Send + Sync + 'static,
    ) -> Self {
        self.failures = Some(Arc::new(sink));
        self
    }
}

/// What a registry does with a manifest that refers to content which its repository does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum MissingContent {
    /// Take it: the content may come later, or never (sparse images).
    Accept,
    /// Refuse it, so that every image that can be found can be pulled. Layers that are not to be distributed may be
    /// missing all the same.
    #[default]
    Refuse,
}

impl Registry {
    /// Makes a registry of a store, of records of what is in it, and of a place for what is on its way in.
    ///
    /// What repositories do not have any more stays in the store: a store is not asked to remove anything.
    pub fn new(
        blobs: impl BlobSource + BlobSink + 'static,
        records: impl Records + 'static,
        uploads: Uploads,
    ) -> Self {
        Self {
            blobs: Arc::new(blobs),
            records: Arc::new(records),
            uploads: Arc::new(uploads),
            options: RegistryOptions::default(),
            _lock: None,
            changes: tokio::sync::Mutex::new(()),
            bytes: None,
            keeping: tokio::sync::RwLock::new(()),
        }
    }

    /// Makes a registry that ends with the process and holds everything in memory. What the last repository removes is
    /// freed.
    pub fn in_memory() -> Self {
        let blobs = MemoryStore::new();
        Self {
            bytes: Some(Arc::new(blobs.clone())),
            ..Self::new(blobs, MemoryRecords::new(), Uploads::in_memory())
        }
    }

    /// Opens the registry in a directory, which is made unless it is there. One process at a time may use it, for
    /// as long as the registry lives.
    ///
    /// What the registry has answered for survives the process and the machine, however they end: it is flushed to the
    /// disk before the answer. Unfinished uploads can be gone on with after the process has ended. What the last
    /// repository removes is freed.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made, read or cleaned of what an earlier process left unfinished, and
    /// [`ErrorKind::InUse`](crate::ErrorKind::InUse) when another registry is open in it. (On Windows that goes unseen.)
    pub fn at_directory(root: impl AsRef<Path>) -> Result<Self> {
        let root = root.as_ref();
        let durability = Durability::Machine;
        let made = make_directory(&root.join("blobs"), durability);
        made.map_err(|error| {
            Error::from_io(format!("opening a registry in {}", root.display()), error)
        })?;
        // Before anything is cleaned that another process may be writing.
        let lock = Lock::take(root)?;
        let failed = |error: imgstore::Error| {
            Error::new(
                crate::ErrorKind::Io,
                format!("opening a registry in {}", root.display()),
            )
            .with_source(error)
        };
        let blobs = DirectoryStore::open(root.join("blobs"))
            .map_err(failed)?
            .with_options(DirectoryOptions::default().with_durability(durability));
        blobs.remove_leftovers().map_err(failed)?;
        let records = DirectoryRecords::open(root)?.with_durability(durability);
        let uploads = Uploads::beside(&records, Some(blobs.clone()));
        Ok(Self {
            _lock: Some(lock),
            bytes: Some(Arc::new(blobs.clone())),
            ..Self::new(blobs, records, uploads)
        })
    }

    /// Changes what the registry takes.
    #[must_use]
    pub fn with_options(mut self, options: RegistryOptions) -> Self {
        self.options = options;
        self
    }

    /// Removes the files of uploads that nobody has written to since `before`, and returns how many that were. Uploads in
    /// memory are left alone.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read or a file not be removed.
    pub fn remove_stale_uploads(&self, before: SystemTime) -> Result<usize> {
        self.uploads.remove_stale(before)
    }

    /// Frees the bytes of a blob or manifest that a repository has removed, unless another one has it. When that fails
    /// they stay, and the owner is told: what was asked for, that the repository does not have it, is done.
    pub(super) async fn free(&self, digest: &Digest) {
        let Some(bytes) = &self.bytes else {
            return;
        };
        let is_held = async || {
            let held = self.records.holds(digest).await;
            held.map_err(|error| self.failed(&error))
        };
        // As a rule another repository has it, and nobody needs to wait for the look: whoever removes it there looks after
        // that.
        if !matches!(is_held().await, Ok(false)) {
            return;
        }
        let _alone = self.keeping.write().await;
        if let Ok(false) = is_held().await
            && let Err(error) = bytes.free(digest)
        {
            self.failed(&error);
        }
    }

    /// Does all of something that must not end half-way, also where the request is dropped meanwhile: what the disk was
    /// told to do it does, and the locks must be held for as long.
    pub(super) async fn to_the_end<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Refusal>> + Send + 'static,
    ) -> Result<T, Refusal> {
        match Handle::try_current() {
            Ok(runtime) => match runtime.spawn(work).await {
                Ok(done) => done,
                Err(error) => Err(self.failed(&error)),
            },
            // Nothing is on a disk where the registry needs no runtime.
            Err(_) => work.await,
        }
    }

    async fn answer(self: &Arc<Self>, request: Request) -> Response {
        let (head, mut body) = request.into_parts();
        let is_head = head.method == Method::HEAD;
        let answer = match route(&head.method, head.uri.path(), head.uri.query()) {
            Ok(operation) => {
                self.carry_out(operation, is_head, &head.headers, &mut body)
                    .await
            }
            Err(refusal) => Err(refusal),
        };
        let mut response = match answer {
            Ok(response) => response,
            Err(refusal) => {
                drain(&mut body).await;
                refusal.into_response(is_head)
            }
        };
        let headers = response.headers_mut();
        headers.insert(API_VERSION, HeaderValue::from_static("registry/2.0"));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        response
    }

    async fn carry_out(
        self: &Arc<Self>,
        operation: Operation,
        is_head: bool,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Answer {
        match operation {
            Operation::Base => Ok(document("{}", "application/json", is_head)),
            Operation::BlobDelete { repository, digest } => {
                self.delete_blob(repository, digest).await
            }
            Operation::BlobRead { repository, digest } => {
                self.read_blob(&repository, &digest, headers, is_head).await
            }
            Operation::ManifestDelete {
                repository,
                reference,
            } => self.delete_manifest(repository, reference).await,
            Operation::ManifestRead {
                repository,
                reference,
            } => self.read_manifest(&repository, &reference, is_head).await,
            Operation::ManifestWrite {
                repository,
                reference,
                tags,
            } => {
                self.write_manifest(&repository, &reference, tags, headers, body)
                    .await
            }
            Operation::Referrers {
                repository,
                subject,
                artifact_type,
                last,
            } => {
                let filter = artifact_type.as_deref();
                self.list_referrers(&repository, &subject, filter, last, is_head)
                    .await
            }
            Operation::Tags {
                repository,
                limit,
                last,
            } => {
                let last = last.unwrap_or_default();
                self.list_tags(&repository, limit, &last, is_head).await
            }
            Operation::UploadAppend { upload } => self.append(upload, headers, body).await,
            Operation::UploadCancel { upload } => self.cancel(upload).await,
            Operation::UploadFinish { upload, digest } => {
                self.finish(upload, &digest, headers, body).await
            }
            Operation::UploadStart {
                repository,
                digest,
                mount,
            } => self.start(repository, digest, mount, headers, body).await,
            Operation::UploadStatus { upload } => self.status(upload).await,
        }
    }

    /// Makes the refusal of a failure that is the registry's own. Its words stay here: they name files.
    pub(super) fn failed(&self, error: &(dyn std::error::Error + 'static)) -> Refusal {
        if let Some(sink) = &self.options.failures {
            sink(error);
        }
        let text = "the registry failed; its log says why";
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, Code::Unknown, text)
    }
}

/// What an operation gives.
pub(super) type Answer = std::result::Result<Response, Refusal>;

impl Handler for Registry {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move { self.answer(request).await })
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("uploads", &self.uploads)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// Makes a response of a document in memory.
pub(super) fn document(
    text: impl Into<Vec<u8>>,
    media_type: &'static str,
    is_head: bool,
) -> Response {
    let bytes = text.into();
    let length = bytes.len();
    let mut response = Response::new(if is_head {
        body::empty()
    } else {
        body::full(bytes)
    });
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    response
}

/// Makes a response without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(body::empty());
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        response.headers_mut().insert(CONTENT_LENGTH, 0.into());
    }
    response
}

/// Makes a header of what is known to be made of plain characters: names, numbers, digests.
pub(super) fn header(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

async fn drain(body: &mut Body) {
    let mut drained = 0;
    while drained < DRAINED
        && let Some(Ok(frame)) = body.frame().await
    {
        drained += frame.data_ref().map_or(0, bytes::Bytes::len);
    }
}
