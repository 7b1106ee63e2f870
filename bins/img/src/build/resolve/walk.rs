//! Walking a directory of sources: in the order of names, without following links.

use std::fs::Metadata;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::pattern::Selection;
use super::{STAGING_PREFIX, join};
use crate::report::Failure;
use crate::sys;

/// Something that a selection means.
#[derive(Debug)]
pub(super) struct Found {
    /// The path below the root, separated by slashes.
    pub(super) relative: Vec<u8>,
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) metadata: Metadata,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File,
    Symlink,
}

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum WalkError {
    Io(io::Error),
    NoFile(String),
}

impl WalkError {
    /// Makes a failure at a place.
    pub(super) fn place(self, at: impl FnOnce(String) -> Failure) -> Failure {
        match self {
            Self::Io(error) => at("cannot read a directory".to_owned()).because(error),
            Self::NoFile(message) => at(message),
        }
    }
}

impl From<io::Error> for WalkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Lists what the selection means below `root`, a directory before what is in it; without the files in `own`, whose
/// paths are canonical.
pub(super) fn walk(
    root: &Path,
    selection: &Selection,
    own: &[PathBuf],
) -> Result<Vec<Found>, WalkError> {
    let canonical = fs::canonicalize(root)?;
    let below_root = |path: &PathBuf| Some(path.strip_prefix(&canonical).ok()?.to_owned());
    let mut walk = Walk {
        selection,
        own: own.iter().filter_map(below_root).collect(),
        found: Vec::new(),
    };
    let top = Place {
        path: root,
        relative: Path::new(""),
        bytes: &[],
        depth: 0,
        is_selected: false,
    };
    walk.directory(&top)?;
    Ok(walk.found)
}

struct Walk<'a> {
    selection: &'a Selection,
    /// What is left out, relative to the root.
    own: Vec<PathBuf>,
    found: Vec<Found>,
}

/// Where in the tree a walk is.
struct Place<'a> {
    path: &'a Path,
    relative: &'a Path,
    bytes: &'a [u8],
    depth: usize,
    /// Whether a directory above is meant as a whole.
    is_selected: bool,
}

impl Walk<'_> {
    fn directory(&mut self, place: &Place<'_>) -> Result<(), WalkError> {
        let mut names = Vec::new();
        for entry in fs::read_dir(place.path)? {
            names.push(entry?.file_name());
        }
        names.sort_unstable();
        for name in names {
            let path = place.path.join(&name);
            let relative = place.relative.join(&name);
            let bytes_of_name = sys::bytes_of(&name);
            let bytes = join(place.bytes, &bytes_of_name);
            let is_staging = bytes_of_name.starts_with(STAGING_PREFIX.as_bytes());
            if is_staging || self.own.contains(&relative) || self.selection.excludes(&relative) {
                continue;
            }
            let below = Place {
                path: &path,
                relative: &relative,
                bytes: &bytes,
                depth: place.depth + 1,
                is_selected: place.is_selected || self.selection.includes(&relative),
            };
            self.entry(&below)?;
        }
        Ok(())
    }

    fn entry(&mut self, place: &Place<'_>) -> Result<(), WalkError> {
        let metadata = fs::symlink_metadata(place.path)?;
        let file_type = metadata.file_type();
        let kind = if file_type.is_dir() {
            Kind::Directory
        } else if file_type.is_file() {
            Kind::File
        } else if file_type.is_symlink() {
            Kind::Symlink
        } else if place.is_selected {
            return Err(WalkError::NoFile(not_a_file(place.path)));
        } else {
            return Ok(());
        };
        if place.is_selected {
            self.found.push(Found {
                relative: place.bytes.to_vec(),
                path: place.path.to_owned(),
                kind,
                metadata,
            });
        }
        let goes_down = place.is_selected || self.selection.reaches_below(place.depth);
        if kind == Kind::Directory && goes_down {
            self.directory(place)?;
        }
        Ok(())
    }
}

pub(super) fn not_a_file(path: &Path) -> String {
    format!(
        "{} is a socket, pipe or device, which cannot be copied",
        path.display()
    )
}
