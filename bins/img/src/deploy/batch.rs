//! From operations to images that are pushed together, and back to what came of each operation.

use std::ops::Range;
use std::sync::Arc;

use imgcore::deploy::{Command, Operation};
use imgcore::{Descriptor, Repository, Tag};
use imgpush::{Dedup, Image, Location, Options, Report};
use imgstore::{Chain, archive};

use super::request::{Request, Step};
use super::sign::Signature;
use crate::report::{Explain as _, Failure};

/// How blobs for several repositories are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sharing {
    pub(crate) dedup: Dedup,
    /// The repository that they are sent to; the first destination if there is none.
    pub(crate) blob_repository: Option<Repository>,
    /// Whether a manifest there refers to each, for registries that mount nothing else.
    pub(crate) artificial_manifests: bool,
}

/// What the command line says instead of the operations.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharingOverrides {
    pub(crate) dedup: Option<Dedup>,
    pub(crate) blob_repository: Option<Repository>,
    pub(crate) artificial_manifests: Option<bool>,
}

/// Images that are pushed together.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) options: Options,
    pub(crate) images: Vec<Image>,
    sharing: Sharing,
}

/// All groups, and where the image of each operation is.
#[derive(Debug)]
pub(crate) struct Groups<'a> {
    pub(crate) all: Vec<Group>,
    placed: Vec<Placed<'a>>,
    request: &'a Request,
    sources: imgpush::Sources,
    /// Their files are there as long as these are.
    signatures: Vec<Signature>,
}

#[derive(Clone, Debug)]
struct Placed<'a> {
    step: &'a Step,
    group: usize,
    image: usize,
    /// The images of the group that sign it.
    signatures: Range<usize>,
}

/// What came of an operation.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    pub(crate) step: &'a Step,
    pub(crate) destination: &'a Location,
    /// Why it is not there, or not signed as it should be.
    pub(crate) errors: Vec<&'a imgpush::Error>,
}

impl<'a> Groups<'a> {
    /// Makes images of all operations for registries.
    ///
    /// # Errors
    ///
    /// Fails for names that are none.
    pub(crate) fn of(
        request: &'a Request,
        sources: &Chain,
        options: &Options,
        overrides: &SharingOverrides,
    ) -> Result<Self, Failure> {
        let mut groups = Self {
            all: Vec::new(),
            placed: Vec::new(),
            request,
            sources: imgpush::Sources::from(sources),
            signatures: Vec::new(),
        };
        for step in request.pushes() {
            groups.add(step, options, overrides)?;
        }
        Ok(groups)
    }

    fn add(
        &mut self,
        step: &'a Step,
        options: &Options,
        overrides: &SharingOverrides,
    ) -> Result<(), Failure> {
        let what = || format!("operation {}", step.place);
        let Some(to) = &step.destination else {
            return Err(Failure::new(format!("{} has no destination", what())));
        };
        let tags = step.tags.iter().map(|tag| tag.parse::<Tag>());
        let tags: Vec<Tag> = tags.collect::<Result<_, _>>().explain(what)?;
        let is_tag = step.operation.command == Command::RegistryTag;
        if is_tag && let Some(parent) = self.parent(step, to) {
            let known = &mut self.all[parent.group].images[parent.image].child_tags;
            known
                .entry(step.operation.root.digest)
                .or_default()
                .extend(tags);
            self.placed.push(Placed {
                step,
                signatures: 0..0,
                ..parent
            });
            return Ok(());
        }
        let group = if step.operation.referrer {
            // After what it refers to, which stands before it.
            self.placed.last().map(|before| before.group)
        } else {
            None
        };
        let group = if let Some(group) = group {
            group
        } else {
            let sharing = Sharing::of(&step.operation, overrides)
                .map_err(|failure| failure.in_front(what()))?;
            self.group(sharing, options)?
        };
        let image = self.image(step, to.clone(), tags);
        let images = &mut self.all[group].images;
        images.push(image);
        let image = images.len() - 1;
        self.placed.push(Placed {
            step,
            group,
            image,
            signatures: 0..0,
        });
        Ok(())
    }

    /// Finds the push before that brings what an operation only gives a tag.
    fn parent(&self, step: &Step, to: &Location) -> Option<Placed<'a>> {
        let digest = step.operation.root.digest;
        let mut before = self.placed.iter().rev();
        before
            .find(|placed| {
                let operation = &placed.step.operation;
                let mut children = operation.manifests.iter();
                operation.command == Command::Push
                    && placed.step.destination.as_ref() == Some(to)
                    && (operation.root.digest == digest
                        || children.any(|child| child.descriptor.digest == digest))
            })
            .cloned()
    }

    fn image(&self, step: &Step, to: Location, tags: Vec<Tag>) -> Image {
        let root = &step.operation.root;
        let root = Descriptor::new(root.media_type.clone(), root.digest, root.size);
        let mut image = Image::new(root, to, self.sources.clone());
        image.tags = tags;
        let manifests = step.operation.manifests.iter();
        for layer in manifests.flat_map(|manifest| &manifest.layer_blobs) {
            if let Some(places) = self.request.layer_places.get(&layer.layer.digest) {
                image
                    .layer_sources
                    .insert(layer.layer.digest, places.clone());
            }
        }
        match &step.cross_mount {
            Some(place) if place.registry != image.destination.registry => {
                // No registry mounts from another one, but the layers can be read there.
                let manifests = step.operation.manifests.iter();
                for layer in manifests.flat_map(|manifest| &manifest.layer_blobs) {
                    let known = image.layer_sources.entry(layer.layer.digest).or_default();
                    if !known.contains(place) {
                        known.push(place.clone());
                    }
                }
            }
            Some(place) => image.mount_from.push(place.repository.clone()),
            None => {}
        }
        image
    }

    /// Returns the place of the images that share blobs in one way.
    fn group(&mut self, sharing: Sharing, options: &Options) -> Result<usize, Failure> {
        let mut groups = self.all.iter();
        if let Some(known) = groups.position(|group| group.sharing == sharing) {
            return Ok(known);
        }
        let settings = &self.request.settings;
        let mut options = options.clone();
        options.dedup = sharing.dedup;
        options.blob_repository.clone_from(&sharing.blob_repository);
        options.artificial_manifests = sharing.artificial_manifests;
        options.forbid_layer_push = settings.forbid_layer_push;
        if !settings.blob_repository.is_empty() {
            let staging = settings.blob_repository.parse();
            options.blob_repository = Some(staging.explain(|| "settings: blob_repository")?);
            options.stage_all = true;
        }
        self.all.push(Group {
            options,
            images: Vec::new(),
            sharing,
        });
        Ok(self.all.len() - 1)
    }

    /// Returns the operations in their order.
    pub(crate) fn steps(&self) -> impl Iterator<Item = &'a Step> + use<'a> {
        let steps: Vec<&'a Step> = self.placed.iter().map(|placed| placed.step).collect();
        steps.into_iter()
    }

    /// Adds the signatures of what an operation pushes.
    pub(crate) fn sign(&mut self, step: &Step, signatures: Vec<Signature>) {
        let mut placed = self.placed.iter_mut();
        let Some(placed) = placed.find(|placed| placed.step.place == step.place) else {
            return;
        };
        let images = &mut self.all[placed.group].images;
        let to = images[placed.image].destination.clone();
        placed.signatures = images.len()..images.len() + signatures.len();
        for signature in signatures {
            let store: Arc<archive::Image> = Arc::clone(&signature.store);
            let sources = imgpush::Sources::of("signature", store);
            images.push(Image::new(signature.root.clone(), to.clone(), sources));
            self.signatures.push(signature);
        }
    }

    /// Says what came of each operation, in their order; `reports` has one for each group.
    pub(crate) fn outcomes<'r>(&'r self, reports: &'r [Report]) -> Vec<Outcome<'r>> {
        let outcome = |placed: &'r Placed<'a>| {
            let images = &reports[placed.group].images;
            let image = &images[placed.image];
            let signatures = images[placed.signatures.clone()].iter();
            let all = std::iter::once(image).chain(signatures);
            Outcome {
                step: placed.step,
                destination: &image.destination,
                errors: all.flat_map(|it| &it.errors).collect(),
            }
        };
        self.placed.iter().map(outcome).collect()
    }
}

impl Sharing {
    fn of(operation: &Operation, overrides: &SharingOverrides) -> Result<Self, Failure> {
        let dedup = match operation.deduplicated_push.as_str() {
            // To send a blob once costs nothing, and a registry that mounts nothing gets it as often as without.
            "" | "best_effort" => Dedup::BestEffort,
            "disabled" => Dedup::Off,
            "enabled" => Dedup::Strict,
            other => {
                return Err(Failure::new(format!(
                    "deduplicated_push is `{other}`, and known are disabled, best_effort and enabled"
                )));
            }
        };
        let blob_repository = match operation.deduplicated_push_blob_repository.as_str() {
            "" => None,
            name => Some(
                name.parse()
                    .explain(|| "deduplicated_push_blob_repository")?,
            ),
        };
        let artificial_manifests = match operation.deduplicated_push_content.as_str() {
            "" | "blobs" => false,
            "blobs_and_artificial_manifests" => true,
            other => {
                return Err(Failure::new(format!(
                    "deduplicated_push_content is `{other}`, and known are blobs and \
                     blobs_and_artificial_manifests"
                )));
            }
        };
        let overriding = overrides.clone();
        Ok(Self {
            dedup: overriding.dedup.unwrap_or(dedup),
            blob_repository: overriding.blob_repository.or(blob_repository),
            artificial_manifests: overriding
                .artificial_manifests
                .unwrap_or(artificial_manifests),
        })
    }
}
