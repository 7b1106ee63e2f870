//! Records in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::future::ready;
use std::ops::Bound;
use std::sync::{Arc, Mutex, PoisonError};

use futures_core::future::BoxFuture;
use imgcore::{Digest, Repository, Tag};

use super::{ManifestRecord, Records};
use crate::Result;

/// Records that end with the process: for tests and throw-away registries.
///
/// Clones share the records.
#[derive(Clone, Debug, Default)]
pub struct MemoryRecords(Arc<Mutex<HashMap<Repository, Held>>>);

/// What one repository has.
#[derive(Debug, Default)]
struct Held {
    blobs: HashMap<Digest, u64>,
    manifests: HashMap<Digest, ManifestRecord>,
    /// By the text: the order of the specification is that of the bytes.
    tags: BTreeMap<String, (Tag, Digest)>,
    referrers: HashMap<Digest, BTreeSet<Digest>>,
}

impl MemoryRecords {
    /// Makes records of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    fn read<T>(&self, repository: &Repository, look: impl FnOnce(&Held) -> Option<T>) -> Option<T> {
        let repositories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        repositories.get(repository).and_then(look)
    }

    fn write<T>(&self, repository: &Repository, change: impl FnOnce(&mut Held) -> T) -> T {
        let mut repositories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(repositories.entry(repository.clone()).or_default())
    }

    /// Changes a repository that may not be there, without making it.
    fn remove(&self, repository: &Repository, change: impl FnOnce(&mut Held) -> bool) -> bool {
        let mut repositories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        repositories.get_mut(repository).is_some_and(change)
    }
}

fn done<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T>> {
    Box::pin(ready(Ok(value)))
}

impl Held {
    fn remove_manifest(&mut self, digest: &Digest) -> bool {
        let Some(record) = self.manifests.remove(digest) else {
            return false;
        };
        self.tags.retain(|_, (_, leads_to)| leads_to != digest);
        if let Some(subject) = record.subject
            && let Some(referrers) = self.referrers.get_mut(&subject)
        {
            referrers.remove(digest);
        }
        true
    }
}

impl Records for MemoryRecords {
    fn blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        done(self.read(repository, |held| held.blobs.get(digest).copied()))
    }

    fn link_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
        size: u64,
    ) -> BoxFuture<'a, Result<()>> {
        self.write(repository, |held| held.blobs.insert(*digest, size));
        done(())
    }

    fn unlink_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        done(self.remove(repository, |held| held.blobs.remove(digest).is_some()))
    }

    fn holds<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<bool>> {
        let repositories = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        done(
            repositories
                .values()
                .any(|held| held.blobs.contains_key(digest) || held.manifests.contains_key(digest)),
        )
    }

    fn manifest<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<ManifestRecord>>> {
        done(self.read(repository, |held| held.manifests.get(digest).cloned()))
    }

    fn put_manifest<'a>(
        &'a self,
        repository: &'a Repository,
        record: &'a ManifestRecord,
    ) -> BoxFuture<'a, Result<()>> {
        let digest = record.descriptor.digest;
        self.write(repository, |held| {
            held.manifests.insert(digest, record.clone());
            if let Some(subject) = record.subject {
                held.referrers.entry(subject).or_default().insert(digest);
            }
        });
        done(())
    }

    fn remove_manifest<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        done(self.remove(repository, |held| held.remove_manifest(digest)))
    }

    fn tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<Option<Digest>>> {
        done(self.read(repository, |held| {
            held.tags.get(tag.as_str()).map(|(_, digest)| *digest)
        }))
    }

    fn put_tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<()>> {
        let entry = (tag.clone(), *digest);
        self.write(repository, |held| {
            held.tags.insert(tag.as_str().to_owned(), entry)
        });
        done(())
    }

    fn remove_tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<bool>> {
        done(self.remove(repository, |held| held.tags.remove(tag.as_str()).is_some()))
    }

    fn tags<'a>(
        &'a self,
        repository: &'a Repository,
        after: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Option<Vec<Tag>>>> {
        let range = (Bound::Excluded(after), Bound::Unbounded);
        done(self.read(repository, |held| {
            let tags = held.tags.range::<str, _>(range).take(limit);
            Some(tags.map(|(_, (tag, _))| tag.clone()).collect())
        }))
    }

    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Digest>>> {
        let found = self.read(repository, |held| {
            let referrers = held.referrers.get(subject)?;
            Some(referrers.iter().copied().collect())
        });
        done(found.unwrap_or_default())
    }
}
