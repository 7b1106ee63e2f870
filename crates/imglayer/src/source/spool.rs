//! Contents of archives, kept on disk until the layer is written.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use super::Stamp;
use crate::{Error, ErrorKind, sys};

/// A file that contents of an archive are read from: the archive, or a nameless copy of them.
///
/// It has no position of its own, so that any number of threads may read from it.
#[derive(Debug)]
pub(crate) struct Spool {
    file: File,
    /// The archive as it was when it was planned, if this is one.
    archive: Option<Archive>,
}

#[derive(Debug)]
struct Archive {
    path: PathBuf,
    size: u64,
    stamp: Stamp,
}

impl Spool {
    /// Reads from an archive itself.
    pub(crate) fn of_archive(file: fs_err::File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let archive = Archive {
            path: file.path().to_owned(),
            size: metadata.len(),
            stamp: Stamp::of(&metadata),
        };
        Ok(Self {
            file: file.into_parts().0,
            archive: Some(archive),
        })
    }

    /// Refuses an archive that is no longer what was planned; `unreadable` makes the error when it
    /// cannot be looked at.
    pub(crate) fn check_unchanged(
        &self,
        unreadable: impl Fn(io::Error) -> Error,
    ) -> Result<(), Error> {
        let Some(archive) = &self.archive else {
            return Ok(());
        };
        let metadata = self.file.metadata().map_err(unreadable)?;
        if metadata.len() == archive.size && Stamp::of(&metadata) == archive.stamp {
            return Ok(());
        }
        let path = archive.path.display();
        let message = format!("archive {path} changed while the layer was made");
        Err(Error::new(ErrorKind::Changed, message))
    }

    /// Returns the path of the archive, if this is one.
    pub(crate) fn archive(&self) -> Option<&Path> {
        self.archive.as_ref().map(|archive| &*archive.path)
    }

    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        sys::read_at(&self.file, offset, buffer)
    }
}

/// Copies contents into a nameless file.
pub(crate) struct SpoolWriter {
    file: BufWriter<File>,
    len: u64,
    name: String,
}

impl SpoolWriter {
    /// Makes the file in `directory`; `name` is what errors call it.
    pub(crate) fn new(directory: &Path, name: &str) -> Result<Self, Error> {
        let file = tempfile::tempfile_in(directory).map_err(|error| {
            Error::io(
                format!("spool directory {} for {name}", directory.display()),
                error,
            )
        })?;
        Ok(Self {
            file: BufWriter::with_capacity(256 << 10, file),
            len: 0,
            name: name.to_owned(),
        })
    }

    /// Copies everything that `content` has; returns where it starts and how long it is.
    ///
    /// # Errors
    ///
    /// The outer error is of the spool, the inner one of the content.
    pub(crate) fn copy(&mut self, content: &mut dyn Read) -> Result<io::Result<(u64, u64)>, Error> {
        let start = self.len;
        let mut buffer = [0; 16 << 10];
        loop {
            let read = match content.read(&mut buffer) {
                Ok(0) => return Ok(Ok((start, self.len - start))),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Ok(Err(error)),
            };
            let written = self.file.write_all(&buffer[..read]);
            written.map_err(|error| Error::io(format!("spool of {}", self.name), error))?;
            self.len += read as u64;
        }
    }

    pub(crate) fn finish(self) -> Result<Spool, Error> {
        let Self { file, name, .. } = self;
        let file = file
            .into_inner()
            .map_err(|error| Error::io(format!("spool of {name}"), error.into_error()))?;
        Ok(Spool {
            file,
            archive: None,
        })
    }
}
