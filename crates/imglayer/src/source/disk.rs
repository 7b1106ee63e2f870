//! Files on disk.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
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
        let directory = &directories.paths[self.directory as usize];
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
    paths: Vec<Arc<Path>>,
    numbers: HashMap<Arc<Path>, u32>,
}

impl Directories {
    /// Remembers the file at `path`, which is `entry` in the layer and has this `metadata`.
    pub(crate) fn file(&mut self, path: &Path, entry: &LayerPath, metadata: &Metadata) -> DiskFile {
        // A path without a name, like `..`, is no file's; one like `/` has no parent.
        let (parent, name) = match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => (parent, name),
            _ => (path, OsStr::new("")),
        };
        let is_entry_name = sys::name(entry.file_name()).is_some_and(|entry| entry == name);
        DiskFile {
            directory: self.number(parent),
            name: (!is_entry_name).then(|| name.into()),
            stamp: Stamp::of(metadata),
        }
    }

    /// Forgets what is needed only while directories are added.
    pub(crate) fn seal(&mut self) {
        self.numbers = HashMap::new();
    }

    fn number(&mut self, directory: &Path) -> u32 {
        if let Some(number) = self.numbers.get(directory) {
            return *number;
        }
        let number = u32::try_from(self.paths.len())
            .expect("because each is in memory, and 2^32 paths do not fit there");
        let directory: Arc<Path> = directory.into();
        self.paths.push(Arc::clone(&directory));
        self.numbers.insert(directory, number);
        number
    }
}

/// Looks at the file at `path`, following symlinks; `entry` is what it is for.
pub(crate) fn stat(path: &Path, entry: &LayerPath) -> Result<Metadata, Error> {
    fs_err::metadata(path).map_err(|error| Error::io(format!("input for {entry}"), error))
}

/// Returns the text of the symlink at `path`, in the form that a layer has.
pub(crate) fn read_link(path: &Path, entry: &LayerPath) -> Result<Vec<u8>, Error> {
    let target =
        fs_err::read_link(path).map_err(|error| Error::io(format!("input for {entry}"), error))?;
    sys::link_text(target.as_os_str()).ok_or_else(|| not_unicode(path))
}

/// Returns the names in a directory with what they are, in the order of their bytes.
pub(crate) fn sorted_names(
    directory: &Path,
    entry: &LayerPath,
) -> Result<Vec<(Vec<u8>, OsString)>, Error> {
    let failed = |error| Error::io(format!("input for {entry}"), error);
    let mut names = Vec::new();
    for item in fs_err::read_dir(directory).map_err(failed)? {
        let name = item.map_err(failed)?.file_name();
        let bytes = sys::bytes(&name).ok_or_else(|| not_unicode(&directory.join(&name)))?;
        names.push((bytes.to_vec(), name));
    }
    names.sort_unstable();
    Ok(names)
}

fn not_unicode(path: &Path) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!("{}: a name on this host must be Unicode", path.display()),
    )
}
