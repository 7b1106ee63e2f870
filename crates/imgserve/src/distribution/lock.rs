//! One process at a time in a directory.

use std::io;
use std::path::Path;

use crate::{Error, ErrorKind, Result, sys};

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
        if sys::try_lock(&file).map_err(failed)? {
            return Ok(Self { _file: file });
        }
        let text = format!(
            "the registry in {} is open already: end the program that has it, or name another directory",
            directory.display()
        );
        Err(Error::new(ErrorKind::InUse, text))
    }
}
