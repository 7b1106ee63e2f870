//! What a layer's metadata says beside its digests: annotations and history.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use imgcore::assemble::HISTORY_MISSING;
use imgcore::{DiffId, HistoryEntry};

use crate::cli::value::KeyAndValue;
use crate::context::Context;
use crate::kvfile::KeyValueFile;
use crate::report::{Explain as _, Failure};

/// The annotation with which ORAS marks a layer by the digest of its content.
const ORAS_CONTENT_DIGEST: &str = "io.deis.oras.content.digest";

/// Its value while the content is not known.
const DERIVE_FROM_DIFF_ID: &str = "DERIVE_FROM_DIFF_ID";

/// Annotations from a file and from flags; a flag wins.
///
/// # Errors
///
/// Fails if the file cannot be read or a flag has no key.
pub(crate) fn annotations(
    context: &Context,
    file: Option<&Path>,
    flags: &[KeyAndValue],
) -> Result<BTreeMap<String, String>, Failure> {
    let mut annotations = match file {
        Some(file) => {
            let bytes = fs::read(context.path(file))?;
            KeyValueFile::parse_pairs(&bytes)
                .explain(|| format!("annotations file {}", file.display()))?
        }
        None => BTreeMap::new(),
    };
    for flag in flags {
        let key = flag.key.trim();
        if key.is_empty() {
            let message = format!("--annotation `={}`: the key is empty", flag.value);
            return Err(Failure::new(message).hint("write --annotation KEY=VALUE"));
        }
        annotations.insert(key.to_owned(), flag.value.trim().to_owned());
    }
    Ok(annotations)
}

/// Puts the digest of the content where an annotation asks for it.
pub(crate) fn derive_from_diff_id(
    annotations: &mut BTreeMap<String, String>,
    diff_id: Option<DiffId>,
) {
    if let Some(value) = annotations.get_mut(ORAS_CONTENT_DIGEST)
        && let Some(diff_id) = diff_id
        && value == DERIVE_FROM_DIFF_ID
    {
        *value = diff_id.to_string();
    }
}

/// The history of a layer: one entry, always.
pub(crate) fn history(created_by: Option<&str>) -> Vec<HistoryEntry> {
    let created_by = created_by.filter(|text| !text.is_empty());
    vec![HistoryEntry::created_by(
        created_by.unwrap_or(HISTORY_MISSING),
    )]
}
