//! Reading the content of one file, and noticing when it is not what was planned.

use std::cmp::Ordering;
use std::io::{self, Read, Seek, SeekFrom};

use super::{DiskFile, Source, Sources, Spool, Stamp};
use crate::path::LayerPath;
use crate::{Error, ErrorKind};

/// The content of one file, which has as many bytes as planned or is an error.
pub(crate) struct ContentReader<'a> {
    entry: &'a LayerPath,
    size: u64,
    remaining: u64,
    inner: Inner<'a>,
}

enum Inner<'a> {
    Bytes(&'a [u8]),
    Custom(&'a dyn super::Content, Box<dyn Read + 'a>),
    Disk { file: fs_err::File, stamp: Stamp },
    Spool { spool: &'a Spool, offset: u64 },
}

impl<'a> ContentReader<'a> {
    /// Opens the content of `entry`, which was planned with `size` bytes.
    pub(crate) fn open(
        sources: &'a Sources,
        entry: &'a LayerPath,
        source: &'a Source,
        size: u64,
    ) -> Result<Self, Error> {
        let reader = Self::start(sources, entry, source, size)?;
        reader.check_unchanged()?;
        Ok(reader)
    }

    /// Reads the content of a file on disk or in an archive into all of `space` but its last byte.
    ///
    /// That byte lets one read find the end, too. Whether an archive is unchanged is not looked at
    /// here: [`Sources::check_archives`] is for that.
    pub(crate) fn read_whole(
        sources: &'a Sources,
        entry: &'a LayerPath,
        source: &'a Source,
        space: &mut [u8],
    ) -> Result<(), Error> {
        let size = space.len() - 1;
        let mut reader = Self::start(sources, entry, source, size as u64)?;
        // In an archive something else follows.
        let most = size + usize::from(!matches!(reader.inner, Inner::Spool { .. }));
        let mut filled = 0;
        loop {
            match reader.inner.read(filled as u64, &mut space[filled..most]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(unreadable(entry, error)),
            }
            if filled >= size {
                break;
            }
        }
        if filled != size || matches!(reader.inner, Inner::Disk { .. }) {
            reader.check_unchanged()?;
        }
        match filled.cmp(&size) {
            Ordering::Less => Err(reader.changed("it ends early")),
            Ordering::Equal => Ok(()),
            Ordering::Greater => Err(reader.changed("it goes on after the planned end")),
        }
    }

    fn start(
        sources: &'a Sources,
        entry: &'a LayerPath,
        source: &'a Source,
        size: u64,
    ) -> Result<Self, Error> {
        let inner = match source {
            Source::Bytes(bytes) => Inner::Bytes(bytes),
            Source::Custom(content) => {
                let reader = content.open().map_err(|error| unreadable(entry, error))?;
                Inner::Custom(&**content, reader)
            }
            Source::Disk(file) => open_disk(sources, entry, file)?,
            Source::Spool { spool, offset } => Inner::Spool {
                spool: &sources.spools[*spool as usize],
                offset: *offset,
            },
        };
        Ok(Self {
            entry,
            size,
            remaining: size,
            inner,
        })
    }

    /// Returns how many bytes are left.
    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    /// Reads into `buffer` until it is full or nothing is left; returns how many bytes it read.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let wanted = usize::try_from(self.remaining).map_or(buffer.len(), |n| n.min(buffer.len()));
        let mut filled = 0;
        while filled < wanted {
            let read = match self
                .inner
                .read(self.size - self.remaining, &mut buffer[filled..wanted])
            {
                Ok(0) => return Err(self.changed("it ends early")),
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(unreadable(self.entry, error)),
            };
            filled += read;
            self.remaining -= read as u64;
        }
        Ok(filled)
    }

    /// Goes back to the start.
    pub(crate) fn rewind(&mut self) -> Result<(), Error> {
        match &mut self.inner {
            Inner::Custom(content, reader) => {
                *reader = content
                    .open()
                    .map_err(|error| unreadable(self.entry, error))?;
            }
            Inner::Disk { file, .. } => {
                file.seek(SeekFrom::Start(0))
                    .map_err(|error| unreadable(self.entry, error))?;
            }
            Inner::Bytes(_) | Inner::Spool { .. } => {}
        }
        self.remaining = self.size;
        Ok(())
    }

    /// Ends the reading: nothing may be left, and the file must be the one that was planned.
    pub(crate) fn finish(mut self) -> Result<(), Error> {
        debug_assert_eq!(self.remaining, 0, "callers read everything");
        if let Inner::Custom(..) | Inner::Disk { .. } = self.inner {
            let mut probe = [0];
            match self.inner.read(self.size, &mut probe) {
                Ok(0) => {}
                Ok(_) => return Err(self.changed("it goes on after the planned end")),
                Err(error) => return Err(unreadable(self.entry, error)),
            }
        }
        self.check_unchanged()
    }

    fn check_unchanged(&self) -> Result<(), Error> {
        match &self.inner {
            Inner::Bytes(_) | Inner::Custom(..) => Ok(()),
            Inner::Disk { file, stamp, .. } => {
                let metadata = file
                    .metadata()
                    .map_err(|error| unreadable(self.entry, error))?;
                if metadata.len() != self.size {
                    let size = metadata.len();
                    let how = format!("it has {size} bytes instead of {}", self.size);
                    return Err(self.changed(&how));
                }
                if Stamp::of(&metadata) != *stamp {
                    return Err(self.changed("it was written to"));
                }
                Ok(())
            }
            Inner::Spool { spool, .. } => {
                spool.check_unchanged(|error| unreadable(self.entry, error))
            }
        }
    }

    fn changed(&self, how: &str) -> Error {
        let what = match &self.inner {
            Inner::Disk { file, .. } => format!("file {}", file.path().display()),
            Inner::Bytes(_) | Inner::Custom(..) | Inner::Spool { .. } => "content".to_owned(),
        };
        Error::new(
            ErrorKind::Changed,
            format!(
                "{what}, for {}, changed while the layer was made: {how}",
                self.entry
            ),
        )
    }
}

impl Inner<'_> {
    /// Reads at `position`, which is where the last read ended.
    fn read(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bytes(bytes) => {
                let start = usize::try_from(position)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                (&bytes[start..]).read(buffer)
            }
            Self::Custom(_, reader) => reader.read(buffer),
            Self::Disk { file, .. } => file.read(buffer),
            Self::Spool { spool, offset } => spool.read_at(*offset + position, buffer),
        }
    }
}

fn open_disk<'a>(
    sources: &'a Sources,
    entry: &LayerPath,
    file: &DiskFile,
) -> Result<Inner<'a>, Error> {
    let path = file.path(&sources.directories, entry);
    let opened = fs_err::File::open(path).map_err(|error| unreadable(entry, error))?;
    Ok(Inner::Disk {
        file: opened,
        stamp: file.stamp,
    })
}

fn unreadable(entry: &LayerPath, error: io::Error) -> Error {
    Error::io(format!("content of {entry}"), error)
}
