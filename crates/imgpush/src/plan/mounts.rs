//! Where each blob is mounted from, if it is not there.

use std::collections::HashMap;
use std::sync::Arc;

use imgcore::{Descriptor, Digest, MediaType, RegistryHost};

use super::build::Planner;
use super::{Action, Artificial, MountFrom};
use crate::{Dedup, Location, MountMode};

/// The config of an artifact that has none.
const EMPTY: &[u8] = b"{}";

/// Chooses for every blob.
pub(super) fn choose(planner: &mut Planner<'_>) {
    skip_what_is_held(planner);
    if planner.options.mount == MountMode::Off {
        return;
    }
    let homes = homes(planner);
    let mut made = Vec::new();
    for step in 0..planner.steps.len() {
        let Some((to, digest)) = missing_blob(planner, step) else {
            continue;
        };
        if let Some(mount) = from_home(planner, &homes, &mut made, step, &to, digest) {
            set(planner, step, mount);
        } else if let Some(mount) = hint(planner, &to, digest) {
            set(planner, step, mount);
        }
    }
    // The homes that nothing else needed get their hints, too.
    for step in made {
        if let Some((to, digest)) = missing_blob(planner, step)
            && let Some(mount) = hint(planner, &to, digest)
        {
            set(planner, step, mount);
        }
    }
}

/// A blob of a manifest that the repository has is there: nobody asks. Others may be mounted from there.
fn skip_what_is_held(planner: &mut Planner<'_>) {
    for step in &mut planner.steps {
        if let Action::Blob(blob) = &mut step.action {
            if planner
                .held
                .contains(&(Arc::clone(&step.to), blob.blob.digest))
            {
                blob.is_there = Some(true);
            }
            if blob.is_there == Some(true) {
                let key = (step.to.registry.clone(), blob.blob.digest);
                let holder = || Arc::clone(&step.to);
                planner.holders.entry(key).or_insert_with(holder);
            }
        }
    }
}

fn missing_blob(planner: &Planner<'_>, step: usize) -> Option<(Arc<Location>, Digest)> {
    let step = &planner.steps[step];
    match &step.action {
        Action::Blob(blob) if blob.is_there != Some(true) => {
            Some((Arc::clone(&step.to), blob.blob.digest))
        }
        _ => None,
    }
}

fn set(planner: &mut Planner<'_>, step: usize, mount: MountFrom) {
    if let Action::Blob(blob) = &mut planner.steps[step].action {
        blob.mount = Some(mount);
    }
}

/// Where the blobs of a registry are sent to.
type Homes = HashMap<(RegistryHost, Digest), Home>;

struct Home {
    first: Arc<Location>,
    /// How many repositories want the blob.
    wanted: usize,
}

fn homes(planner: &Planner<'_>) -> Homes {
    let mut homes = Homes::new();
    for step in 0..planner.steps.len() {
        let Some((to, digest)) = missing_blob(planner, step) else {
            continue;
        };
        let home = homes
            .entry((to.registry.clone(), digest))
            .or_insert_with(|| Home {
                first: Arc::clone(&to),
                wanted: 0,
            });
        home.wanted += 1;
        if to < home.first {
            home.first = to;
        }
    }
    homes
}

/// Returns the mount from the repository that a blob is sent to once.
fn from_home(
    planner: &mut Planner<'_>,
    homes: &Homes,
    made: &mut Vec<usize>,
    step: usize,
    to: &Arc<Location>,
    digest: Digest,
) -> Option<MountFrom> {
    let dedups = planner.options.dedup != Dedup::Off;
    let is_required =
        planner.options.mount == MountMode::Require || planner.options.dedup == Dedup::Strict;
    let key = (to.registry.clone(), digest);
    if dedups && let Some(holder) = planner.holders.get(&key).filter(|it| *it != to) {
        return Some(MountFrom {
            repository: holder.repository.clone(),
            is_required,
            after: None,
        });
    }
    let home = homes.get(&key)?;
    let is_staged = planner.options.stage_all && planner.options.blob_repository.is_some();
    let is_shared = dedups && home.wanted > 1;
    if !is_staged && !is_shared {
        return None;
    }
    let home = match planner.options.blob_repository.clone() {
        Some(repository) => planner.location(&Location::new(to.registry.clone(), repository)),
        None => Arc::clone(&home.first),
    };
    if home == *to {
        return None;
    }
    let (blob, is_layer) = match &planner.steps[step].action {
        Action::Blob(blob) => (blob.blob.clone(), blob.is_layer),
        _ => return None,
    };
    let (mut after, is_made) = on_demand(planner, &home, &blob, is_layer);
    if is_made {
        made.push(after);
    }
    if planner.options.artificial_manifests {
        after = artificial(planner, &home, after, &blob);
    }
    Some(MountFrom {
        repository: home.repository.clone(),
        is_required,
        after: Some(after),
    })
}

/// Returns the step that brings a blob to its home, and whether it was made for that: it is taken on demand then.
fn on_demand(
    planner: &mut Planner<'_>,
    home: &Arc<Location>,
    blob: &Descriptor,
    is_layer: bool,
) -> (usize, bool) {
    let before = planner.steps.len();
    let step = planner.blob_step(home, blob, is_layer);
    let is_made = step == before;
    planner.steps[step].is_on_demand |= is_made;
    (step, is_made)
}

/// Returns the step that lets a blob be mounted from its home.
fn artificial(
    planner: &mut Planner<'_>,
    home: &Arc<Location>,
    blob_step: usize,
    blob: &Descriptor,
) -> usize {
    let key = (Arc::clone(home), blob.digest);
    if let Some(&known) = planner.artificial.get(&key) {
        return known;
    }
    let mut empty = Descriptor::of(MediaType::OCI_EMPTY, EMPTY);
    empty.data = Some(EMPTY.to_vec());
    let (config, _) = on_demand(planner, home, &empty, false);
    let action = Action::Artificial(Artificial { blob: blob.clone() });
    let step = planner.push(home, action, vec![blob_step, config]);
    planner.steps[step].is_on_demand = true;
    planner.artificial.insert(key, step);
    step
}

/// Returns the mount from a repository that somebody says has the blob.
fn hint(planner: &Planner<'_>, to: &Location, digest: Digest) -> Option<MountFrom> {
    let hints = planner.hints.get(&(to.registry.clone(), digest))?;
    let repository = hints
        .told
        .iter()
        .chain(&hints.guessed)
        .find(|it| **it != to.repository)?;
    Some(MountFrom {
        repository: repository.clone(),
        is_required: planner.options.mount == MountMode::Require,
        after: None,
    })
}
