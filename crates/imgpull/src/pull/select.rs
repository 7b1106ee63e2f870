//! Which entries of an index are pulled.

use imgcore::platform::best_match;
use imgcore::{Descriptor, Digest, Platform};
use imgstore::ErrorKind;

use super::Digests;
use crate::{Error, Result};

/// The annotation by which builders mark attestations.
const REFERENCE_TYPE: &str = "vnd.docker.reference.type";
/// The annotation that says which image an attestation is about.
const REFERENCE_DIGEST: &str = "vnd.docker.reference.digest";

/// Chooses among entries that all say their platform, without reading any; `None` where some must be read.
pub(super) fn by_entries(
    entries: &[Descriptor],
    wanted: &[Platform],
) -> Option<Result<Vec<Digest>>> {
    let is_told = |entry: &Descriptor| {
        !entry.media_type.is_index() && (is_no_image(entry) || entry.platform.is_some())
    };
    if !entries.iter().all(is_told) {
        return None;
    }
    let images: Vec<&Descriptor> = entries.iter().filter(|it| !is_no_image(it)).collect();
    let choose = |platform: &Platform| {
        let candidates = images.iter().map(|it| it.platform.as_ref());
        match best_match(&platform.runnable(), candidates).and_then(|place| images.get(place)) {
            Some(best) => Ok(best.digest),
            None => Err(not_for(
                platform,
                images.iter().filter_map(|it| it.platform.as_ref()),
            )),
        }
    };
    Some(wanted.iter().map(choose).collect())
}

/// Checks that the only image there is suits what is wanted.
pub(super) fn check_only(offered: &Platform, wanted: &[Platform]) -> Result<()> {
    for platform in wanted {
        if best_match(&platform.runnable(), [Some(offered)]).is_none() {
            return Err(not_for(platform, [offered]));
        }
    }
    Ok(())
}

/// Says whether an entry comes with the chosen images: it is one of them, or about one of them.
pub(super) fn comes_with(entry: &Descriptor, chosen: &Digests) -> bool {
    let about = entry.annotations.get(REFERENCE_DIGEST);
    chosen.contains(&entry.digest)
        || about
            .and_then(|digest| digest.parse().ok())
            .is_some_and(|digest: Digest| chosen.contains(&digest))
}

/// Says of an entry that it is an attestation or another artifact, as far as it tells.
fn is_no_image(entry: &Descriptor) -> bool {
    let is_nowhere =
        |platform: &Platform| platform.os == "unknown" && platform.architecture == "unknown";
    entry.annotations.contains_key(REFERENCE_TYPE)
        || entry
            .artifact_type
            .as_ref()
            .is_some_and(|it| !it.is_image_config())
        || entry.platform.as_ref().is_some_and(is_nowhere)
}

fn not_for<'a>(wanted: &Platform, offered: impl IntoIterator<Item = &'a Platform>) -> Error {
    const SHOWN: usize = 20;
    let mut offered: Vec<String> = offered.into_iter().map(ToString::to_string).collect();
    offered.dedup();
    if offered.len() > SHOWN {
        let more = format!("{} more", offered.len() - SHOWN);
        offered.truncate(SHOWN);
        offered.push(more);
    }
    let offered = match offered.as_slice() {
        [] => "there are none".to_owned(),
        _ => format!("there are images for {}", offered.join(", ")),
    };
    Error::new(
        ErrorKind::NotFound,
        format!("no image is for {wanted}; {offered}"),
    )
}
