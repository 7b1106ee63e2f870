//! An image of an OCI layout taken apart: what `manifest-from-oci-layout` and `index-from-oci-layout` share.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use imgcore::assemble::{HISTORY_MISSING, split_history};
use imgcore::json::Object;
use imgcore::{
    Config, Descriptor, HistoryEntry, Index, LayerMetadata, Manifest, MediaType, Platform, Raw,
};
use imgstore::{DirectoryOptions, LocalSourceExt as _, MAX_DOCUMENT, OciLayout, OutsideLinks};

use crate::context::Context;
use crate::output::{Outputs, Pending};
use crate::report::{Explain as _, Failure};

/// Where the parts of one image go.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) platform: Platform,
    pub(super) manifest: PathBuf,
    pub(super) config: PathBuf,
    pub(super) descriptor: PathBuf,
    pub(super) digest: Option<PathBuf>,
    /// By the number of the layer, lowest first.
    pub(super) layers: BTreeMap<usize, Layer>,
}

/// What is expected of a layer, and where its parts go.
#[derive(Debug, Default)]
pub(super) struct Layer {
    pub(super) media_type: Option<String>,
    pub(super) blob: Option<PathBuf>,
    pub(super) metadata: Option<PathBuf>,
}

impl Parts {
    /// Says which of the flags for image `number` is missing.
    pub(super) fn check(&self, number: usize) -> Result<(), Failure> {
        let nowhere = Path::new("");
        for (flag, is_missing) in [
            ("--manifest", self.manifest == nowhere),
            ("--config", self.config == nowhere),
            ("--descriptor", self.descriptor == nowhere),
            ("--os", self.platform.os.is_empty()),
            ("--architecture", self.platform.architecture.is_empty()),
        ] {
            if is_missing {
                return Err(Failure::new(format!(
                    "{flag} is missing for image {number}"
                )));
            }
        }
        Ok(())
    }
}

/// Finds the entry for a platform; an entry that stands alone needs to say none.
pub(super) fn choose<'a>(
    entries: &'a [Descriptor],
    platform: &Platform,
) -> Result<&'a Descriptor, Failure> {
    let is_wanted = |entry: &&Descriptor| {
        entry
            .platform
            .as_ref()
            .is_some_and(|offered| platform.accepts(offered))
    };
    match (entries.iter().find(is_wanted), entries) {
        (Some(entry), _) | (None, [entry]) => Ok(entry),
        (None, _) => {
            let offered: Vec<_> = entries
                .iter()
                .filter_map(|entry| entry.platform.as_ref().map(ToString::to_string))
                .collect();
            let message = format!(
                "no entry of the layout is for {platform}; there are entries for {}",
                offered.join(", ")
            );
            Err(Failure::new(message))
        }
    }
}

/// Adds the parts of the image at `entry` to the outputs, and returns the image's descriptor.
pub(super) fn take_apart(
    context: &Context,
    layout: &OciLayout,
    entry: &Descriptor,
    parts: &Parts,
    outputs: &mut Outputs,
) -> Result<Object, Failure> {
    let source = layout.blobs();
    let bytes = source.read_all_blocking(entry, MAX_DOCUMENT)?;
    let manifest: Raw<Manifest> = Raw::parse(&bytes).explain(|| entry.digest.to_string())?;
    let bytes = source.read_all_blocking(&manifest.config, MAX_DOCUMENT)?;
    let config: Raw<Config> = Raw::parse(&bytes).explain(|| manifest.config.digest.to_string())?;
    check_platform(&config, &parts.platform)?;
    let metadata = layer_metadata(&manifest, &config, parts)?;

    outputs.add_bytes(context, &parts.manifest, manifest.bytes())?;
    outputs.add_bytes(context, &parts.config, config.bytes())?;
    for ((layer, places), metadata) in manifest
        .layers
        .iter()
        .zip(parts.layers.values())
        .zip(metadata)
    {
        if let Some(path) = &places.blob {
            let mut pending = Pending::create(context, path)?;
            io::copy(&mut source.open_blocking(layer)?, &mut pending)
                .explain(|| format!("layer {}", layer.digest))?;
            outputs.add(pending);
        }
        outputs.add_bytes_if(
            context,
            places.metadata.as_deref(),
            &metadata.to_json_bytes(),
        )?;
    }
    let mut descriptor = manifest.descriptor();
    descriptor.platform = Some(parts.platform.clone());
    let descriptor = descriptor.to_json();
    outputs.add_bytes(context, &parts.descriptor, &descriptor.to_compact())?;
    let digest = manifest.digest().to_string();
    outputs.add_bytes_if(context, parts.digest.as_deref(), digest.as_bytes())?;
    Ok(descriptor)
}

fn check_platform(config: &Config, wanted: &Platform) -> Result<(), Failure> {
    let found = config.platform();
    if (&found.os, &found.architecture) == (&wanted.os, &wanted.architecture) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the config is for {found} and not for {wanted}"
    )))
}

/// Checks that the layers are the expected ones, and says of each what the image knows.
fn layer_metadata(
    manifest: &Manifest,
    config: &Config,
    parts: &Parts,
) -> Result<Vec<LayerMetadata>, Failure> {
    let count = manifest.layers.len();
    let are_numbered = parts.layers.keys().copied().eq(0..parts.layers.len());
    if count == 0 {
        return Err(Failure::new("the image has no layers"));
    }
    if count != parts.layers.len() || !are_numbered {
        let numbers: Vec<_> = parts.layers.keys().map(ToString::to_string).collect();
        let named = match numbers.join(", ") {
            none if none.is_empty() => "no layer".to_owned(),
            some => format!("layers {some}"),
        };
        let plural = if count == 1 { "" } else { "s" };
        let message = format!("the image has {count} layer{plural}, and the flags name {named}");
        return Err(Failure::new(message).hint("number them from 0, the lowest"));
    }
    if config.diff_ids().len() != count {
        let message = format!(
            "the config has {} diff_ids for {count} layers",
            config.diff_ids().len()
        );
        return Err(Failure::new(message));
    }
    let missing = vec![vec![HistoryEntry::created_by(HISTORY_MISSING)]; count];
    let history = split_history(config.history(), count).unwrap_or(missing);
    let mut all = Vec::new();
    let layers = manifest.layers.iter().zip(config.diff_ids()).zip(history);
    for (((layer, diff_id), history), (number, expected)) in layers.zip(&parts.layers) {
        let wanted = expected.media_type.as_deref().map(MediaType::from);
        if wanted.as_ref() != Some(&layer.media_type) {
            let wanted = wanted.map_or_else(|| "nothing".to_owned(), |wanted| wanted.to_string());
            let message = format!(
                "layer {number} is {} where {wanted} is expected",
                layer.media_type
            );
            return Err(Failure::new(message));
        }
        let mut metadata = LayerMetadata::new(
            Some(*diff_id),
            layer.media_type.clone(),
            layer.digest,
            layer.size,
        );
        metadata.annotations.clone_from(&layer.annotations);
        metadata.history = history;
        all.push(metadata);
    }
    Ok(all)
}

/// Opens the layout that is to be taken apart. A sandbox links its files to where they are.
pub(super) fn open(context: &Context, path: &Path) -> Result<OciLayout, Failure> {
    let options = DirectoryOptions::default().with_outside_links(OutsideLinks::Follow);
    OciLayout::open_with(context.path(path), options)
        .explain(|| format!("{} is no OCI layout", path.display()))
}

/// The images of a layout; those of the index in it, when its first entry is one.
pub(super) fn entries(source: &OciLayout) -> Result<Vec<Descriptor>, Failure> {
    let index = source.index()?;
    let entries = index.descriptors();
    let Some(nested) = entries.first().filter(|entry| entry.media_type.is_index()) else {
        return Ok(entries.to_vec());
    };
    let bytes = source.blobs().read_all_blocking(nested, MAX_DOCUMENT)?;
    let nested: Raw<Index> = Raw::parse(&bytes).explain(|| nested.digest.to_string())?;
    Ok(nested.manifests.clone())
}
