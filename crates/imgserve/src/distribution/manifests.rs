//! Manifests of a repository: read, taken, removed.

use std::sync::Arc;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, LOCATION};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use imgcore::{Algorithm, Descriptor, Digest, Document, Hasher, MediaType, Repository, Tag};
use imgstore::{Begin, BlobSourceExt, ErrorKind};

use super::records::ManifestRecord;
use super::refusal::{Code, Refusal};
use super::registry::{Answer, CONTENT_DIGEST, MissingContent, Registry, empty, header};
use super::route::ManifestReference;
use crate::http::Body;
use crate::http::body::{self, CollectError};

/// The largest manifest that is taken, in bytes. The specification asks for at least 4 MiB.
const MAX_MANIFEST: usize = 8 * 1024 * 1024;

const OCI_SUBJECT: HeaderName = HeaderName::from_static("oci-subject");
const OCI_TAG: HeaderName = HeaderName::from_static("oci-tag");

impl Registry {
    pub(super) async fn read_manifest(
        &self,
        repository: &Repository,
        reference: &ManifestReference,
        is_head: bool,
    ) -> Answer {
        let record = self.resolve(repository, reference).await?;
        let ManifestRecord { descriptor, .. } = &record;
        let mut response = empty(StatusCode::OK);
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, descriptor.size.into());
        headers.insert(CONTENT_TYPE, header(descriptor.media_type.as_str()));
        headers.insert(CONTENT_DIGEST, header(&descriptor.digest.to_string()));
        headers.insert(ETAG, header(&format!("\"{}\"", descriptor.digest)));
        if !is_head {
            let bytes = self.blobs.read_all(descriptor, MAX_MANIFEST as u64).await;
            *response.body_mut() = body::full(bytes.map_err(|error| match error.kind() {
                ErrorKind::NotFound => unknown(reference),
                _ => self.failed(&error),
            })?);
        }
        Ok(response)
    }

    pub(super) async fn write_manifest(
        self: &Arc<Self>,
        repository: &Repository,
        reference: &ManifestReference,
        mut tags: Vec<Tag>,
        headers: &HeaderMap,
        body: &mut Body,
    ) -> Answer {
        let bytes = read(headers, body).await?;
        let digest = match reference {
            ManifestReference::Digest(digest) => *digest,
            ManifestReference::Tag(_) => Digest::sha256_of(&bytes),
        };
        let actual = hash(digest.algorithm(), &bytes);
        if actual != digest {
            let text = format!("the bytes have the digest {actual} instead of {digest}");
            return Err(Refusal::bad(Code::DigestInvalid, text));
        }
        let document = classify(&bytes, headers)?;
        self.check_content(repository, &document).await?;
        let record = record(&document, digest)?;
        if let ManifestReference::Tag(tag) = reference {
            tags.insert(0, tag.clone());
        }
        let mut response = empty(StatusCode::CREATED);
        let headers = response.headers_mut();
        let location = format!("/v2/{repository}/manifests/{digest}");
        headers.insert(LOCATION, header(&location));
        headers.insert(CONTENT_DIGEST, header(&digest.to_string()));
        if let Some(subject) = record.subject {
            headers.insert(OCI_SUBJECT, header(&subject.to_string()));
        }
        for tag in &tags {
            headers.append(OCI_TAG, header(tag.as_str()));
        }
        let (registry, repository) = (Arc::clone(self), repository.clone());
        self.to_the_end(async move { registry.keep(&repository, &record, bytes, &tags).await })
            .await?;
        Ok(response)
    }

    pub(super) async fn delete_manifest(
        self: &Arc<Self>,
        repository: Repository,
        reference: ManifestReference,
    ) -> Answer {
        let registry = Arc::clone(self);
        self.to_the_end(async move { registry.remove(&repository, &reference).await })
            .await?;
        Ok(empty(StatusCode::ACCEPTED))
    }

    async fn remove(
        &self,
        repository: &Repository,
        reference: &ManifestReference,
    ) -> Result<(), Refusal> {
        let changing = self.changes.lock().await;
        let removed = match reference {
            ManifestReference::Digest(digest) => {
                self.records.remove_manifest(repository, digest).await
            }
            ManifestReference::Tag(tag) => self.records.remove_tag(repository, tag).await,
        };
        drop(changing);
        if !removed.map_err(|error| self.failed(&error))? {
            return Err(unknown(reference));
        }
        // A manifest stays when a tag goes that leads to it.
        if let ManifestReference::Digest(digest) = reference {
            self.free(digest).await;
        }
        Ok(())
    }

    /// Finds the manifest that a reference leads to.
    async fn resolve(
        &self,
        repository: &Repository,
        reference: &ManifestReference,
    ) -> Result<ManifestRecord, Refusal> {
        let digest = match reference {
            ManifestReference::Digest(digest) => Some(*digest),
            ManifestReference::Tag(tag) => self
                .records
                .tag(repository, tag)
                .await
                .map_err(|error| self.failed(&error))?,
        };
        let record = match digest {
            Some(digest) => self
                .records
                .manifest(repository, &digest)
                .await
                .map_err(|error| self.failed(&error))?,
            None => None,
        };
        record.ok_or_else(|| unknown(reference))
    }

    /// Checks that the repository has everything that a manifest promises.
    async fn check_content(
        &self,
        repository: &Repository,
        document: &Document,
    ) -> Result<(), Refusal> {
        if self.options.missing_content == MissingContent::Accept {
            return Ok(());
        }
        match document {
            Document::Index(index) => {
                for child in &index.manifests {
                    let manifest = self.records.manifest(repository, &child.digest).await;
                    // An index may list other things than manifests; those are blobs.
                    if manifest.map_err(|error| self.failed(&error))?.is_none()
                        && self.find_blob(repository, &child.digest).await?.is_none()
                    {
                        return Err(missing(child));
                    }
                }
            }
            Document::Manifest(manifest) => {
                let layers = manifest.layers.iter();
                let distributed = layers.filter(|it| !it.media_type.is_foreign_layer());
                for blob in std::iter::once(&manifest.config).chain(distributed) {
                    match self.find_blob(repository, &blob.digest).await? {
                        Some(found) if found.size == blob.size => {}
                        Some(found) => return Err(wrong_size(blob, found.size)),
                        None => return Err(missing(blob)),
                    }
                }
            }
        }
        Ok(())
    }

    /// Makes a manifest visible: first its bytes, then what leads to them.
    async fn keep(
        &self,
        repository: &Repository,
        record: &ManifestRecord,
        bytes: bytes::Bytes,
        tags: &[Tag],
    ) -> Result<(), Refusal> {
        let _keeping = self.keeping.read().await;
        let stored = async {
            if let Begin::Writer(mut ingest) = self.blobs.writer(&record.descriptor).await? {
                ingest.write(bytes).await?;
                ingest.commit().await?;
            }
            Ok::<_, imgstore::Error>(())
        };
        stored.await.map_err(|error| self.failed(&error))?;
        let recorded = async {
            let _changing = self.changes.lock().await;
            self.records.put_manifest(repository, record).await?;
            for tag in tags {
                let digest = &record.descriptor.digest;
                self.records.put_tag(repository, tag, digest).await?;
            }
            Ok::<_, crate::Error>(())
        };
        recorded.await.map_err(|error| self.failed(&error))
    }
}

async fn read(headers: &HeaderMap, body: &mut Body) -> Result<bytes::Bytes, Refusal> {
    let too_large = || {
        let text = format!("a manifest may have {MAX_MANIFEST} bytes");
        Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Code::SizeInvalid, text)
    };
    let announced = super::range::length(headers).unwrap_or_default();
    if announced.is_some_and(|length| length > MAX_MANIFEST as u64) {
        return Err(too_large());
    }
    body::collect(body, MAX_MANIFEST)
        .await
        .map_err(|error| match error {
            CollectError::Broken(_) => Refusal::bad(Code::ManifestInvalid, "the body broke off"),
            CollectError::TooLarge => too_large(),
        })
}

fn hash(algorithm: Algorithm, bytes: &[u8]) -> Digest {
    let mut hasher = Hasher::new(algorithm);
    hasher.update(bytes);
    hasher.finish()
}

fn classify(bytes: &[u8], headers: &HeaderMap) -> Result<Document, Refusal> {
    let invalid = |text: String| Refusal::bad(Code::ManifestInvalid, text);
    let content_type = match headers.get(CONTENT_TYPE).map(HeaderValue::to_str) {
        None => None,
        Some(Ok(text)) => {
            let essence = text.split(';').next().unwrap_or_default().trim();
            Some(MediaType::from(essence.to_ascii_lowercase()))
        }
        Some(Err(_)) => return Err(invalid("the content type is no text".to_owned())),
    };
    Document::classify(bytes, content_type.as_ref()).map_err(|error| invalid(error.to_string()))
}

/// Describes a manifest as the list of referrers has it: an image's artifact type is what its config is (distribution
/// specification 1.1, section "Listing Referrers").
fn record(document: &Document, digest: Digest) -> Result<ManifestRecord, Refusal> {
    let mut descriptor = document.descriptor();
    descriptor.digest = digest;
    let (artifact_type, annotations, subject) = match document {
        Document::Index(index) => (
            index.artifact_type.clone(),
            &index.annotations,
            &index.subject,
        ),
        Document::Manifest(manifest) => (
            manifest
                .artifact_type
                .clone()
                .or_else(|| Some(manifest.config.media_type.clone())),
            &manifest.annotations,
            &manifest.subject,
        ),
    };
    if HeaderValue::from_str(descriptor.media_type.as_str()).is_err() {
        let text = "the media type has characters that no header has";
        return Err(Refusal::bad(Code::ManifestInvalid, text));
    }
    let subject = subject.as_ref().map(|subject| subject.digest);
    if subject.is_some() {
        descriptor.artifact_type = artifact_type;
        descriptor.annotations.clone_from(annotations);
    }
    Ok(ManifestRecord::new(descriptor, subject))
}

fn unknown(reference: &ManifestReference) -> Refusal {
    let text = match reference {
        ManifestReference::Digest(digest) => {
            format!("the repository does not have the manifest {digest}")
        }
        ManifestReference::Tag(tag) => format!("the repository does not have the tag {tag}"),
    };
    Refusal::missing(Code::ManifestUnknown, text)
}

fn missing(content: &Descriptor) -> Refusal {
    let text = format!("the repository does not have {}", content.digest);
    Refusal::bad(Code::ManifestBlobUnknown, text)
}

fn wrong_size(content: &Descriptor, actual: u64) -> Refusal {
    let text = format!(
        "{} has {actual} bytes instead of {}",
        content.digest, content.size
    );
    Refusal::bad(Code::ManifestInvalid, text)
}
