//! Archives as stores: their blobs are read where they lie.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use imgcore::document::{Config, Raw};
use imgcore::{Algorithm, Descriptor, Digest, MediaType};
use imgtar::{Codec, DecodeLimits, Decoder};

use super::image::ArchiveLimits;
use super::index::{ArchiveFile, ArchiveIndex, Span};
use super::old::{OldImage, OldLayer, manifest_json, missing, parse_manifest, with_tags};
use super::{DOCKER_MANIFEST, layout_index};
use crate::layout::{INDEX, MARKER, MAX_DOCUMENT, check_marker};
use crate::transfer::transfer;
use crate::{Error, LayoutIndex, LocalSource, RawReader, Result};

/// How many times larger a compressed archive may become: the most that gzip can do.
const MAX_RATIO: u32 = 1_032;

/// The blobs of an archive, which are read where they lie in it.
#[derive(Clone, Debug)]
pub struct ArchiveStore {
    path: PathBuf,
    index: Arc<ArchiveIndex>,
    spans: HashMap<Digest, Span>,
    /// Manifests that the archive does not have.
    made: HashMap<Digest, Bytes>,
}

impl ArchiveStore {
    pub(super) fn open(path: &Path, limits: &ArchiveLimits) -> Result<(Self, LayoutIndex)> {
        let at = |error: Error| error.at(path.display());
        let file = uncompressed(path, limits).map_err(at)?;
        let index = ArchiveIndex::read(file, limits).map_err(at)?;
        let mut store = Self {
            path: path.to_owned(),
            spans: blobs_by_name(&index).map_err(at)?,
            index: Arc::new(index),
            made: HashMap::new(),
        };
        let entries = store.read_documents(limits).map_err(at)?;
        Ok((store, entries))
    }

    fn read_documents(&mut self, limits: &ArchiveLimits) -> Result<LayoutIndex> {
        if let Some(marker) = self.index.document(MARKER, MAX_DOCUMENT)?
            && let Some(index) = self.index.document(INDEX, MAX_DOCUMENT)?
        {
            check_marker(&marker).map_err(|error| error.at(MARKER))?;
            return LayoutIndex::parse(&index);
        }
        let Some(manifest) = self.index.document(DOCKER_MANIFEST, MAX_DOCUMENT)? else {
            let text = if self.index.find("repositories")?.is_some() {
                "it has no manifest.json: it was written by a Docker before 1.10; load and save it with a newer one"
            } else {
                "it has neither oci-layout and index.json nor manifest.json, so it is no image archive"
            };
            return Err(Error::malformed(text));
        };
        let mut entries = Vec::new();
        // Images share layers, and each is read once.
        let mut layers = HashMap::new();
        for image in parse_manifest(&manifest, limits)? {
            entries.extend(self.make_manifest(&image, &mut layers)?);
        }
        LayoutIndex::parse(&layout_index(&entries))
    }

    /// Makes the manifest of an image that has none, and returns one index entry a tag.
    fn make_manifest(
        &mut self,
        image: &OldImage,
        layers: &mut HashMap<(Span, Algorithm), OldLayer>,
    ) -> Result<Vec<Descriptor>> {
        let place = self.index.find(&image.config)?;
        let bytes = self.index.document(&image.config, MAX_DOCUMENT)?;
        let (Some(place), Some(bytes)) = (place, bytes) else {
            return Err(missing(&image.config));
        };
        let config =
            Raw::<Config>::parse(&bytes).map_err(|error| Error::from(error).at(&image.config))?;
        if config.diff_ids().len() != image.layers.len() {
            let text = format!(
                "{} lists {} layers and {DOCKER_MANIFEST} {}",
                image.config,
                config.diff_ids().len(),
                image.layers.len()
            );
            return Err(Error::malformed(text));
        }
        let mut listed = Vec::new();
        for (name, diff_id) in image.layers.iter().zip(config.diff_ids()) {
            let span = self.index.find(name)?.ok_or_else(|| missing(name))?;
            let layer = match layers.entry((span, diff_id.algorithm())) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(new) => new.insert(self.index.read_layer(name, span, diff_id)?),
            };
            if layer.diff_id != *diff_id {
                let found = layer.diff_id;
                let text = format!("{name} has the diff_id {found} and its config lists {diff_id}");
                return Err(Error::malformed(text));
            }
            self.spans.insert(layer.descriptor.digest, span);
            listed.push(layer.descriptor.clone());
        }
        let described = Descriptor::of(MediaType::OCI_CONFIG, &bytes);
        self.spans.insert(described.digest, place);
        let manifest = manifest_json(&described, &listed);
        let descriptor = Descriptor::of(MediaType::OCI_MANIFEST, &manifest);
        self.made.insert(descriptor.digest, manifest.into());
        Ok(with_tags(descriptor, &image.tags))
    }
}

impl LocalSource for ArchiveStore {
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>> {
        let made = self.made.get(digest).map(|bytes| bytes.len() as u64);
        Ok(made.or_else(|| self.spans.get(digest).map(|span| span.size)))
    }

    fn open_raw(&self, digest: &Digest, offset: u64) -> Result<Option<RawReader>> {
        if let Some(bytes) = self.made.get(digest) {
            let mut cursor = io::Cursor::new(bytes.clone());
            cursor.set_position(offset);
            return Ok(Some(Box::new(cursor)));
        }
        let Some(span) = self.spans.get(digest) else {
            return Ok(None);
        };
        let opened = self.index.open(*span, offset).map(Some);
        opened
            .map_err(|error| Error::from_io(format!("reading {digest} of {}", self.place()), error))
    }

    fn path_of(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }
}

/// Finds the blobs whose names are digests.
fn blobs_by_name(index: &ArchiveIndex) -> Result<HashMap<Digest, Span>> {
    let mut spans = HashMap::new();
    for name in index.names() {
        let Some((algorithm, hex)) = name
            .strip_prefix("blobs/")
            .and_then(|it| it.split_once('/'))
        else {
            continue;
        };
        if let Ok(digest) = format!("{algorithm}:{hex}").parse()
            && let Some(span) = index.find(name)?
        {
            spans.insert(digest, span);
        }
    }
    Ok(spans)
}

/// Returns a file with the archive's plain bytes: the archive, or a temporary copy of it.
fn uncompressed(path: &Path, limits: &ArchiveLimits) -> Result<ArchiveFile> {
    let file = fs_err::File::open(path).map_err(|error| Error::from_io("opening", error))?;
    let mut decode = DecodeLimits::default();
    decode.output = limits.decompressed;
    // Only zstd gets beyond, and only with what was made to.
    decode.ratio = Some(MAX_RATIO);
    let mut decoder = Decoder::new(file, decode)?;
    if decoder.codec() == Codec::None {
        return Ok(ArchiveFile {
            path: path.to_owned(),
            copy: None,
        });
    }
    let mut copied = || -> io::Result<tempfile::TempPath> {
        let mut copy = match &limits.spool {
            Some(directory) => tempfile::NamedTempFile::new_in(directory)?,
            None => tempfile::NamedTempFile::new()?,
        };
        transfer(&mut decoder, &mut copy)?;
        copy.flush()?;
        Ok(copy.into_temp_path())
    };
    let copy = copied().map_err(|error| Error::from_io("decompressing", error))?;
    Ok(ArchiveFile {
        path: copy.to_path_buf(),
        copy: Some(Arc::new(copy)),
    })
}
