//! Files on their way into a directory of blobs.

use std::io::{self, Write};
use std::path::Path;

use imgcore::Digest;
use imgcore::digest::HashingWriter;
use tempfile::NamedTempFile;

use super::{DirectoryStore, Durability};
use crate::{Error, Result, sys};

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
        move_into_place(self.file, &target, store.options.durability)
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
        sys::try_claim(file.as_file())?;
        // A cleaner may have come between making and claiming; the claim is worth nothing on a file without a name.
        if file.path().exists() {
            return Ok(file);
        }
    }
}

pub(super) fn remove_if_unused(path: &Path) -> io::Result<bool> {
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    if !sys::try_claim(file.file())? {
        return Ok(false);
    }
    fs_err::remove_file(path)?;
    Ok(true)
}

/// Renames a finished file, making the directory above it if need be.
pub(crate) fn move_into_place(
    file: NamedTempFile,
    target: &Path,
    durability: Durability,
) -> io::Result<()> {
    let directory = target.parent().unwrap_or(Path::new("."));
    fs_err::create_dir_all(directory)?;
    if durability == Durability::Machine {
        file.as_file().sync_all()?;
    }
    file.persist(target).map_err(|error| error.error)?;
    if durability == Durability::Machine {
        sys::sync_directory(directory)?;
    }
    Ok(())
}
