//! Manifests and tags: which types are taken, which tags may move, what lists look like.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue};
use http_body_util::BodyExt as _;
use imgcore::Digest;
use imgserve::http::{Request, Response};

use super::super::answers::{body_of, refusal, respond};
use super::super::class::{query_value, repository_of};
use super::super::recorder::lock;
use super::{Accustomed, refuse};

const DIGEST_HEADER: HeaderName = HeaderName::from_static("docker-content-digest");

/// What was written: types of tags, and the blobs that manifests name.
#[derive(Debug, Default)]
pub(super) struct Tagged {
    types: BTreeMap<(String, String), String>,
    named: BTreeSet<(String, String)>,
}

impl Tagged {
    /// Returns whether a manifest in the repository names the blob.
    pub(super) fn names(&self, repository: &str, digest: &str) -> bool {
        self.named
            .contains(&(repository.to_owned(), digest.to_owned()))
    }
}

impl Accustomed {
    pub(super) async fn read_manifest(self: Arc<Self>, request: Request) -> Response {
        let customs = &self.customs.manifests;
        let accepted = accepted(&request);
        if customs.needs_accept && accepted.is_empty() {
            return refuse(
                request,
                404,
                "MANIFEST_UNKNOWN",
                "no manifest of an accepted type",
            )
            .await;
        }
        let mut response = Arc::clone(&self.inner).handle(request).await;
        if !response.status().is_success() {
            return response;
        }
        let stored = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let is_accepted =
            stored.is_none_or(|stored| accepted.contains(stored) || accepted == "*/*");
        if customs.converts_without_accept && !is_accepted {
            let converted = r#"{"schemaVersion":1,"name":"converted"}"#;
            let digest = Digest::sha256_of(converted.as_bytes()).to_string();
            let schema1 = "application/vnd.docker.distribution.manifest.v1+prettyjws";
            return respond(
                200,
                &[
                    ("Content-Type", schema1),
                    ("Docker-Content-Digest", &digest),
                ],
                converted,
            );
        }
        let headers = response.headers_mut();
        if customs.no_digest_header {
            headers.remove(DIGEST_HEADER);
        }
        if customs.rate_limit_headers {
            headers.insert("ratelimit-limit", HeaderValue::from_static("100;w=21600"));
            headers.insert(
                "ratelimit-remaining",
                HeaderValue::from_static("99;w=21600"),
            );
            headers.insert(
                "docker-ratelimit-source",
                HeaderValue::from_static("192.0.2.1"),
            );
        }
        response
    }

    pub(super) async fn write_manifest(self: Arc<Self>, request: Request) -> Response {
        let customs = &self.customs.manifests;
        let path = request.uri().path().to_owned();
        let repository = repository_of(&path).unwrap_or_default().to_owned();
        let tag = path.rsplit('/').next().unwrap_or_default().to_owned();
        let media_type = request.headers().get(CONTENT_TYPE);
        let media_type = media_type
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
            .to_owned();
        if customs.refuses_docker_types && media_type.contains("docker") {
            return refuse(request, 415, "MANIFEST_INVALID", "unsupported media type").await;
        }
        let key = (repository.clone(), tag.clone());
        let earlier = lock(&self.tagged).types.get(&key).cloned();
        if let (Some((status, code)), Some(_), false) =
            (customs.immutable_tags, &earlier, tag.contains(':'))
        {
            let text = "the tag already exists and cannot be overwritten";
            return refuse(request, status, code, text).await;
        }
        if customs.refuses_retyping && earlier.is_some_and(|earlier| earlier != media_type) {
            return refuse(request, 400, "MANIFEST_INVALID", "cannot change media-type").await;
        }
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return refusal(400, "MANIFEST_INVALID", "the body broke");
        };
        let body = body.to_bytes();
        let again = http::Request::from_parts(parts, body_of(body.clone()));
        let mut response = Arc::clone(&self.inner).handle(again).await;
        if customs.no_referrers {
            // Whoever does not keep the list does not say that he does.
            response.headers_mut().remove("oci-subject");
        }
        if response.status().is_success() {
            let mut tagged = lock(&self.tagged);
            tagged.types.insert(key, media_type);
            for digest in digests_in(&body) {
                tagged.named.insert((repository.clone(), digest));
            }
        }
        response
    }

    pub(super) async fn list_tags(self: Arc<Self>, request: Request) -> Response {
        let customs = &self.customs.manifests;
        let query = request.uri().query().unwrap_or_default().to_owned();
        let asked: Option<u64> = query_value(&query, "n").and_then(|n| n.parse().ok());
        if let (Some(max), Some(asked)) = (customs.max_page, asked)
            && asked > max
        {
            return refuse(request, 400, "UNSUPPORTED", "n is too large").await;
        }
        let repository = repository_of(request.uri().path())
            .unwrap_or_default()
            .to_owned();
        let response = Arc::clone(&self.inner).handle(request).await;
        if !customs.null_tags || !response.status().is_success() {
            return response;
        }
        let (parts, body) = response.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let is_empty = body.windows(9).any(|window| window == b"\"tags\":[]");
        let body = if is_empty {
            format!(r#"{{"name":"{repository}","tags":null}}"#).into()
        } else {
            body
        };
        let mut response = http::Response::from_parts(parts, body_of(body.clone()));
        response
            .headers_mut()
            .insert(http::header::CONTENT_LENGTH, body.len().into());
        response
    }
}

fn accepted(request: &Request) -> String {
    let values = request.headers().get_all(ACCEPT).iter();
    let texts: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    texts.join(", ")
}

/// Finds what a manifest names: every `digest` member, wherever it stands.
fn digests_in(document: &[u8]) -> Vec<String> {
    fn walk(value: &serde_json::Value, found: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(members) => {
                if let Some(digest) = members.get("digest").and_then(|digest| digest.as_str()) {
                    found.push(digest.to_owned());
                }
                members.values().for_each(|value| walk(value, found));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|value| walk(value, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    if let Ok(value) = serde_json::from_slice(document) {
        walk(&value, &mut found);
    }
    found
}
