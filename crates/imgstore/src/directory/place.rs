//! Existing files as blobs, without copying where that can be avoided.

use std::io;
use std::path::{Component, Path, PathBuf};

use imgcore::Descriptor;
use imgcore::digest::VerifyingReader;

use super::stage::{LEFTOVER_PREFIX, create_claimed, move_into_place, sync_name};
use super::{DirectoryStore, Durability};
use crate::transfer::transfer;
use crate::{Error, Result, sys};

/// How [`DirectoryStore::place_file`] makes a blob of an existing file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placement {
    /// An independent file.
    Copy,
    /// A hard link, else a copy-on-write clone, else a copy.
    #[default]
    Link,
    /// A relative symbolic link: the two may be moved together, and the file must stay.
    Symlink,
}

/// How a blob came into the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Placed {
    /// It was there.
    AlreadyThere,
    /// Its blocks are shared until one side changes.
    Cloned,
    /// Its bytes were copied.
    Copied,
    /// It is the same file.
    Linked,
    /// It is a symbolic link.
    Symlinked,
}

impl DirectoryStore {
    /// Makes a blob of a file, after reading all of it to check size and digest.
    ///
    /// Symbolic links in `file` are followed for everything but [`Placement::Symlink`], which names `file` as it is
    /// given. What is there and has another size is damaged: it is replaced in one step, once `file` has proved right,
    /// and stays as it is otherwise.
    ///
    /// # Errors
    ///
    /// [`SizeMismatch`](crate::ErrorKind::SizeMismatch) or [`DigestMismatch`](crate::ErrorKind::DigestMismatch) when
    /// the file is another one, and that it cannot be read or placed.
    pub fn place_file(
        &self,
        descriptor: &Descriptor,
        file: &Path,
        placement: Placement,
    ) -> Result<Placed> {
        let target = self.blob_path(&descriptor.digest);
        if fs_err::metadata(&target).is_ok_and(|found| found.len() == descriptor.size) {
            self.make_last(&descriptor.digest)?;
            return Ok(Placed::AlreadyThere);
        }
        self.prepare(&target)
            .map_err(|error| self.writing(&descriptor.digest, error))?;
        let target = Target {
            path: &target,
            staging: self.root(),
            durability: self.options.durability,
        };
        place(descriptor, file, target, placement)
    }
}

/// Where a file is placed. The directory above it must be there.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) path: &'a Path,
    /// Where unfinished copies lie, on the same file system.
    pub(crate) staging: &'a Path,
    pub(crate) durability: Durability,
}

/// Makes a file with the content of another one.
pub(crate) fn place(
    descriptor: &Descriptor,
    file: &Path,
    target: Target<'_>,
    placement: Placement,
) -> Result<Placed> {
    let placed = || {
        match placement {
            Placement::Copy => copy(descriptor, file, target),
            Placement::Link => {
                verify(descriptor, file, io::sink())?;
                // A link to a symbolic link would be a symbolic link.
                let real = fs_err::canonicalize(file)?;
                // Before it has the name: what others find there survives what it must survive.
                if target.durability == Durability::Machine {
                    fs_err::File::open(&real)?.sync_all()?;
                }
                let linked = put_name(target, |name| fs_err::hard_link(&real, name));
                if linked.is_err() {
                    // Other file systems, too many links, a policy against links of foreign files.
                    return clone(descriptor, &real, target);
                }
                sync_name(target.path, target.durability)?;
                Ok(Placed::Linked)
            }
            Placement::Symlink => {
                verify(descriptor, file, io::sink())?;
                let leads_to = leads_to(file, target.path)?;
                put_name(target, |name| sys::symlink_file(&leads_to, name))?;
                sync_name(target.path, target.durability)?;
                Ok(Placed::Symlinked)
            }
        }
    };
    placed().map_err(|error| {
        let text = format!("placing {} as {}", file.display(), descriptor.digest);
        Error::from_io(text, error)
    })
}

/// Makes a link under the target's name. No link is made over a file, so one that must replace something comes by a
/// rename.
fn put_name(target: Target<'_>, link: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    match link(target.path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let aside = tempfile::Builder::new()
        .prefix(LEFTOVER_PREFIX)
        .make_in(target.staging, |name| link(name))?
        .into_temp_path();
    // Where both names are the same file already, a rename leaves both: dropping the path removes that one.
    fs_err::rename(&aside, target.path)
}

fn clone(descriptor: &Descriptor, file: &Path, target: Target<'_>) -> io::Result<Placed> {
    let source = fs_err::File::open(file)?;
    let staged = create_claimed(target.staging)?;
    if sys::clone_file(source.file(), staged.as_file()).is_err() {
        return copy(descriptor, file, target);
    }
    move_into_place(staged, target.path, target.durability)?;
    Ok(Placed::Cloned)
}

fn copy(descriptor: &Descriptor, file: &Path, target: Target<'_>) -> io::Result<Placed> {
    let mut staged = create_claimed(target.staging)?;
    verify(descriptor, file, &mut staged)?;
    move_into_place(staged, target.path, target.durability)?;
    Ok(Placed::Copied)
}

fn verify(descriptor: &Descriptor, file: &Path, mut out: impl io::Write) -> io::Result<()> {
    let reader = fs_err::File::open(file)?;
    let mut reader = VerifyingReader::new(reader, descriptor.digest, descriptor.size);
    transfer(&mut reader, &mut out)?;
    Ok(())
}

/// Returns what a symbolic link to `file` says: the shortest relative path of the two names as they are written, so that
/// a build may move both together; where symbolic links above make that lead elsewhere, the path between the real places.
fn leads_to(file: &Path, link: &Path) -> io::Result<PathBuf> {
    let directory = link.parent().unwrap_or(Path::new("."));
    let written = relative(
        &normalized(&std::path::absolute(directory)?),
        &normalized(&std::path::absolute(file)?),
    );
    if same_file(&directory.join(&written), file) {
        return Ok(written);
    }
    Ok(relative(
        &fs_err::canonicalize(directory)?,
        &fs_err::canonicalize(file)?,
    ))
}

fn same_file(one: &Path, other: &Path) -> bool {
    match (fs_err::canonicalize(one), fs_err::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Returns the path from `directory` to `target`, both absolute and normalized.
fn relative(directory: &Path, target: &Path) -> PathBuf {
    let shared = directory
        .components()
        .zip(target.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = directory
        .components()
        .skip(shared)
        .map(|_| Component::ParentDir);
    up.chain(target.components().skip(shared)).collect()
}

/// Removes `.` and resolves `..` by the text alone.
fn normalized(path: &Path) -> PathBuf {
    let mut result = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                result.pop();
            }
            other => result.push(other),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_are_the_shortest() {
        let cases = [
            ("/a/b/c", "/a/x", "../../x"),
            ("/a/b", "/a/b/x", "x"),
            ("/", "/x", "x"),
            ("/out/blobs/sha256", "/in/./y/../l.tgz", "../../../in/l.tgz"),
        ];
        for (from, to, expected) in cases {
            let found = relative(Path::new(from), &normalized(Path::new(to)));
            assert_eq!(found, Path::new(expected), "{from} to {to}");
        }
    }
}
