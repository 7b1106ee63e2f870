//! Files on their way into a directory of blobs.

use std::io::{self, Write};
use std::path::Path;

use imgcore::Digest;
use imgcore::digest::HashingWriter;
use tempfile::NamedTempFile;

use super::{DirectoryStore, Durability};
use crate::sys::{self, Claim};
use crate::{Error, Result};

/// How the names of unfinished files start. They lie in the root of the store, where no blob lies.
pub(crate) const LEFTOVER_PREFIX: &str = ".imgkit-unfinished-";

/// A blob whose digest is not known yet, on its way into a [`DirectoryStore`].
///
/// Write the bytes, then commit. Dropping it leaves nothing.
#[derive(Debug)]
pub struct StagedBlob(HashingWriter<StagedFile>);

impl StagedBlob {
    pub(super) fn new(file: StagedFile) -> Self {
        Self(HashingWriter::new(file))
    }

    /// Makes the blob visible if it has the expected digest and size, and nothing otherwise.
    ///
    /// # Errors
    ///
    /// [`SizeMismatch`](crate::ErrorKind::SizeMismatch), [`DigestMismatch`](crate::ErrorKind::DigestMismatch), or
    /// that the file cannot be moved into place.
    pub fn commit(self, expected: &Digest, size: u64) -> Result<()> {
        let (digest, written, file) = self.0.finish();
        if written != size {
            return Err(Error::size_mismatch(expected, size, written));
        }
        if digest != *expected {
            return Err(Error::digest_mismatch(*expected, digest));
        }
        file.persist(&digest)
    }

    /// Makes the blob visible under whatever SHA-256 digest it has, and returns that and its size in bytes.
    ///
    /// # Errors
    ///
    /// When the file cannot be moved into place.
    pub fn commit_as_hashed(self) -> Result<(Digest, u64)> {
        let (digest, size, file) = self.0.finish();
        file.persist(&digest)?;
        Ok((digest, size))
    }
}

impl Write for StagedBlob {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// An unfinished file that removes itself when it is dropped.
#[derive(Debug)]
pub(super) struct StagedFile {
    file: NamedTempFile,
    store: DirectoryStore,
}

impl StagedFile {
    pub(super) fn new(store: &DirectoryStore) -> Result<Self> {
        let file = create_claimed(&store.root).map_err(|error| {
            Error::from_io(format!("making a file in {}", store.root.display()), error)
        })?;
        Ok(Self {
            file,
            store: store.clone(),
        })
    }

    /// Renames the file to where the blob belongs.
    pub(super) fn persist(self, digest: &Digest) -> Result<()> {
        let target = self.store.blob_path(digest);
        let store = self.store;
        store
            .prepare(&target)
            .and_then(|()| move_into_place(self.file, &target, store.options.durability))
            .map_err(|error| store.writing(digest, error))
    }

    pub(super) fn failed(&self, digest: &Digest, error: io::Error) -> Error {
        self.store.writing(digest, error)
    }
}

impl Write for StagedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Makes an unfinished file that [`remove_if_unused`] leaves alone while it is open.
pub(crate) fn create_claimed(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(LEFTOVER_PREFIX);
    sys::ordinary_mode(&mut builder);
    loop {
        let file = builder.tempfile_in(directory)?;
        // A cleaner may have come between making and claiming: it has the claim and will remove the file, or it has
        // removed it already, and a claim is worth nothing on a file without a name.
        if sys::try_claim(file.as_file())? != Claim::Taken && file.path().exists() {
            return Ok(file);
        }
    }
}

pub(super) fn remove_if_unused(path: &Path) -> io::Result<bool> {
    // Its writer may finish or drop it at any moment.
    let unless_gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(false),
        _ => Err(error),
    };
    match fs_err::symlink_metadata(path) {
        Ok(found) if found.is_file() => {}
        // None of ours; and opening a named pipe would wait for ever.
        Ok(_) => return Ok(false),
        Err(error) => return unless_gone(error),
    }
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) => return unless_gone(error),
    };
    if sys::try_claim(file.file())? != Claim::Made {
        return Ok(false);
    }
    fs_err::remove_file(path)
        .map(|()| true)
        .or_else(unless_gone)
}

/// Renames a finished file to where the directory above is there.
pub(crate) fn move_into_place(
    file: NamedTempFile,
    target: &Path,
    durability: Durability,
) -> io::Result<()> {
    if durability == Durability::Machine {
        file.as_file().sync_all()?;
    }
    file.persist(target).map_err(|error| error.error)?;
    sync_name(target, durability)
}

/// Makes the name of a file survive what it must survive.
pub(super) fn sync_name(target: &Path, durability: Durability) -> io::Result<()> {
    match (durability, target.parent()) {
        (Durability::Machine, Some(directory)) => sys::sync_directory(directory),
        _ => Ok(()),
    }
}
