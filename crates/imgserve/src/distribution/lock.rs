//! One process at a time in a directory.

use std::io;
use std::path::Path;

use crate::{Error, ErrorKind, Result};

/// The file that a registry locks in its directory.
const NAME: &str = "lock";

/// A directory that no other registry can be opened in, until this is dropped or the process ends, however that does.
#[derive(Debug)]
pub(super) struct Lock {
    _file: fs_err::File,
}

impl Lock {
    /// Locks a directory, which must be there.
    ///
    /// On file systems and hosts without locks (Windows) this only makes the file.
    pub(super) fn take(directory: &Path) -> Result<Self> {
        let path = directory.join(NAME);
        let failed = |error: io::Error| {
            let text = format!("locking the registry in {}", directory.display());
            Error::from_io(text, error)
        };
        let file = fs_err::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed)?;
        if try_lock(&file).map_err(failed)? {
            return Ok(Self { _file: file });
        }
        let text = format!(
            "the registry in {} is open already: end the program that has it, or name another directory",
            directory.display()
        );
        Err(Error::new(ErrorKind::InUse, text))
    }
}

/// Locks a file until it is closed, and says whether that could be.
#[cfg(unix)]
fn try_lock(file: &fs_err::File) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;

    match flock(file.file(), FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        Ok(()) | Err(Errno::BADF | Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn try_lock(_file: &fs_err::File) -> io::Result<bool> {
    Ok(true)
}
