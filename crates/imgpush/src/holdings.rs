//! What registries and sources are known to have.

use std::collections::HashMap;
use std::sync::Arc;

use imgcore::Digest;
use imgregistry::TagOrDigest;

use crate::{Error, Location};

/// What registries and sources are known to have: the world as a plan sees it.
///
/// What is not noted is not known: a plan asks for it when it is carried out.
#[derive(Clone, Debug, Default)]
pub struct Holdings {
    repositories: HashMap<Location, Repository>,
    sources: HashMap<Digest, Arc<str>>,
}

#[derive(Clone, Debug, Default)]
struct Repository {
    /// The digest that each name stands for; `None` where there is no such manifest.
    manifests: HashMap<TagOrDigest, Option<Digest>>,
    blobs: HashMap<Digest, bool>,
    unanswered: HashMap<TagOrDigest, Error>,
}

impl Holdings {
    /// Notes what a tag or digest stands for in a repository: `None` if there is no such manifest. What a tag stands for
    /// is there under its digest as well.
    pub fn note_manifest(&mut self, location: &Location, at: TagOrDigest, found: Option<Digest>) {
        let manifests = &mut self.repository(location).manifests;
        if let Some(digest) = found {
            manifests.insert(TagOrDigest::Digest(digest), found);
        }
        manifests.insert(at, found);
    }

    /// Notes whether a repository has a blob.
    pub fn note_blob(&mut self, location: &Location, digest: Digest, is_there: bool) {
        self.repository(location).blobs.insert(digest, is_there);
    }

    /// Notes which source has a blob.
    pub fn note_source(&mut self, digest: Digest, name: &str) {
        self.sources.insert(digest, name.into());
    }

    /// Notes that a repository did not say what a tag or digest stands for. Images that depend on it fail.
    pub(crate) fn note_failure(&mut self, location: &Location, at: TagOrDigest, error: Error) {
        self.repository(location).unanswered.insert(at, error);
    }

    /// Returns what a name stands for: nothing if it is not known, `Some(None)` if there is no such manifest.
    pub fn manifest(&self, location: &Location, at: &TagOrDigest) -> Option<Option<Digest>> {
        let repository = self.repositories.get(location)?;
        repository.manifests.get(at).copied()
    }

    /// Returns whether a repository has a blob, if that is known.
    pub fn blob(&self, location: &Location, digest: &Digest) -> Option<bool> {
        let repository = self.repositories.get(location)?;
        repository.blobs.get(digest).copied()
    }

    /// Returns the name of the source that has a blob, if that is known.
    pub fn source(&self, digest: &Digest) -> Option<&str> {
        self.sources.get(digest).map(|name| &**name)
    }

    /// Returns whether a repository is known to have a manifest.
    pub(crate) fn has_manifest(&self, location: &Location, digest: Digest) -> bool {
        let found = self.manifest(location, &TagOrDigest::Digest(digest));
        found.flatten().is_some()
    }

    pub(crate) fn failure(&self, location: &Location, at: &TagOrDigest) -> Option<&Error> {
        self.repositories.get(location)?.unanswered.get(at)
    }

    fn repository(&mut self, location: &Location) -> &mut Repository {
        if !self.repositories.contains_key(location) {
            self.repositories
                .insert(location.clone(), Repository::default());
        }
        self.repositories
            .get_mut(location)
            .expect("because it was put in if it was not there")
    }
}
