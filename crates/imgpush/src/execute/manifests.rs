//! Manifests, indexes and tags.

use std::sync::Arc;

use bytes::Bytes;
use imgcore::{Digest, MediaType};
use imgregistry::{ErrorKind as RegistryKind, Remote, TagOrDigest};

use super::{Executor, referrers};
use crate::batch::Refers;
use crate::plan::immutable;
use crate::report::Effect;
use crate::{Error, Event, ManifestStep, Result, Step};

impl Executor<'_> {
    /// Writes a manifest or an index under its name, unless it stands there.
    pub(super) async fn write(
        &self,
        step: &Step,
        manifest: &ManifestStep,
        remote: &Remote,
    ) -> Result<Effect> {
        let mut is_written = false;
        if !manifest.is_there {
            is_written = self.put(step, manifest, remote).await?;
        } else if let Some(refers) = self.refers(manifest) {
            // It may be there, and its writer did not get as far as the list.
            self.list(remote, refers).await?;
        }
        self.progress.tell(Event::ManifestDone {
            digest: manifest.manifest.digest,
            at: manifest.at.clone(),
            to: Arc::clone(&step.to),
            is_written,
        });
        Ok(if is_written {
            Effect::Written
        } else {
            Effect::Skipped
        })
    }

    fn refers(&self, manifest: &ManifestStep) -> Option<&Refers> {
        let (image, node) = manifest.node;
        let body = self.batch.members()[image].nodes()[node].body.as_ref()?;
        body.refers.as_ref()
    }

    /// Lists a referrer, one after the other: of two that write a list at once, one is lost.
    async fn list(&self, remote: &Remote, refers: &Refers) -> Result<()> {
        let _turn = self.listing.lock().await;
        referrers::list(remote, &refers.subject, &refers.entry).await
    }

    /// Returns whether it was written; otherwise it stands there, because somebody else was faster.
    async fn put(&self, step: &Step, manifest: &ManifestStep, remote: &Remote) -> Result<bool> {
        let (image, node) = manifest.node;
        let node = &self.batch.members()[image].nodes()[node];
        let (media_type, bytes) = match &node.body {
            Some(body) => (node.descriptor.media_type.clone(), body.bytes.clone()),
            None => held(step, node.descriptor.digest, remote).await?,
        };
        let put = remote.put_manifest(&manifest.at, &media_type, bytes);
        match (put.await, &manifest.at) {
            (Ok(put), _) => {
                if !put.processed_subject
                    && let Some(refers) = self.refers(manifest)
                {
                    self.list(remote, refers).await?;
                }
                Ok(true)
            }
            (Err(error), TagOrDigest::Tag(tag)) if error.kind() == RegistryKind::Immutable => {
                let now = remote.head_manifest(&manifest.at).await.ok().flatten();
                let have = now.map(|now| now.digest).or(manifest.replaces);
                let want = node.descriptor.digest;
                if have == Some(want) {
                    return Ok(false);
                }
                Err(immutable(&step.to, tag, have, want))
            }
            (Err(error), at) => {
                let what = format!("{at} is not written to {}", step.to);
                Err(Error::registry(what, error))
            }
        }
    }
}

/// Reads a document that no source has from the repository that is to have it under one more name.
async fn held(step: &Step, digest: Digest, remote: &Remote) -> Result<(MediaType, Bytes)> {
    match remote.manifest(&TagOrDigest::Digest(digest)).await {
        Ok(held) => {
            let bytes = Bytes::copy_from_slice(held.document.bytes());
            Ok((held.descriptor.media_type, bytes))
        }
        Err(error) => {
            let what = format!("no source has {digest}, and {} does not give it", step.to);
            Err(Error::registry(what, error))
        }
    }
}
