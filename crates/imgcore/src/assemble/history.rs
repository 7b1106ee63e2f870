//! Histories: one entry for each layer, and any number for steps that made none.

use super::timestamp::canonical_timestamp;
use super::{Error, invalid};
use crate::{Config, HistoryEntry, LayerMetadata};

/// What stands in the history for a layer of which nothing is known.
pub const HISTORY_MISSING: &str = "history missing";

/// Splits the history of an image by its layers.
///
/// Entries go to the layers in order; a step that made no layer goes to the next one that did, trailing ones to the last
/// layer. Returns `None` when the entries do not fit the number of layers.
///
/// # Examples
///
/// ```
/// use imgcore::HistoryEntry;
/// use imgcore::assemble::split_history;
///
/// let mut label = HistoryEntry::created_by("LABEL a=b");
/// label.empty_layer = true;
/// let history = [label.clone(), HistoryEntry::created_by("ADD x /"), label.clone()];
/// assert_eq!(split_history(&history, 1), Some(vec![history.to_vec()]));
/// assert_eq!(split_history(&history, 2), None);
/// ```
pub fn split_history(history: &[HistoryEntry], layers: usize) -> Option<Vec<Vec<HistoryEntry>>> {
    if made_layers(history) != layers {
        return None;
    }
    let mut split = Vec::with_capacity(layers);
    let mut pending = Vec::new();
    for entry in history {
        pending.push(entry.clone());
        if !entry.empty_layer {
            split.push(std::mem::take(&mut pending));
        }
    }
    // An image without layers may have had steps; there is nothing that they could go to.
    if let Some(last) = split.last_mut() {
        last.append(&mut pending);
    }
    Some(split)
}

/// Joins the histories of the layers, so that there is one entry for each, and no more, that made a layer.
///
/// Layers that come from the base and carry no history of their own get it from the base's config. When nobody knows
/// any history, there is none.
pub(super) fn join(
    base: Option<&Config>,
    layers: &[LayerMetadata],
) -> Result<Vec<HistoryEntry>, Error> {
    let inherited = base.and_then(|base| inherited(base, layers));
    let is_known = |layer: &LayerMetadata| !layer.history.is_empty();
    if inherited.is_none() && !layers.iter().any(is_known) {
        return Ok(Vec::new());
    }
    let (mut history, own) = match inherited {
        None => (Vec::new(), layers),
        Some((entries, count)) => (entries.to_vec(), &layers[count..]),
    };
    for layer in own {
        history.extend_from_slice(&layer.history);
        match made_layers(&layer.history) {
            0 => history.push(HistoryEntry::created_by(HISTORY_MISSING)),
            1 => {}
            count => {
                return Err(invalid(format!(
                    "layer {} has {count} history entries that made a layer instead of one",
                    layer.digest
                )));
            }
        }
    }
    for entry in &mut history {
        if let Some(created) = &mut entry.created {
            // A base may have anything there; what cannot be read is kept.
            if let Ok(canonical) = canonical_timestamp(created) {
                *created = canonical;
            }
        }
    }
    Ok(history)
}

/// Returns the base's history and for how many layers it stands, when it must be used: the lowest layers are the
/// base's, and not all of them brought their part of it.
fn inherited<'a>(
    base: &'a Config,
    layers: &[LayerMetadata],
) -> Option<(&'a [HistoryEntry], usize)> {
    let count = base.diff_ids().len();
    let lowest = layers.get(..count)?;
    let is_base = lowest.iter().map(|layer| layer.diff_id).eq(base
        .diff_ids()
        .iter()
        .copied()
        .map(Some));
    let is_complete = count > 0 && lowest.iter().all(|layer| made_layers(&layer.history) == 1);
    let fits = made_layers(base.history()) == count && !base.history().is_empty();
    (is_base && !is_complete && fits).then(|| (base.history(), count))
}

fn made_layers(history: &[HistoryEntry]) -> usize {
    history.iter().filter(|entry| !entry.empty_layer).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DiffId, Digest, MediaType, Raw};

    /// `a` made a layer, `-a` did not.
    fn history(words: &str) -> Vec<HistoryEntry> {
        let entry = |word: &str| {
            let mut entry = HistoryEntry::created_by(word.trim_start_matches('-'));
            entry.empty_layer = word.starts_with('-');
            entry
        };
        words.split_whitespace().map(entry).collect()
    }

    fn layer(name: &str, words: &str) -> LayerMetadata {
        let diff_id = DiffId::sha256_of(name.as_bytes());
        let digest = Digest::sha256_of(name.as_bytes());
        let mut layer = LayerMetadata::new(Some(diff_id), MediaType::OCI_LAYER_GZIP, digest, 1);
        layer.history = history(words);
        layer
    }

    fn base(layers: &[&str], words: &str) -> Raw<Config> {
        let mut rootfs = crate::json::Object::new();
        let diff_ids = layers
            .iter()
            .map(|name| DiffId::sha256_of(name.as_bytes()).to_string());
        rootfs.set("diff_ids", diff_ids.collect::<Vec<_>>());
        let mut config = crate::json::Object::new();
        config.set("rootfs", rootfs);
        config.set(
            "history",
            history(words).iter().collect::<crate::json::Value>(),
        );
        Raw::parse(&config.to_bytes()).unwrap()
    }

    fn words(history: &[HistoryEntry]) -> String {
        let word = |entry: &HistoryEntry| {
            let sign = if entry.empty_layer { "-" } else { "" };
            format!("{sign}{}", entry.created_by.as_deref().unwrap_or("?"))
        };
        history.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn steps_without_a_layer_go_to_the_next_layer_or_the_last() {
        let check = |text: &str, layers: usize, expected: Option<&[&str]>| {
            let split = split_history(&history(text), layers);
            let split = split.map(|split| split.iter().map(|part| words(part)).collect::<Vec<_>>());
            let expected = expected.map(|parts| parts.iter().map(ToString::to_string).collect());
            assert_eq!(split, expected, "{text}");
        };
        check("-a b c -d -e f -g", 3, Some(&["-a b", "c", "-d -e f -g"]));
        check("a b", 2, Some(&["a", "b"]));
        check("a b", 1, None);
        check("a", 2, None);
        check("-a", 0, Some(&[]));
        check("", 0, Some(&[]));
    }

    #[test]
    fn every_layer_has_one_entry() {
        let check = |base: Option<&Raw<Config>>, layers: &[LayerMetadata], expected: &str| {
            let joined = join(base.map(|base| &**base), layers).unwrap();
            assert_eq!(words(&joined), expected);
        };
        // Layers bring their own.
        check(None, &[layer("a", "A"), layer("b", "-x B")], "A -x B");
        check(
            None,
            &[layer("a", ""), layer("b", "B")],
            "history missing B",
        );
        check(None, &[layer("a", "-x")], "-x history missing");
        check(None, &[layer("a", ""), layer("b", "")], "");
        check(None, &[], "");
        // The base has it, and the layers do not, or not all.
        let two = base(&["a", "b"], "-x A B -y");
        check(Some(&two), &[layer("a", ""), layer("b", "")], "-x A B -y");
        check(
            Some(&two),
            &[layer("a", ""), layer("b", ""), layer("c", "C")],
            "-x A B -y C",
        );
        check(
            Some(&two),
            &[layer("a", "1"), layer("b", ""), layer("c", "")],
            "-x A B -y history missing",
        );
        // Both have it: the layers' is newer.
        check(Some(&two), &[layer("a", "1"), layer("b", "2")], "1 2");
        // A base whose history does not fit, or that is not below.
        check(
            Some(&base(&["a", "b"], "A")),
            &[layer("a", ""), layer("b", "B")],
            "history missing B",
        );
        check(Some(&two), &[layer("c", "C")], "C");
        // A base without layers.
        check(Some(&base(&[], "-x")), &[layer("a", "A")], "-x A");
    }

    #[test]
    fn a_layer_that_two_steps_made_is_refused() {
        let error = join(None, &[layer("a", "A B")]).unwrap_err();
        let digest = Digest::sha256_of(b"a");
        assert_eq!(
            error.to_string(),
            format!("layer {digest} has 2 history entries that made a layer instead of one")
        );
    }
}
