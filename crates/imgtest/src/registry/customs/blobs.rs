//! Reading blobs: redirects to storage, and what HEAD leaves out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE};
use imgserve::http::{Handler, Request, Response};

use super::super::RequestClass;
use super::super::answers::respond;
use super::super::recorder::lock;
use super::{Accustomed, refuse};

/// Storage behind a registry, reached with signed URLs.
///
/// As S3 does, it refuses requests that carry other credentials than the signature. A signature is good for one
/// request, so a client that resumes must ask the registry for a new one.
pub struct SignedStorage {
    registry: Arc<dyn Handler>,
    /// From signed target to path in the registry.
    signed: Mutex<BTreeMap<String, String>>,
    serial: Mutex<u64>,
}

impl SignedStorage {
    pub(super) fn new(registry: Arc<dyn Handler>) -> Arc<Self> {
        Arc::new(Self {
            registry,
            signed: Mutex::default(),
            serial: Mutex::default(),
        })
    }

    /// Returns a target with a signature.
    fn sign(&self, path: &str) -> String {
        let mut serial = lock(&self.serial);
        *serial += 1;
        let name = path
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .replace(':', "/");
        let target = format!("/bucket/{name}?X-Amz-Signature=imgkit-canary-signature-{serial}");
        lock(&self.signed).insert(target.clone(), path.to_owned());
        target
    }
}

impl Handler for SignedStorage {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let xml = [("Content-Type", "application/xml")];
            if parts.headers.contains_key(AUTHORIZATION) || parts.headers.contains_key(COOKIE) {
                let text = "<Error><Code>InvalidArgument</Code><Message>Only one auth mechanism allowed</Message></Error>";
                return respond(400, &xml, text);
            }
            let target = parts.uri.to_string();
            let Some(path) = lock(&self.signed).remove(&target) else {
                let text = "<Error><Code>AccessDenied</Code><Message>Request has expired</Message></Error>";
                return respond(403, &xml, text);
            };
            parts.uri = path.parse().expect("because it was an URI before");
            Arc::clone(&self.registry)
                .handle(http::Request::from_parts(parts, body))
                .await
        })
    }
}

impl fmt::Debug for SignedStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedStorage").finish_non_exhaustive()
    }
}

impl Accustomed {
    pub(super) async fn read_blob(
        self: Arc<Self>,
        request: Request,
        class: RequestClass,
    ) -> Response {
        let blobs = &self.customs.blobs;
        let is_head = class == RequestClass::HeadBlob;
        if is_head && blobs.no_head {
            return refuse(request, 405, "UNSUPPORTED", "method not allowed").await;
        }
        let Some(storage) = blobs
            .storage
            .clone()
            .filter(|_| !is_head || blobs.redirects_head)
        else {
            let mut response = Arc::clone(&self.inner).handle(request).await;
            if is_head && blobs.no_length {
                response.headers_mut().remove(CONTENT_LENGTH);
            }
            return response;
        };
        let path = request.uri().path().to_owned();
        // What is not there is not redirected.
        let look = http::Request::builder().method(Method::HEAD).uri(&path);
        let look = look
            .body(super::super::answers::body_of(""))
            .expect("because the path is an URI");
        let found = Arc::clone(&self.inner).handle(look).await;
        if !found.status().is_success() {
            return Arc::clone(&self.inner).handle(request).await;
        }
        let target = self.storage.sign(&path);
        respond(307, &[("Location", &format!("{storage}{target}"))], "")
    }
}
