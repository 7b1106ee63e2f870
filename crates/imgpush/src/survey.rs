//! What the registries hold of what is to be pushed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use imgcore::{Digest, RegistryHost};
use imgregistry::{Client, ErrorKind as RegistryKind, Remote, TagOrDigest};
use imgstore::{BlobSourceExt, Presence};

use crate::plan::names_of;
use crate::{
    Action, Batch, Dedup, Error, Holdings, Image, Location, MountMode, Options, Plan,
    VerifyExisting, plan,
};

/// Asks the registries what they have, by HEAD requests only.
///
/// First the tags are asked for. Where one has the digest that it is to have, a single image needs no more; of others the
/// digests of the root and of what it leads to are asked for, as [`Options::verify_existing`] says. Then come the blobs that
/// several repositories of a registry want: one that has them already is where the others get them from.
///
/// That a registry does not answer is noted, and fails the images that depend on it.
pub async fn survey(client: &Client, batch: &Batch, options: &Options) -> Holdings {
    let mut holdings = Holdings::default();
    let tags = questions(batch, |image| {
        names_of(image)
            .map(|(tag, _)| TagOrDigest::Tag(tag.clone()))
            .collect()
    });
    ask(client, &mut holdings, tags, options.jobs).await;
    let mut digests = Vec::new();
    for member in batch.members() {
        let to = &member.image.destination;
        let root = member.image.root.digest;
        if options.verify_existing == VerifyExisting::None && holdings.has_manifest(to, root) {
            continue;
        }
        let mut tags = names_of(&member.image).map(|(tag, _)| TagOrDigest::Tag(tag.clone()));
        if tags.any(|tag| holdings.failure(to, &tag).is_some()) {
            // The image fails for that, and the host may be one that lets every question wait.
            continue;
        }
        for node in member.nodes() {
            let digest = node.descriptor.digest;
            if !holdings.has_manifest(to, digest) {
                digests.push((to.clone(), TagOrDigest::Digest(digest)));
            }
        }
    }
    ask(client, &mut holdings, digests, options.jobs).await;
    if options.dedup != Dedup::Off && options.mount != MountMode::Off {
        let first = plan(batch, &holdings, options);
        let shared = unknown_blobs(&first, 2);
        ask_blobs(client, &mut holdings, shared, options.jobs).await;
    }
    holdings
}

/// Asks for everything that a plan depends on, and decides: what a push would do, without doing it.
///
/// Blobs are asked for as well, each once a repository, and the sources are asked who has those that are missing. An
/// image is refused for a blob that all of them say they lack.
pub async fn dry_run(client: &Client, batch: &Batch, options: &Options) -> Plan {
    let mut holdings = survey(client, batch, options).await;
    let first = plan(batch, &holdings, options);
    let blobs = unknown_blobs(&first, 1);
    ask_blobs(client, &mut holdings, blobs, options.jobs).await;
    let nowhere = note_sources(batch, &first, &mut holdings).await;
    let mut plan = plan(batch, &holdings, options);
    plan.refuse(&nowhere);
    plan
}

/// A blob in a repository.
type Place = (Arc<Location>, Digest);

/// Returns the blobs of which it is not known whether they are there, and that so many repositories of a registry want.
fn unknown_blobs(plan: &Plan, at_least: usize) -> Vec<Place> {
    let places = || {
        plan.steps().iter().filter_map(|step| match &step.action {
            Action::Blob(blob) if blob.is_there.is_none() => Some((&step.to, blob.blob.digest)),
            _ => None,
        })
    };
    let mut wanted: HashMap<(RegistryHost, Digest), usize> = HashMap::new();
    for (to, digest) in places() {
        *wanted.entry((to.registry.clone(), digest)).or_default() += 1;
    }
    let chosen =
        places().filter(|(to, digest)| wanted[&(to.registry.clone(), *digest)] >= at_least);
    chosen
        .map(|(to, digest)| (Arc::clone(to), digest))
        .collect()
}

async fn ask_blobs(client: &Client, holdings: &mut Holdings, places: Vec<Place>, jobs: usize) {
    let mut answers = stream::iter(places)
        .map(|(to, digest)| async move {
            let found = match client.repository(&to.registry, &to.repository) {
                Ok(remote) => remote.without_mirrors().head_blob(&digest).await.ok(),
                Err(_) => None,
            };
            (to, digest, found)
        })
        .buffer_unordered(jobs.max(1));
    while let Some((to, digest, found)) = answers.next().await {
        if let Some(found) = found {
            holdings.note_blob(&to, digest, found != Presence::Absent);
        }
    }
}

/// Returns the blobs that no source has, as far as the sources say that at all.
async fn note_sources(batch: &Batch, first: &Plan, holdings: &mut Holdings) -> HashSet<Digest> {
    let mut nowhere = HashSet::new();
    for (digest, suppliers) in &first.suppliers {
        let images = suppliers.iter().map(|&place| &batch.members()[place].image);
        let mut has_others = images
            .clone()
            .any(|it| it.layer_sources.contains_key(digest));
        for source in images.flat_map(|image| image.sources.iter()) {
            match source.blobs.stat_one(digest).await {
                Ok(Presence::Present { .. }) => {
                    holdings.note_source(*digest, &source.name);
                    break;
                }
                Ok(Presence::Absent) => {}
                _ => has_others = true,
            }
        }
        if !has_others && holdings.source(digest).is_none() {
            nowhere.insert(*digest);
        }
    }
    nowhere
}

/// A name in a repository.
type Question = (Location, TagOrDigest);

fn questions(batch: &Batch, of: impl Fn(&Image) -> Vec<TagOrDigest>) -> Vec<Question> {
    let members = batch.members().iter();
    let members = members.filter(|member| member.documents.is_ok());
    members
        .flat_map(|member| {
            let to = &member.image.destination;
            let names = of(&member.image).into_iter();
            names.map(|name| (to.clone(), name)).collect::<Vec<_>>()
        })
        .collect()
}

async fn ask(client: &Client, holdings: &mut Holdings, questions: Vec<Question>, jobs: usize) {
    let mut seen = HashSet::new();
    let mut fresh = questions;
    fresh.retain(|question| seen.insert(question.clone()));
    drop(seen);
    let mut answers = stream::iter(fresh)
        .map(|(to, at)| async move {
            let answer = match client.repository(&to.registry, &to.repository) {
                Ok(remote) => head(&remote, &at).await,
                Err(error) => Err(error),
            };
            (to, at, answer)
        })
        .buffer_unordered(jobs.max(1));
    while let Some((to, at, answer)) = answers.next().await {
        match answer {
            Ok(found) => holdings.note_manifest(&to, at, found),
            Err(error) if says_nothing(&error) => {}
            Err(error) => {
                let what = format!("{to} does not say what it has");
                let error = Error::registry(what, error);
                holdings.note_failure(&to, at, error);
            }
        }
    }
}

async fn head(remote: &Remote, at: &TagOrDigest) -> imgregistry::Result<Option<Digest>> {
    let found = remote.without_mirrors().head_manifest(at).await?;
    Ok(found.map(|found| found.digest))
}

/// Whether a refusal to answer says nothing of whether the push will work. Registries have been seen to deny that a
/// repository may be read before it exists, and there are accounts that may only write; but nobody writes without one.
pub(crate) fn says_nothing(error: &imgregistry::Error) -> bool {
    match error.kind() {
        RegistryKind::Denied => !error.wants_login(),
        kind => matches!(kind, RegistryKind::Protocol | RegistryKind::Unsupported),
    }
}
