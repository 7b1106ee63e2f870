//! A client without sockets.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use imgcore::{Descriptor, Digest, MediaType};
use imgserve::distribution::Registry;
use imgserve::http::{Body, Handler, Request, body};

/// Runs a test on a registry in memory and on one in a directory.
pub(crate) async fn on_both(test: impl AsyncFn(Peer)) {
    test(Peer::new(Registry::in_memory())).await;
    let directory = tempfile::tempdir().unwrap();
    test(Peer::new(Registry::at_directory(directory.path()).unwrap())).await;
}

#[derive(Clone)]
pub(crate) struct Peer(Arc<Registry>);

impl Peer {
    pub(crate) fn new(registry: Registry) -> Self {
        Self(Arc::new(registry))
    }

    pub(crate) fn call(&self, method: &str, url: &str) -> Call {
        let mut request = Request::new(body::empty());
        *request.method_mut() = method.parse().unwrap();
        *request.uri_mut() = url.parse().unwrap();
        Call {
            registry: Arc::clone(&self.0),
            request,
        }
    }

    pub(crate) async fn get(&self, url: &str) -> Reply {
        self.call("GET", url).send().await
    }

    /// Uploads a blob in one piece.
    pub(crate) async fn push_blob(&self, repository: &str, bytes: &'static [u8]) -> Descriptor {
        let blob = Descriptor::of(MediaType::OCI_LAYER_TAR, bytes);
        let url = format!("/v2/{repository}/blobs/uploads/?digest={}", blob.digest);
        let reply = self.call("POST", &url).body(bytes).send().await;
        reply.expect(201);
        blob
    }

    /// Starts an upload and returns where it goes on.
    pub(crate) async fn start(&self, repository: &str) -> String {
        let url = format!("/v2/{repository}/blobs/uploads/");
        let reply = self.call("POST", &url).send().await;
        reply.expect(202);
        reply.header("location").to_owned()
    }

    /// Pushes an image without layers, whose config is `{}`, and returns its descriptor.
    pub(crate) async fn push_image(&self, repository: &str, tag: &str, note: &str) -> Descriptor {
        self.push_blob(repository, b"{}").await;
        let manifest = image(note, None);
        self.put(repository, tag, &manifest).await.expect(201);
        Descriptor::of(MediaType::OCI_MANIFEST, manifest.as_bytes())
    }

    pub(crate) async fn put(&self, repository: &str, reference: &str, manifest: &str) -> Reply {
        let url = format!("/v2/{repository}/manifests/{reference}");
        let call = self.call("PUT", &url).body(manifest.to_owned());
        let value: serde_json::Value = serde_json::from_str(manifest).unwrap();
        let media_type = value["mediaType"].as_str().unwrap();
        call.with("content-type", media_type).send().await
    }
}

/// Writes a manifest of an artifact with the empty config and no layers.
pub(crate) fn image(note: &str, subject: Option<&Descriptor>) -> String {
    let empty = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
    let mut manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": json(&empty),
        "layers": [],
        "annotations": { "note": note },
    });
    if let Some(subject) = subject {
        manifest["subject"] = json(subject);
    }
    manifest.to_string()
}

pub(crate) fn json(descriptor: &Descriptor) -> serde_json::Value {
    serde_json::from_slice(&descriptor.to_json().to_compact()).unwrap()
}

pub(crate) fn sha512(bytes: &[u8]) -> Digest {
    let mut hasher = imgcore::Hasher::new(imgcore::Algorithm::Sha512);
    hasher.update(bytes);
    hasher.finish()
}

/// A request that is being put together.
pub(crate) struct Call {
    registry: Arc<Registry>,
    request: Request,
}

impl Call {
    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Self {
        self.request
            .headers_mut()
            .insert(name, value.parse().unwrap());
        self
    }

    /// Sends bytes, and says how many.
    pub(crate) fn body(self, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let length = bytes.len().to_string();
        self.with("content-length", &length)
            .streamed(body::full(bytes))
    }

    pub(crate) fn streamed(mut self, body: Body) -> Self {
        *self.request.body_mut() = body;
        self
    }

    pub(crate) async fn send(self) -> Reply {
        let what = format!("{} {}", self.request.method(), self.request.uri());
        let response = self.registry.handle(self.request).await;
        let (head, mut body) = response.into_parts();
        Reply {
            what,
            status: head.status,
            headers: head.headers,
            body: body::collect(&mut body, 1 << 26)
                .await
                .map_err(|error| error.to_string()),
        }
    }
}

/// A response that has come.
#[derive(Debug)]
pub(crate) struct Reply {
    what: String,
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Result<Bytes, String>,
}

impl Reply {
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}: {:?}", self.what, self.body);
        let version = self.header("docker-distribution-api-version");
        assert_eq!(version, "registry/2.0");
        self
    }

    /// Checks the status and the one code of the error document.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> &Self {
        self.expect(status);
        assert_eq!(self.header("content-type"), "application/json");
        let document = self.json();
        assert_eq!(
            document["errors"][0]["code"], code,
            "{}: {document}",
            self.what
        );
        assert!(document["errors"][0]["message"].is_string());
        self
    }

    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        let value = value.unwrap_or_else(|| panic!("{}: no {name}", self.what));
        value.to_str().unwrap()
    }

    #[track_caller]
    pub(crate) fn bytes(&self) -> &[u8] {
        let body = self.body.as_ref().unwrap();
        if self.headers.contains_key("content-length") && !self.what.starts_with("HEAD") {
            assert_eq!(self.header("content-length"), body.len().to_string());
        }
        body
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.bytes()).unwrap()
    }
}
