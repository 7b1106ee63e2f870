//! Files on disk.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::path::LayerPath;
use crate::{Error, ErrorKind, sys};

/// A file on disk as it was when it was planned.
///
/// The directory is shared and the name left out where it is the one in the layer: both are long
/// and common, and a layer may have hundreds of thousands of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiskFile {
    directory: u32,
    name: Option<Box<OsStr>>,
    pub(crate) stamp: Stamp,
}

impl DiskFile {
    /// Returns where the file is; `entry` is its name in the layer.
    pub(crate) fn path(&self, directories: &Directories, entry: &LayerPath) -> PathBuf {
        let directory = Path::new(&*directories.paths[self.directory as usize]);
        match &self.name {
            Some(name) => directory.join(&**name),
            None => directory.join(sys::name(entry.file_name()).unwrap_or_default()),
        }
    }

    /// Returns the same file for another entry than `entry`, which it was planned for.
    pub(crate) fn apart_from(mut self, entry: &LayerPath) -> Self {
        if self.name.is_none() {
            self.name = sys::name(entry.file_name()).map(OsString::into_boxed_os_str);
        }
        self
    }
}

/// What tells that a file was written to: when it was, in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(i64);

impl Stamp {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self(metadata.modified().map_or(0, nanoseconds))
    }
}

/// Returns a moment in nanoseconds since the epoch, which may be before it.
fn nanoseconds(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |n| -n),
    }
}

/// The directories that files of a plan are in, each kept once.
#[derive(Debug, Default)]
pub(crate) struct Directories {
    paths: Vec<Arc<OsStr>>,
    /// By their text: to take paths apart costs more than to keep one twice that is written in two ways.
    numbers: HashMap<Arc<OsStr>, u32>,
    /// The directory of the file that was added last.
    last: Option<u32>,
}

impl Directories {
    /// Remembers the file at `path`, which is `entry` in the layer and was `found` so.
    pub(crate) fn file(&mut self, path: &Path, entry: &LayerPath, found: &Found) -> DiskFile {
        // A path without a name, like `..`, is no file's; one like `/` has no parent.
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => (parent, name),
            _ => (path, OsStr::new("")),
        };
        let is_entry_name = sys::bytes(name) == Some(entry.file_name());
        DiskFile {
            directory: self.number(parent.as_os_str()),
            name: (!is_entry_name).then(|| name.into()),
            stamp: found.stamp,
        }
    }

    /// Forgets what is needed only while directories are added.
    pub(crate) fn seal(&mut self) {
        self.numbers = HashMap::new();
    }

    fn number(&mut self, directory: &OsStr) -> u32 {
        // Neighbours come one after the other.
        let is_last = |last: &u32| *self.paths[*last as usize] == *directory;
        if let Some(last) = self.last.filter(is_last) {
            return last;
        }
        let number = self.number_by_text(directory);
        self.last = Some(number);
        number
    }

    fn number_by_text(&mut self, directory: &OsStr) -> u32 {
        if let Some(number) = self.numbers.get(directory) {
            return *number;
        }
        let number = u32::try_from(self.paths.len())
            .expect("because each is in memory, and 2^32 paths do not fit there");
        let directory: Arc<OsStr> = directory.into();
        self.paths.push(Arc::clone(&directory));
        self.numbers.insert(directory, number);
        number
    }
}

/// What was found on disk, as far as it is of use.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) kind: FoundKind,
    pub(crate) size: u64,
    /// The permission bits, where there are any.
    pub(crate) mode: Option<u32>,
    stamp: Stamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FoundKind {
    Directory,
    File,
    Symlink,
    /// A device, a pipe or a socket.
    Special,
}

impl Found {
    fn of(metadata: &Metadata) -> Self {
        let kind = if metadata.is_file() {
            FoundKind::File
        } else if metadata.is_dir() {
            FoundKind::Directory
        } else if metadata.is_symlink() {
            FoundKind::Symlink
        } else {
            FoundKind::Special
        };
        Self {
            kind,
            size: metadata.len(),
            mode: sys::mode(metadata),
            stamp: Stamp::of(metadata),
        }
    }
}

/// A name in a directory and what stands there, a symlink for itself.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) name: OsString,
    pub(crate) found: io::Result<Found>,
}

/// Looks at the file at `path`, following symlinks; `entry` is what it is for.
pub(crate) fn stat(path: &Path, entry: &LayerPath) -> Result<Found, Error> {
    look(path).map_err(|error| Error::io(format!("input for {entry}"), error))
}

/// Looks at the file at `path`, following symlinks.
pub(crate) fn look(path: &Path) -> io::Result<Found> {
    // The words of `fs_err` for this are its own.
    path.metadata()
        .map(|metadata| Found::of(&metadata))
        .map_err(|error| {
            let text = format!("cannot look at `{}`: {error}", path.display());
            io::Error::new(error.kind(), text)
        })
}

/// Returns the text of the symlink at `path`, in the form that a layer has.
pub(crate) fn read_link(path: &Path, entry: &LayerPath) -> Result<Vec<u8>, Error> {
    let target =
        fs_err::read_link(path).map_err(|error| Error::io(format!("input for {entry}"), error))?;
    sys::link_text(target.as_os_str()).ok_or_else(|| not_unicode(path))
}

/// Returns what is in a directory, in the order of the names' bytes.
///
/// Looking at a name from its directory is cheaper than from the root.
pub(crate) fn sorted_items(directory: &Path) -> io::Result<Vec<Item>> {
    let mut items = Vec::new();
    for item in fs_err::read_dir(directory)? {
        let item = item?;
        items.push(Item {
            name: item.file_name(),
            found: sys::item_metadata(&item).map(|metadata| Found::of(&metadata)),
        });
    }
    items.sort_unstable_by(|left, right| left.name.cmp(&right.name));
    Ok(items)
}

/// Returns the bytes of a name in a directory.
pub(crate) fn name_bytes<'n>(directory: &Path, name: &'n OsStr) -> Result<&'n [u8], Error> {
    sys::bytes(name).ok_or_else(|| not_unicode(&directory.join(name)))
}

fn not_unicode(path: &Path) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{}: a name on this host must be Unicode", path.display()),
    )
}
