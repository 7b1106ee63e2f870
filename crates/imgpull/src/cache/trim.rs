//! What keeps the cache from growing without end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use imgcore::Algorithm;
use imgstore::Result;

use super::Cache;

/// What [`Cache::trim`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trimmed {
    /// How many blobs were removed.
    pub blobs: usize,
    /// How many bytes they had.
    pub freed: u64,
    /// How many bytes the blobs have that are still there.
    pub size: u64,
}

/// A blob that is there.
struct Found {
    used: SystemTime,
    size: u64,
    path: PathBuf,
}

impl Cache {
    /// Where the blobs have more than `limit` bytes together, removes those that were used longest ago, until the rest has
    /// at most nine tenths of that: what is fetched next has room, and does not make somebody trim again.
    ///
    /// Each goes whole, so that a process which is killed here leaves a cache as good as any. A blob that was used since
    /// it was looked at stays. Whoever has one open reads it to its end; where the system keeps files that are open
    /// (Windows), it stays. Unfinished files neither count nor go, nor does what is no blob.
    ///
    /// # Errors
    ///
    /// When a directory cannot be read or a file not be removed.
    pub fn trim(&self, limit: u64) -> Result<Trimmed> {
        self.trim_files(limit)
            .map_err(|error| self.failed("trimming", error))
    }

    /// Returns whether this handle, or a clone of it, was used to put anything in. Before that, trimming would look at all
    /// of the cache for nothing.
    pub fn has_grown(&self) -> bool {
        self.0.has_grown.load(Ordering::Relaxed)
    }

    /// Returns whether this is also a disk cache of Bazel, which has other things in it and removes them by itself.
    pub fn is_shared_with_bazel(&self) -> bool {
        self.root().join("ac").is_dir()
    }

    fn trim_files(&self, limit: u64) -> io::Result<Trimmed> {
        let mut found = self.blobs()?;
        let mut trimmed = Trimmed {
            size: found.iter().map(|blob| blob.size).sum(),
            ..Trimmed::default()
        };
        if trimmed.size <= limit {
            return Ok(trimmed);
        }
        // The one that was used longest ago comes last, from where it is taken.
        found.sort_unstable_by(|one, other| (other.used, &other.path).cmp(&(one.used, &one.path)));
        let goal = limit - limit / 10;
        while trimmed.size > goal
            && let Some(blob) = found.pop()
        {
            if remove_if_unused_since(&blob)? {
                trimmed.size -= blob.size;
                trimmed.freed += blob.size;
                trimmed.blobs += 1;
            }
        }
        Ok(trimmed)
    }

    fn blobs(&self) -> io::Result<Vec<Found>> {
        let mut found = Vec::new();
        for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
            let cas = self.cas(algorithm);
            for shard in entries(&cas)? {
                for path in entries(&shard)? {
                    found.extend(blob_at(path, algorithm)?);
                }
            }
        }
        Ok(found)
    }
}

/// Returns what is at a path, if that is a blob.
fn blob_at(path: PathBuf, algorithm: Algorithm) -> io::Result<Option<Found>> {
    let name = path.file_name().and_then(|name| name.to_str());
    let is_digit = |it: u8| it.is_ascii_digit() || (b'a'..=b'f').contains(&it);
    let is_digest = |name: &str| name.len() == 2 * algorithm.len() && name.bytes().all(is_digit);
    if !name.is_some_and(is_digest) {
        return Ok(None);
    }
    match fs_err::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => Ok(Some(Found {
            used: metadata.modified()?,
            size: metadata.len(),
            path,
        })),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns the paths in a directory; none where there is no directory.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let list = match fs_err::read_dir(directory) {
        Ok(list) => list,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        Err(error) => return Err(error),
    };
    list.map(|entry| Ok(entry?.path())).collect()
}

/// Removes a blob, unless it has been used meanwhile or is kept by who has it open. Returns whether it is gone.
fn remove_if_unused_since(blob: &Found) -> io::Result<bool> {
    // Others may trim at the same time: what they removed is as good as removed here.
    let is_gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(true),
        io::ErrorKind::PermissionDenied if cfg!(windows) => Ok(false),
        _ => Err(error),
    };
    match fs_err::symlink_metadata(&blob.path).and_then(|found| found.modified()) {
        Ok(used) if used != blob.used => Ok(false),
        Ok(_) => fs_err::remove_file(&blob.path)
            .map(|()| true)
            .or_else(is_gone),
        Err(error) => is_gone(error),
    }
}
