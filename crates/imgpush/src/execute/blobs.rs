//! A blob on its way to a repository: asked for, mounted or sent.

use std::collections::HashSet;
use std::sync::Arc;

use imgregistry::{ErrorKind as RegistryKind, Mount, Remote, Uploaded};
use imgstore::Presence;

use super::{Executor, Outcome};
use crate::report::Effect;
use crate::sources::Source;
use crate::supply::Supply;
use crate::survey::says_nothing;
use crate::{BlobStep, Error, ErrorKind, Event, How, MountFrom, Result, Step};

impl Executor<'_> {
    /// Asks whether the repository has a blob, if that is not known.
    pub(super) async fn look(&self, step: &Step, blob: &BlobStep, remote: &Remote) -> Outcome {
        let is_there = match blob.is_there {
            Some(known) => known,
            None => match remote.head_blob(&blob.blob.digest).await {
                Ok(found) => found != Presence::Absent,
                Err(error) if says_nothing(&error) => false,
                Err(error) => {
                    return Outcome::Ended(Effect::Failed(refused(step, blob, error)));
                }
            },
        };
        if is_there {
            return Outcome::Ended(self.done(step, blob, How::Skipped));
        }
        if self.must_not_send(blob) {
            return Outcome::Missing(1);
        }
        let is_far = self.supply(step, blob).is_far(&blob.blob).await;
        Outcome::Missing(if is_far { 2 } else { 1 })
    }

    /// Mounts or sends a blob that is not there. `home` says whether the repository has it that it is mounted from.
    pub(super) async fn bring(
        &self,
        step: &Step,
        blob: &BlobStep,
        remote: &Remote,
        home: Result<(), Option<Error>>,
    ) -> Result<Effect> {
        let mount = match (&blob.mount, home) {
            (Some(mount), Ok(())) => Some(mount),
            (Some(mount), Err(cause)) if mount.is_required => {
                return Err(cause.unwrap_or_else(|| refused_mount(step, blob, mount)));
            }
            _ => None,
        };
        match mount {
            Some(mount) if mount.is_required || self.must_not_send(blob) => {
                self.mount(step, blob, remote, mount).await
            }
            None if self.must_not_send(blob) => Err(forbidden(step, blob)),
            mount => self.send(step, blob, remote, mount).await,
        }
    }

    fn must_not_send(&self, blob: &BlobStep) -> bool {
        self.options.forbid_layer_push && blob.is_layer
    }

    /// Mounts a blob that must not be sent.
    async fn mount(
        &self,
        step: &Step,
        blob: &BlobStep,
        remote: &Remote,
        mount: &MountFrom,
    ) -> Result<Effect> {
        match remote.mount(&blob.blob, &mount.repository).await {
            Ok(Mount::Mounted) => Ok(self.done(step, blob, How::Mounted(mount.repository.clone()))),
            // The session that the registry offers instead is given up.
            Ok(Mount::Writer(_)) if self.must_not_send(blob) => Err(forbidden(step, blob)),
            Ok(Mount::Writer(_)) => Err(refused_mount(step, blob, mount)),
            Err(error) => Err(refused(step, blob, error)),
        }
    }

    /// Sends a blob, after the registry was asked to mount it if there is a place for that.
    async fn send(
        &self,
        step: &Step,
        blob: &BlobStep,
        remote: &Remote,
        mount: Option<&MountFrom>,
    ) -> Result<Effect> {
        self.progress.tell(Event::BlobStarted {
            blob: Box::new(blob.blob.clone()),
            to: Arc::clone(&step.to),
        });
        let supply = self.supply(step, blob);
        // Known before the registry is asked for an upload that nobody would end.
        if mount.is_none()
            && supply.lacks(&blob.blob).await
            && let Some(error) = supply.error(&blob.blob)
        {
            return Err(error);
        }
        let mut from = mount.map(|mount| &mount.repository);
        loop {
            let how = match remote.upload_missing(&blob.blob, &supply, from).await {
                Ok(Uploaded::Mounted) => {
                    let from = from.cloned().unwrap_or_else(|| step.to.repository.clone());
                    How::Mounted(from)
                }
                Ok(_) => How::Sent(supply.used()),
                Err(error) => {
                    // Bytes are not checked on their way out: when the registry says no, it may be right.
                    let is_damaged =
                        may_be_damage(error.kind()) && supply.is_damaged(&blob.blob).await;
                    if let Some(unsupplied) = supply.error(&blob.blob) {
                        return Err(unsupplied);
                    }
                    if !is_damaged {
                        return Err(refused(step, blob, error));
                    }
                    from = None;
                    continue;
                }
            };
            return Ok(self.done(step, blob, how));
        }
    }

    /// Finds every place that may have the bytes of a blob.
    fn supply(&self, step: &Step, blob: &BlobStep) -> Supply {
        let digest = blob.blob.digest;
        let members = self.batch.members();
        let suppliers = self.plan.suppliers.get(&digest);
        let images = || {
            let places = suppliers.into_iter().flatten();
            places.map(|&place| &members[place].image)
        };
        let mut seen = HashSet::new();
        let near = images()
            .flat_map(|image| image.sources.iter())
            .filter(|source| seen.insert(Arc::as_ptr(&source.blobs).cast::<()>()))
            .cloned();
        let near = near.collect();
        let mut told = HashSet::new();
        let far = images()
            .filter_map(|image| image.layer_sources.get(&digest))
            .flatten()
            .filter(|location| **location != *step.to && told.insert(*location))
            .filter_map(|location| {
                let remote = self
                    .reading
                    .repository(&location.registry, &location.repository);
                Some(Source {
                    name: location.to_string().into(),
                    blobs: Arc::new(remote.ok()?),
                })
            });
        let far = far.collect();
        Supply::new(&step.to, near, far, &self.tally, self.progress)
    }

    fn done(&self, step: &Step, blob: &BlobStep, how: How) -> Effect {
        let effect = match how {
            How::Mounted(_) => Effect::Mounted,
            How::Sent(_) => Effect::Sent,
            How::Skipped => Effect::Skipped,
        };
        self.progress.tell(Event::BlobDone {
            blob: Box::new(blob.blob.clone()),
            to: Arc::clone(&step.to),
            how,
        });
        effect
    }
}

fn refused(step: &Step, blob: &BlobStep, error: imgregistry::Error) -> Error {
    let kind = if blob.is_layer { "layer" } else { "config" };
    let text = format!("{kind} {} does not get to {}", blob.blob.digest, step.to);
    Error::registry(text, error)
}

/// Returns whether a registry may have refused a blob for its bytes.
fn may_be_damage(kind: RegistryKind) -> bool {
    !kind.is_retryable() && !matches!(kind, RegistryKind::Denied | RegistryKind::Forbidden)
}

fn refused_mount(step: &Step, blob: &BlobStep, mount: &MountFrom) -> Error {
    let (digest, from) = (blob.blob.digest, mount.repository.clone());
    let text = format!(
        "{} is not mounted in {} from {from}: the registry refuses, and it must not be sent instead",
        digest, step.to
    );
    Error::new(ErrorKind::MountRefused { digest, from }, text)
}

fn forbidden(step: &Step, blob: &BlobStep) -> Error {
    let layer = blob.blob.digest;
    let tried = match &blob.mount {
        Some(mount) => format!("it cannot be mounted from {}", mount.repository),
        None => "no repository is known to mount it from".to_owned(),
    };
    let text = format!(
        "layer {layer} is not in {}, {tried}, and layers must not be sent: push it first",
        step.to
    );
    Error::new(ErrorKind::ForbiddenLayer { layer }, text)
}
