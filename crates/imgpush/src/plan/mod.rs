//! What is to be done, as a value: which blob comes to which repository in which way, and which manifests follow.

mod build;
mod mounts;
mod show;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use imgcore::{Descriptor, Digest, Repository};
use imgregistry::TagOrDigest;

pub use self::build::plan;
pub(crate) use self::build::{immutable, names_of};
use crate::{Error, Location};

/// What is to be done. As a text it is a list for people, and [`to_json`](Self::to_json) gives one for programs.
///
/// Blobs come before the manifests that need them, manifests before the indexes that lead to them, and tags last.
/// Each blob and manifest stands in it once a repository, each tag once.
#[derive(Debug)]
pub struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) images: Vec<PlannedImage>,
    /// For each blob the images that may know where its bytes are.
    pub(crate) suppliers: HashMap<Digest, Vec<usize>>,
}

/// One thing to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Step {
    /// The repository in which it is done.
    pub to: Arc<Location>,
    /// What is done.
    pub action: Action,
    /// Whether it is done only if another step turns out to need it.
    pub is_on_demand: bool,
    /// The places of the steps that must be done before.
    pub(crate) needs: Vec<usize>,
}

/// What is done in a step.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Action {
    /// A manifest of our own is written that refers to a blob, so that the registry lets it be mounted.
    Artificial(Artificial),
    /// A blob comes to the repository.
    Blob(BlobStep),
    /// A manifest or an index is written.
    Manifest(ManifestStep),
}

/// A blob on its way to a repository.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BlobStep {
    /// Which one.
    pub blob: Descriptor,
    /// Whether it is a layer; otherwise it is a config.
    pub is_layer: bool,
    /// Whether the repository has it. `None`: it will be asked.
    pub is_there: Option<bool>,
    /// Where it is mounted from, unless it is there.
    pub mount: Option<MountFrom>,
    /// The name of the source that it is sent from, if that is known already.
    pub source: Option<String>,
}

/// Where a blob is mounted from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MountFrom {
    /// The repository of the same registry.
    pub repository: Repository,
    /// Whether it is an error if the registry refuses.
    pub is_required: bool,
    /// The place of the step that brings the blob there.
    pub(crate) after: Option<usize>,
}

/// A manifest or index on its way to a repository.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ManifestStep {
    /// Which one.
    pub manifest: Descriptor,
    /// Under which name it is written.
    pub at: TagOrDigest,
    /// Whether it stands there already.
    pub is_there: bool,
    /// The digest that a tag has now, where that is another one.
    pub replaces: Option<Digest>,
    /// The place of the image, and of the document in it.
    pub(crate) node: (usize, usize),
}

/// A manifest that refers to one blob.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Artificial {
    /// The blob.
    pub blob: Descriptor,
}

/// What becomes of an image of the batch.
#[derive(Debug, Default)]
pub(crate) struct PlannedImage {
    /// The places of all steps that it needs.
    pub(crate) steps: Vec<usize>,
    /// What it cannot have.
    pub(crate) refusals: Vec<Error>,
}

impl Plan {
    /// Returns all steps: each after those that it needs, and those that may not be needed at all last.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Returns what is refused without a request, with the place of the image in the batch.
    pub fn refusals(&self) -> impl Iterator<Item = (usize, &Error)> {
        let images = self.images.iter().enumerate();
        images.flat_map(|(place, image)| image.refusals.iter().map(move |error| (place, error)))
    }

    /// Refuses the images that need one of these blobs: no source has it.
    pub(crate) fn refuse(&mut self, nowhere: &HashSet<Digest>) {
        for image in &mut self.images {
            let steps = image.steps.iter().map(|&step| &self.steps[step]);
            let missing = steps.filter_map(|step| step.missing(nowhere));
            image.refusals.extend(missing);
        }
    }

    /// Returns whether there is nothing to do and nothing to ask.
    pub fn is_done(&self) -> bool {
        self.steps.iter().all(Step::is_done)
    }
}

impl Step {
    /// Returns why a blob cannot be sent that no source has.
    fn missing(&self, nowhere: &HashSet<Digest>) -> Option<Error> {
        let Action::Blob(step) = &self.action else {
            return None;
        };
        let blob = &step.blob;
        let is_sent = step.is_there == Some(false) && step.mount.is_none();
        let is_missing = is_sent && blob.data.is_none() && nowhere.contains(&blob.digest);
        is_missing.then(|| Error::no_source(&self.to, blob.digest, Vec::new()))
    }

    fn is_done(&self) -> bool {
        self.is_on_demand
            || match &self.action {
                Action::Blob(step) => step.is_there == Some(true),
                Action::Manifest(step) => step.is_there,
                Action::Artificial(_) => false,
            }
    }
}
