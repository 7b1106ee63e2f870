//! A registry in this process that notes what it is asked for, and can stop in the middle of a blob.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Method, StatusCode};
use imgcore::{Descriptor, Digest, Document};
use imgserve::distribution::{MissingContent, Registry, RegistryOptions};
use imgserve::http::{BoxError, Handler, Request, Response, Server, ServerOptions, body};
use imgtest::image::Image;
use tokio::runtime::Runtime;

/// A registry on a port of its own, which ends with this.
pub(crate) struct Served {
    runtime: Runtime,
    watched: Arc<Watched>,
    host: String,
}

struct Watched {
    inner: Arc<dyn Handler>,
    log: Mutex<Vec<String>>,
    /// The blob whose next read stops in the middle and never ends.
    stalls_at: Mutex<Option<Digest>>,
    /// How many seconds the next request is told to wait.
    refuses_for: Mutex<Option<u32>>,
    /// What every answer warns of.
    warning: Mutex<Option<&'static str>>,
    wants_login: AtomicBool,
    /// What nobody may write.
    keeps_out: Mutex<Option<Digest>>,
}

impl Served {
    pub(crate) fn start() -> Self {
        Self::of(Registry::in_memory())
    }

    /// A registry that takes manifests of what it does not have.
    pub(crate) fn start_sparse() -> Self {
        let options = RegistryOptions::default().with_missing_content(MissingContent::Accept);
        Self::of(Registry::in_memory().with_options(options))
    }

    fn of(registry: Registry) -> Self {
        let runtime = super::runtime();
        let watched = Arc::new(Watched {
            inner: Arc::new(registry),
            log: Mutex::default(),
            stalls_at: Mutex::default(),
            refuses_for: Mutex::default(),
            warning: Mutex::default(),
            wants_login: AtomicBool::new(false),
            keeps_out: Mutex::default(),
        });
        let handler: Arc<dyn Handler> = Arc::<Watched>::clone(&watched);
        let address = "127.0.0.1:0".parse().unwrap();
        let options = ServerOptions::default();
        let server = runtime
            .block_on(Server::bind(address, handler, options))
            .unwrap();
        let host = server.local_address().to_string();
        runtime.spawn(server.serve(std::future::pending()));
        Self {
            runtime,
            watched,
            host,
        }
    }

    /// Returns the registry as references name it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Puts blobs and documents into the repository `app`, and gives the root a tag.
    pub(crate) fn push(&self, blobs: &BTreeMap<Digest, Vec<u8>>, root: &Descriptor, tag: &str) {
        let is_document = |bytes: &[u8]| Document::classify(bytes, None).ok();
        for (digest, bytes) in blobs {
            if is_document(bytes).is_none() {
                let path = format!("/v2/app/blobs/uploads/?digest={digest}");
                self.send("POST", &path, "application/octet-stream", bytes);
            }
        }
        // A document comes after what it leads to.
        let mut documents: Vec<_> = blobs
            .iter()
            .filter_map(|(digest, bytes)| Some((digest, bytes, is_document(bytes)?)))
            .collect();
        documents.sort_by_key(|(_, _, document)| matches!(document, Document::Index(_)));
        for (digest, bytes, document) in &documents {
            let media_type = document.descriptor().media_type;
            let path = format!("/v2/app/manifests/{digest}");
            self.send("PUT", &path, media_type.as_str(), bytes);
        }
        let path = format!("/v2/app/manifests/{tag}");
        self.send("PUT", &path, root.media_type.as_str(), &blobs[&root.digest]);
        self.asked();
    }

    pub(crate) fn push_image(&self, image: &Image, tag: &str) {
        self.push(&image.blobs, &image.manifest, tag);
    }

    fn send(&self, method: &str, path: &str, content_type: &str, bytes: &[u8]) {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("Content-Type", content_type)
            .header("Content-Length", bytes.len());
        let request = request.body(body::full(bytes.to_vec())).unwrap();
        let handler: Arc<dyn Handler> = Arc::<Watched>::clone(&self.watched);
        let response = self.runtime.block_on(handler.handle(request));
        assert_eq!(response.status(), 201, "{method} {path}");
    }

    /// Lets the next read of a blob stop in the middle.
    pub(crate) fn stall_at(&self, digest: &Digest) {
        *self.watched.stalls_at.lock().unwrap() = Some(*digest);
    }

    /// Answers the next request with 429 and this `Retry-After`.
    pub(crate) fn refuse_for(&self, seconds: u32) {
        *self.watched.refuses_for.lock().unwrap() = Some(seconds);
    }

    /// Warns in every answer from now on.
    pub(crate) fn warn(&self, text: &'static str) {
        *self.watched.warning.lock().unwrap() = Some(text);
    }

    /// Asks everybody for a user and a password from now on, and is content with none.
    pub(crate) fn want_login(&self) {
        self.watched.wants_login.store(true, Ordering::Relaxed);
    }

    /// Refuses to take a manifest from now on.
    pub(crate) fn keep_out(&self, digest: &Digest) {
        *self.watched.keeps_out.lock().unwrap() = Some(*digest);
    }

    /// Takes the requests since the last time.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.watched.log.lock().unwrap())
    }
}

impl Watched {
    fn stalls(&self, path: &str) -> bool {
        let mut stalls_at = self.stalls_at.lock().unwrap();
        let is_it = stalls_at.is_some_and(|digest| path.ends_with(&digest.to_string()));
        if is_it {
            *stalls_at = None;
        }
        is_it
    }

    fn keeps_out(&self, request: &Request) -> bool {
        let keeps_out = self.keeps_out.lock().unwrap();
        let path = request.uri().path();
        request.method() == Method::PUT
            && keeps_out.is_some_and(|digest| path.ends_with(&digest.to_string()))
    }
}

impl Handler for Watched {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            let mut line = format!("{} {}", request.method(), request.uri().path());
            if let Some(range) = request.headers().get("Range") {
                line = format!("{line} {}", range.to_str().unwrap());
            }
            let stalls = self.stalls(request.uri().path());
            self.log.lock().unwrap().push(line);
            if self.keeps_out(&request) {
                let mut response = Response::new(body::empty());
                *response.status_mut() = StatusCode::FORBIDDEN;
                return response;
            }
            if self.wants_login.load(Ordering::Relaxed) {
                let mut response = Response::new(body::empty());
                *response.status_mut() = StatusCode::UNAUTHORIZED;
                let challenge = HeaderValue::from_static("Basic realm=\"registry\"");
                response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
                return response;
            }
            if let Some(seconds) = self.refuses_for.lock().unwrap().take() {
                let refusal = http::Response::builder().status(429);
                let refusal = refusal.header("Retry-After", seconds);
                return refusal.body(body::empty()).unwrap();
            }
            let warning = *self.warning.lock().unwrap();
            let mut response = Arc::clone(&self.inner).handle(request).await;
            if let Some(warning) = warning {
                let warning = format!("299 - \"{warning}\"").parse().unwrap();
                response.headers_mut().insert("Warning", warning);
            }
            if !stalls {
                return response;
            }
            let (head, mut body) = response.into_parts();
            let Ok(bytes) = body::collect(&mut body, 1 << 30).await else {
                panic!("the registry has the blob");
            };
            let half = bytes.slice(..bytes.len() / 2);
            let half = stream::iter([Ok::<_, BoxError>(half)]).chain(stream::pending());
            Response::from_parts(head, body::stream(half))
        })
    }
}
