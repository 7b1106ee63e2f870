//! Blobs of a repository: read, asked for, removed.

use std::ops::Range;
use std::sync::Arc;

use http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};
use imgcore::{Descriptor, Digest, MediaType, Repository};
use imgstore::{BlobSourceExt, ErrorKind, Presence};

use super::range::{Wanted, wanted};
use super::refusal::{Code, Refusal};
use super::registry::{Answer, CONTENT_DIGEST, Registry, empty, header};
use crate::http::{Body, body};

/// The media type of bytes about which nothing is known: what a blob is, only its manifest says.
pub(super) const BYTES: &str = "application/octet-stream";

impl Registry {
    pub(super) async fn read_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        headers: &HeaderMap,
        is_head: bool,
    ) -> Answer {
        let blob = self.blob(repository, digest).await?;
        let part = match wanted(headers, blob.size) {
            Wanted::All => None,
            Wanted::Part(range) => Some(range),
            Wanted::Nothing => {
                let text = format!("the blob has {} bytes, and none of these", blob.size);
                let status = StatusCode::RANGE_NOT_SATISFIABLE;
                return Err(Refusal::new(status, Code::SizeInvalid, text)
                    .with_header(CONTENT_RANGE, &format!("bytes */{}", blob.size)));
            }
        };
        let length = part.as_ref().map_or(blob.size, |it| it.end - it.start);
        let mut response = empty(match part {
            Some(_) => StatusCode::PARTIAL_CONTENT,
            None => StatusCode::OK,
        });
        let headers = response.headers_mut();
        headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        headers.insert(CONTENT_LENGTH, length.into());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(BYTES));
        headers.insert(CONTENT_DIGEST, header(&digest.to_string()));
        headers.insert(ETAG, header(&format!("\"{digest}\"")));
        if let Some(Range { start, end }) = part {
            let text = format!("bytes {start}-{}/{}", end - 1, blob.size);
            headers.insert(CONTENT_RANGE, header(&text));
        }
        if !is_head {
            *response.body_mut() = self.content(&blob, part).await?;
        }
        Ok(response)
    }

    pub(super) async fn delete_blob(
        self: &Arc<Self>,
        repository: Repository,
        digest: Digest,
    ) -> Answer {
        let registry = Arc::clone(self);
        self.to_the_end(async move {
            let unlinked = registry.records.unlink_blob(&repository, &digest).await;
            if !unlinked.map_err(|error| registry.failed(&error))? {
                return Err(unknown(&digest));
            }
            registry.free(&digest).await;
            Ok(())
        })
        .await?;
        Ok(empty(StatusCode::ACCEPTED))
    }

    /// Finds a blob that a repository has and whose bytes are there.
    pub(super) async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Descriptor, Refusal> {
        self.find_blob(repository, digest)
            .await?
            .ok_or_else(|| unknown(digest))
    }

    pub(super) async fn find_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<Descriptor>, Refusal> {
        let size = self
            .records
            .blob(repository, digest)
            .await
            .map_err(|error| self.failed(&error))?;
        let Some(size) = size else {
            return Ok(None);
        };
        let media_type = MediaType::from_static(BYTES);
        let blob = Descriptor::new(media_type, *digest, size);
        Ok(self.has_bytes(&blob).await?.then_some(blob))
    }

    /// Looks whether the bytes of a recorded blob are there: a store may have lost them.
    pub(super) async fn has_bytes(&self, blob: &Descriptor) -> Result<bool, Refusal> {
        let presence = self
            .blobs
            .stat_one(&blob.digest)
            .await
            .map_err(|error| self.failed(&error))?;
        Ok(match presence {
            Presence::Absent => false,
            Presence::Present { size } => size == blob.size,
            _ => true,
        })
    }

    async fn content(&self, blob: &Descriptor, part: Option<Range<u64>>) -> Result<Body, Refusal> {
        let opened = match part {
            // A client must not take the end of a damaged blob for the end of a good one, so the check is worth its
            // time: the connection breaks before the last byte is believed.
            None => self.blobs.open(blob).await.map(body::stream),
            Some(range) => self.blobs.open_range(blob, range).await.map(body::stream),
        };
        opened.map_err(|error| match error.kind() {
            ErrorKind::NotFound => unknown(&blob.digest),
            _ => self.failed(&error),
        })
    }
}

pub(super) fn unknown(digest: &Digest) -> Refusal {
    let text = format!("the repository does not have the blob {digest}");
    Refusal::missing(Code::BlobUnknown, text)
}
