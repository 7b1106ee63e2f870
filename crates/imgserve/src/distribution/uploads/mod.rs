//! Blobs on their way in: started, sent in one piece or several, asked about, finished or given up.

mod place;

use std::sync::Arc;

use http::header::{CONTENT_RANGE, LOCATION, RANGE};
use http::{HeaderMap, HeaderName, StatusCode};
use http_body_util::BodyExt;
use imgcore::{Descriptor, Digest, MediaType, Repository};
use imgstore::{BlobSourceExt, ErrorKind, Presence};

use super::blobs::BYTES;
use super::range;
use super::refusal::{Code, Refusal};
use super::registry::{Answer, CONTENT_DIGEST, Registry, empty, header};
use super::route::{Mount, UploadName};
use crate::http::{Body, Response};

use place::Held;
pub use place::Uploads;

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

impl Registry {
    pub(super) async fn start(
        self: &Arc<Self>,
        repository: Repository,
        digest: Option<Digest>,
        mount: Option<Mount>,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Answer {
        if let Some(mount) = mount {
            let (registry, to, wanted) = (Arc::clone(self), repository.clone(), mount.clone());
            let mounting = async move { registry.mount(&to, &wanted).await };
            if self.to_the_end(mounting).await? {
                return Ok(created(&repository, &mount.digest));
            }
            // Not an error: the client sends the bytes instead, to the upload that it gets.
            return self.begin(repository).await;
        }
        let Some(digest) = digest else {
            return self.begin(repository).await;
        };
        let upload = self.new_upload(repository).await?;
        let taken = self.finish(upload.clone(), &digest, headers, body).await;
        if taken.is_err() {
            // Nobody knows its name, so nobody could go on with it.
            let _ = self.cancel(upload).await;
        }
        taken
    }

    pub(super) async fn append(
        &self,
        upload: UploadName,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Answer {
        let mut held = self.hold(upload).await?;
        self.take(&mut held, headers, body).await?;
        Ok(progress(StatusCode::ACCEPTED, &held))
    }

    pub(super) async fn finish(
        self: &Arc<Self>,
        upload: UploadName,
        digest: &Digest,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Answer {
        let mut held = self.hold(upload).await?;
        self.take(&mut held, headers, body).await?;
        let repository = held.name().repository.clone();
        let (registry, blob) = (Arc::clone(self), *digest);
        // What is on its way into the store is nothing that a later request may write to.
        self.to_the_end(async move { registry.take_in(held, &blob).await })
            .await?;
        Ok(created(&repository, digest))
    }

    /// Makes a blob of an upload, and part of its repository.
    async fn take_in(&self, held: Held, digest: &Digest) -> Result<(), Refusal> {
        match held.store(&self.blobs, digest).await {
            Ok(_) => {
                self.link(&held, digest).await?;
                // The blob is there; what is left over of the upload is only in the way.
                let _ = held.remove();
                Ok(())
            }
            Err(error) => match error.kind() {
                ErrorKind::DigestMismatch { actual, .. } => {
                    // No further byte could make it right.
                    let _ = held.remove();
                    let text = format!("the bytes have the digest {actual} instead of {digest}");
                    Err(Refusal::bad(Code::DigestInvalid, text))
                }
                _ => Err(self.failed(&error)),
            },
        }
    }

    /// Makes a blob that was stored part of the upload's repository.
    async fn link(&self, held: &Held, digest: &Digest) -> Result<(), Refusal> {
        let size = held.received();
        let _keeping = self.keeping.read().await;
        // Since it was stored, the last repository that had the blob may have removed it. From here on nobody can.
        if !self.has_bytes(&described(digest, size)).await? {
            let stored = held.store(&self.blobs, digest).await;
            stored.map_err(|error| self.failed(&error))?;
        }
        self.records
            .link_blob(&held.name().repository, digest, size)
            .await
            .map_err(|error| self.failed(&error))
    }

    pub(super) async fn status(&self, upload: UploadName) -> Answer {
        let held = self.hold(upload).await?;
        Ok(progress(StatusCode::NO_CONTENT, &held))
    }

    pub(super) async fn cancel(&self, upload: UploadName) -> Answer {
        let held = self.hold(upload).await?;
        held.remove().map_err(|error| self.failed(&error))?;
        Ok(empty(StatusCode::NO_CONTENT))
    }

    /// Makes a blob that the registry has part of one more repository, and says whether there is one.
    async fn mount(&self, repository: &Repository, mount: &Mount) -> Result<bool, Refusal> {
        let _keeping = self.keeping.read().await;
        let size = match &mount.from {
            Some(from) => {
                let blob = self.find_blob(from, &mount.digest).await?;
                blob.map(|blob| blob.size)
            }
            None if self.options.anonymous_mounts => {
                let presence = self.blobs.stat_one(&mount.digest).await;
                match presence.map_err(|error| self.failed(&error))? {
                    Presence::Present { size } => Some(size),
                    _ => None,
                }
            }
            None => None,
        };
        let Some(size) = size else {
            return Ok(false);
        };
        self.records
            .link_blob(repository, &mount.digest, size)
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(true)
    }

    async fn begin(&self, repository: Repository) -> Answer {
        let upload = self.new_upload(repository).await?;
        let mut response = empty(StatusCode::ACCEPTED);
        describe(&mut response, &upload, 0);
        Ok(response)
    }

    async fn new_upload(&self, repository: Repository) -> Result<UploadName, Refusal> {
        let begun = self.uploads.begin(repository).await;
        begun.map_err(|error| self.failed(&error))
    }

    async fn hold(&self, upload: UploadName) -> Result<Held, Refusal> {
        let held = self.uploads.hold(upload).await;
        held.map_err(|error| self.failed(&error))?
            .ok_or_else(Refusal::unknown_upload)
    }

    /// Appends the body to an upload. What came before a body broke off is kept, so that the client can go on there.
    async fn take(
        &self,
        held: &mut Held,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Result<(), Refusal> {
        let start = held.received();
        let announced = announced(held, headers)?;
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                let text = format!("the body broke off; {} bytes are there", held.received());
                return Err(Refusal::bad(Code::BlobUploadInvalid, text));
            };
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            let after = held.received() - start + bytes.len() as u64;
            if announced.is_some_and(|announced| after > announced) {
                held.cut(start).map_err(|error| self.failed(&error))?;
                let text = "the body has more bytes than were announced";
                return Err(Refusal::bad(Code::SizeInvalid, text));
            }
            held.append(&bytes).map_err(|error| self.failed(&error))?;
        }
        let came = held.received() - start;
        match announced {
            Some(announced) if came < announced => {
                let text = format!("the body has {came} bytes instead of {announced}");
                Err(Refusal::bad(Code::SizeInvalid, text))
            }
            _ => Ok(()),
        }
    }
}

/// Returns how many bytes a request says that it brings, after checking that they belong where the upload is.
fn announced(held: &Held, headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let length = range::length(headers).map_err(|_| {
        let text = "Content-Length is no number of bytes";
        Refusal::bad(Code::SizeInvalid, text)
    })?;
    let chunk = range::chunk(headers).map_err(|_| {
        let text = format!("{CONTENT_RANGE} is no range of bytes");
        Refusal::bad(Code::BlobUploadInvalid, text)
    })?;
    let Some(chunk) = chunk else {
        return Ok(length);
    };
    if chunk.start != held.received() {
        let text = format!(
            "the upload goes on at byte {}, and not at {}",
            held.received(),
            chunk.start
        );
        let status = StatusCode::RANGE_NOT_SATISFIABLE;
        let refusal = Refusal::new(status, Code::BlobUploadInvalid, text);
        return Err(refusal
            .with_header(LOCATION, &location(held.name()))
            .with_header(RANGE, &received(held.received())));
    }
    let size = chunk.end - chunk.start;
    if length.is_some_and(|length| length != size) {
        let text = format!("{CONTENT_RANGE} and Content-Length do not agree");
        return Err(Refusal::bad(Code::SizeInvalid, text));
    }
    Ok(Some(size))
}

fn described(digest: &Digest, size: u64) -> Descriptor {
    Descriptor::new(MediaType::from_static(BYTES), *digest, size)
}

fn progress(status: StatusCode, held: &Held) -> Response {
    let mut response = empty(status);
    describe(&mut response, held.name(), held.received());
    response
}

fn describe(response: &mut Response, upload: &UploadName, bytes: u64) {
    let headers = response.headers_mut();
    headers.insert(LOCATION, header(&location(upload)));
    headers.insert(RANGE, header(&received(bytes)));
    headers.insert(UPLOAD_ID, header(&upload.id));
}

fn location(upload: &UploadName) -> String {
    format!("/v2/{}/blobs/uploads/{}", upload.repository, upload.id)
}

/// Writes how far an upload is. The specification has no way to say "nothing yet": all registries say this.
fn received(bytes: u64) -> String {
    format!("0-{}", bytes.saturating_sub(1))
}

fn created(repository: &Repository, digest: &Digest) -> Response {
    let mut response = empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    headers.insert(
        LOCATION,
        header(&format!("/v2/{repository}/blobs/{digest}")),
    );
    headers.insert(CONTENT_DIGEST, header(&digest.to_string()));
    response
}
