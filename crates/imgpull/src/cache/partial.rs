//! A blob on its way into the cache, which a later process can go on with.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use bytes::Bytes;
use imgcore::{Algorithm, Descriptor, Digest, Hasher};
use imgstore::{Error, ErrorKind, Result};

use super::{Permit, directory_of, make_room_for};
use crate::sys;
use crate::transfer::{Target, check_size};
use crate::wait::off_the_runtime;

/// The unfinished file of a blob, which is locked as long as this lives. It stays when this is dropped.
pub(crate) struct Partial {
    /// `None` once it was finished.
    file: Option<fs_err::File>,
    path: PathBuf,
    target: PathBuf,
    digest: Digest,
    size: u64,
    offset: u64,
    hasher: Hasher,
    /// Held until the blob is visible or given up.
    _permit: Permit,
}

impl Partial {
    /// Takes over a locked file and reads what is in it.
    pub(super) async fn open(
        descriptor: &Descriptor,
        file: fs_err::File,
        (path, target): (PathBuf, PathBuf),
        permit: Permit,
    ) -> io::Result<Self> {
        let (algorithm, size) = (descriptor.digest.algorithm(), descriptor.size);
        let read = off_the_runtime(move || hash_existing(file, algorithm, size));
        let (file, hasher, offset) = read.await?;
        Ok(Self {
            file: Some(file),
            path,
            target,
            digest: descriptor.digest,
            size,
            offset,
            hasher,
            _permit: permit,
        })
    }

    /// Removes what was written: a disk that is full gets its space back.
    pub(crate) async fn give_up(mut self) {
        // Without bytes in it the file is removed when this is dropped.
        let _ = self.restart().await;
    }

    fn open_file(&mut self) -> io::Result<&mut fs_err::File> {
        let finished = || io::Error::other("the blob is finished");
        self.file.as_mut().ok_or_else(finished)
    }

    fn failed(&self, doing: &str, error: io::Error) -> Error {
        Error::from_io(format!("{doing} {} in the cache", self.digest), error)
    }

    fn empty(&mut self) -> io::Result<()> {
        let file = self.open_file()?;
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        self.offset = 0;
        self.hasher = Hasher::new(self.digest.algorithm());
        Ok(())
    }
}

impl Target for Partial {
    fn offset(&self) -> u64 {
        self.offset
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.hasher.update(&bytes);
        let written = self.open_file().and_then(|file| file.write_all(&bytes));
        written.map_err(|error| self.failed("writing", error))?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    async fn restart(&mut self) -> Result<()> {
        self.empty().map_err(|error| self.failed("emptying", error))
    }

    async fn finish(&mut self) -> Result<()> {
        check_size(&self.digest, self.size, self.offset)?;
        let actual = self.hasher.clone().finish();
        if actual != self.digest {
            let expected = self.digest;
            let text = format!("content of {expected} has the digest {actual}");
            return Err(Error::new(
                ErrorKind::DigestMismatch { expected, actual },
                text,
            ));
        }
        let Some(file) = self.file.take() else {
            return Ok(());
        };
        let (path, target) = (self.path.clone(), self.target.clone());
        // The lock is let go only after the rename, so that those who wait for it find the blob.
        let moved = off_the_runtime(move || {
            sys::let_others_read(file.file(), directory_of(&path));
            file.sync_all()?;
            make_room_for(&target)?;
            fs_err::rename(path, target)?;
            drop(file);
            Ok(())
        });
        moved.await.map_err(|error| self.failed("finishing", error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.file.is_some() && self.offset == 0 {
            // Nothing to go on with. The lock is still held: nobody else works at the file.
            let _ = fs_err::remove_file(&self.path);
        }
    }
}

/// Hashes what is in an unfinished file. A file with too much in it is emptied.
fn hash_existing(
    mut file: fs_err::File,
    algorithm: Algorithm,
    size: u64,
) -> io::Result<(fs_err::File, Hasher, u64)> {
    let mut hasher = Hasher::new(algorithm);
    if file.metadata()?.len() > size {
        file.set_len(0)?;
    }
    let mut buffer = vec![0; 128 * 1024];
    let mut offset = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok((file, hasher, offset)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                offset += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
