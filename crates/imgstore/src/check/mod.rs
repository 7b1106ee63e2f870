//! Checking images in a store: everything that an image says about itself, against its bytes.
//!
//! ```
//! use imgcore::{Descriptor, MediaType};
//! use imgstore::{MemoryStore, check::check};
//!
//! let missing = Descriptor::of(MediaType::OCI_MANIFEST, b"{}");
//! let report = check(&MemoryStore::new(), &[("app:v1".to_owned(), missing)]);
//! assert_eq!(report.mismatches[0].to_string(), "app:v1: is missing");
//! ```
//!
//! What must hold is decided by [`imgcore::check`]; this module reads.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::io::{self, Read};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use imgcore::check::{
    Fault, ImageParts, Measured, Mismatch, check_document, check_image, check_index,
};
use imgcore::document::{Config, Document, Manifest, Nesting, Raw};
use imgcore::media_type::Compression;
use imgcore::{Algorithm, Descriptor, DiffId, Digest, Hasher, MediaType, Platform};
use imgtar::{Codec, DecodeLimits, Decoder, Limits, Reader};

use crate::blocking::{BlobReader, block_on};
use crate::transfer::for_each_chunk;
use crate::{
    BlobSource, BlobSourceExt, Error, ErrorKind, MAX_DOCUMENT, Presence, Result, UnverifiedStream,
};

/// More documents than any image has that was not made to hurt.
const MAX_DOCUMENTS: usize = 10_000;
/// Beyond these the disk decides.
const MAX_THREADS: usize = 8;

/// What a check found.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Everything that is wrong, image by image in their order.
    pub mismatches: Vec<Mismatch>,
    /// How many manifests were checked.
    pub images: usize,
    /// How many different layers were read.
    pub layers: usize,
    /// How many bytes of layers were read.
    pub layer_bytes: u64,
    /// How many of the mismatches are entries of an index whose document is not there.
    pub missing_entries: usize,
}

/// Checks everything that `roots` lead to, on the calling thread. Each root comes with what mismatches call it.
///
/// Every document is read, and every layer once through its digest, its decoder and a strict tar reader. Nothing stops
/// the check: what cannot be read is listed, and it goes on with the rest. The layers of an image are read by as many
/// threads as the machine has, up to eight; what is found, and its order, does not depend on them.
pub fn check(source: &(impl BlobSource + ?Sized), roots: &[(String, Descriptor)]) -> Report {
    run(source, roots, true)
}

/// Checks the documents that `roots` lead to. Layers are not read, and not missed: for sparse layouts.
pub fn check_documents(
    source: &(impl BlobSource + ?Sized),
    roots: &[(String, Descriptor)],
) -> Report {
    run(source, roots, false)
}

fn run(
    source: &(impl BlobSource + ?Sized),
    roots: &[(String, Descriptor)],
    layers: bool,
) -> Report {
    let mut checker = Checker {
        source,
        layers,
        report: Report::default(),
        seen: HashSet::new(),
        measured: HashMap::new(),
    };
    for (place, root) in roots {
        checker.visit(place, root, None);
    }
    checker.report
}

/// Reads a layer through its digest and its decoder.
///
/// Where it can be decompressed but is no tar archive that every reader understands in one way, the error comes beside
/// what was measured.
///
/// # Errors
///
/// When it cannot be read or decompressed.
pub fn measure_layer(
    reader: impl Read,
    digest: Algorithm,
    diff_id: Algorithm,
) -> Result<(Measured, Option<Error>)> {
    let mut blob = Counted::new(reader, digest);
    let mut decoder = Decoder::new(&mut blob, DecodeLimits::default())?;
    let compression = match decoder.codec() {
        Codec::Gzip => Compression::Gzip,
        Codec::None => Compression::None,
        Codec::Zstd => Compression::Zstd,
    };
    let mut content = Counted::new(&mut decoder, diff_id);
    let tar_error = read_entries(&mut content).err();
    // Whatever the tar reader left: the digests are of everything.
    if let Err(error) = drain(&mut content) {
        // The decoder told the tar reader why it failed, and says no more than that it did.
        return Err(tar_error.unwrap_or(error));
    }
    let diff_id = DiffId::from_hasher(content.hasher);
    drain(&mut blob)?;
    let measured = Measured::new(blob.hasher.finish(), blob.size);
    Ok((measured.with_content(diff_id, compression), tar_error))
}

struct Checker<'a, S: ?Sized> {
    source: &'a S,
    /// Whether layers are read.
    layers: bool,
    report: Report,
    seen: HashSet<Claim>,
    /// Layers that several images share are read once.
    measured: HashMap<(Digest, Option<Algorithm>), Option<Measured>>,
}

impl<S: BlobSource + ?Sized> Checker<'_, S> {
    fn visit(&mut self, place: &str, descriptor: &Descriptor, nesting: Option<&Nesting>) {
        let is_entry = nesting.is_some();
        let nesting = match nesting {
            Some(way) if descriptor.media_type.is_index() => match way.enter(descriptor.digest) {
                Ok(way) => way,
                Err(error) => return self.unreadable(place, error.into()),
            },
            Some(way) => way.clone(),
            None => Nesting::new(descriptor.digest),
        };
        if !self.seen.insert(Claim::of(descriptor)) {
            return;
        }
        if self.seen.len() > MAX_DOCUMENTS {
            let text = format!("there are more than {MAX_DOCUMENTS} documents");
            return self.unreadable(place, Error::too_large(text));
        }
        let bytes = match self.document(descriptor) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                self.report.missing_entries += usize::from(is_entry);
                return self.fault(place, Fault::Missing);
            }
            Err(error) => return self.unreadable(place, error),
        };
        let (document, mismatches) = check_document(place, descriptor, &bytes);
        self.report.mismatches.extend(mismatches);
        match document {
            None => {}
            Some(Document::Manifest(manifest)) => self.image(place, descriptor, &manifest),
            Some(Document::Index(index)) => {
                self.report.mismatches.extend(check_index(place, &index));
                for (position, entry) in index.manifests.iter().enumerate() {
                    // Entries that are no documents were told by `check_index`, if they are wrong at all.
                    if entry.media_type.is_manifest() || entry.media_type.is_index() {
                        self.visit(&format!("{place}: entry {position}"), entry, Some(&nesting));
                    }
                }
            }
        }
    }

    fn image(&mut self, place: &str, descriptor: &Descriptor, manifest: &Raw<Manifest>) {
        self.report.images += 1;
        let config = match self.document(&manifest.config) {
            Ok(config) => config,
            Err(error) => {
                self.unreadable(&format!("{place}: config"), error);
                None
            }
        };
        let parsed = config
            .as_ref()
            .and_then(|bytes| Raw::<Config>::parse(bytes).ok());
        let wanted = manifest.layers.iter().enumerate().map(|(position, layer)| {
            let diff_id = parsed.as_ref().and_then(|it| it.diff_ids().get(position));
            let algorithm = diff_id.map_or(Algorithm::Sha256, DiffId::algorithm);
            let is_layer = layer.media_type.is_layer();
            (layer, is_layer.then_some(algorithm))
        });
        let wanted: Vec<_> = wanted.collect();
        if self.layers {
            self.measure_new(place, &wanted);
        }
        let known = wanted.iter().map(|(layer, algorithm)| {
            let key = (layer.digest, *algorithm);
            // Of a layer that nobody asked about, what is said is believed.
            let said = (!self.layers).then(|| Measured::new(layer.digest, layer.size));
            self.measured.get(&key).copied().unwrap_or(said)
        });
        let layers: Vec<_> = known.collect();
        let parts = ImageParts::new(manifest)
            .with_descriptor(descriptor)
            .with_config(config.as_deref())
            .with_layers(layers);
        self.report.mismatches.extend(check_image(place, &parts));
    }

    /// Measures the layers that no image before had, side by side.
    fn measure_new(&mut self, place: &str, wanted: &[Wanted<'_>]) {
        let mut new: Vec<(usize, Wanted<'_>)> = Vec::new();
        for (position, (layer, algorithm)) in wanted.iter().enumerate() {
            let key = (layer.digest, *algorithm);
            if let Entry::Vacant(vacant) = self.measured.entry(key) {
                vacant.insert(None);
                new.push((position, (*layer, *algorithm)));
            }
        }
        let source = self.source;
        let found = side_by_side(&new, |(_, (layer, algorithm))| {
            measure(source, layer, *algorithm)
        });
        for ((position, (layer, algorithm)), (measured, errors)) in new.iter().zip(found) {
            for error in errors {
                self.unreadable(&format!("{place}: layer {position}"), error);
            }
            if let Some(measured) = &measured {
                self.report.layers += 1;
                self.report.layer_bytes += measured.size;
            }
            self.measured.insert((layer.digest, *algorithm), measured);
        }
    }

    /// Reads a document as it is, whatever its digest; `None` when it is not there.
    fn document(&self, descriptor: &Descriptor) -> Result<Option<Bytes>> {
        if let Some(data) = &descriptor.data {
            return Ok(Some(Bytes::copy_from_slice(data)));
        }
        let Some(reader) = raw(self.source, descriptor)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        let read = reader.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes);
        read.map_err(|error| Error::from_io(error.to_string(), error))?;
        if bytes.len() as u64 > MAX_DOCUMENT {
            let text = format!("it has more than {MAX_DOCUMENT} bytes");
            return Err(Error::too_large(text));
        }
        Ok(Some(bytes.into()))
    }

    fn unreadable(&mut self, place: &str, error: Error) {
        self.fault(place, Fault::Unreadable(Box::new(error)));
    }

    fn fault(&mut self, place: &str, fault: Fault) {
        self.report.mismatches.push(Mismatch::new(place, fault));
    }
}

/// What an entry says about a document. Two entries of one digest may differ in it, and then both are checked.
#[derive(PartialEq, Eq, Hash)]
struct Claim {
    digest: Digest,
    size: u64,
    media_type: MediaType,
    platform: Option<Platform>,
}

impl Claim {
    fn of(descriptor: &Descriptor) -> Self {
        Self {
            digest: descriptor.digest,
            size: descriptor.size,
            media_type: descriptor.media_type.clone(),
            platform: descriptor.platform.clone(),
        }
    }
}

/// A blob that a manifest lists, and the algorithm of its `diff_id` when it is a layer.
type Wanted<'a> = (&'a Descriptor, Option<Algorithm>);

/// Measures a blob. What is there and cannot be read is not missing: nothing more is known of it than its name.
fn measure(
    source: &(impl BlobSource + ?Sized),
    layer: &Descriptor,
    diff_id: Option<Algorithm>,
) -> (Option<Measured>, Vec<Error>) {
    let mut errors = Vec::new();
    let digest = layer.digest.algorithm();
    if let Some(diff_id) = diff_id {
        match raw(source, layer) {
            Ok(None) => return (None, errors),
            Ok(Some(reader)) => match measure_layer(reader, digest, diff_id) {
                Ok((measured, tar_error)) => {
                    errors.extend(tar_error);
                    return (Some(measured), errors);
                }
                // What cannot be decompressed still has a size and a digest.
                Err(error) => errors.push(error),
            },
            Err(error) => errors.push(error),
        }
    }
    let plain = raw(source, layer).and_then(|reader| {
        let Some(reader) = reader else {
            return Ok(None);
        };
        let mut blob = Counted::new(reader, digest);
        drain(&mut blob)?;
        Ok(Some(Measured::new(blob.hasher.finish(), blob.size)))
    });
    match plain {
        Ok(measured) => (measured, errors),
        Err(error) => {
            if errors.is_empty() {
                errors.push(error);
            }
            (Some(Measured::new(layer.digest, layer.size)), errors)
        }
    }
}

/// Opens all bytes that the source has, right or wrong; `None` when it has none.
fn raw(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
) -> Result<Option<BlobReader<UnverifiedStream>>> {
    block_on(async {
        let mut actual = descriptor.clone();
        match source.stat_one(&descriptor.digest).await? {
            Presence::Absent => return Ok(None),
            Presence::Present { size } => actual.size = size,
            Presence::Unknown => {}
        }
        match source.open_range(&actual, 0..actual.size).await {
            Ok(stream) => Ok(Some(BlobReader::new(stream))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    })
}

/// Does the same with every item on a few threads, and returns the results in the order of the items.
fn side_by_side<T: Sync, R: Send>(items: &[T], work: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let threads = threads.min(MAX_THREADS).min(items.len());
    if threads < 2 {
        return items.iter().map(work).collect();
    }
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(place) else {
                        return;
                    };
                    let result = work(item);
                    let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                    results.push((place, result));
                }
            });
        }
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Counts and hashes what is read through it.
struct Counted<R> {
    inner: R,
    hasher: Hasher,
    size: u64,
}

impl<R: Read> Counted<R> {
    fn new(inner: R, algorithm: Algorithm) -> Self {
        Self {
            inner,
            hasher: Hasher::new(algorithm),
            size: 0,
        }
    }
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        self.size += count as u64;
        Ok(count)
    }
}

fn read_entries(content: impl Read) -> Result<()> {
    // Some writers of layers leave the zero blocks out, and a cut is found by the digests.
    let mut limits = Limits::default();
    limits.missing_end = true;
    let mut reader = Reader::with_limits(content, limits);
    while reader.next_entry()?.is_some() {}
    Ok(())
}

fn drain(reader: &mut dyn Read) -> Result<()> {
    let drained = for_each_chunk(reader, |_| Ok(()));
    drained
        .map(|_| ())
        .map_err(|error| Error::from_io(error.to_string(), error))
}

#[cfg(test)]
mod tests;
