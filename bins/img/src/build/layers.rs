//! Writing layers: each one once, however many platforms have it.

use std::collections::HashMap;

use imgcore::{HistoryEntry, LayerMetadata};
use imglayer::encode::Threads;
use imglayer::estargz::EstargzOptions;
use imglayer::{
    Codec, EncodeOptions, Hardlinks, LayerFormat, LayerPath, MetadataPatch, ModePolicy, Plan,
    PlanBuilder, PlanOptions, write_layer_as,
};
use imgstore::DirectoryStore;

use super::file::{Compression, Level};
use super::resolve::{Content, Entry, ResolvedLayer};
use crate::context::Context;
use crate::report::Failure;

/// The layers of a build that are written already.
#[derive(Debug)]
pub(crate) struct Layers<'a> {
    context: &'a Context,
    store: &'a DirectoryStore,
    /// When the image was made, for its history.
    created: Option<&'a str>,
    written: HashMap<ResolvedLayer, LayerMetadata>,
    threads: Threads,
}

impl<'a> Layers<'a> {
    /// Starts without layers; the blobs go into `store`.
    pub(crate) fn new(
        context: &'a Context,
        store: &'a DirectoryStore,
        created: Option<&'a str>,
    ) -> Self {
        Self {
            context,
            store,
            created,
            written: HashMap::new(),
            threads: (context.threads().cloned())
                .unwrap_or_else(|| Threads::new(EncodeOptions::default().threads)),
        }
    }

    /// Writes a layer, unless an equal one was written.
    ///
    /// # Errors
    ///
    /// Fails if the sources cannot be read or change meanwhile, or the blob cannot be written.
    pub(crate) fn write(&mut self, layer: ResolvedLayer) -> Result<LayerMetadata, Failure> {
        self.context.check_not_cancelled()?;
        if let Some(metadata) = self.written.get(&layer) {
            return Ok(metadata.clone());
        }
        let metadata = self
            .write_new(&layer)
            .map_err(|failure| failure.in_front(&layer.title))?;
        self.written.insert(layer, metadata.clone());
        Ok(metadata)
    }

    fn write_new(&self, layer: &ResolvedLayer) -> Result<LayerMetadata, Failure> {
        let plan = plan(layer)?;
        for warning in plan.warnings() {
            let title = &layer.title;
            self.context.report.warn(format_args!("{title}: {warning}"));
        }
        let staged = self.store.stage()?;
        let mut options = encoding(layer);
        options.shared_threads = Some(self.threads.clone());
        let (written, staged) = write_layer_as(&plan, &format(layer)?, &options, staged)?;
        for path in &written.bare_directories {
            let title = &layer.title;
            self.context.report.warn(format_args!(
                "{title}: prioritized_files: {path} is a directory, and nothing of what is in it is on the list"
            ));
        }
        let mut metadata = written.metadata;
        staged.commit(&metadata.digest, metadata.size)?;
        let mut step = HistoryEntry::default();
        step.created = self.created.map(str::to_owned);
        step.created_by = Some(format!("img build: {}", layer.name));
        metadata.history.push(step);
        Ok(metadata)
    }
}

fn format(layer: &ResolvedLayer) -> Result<LayerFormat, imglayer::Error> {
    let Some(prioritized) = &layer.estargz else {
        return Ok(LayerFormat::Plain);
    };
    let mut options = EstargzOptions::default();
    for path in prioritized {
        options.prioritized_files.push(LayerPath::parse(path)?);
    }
    Ok(LayerFormat::Estargz(options))
}

fn encoding(layer: &ResolvedLayer) -> EncodeOptions {
    let mut options = EncodeOptions::default();
    options.codec = match layer.compression {
        Compression::Gzip => Codec::Gzip,
        Compression::None => Codec::None,
        Compression::Zstd => Codec::Zstd,
    };
    options.level = match layer.level {
        Level::Best => imglayer::Level::Best,
        Level::Default => imglayer::Level::Default,
        Level::Fast => imglayer::Level::Fast,
    };
    options
}

fn plan(layer: &ResolvedLayer) -> Result<Plan, imglayer::Error> {
    let mut options = PlanOptions::default();
    options.default_metadata.uid = Some(layer.owner.user);
    options.default_metadata.gid = Some(layer.owner.group);
    if !layer.hard_links {
        options.hardlinks = Hardlinks::Off;
    }
    if layer.preserve_modes {
        options.modes = ModePolicy::Preserve;
    }
    let mut builder = PlanBuilder::new(options);
    for entry in &layer.entries {
        let path = LayerPath::parse(&entry.path)?;
        match &entry.content {
            Content::Bytes(bytes) => builder.bytes(path, bytes.clone())?,
            Content::Directory => builder.directory(path)?,
            Content::File(source) => builder.file(path, source)?,
            Content::Removed => builder.whiteout(&path)?,
            Content::Symlink(target) => builder.symlink(path, target.clone())?,
        };
        if let Some(patch) = patch(layer, entry) {
            builder.metadata_of_last(&patch)?;
        }
    }
    builder.finish()
}

/// What an entry has that the layer's defaults do not say.
fn patch(layer: &ResolvedLayer, entry: &Entry) -> Option<MetadataPatch> {
    if entry.content == Content::Removed {
        return None;
    }
    let mut patch = MetadataPatch::default();
    patch.mode = entry.mode;
    if entry.owner != layer.owner {
        patch.uid = Some(entry.owner.user);
        patch.gid = Some(entry.owner.group);
    }
    Some(patch).filter(|patch| !patch.is_empty())
}
