//! Records as files.
//!
//! ```text
//! <root>/unfinished/…                                     files on their way to their place
//! <root>/repositories/team/app/_blobs/sha256-<hex>        the size of a blob, in decimal
//!                             /_manifests/sha256-<hex>    a record of a manifest
//!                             /_tags/<name>=<capitals>    what a tag leads to
//!                             /_referrers/sha256-<hex of the subject>/sha256-<hex>
//! ```
//!
//! No component of a repository's name begins with an underscore, so the names of a repository's own directories and
//! those of the repositories below it do not meet. Files are written aside and renamed into place, so a reader sees a
//! whole file or none, and a process that is killed loses nothing that it had answered for. Nor does a machine that
//! crashes, where the records are asked for that: then files and directories are flushed before a call returns.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::future::ready;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use futures_core::future::BoxFuture;
use imgcore::{Digest, Repository, Tag};
use imgstore::{Durability, make_directory};
use tempfile::NamedTempFile;
use tokio::runtime::Handle;

use super::{ManifestRecord, Records};
use crate::{Error, ErrorKind, Result, sys};

/// Records as files of a directory, which outlive the process.
///
/// One process at a time may use a directory: opening it removes what an earlier one left unfinished.
#[derive(Clone, Debug)]
pub struct DirectoryRecords {
    repositories: PathBuf,
    unfinished: PathBuf,
    durability: Durability,
}

impl DirectoryRecords {
    /// Opens the records in a directory, which is made unless it is there.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the directory cannot be made or read.
    pub fn open(root: &Path) -> Result<Self> {
        let records = Self {
            repositories: root.join("repositories"),
            unfinished: root.join("unfinished"),
            durability: Durability::default(),
        };
        let open = || {
            // Whatever the records are asked for later: it is once a directory.
            make_directory(&records.repositories, Durability::Machine)?;
            make_directory(&records.unfinished, Durability::Machine)?;
            for entry in fs_err::read_dir(&records.unfinished)? {
                fs_err::remove_file(entry?.path())?;
            }
            Ok(())
        };
        open().map_err(|error| {
            Error::from_io(format!("opening records in {}", root.display()), error)
        })?;
        Ok(records)
    }

    /// Chooses what a record survives once the call that made it has returned.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Returns the directory of the repositories.
    pub(crate) fn root(&self) -> &Path {
        &self.repositories
    }

    /// Returns what a record survives.
    pub(crate) fn durability(&self) -> Durability {
        self.durability
    }

    fn of_repository(&self, repository: &Repository) -> PathBuf {
        // Its components are neither empty nor dots, and hold no separators.
        self.repositories.join(repository.as_str())
    }

    fn blob_file(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        self.of_repository(repository)
            .join("_blobs")
            .join(file_of_digest(digest))
    }

    fn manifest_file(&self, repository: &Repository, digest: &Digest) -> PathBuf {
        self.of_repository(repository)
            .join("_manifests")
            .join(file_of_digest(digest))
    }

    fn tag_file(&self, repository: &Repository, tag: &Tag) -> PathBuf {
        self.of_repository(repository)
            .join("_tags")
            .join(file_of_tag(tag.as_str()))
    }

    fn referrers_directory(&self, repository: &Repository, subject: &Digest) -> PathBuf {
        self.of_repository(repository)
            .join("_referrers")
            .join(file_of_digest(subject))
    }

    /// Writes a file aside and renames it into place.
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let write = || -> io::Result<()> {
            let mut file = NamedTempFile::new_in(&self.unfinished)?;
            file.write_all(bytes)?;
            if self.durability == Durability::Machine {
                file.as_file().sync_all()?;
            }
            if let Some(directory) = path.parent() {
                make_directory(directory, self.durability)?;
            }
            file.persist(path)?;
            self.sync_names_beside(path)
        };
        write().map_err(|error| Error::from_io(format!("writing {}", path.display()), error))
    }

    /// Removes a file, and says whether it was there.
    fn remove(&self, path: &Path) -> Result<bool> {
        Ok(self.remove_all(std::slice::from_ref(&path))? > 0)
    }

    /// Removes files of one directory, and returns how many were there.
    fn remove_all(&self, paths: &[impl AsRef<Path>]) -> Result<usize> {
        let mut last = None;
        let mut removed = 0;
        for path in paths.iter().map(AsRef::as_ref) {
            if remove(path)? {
                removed += 1;
                last = Some(path);
            }
        }
        if let Some(last) = last {
            self.sync_names_beside(last)
                .map_err(|error| Error::from_io("removing a record", error))?;
        }
        Ok(removed)
    }

    /// Makes the names in the directory of `path` survive what they must survive.
    fn sync_names_beside(&self, path: &Path) -> io::Result<()> {
        match (self.durability, path.parent()) {
            (Durability::Machine, Some(directory)) => sys::sync_directory(directory),
            _ => Ok(()),
        }
    }

    /// Runs a change. One that waits for the disk waits where it holds up no other request.
    fn change<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> BoxFuture<'_, Result<T>> {
        match (self.durability, Handle::try_current()) {
            (Durability::Machine, Ok(runtime)) => {
                let records = self.clone();
                Box::pin(async move {
                    let changed = runtime.spawn_blocking(move || change(&records));
                    changed.await.unwrap_or_else(|error| {
                        Err(Error::new(ErrorKind::Io, "changing records").with_source(error))
                    })
                })
            }
            _ => Box::pin(ready(change(self))),
        }
    }

    /// Says whether any repository has a blob or a manifest of this digest.
    fn holds_now(&self, digest: &Digest) -> Result<bool> {
        let name = file_of_digest(digest);
        let look = || -> io::Result<bool> {
            let mut left = vec![self.repositories.clone()];
            while let Some(directory) = left.pop() {
                for entry in fs_err::read_dir(&directory)? {
                    let entry = entry?;
                    if !entry.file_type()?.is_dir() {
                        continue;
                    }
                    let kind = entry.file_name();
                    if kind == "_blobs" || kind == "_manifests" {
                        if entry.path().join(&name).try_exists()? {
                            return Ok(true);
                        }
                    } else if !kind.to_string_lossy().starts_with('_') {
                        left.push(entry.path());
                    }
                }
            }
            Ok(false)
        };
        look().map_err(|error| Error::from_io(format!("looking for records of {digest}"), error))
    }

    fn manifest_now(
        &self,
        repository: &Repository,
        digest: &Digest,
    ) -> Result<Option<ManifestRecord>> {
        let path = self.manifest_file(repository, digest);
        let Some(bytes) = read(&path)? else {
            return Ok(None);
        };
        let record = ManifestRecord::from_json(&bytes).map_err(|error| damaged(&path, error))?;
        Ok(Some(record))
    }

    fn put_manifest_now(&self, repository: &Repository, record: &ManifestRecord) -> Result<()> {
        let digest = record.descriptor.digest;
        // The list of referrers leaves out what is no manifest yet, so it comes first: a manifest that can be seen is
        // in it.
        if let Some(subject) = &record.subject {
            let directory = self.referrers_directory(repository, subject);
            self.write(&directory.join(file_of_digest(&digest)), b"")?;
        }
        self.write(&self.manifest_file(repository, &digest), &record.to_json())
    }

    fn remove_manifest_now(&self, repository: &Repository, digest: &Digest) -> Result<bool> {
        let Some(record) = self.manifest_now(repository, digest)? else {
            return Ok(false);
        };
        // The manifest goes last: as long as it is there, the removal can be asked for again.
        let tags = self.of_repository(repository).join("_tags");
        let mut leading = Vec::new();
        for name in names(&tags)?.unwrap_or_default() {
            let path = tags.join(name);
            if read_digest(&path)? == Some(*digest) {
                leading.push(path);
            }
        }
        self.remove_all(&leading)?;
        if let Some(subject) = &record.subject {
            let directory = self.referrers_directory(repository, subject);
            self.remove(&directory.join(file_of_digest(digest)))?;
        }
        self.remove(&self.manifest_file(repository, digest))
    }

    fn tags_now(
        &self,
        repository: &Repository,
        after: &str,
        limit: usize,
    ) -> Result<Option<Vec<Tag>>> {
        let root = self.of_repository(repository);
        let Some(names) = names(&root.join("_tags"))? else {
            let has_others = ["_manifests", "_blobs"].map(|name| root.join(name).is_dir());
            return Ok(has_others.contains(&true).then(Vec::new));
        };
        let tags = names.iter().filter_map(|name| tag_of_file(name));
        let later = tags.filter(|tag| tag.as_str() > after);
        Ok(Some(smallest(later, limit)))
    }
}

impl Records for DirectoryRecords {
    fn blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<u64>>> {
        let path = self.blob_file(repository, digest);
        let size = read(&path).and_then(|bytes| {
            let Some(bytes) = bytes else {
                return Ok(None);
            };
            let text = String::from_utf8_lossy(&bytes);
            text.parse().map(Some).map_err(|error| {
                let cause = Error::new(ErrorKind::Malformed, "size of a blob").with_source(error);
                damaged(&path, cause)
            })
        });
        Box::pin(ready(size))
    }

    fn link_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
        size: u64,
    ) -> BoxFuture<'a, Result<()>> {
        let path = self.blob_file(repository, digest);
        self.change(move |records| records.write(&path, size.to_string().as_bytes()))
    }

    fn unlink_blob<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        let path = self.blob_file(repository, digest);
        self.change(move |records| records.remove(&path))
    }

    fn holds<'a>(&'a self, digest: &'a Digest) -> BoxFuture<'a, Result<bool>> {
        let digest = *digest;
        self.change(move |records| records.holds_now(&digest))
    }

    fn manifest<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<Option<ManifestRecord>>> {
        Box::pin(ready(self.manifest_now(repository, digest)))
    }

    fn put_manifest<'a>(
        &'a self,
        repository: &'a Repository,
        record: &'a ManifestRecord,
    ) -> BoxFuture<'a, Result<()>> {
        let (repository, record) = (repository.clone(), record.clone());
        self.change(move |records| records.put_manifest_now(&repository, &record))
    }

    fn remove_manifest<'a>(
        &'a self,
        repository: &'a Repository,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<bool>> {
        let (repository, digest) = (repository.clone(), *digest);
        self.change(move |records| records.remove_manifest_now(&repository, &digest))
    }

    fn tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<Option<Digest>>> {
        Box::pin(ready(read_digest(&self.tag_file(repository, tag))))
    }

    fn put_tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
        digest: &'a Digest,
    ) -> BoxFuture<'a, Result<()>> {
        let path = self.tag_file(repository, tag);
        let digest = *digest;
        self.change(move |records| records.write(&path, digest.to_string().as_bytes()))
    }

    fn remove_tag<'a>(
        &'a self,
        repository: &'a Repository,
        tag: &'a Tag,
    ) -> BoxFuture<'a, Result<bool>> {
        let path = self.tag_file(repository, tag);
        self.change(move |records| records.remove(&path))
    }

    fn tags<'a>(
        &'a self,
        repository: &'a Repository,
        after: &'a str,
        limit: usize,
    ) -> BoxFuture<'a, Result<Option<Vec<Tag>>>> {
        Box::pin(ready(self.tags_now(repository, after, limit)))
    }

    fn referrers<'a>(
        &'a self,
        repository: &'a Repository,
        subject: &'a Digest,
    ) -> BoxFuture<'a, Result<Vec<Digest>>> {
        let found = names(&self.referrers_directory(repository, subject)).map(|names| {
            let names = names.unwrap_or_default();
            let mut digests: Vec<_> = names
                .iter()
                .filter_map(|name| digest_of_file(name))
                .collect();
            digests.sort_unstable();
            digests
        });
        Box::pin(ready(found))
    }
}

fn file_of_digest(digest: &Digest) -> String {
    format!("{}-{}", digest.algorithm().name(), digest.hex())
}

fn digest_of_file(name: &str) -> Option<Digest> {
    name.replacen('-', ":", 1).parse().ok()
}

/// Writes a tag as a file's name that no file system takes for another one's: the letters small, and after `=` a bit for
/// each letter that is a capital one.
pub(super) fn file_of_tag(tag: &str) -> String {
    let mut capitals: Vec<u8> = tag
        .as_bytes()
        .chunks(4)
        .map(|chunk| {
            let bits = chunk.iter().enumerate();
            bits.fold(0, |sum, (at, byte)| {
                sum | u8::from(byte.is_ascii_uppercase()) << at
            })
        })
        .collect();
    while capitals.last() == Some(&0) {
        capitals.pop();
    }
    let digits = capitals
        .into_iter()
        .filter_map(|four| char::from_digit(four.into(), 16));
    let mut name = tag.to_ascii_lowercase();
    name.push('=');
    name.extend(digits);
    name
}

pub(super) fn tag_of_file(name: &str) -> Option<Tag> {
    let (letters, capitals) = name.split_once('=')?;
    let mut text = letters.as_bytes().to_vec();
    for (chunk, digit) in text.chunks_mut(4).zip(capitals.chars()) {
        let four = digit.to_digit(16)?;
        for (at, byte) in chunk.iter_mut().enumerate() {
            if four >> at & 1 == 1 {
                byte.make_ascii_uppercase();
            }
        }
    }
    let tag: Tag = String::from_utf8(text).ok()?.parse().ok()?;
    // Only what was written here counts: there is one file for each tag.
    (file_of_tag(tag.as_str()) == name).then_some(tag)
}

/// Returns the `limit` smallest tags in order, without keeping more of them than that.
fn smallest(tags: impl Iterator<Item = Tag>, limit: usize) -> Vec<Tag> {
    let mut heap = BinaryHeap::new();
    for tag in tags {
        heap.push(ByText(tag));
        if heap.len() > limit {
            heap.pop();
        }
    }
    heap.into_sorted_vec()
        .into_iter()
        .map(|ByText(tag)| tag)
        .collect()
}

#[derive(PartialEq, Eq)]
struct ByText(Tag);

impl Ord for ByText {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_str().cmp(other.0.as_str())
    }
}

impl PartialOrd for ByText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs_err::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(Error::from_io("reading a record", error)),
    }
}

fn read_digest(path: &Path) -> Result<Option<Digest>> {
    let Some(bytes) = read(path)? else {
        return Ok(None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let digest = text
        .parse()
        .map_err(|error: imgcore::digest::ParseDigestError| {
            let cause = Error::new(ErrorKind::Malformed, "digest of a tag").with_source(error);
            damaged(path, cause)
        })?;
    Ok(Some(digest))
}

fn remove(path: &Path) -> Result<bool> {
    match fs_err::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(Error::from_io("removing a record", error)),
    }
}

/// Returns the names of a directory's files, or `None` when there is no directory.
fn names(directory: &Path) -> Result<Option<Vec<String>>> {
    let list = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs_err::read_dir(directory)? {
            // What is no text was not written here.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    };
    match list() {
        Ok(names) => Ok(Some(names)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(Error::from_io("listing records", error)),
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn damaged(path: &Path, cause: Error) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("{} is damaged", path.display()),
    )
    .with_source(cause)
}
