//! The files of an image, before they are written.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use imgcore::digest::VerifyingReader;
use imgcore::{Descriptor, Digest};
use imgtar::{END_OF_ARCHIVE, Header, padding};

use super::{DOCKER_MANIFEST, SPARSE_MARKER, SPARSE_ROOT, output};
use crate::layout::{INDEX, MARKER, MARKER_CONTENT, descriptor_json};
use crate::transfer::transfer;
use crate::{BlobSource, Error, ErrorKind, Placement, Result, blocking};

/// The files of an image: gathered first, then written as a tar stream or a directory.
///
/// # Examples
///
/// ```
/// use imgcore::{Descriptor, MediaType};
/// use imgstore::archive::{Export, layout_index};
///
/// let manifest = br#"{"schemaVersion":2}"#;
/// let descriptor = Descriptor::of(MediaType::OCI_MANIFEST, manifest);
/// let mut export = Export::oci(layout_index(&[descriptor]));
/// export.document(manifest);
/// let archive = export.write_tar(Vec::new())?;
/// assert_eq!(archive.len() % 512, 0);
/// # Ok::<(), imgstore::Error>(())
/// ```
///
/// # Determinism
///
/// The bytes depend on what was added and not on its order: directories, then the documents at the top, then the
/// blobs by path; modes 0755 and 0644, owner 0, no names, the epoch; two zero blocks at the end.
#[derive(Clone, Debug)]
pub struct Export {
    /// Files at the top, in the order in which an archive has them.
    documents: Vec<(&'static str, Vec<u8>)>,
    /// Files below `blobs`, by their whole path.
    blobs: BTreeMap<String, Item>,
}

/// Where the bytes of a blob are.
#[derive(Clone)]
#[non_exhaustive]
pub enum Content {
    /// In memory.
    Bytes(Bytes),
    /// In a file.
    File(PathBuf),
    /// In a store.
    Store(std::sync::Arc<dyn BlobSource>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({})", bytes.len()),
            Self::File(path) => write!(f, "File({})", path.display()),
            Self::Store(_) => f.write_str("Store"),
        }
    }
}

#[derive(Clone, Debug)]
struct Item {
    descriptor: Descriptor,
    content: Content,
}

impl Export {
    /// Starts an OCI layout with this `index.json`.
    pub fn oci(index: Vec<u8>) -> Self {
        Self::new(vec![(MARKER, MARKER_CONTENT.to_vec()), (INDEX, index)])
    }

    /// Starts a Docker archive with this `index.json` and `manifest.json`.
    pub fn docker(index: Vec<u8>, manifest: Vec<u8>) -> Self {
        let mut export = Self::oci(index);
        export.documents.push((DOCKER_MANIFEST, manifest));
        export
    }

    /// Starts a sparse layout of the image that `root` describes.
    pub fn sparse(root: &Descriptor) -> Self {
        let mut plain = Descriptor::new(root.media_type.clone(), root.digest, root.size);
        plain.artifact_type = None;
        Self::new(vec![
            (SPARSE_MARKER, MARKER_CONTENT.to_vec()),
            (SPARSE_ROOT, descriptor_json(&plain).to_indented()),
        ])
    }

    fn new(documents: Vec<(&'static str, Vec<u8>)>) -> Self {
        Self {
            documents,
            blobs: BTreeMap::new(),
        }
    }

    /// Adds a document as a blob, and returns its digest.
    pub fn document(&mut self, bytes: &[u8]) -> Digest {
        let descriptor = Descriptor::of(imgcore::MediaType::OCI_EMPTY, bytes);
        let content = Content::Bytes(Bytes::copy_from_slice(bytes));
        self.blob(&descriptor, content);
        descriptor.digest
    }

    /// Adds a blob. One that was added before stays as it is.
    pub fn blob(&mut self, descriptor: &Descriptor, content: Content) {
        let path = blob_path(&descriptor.digest);
        self.blobs.entry(path).or_insert_with(|| Item {
            descriptor: descriptor.clone(),
            content,
        });
    }

    /// Adds what a sparse layout says about a layer that it does not have.
    pub fn layer_note(&mut self, layer: &Descriptor) {
        let mut note = imgcore::json::Object::new();
        let full = layer.to_json();
        for key in ["mediaType", "digest", "size", "annotations"] {
            if let Some(value) = full.get(key) {
                note.set(key, value.clone());
            }
        }
        let bytes = note.to_indented();
        let path = format!("{}.descriptor.json", blob_path(&layer.digest));
        self.blobs.entry(path).or_insert_with(|| Item {
            descriptor: Descriptor::of(imgcore::MediaType::OCI_EMPTY, &bytes),
            content: Content::Bytes(bytes.into()),
        });
    }

    /// Writes a tar archive. Every blob is checked against its size and digest on the way.
    ///
    /// # Errors
    ///
    /// Those of `out`, and of a blob that is missing or another one: the archive is then unusable, and `out` is lost.
    pub fn write_tar<W: Write>(&self, out: W) -> Result<W> {
        let mut tar = TarStream { out };
        for directory in self.directories() {
            tar.header(&Header::directory(format!("{directory}/")))?;
        }
        for (name, bytes) in &self.documents {
            tar.file(name, bytes.len() as u64, bytes.as_slice(), name)?;
        }
        for (path, item) in &self.blobs {
            let reader = item.open()?;
            tar.file(path, item.descriptor.size, reader, &item.name())?;
        }
        tar.finish()
    }

    /// Writes a directory, which must be absent or empty. Every blob is checked against its size and digest.
    ///
    /// After an error the directory is as it was before. The marker file is written last: a directory that has it is
    /// whole. `placement` says how blobs are made of files; documents are always written.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when the directory is not empty, those of the file system, and of a blob that is
    /// missing or another one.
    pub fn write_directory(&self, root: &Path, placement: Placement) -> Result<()> {
        let fresh = output::FreshDirectory::claim(root)?;
        for directory in self.directories() {
            fresh.make_directory(&directory)?;
        }
        for (path, item) in &self.blobs {
            match &item.content {
                Content::File(file) => fresh.place(path, &item.descriptor, file, placement)?,
                _ => fresh.write(path, item.open()?)?,
            }
        }
        for (name, bytes) in self.documents.iter().rev() {
            fresh.write(name, bytes.as_slice())?;
        }
        fresh.keep();
        Ok(())
    }

    /// Returns the directories, parents first: `blobs` and one for each algorithm, `sha256` always.
    fn directories(&self) -> Vec<String> {
        let parents = self.blobs.keys().filter_map(|path| path.rsplit_once('/'));
        let mut directories: Vec<_> = parents.map(|(parent, _)| parent.to_owned()).collect();
        directories.extend(["blobs".to_owned(), "blobs/sha256".to_owned()]);
        directories.sort();
        directories.dedup();
        directories
    }
}

impl Item {
    /// Names the blob in error messages, with its file where it has one.
    fn name(&self) -> String {
        match &self.content {
            Content::File(path) => format!("{} as {}", path.display(), self.descriptor.digest),
            Content::Bytes(_) | Content::Store(_) => self.descriptor.digest.to_string(),
        }
    }

    /// Opens the bytes, which are checked while they are read.
    fn open(&self) -> Result<Box<dyn Read + '_>> {
        let (digest, size) = (self.descriptor.digest, self.descriptor.size);
        Ok(match &self.content {
            Content::Bytes(bytes) => Box::new(VerifyingReader::new(bytes.as_ref(), digest, size)),
            Content::File(path) => {
                let opening = |error| Error::from_io(format!("packing {}", self.name()), error);
                let file = fs_err::File::open(path).map_err(opening)?;
                Box::new(VerifyingReader::new(file, digest, size))
            }
            Content::Store(store) => Box::new(blocking::open(store, &self.descriptor)?),
        })
    }
}

fn blob_path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// A tar archive on its way out.
struct TarStream<W> {
    out: W,
}

impl<W: Write> TarStream<W> {
    fn header(&mut self, header: &Header) -> Result<()> {
        let mut blocks = Vec::new();
        header
            .encode(&mut blocks)
            .map_err(|error| Error::new(ErrorKind::InvalidInput, error.to_string()))?;
        self.write(&blocks)
    }

    /// Writes a file. The reader checks its own length, so the archive has what the header announced or fails.
    fn file(&mut self, path: &str, size: u64, mut content: impl Read, name: &str) -> Result<()> {
        self.header(&Header::file(path, size))?;
        let written = transfer(&mut content, &mut self.out)
            .map_err(|error| Error::from_io(format!("packing {name}"), error))?;
        if written != size {
            let text = format!("{name} has {written} bytes instead of {size}");
            return Err(Error::new(ErrorKind::Io, text));
        }
        self.write(&END_OF_ARCHIVE[..padding(size)])
    }

    fn finish(mut self) -> Result<W> {
        self.write(&END_OF_ARCHIVE)?;
        let flushed = self.out.flush();
        flushed.map_err(|error| Error::from_io("writing an archive", error))?;
        Ok(self.out)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.out.write_all(bytes);
        written.map_err(|error| Error::from_io("writing an archive", error))
    }
}
