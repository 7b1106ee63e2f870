//! Files that are said to be blobs.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use fs_err as fs;
use imgcore::{Algorithm, Digest, Hasher};
use imgstore::{Error, LocalSource, RawReader, Result};

/// What a file must show before it counts as a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Somebody vouches for it: its size is enough, until it is read.
    Size,
    /// Nobody does: it is hashed.
    Content,
}

/// Files by the digest that they are said to have.
#[derive(Debug)]
pub(super) struct Files {
    place: &'static str,
    proof: Proof,
    paths: BTreeMap<Digest, Vec<PathBuf>>,
    /// What files are that were hashed; `None` for one that cannot be read.
    hashed: Mutex<HashMap<(PathBuf, Algorithm), Hashed>>,
}

/// Set by the first who asks; who asks meanwhile waits for that one alone.
type Hashed = Arc<OnceLock<Option<Digest>>>;

impl Files {
    pub(super) fn new(place: &'static str, proof: Proof) -> Self {
        Self {
            place,
            proof,
            paths: BTreeMap::new(),
            hashed: Mutex::default(),
        }
    }

    pub(super) fn add(&mut self, digest: Digest, path: PathBuf) {
        self.paths.entry(digest).or_default().push(path);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    fn find(&self, digest: &Digest) -> Option<(&Path, u64)> {
        let paths = self.paths.get(digest)?;
        paths.iter().find_map(|path| {
            let found = fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
            let is_it = match self.proof {
                Proof::Size => true,
                Proof::Content => self.hash(path, digest.algorithm()) == Some(*digest),
            };
            is_it.then_some((path.as_path(), found.len()))
        })
    }

    fn hash(&self, path: &Path, algorithm: Algorithm) -> Option<Digest> {
        let key = (path.to_owned(), algorithm);
        let mut all = self.hashed.lock().unwrap_or_else(PoisonError::into_inner);
        let hashed = Arc::clone(all.entry(key).or_default());
        drop(all);
        *hashed.get_or_init(|| hash_file(path, algorithm).ok())
    }
}

impl LocalSource for Files {
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>> {
        Ok(self.find(digest).map(|(_, size)| size))
    }

    fn open_raw(&self, digest: &Digest, offset: u64) -> Result<Option<RawReader>> {
        match self.find(digest) {
            Some((path, _)) => open_at(path, offset).map(Some),
            None => Ok(None),
        }
    }

    fn path_of(&self, digest: &Digest) -> Option<PathBuf> {
        self.find(digest).map(|(path, _)| path.to_owned())
    }

    fn place(&self) -> String {
        self.place.to_owned()
    }
}

/// A disk cache of Bazel that is only read: `cas/<first two digits>/<digits>`.
#[derive(Clone, Debug)]
pub(super) struct DiskCache(PathBuf);

impl DiskCache {
    pub(super) fn new(root: PathBuf) -> Self {
        Self(root)
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let mut path = self.0.clone();
        if digest.algorithm() != Algorithm::Sha256 {
            path.push(digest.algorithm().name());
        }
        path.extend(["cas", &hex[..2], &hex]);
        path
    }
}

impl LocalSource for DiskCache {
    fn size_of(&self, digest: &Digest) -> Result<Option<u64>> {
        let found = fs::metadata(self.path(digest));
        Ok(found
            .ok()
            .filter(std::fs::Metadata::is_file)
            .map(|it| it.len()))
    }

    fn open_raw(&self, digest: &Digest, offset: u64) -> Result<Option<RawReader>> {
        let path = self.path(digest);
        if path.is_file() {
            return open_at(&path, offset).map(Some);
        }
        Ok(None)
    }

    fn path_of(&self, digest: &Digest) -> Option<PathBuf> {
        Some(self.path(digest)).filter(|path| path.is_file())
    }

    fn place(&self) -> String {
        self.0.display().to_string()
    }
}

fn open_at(path: &Path, offset: u64) -> Result<RawReader> {
    let opened = fs::File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(offset))?;
        Ok(Box::new(file) as RawReader)
    });
    opened.map_err(|error| Error::from_io("opening a layer", error))
}

/// Finds out which blob a file is.
///
/// # Errors
///
/// Fails if it cannot be read.
pub(crate) fn hash_file(path: &Path, algorithm: Algorithm) -> io::Result<Digest> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Hasher::new(algorithm);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => hasher.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_counts_only_for_the_bytes_that_were_meant() {
        let work = tempfile::tempdir().unwrap();
        let (old, new) = (work.path().join("old"), work.path().join("new"));
        fs::write(&old, "hellp").unwrap();
        fs::write(&new, "hello").unwrap();
        let digest = Digest::sha256_of(b"hello");
        let check = |proof| {
            let mut files = Files::new("hints", proof);
            files.add(digest, work.path().join("missing"));
            files.add(digest, old.clone());
            files.add(digest, new.clone());
            files.path_of(&digest)
        };
        assert_eq!(check(Proof::Content), Some(new.clone()));
        assert_eq!(check(Proof::Size), Some(old.clone()));
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_being_hashed_keeps_nobody_from_another() {
        use std::sync::mpsc;
        use std::time::Duration;

        let work = tempfile::tempdir().unwrap();
        let (slow, fast) = (work.path().join("slow"), work.path().join("fast"));
        let made = std::process::Command::new("mkfifo").arg(&slow).status();
        assert!(made.unwrap().success());
        fs::write(&fast, "hello").unwrap();
        let files = Files::new("hints", Proof::Content);
        let (sender, receiver) = mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(|| files.hash(&slow, Algorithm::Sha256));
            // Opens when the other end is read: then it is being hashed.
            let writer = fs::OpenOptions::new().write(true).open(&slow).unwrap();
            scope.spawn(|| sender.send(files.hash(&fast, Algorithm::Sha256)));
            let found = receiver.recv_timeout(Duration::from_secs(10));
            drop(writer);
            assert_eq!(found, Ok(Some(Digest::sha256_of(b"hello"))));
        });
    }

    #[test]
    fn blobs_of_a_disk_cache_are_found_by_their_first_digits() {
        let work = tempfile::tempdir().unwrap();
        let digest = Digest::sha256_of(b"hello");
        let directory = work.path().join("cas").join(&digest.hex()[..2]);
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(digest.hex()), "hello").unwrap();
        let cache = DiskCache::new(work.path().to_owned());
        assert_eq!(cache.size_of(&digest).unwrap(), Some(5));
        assert_eq!(cache.size_of(&Digest::sha256_of(b"other")).unwrap(), None);
    }
}
