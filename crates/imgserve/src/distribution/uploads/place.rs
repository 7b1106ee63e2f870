//! Where the bytes of unfinished uploads lie.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::SystemTime;

use bytes::{Bytes, BytesMut};
use fs_err::{File, OpenOptions};
use imgcore::digest::VerifyingReader;
use imgcore::{Descriptor, Digest, MediaType, Repository};
use imgstore::{
    Begin, BlobSink, BlobSource, CHUNK, DirectoryStore, Durability, Placed, Placement,
    make_directory,
};
use tokio::sync::OwnedMutexGuard;

use super::super::blobs::BYTES;
use super::super::records::DirectoryRecords;
use super::super::registry::Store;
use super::super::route::UploadName;
use crate::{Error, ErrorKind, Result};

/// Where the bytes of unfinished uploads lie: one request at a time works on each.
pub struct Uploads {
    place: Place,
    /// Uploads at which a request works now.
    busy: Mutex<HashMap<UploadName, Weak<tokio::sync::Mutex<()>>>>,
}

enum Place {
    Directory {
        /// Holds `<repository>/_uploads/<id>`.
        root: PathBuf,
        /// What the names of its directories survive: records lie beside uploads.
        durability: Durability,
        /// A store on the same file system, which takes finished files as they are.
        store: Option<DirectoryStore>,
    },
    Memory(Mutex<HashMap<UploadName, BytesMut>>),
}

impl Uploads {
    /// Keeps unfinished uploads in memory. They may be as large as blobs are.
    pub fn in_memory() -> Self {
        Self::of(Place::Memory(Mutex::default()))
    }

    /// Keeps unfinished uploads as files of a directory, where a later process finds them.
    pub fn at_directory(root: impl Into<PathBuf>) -> Self {
        Self::of(Place::Directory {
            root: root.into(),
            durability: Durability::default(),
            store: None,
        })
    }

    /// Keeps unfinished uploads beside records, and gives finished ones to a store without copying them.
    pub(crate) fn beside(records: &DirectoryRecords, store: Option<DirectoryStore>) -> Self {
        Self::of(Place::Directory {
            root: records.root().to_owned(),
            durability: records.durability(),
            store,
        })
    }

    fn of(place: Place) -> Self {
        Self {
            place,
            busy: Mutex::default(),
        }
    }

    /// Removes the files of uploads that nobody has written to since `before`, and returns how many that were. Uploads
    /// in memory are left alone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when a directory cannot be read or a file not be removed.
    pub fn remove_stale(&self, before: SystemTime) -> Result<usize> {
        match &self.place {
            Place::Directory { root, .. } => remove_stale(root, before)
                .map_err(|error| Error::from_io("removing stale uploads", error)),
            Place::Memory(_) => Ok(0),
        }
    }

    /// Starts an upload under a name that cannot be guessed.
    pub(super) async fn begin(&self, repository: Repository) -> Result<UploadName> {
        let id = random_id()?;
        let name = UploadName { repository, id };
        match &self.place {
            Place::Directory {
                root, durability, ..
            } => {
                let (path, durability) = (file_of(root, &name), *durability);
                let make = move || -> io::Result<()> {
                    if let Some(directory) = path.parent() {
                        make_directory(directory, durability)?;
                    }
                    OpenOptions::new()
                        .write(true)
                        .create_new(true)
                        .open(&path)?;
                    Ok(())
                };
                // New names wait for the disk.
                let done = tokio::task::spawn_blocking(make).await;
                done.unwrap_or_else(|error| Err(io::Error::other(error)))
                    .map_err(|error| Error::from_io("starting an upload", error))?;
            }
            Place::Memory(uploads) => {
                locked(uploads).insert(name.clone(), BytesMut::new());
            }
        }
        Ok(name)
    }

    /// Waits until no other request works on an upload, and returns it; `None` when there is no such upload.
    pub(super) async fn hold(self: &Arc<Self>, name: UploadName) -> Result<Option<Held>> {
        // Before the lock is made: whoever asks for names that there are not leaves no trace.
        if !self.exists(&name) {
            return Ok(None);
        }
        let turn = self.turn(&name).lock_owned().await;
        let (file, received) = match &self.place {
            Place::Directory { root, .. } => match open(&file_of(root, &name)) {
                Ok((file, size)) => (Some(file), size),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(Error::from_io("opening an upload", error)),
            },
            Place::Memory(uploads) => match locked(uploads).get(&name) {
                Some(bytes) => (None, bytes.len() as u64),
                None => return Ok(None),
            },
        };
        Ok(Some(Held {
            uploads: Arc::clone(self),
            name,
            file,
            received,
            _turn: turn,
        }))
    }

    fn exists(&self, name: &UploadName) -> bool {
        match &self.place {
            Place::Directory { root, .. } => file_of(root, name).is_file(),
            Place::Memory(uploads) => locked(uploads).contains_key(name),
        }
    }

    fn turn(&self, name: &UploadName) -> Arc<tokio::sync::Mutex<()>> {
        let mut busy = locked(&self.busy);
        if let Some(turn) = busy.get(name).and_then(Weak::upgrade) {
            return turn;
        }
        busy.retain(|_, turn| turn.strong_count() > 0);
        let turn = Arc::default();
        busy.insert(name.clone(), Arc::downgrade(&turn));
        turn
    }
}

impl fmt::Debug for Uploads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match &self.place {
            Place::Directory { root, .. } => root.display().to_string(),
            Place::Memory(_) => "memory".to_owned(),
        };
        f.debug_struct("Uploads")
            .field("place", &place)
            .finish_non_exhaustive()
    }
}

/// An upload that one request works on.
pub(super) struct Held {
    uploads: Arc<Uploads>,
    name: UploadName,
    /// Where the bytes go, unless they go to memory.
    file: Option<File>,
    received: u64,
    _turn: OwnedMutexGuard<()>,
}

impl Held {
    pub(super) fn name(&self) -> &UploadName {
        &self.name
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        match (&mut self.file, &self.uploads.place) {
            (Some(file), _) => {
                let written = file.write_all(bytes);
                if let Err(error) = written {
                    // A full disk may have taken a part of it.
                    let _ = file.set_len(self.received);
                    return Err(Error::from_io("writing an upload", error));
                }
            }
            (None, Place::Memory(uploads)) => {
                if let Some(held) = locked(uploads).get_mut(&self.name) {
                    held.extend_from_slice(bytes);
                }
            }
            (None, Place::Directory { .. }) => {}
        }
        self.received += bytes.len() as u64;
        Ok(())
    }

    /// Throws away everything behind the first `size` bytes.
    pub(super) fn cut(&mut self, size: u64) -> Result<()> {
        if let Some(file) = &self.file {
            file.set_len(size)
                .map_err(|error| Error::from_io("cutting an upload", error))?;
        } else if let Place::Memory(uploads) = &self.uploads.place
            && let Some(held) = locked(uploads).get_mut(&self.name)
        {
            held.truncate(usize::try_from(size).unwrap_or(usize::MAX));
        }
        self.received = size;
        Ok(())
    }

    pub(super) fn remove(self) -> Result<()> {
        match &self.uploads.place {
            Place::Directory { root, .. } => fs_err::remove_file(file_of(root, &self.name))
                .map_err(|error| Error::from_io("removing an upload", error)),
            Place::Memory(uploads) => {
                locked(uploads).remove(&self.name);
                Ok(())
            }
        }
    }

    /// Puts the bytes into a store under their digest, after checking that it is theirs, and returns their number.
    pub(super) async fn store(
        &self,
        blobs: &Arc<dyn Store>,
        digest: &Digest,
    ) -> imgstore::Result<u64> {
        let media_type = MediaType::from_static(BYTES);
        let blob = Descriptor::new(media_type, *digest, self.received);
        match &self.uploads.place {
            Place::Directory {
                root, store: None, ..
            } => {
                let path = file_of(root, &self.name);
                ingest(&**blobs, &blob, Source::File(path)).await?;
            }
            Place::Directory {
                root,
                store: Some(store),
                ..
            } => {
                let path = file_of(root, &self.name);
                let (store, blob) = (store.clone(), blob.clone());
                // Hashing a large file takes seconds, in which other requests want to be answered.
                let placed = tokio::task::spawn_blocking(move || adopt(&store, &blob, &path));
                placed.await.map_err(|error| {
                    imgstore::Error::new(imgstore::ErrorKind::Io, "placing a blob")
                        .with_source(error)
                })??;
            }
            Place::Memory(uploads) => {
                let bytes = locked(uploads).get(&self.name).cloned();
                let bytes = bytes.unwrap_or_default().freeze();
                ingest(&**blobs, &blob, Source::Memory(bytes)).await?;
            }
        }
        Ok(self.received)
    }
}

/// Makes a blob of a file without copying it.
fn adopt(store: &DirectoryStore, blob: &Descriptor, path: &Path) -> imgstore::Result<()> {
    match store.place_file(blob, path, Placement::Link)? {
        // Which does not mean that these bytes are it: who only knows a digest gets nothing.
        Placed::AlreadyThere => verify(blob, &Source::File(path.to_owned())),
        _ => Ok(()),
    }
}

/// Copies an upload into a store.
async fn ingest(
    blobs: &(impl BlobSource + BlobSink + ?Sized),
    blob: &Descriptor,
    source: Source,
) -> imgstore::Result<()> {
    let Begin::Writer(mut ingest) = blobs.writer(blob).await? else {
        return verify(blob, &source);
    };
    let mut reader = source.reader()?;
    loop {
        let mut chunk = vec![0; CHUNK];
        let length = fill(&mut reader, &mut chunk).map_err(reading)?;
        if length == 0 {
            return ingest.commit().await;
        }
        chunk.truncate(length);
        ingest.write(Bytes::from(chunk)).await?;
    }
}

fn verify(blob: &Descriptor, source: &Source) -> imgstore::Result<()> {
    let mut reader = VerifyingReader::new(source.reader()?, blob.digest, blob.size);
    let mut chunk = vec![0; CHUNK];
    while reader.read(&mut chunk).map_err(reading)? > 0 {}
    Ok(())
}

/// Where the bytes of a finished upload are.
enum Source {
    File(PathBuf),
    Memory(Bytes),
}

impl Source {
    fn reader(&self) -> imgstore::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::File(path) => Box::new(File::open(path).map_err(reading)?),
            Self::Memory(bytes) => Box::new(io::Cursor::new(bytes.clone())),
        })
    }
}

fn reading(error: io::Error) -> imgstore::Error {
    imgstore::Error::from_io("reading an upload", error)
}

fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(length) => filled += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn file_of(root: &Path, name: &UploadName) -> PathBuf {
    // Both parts were checked when the request was read: no dots, no separators but the repository's own.
    root.join(name.repository.as_str())
        .join("_uploads")
        .join(&name.id)
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().append(true).open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

fn remove_stale(directory: &Path, before: SystemTime) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs_err::read_dir(directory)? {
        let entry = entry?;
        let is_uploads = entry.file_name() == "_uploads";
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if !is_uploads {
            // The records of a repository hold none.
            if !entry.file_name().to_string_lossy().starts_with('_') {
                removed += remove_stale(&entry.path(), before)?;
            }
            continue;
        }
        for upload in fs_err::read_dir(entry.path())? {
            let upload = upload?;
            if upload.metadata()?.modified()? < before {
                fs_err::remove_file(upload.path())?;
                removed += 1;
            }
        }
    }
    Ok(removed)
}

fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    rustls::crypto::ring::default_provider()
        .secure_random
        .fill(&mut bytes)
        .map_err(|_| Error::new(ErrorKind::Io, "the system gives no random numbers"))?;
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    Ok(digits
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect())
}

/// Every change of these maps is one statement, so a panic elsewhere cannot have left one half-changed.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
