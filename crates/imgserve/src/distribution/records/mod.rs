//! What a registry knows beside the bytes: which repository has which blobs, manifests and tags.

mod directory;
mod memory;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use futures_core::future::BoxFuture;
use imgcore::json::{Fields, Limits, Object, Strictness, Value};
use imgcore::{Descriptor, Digest, Repository, Tag};

use crate::{Error, ErrorKind, Result};

pub use directory::DirectoryRecords;
pub use memory::MemoryRecords;

/// The records of a registry: a repository's blobs, manifests, tags and referrers.
///
/// # Contract
///
/// * What a call has returned from is there for every later one, also after the process was killed, unless the records
///   live in memory.
/// * Every call is all or nothing. The registry makes one change of a manifest or tag at a time; blobs are linked and
///   unlinked at any time.
/// * A repository begins with its first record and stays when its last one is removed.
pub trait Records: Send + Sync {
    /// Returns the size of a blob in bytes, when the repository has it.
    fn blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>>;

    /// Makes a blob of `size` bytes part of a repository.
    fn link_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
        size: u64,
    ) -> BoxFuture<'a, Result<()>>;

    /// Removes a blob from a repository, and says whether it was there.
    fn unlink_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Returns whether any repository has a blob or a manifest of this digest: if none has, its bytes may go.
    fn holds<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<bool>>;

    /// Returns what is known of a manifest, when the repository has it.
    fn manifest<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<ManifestRecord>>>;

    /// Makes a manifest part of a repository, and of the referrers of its subject.
    fn put_manifest<'a>(
        &'a self,
        repository: &'a Repository,
        record: &'a ManifestRecord,
    ) -> BoxFuture<'a, Result<()>>;

    /// Removes a manifest from a repository, with every tag that leads to it, and says whether it was there.
    fn remove_manifest<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Returns what a tag leads to.
    fn tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<Option<Digest>>>;

    /// Makes a tag, or moves it.
    fn put_tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<()>>;

    /// Removes a tag, and says whether it was there.
    fn remove_tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<bool>>;

    /// Returns at most `limit` tags in the order of their bytes, from the first that is greater than `after`; `None`
    /// when there is no such repository.
    fn tags<'a>(
        &'a self,
        repository: &'a Repository,
        after: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Option<Vec<Tag>>>>;

    /// Returns the manifests that refer to `subject`, in the order of their digests.
    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Digest>>>;
}

/// What a registry knows of a manifest without reading it.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ManifestRecord {
    /// The manifest, described as the list of referrers describes it: with artifact type and annotations.
    pub descriptor: Descriptor,
    /// The manifest that it refers to.
    pub subject: Option<Digest>,
}

impl ManifestRecord {
    /// Makes a record.
    pub fn new(descriptor: Descriptor, subject: Option<Digest>) -> Self {
        Self {
            descriptor,
            subject,
        }
    }

    /// Reads a record that [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`] when the bytes are no such record.
    pub fn from_json(bytes: &[u8]) -> Result<Self> {
        let malformed = |error: imgcore::Error| {
            Error::new(ErrorKind::Malformed, "record of a manifest").with_source(error)
        };
        let read = || {
            let value = Value::parse(bytes, &Limits::default().with_max_bytes(MAX_RECORD))?;
            let mut fields = Fields::of(&value, "record")?;
            let descriptor = fields.required("descriptor")?;
            let Some(descriptor) = descriptor.as_object() else {
                return Err(fields.error("descriptor", "is no object"));
            };
            let subject = match fields.optional_string("subject")? {
                Some(text) => Some(
                    text.parse()
                        .map_err(|_| fields.error("subject", "is no digest"))?,
                ),
                None => None,
            };
            fields.finish(Strictness::Lenient)?;
            Ok(Self {
                descriptor: Descriptor::from_json(&descriptor)?,
                subject,
            })
        };
        read().map_err(malformed)
    }

    /// Writes the record as a document.
    pub fn to_json(&self) -> Vec<u8> {
        let mut object = Object::new();
        object.set("descriptor", self.descriptor.to_json());
        if let Some(subject) = &self.subject {
            object.set("subject", subject.to_string());
        }
        object.to_compact()
    }
}

/// A record repeats the annotations of its manifest, and escapes may make them longer than they were.
const MAX_RECORD: usize = 64 * 1024 * 1024;

impl<R: Records + ?Sized> Records for Arc<R> {
    fn blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        (**self).blob(repository, digest)
    }

    fn link_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
        size: u64,
    ) -> BoxFuture<'a, Result<()>> {
        (**self).link_blob(repository, digest, size)
    }

    fn unlink_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        (**self).unlink_blob(repository, digest)
    }

    fn holds<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<bool>> {
        (**self).holds(digest)
    }

    fn manifest<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<ManifestRecord>>> {
        (**self).manifest(repository, digest)
    }

    fn put_manifest<'a>(
        &'a self,
        repository: &'a Repository,
        record: &'a ManifestRecord,
    ) -> BoxFuture<'a, Result<()>> {
        (**self).put_manifest(repository, record)
    }

    fn remove_manifest<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        (**self).remove_manifest(repository, digest)
    }

    fn tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<Option<Digest>>> {
        (**self).tag(repository, tag)
    }

    fn put_tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<()>> {
        (**self).put_tag(repository, tag, digest)
    }

    fn remove_tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<bool>> {
        (**self).remove_tag(repository, tag)
    }

    fn tags<'a>(
        &'a self,
        repository: &'a Repository,
        after: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Option<Vec<Tag>>>> {
        (**self).tags(repository, after, limit)
    }

    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Digest>>> {
        (**self).referrers(repository, subject)
    }
}
