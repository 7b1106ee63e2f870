//! OCI image layouts: directories with a marker, an index and blobs ([OCI image-spec, image-layout.md][spec]).
//!
//! [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md

mod index;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use futures_core::future::BoxFuture;
use imgcore::json::{self, Value};
use imgcore::{Descriptor, Digest};

use crate::directory;
use crate::{
    Begin, BlobSink, DirectoryOptions, DirectoryStore, Error, ErrorKind, LocalSource, RawReader,
    Result, sys,
};

pub use index::{CONTAINERD_NAME, LayoutIndex, REF_NAME, Selector};
pub(crate) use index::{descriptor_json, index_of, name_annotations};

/// The largest document that is read from a layout or archive, in bytes.
pub const MAX_DOCUMENT: u64 = 8 * 1024 * 1024;

/// The name of the marker file.
pub(crate) const MARKER: &str = "oci-layout";
/// The name of the index file.
pub(crate) const INDEX: &str = "index.json";
/// What we write into the marker file.
pub const MARKER_CONTENT: &[u8] = b"{\n  \"imageLayoutVersion\": \"1.0.0\"\n}";

/// A directory in the OCI image layout: blobs, and an index that names images.
///
/// # Examples
///
/// ```
/// use imgcore::{Descriptor, MediaType};
/// use imgstore::{OciLayout, Selector};
///
/// let directory = tempfile::tempdir()?;
/// let layout = OciLayout::create(directory.path().join("image"))?;
/// let manifest = b"{}";
/// layout.blobs().insert(manifest)?;
/// let descriptor = Descriptor::of(MediaType::OCI_MANIFEST, manifest);
/// layout.add(&descriptor, Some("v1"))?;
///
/// let found = layout.index()?.select(&Selector::Tag("v1".into()))?.to_vec();
/// assert_eq!(found[0].digest, descriptor.digest);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Concurrency
///
/// Any number of processes may read and write a layout at once. Blobs are independent; changes of the index happen
/// one after the other under a lock of the directory, and each replaces the file by a rename.
#[derive(Clone, Debug)]
pub struct OciLayout {
    root: PathBuf,
    blobs: DirectoryStore,
}

impl OciLayout {
    /// Makes a layout, and the directories above it; one that is there is opened, and keeps what it has.
    ///
    /// # Errors
    ///
    /// When files cannot be made, and those of [`open`](Self::open) for what is there.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        DirectoryStore::create(root.join("blobs"))?;
        let layout = Self::at(root)?;
        let _lock = layout.lock()?;
        if !layout.root.join(INDEX).exists() {
            layout.replace(INDEX, &LayoutIndex::default().to_bytes())?;
        }
        // The marker comes last: a layout that has it is whole.
        if layout.root.join(MARKER).exists() {
            layout.check_marker()?;
        } else {
            layout.replace(MARKER, MARKER_CONTENT)?;
        }
        Ok(layout)
    }

    /// Opens a layout with default options.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when it is not there, [`ErrorKind::Malformed`] when its marker does not name a version
    /// that this crate knows.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        Self::open_with(root, DirectoryOptions::default())
    }

    /// Opens a layout. The options decide already about its marker, which may be a symbolic link as well.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and [`ErrorKind::Denied`] for a marker that is a link to somewhere else, unless
    /// [`OutsideLinks::Follow`](crate::OutsideLinks::Follow) is among the options.
    pub fn open_with(root: impl Into<PathBuf>, options: DirectoryOptions) -> Result<Self> {
        let root = root.into();
        if root.is_dir() && !root.join(MARKER).exists() {
            let text = format!(
                "{} is no image layout: it has no file {MARKER}",
                root.display()
            );
            return Err(Error::malformed(text));
        }
        let layout = Self::at(root)?.with_options(options);
        layout.check_marker()?;
        Ok(layout)
    }

    fn at(root: PathBuf) -> Result<Self> {
        let blobs = DirectoryStore::open(root.join("blobs"))?.with_boundary(root.clone());
        Ok(Self { root, blobs })
    }

    /// Changes how the directory is read and written.
    #[must_use]
    pub fn with_options(mut self, options: DirectoryOptions) -> Self {
        self.blobs = self.blobs.with_options(options);
        self
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the store of the blobs.
    pub fn blobs(&self) -> &DirectoryStore {
        &self.blobs
    }

    /// Reads the index.
    ///
    /// # Errors
    ///
    /// When it cannot be read, is too large, or is no index.
    pub fn index(&self) -> Result<LayoutIndex> {
        LayoutIndex::parse(&self.document(INDEX)?).map_err(|error| error.at(self.place()))
    }

    /// Adds an image to the index. With a name, it replaces the image that has that name.
    ///
    /// The blob must be there: an index never names what is missing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when the blob is missing, and that the index cannot be read or written.
    pub fn add(&self, descriptor: &Descriptor, name: Option<&str>) -> Result<()> {
        if self.size_of(&descriptor.digest)?.is_none() {
            return Err(Error::not_found(&descriptor.digest, self.place()));
        }
        self.change_index(|index| {
            index.add(descriptor, name);
            true
        })
    }

    /// Makes an image the only one in the index that has no name. Blobs stay.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn set_unnamed(&self, descriptor: &Descriptor) -> Result<()> {
        if self.size_of(&descriptor.digest)?.is_none() {
            return Err(Error::not_found(&descriptor.digest, self.place()));
        }
        self.change_index(|index| {
            index.remove_unnamed();
            index.add(descriptor, None);
            true
        })
    }

    /// Removes a name from the index. Returns whether it was there. Blobs stay.
    ///
    /// # Errors
    ///
    /// When the index cannot be read or written.
    pub fn remove(&self, name: &str) -> Result<bool> {
        let mut found = false;
        self.change_index(|index| {
            found = index.remove(name);
            found
        })?;
        Ok(found)
    }

    /// Replaces the index by these very bytes.
    ///
    /// # Errors
    ///
    /// When they are no index, or cannot be written.
    pub fn set_index(&self, bytes: &[u8]) -> Result<()> {
        LayoutIndex::parse(bytes)?;
        let _lock = self.lock()?;
        self.replace(INDEX, bytes)
    }

    /// Removes what writers left that were killed, and returns how many files that were.
    ///
    /// # Errors
    ///
    /// When the directories cannot be read or a file not be removed.
    pub fn remove_leftovers(&self) -> Result<usize> {
        Ok(self.blobs.remove_leftovers()? + directory::remove_leftovers(&self.root)?)
    }

    fn change_index(&self, change: impl FnOnce(&mut LayoutIndex) -> bool) -> Result<()> {
        let _lock = self.lock()?;
        let mut index = self.index()?;
        if change(&mut index) {
            self.replace(INDEX, &index.to_bytes())?;
        }
        Ok(())
    }

    fn lock(&self) -> Result<sys::DirectoryLock> {
        sys::lock_directory(&self.root)
            .map_err(|error| Error::from_io(format!("locking {}", self.place()), error))
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let written = directory::create_claimed(&self.root).and_then(|mut file| {
            file.write_all(bytes)?;
            let durability = self.blobs.options().durability;
            directory::move_into_place(file, &self.root.join(name), durability)
        });
        written
            .map_err(|error| Error::from_io(format!("writing {name} of {}", self.place()), error))
    }

    fn check_marker(&self) -> Result<()> {
        check_marker(&self.document(MARKER)?)
            .map_err(|error| error.at(format_args!("{MARKER} of {}", self.place())))
    }

    fn document(&self, name: &str) -> Result<Vec<u8>> {
        read_document(&self.blobs, &self.root, name)
    }
}

/// Reads a file beside the blobs that no digest names.
pub(crate) fn read_document(blobs: &DirectoryStore, root: &Path, name: &str) -> Result<Vec<u8>> {
    let what = || format!("reading {name} of {}", root.display());
    let read = || -> io::Result<Vec<u8>> {
        let path = root.join(name);
        blobs.refuse_outside_link(&path)?;
        if !fs_err::metadata(&path)?.is_file() {
            let text = format!("{} is no regular file", path.display());
            return Err(Error::malformed(text).into());
        }
        let mut bytes = Vec::new();
        let file = fs_err::File::open(&path)?;
        file.take(MAX_DOCUMENT + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|error| Error::from_io(what(), error))?;
    if bytes.len() as u64 > MAX_DOCUMENT {
        let text = format!("{}: more than {MAX_DOCUMENT} bytes", what());
        return Err(Error::too_large(text));
    }
    Ok(bytes)
}

/// Checks the content of a marker file. Any version 1 is read: the specification promises that they stay readable.
pub(crate) fn check_marker(bytes: &[u8]) -> Result<()> {
    let marker = Value::parse(bytes, &json::Limits::default())?.as_object();
    let version = marker
        .as_ref()
        .and_then(|marker| marker.get("imageLayoutVersion"));
    let version = version.and_then(Value::as_str).unwrap_or_default();
    if version == "1" || version.starts_with("1.") {
        return Ok(());
    }
    let text = format!("the image layout version is {version:?} and must be \"1.0.0\"");
    Err(Error::new(ErrorKind::Malformed, text))
}

impl LocalSource for OciLayout {
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>> {
        self.blobs.size_of(digest)
    }

    fn open_raw(&self, digest: &Digest, offset: u64) -> Result<Option<RawReader>> {
        self.blobs.open_raw(digest, offset)
    }

    fn path_of(&self, digest: &Digest) -> Option<PathBuf> {
        self.blobs.path_of(digest)
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

impl BlobSink for OciLayout {
    fn writer<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<Begin>> {
        self.blobs.writer(descriptor)
    }
}

#[cfg(test)]
mod tests;
