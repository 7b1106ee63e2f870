use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use imgcore::{Hasher, MediaType};
use imgstore::blocking::{block_on, read_all};
use imgstore::{BlobStream, MemoryStore, Presence, UnverifiedStream, conformance};
use tempfile::TempDir;

use super::*;

/// A source that counts how often it was asked for bytes, and from where.
#[derive(Default)]
struct Counting {
    store: MemoryStore,
    opened: AtomicUsize,
    ranges: Mutex<Vec<Range<u64>>>,
}

impl Counting {
    fn with(bytes: &[u8]) -> Self {
        let counting = Self::default();
        counting.store.insert(bytes.to_vec());
        counting
    }

    fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    fn ranges(&self) -> Vec<Range<u64>> {
        self.ranges.lock().unwrap().clone()
    }
}

impl BlobSource for Counting {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Presence>>> {
        self.store.stat(digests)
    }

    fn open<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.store.open(descriptor)
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<UnverifiedStream>> {
        self.ranges.lock().unwrap().push(range.clone());
        self.store.open_range(descriptor, range)
    }

    fn local_path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}

fn patterned(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn layer(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER_TAR, bytes)
}

fn empty_cache() -> (TempDir, Cache) {
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::open(directory.path().join("cache")).unwrap();
    (directory, cache)
}

fn unfinished(cache: &Cache) -> Vec<PathBuf> {
    let entries = fs_err::read_dir(cache.root().join(UNFINISHED)).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn it_conforms_and_leaves_nothing_unfinished() {
    let directory = tempfile::tempdir().unwrap();
    let count = AtomicUsize::new(0);
    let place = || {
        let number = count.fetch_add(1, Ordering::SeqCst);
        directory.path().join(number.to_string())
    };
    conformance::all(|| Cache::open(place()).unwrap());
    for number in 0..count.load(Ordering::SeqCst) {
        let cache = Cache::open(directory.path().join(number.to_string())).unwrap();
        assert_eq!(unfinished(&cache), Vec::<PathBuf>::new());
    }
}

#[test]
fn damage_is_found_by_readers() {
    let (_directory, cache) = empty_cache();
    conformance::damage_is_found(&cache, |digest, bytes| {
        fs_err::write(cache.blob_path(digest), bytes).unwrap();
    });
}

#[test]
fn blobs_lie_where_bazel_has_them() {
    let (_directory, cache) = empty_cache();
    let digest = Digest::sha256_of(b"hello");
    let expected = "cas/2c/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(cache.blob_path(&digest), cache.root().join(expected));
    let mut hasher = Hasher::new(Algorithm::Sha512);
    hasher.update(b"hello");
    let path = cache.blob_path(&hasher.finish());
    assert!(
        path.starts_with(cache.root().join("sha512/cas/9b")),
        "{path:?}"
    );
}

#[test]
fn a_blob_that_bazel_wrote_is_not_fetched() {
    let (_directory, cache) = empty_cache();
    let source = Counting::with(b"hello");
    let path = cache.blob_path(&layer(b"hello").digest);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(&path, "hello").unwrap();
    let ensured = block_on(cache.ensure(&layer(b"hello"), &source)).unwrap();
    assert_eq!(ensured, Ensured::Present);
    assert_eq!(source.opened(), 0);
}

#[cfg(unix)]
#[test]
fn use_makes_a_blob_young_and_directories_are_private() {
    use std::os::unix::fs::PermissionsExt;

    let (_directory, cache) = empty_cache();
    let source = Counting::with(b"hello");
    let hello = layer(b"hello");
    block_on(cache.ensure(&hello, &source)).unwrap();
    let path = cache.blob_path(&hello.digest);
    for directory in [
        cache.root(),
        path.parent().unwrap(),
        &cache.root().join(UNFINISHED),
    ] {
        let mode = fs_err::metadata(directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{directory:?}");
    }
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
    block_on(cache.ensure(&hello, &source)).unwrap();
    let modified = fs_err::metadata(&path).unwrap().modified().unwrap();
    assert!(modified > SystemTime::UNIX_EPOCH + Duration::from_secs(1));
}

#[test]
fn a_damaged_blob_is_replaced() {
    let bytes = patterned(100_000);
    let (descriptor, source) = (layer(&bytes), Counting::with(&bytes));
    let mut flipped = bytes.clone();
    flipped[5000] ^= 1;
    for damaged in [&flipped[..], &bytes[..10], &[]] {
        let (_directory, cache) = empty_cache();
        let path = cache.blob_path(&descriptor.digest);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, damaged).unwrap();
        let ensured = block_on(cache.ensure(&descriptor, &source)).unwrap();
        assert_eq!(ensured, Ensured::Fetched { resumed_from: 0 });
        assert_eq!(fs_err::read(&path).unwrap(), bytes);
    }
}

#[test]
fn what_a_killed_process_left_is_gone_on_with() {
    let bytes = patterned(100_000);
    let (_directory, cache) = empty_cache();
    let (descriptor, source) = (layer(&bytes), Counting::with(&bytes));
    let partial = cache.unfinished(&descriptor.digest);
    fs_err::write(&partial, &bytes[..60_000]).unwrap();
    let ensured = block_on(cache.ensure(&descriptor, &source)).unwrap();
    let resumed_from = 60_000;
    assert_eq!(ensured, Ensured::Fetched { resumed_from });
    assert_eq!(source.ranges(), vec![60_000..100_000; 1]);
    assert_eq!(source.opened(), 0);
    assert_eq!(read_all(&cache, &descriptor, u64::MAX).unwrap(), bytes);
    assert_eq!(unfinished(&cache), Vec::<PathBuf>::new());
}

#[test]
fn all_bytes_of_a_killed_process_are_enough() {
    let bytes = patterned(1000);
    let (_directory, cache) = empty_cache();
    let source = Counting::default();
    let descriptor = layer(&bytes);
    fs_err::write(cache.unfinished(&descriptor.digest), &bytes).unwrap();
    block_on(cache.ensure(&descriptor, &source)).unwrap();
    assert_eq!((source.opened(), source.ranges().len()), (0, 0));
    assert_eq!(read_all(&cache, &descriptor, u64::MAX).unwrap(), bytes);
}

#[test]
fn wrong_bytes_of_a_killed_process_are_fetched_again() {
    let bytes = patterned(100_000);
    let descriptor = layer(&bytes);
    let long = [&bytes[..], b"more"].concat();
    for left in [vec![0; 60_000], vec![0; 100_000], long] {
        let (_directory, cache) = empty_cache();
        let source = Counting::with(&bytes);
        fs_err::write(cache.unfinished(&descriptor.digest), &left).unwrap();
        block_on(cache.ensure(&descriptor, &source)).unwrap();
        assert_eq!(source.opened(), 1, "{}", left.len());
        assert_eq!(read_all(&cache, &descriptor, u64::MAX).unwrap(), bytes);
    }
}

#[test]
fn wrong_bytes_of_a_source_are_not_kept() {
    let (_directory, cache) = empty_cache();
    let hello = layer(b"hello");
    let source = Counting::default();
    source.store.insert_unchecked(hello.digest, "hellp");
    let error = block_on(cache.ensure(&hello, &source)).unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::DigestMismatch { .. }),
        "{error}"
    );
    assert_eq!(source.opened(), 1, "it has no other bytes to offer");
    assert_eq!(cache.size_of(&hello.digest).unwrap(), None);
    assert_eq!(unfinished(&cache), Vec::<PathBuf>::new());
}

#[test]
fn a_blob_that_many_want_is_fetched_once() {
    let bytes = patterned(300_000);
    let (directory, _) = empty_cache();
    let (descriptor, source) = (layer(&bytes), Counting::with(&bytes));
    // Caches of their own know nothing of each other, as those of several processes.
    let open = || Cache::open(directory.path().join("cache")).unwrap();
    let caches = [open(), open(), open()];
    std::thread::scope(|scope| {
        for cache in caches.iter().chain(&caches) {
            scope.spawn(|| block_on(cache.ensure(&descriptor, &source)).unwrap());
        }
    });
    assert_eq!(source.opened(), 1);
    assert_eq!(unfinished(&caches[0]), Vec::<PathBuf>::new());
}

#[test]
fn after_a_failed_fetch_the_next_one_may_try() {
    let (_directory, cache) = empty_cache();
    let hello = layer(b"hello");
    let error = block_on(cache.ensure(&hello, &MemoryStore::new())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    block_on(cache.ensure(&hello, &Counting::with(b"hello"))).unwrap();
}

#[cfg(unix)]
#[test]
fn only_what_nobody_works_at_is_left_over() {
    let (_directory, cache) = empty_cache();
    let (one, two) = (layer(b"one"), layer(b"two"));
    let killed = cache.unfinished(&one.digest);
    fs_err::write(&killed, "o").unwrap();
    let Claim::Fetch(at_work) = block_on(cache.claim(&two)).unwrap() else {
        panic!("nobody has it");
    };
    assert_eq!(cache.remove_leftovers(SystemTime::UNIX_EPOCH).unwrap(), 0);
    let soon = SystemTime::now() + Duration::from_secs(3600);
    assert_eq!(cache.remove_leftovers(soon).unwrap(), 1);
    assert!(!killed.exists());
    drop(at_work);
    assert_eq!(unfinished(&cache), Vec::<PathBuf>::new());
}

#[cfg(unix)]
#[test]
fn no_symbolic_link_is_written_through() {
    let (directory, cache) = empty_cache();
    let hello = layer(b"hello");
    let victim = directory.path().join("victim");
    fs_err::write(&victim, "mine").unwrap();
    fs_err::os::unix::fs::symlink(&victim, cache.unfinished(&hello.digest)).unwrap();
    block_on(cache.ensure(&hello, &Counting::with(b"hello"))).unwrap_err();
    assert_eq!(fs_err::read(&victim).unwrap(), b"mine");
    let path = cache.blob_path(&hello.digest);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::os::unix::fs::symlink(&victim, &path).unwrap();
    let error = read_all(&cache, &hello, 5).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[cfg(unix)]
mod modes {
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use super::*;
    use crate::transfer::Target as _;

    fn mode(path: &Path) -> u32 {
        fs_err::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_directory_that_others_may_write_to_is_no_cache() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("cache");
        Cache::open(&root).unwrap();
        let inside = ["cas", "tmp", "tmp/imgkit"].map(|it| root.join(it));
        for place in std::iter::once(root.clone()).chain(inside) {
            let before = mode(&place);
            for by_others in [0o775, 0o757, 0o1777] {
                set_mode(&place, by_others);
                let error = Cache::open(&root).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Denied);
                assert!(
                    error.to_string().ends_with(&format!(
                        "others than its owner may write to {}",
                        place.display()
                    )),
                    "{error}"
                );
            }
            // As Bazel makes its directories.
            set_mode(&place, 0o755);
            Cache::open(&root).unwrap();
            set_mode(&place, before);
        }
    }

    #[test]
    fn what_is_unfinished_is_for_the_user_and_what_is_finished_for_readers() {
        let (directory, cache) = empty_cache();
        let bytes = patterned(1000);
        let blob = layer(&bytes);
        let readable = directory.path().join("readable");
        fs_err::write(&readable, "").unwrap();
        block_on(async {
            let Claim::Fetch(mut partial) = cache.claim(&blob).await.unwrap() else {
                panic!("nobody has fetched it");
            };
            partial.write(bytes.clone().into()).await.unwrap();
            let [unfinished] = &unfinished(&cache)[..] else {
                panic!("one file is unfinished");
            };
            assert_eq!(mode(unfinished), 0o600);
            partial.finish().await.unwrap();
        });
        assert_eq!(mode(&cache.blob_path(&blob.digest)), mode(&readable));
        let other = layer(b"brought");
        block_on(async {
            let begin = cache.writer(&other).await.unwrap();
            let Begin::Writer(mut ingest) = begin else {
                panic!("nobody has brought it");
            };
            ingest.write(Bytes::from_static(b"brought")).await.unwrap();
            ingest.commit().await.unwrap();
        });
        assert_eq!(mode(&cache.blob_path(&other.digest)), mode(&readable));
        assert_eq!(unfinished(&cache), Vec::<PathBuf>::new());
    }
}

/// Puts ten blobs of 100 bytes in, and makes each look as if it had been used an hour after the one before.
fn ten_blobs(cache: &Cache) -> Vec<Descriptor> {
    let blobs: Vec<_> = (0..10_u8).map(|number| vec![number; 100]).collect();
    for (hour, bytes) in (0..).zip(&blobs) {
        block_on(cache.ensure(&layer(bytes), &Counting::with(bytes))).unwrap();
        used_at(&cache.blob_path(&layer(bytes).digest), hour);
    }
    blobs.iter().map(|bytes| layer(bytes)).collect()
}

fn used_at(path: &Path, hour: u64) {
    let file = fs_err::File::options().write(true).open(path).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000 + hour * 3600);
    file.file().set_modified(time).unwrap();
}

fn places_of(cache: &Cache, blobs: &[Descriptor]) -> Vec<usize> {
    let is_there = |blob: &Descriptor| cache.size_of(&blob.digest).unwrap().is_some();
    (0..blobs.len())
        .filter(|at| is_there(&blobs[*at]))
        .collect()
}

#[test]
fn trimming_removes_what_was_used_longest_ago() {
    let (_directory, cache) = empty_cache();
    let blobs = ten_blobs(&cache);
    for (limit, expected) in [
        (u64::MAX, 0..10),
        (1000, 0..10),
        (999, 1..10),
        (900, 1..10),
        // A tenth of the limit is left free.
        (600, 5..10),
        (450, 6..10),
        (0, 10..10),
    ] {
        let before = places_of(&cache, &blobs).len();
        let trimmed = cache.trim(limit).unwrap();
        let left = expected.clone().count();
        assert_eq!(trimmed.blobs, before - left, "{limit}");
        assert_eq!(trimmed.freed, 100 * trimmed.blobs as u64, "{limit}");
        assert_eq!(trimmed.size, 100 * left as u64, "{limit}");
        assert_eq!(
            places_of(&cache, &blobs),
            expected.collect::<Vec<_>>(),
            "{limit}"
        );
    }
}

#[test]
fn a_cache_that_was_only_read_has_not_grown() {
    let (directory, cache) = empty_cache();
    let blobs = ten_blobs(&cache);
    assert!(cache.has_grown());
    let other = Cache::open(directory.path().join("cache")).unwrap();
    block_on(other.ensure(&blobs[0], &MemoryStore::new())).unwrap();
    assert!(!other.has_grown());
    let Begin::Writer(_) = block_on(other.writer(&layer(b"new"))).unwrap() else {
        panic!("it was there");
    };
    assert!(other.has_grown());
}

#[cfg(unix)]
#[test]
fn a_blob_that_is_used_again_is_not_the_first_to_go() {
    let (_directory, cache) = empty_cache();
    let blobs = ten_blobs(&cache);
    block_on(cache.ensure(&blobs[0], &MemoryStore::new())).unwrap();
    cache.trim(230).unwrap();
    assert_eq!(places_of(&cache, &blobs), [0, 9]);
}

#[test]
fn trimming_leaves_alone_what_is_no_blob() {
    let (_directory, cache) = empty_cache();
    ten_blobs(&cache);
    let partial = cache.unfinished(&layer(b"other").digest);
    let others = [
        partial,
        cache.root().join("cas/README"),
        cache.root().join("cas/ab/notes"),
        cache.root().join("ac/ab").join("0".repeat(64)),
        cache.root().join("cas/00").join("G".repeat(64)),
    ];
    for path in &others {
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, "mine").unwrap();
    }
    assert!(cache.is_shared_with_bazel());
    assert_eq!(cache.trim(0).unwrap().blobs, 10);
    for path in &others {
        assert_eq!(fs_err::read(path).unwrap(), b"mine", "{path:?}");
    }
}

#[cfg(unix)]
#[test]
fn who_reads_a_blob_that_is_trimmed_reads_it_to_its_end() {
    let (_directory, cache) = empty_cache();
    let blobs = ten_blobs(&cache);
    let mut reader = cache.open_blocking(&blobs[0]).unwrap();
    assert_eq!(cache.trim(0).unwrap().blobs, 10);
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut reader, &mut bytes).unwrap();
    assert_eq!(bytes, [0; 100]);
}

#[test]
fn those_who_trim_at_once_leave_what_one_would() {
    let (directory, cache) = empty_cache();
    let blobs = ten_blobs(&cache);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            let other = Cache::open(directory.path().join("cache")).unwrap();
            scope.spawn(move || other.trim(560).unwrap());
        }
    });
    assert_eq!(places_of(&cache, &blobs), [5, 6, 7, 8, 9]);
}
