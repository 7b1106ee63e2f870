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
