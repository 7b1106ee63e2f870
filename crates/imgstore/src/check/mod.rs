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

use std::collections::{HashMap, HashSet};
use std::io::{self, Read};

use bytes::Bytes;
use imgcore::check::{
    Fault, ImageParts, Measured, Mismatch, check_document, check_image, check_index,
};
use imgcore::document::{Config, Document, Manifest, Nesting, Raw};
use imgcore::media_type::Compression;
use imgcore::{Algorithm, Descriptor, DiffId, Digest, Hasher};
use imgtar::{Codec, DecodeLimits, Decoder, Reader};

use crate::blocking::{BlobReader, block_on};
use crate::transfer::for_each_chunk;
use crate::{
    BlobSource, BlobSourceExt, Error, ErrorKind, MAX_DOCUMENT, Presence, Result, UnverifiedStream,
};

/// More documents than any image has that was not made to hurt.
const MAX_DOCUMENTS: usize = 10_000;

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
}

/// Checks everything that `roots` lead to, on the calling thread. Each root comes with what mismatches call it.
///
/// Every document is read, and every layer once through its digest, its decoder and a strict tar reader. Nothing stops
/// the check: what cannot be read is listed, and it goes on with the rest.
pub fn check(source: &(impl BlobSource + ?Sized), roots: &[(String, Descriptor)]) -> Report {
    let mut checker = Checker {
        source,
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
    report: Report,
    seen: HashSet<Digest>,
    /// Layers that several images share are read once.
    measured: HashMap<(Digest, Option<Algorithm>), Option<Measured>>,
}

impl<S: BlobSource + ?Sized> Checker<'_, S> {
    fn visit(&mut self, place: &str, descriptor: &Descriptor, nesting: Option<&Nesting>) {
        let nesting = match nesting {
            Some(way) if descriptor.media_type.is_index() => match way.enter(descriptor.digest) {
                Ok(way) => way,
                Err(error) => return self.unreadable(place, error.into()),
            },
            Some(way) => way.clone(),
            None => Nesting::new(descriptor.digest),
        };
        if !self.seen.insert(descriptor.digest) {
            return;
        }
        if self.seen.len() > MAX_DOCUMENTS {
            let text = format!("there are more than {MAX_DOCUMENTS} documents");
            return self.unreadable(place, Error::too_large(text));
        }
        let bytes = match self.document(descriptor) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return self.fault(place, Fault::Missing),
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
        let layers = manifest.layers.iter().enumerate().map(|(position, layer)| {
            let diff_id = parsed.as_ref().and_then(|it| it.diff_ids().get(position));
            let algorithm = diff_id.map_or(Algorithm::Sha256, DiffId::algorithm);
            let place = format!("{place}: layer {position}");
            self.layer(&place, layer, algorithm)
        });
        let layers: Vec<_> = layers.collect();
        let parts = ImageParts::new(manifest)
            .with_descriptor(descriptor)
            .with_config(config.as_deref())
            .with_layers(layers);
        self.report.mismatches.extend(check_image(place, &parts));
    }

    /// Measures a layer, or another blob that a manifest lists.
    fn layer(&mut self, place: &str, layer: &Descriptor, algorithm: Algorithm) -> Option<Measured> {
        let algorithm = layer.media_type.is_layer().then_some(algorithm);
        if let Some(known) = self.measured.get(&(layer.digest, algorithm)) {
            return *known;
        }
        let measured = match self.measure(place, layer, algorithm) {
            Ok(measured) => measured,
            Err(error) => {
                self.unreadable(place, error);
                // What is there and cannot be read is not missing: nothing more is known than its name.
                Some(Measured::new(layer.digest, layer.size))
            }
        };
        if let Some(measured) = &measured {
            self.report.layers += 1;
            self.report.layer_bytes += measured.size;
        }
        self.measured.insert((layer.digest, algorithm), measured);
        measured
    }

    fn measure(
        &mut self,
        place: &str,
        layer: &Descriptor,
        algorithm: Option<Algorithm>,
    ) -> Result<Option<Measured>> {
        let Some(mut reader) = self.raw(layer)? else {
            return Ok(None);
        };
        let Some(algorithm) = algorithm else {
            let mut blob = Counted::new(&mut reader, layer.digest.algorithm());
            drain(&mut blob)?;
            return Ok(Some(Measured::new(blob.hasher.finish(), blob.size)));
        };
        let measured = measure_layer(&mut reader, layer.digest.algorithm(), algorithm);
        if let Ok((measured, tar_error)) = measured {
            if let Some(error) = tar_error {
                self.unreadable(place, error);
            }
            return Ok(Some(measured));
        }
        // What cannot be decompressed still has a size and a digest.
        if let Err(error) = measured {
            self.unreadable(place, error);
        }
        self.measure(place, layer, None)
    }

    /// Reads a document as it is, whatever its digest; `None` when it is not there.
    fn document(&self, descriptor: &Descriptor) -> Result<Option<Bytes>> {
        if let Some(data) = &descriptor.data {
            return Ok(Some(Bytes::copy_from_slice(data)));
        }
        let Some(reader) = self.raw(descriptor)? else {
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

    /// Opens all bytes that the source has, right or wrong; `None` when it has none.
    fn raw(&self, descriptor: &Descriptor) -> Result<Option<BlobReader<UnverifiedStream>>> {
        block_on(async {
            let mut actual = descriptor.clone();
            match self.source.stat_one(&descriptor.digest).await? {
                Presence::Absent => return Ok(None),
                Presence::Present { size } => actual.size = size,
                Presence::Unknown => {}
            }
            match self.source.open_range(&actual, 0..actual.size).await {
                Ok(stream) => Ok(Some(BlobReader::new(stream))),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
    }

    fn unreadable(&mut self, place: &str, error: Error) {
        self.fault(place, Fault::Unreadable(Box::new(error)));
    }

    fn fault(&mut self, place: &str, fault: Fault) {
        self.report.mismatches.push(Mismatch::new(place, fault));
    }
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
    let mut reader = Reader::new(content);
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
