//! From images and holdings to steps. Time and memory are linear in the number of blobs and documents of all images.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use imgcore::{Descriptor, Digest, RegistryHost, Repository, Tag};
use imgregistry::TagOrDigest;

use super::{Action, BlobStep, ManifestStep, Plan, PlannedImage, Step, mounts};
use crate::batch::{Body, Member, Node};
use crate::{
    Batch, Error, ErrorKind, ExistingTags, Holdings, Image, Location, Options, VerifyExisting,
};

/// Decides what is to be done. Nothing is asked: the same images, holdings and options give the same plan.
pub fn plan(batch: &Batch, holdings: &Holdings, options: &Options) -> Plan {
    let mut planner = Planner::new(batch, holdings, options);
    planner
        .images
        .resize_with(batch.len(), PlannedImage::default);
    // What refers to an image comes after the image, in whatever order they were given.
    for is_referrer in [false, true] {
        for (place, member) in batch.members().iter().enumerate() {
            if member.is_referrer() == is_referrer {
                planner.add(place, member);
            }
        }
    }
    mounts::choose(&mut planner);
    Plan {
        steps: planner.steps,
        images: planner.images,
        suppliers: planner.suppliers,
    }
}

/// A plan in the making.
pub(super) struct Planner<'a> {
    pub(super) batch: &'a Batch,
    pub(super) holdings: &'a Holdings,
    pub(super) options: &'a Options,
    pub(super) steps: Vec<Step>,
    pub(super) images: Vec<PlannedImage>,
    pub(super) suppliers: HashMap<Digest, Vec<usize>>,
    /// The place of the step that brings a blob to a repository.
    pub(super) blobs: HashMap<(Arc<Location>, Digest), usize>,
    /// What repositories have, as manifests tell that are there.
    pub(super) held: HashSet<(Arc<Location>, Digest)>,
    /// One such repository of a registry.
    pub(super) holders: HashMap<(RegistryHost, Digest), Arc<Location>>,
    /// Repositories that are said to have a blob.
    pub(super) hints: HashMap<(RegistryHost, Digest), Hints>,
    /// The place of the step that writes a manifest of our own for a blob.
    pub(super) artificial: HashMap<(Arc<Location>, Digest), usize>,
    /// The place of the step that brings a manifest to a repository.
    manifests: HashMap<(Arc<Location>, Digest), usize>,
    tags: HashMap<(Arc<Location>, Tag), usize>,
    locations: HashMap<Location, Arc<Location>>,
}

/// Repositories of one registry that probably have a blob: at most two each, as one may be the destination itself.
#[derive(Default)]
pub(super) struct Hints {
    /// Somebody said so of this blob.
    pub(super) told: Vec<Repository>,
    /// Somebody said so of the image.
    pub(super) guessed: Vec<Repository>,
}

/// One image while it is added.
struct Adding<'a> {
    place: usize,
    image: &'a Image,
    nodes: &'a [Node],
    to: Arc<Location>,
    /// The steps of the documents so far, by their places.
    done: Vec<Option<usize>>,
}

impl<'a> Planner<'a> {
    fn new(batch: &'a Batch, holdings: &'a Holdings, options: &'a Options) -> Self {
        Self {
            batch,
            holdings,
            options,
            steps: Vec::new(),
            images: Vec::new(),
            suppliers: HashMap::new(),
            blobs: HashMap::new(),
            held: HashSet::new(),
            holders: HashMap::new(),
            hints: HashMap::new(),
            artificial: HashMap::new(),
            manifests: HashMap::new(),
            tags: HashMap::new(),
            locations: HashMap::new(),
        }
    }

    fn add(&mut self, place: usize, member: &'a Member) {
        if let Err(error) = &member.documents {
            self.images[place].refusals.push(error.clone());
            return;
        }
        let nodes = member.nodes();
        let mut adding = Adding {
            place,
            image: &member.image,
            nodes,
            to: self.location(&member.image.destination),
            done: vec![None; nodes.len()],
        };
        if let Some(error) = self.unanswered(&adding) {
            self.images[place].refusals.push(error);
            return;
        }
        if self.is_kept_out(&adding) {
            return;
        }
        let root = nodes.len().saturating_sub(1);
        // What is below a root that is there counts as there, but for the tags of it.
        let only_root =
            self.options.verify_existing == VerifyExisting::None && self.is_there(&adding, root);
        for (node, child) in nodes.iter().take(root).enumerate() {
            let has_tags = || {
                let tags = &member.image.child_tags;
                tags.contains_key(&child.descriptor.digest)
            };
            if !only_root || has_tags() {
                let is_there = only_root || self.is_there(&adding, node);
                self.add_child(&mut adding, node, is_there);
            }
        }
        self.add_root(&adding, root);
    }

    /// Refuses an image none of whose tags may have it: nothing of it is sent then.
    fn is_kept_out(&mut self, adding: &Adding<'_>) -> bool {
        let refusals: Vec<Error> = names_of(adding.image)
            .filter_map(|(tag, want)| self.refusal(&adding.to, tag, want))
            .collect();
        let is_kept_out = !refusals.is_empty() && refusals.len() == names_of(adding.image).count();
        if is_kept_out {
            self.images[adding.place].refusals.extend(refusals);
        }
        is_kept_out
    }

    /// Returns why a tag must not get a digest.
    fn refusal(&self, to: &Location, tag: &Tag, want: Digest) -> Option<Error> {
        let have = self.tagged(to, tag).filter(|have| *have != want)?;
        let is_refused = self.options.existing_tags == ExistingTags::Keep;
        is_refused.then(|| immutable(to, tag, Some(have), want))
    }

    /// Returns the error of a question about the image that was not answered.
    fn unanswered(&self, adding: &Adding<'_>) -> Option<Error> {
        let digests = adding.nodes.iter();
        let digests = digests.map(|node| TagOrDigest::Digest(node.descriptor.digest));
        names_of(adding.image)
            .map(|(tag, _)| TagOrDigest::Tag(tag.clone()))
            .chain(digests)
            .find_map(|at| self.holdings.failure(&adding.to, &at).cloned())
    }

    fn is_there(&self, adding: &Adding<'_>, node: usize) -> bool {
        let digest = adding.nodes[node].descriptor.digest;
        self.holdings.has_manifest(&adding.to, digest)
    }

    fn tagged(&self, to: &Location, tag: &Tag) -> Option<Digest> {
        let at = TagOrDigest::Tag(tag.clone());
        self.holdings.manifest(to, &at).flatten()
    }

    /// Adds a document below the root, under its digest and its tags.
    fn add_child(&mut self, adding: &mut Adding<'a>, node: usize, is_there: bool) {
        let Some(needs) = self.needs(adding, node, is_there) else {
            return;
        };
        let digest = adding.nodes[node].descriptor.digest;
        let at = TagOrDigest::Digest(digest);
        let step = self.add_manifest(adding, node, at, is_there, needs);
        adding.done[node] = Some(step);
        let tags = adding.image.child_tags.get(&digest);
        for tag in tags.into_iter().flatten() {
            self.add_tag(adding, node, tag, vec![step]);
        }
    }

    /// Adds the root: under its tags, or its digest if there are none.
    fn add_root(&mut self, adding: &Adding<'a>, node: usize) {
        let is_there = self.is_there(adding, node);
        let Some(needs) = self.needs(adding, node, is_there) else {
            return;
        };
        let digest = adding.nodes[node].descriptor.digest;
        let mut tags: Vec<&Tag> = adding.image.tags.iter().collect();
        tags.extend(adding.image.child_tags.get(&digest).into_iter().flatten());
        if tags.is_empty() {
            let at = TagOrDigest::Digest(digest);
            self.add_manifest(adding, node, at, is_there, needs);
            return;
        }
        for tag in tags {
            self.add_tag(adding, node, tag, needs.clone());
        }
    }

    /// Adds the steps that a document needs before it; nothing if it cannot be had.
    fn needs(&mut self, adding: &Adding<'a>, node: usize, is_there: bool) -> Option<Vec<usize>> {
        let Some(body) = &adding.nodes[node].body else {
            if !is_there {
                let error = no_document(adding, &adding.nodes[node].descriptor);
                self.images[adding.place].refusals.push(error);
            }
            return is_there.then(Vec::new);
        };
        let mut needs: Vec<usize> = body
            .children
            .iter()
            .filter_map(|&it| adding.done[it])
            .collect();
        let children = body.children.len();
        if !is_there && needs.len() < children {
            // Why one is missing was said where it was tried.
            return None;
        }
        if is_there && self.options.verify_existing != VerifyExisting::All {
            self.note_holder(&adding.to, body);
            return Some(needs);
        }
        for (blob, is_layer) in body.blobs() {
            needs.push(self.add_blob(adding.place, &adding.to, blob, is_layer));
        }
        if let Some(refers) = &body.refers
            && let Some(&step) = self
                .manifests
                .get(&(Arc::clone(&adding.to), refers.subject))
        {
            needs.push(step);
        }
        Some(needs)
    }

    fn note_holder(&mut self, to: &Arc<Location>, body: &Body) {
        for (blob, _) in body.blobs() {
            self.holders
                .entry((to.registry.clone(), blob.digest))
                .or_insert_with(|| Arc::clone(to));
            self.held.insert((Arc::clone(to), blob.digest));
        }
    }

    fn add_blob(
        &mut self,
        place: usize,
        to: &Arc<Location>,
        blob: &Descriptor,
        is_layer: bool,
    ) -> usize {
        self.note_supplier(place, blob.digest);
        self.note_hints(place, to, blob.digest);
        let step = self.blob_step(to, blob, is_layer);
        self.images[place].steps.push(step);
        step
    }

    /// Returns the place of the step that brings a blob to a repository; makes it if there is none.
    pub(super) fn blob_step(
        &mut self,
        to: &Arc<Location>,
        blob: &Descriptor,
        is_layer: bool,
    ) -> usize {
        let key = (Arc::clone(to), blob.digest);
        if let Some(&known) = self.blobs.get(&key) {
            if let Action::Blob(step) = &mut self.steps[known].action {
                step.is_layer |= is_layer;
            }
            return known;
        }
        let action = Action::Blob(BlobStep {
            blob: blob.clone(),
            is_layer,
            is_there: self.holdings.blob(to, &blob.digest),
            mount: None,
            source: self.holdings.source(&blob.digest).map(str::to_owned),
        });
        let step = self.push(to, action, Vec::new());
        self.blobs.insert(key, step);
        step
    }

    /// Notes that an image may know where a blob is. Those that know no more than the one before are left out.
    fn note_supplier(&mut self, place: usize, digest: Digest) {
        let members = self.batch.members();
        let known = self.suppliers.entry(digest).or_default();
        let image = &members[place].image;
        if let Some(&last) = known.last() {
            let last = &members[last].image;
            if last.sources.is_same(&image.sources) && !image.layer_sources.contains_key(&digest) {
                return;
            }
        }
        known.push(place);
    }

    fn note_hints(&mut self, place: usize, to: &Location, digest: Digest) {
        let image = &self.batch.members()[place].image;
        let told = image.layer_sources.get(&digest);
        if told.is_none() && image.mount_from.is_empty() {
            return;
        }
        let hints = self.hints.entry((to.registry.clone(), digest)).or_default();
        let told = told.into_iter().flatten();
        let told = told.filter(|it| it.registry == to.registry);
        note(&mut hints.told, told.map(|it| &it.repository));
        note(&mut hints.guessed, image.mount_from.iter());
    }

    fn add_manifest(
        &mut self,
        adding: &Adding<'a>,
        node: usize,
        at: TagOrDigest,
        is_there: bool,
        needs: Vec<usize>,
    ) -> usize {
        let manifest = adding.nodes[node].descriptor.clone();
        let key = (Arc::clone(&adding.to), manifest.digest);
        let known = self.manifests.get(&key).copied();
        let step = if let (Some(known), TagOrDigest::Digest(_)) = (known, &at) {
            known
        } else {
            let action = Action::Manifest(ManifestStep {
                manifest,
                at,
                is_there,
                replaces: None,
                node: (adding.place, node),
            });
            let step = self.push(&adding.to, action, needs);
            self.manifests.entry(key).or_insert(step);
            step
        };
        self.images[adding.place].steps.push(step);
        step
    }

    fn add_tag(&mut self, adding: &Adding<'a>, node: usize, tag: &Tag, needs: Vec<usize>) {
        let want = adding.nodes[node].descriptor.digest;
        let key = (Arc::clone(&adding.to), tag.clone());
        if let Some(&known) = self.tags.get(&key) {
            match &self.steps[known].action {
                Action::Manifest(step) if step.manifest.digest == want => {
                    self.images[adding.place].steps.push(known);
                }
                _ => {
                    let text = format!(
                        "{}:{tag} is to be {want} and another digest at once",
                        adding.to
                    );
                    let error = Error::new(ErrorKind::InvalidInput, text);
                    self.images[adding.place].refusals.push(error);
                }
            }
            return;
        }
        if let Some(error) = self.refusal(&adding.to, tag, want) {
            self.images[adding.place].refusals.push(error);
            return;
        }
        let have = self.tagged(&adding.to, tag);
        let replaces = have.filter(|have| *have != want);
        let at = TagOrDigest::Tag(tag.clone());
        let step = self.add_manifest(adding, node, at, have == Some(want), needs);
        if let Action::Manifest(step) = &mut self.steps[step].action {
            step.replaces = replaces;
        }
        self.tags.insert(key, step);
    }

    pub(super) fn push(&mut self, to: &Arc<Location>, action: Action, needs: Vec<usize>) -> usize {
        self.steps.push(Step {
            to: Arc::clone(to),
            action,
            is_on_demand: false,
            needs,
        });
        self.steps.len() - 1
    }

    /// Returns the one copy of a location.
    pub(super) fn location(&mut self, location: &Location) -> Arc<Location> {
        if let Some(known) = self.locations.get(location) {
            return Arc::clone(known);
        }
        let shared = Arc::new(location.clone());
        self.locations.insert(location.clone(), Arc::clone(&shared));
        shared
    }
}

/// Adds repositories until there are two different ones.
fn note<'r>(known: &mut Vec<Repository>, new: impl Iterator<Item = &'r Repository>) {
    for repository in new {
        if known.len() == 2 {
            return;
        }
        if !known.contains(repository) {
            known.push(repository.clone());
        }
    }
}

/// Returns the tags that an image asks for, with the digest that each is to have.
pub(crate) fn names_of(image: &Image) -> impl Iterator<Item = (&Tag, Digest)> {
    let own = image.tags.iter().map(|tag| (tag, image.root.digest));
    let children = image.child_tags.iter();
    own.chain(children.flat_map(|(digest, tags)| tags.iter().map(|tag| (tag, *digest))))
}

/// Makes the error of a tag that must not get another digest.
pub(crate) fn immutable(to: &Location, tag: &Tag, have: Option<Digest>, want: Digest) -> Error {
    let has = have.map_or("another digest".to_owned(), |have| have.to_string());
    let text = format!("{to}:{tag} stays {has} and does not become {want}; use another tag");
    let tag = tag.clone();
    Error::new(ErrorKind::ImmutableTag { tag, have, want }, text)
}

fn no_document(adding: &Adding<'_>, descriptor: &Descriptor) -> Error {
    let digest = descriptor.digest;
    let names: Vec<&str> = adding.image.sources.names().collect();
    let names = names.join(", ");
    let text = format!(
        "{} does not have {digest}, which {} leads to, and neither has any source ({names})",
        adding.to, adding.image.root.digest
    );
    Error::new(ErrorKind::NoSource { digest }, text)
}
