//! Blobs that were fetched before, shared by all processes of this machine.

mod partial;
#[cfg(test)]
mod tests;
mod trim;

use std::collections::HashMap;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use imgcore::{Algorithm, Descriptor, Digest};
use imgstore::{
    Begin, BlobSink, BlobSource, BlobWrite, Error, ErrorKind, Ingest, LocalSource, LocalSourceExt,
    RawReader, Result,
};
use tempfile::NamedTempFile;

pub(crate) use self::partial::Partial;
pub use self::trim::Trimmed;
use crate::sys::{self, Lock};
use crate::transfer::{self, Failed, Target as _};
use crate::wait::{off_the_runtime, pause};

/// Where unfinished files lie. Bazel's collector of garbage leaves `tmp` alone.
const UNFINISHED: &str = "tmp/imgkit";
/// How the name of an unfinished file ends that goes on where a killed process stopped.
const PARTIAL: &str = ".partial";
/// How the name of an unfinished file starts that nobody goes on with.
const SINGLE: &str = "single-";

/// A directory of blobs in the layout of Bazel's disk cache: `cas/<first two digits>/<digits>`.
///
/// It may be the very directory that `bazel build --disk_cache` uses: both read what the other wrote, and blobs that
/// are used count as recently used. Directories that it makes are for the user alone, and so is what is unfinished;
/// blobs may be read by others where they get through the directories.
///
/// # Guarantees
///
/// * A blob appears by a rename, after its size and digest proved right and its bytes were flushed to the disk.
/// * Every read is checked. [`ensure`](Self::ensure) replaces a damaged blob.
/// * Of several tasks and processes that want one blob with [`fetch`](Self::fetch) or [`ensure`](Self::ensure), one
///   fetches it and the others wait for it. When that one is killed, another goes on where it stopped.
/// * When the disk is full, or the cache cannot be written, callers of [`fetch`](Self::fetch) are told so and fetch
///   without it.
///
/// It grows until somebody [trims](Self::trim) it.
///
/// On hosts without file locks (Windows), processes do not wait for each other; tasks of one process do.
///
/// # Examples
///
/// ```
/// use imgcore::{Descriptor, MediaType};
/// use imgpull::Cache;
/// use imgstore::{BlobSourceExt, MemoryStore, blocking};
///
/// let directory = tempfile::tempdir()?;
/// let cache = Cache::open(directory.path())?;
/// let far = MemoryStore::new();
/// far.insert("hello");
/// let hello = Descriptor::of(MediaType::OCI_EMPTY, b"hello");
///
/// blocking::block_on(cache.ensure(&hello, &far))?;
/// assert_eq!(blocking::read_all(&cache, &hello, 5)?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// One lock a digest that somebody in this process works at.
    at_work: Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>,
    /// Whether anything was put in.
    has_grown: AtomicBool,
}

/// How a blob came to be in the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ensured {
    /// It was fetched.
    Fetched {
        /// How many of its bytes an earlier process had left.
        resumed_from: u64,
    },
    /// It was there, or another task or process fetched it meanwhile.
    Present,
}

/// What keeps other tasks of this process from fetching the same blob.
pub(crate) type Permit = tokio::sync::OwnedMutexGuard<()>;

/// What somebody who wants a blob finds.
#[expect(clippy::large_enum_variant, reason = "it is moved once a blob")]
pub(crate) enum Claim {
    /// It is there, with the right size.
    Present,
    /// It must be fetched, and nobody else does.
    Fetch(Partial),
}

impl Cache {
    /// Opens a cache, and makes its directory unless it is there.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made, and [`ErrorKind::Denied`] when others than its owner may write to it, or to
    /// a directory in it: they could replace what it has, and what it is about to have.
    pub fn open(root: impl Into<PathBuf>) -> Result<Self> {
        let root = root.into();
        let failed = |error: io::Error| {
            Error::from_io(format!("making a cache in {}", root.display()), error)
        };
        for directory in ["cas", UNFINISHED] {
            sys::create_private_directory(&root.join(directory)).map_err(failed)?;
        }
        let inside = ["cas", "tmp", UNFINISHED].map(|it| root.join(it));
        for directory in std::iter::once(root.clone()).chain(inside) {
            if sys::is_writable_by_others(&directory).map_err(failed)? {
                let text = format!(
                    "a cache in {} cannot be trusted: others than its owner may write to {}",
                    root.display(),
                    directory.display()
                );
                return Err(Error::new(ErrorKind::Denied, text));
            }
        }
        Ok(Self(Arc::new(Inner {
            root,
            at_work: Mutex::default(),
            has_grown: AtomicBool::default(),
        })))
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Returns where the file of a blob is, or would be.
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let mut path = self.cas(digest.algorithm());
        path.extend([&hex[..2], &hex]);
        path
    }

    /// Returns where the blobs lie that are named by an algorithm.
    fn cas(&self, algorithm: Algorithm) -> PathBuf {
        let mut path = self.root().to_path_buf();
        // As Bazel does it for every hash function that is younger than its cache.
        if algorithm != Algorithm::Sha256 {
            path.push(algorithm.name());
        }
        path.push("cas");
        path
    }

    /// Makes sure that a blob is there, whole and checked: fetches it from `source` unless it is, and replaces it if
    /// it is damaged.
    ///
    /// # Errors
    ///
    /// Those of the source, and that the cache cannot be written. What arrived stays for the next attempt.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the bytes that arrived, for the next attempt.
    pub async fn ensure(
        &self,
        descriptor: &Descriptor,
        source: &(impl BlobSource + ?Sized),
    ) -> Result<Ensured> {
        let ensured = self.fetch(descriptor, source).await?;
        if ensured == Ensured::Present && !self.check(descriptor).await? {
            self.discard(&descriptor.digest)?;
            return self.fetch(descriptor, source).await;
        }
        Ok(ensured)
    }

    /// Fetches a blob from `source` unless a file of its size is there; whether that one is damaged, its reader finds
    /// out.
    ///
    /// # Errors
    ///
    /// As [`ensure`](Self::ensure).
    ///
    /// # Cancel safety
    ///
    /// As [`ensure`](Self::ensure).
    pub async fn fetch(
        &self,
        descriptor: &Descriptor,
        source: &(impl BlobSource + ?Sized),
    ) -> Result<Ensured> {
        match self.claim(descriptor).await? {
            Claim::Present => Ok(Ensured::Present),
            Claim::Fetch(mut partial) => {
                let resumed_from = partial.offset();
                match transfer::from_one(source, descriptor, &mut partial).await {
                    Ok(()) => Ok(Ensured::Fetched { resumed_from }),
                    Err(Failed::Source(error)) => Err(error),
                    Err(Failed::Target(error)) => {
                        partial.give_up().await;
                        Err(error)
                    }
                }
            }
        }
    }

    /// Removes a blob, for instance one that proved damaged.
    ///
    /// # Errors
    ///
    /// When its file cannot be removed.
    pub fn discard(&self, digest: &Digest) -> Result<()> {
        match fs_err::remove_file(self.blob_path(digest)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::from_io(format!("removing {digest}"), error))
            }
            _ => Ok(()),
        }
    }

    /// Removes unfinished files that were last written before `time` and that nobody works at, and returns how many
    /// that were.
    ///
    /// # Errors
    ///
    /// When the directory cannot be read or a file not be removed.
    pub fn remove_leftovers(&self, time: SystemTime) -> Result<usize> {
        let clean = || -> io::Result<usize> {
            let mut removed = 0;
            for entry in fs_err::read_dir(self.root().join(UNFINISHED))? {
                removed += usize::from(remove_if_old(&entry?.path(), time)?);
            }
            Ok(removed)
        };
        clean().map_err(|error| self.failed("cleaning", error))
    }

    /// Waits until a blob is there, or is for the caller to fetch.
    pub(crate) async fn claim(&self, descriptor: &Descriptor) -> Result<Claim> {
        let claim = self.claim_in_turn(descriptor).await?;
        if matches!(claim, Claim::Fetch(_)) {
            self.0.has_grown.store(true, Ordering::Relaxed);
        }
        Ok(claim)
    }

    async fn claim_in_turn(&self, descriptor: &Descriptor) -> Result<Claim> {
        // Within the process first: tasks are woken, processes must look again.
        let permit = self.at_work_lock(descriptor.digest).lock_owned().await;
        let path = self.unfinished(&descriptor.digest);
        let mut wait = Duration::from_millis(2);
        loop {
            if self.is_present(descriptor)? {
                return Ok(Claim::Present);
            }
            let opened = sys::open_to_continue(&path);
            let file = opened.map_err(|error| self.failed("opening", error))?;
            match sys::try_lock(&file).map_err(|error| self.failed("locking", error))? {
                Lock::Made => {}
                Lock::Taken => {
                    pause(wait).await;
                    wait = (wait * 2).min(Duration::from_millis(100));
                    continue;
                }
                Lock::Unsupported => {
                    drop(file);
                    return self.claim_alone(descriptor, permit).await.map(Claim::Fetch);
                }
            }
            let is_at = sys::is_at(&file, &path);
            if !is_at.map_err(|error| self.failed("looking at", error))? {
                // It was finished or given up between opening and locking.
                continue;
            }
            if self.is_present(descriptor)? {
                // Nobody else may be writing to a file that this process holds the lock of.
                let _ = fs_err::remove_file(&path);
                return Ok(Claim::Present);
            }
            let target = self.blob_path(&descriptor.digest);
            let opened = Partial::open(descriptor, file, (path, target), permit).await;
            return opened
                .map(Claim::Fetch)
                .map_err(|error| self.failed("reading", error));
        }
    }

    /// Where processes cannot wait for each other, each writes a file of its own.
    async fn claim_alone(&self, descriptor: &Descriptor, permit: Permit) -> Result<Partial> {
        let name = format!(
            "{SINGLE}{}-{}{PARTIAL}",
            std::process::id(),
            descriptor.digest.hex()
        );
        let path = self.root().join(UNFINISHED).join(name);
        let file = sys::open_to_continue(&path).map_err(|error| self.failed("opening", error))?;
        let target = self.blob_path(&descriptor.digest);
        let opened = Partial::open(descriptor, file, (path, target), permit).await;
        opened.map_err(|error| self.failed("reading", error))
    }

    /// Says whether a file of the right size is there, and marks it as used. One of another size is damaged.
    fn is_present(&self, descriptor: &Descriptor) -> Result<bool> {
        match self.size_of(&descriptor.digest)? {
            Some(size) if size == descriptor.size => {
                // A cache that cannot be written can still be read.
                let _ = sys::touch(&self.blob_path(&descriptor.digest));
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Reads a blob to its end.
    async fn check(&self, descriptor: &Descriptor) -> Result<bool> {
        let (cache, descriptor) = (self.clone(), descriptor.clone());
        let read = off_the_runtime(move || {
            let mut reader = cache.open_blocking(&descriptor)?;
            io::copy(&mut reader, &mut io::sink())?;
            Ok(())
        });
        match read.await.map_err(|error| self.failed("checking", error)) {
            Ok(()) => Ok(true),
            Err(error) if is_damage(error.kind()) => Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn at_work_lock(&self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let at_work = self.0.at_work.lock();
        let mut at_work = at_work.unwrap_or_else(PoisonError::into_inner);
        if let Some(lock) = at_work.get(&digest).and_then(Weak::upgrade) {
            return lock;
        }
        at_work.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        at_work.insert(digest, Arc::downgrade(&lock));
        lock
    }

    fn unfinished(&self, digest: &Digest) -> PathBuf {
        let name = format!("{}-{}{PARTIAL}", digest.algorithm().name(), digest.hex());
        self.root().join(UNFINISHED).join(name)
    }

    fn failed(&self, doing: &str, error: io::Error) -> Error {
        Error::from_io(
            format!("{doing} a file of the cache {}", self.root().display()),
            error,
        )
    }
}

impl LocalSource for Cache {
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>> {
        let path = self.blob_path(digest);
        match fs_err::symlink_metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some(found.len())),
            Ok(_) => {
                let text = format!("{} is no regular file", path.display());
                Err(Error::new(ErrorKind::Malformed, text))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("looking for", error)),
        }
    }

    fn open_raw(&self, digest: &Digest, offset: u64) -> Result<Option<RawReader>> {
        if self.size_of(digest)?.is_none() {
            return Ok(None);
        }
        let opened = fs_err::File::open(self.blob_path(digest)).and_then(|mut file| {
            file.seek(SeekFrom::Start(offset))?;
            Ok(Box::new(file) as RawReader)
        });
        match opened {
            Ok(reader) => Ok(Some(reader)),
            // Bazel may collect garbage at any moment.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("opening", error)),
        }
    }

    fn path_of(&self, digest: &Digest) -> Option<PathBuf> {
        let size = self.size_of(digest).ok().flatten();
        size.map(|_| self.blob_path(digest))
    }

    fn place(&self) -> String {
        format!("the cache {}", self.root().display())
    }
}

impl BlobSink for Cache {
    fn writer<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<Begin>> {
        Box::pin(std::future::ready(self.begin(descriptor)))
    }
}

impl Cache {
    fn begin(&self, descriptor: &Descriptor) -> Result<Begin> {
        if self.is_present(descriptor)? {
            return Ok(Begin::AlreadyExists);
        }
        let file = tempfile::Builder::new()
            .prefix(SINGLE)
            .tempfile_in(self.root().join(UNFINISHED))
            .map_err(|error| self.failed("making", error))?;
        self.0.has_grown.store(true, Ordering::Relaxed);
        let write = FileWrite {
            file,
            target: self.blob_path(&descriptor.digest),
            cache: self.clone(),
        };
        Ok(Begin::Writer(Ingest::new(descriptor, Box::new(write))))
    }
}

/// A blob on its way in whose bytes somebody else brings.
struct FileWrite {
    file: NamedTempFile,
    target: PathBuf,
    cache: Cache,
}

impl BlobWrite for FileWrite {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, Result<()>> {
        let written = self.file.write_all(&bytes);
        Box::pin(std::future::ready(
            written.map_err(|error| self.cache.failed("writing", error)),
        ))
    }

    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<()>> {
        Box::pin(async move {
            let (file, target) = (self.file, self.target);
            let moved = off_the_runtime(move || {
                sys::let_others_read(file.as_file(), directory_of(file.path()));
                file.as_file().sync_all()?;
                make_room_for(&target)?;
                file.persist(&target).map_err(|error| error.error)?;
                Ok(())
            });
            moved
                .await
                .map_err(|error| self.cache.failed("finishing", error))
        })
    }
}

/// Makes the directory above a blob.
fn make_room_for(target: &Path) -> io::Result<()> {
    match target.parent() {
        Some(directory) => sys::create_private_directory(directory),
        None => Ok(()),
    }
}

/// The directory that a file of the cache is in.
fn directory_of(file: &Path) -> &Path {
    file.parent().unwrap_or(file)
}

/// Says whether a read failed because the bytes are not the ones that were written.
pub(crate) fn is_damage(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::DigestMismatch { .. } | ErrorKind::SizeMismatch { .. }
    )
}

fn remove_if_old(path: &Path, time: SystemTime) -> io::Result<bool> {
    // Its writer may finish or drop it at any moment.
    let unless_gone = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Ok(false),
        _ => Err(error),
    };
    let found = match fs_err::symlink_metadata(path) {
        Ok(found) if found.is_file() => found,
        Ok(_) => return Ok(false),
        Err(error) => return unless_gone(error),
    };
    if found.modified()? >= time {
        return Ok(false);
    }
    let file = match fs_err::File::open(path) {
        Ok(file) => file,
        Err(error) => return unless_gone(error),
    };
    if sys::try_lock(&file)? == Lock::Taken {
        return Ok(false);
    }
    fs_err::remove_file(path)
        .map(|()| true)
        .or_else(unless_gone)
}
