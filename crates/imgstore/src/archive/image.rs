//! Images in files: a layout directory, or an archive of any generation.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use imgcore::digest::HashingReader;
use imgcore::document::{Config, Raw};
use imgcore::json::{self, Fields, Object, Strictness, Value};
use imgcore::{Algorithm, Descriptor, DiffId, Digest, Hasher, MediaType};
use imgtar::{Codec, DecodeLimits, Decoder};

use super::index::{ArchiveFile, ArchiveIndex, Span};
use super::{DOCKER_MANIFEST, SPARSE_MARKER, SPARSE_ROOT, layout_index};
use crate::layout::{INDEX, MARKER, MAX_DOCUMENT, check_marker, name_annotations, read_document};
use crate::transfer::{for_each_chunk, transfer};
use crate::{
    DirectoryOptions, DirectoryStore, Error, LayoutIndex, LocalSource, OciLayout, RawReader, Result,
};

/// How many times larger a compressed archive may become: the most that gzip can do.
const MAX_RATIO: u32 = 1_032;

/// How much is taken from an archive that nobody vouches for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ArchiveLimits {
    /// Headers of the archive, those that extend others among them. Default: 100,000.
    pub entries: u64,
    /// Bytes of all names and link targets of the archive, which are kept in memory. Default: 64 MiB.
    pub names: usize,
    /// Images of a Docker archive. Default: 1,000.
    pub images: usize,
    /// Layers of one image. Default: 1,000.
    pub layers: usize,
    /// Bytes of an archive that has to be decompressed to a temporary file. Default: 64 GiB.
    pub decompressed: u64,
    /// Where that file is made. Default: the system's directory for temporary files.
    pub spool: Option<PathBuf>,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self {
            entries: 100_000,
            names: 64 << 20,
            images: 1_000,
            layers: 1_000,
            decompressed: 64 << 30,
            spool: None,
        }
    }
}

/// Images on this machine: an OCI layout directory, or an archive. Its blobs are read through [`LocalSource`].
///
/// Read are OCI layouts as directory and as tar; sparse layouts as directory; Docker archives that are OCI layouts as well (Docker since 25, and
/// ours); and older ones, with `<id>/layer.tar` or `<hex>.tar` and a `manifest.json` (Docker before 25, Podman). An
/// archive as a whole may be compressed with gzip or zstd: it is then decompressed to a temporary file.
///
/// # Archives without manifests
///
/// The older generation has configs and layers, but no manifests. They are made: an OCI manifest of the config's and
/// the layers' digests, with the layer's type by its first bytes (`…layer.v1.tar`, `+gzip` or `+zstd`). Every layer is
/// read to learn its digest, and must have the `diff_id` that the config lists for it.
///
/// # Examples
///
/// ```no_run
/// use imgstore::archive::Image;
///
/// let image = Image::open("image.tar")?;
/// for (name, descriptor) in image.index().names() {
///     println!("{name} is {}", descriptor.digest);
/// }
/// # Ok::<(), imgstore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Image {
    index: LayoutIndex,
    store: Store,
}

#[derive(Clone, Debug)]
enum Store {
    Archive(ArchiveStore),
    Layout(OciLayout),
    Sparse(DirectoryStore),
}

impl Image {
    /// Opens a directory or an archive, whichever is there, with default limits.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) when there is nothing, [`Malformed`](crate::ErrorKind::Malformed) when it is neither, and
    /// [`TooLarge`](crate::ErrorKind::TooLarge) beyond the limits.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, DirectoryOptions::default(), &ArchiveLimits::default())
    }

    /// Opens a directory with `options` or an archive within `limits`, whichever is there.
    ///
    /// # Errors
    ///
    /// See [`open`](Self::open).
    pub fn open_with(
        path: impl AsRef<Path>,
        options: DirectoryOptions,
        limits: &ArchiveLimits,
    ) -> Result<Self> {
        let path = path.as_ref();
        let found = fs_err::metadata(path)
            .map_err(|error| Error::from_io(format!("opening {}", path.display()), error))?;
        if found.is_dir() && path.join(SPARSE_MARKER).exists() {
            return Self::open_sparse(path, options);
        }
        if found.is_dir() {
            let layout = OciLayout::open_with(path, options)?;
            return Ok(Self {
                index: layout.index()?,
                store: Store::Layout(layout),
            });
        }
        if !found.is_file() {
            let text = format!("{} is neither a directory nor a file", path.display());
            return Err(Error::malformed(text));
        }
        let (store, index) = ArchiveStore::open(path, limits)?;
        Ok(Self {
            index,
            store: Store::Archive(store),
        })
    }

    fn open_sparse(path: &Path, options: DirectoryOptions) -> Result<Self> {
        let blobs = DirectoryStore::open(path.join("blobs"))?
            .with_options(options)
            .with_boundary(path.to_owned());
        let read = |name: &str| read_document(&blobs, path, name);
        check_marker(&read(SPARSE_MARKER)?).map_err(|error| error.at(path.display()))?;
        let root = Value::parse(&read(SPARSE_ROOT)?, &json::Limits::default())?;
        let root = root.as_object().unwrap_or_default();
        let root = Descriptor::from_json(&root)
            .map_err(|error| Error::from(error).at(path.join(SPARSE_ROOT).display()))?;
        Ok(Self {
            index: LayoutIndex::parse(&layout_index(&[root]))?,
            store: Store::Sparse(blobs),
        })
    }

    /// Returns whether layers are left out by design: a sparse layout has documents alone.
    pub fn is_sparse(&self) -> bool {
        matches!(self.store, Store::Sparse(_))
    }

    /// Says whether there is an image at `path`, rather than a layer or something else, by the names of the files in
    /// it. An archive is read up to the first telling one.
    ///
    /// # Errors
    ///
    /// When it cannot be read or decompressed, or is no tar archive.
    pub fn is_at(path: impl AsRef<Path>) -> Result<bool> {
        let path = path.as_ref();
        let at = |error: Error| error.at(path.display());
        let opening = |error| Error::from_io(format!("opening {}", path.display()), error);
        if fs_err::metadata(path).map_err(opening)?.is_dir() {
            return Ok([MARKER, SPARSE_MARKER]
                .iter()
                .any(|it| path.join(it).exists()));
        }
        let file = fs_err::File::open(path).map_err(opening)?;
        let decoder = Decoder::new(io::BufReader::new(file), DecodeLimits::default());
        // It may be a layer, and some writers leave their end out.
        let mut tar_limits = imgtar::Limits::default();
        tar_limits.missing_end = true;
        let decoder = decoder.map_err(|error| at(error.into()))?;
        let mut reader = imgtar::Reader::with_limits(decoder, tar_limits);
        while let Some(entry) = reader.next_entry().map_err(|error| at(error.into()))? {
            let name = entry.header().path.as_slice();
            let name = name.strip_prefix(b"./").unwrap_or(name);
            if [MARKER, DOCKER_MANIFEST]
                .iter()
                .any(|it| it.as_bytes() == name)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns which images there are.
    pub fn index(&self) -> &LayoutIndex {
        &self.index
    }

    fn local(&self) -> &dyn LocalSource {
        match &self.store {
            Store::Archive(archive) => archive,
            Store::Layout(layout) => layout,
            Store::Sparse(blobs) => blobs,
        }
    }
}

impl LocalSource for Image {
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>> {
        self.local().size_of(digest)
    }

    fn open_raw(&self, digest: &Digest, offset: u64) -> Result<Option<RawReader>> {
        self.local().open_raw(digest, offset)
    }

    fn path_of(&self, digest: &Digest) -> Option<PathBuf> {
        self.local().path_of(digest)
    }

    fn place(&self) -> String {
        self.local().place()
    }
}

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
    fn open(path: &Path, limits: &ArchiveLimits) -> Result<(Self, LayoutIndex)> {
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

/// A layer of an archive without manifests.
struct OldLayer {
    descriptor: Descriptor,
    diff_id: DiffId,
}

impl ArchiveIndex {
    /// Reads a layer to learn its digests.
    fn read_layer(&self, name: &str, span: Span, expected: &DiffId) -> Result<OldLayer> {
        let reading = |error| Error::from_io(format!("reading {name}"), error);
        let raw = self.open(span, 0).map_err(reading)?;
        let mut hashing = HashingReader::new(raw);
        let mut decoder = Decoder::new(&mut hashing, DecodeLimits::default())?;
        let codec = decoder.codec();
        let mut hasher = Hasher::new(expected.algorithm());
        let hash = |chunk: &[u8]| {
            hasher.update(chunk);
            Ok(())
        };
        for_each_chunk(&mut decoder, hash).map_err(reading)?;
        // Padding behind the last member belongs to the blob as well.
        for_each_chunk(&mut hashing, |_| Ok(())).map_err(reading)?;
        let (digest, size, _) = hashing.finish();
        let media_type = match codec {
            Codec::Gzip => MediaType::OCI_LAYER_GZIP,
            Codec::Zstd => MediaType::OCI_LAYER_ZSTD,
            Codec::None => MediaType::OCI_LAYER_TAR,
        };
        Ok(OldLayer {
            descriptor: Descriptor::new(media_type, digest, size),
            diff_id: DiffId::from_hasher(hasher),
        })
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

/// One image of a `manifest.json`.
struct OldImage {
    config: String,
    layers: Vec<String>,
    tags: Vec<String>,
}

fn parse_manifest(bytes: &[u8], limits: &ArchiveLimits) -> Result<Vec<OldImage>> {
    let document = Value::parse(bytes, &json::Limits::default())
        .map_err(|error| Error::from(error).at(DOCKER_MANIFEST))?;
    let images = document
        .as_array()
        .ok_or_else(|| Error::malformed(format!("{DOCKER_MANIFEST} is no list")))?;
    if images.len() > limits.images {
        let text = format!("{DOCKER_MANIFEST} has {} images", images.len());
        return Err(Error::too_large(format!(
            "{text}, {} are allowed",
            limits.images
        )));
    }
    let images = images.iter().enumerate().map(|(place, image)| {
        let mut fields = Fields::of(image, format!("image {place} of {DOCKER_MANIFEST}"))?;
        let image = OldImage {
            config: fields.string("Config")?,
            layers: fields.strings("Layers")?,
            tags: fields.strings("RepoTags")?,
        };
        fields.finish(Strictness::Lenient)?;
        if image.layers.len() > limits.layers {
            let text = format!("image {place} has {} layers", image.layers.len());
            return Err(Error::too_large(format!(
                "{text}, {} are allowed",
                limits.layers
            )));
        }
        Ok(image)
    });
    images.collect()
}

fn manifest_json(config: &Descriptor, layers: &[Descriptor]) -> Vec<u8> {
    let mut manifest = Object::new();
    manifest.set("schemaVersion", 2_u64);
    manifest.set("mediaType", MediaType::OCI_MANIFEST.as_str());
    manifest.set("config", config.to_json());
    let layers: Value = layers
        .iter()
        .map(|layer| Value::from(layer.to_json()))
        .collect();
    manifest.set("layers", layers);
    manifest.to_compact()
}

fn with_tags(descriptor: Descriptor, tags: &[String]) -> Vec<Descriptor> {
    if tags.is_empty() {
        return vec![descriptor];
    }
    let named = tags.iter().map(|tag| {
        let mut named = descriptor.clone();
        named.annotations = name_annotations(tag, tag);
        named
    });
    named.collect()
}

fn missing(name: &str) -> Error {
    let text = format!("{DOCKER_MANIFEST} names {name:?}, which is not there");
    Error::malformed(text)
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
