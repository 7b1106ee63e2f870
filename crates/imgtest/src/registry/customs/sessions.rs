//! Uploads: what their URLs look like, and which chunks they take.

use std::sync::Arc;

use http::header::{ACCEPT, CONTENT_LENGTH, CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderValue, Method};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use imgserve::http::{Request, Response};

use super::super::RequestClass;
use super::super::answers::{body_of, refusal, status_of};
use super::super::class::{query_value, repository_of};
use super::super::recorder::lock;
use super::{Accustomed, LocationForm, Mounts, Patch, RangeSays, refuse};

/// An upload under way.
#[derive(Debug)]
pub(super) struct Session {
    repository: String,
    /// Where the registry behind wants the next request.
    inner: String,
    /// What the client was told, as path and query; requests must repeat it.
    outer: String,
    serial: u32,
    chunks: Vec<u64>,
}

impl Accustomed {
    pub(super) async fn start(self: Arc<Self>, request: Request, class: RequestClass) -> Response {
        let uploads = &self.customs.uploads;
        let repository = repository_of(request.uri().path())
            .unwrap_or_default()
            .to_owned();
        if uploads.refuses_accept && request.headers().contains_key(ACCEPT) {
            return refuse(request, 406, "UNSUPPORTED", "not acceptable").await;
        }
        let known = &uploads.only_repositories;
        if !known.is_empty() && !known.contains(&repository) {
            let text = "the repository does not exist in the registry";
            return refuse(request, 404, "NAME_UNKNOWN", text).await;
        }
        if class == RequestClass::Mount {
            return self.mount(request, &repository).await;
        }
        let response = Arc::clone(&self.inner).handle(request).await;
        self.session_of(response, &repository)
    }

    async fn mount(self: Arc<Self>, request: Request, repository: &str) -> Response {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let from = query_value(&query, "from");
        let plain = |request: Request| without_query(request);
        let is_ignored = match (&self.customs.mounts, &from) {
            (Mounts::Refused(status), _) => {
                return refuse(request, *status, "UNSUPPORTED", "no mounts here").await;
            }
            (Mounts::NeedsSource(status), None) => {
                let text = "the source of the mount is missing";
                return refuse(request, *status, "UNSUPPORTED", text).await;
            }
            (Mounts::Done | Mounts::NeedsSource(_) | Mounts::UnknownSource(_), _) => false,
            (Mounts::SameOwner, Some(from)) => owner(from) != owner(repository),
            (Mounts::CommittedOnly, Some(from)) => {
                let digest = query_value(&query, "mount").unwrap_or_default();
                !lock(&self.tagged).names(from, &digest)
            }
            (Mounts::Ignored, _) | (Mounts::SameOwner | Mounts::CommittedOnly, None) => true,
        };
        let request = if is_ignored { plain(request) } else { request };
        let response = Arc::clone(&self.inner).handle(request).await;
        if let Mounts::UnknownSource(status) = self.customs.mounts
            && response.status() != 201
        {
            return refusal(
                status,
                "NAME_UNKNOWN",
                "the source of the mount is not known",
            );
        }
        self.session_of(response, repository)
    }

    /// Takes down a session that the registry behind opened.
    fn session_of(&self, mut response: Response, repository: &str) -> Response {
        if response.status() != 202 {
            return response;
        }
        let Some(inner) = location(&response) else {
            return response;
        };
        let mut sessions = lock(&self.sessions);
        let id = format!("u{}", sessions.len());
        let mut session = Session {
            repository: repository.to_owned(),
            inner,
            outer: String::new(),
            serial: 0,
            chunks: Vec::new(),
        };
        self.show(&mut session, &id, &mut response);
        if let Some(min) = self.customs.uploads.min_chunk
            && self.customs.uploads.announces_min_chunk
        {
            response
                .headers_mut()
                .insert("OCI-Chunk-Min-Length", min.into());
        }
        sessions.insert(id, session);
        response
    }

    pub(super) async fn go_on(self: Arc<Self>, request: Request, class: RequestClass) -> Response {
        if self.customs.uploads.location == LocationForm::Untouched {
            // The registry behind sees to the session's URL; the sizes of chunks are looked at all the same.
            if let Some(refusal) = self.refused_form(&request, class, &[]) {
                return refuse(request, refusal.0, refusal.1, refusal.2).await;
            }
            let response = Arc::clone(&self.inner).handle(request).await;
            return self.answer_of(response, class, &[]);
        }
        let target = request
            .uri()
            .path_and_query()
            .map_or("", |target| target.as_str())
            .to_owned();
        let found = self.find(&target, class);
        let Some((id, inner, chunks)) = found else {
            let text = "the upload's URL is not the one that was handed out";
            return refuse(request, 404, "BLOB_UPLOAD_UNKNOWN", text).await;
        };
        if let Some(refusal) = self.refused_form(&request, class, &chunks) {
            return refuse(request, refusal.0, refusal.1, refusal.2).await;
        }
        let length = request.body().size_hint().exact();
        let inner = if class == RequestClass::PatchUpload
            && self.customs.uploads.forgets_earlier_chunks
            && !chunks.is_empty()
        {
            self.start_again(&id).await
        } else {
            inner
        };
        let request = self.inward(request, &inner, &target, class, &chunks);
        let response = Arc::clone(&self.inner).handle(request).await;
        let is_done = response.status().is_success();
        let mut response = self.answer_of(response, class, &chunks);
        let mut sessions = lock(&self.sessions);
        let Some(session) = sessions.get_mut(&id) else {
            return response;
        };
        if is_done && class == RequestClass::PatchUpload {
            session.chunks.push(length.unwrap_or(0));
        }
        if is_done
            && class != RequestClass::FinishUpload
            && let Some(inner) = location(&response)
        {
            session.inner = inner;
            self.show(session, &id, &mut response);
        }
        response
    }

    /// Finds the session that an URL names, if it is the latest that was handed out for it.
    fn find(&self, target: &str, class: RequestClass) -> Option<(String, String, Vec<u64>)> {
        let sessions = lock(&self.sessions);
        let (id, session) = sessions.iter().find(|(_, session)| {
            if class == RequestClass::FinishUpload {
                let rest = target.strip_prefix(session.outer.as_str());
                let separator = if session.outer.contains('?') {
                    '&'
                } else {
                    '?'
                };
                rest.is_some_and(|rest| rest.starts_with(separator))
            } else {
                target == session.outer
            }
        })?;
        Some((id.clone(), session.inner.clone(), session.chunks.clone()))
    }

    /// Says why this registry does not take a request of this form.
    fn refused_form(
        &self,
        request: &Request,
        class: RequestClass,
        chunks: &[u64],
    ) -> Option<(u16, &'static str, &'static str)> {
        let uploads = &self.customs.uploads;
        let headers = request.headers();
        let content_range = headers
            .get(CONTENT_RANGE)
            .and_then(|value| value.to_str().ok());
        let length = length_of(request);
        if uploads.refuses_accept && headers.contains_key(ACCEPT) {
            return Some((406, "UNSUPPORTED", "not acceptable"));
        }
        if class == RequestClass::PatchUpload {
            if let Patch::Refused(status) = uploads.patch {
                return Some((status, "UNSUPPORTED", "chunks are not supported"));
            }
            let content_range = content_range?;
            if uploads.wants_bare_content_range && !is_bare_range(content_range) {
                return Some((416, "BLOB_UPLOAD_INVALID", "invalid content range"));
            }
            if uploads
                .max_chunk
                .is_some_and(|max| length.unwrap_or(0) > max)
            {
                return Some((416, "BLOB_UPLOAD_INVALID", "request body too large"));
            }
            let too_small = uploads
                .min_chunk
                .is_some_and(|min| chunks.last().is_some_and(|last| *last < min));
            return too_small.then_some((400, "LAYER_PART_TOO_SMALL", "a part is too small"));
        }
        if class != RequestClass::FinishUpload {
            return None;
        }
        let has_body = length != Some(0);
        if has_body && uploads.refuses_whole_put && chunks.is_empty() {
            return Some((404, "BLOB_UNKNOWN", "blob unknown to registry"));
        }
        if uploads.strict_put && has_body {
            if content_range.is_some() && chunks.is_empty() {
                return Some((400, "BLOB_UPLOAD_INVALID", "content range on a whole blob"));
            }
            if length.is_none() {
                return Some((411, "SIZE_INVALID", "length required"));
            }
        }
        let too_large = uploads
            .max_put
            .is_some_and(|max| length.is_none_or(|length| length > max));
        (too_large && has_body).then_some((413, "SIZE_INVALID", "request entity too large"))
    }

    /// Opens another upload behind, as if the earlier chunks had never come.
    async fn start_again(&self, id: &str) -> String {
        let repository = lock(&self.sessions)
            .get(id)
            .map(|session| session.repository.clone())
            .unwrap_or_default();
        let request = http::Request::builder()
            .method(Method::POST)
            .uri(format!("/v2/{repository}/blobs/uploads/"))
            .header(CONTENT_LENGTH, 0)
            .body(body_of(""))
            .expect("because the repository was part of an URI before");
        let response = Arc::clone(&self.inner).handle(request).await;
        let inner = location(&response).unwrap_or_default();
        if let Some(session) = lock(&self.sessions).get_mut(id) {
            session.inner.clone_from(&inner);
        }
        inner
    }

    /// Translates a request into one that the registry behind knows.
    fn inward(
        &self,
        request: Request,
        inner: &str,
        target: &str,
        class: RequestClass,
        chunks: &[u64],
    ) -> Request {
        let (mut parts, body) = request.into_parts();
        let mut uri = inner.to_owned();
        if class == RequestClass::FinishUpload {
            let digest = target
                .rsplit_once("digest=")
                .map_or("", |(_, digest)| digest);
            uri.push(if uri.contains('?') { '&' } else { '?' });
            uri.push_str("digest=");
            uri.push_str(digest);
        }
        parts.uri = uri.parse().unwrap_or_default();
        if self.customs.uploads.forgets_earlier_chunks && !chunks.is_empty() {
            // The registry behind would notice the gap, and this one does not.
            parts.headers.remove(CONTENT_RANGE);
        }
        http::Request::from_parts(parts, body)
    }

    /// Changes what the registry behind answered.
    fn answer_of(&self, mut response: Response, class: RequestClass, chunks: &[u64]) -> Response {
        if !response.status().is_success() || class == RequestClass::FinishUpload {
            return response;
        }
        if let (RequestClass::PatchUpload, Patch::Answered(status)) =
            (class, self.customs.uploads.patch)
        {
            *response.status_mut() = status_of(status);
        }
        let headers = response.headers_mut();
        match self.customs.uploads.range {
            RangeSays::Truth => {}
            RangeSays::Nothing => drop(headers.remove(RANGE)),
            RangeSays::FirstChunk => {
                if let Some(first) = chunks.first() {
                    let stuck = format!("0-{}", first.saturating_sub(1));
                    headers.insert(RANGE, stuck.parse().expect("because it is ASCII"));
                }
            }
            RangeSays::WithUnit => {
                if let Some(range) = headers.get(RANGE).and_then(|value| value.to_str().ok()) {
                    let text = format!("bytes={}", range.trim_start_matches("bytes="));
                    headers.insert(RANGE, text.parse().expect("because it is ASCII"));
                }
            }
        }
        response
    }

    /// Writes the session's URL in this registry's form.
    fn show(&self, session: &mut Session, id: &str, response: &mut Response) {
        session.serial += 1;
        let (repository, serial) = (&session.repository, session.serial);
        // Escapes in both cases, a sign that decodes to a space, padding: whoever re-encodes it changes it.
        let state = format!("_state=v{serial}%2Fa%2bb+c~==");
        let path = format!("/v2/{repository}/blobs/uploads/{id}");
        let (outer, location) = match self.customs.uploads.location {
            LocationForm::Untouched => return,
            LocationForm::Absolute => {
                let outer = format!("{path}?{state}");
                (outer.clone(), format!("{}{outer}", self.origin))
            }
            LocationForm::Relative => {
                let outer = format!("{path}?{state}");
                (outer.clone(), outer)
            }
            LocationForm::Bare => (path.clone(), path),
            LocationForm::QueryOnly => {
                let query = format!("?upload={id}&{state}");
                (format!("/v2/{repository}/blobs/uploads/{query}"), query)
            }
            LocationForm::Singular => {
                let outer = format!("/v2/{repository}/blobs/upload/{id}");
                (outer.clone(), outer)
            }
            LocationForm::TwoParameters => {
                let outer = format!("{path}?_nouploadcache=false&{state}");
                (outer.clone(), outer)
            }
        };
        session.outer = outer;
        let value = HeaderValue::from_str(&location).expect("because the URL is ASCII");
        response.headers_mut().insert(LOCATION, value);
    }
}

/// Returns path and query of a `Location`.
fn location(response: &Response) -> Option<String> {
    let text = response.headers().get(LOCATION)?.to_str().ok()?;
    let uri: http::Uri = text.parse().ok()?;
    Some(uri.path_and_query()?.as_str().to_owned())
}

fn length_of(request: &Request) -> Option<u64> {
    let header = request.headers().get(CONTENT_LENGTH);
    let header = header.and_then(|value| value.to_str().ok()?.parse().ok());
    header.or_else(|| request.body().size_hint().exact())
}

fn is_bare_range(text: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('-')
        .is_some_and(|(from, to)| is_number(from) && is_number(to))
}

fn owner(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}

fn without_query(request: Request) -> Request {
    let (mut parts, body) = request.into_parts();
    parts.uri = parts.uri.path().parse().expect("because a path is an URI");
    http::Request::from_parts(parts, body.boxed_unsync())
}
