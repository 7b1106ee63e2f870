//! Blobs as files of a directory: `sha256/<hex>`, one file a blob.

pub(crate) mod place;
mod stage;

use std::future::ready;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use imgcore::{Descriptor, Digest};

use crate::{
    Begin, BlobSink, BlobWrite, Error, ErrorKind, Ingest, LocalSource, RawReader, Result, sys,
};

pub use place::{Placed, Placement};
pub use stage::StagedBlob;
use stage::StagedFile;
pub(crate) use stage::{LEFTOVER_PREFIX, create_claimed, move_into_place};

/// How a directory of blobs is read and written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DirectoryOptions {
    /// What a commit survives.
    pub durability: Durability,
    /// Whether blobs may be symbolic links to files outside of the directory.
    pub outside_links: OutsideLinks,
}

impl DirectoryOptions {
    /// Chooses what a commit survives.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Chooses whether blobs may be symbolic links to files outside of the directory.
    #[must_use]
    pub fn with_outside_links(mut self, outside_links: OutsideLinks) -> Self {
        self.outside_links = outside_links;
        self
    }
}

/// What a committed blob survives. In both cases it is either there whole or not there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A crash of the machine: file and directory are flushed to the disk, which takes milliseconds a blob.
    Machine,
    /// A crash of the program: the file is renamed into place. After a crash of the machine a file may be empty or
    /// damaged; reading it then fails, as every read checks the digest, and writing it again repairs it when its size
    /// is wrong.
    #[default]
    Program,
}

/// Whether blobs may be symbolic links to files outside of the directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutsideLinks {
    /// Follow them. Build systems link their inputs into place, and content is checked wherever it lies; but whoever
    /// made the directory chooses which files of this machine are read.
    Follow,
    /// Refuse them: for directories that came from elsewhere.
    #[default]
    Refuse,
}

/// A directory with one file a blob, named `sha256/<hex>` (and `sha512/<hex>`).
///
/// It is the `blobs` directory of an OCI layout, and a content-addressed cache on its own.
///
/// # Examples
///
/// ```
/// use std::io::Write;
/// use imgstore::DirectoryStore;
///
/// let directory = tempfile::tempdir()?;
/// let store = DirectoryStore::create(directory.path())?;
/// let mut blob = store.stage()?;
/// blob.write_all(b"hello")?;
/// let (digest, _size) = blob.commit_as_hashed()?;
/// assert!(directory.path().join("sha256").join(digest.hex()).is_file());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct DirectoryStore {
    root: PathBuf,
    /// Where symbolic links may lead.
    boundary: PathBuf,
    options: DirectoryOptions,
}

impl DirectoryStore {
    /// Makes the directory, and its parents, unless it is there.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        fs_err::create_dir_all(&root).map_err(|error| Error::from_io("making a store", error))?;
        Self::open(root)
    }

    /// Opens a directory that is there. Nothing in it is read yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`] when it is not there, [`ErrorKind::InvalidInput`] when it is no directory.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        // The words of `fs_err` for this are its own.
        let found = root.metadata().map_err(|error| {
            Error::from_io(format!("opening the store {}", root.display()), error)
        })?;
        if !found.is_dir() {
            let text = format!("{} is no directory", root.display());
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(Self {
            boundary: root.clone(),
            root,
            options: DirectoryOptions::default(),
        })
    }

    /// Changes how the directory is read and written.
    #[must_use]
    pub fn with_options(mut self, options: DirectoryOptions) -> Self {
        self.options = options;
        self
    }

    /// Lets symbolic links lead to anywhere in `boundary`, a parent of the store.
    pub(crate) fn with_boundary(mut self, boundary: PathBuf) -> Self {
        self.boundary = boundary;
        self
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns how the directory is read and written.
    pub fn options(&self) -> DirectoryOptions {
        self.options
    }

    /// Returns where the file of a blob is, or would be. Only a [`Digest`] makes such a path, so none leaves the root.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.algorithm().name()).join(digest.hex())
    }

    /// Starts a blob whose digest is not known yet.
    ///
    /// # Errors
    ///
    /// When no file can be made in the directory.
    pub fn stage(&self) -> Result<StagedBlob> {
        Ok(StagedBlob::new(StagedFile::new(self)?))
    }

    /// Puts a small blob in, and returns its digest. A blob that is there is not written again.
    ///
    /// # Errors
    ///
    /// When the blob cannot be written.
    pub fn insert(&self, bytes: &[u8]) -> Result<Digest> {
        let digest = Digest::sha256_of(bytes);
        if self.size_of(&digest)? == Some(bytes.len() as u64) {
            self.make_last(&digest)?;
        } else {
            let mut file = StagedFile::new(self)?;
            file.write_all(bytes)
                .map_err(|error| self.writing(&digest, error))?;
            file.persist(&digest)?;
        }
        Ok(digest)
    }

    /// Removes a blob, and returns whether it was there. Whoever has it open reads on, where the system allows that.
    ///
    /// # Errors
    ///
    /// When the file cannot be removed.
    pub fn remove(&self, digest: &Digest) -> Result<bool> {
        let path = self.blob_path(digest);
        let remove = || -> io::Result<()> {
            if let Some(directory) = path.parent() {
                self.refuse_outside_link(directory)?;
            }
            fs_err::remove_file(&path)?;
            stage::sync_name(&path, self.options.durability)
        };
        match remove() {
            Ok(()) => Ok(true),
            Err(error) if is_absent(&error) => Ok(false),
            Err(error) => {
                let text = format!("removing {digest} of {}", self.place());
                Err(Error::from_io(text, error))
            }
        }
    }

    /// Removes what writers left that were killed, and returns how many files that were. Writers at work keep theirs.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read or a file not be removed.
    pub fn remove_leftovers(&self) -> Result<usize> {
        remove_leftovers(&self.root)
    }

    /// Finds the file of a blob: a regular file, and inside of the boundary unless links may leave it.
    fn locate(&self, digest: &Digest) -> Result<Option<(PathBuf, u64)>> {
        let path = self.blob_path(digest);
        let found = match fs_err::metadata(&path) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(None),
            Err(error) => return Err(self.looking_for(digest, error)),
        };
        if !found.is_file() {
            let text = format!("{} is no regular file", path.display());
            return Err(Error::malformed(text));
        }
        self.refuse_outside_link(&path)
            .map_err(|error| self.looking_for(digest, error))?;
        Ok(Some((path, found.len())))
    }

    /// Checks where a symbolic link leads, unless links may lead anywhere.
    pub(crate) fn refuse_outside_link(&self, path: &Path) -> io::Result<()> {
        if self.options.outside_links == OutsideLinks::Follow {
            return Ok(());
        }
        let real = fs_err::canonicalize(path)?;
        if real.starts_with(fs_err::canonicalize(&self.boundary)?) {
            return Ok(());
        }
        let text = format!(
            "{} is a symbolic link that leaves {}",
            path.display(),
            self.boundary.display()
        );
        Err(Error::new(ErrorKind::Denied, text).into())
    }

    /// Makes the directory in which a blob's file belongs. Where links may not leave the store, nothing is written
    /// through one either.
    fn prepare(&self, target: &Path) -> io::Result<()> {
        let Some(directory) = target.parent() else {
            return Ok(());
        };
        make_directory(directory, self.options.durability)?;
        self.refuse_outside_link(directory)
    }

    /// Makes the name of a blob that is there survive what it must survive: its writer may not have come to that yet.
    fn make_last(&self, digest: &Digest) -> Result<()> {
        stage::sync_name(&self.blob_path(digest), self.options.durability)
            .map_err(|error| self.writing(digest, error))
    }

    fn looking_for(&self, digest: &Digest, error: io::Error) -> Error {
        Error::from_io(format!("looking for {digest} in {}", self.place()), error)
    }

    fn writing(&self, digest: &Digest, error: io::Error) -> Error {
        Error::from_io(format!("writing {digest} to {}", self.place()), error)
    }
}

/// Makes a directory and those above it, unless they are there, each with a name that survives what it must survive. One
/// that another thread is just making counts as there only once it does.
///
/// # Errors
///
/// When a directory cannot be made or, for [`Durability::Machine`], not be flushed to the disk.
pub fn make_directory(directory: &Path, durability: Durability) -> io::Result<()> {
    static MAKING: Mutex<()> = Mutex::new(());
    match durability {
        Durability::Machine => {
            let _making = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
            make_to_last(directory)
        }
        Durability::Program => fs_err::create_dir_all(directory),
    }
}

fn make_to_last(directory: &Path) -> io::Result<()> {
    if directory.as_os_str().is_empty() || directory.is_dir() {
        return Ok(());
    }
    if let Some(above) = directory.parent() {
        make_to_last(above)?;
    }
    match fs_err::create_dir(directory) {
        Err(error) if !directory.is_dir() => Err(error),
        _ => {
            let above = directory.parent().filter(|it| !it.as_os_str().is_empty());
            sys::sync_directory(above.unwrap_or(Path::new(".")))
        }
    }
}

/// Removes the unfinished files of killed writers from a directory.
pub(crate) fn remove_leftovers(directory: &Path) -> Result<usize> {
    let clean = || -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs_err::read_dir(directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_string_lossy().starts_with(LEFTOVER_PREFIX) {
                removed += usize::from(stage::remove_if_unused(&entry.path())?);
            }
        }
        Ok(removed)
    };
    clean().map_err(|error| Error::from_io(format!("cleaning {}", directory.display()), error))
}

/// A path through something that is no directory has no file at its end, as a missing one has none.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

impl LocalSource for DirectoryStore {
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.locate(digest)?.map(|(_, size)| size))
    }

    fn open_raw(&self, digest: &Digest, offset: u64) -> Result<Option<RawReader>> {
        let Some((path, _)) = self.locate(digest)? else {
            return Ok(None);
        };
        let opened = fs_err::File::open(path).and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            Ok(Box::new(file) as RawReader)
        });
        opened
            .map(Some)
            .map_err(|error| self.looking_for(digest, error))
    }

    fn path_of(&self, digest: &Digest) -> Option<PathBuf> {
        self.locate(digest).ok().flatten().map(|(path, _)| path)
    }

    fn place(&self) -> String {
        self.root.display().to_string()
    }
}

impl BlobSink for DirectoryStore {
    fn writer<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<Begin>> {
        Box::pin(ready(self.begin(descriptor)))
    }
}

impl DirectoryStore {
    fn begin(&self, descriptor: &Descriptor) -> Result<Begin> {
        // A file of another size is damaged, and the commit replaces it.
        if self.size_of(&descriptor.digest)? == Some(descriptor.size) {
            self.make_last(&descriptor.digest)?;
            return Ok(Begin::AlreadyExists);
        }
        let write = FileWrite {
            file: StagedFile::new(self)?,
            digest: descriptor.digest,
        };
        Ok(Begin::Writer(Ingest::new(descriptor, Box::new(write))))
    }
}

struct FileWrite {
    file: StagedFile,
    digest: Digest,
}

impl BlobWrite for FileWrite {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        let written = self.file.write_all(&bytes);
        Box::pin(ready(
            written.map_err(|error| self.file.failed(&self.digest, error)),
        ))
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(ready(self.file.persist(&self.digest)))
    }
}

#[cfg(test)]
mod tests;
