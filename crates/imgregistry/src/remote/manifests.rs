//! Manifests and indexes: read with proof, written as they are.

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};
use imgcore::{Descriptor, Digest, Document, Hasher, MediaType};

use super::{Remote, Site, Tried};
use crate::TagOrDigest;
use crate::client::Lane;
use crate::error::{Error, ErrorKind, Operation, Place, Result, kind_of_core};
use crate::exchange::{Answer, Call, Read};
use crate::protocol::scope::Actions;

/// The largest manifest or index that is read, in bytes.
const MAX_MANIFEST: usize = 8 * 1024 * 1024;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

/// What a client of both families says that it understands. The order is the one that most clients send, and HEAD says
/// the same as GET: a registry may answer the two with different documents otherwise.
const UNDERSTOOD: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// A manifest or an index that was read: bounded, classified, and of the digest that was asked for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fetched {
    /// The document.
    pub document: Document,
    /// Media type, digest and size. The digest is the requested one where one was requested.
    pub descriptor: Descriptor,
}

/// What a registry says about a manifest that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Put {
    /// The digest of the manifest.
    pub digest: Digest,
    /// Whether the registry keeps the list of what refers to the manifest's subject. If it does not, its writer must.
    pub processed_subject: bool,
}

impl Remote {
    /// Reads the manifest or index that a tag or a digest stands for.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when there is none, [`ErrorKind::Denied`] when it may not be read,
    /// [`ErrorKind::DigestMismatch`] when the bytes are not the ones that the digest names, [`ErrorKind::Protocol`] when
    /// they are no manifest and no index, [`ErrorKind::TooLarge`] beyond 8 MiB, and those of the way there.
    pub async fn manifest(&self, at: &TagOrDigest) -> Result<Fetched> {
        let sites = self.sites_for(at);
        let mut tried = Tried::new(self, sites.len());
        for site in sites {
            match site.read_manifest(self, at).await {
                Ok(fetched) => return Ok(fetched),
                Err(error) => tried.failed(error)?,
            }
        }
        Err(Error::configuration("there is no place to ask"))
    }

    /// Asks which manifest a tag or a digest stands for, without reading it; `None` when there is none.
    ///
    /// # Errors
    ///
    /// Those of [`manifest`](Self::manifest), but for the missing one.
    pub async fn head_manifest(&self, at: &TagOrDigest) -> Result<Option<Descriptor>> {
        let sites = self.sites_for(at);
        let mut tried = Tried::new(self, sites.len());
        for site in sites {
            let error = match site.head_manifest(self, at).await {
                Ok(found) => return Ok(Some(found)),
                Err(error) => error,
            };
            let is_missing = error.kind() == ErrorKind::NotFound;
            if let Err(error) = tried.failed(error) {
                return if is_missing { Ok(None) } else { Err(error) };
            }
        }
        Ok(None)
    }

    /// Writes a manifest or an index under a tag or its digest. The bytes go out as they are.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Immutable`] when the tag exists and must not move, [`ErrorKind::InvalidInput`] when `at` is not the
    /// digest of the bytes, [`ErrorKind::Denied`], and what the registry finds wrong.
    pub async fn put_manifest(
        &self,
        at: &TagOrDigest,
        media_type: &MediaType,
        bytes: Bytes,
    ) -> Result<Put> {
        let site = self.origin();
        let place = place(site, Operation::WriteManifest, at);
        let digest = match at {
            TagOrDigest::Digest(digest) => *digest,
            TagOrDigest::Tag(_) => Digest::sha256_of(&bytes),
        };
        if digest != digest_of(&digest, &bytes) {
            let detail = "the bytes do not have this digest";
            return Err(Error::new(ErrorKind::InvalidInput, &place, detail));
        }
        let url = site.session.endpoint().manifest(&site.repository, at);
        let mut call = site.call(place.clone(), Method::PUT, url, Actions::PUSH);
        let content_type = HeaderValue::from_str(media_type.as_str())
            .map_err(|_| Error::new(ErrorKind::InvalidInput, &place, "bad media type"))?;
        call.headers.insert(CONTENT_TYPE, content_type);
        call.body = bytes;
        call.lane = Lane::Writing;
        let exchange = site.exchange(self);
        let answer = exchange.call(&call).await?;
        if !answer.status.is_success() {
            let status = answer.status;
            let error = exchange.refused(answer, &site.repository).await;
            return Err(immutable(error, status, at));
        }
        if let Some(named) = content_digest(&answer)
            && named.algorithm() == digest.algorithm()
            && named != digest
        {
            return Err(mismatch(&place, digest, named));
        }
        Ok(Put {
            digest,
            processed_subject: answer.headers.contains_key(OCI_SUBJECT),
        })
    }
}

impl Site {
    pub(super) async fn read_manifest(&self, remote: &Remote, at: &TagOrDigest) -> Result<Fetched> {
        let call = self.manifest_call(Operation::ReadManifest, Method::GET, at);
        self.exchange(remote)
            .read_as(&call, MAX_MANIFEST, |read| check(&call.place, read, at))
            .await
            .map_err(|error| advise(error, at))
    }

    async fn head_manifest(&self, remote: &Remote, at: &TagOrDigest) -> Result<Descriptor> {
        let call = self.manifest_call(Operation::CheckManifest, Method::HEAD, at);
        let exchange = self.exchange(remote);
        let answer = exchange.call(&call).await?;
        match answer.status {
            status if status.is_success() => {}
            StatusCode::METHOD_NOT_ALLOWED => {
                drop(answer);
                return Ok(self.read_manifest(remote, at).await?.descriptor);
            }
            _ => return Err(advise(exchange.refused(answer, &self.repository).await, at)),
        }
        let named = content_digest(&answer);
        let parts = (
            at.digest().or(named),
            answer.content_length(),
            media_type(answer.header(CONTENT_TYPE)),
        );
        if let (Some(asked), Some(named)) = (at.digest(), named)
            && named.algorithm() == asked.algorithm()
            && named != asked
        {
            return Err(mismatch(&call.place, asked, named));
        }
        drop(answer);
        match parts {
            (Some(digest), Some(size), Some(media_type)) => {
                Ok(Descriptor::new(media_type, digest, size))
            }
            // The head does not say enough: the document does.
            _ => Ok(self.read_manifest(remote, at).await?.descriptor),
        }
    }

    fn manifest_call(&self, operation: Operation, method: Method, at: &TagOrDigest) -> Call {
        let url = self.session.endpoint().manifest(&self.repository, at);
        let mut call = self.call(place(self, operation, at), method, url, Actions::PULL);
        call.headers
            .insert(ACCEPT, HeaderValue::from_static(UNDERSTOOD));
        call
    }
}

fn place(site: &Site, operation: Operation, at: &TagOrDigest) -> Place {
    Place {
        digest: at.digest(),
        ..site.place(operation, Some(at.to_string()))
    }
}

/// Proves that the bytes are what was asked for, and finds out what they are.
fn check(place: &Place, read: &Read, at: &TagOrDigest) -> Result<Fetched> {
    // What the user named goes before what the server says of itself.
    let named = read
        .headers
        .get(CONTENT_DIGEST)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    if let Some(expected) = at.digest().or(named) {
        let actual = digest_of(&expected, &read.bytes);
        if actual != expected {
            return Err(mismatch(place, expected, actual));
        }
    }
    let content_type = read
        .headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let document = Document::classify(&read.bytes, media_type(content_type).as_ref())
        .map_err(|error| Error::new(kind_of_core(&error), place, error.to_string()))?;
    let mut descriptor = document.descriptor();
    if let Some(asked) = at.digest() {
        descriptor.digest = asked;
    }
    Ok(Fetched {
        document,
        descriptor,
    })
}

fn digest_of(like: &Digest, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(like.algorithm());
    hasher.update(bytes);
    hasher.finish()
}

fn content_digest(answer: &Answer) -> Option<Digest> {
    answer.header(CONTENT_DIGEST)?.parse().ok()
}

/// Returns the media type of a `Content-Type`, without parameters. What says nothing of the document counts as none.
fn media_type(content_type: Option<&str>) -> Option<MediaType> {
    let bare = content_type?.split(';').next()?.trim().to_ascii_lowercase();
    let is_vague = matches!(
        bare.as_str(),
        "application/json" | "application/octet-stream" | "text/plain" | "binary/octet-stream"
    );
    (!is_vague && !bare.is_empty()).then(|| MediaType::from(bare))
}

fn mismatch(place: &Place, expected: Digest, actual: Digest) -> Error {
    let kind = ErrorKind::DigestMismatch { expected, actual };
    let detail = format!("the content has the digest {actual}, expected was {expected}");
    Error::new(kind, place, detail)
}

fn advise(error: Error, at: &TagOrDigest) -> Error {
    if error.kind() != ErrorKind::NotFound {
        return error;
    }
    error.with_next_step(match at {
        TagOrDigest::Digest(_) => "check the repository and the digest",
        TagOrDigest::Tag(_) => "check the repository and the tag",
    })
}

/// Tells a tag that must not move from other refusals, by what registries have been seen to say.
fn immutable(error: Error, status: StatusCode, at: &TagOrDigest) -> Error {
    let codes = ["TAG_IMMUTABLE", "TAG_INVALID", "ImageTagAlreadyExists"];
    let said = error.to_string().to_ascii_lowercase();
    let is_immutable = matches!(at, TagOrDigest::Tag(_))
        && match status.as_u16() {
            412 => true,
            400 | 403 | 409 => {
                said.contains("immutab") || codes.iter().any(|code| error.registry_said().has(code))
            }
            _ => false,
        };
    if !is_immutable {
        return error;
    }
    error
        .with_kind(ErrorKind::Immutable)
        .with_next_step("the registry does not let this tag move: write another tag")
}
