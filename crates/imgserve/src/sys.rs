//! What depends on the operating system, with a portable way for the others.

use std::io;
use std::path::Path;

/// Makes what happened to the names in `directory` survive a crash of the machine.
#[cfg(unix)]
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    fs_err::File::open(directory)?.sync_all()
}

/// A directory cannot be flushed by itself here.
#[cfg(not(unix))]
pub(crate) fn sync_directory(_directory: &Path) -> io::Result<()> {
    Ok(())
}

/// Locks a file until it is closed, and says whether that could be. Where there are no locks, it is taken for locked.
#[cfg(unix)]
pub(crate) fn try_lock(file: &fs_err::File) -> io::Result<bool> {
    use rustix::fs::{FlockOperation, flock};
    use rustix::io::Errno;

    match flock(file.file(), FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        Ok(()) | Err(Errno::BADF | Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
pub(crate) fn try_lock(_file: &fs_err::File) -> io::Result<bool> {
    Ok(true)
}
