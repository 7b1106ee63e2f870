//! What every store must do, as functions that its tests call.
//!
//! ```
//! use imgstore::{MemoryStore, conformance};
//!
//! conformance::all(MemoryStore::new);
//! ```
//!
//! This module is outside of semantic versioning: a release may add checks that a store fails.
//!
//! # Panics
//!
//! All of it, by design, where a store does not behave.
#![expect(clippy::missing_panics_doc, reason = "see the module's own section")]
#![expect(clippy::unwrap_used, reason = "these are assertions of tests")]

use std::ops::Range;

use bytes::Bytes;
use futures_util::StreamExt;
use imgcore::{Descriptor, Digest, Hasher, MediaType};

use crate::blocking::block_on;
use crate::{
    Begin, BlobSink, BlobSource, BlobSourceExt, CHUNK, Copied, ErrorKind, MemoryStore, Presence,
    Result, copy,
};

/// Checks a store that is read and written. `factory` makes an empty one at every call.
pub fn all<S: BlobSource + BlobSink>(factory: impl Fn() -> S) {
    sink(&factory);
    for bytes in samples() {
        let store = factory();
        put(&store, &bytes).unwrap();
        source(&store, &bytes);
    }
    many_blobs_are_answered_in_order(&factory());
}

/// Checks a source that has the blob `bytes`, and lacks what nobody has.
pub fn source(source: &(impl BlobSource + ?Sized), bytes: &[u8]) {
    let descriptor = describe(bytes);
    whole_blobs_are_read(source, &descriptor, bytes);
    ranges_are_read(source, &descriptor, bytes);
    bad_ranges_are_refused(source, &descriptor);
    wrong_sizes_are_found(source, &descriptor);
    absent_blobs_are_not_found(source);
    local_files_have_the_bytes(source, &descriptor, bytes);
    reads_may_be_dropped(source, &descriptor, bytes);
    limits_hold(source, &descriptor);
}

/// Checks a sink through its own reading side. `factory` makes an empty one at every call.
pub fn sink<S: BlobSource + BlobSink>(factory: impl Fn() -> S) {
    for bytes in samples() {
        written_blobs_appear_on_commit(&factory(), &bytes);
        dropped_writers_leave_nothing(&factory(), &bytes);
        two_writers_may_commit(&factory(), &bytes);
        blobs_are_copied_once(&factory(), &bytes);
    }
    wrong_bytes_are_refused(&factory());
    wrong_lengths_are_refused(&factory());
    any_write_size_is_taken(&factory());
    long_digests_are_taken(&factory());
}

/// Checks that a source finds out about bytes that changed where they lie. `damage` gets the digest of a blob that is
/// in the store, and puts the bytes it is given in its place.
pub fn damage_is_found<S: BlobSource + BlobSink>(store: &S, damage: impl Fn(&Digest, &[u8])) {
    let good = patterned(CHUNK + 17);
    put(store, &good).unwrap();
    let descriptor = describe(&good);

    let mut flipped = good.clone();
    flipped[CHUNK + 3] ^= 1;
    damage(&descriptor.digest, &flipped);
    let kind = read(store, &descriptor).unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::DigestMismatch { .. }), "{kind:?}");

    for damaged in [&good[..CHUNK], &[], &[&good[..], b"x"].concat()] {
        damage(&descriptor.digest, damaged);
        let kind = read(store, &descriptor).unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::SizeMismatch { .. }), "{kind:?}");
    }
}

/// Blobs at the edges: empty, one byte, a whole chunk, and a bit more.
fn samples() -> Vec<Vec<u8>> {
    [0, 1, CHUNK, 3 * CHUNK + 17].map(patterned).to_vec()
}

fn patterned(length: usize) -> Vec<u8> {
    (0..=250).cycle().take(length).collect()
}

fn describe(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER_TAR, bytes)
}

fn put(sink: &(impl BlobSink + ?Sized), bytes: &[u8]) -> Result<Copied> {
    let memory = MemoryStore::new();
    memory.insert(bytes.to_vec());
    block_on(copy(&memory, sink, &describe(bytes)))
}

fn read(source: &(impl BlobSource + ?Sized), descriptor: &Descriptor) -> Result<Bytes> {
    block_on(source.read_all(descriptor, u64::MAX))
}

fn is_present(source: &(impl BlobSource + ?Sized), digest: &Digest) -> bool {
    // A source that cannot say is asked by opening.
    match block_on(source.stat_one(digest)).unwrap() {
        Presence::Absent => false,
        Presence::Present { .. } => true,
        Presence::Unknown => {
            let descriptor = Descriptor::new(MediaType::OCI_LAYER_TAR, *digest, 0);
            block_on(source.open(&descriptor)).is_ok()
        }
    }
}

fn whole_blobs_are_read(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
    bytes: &[u8],
) {
    let answer = block_on(source.stat_one(&descriptor.digest)).unwrap();
    if let Presence::Present { size } = answer {
        assert_eq!(size, descriptor.size);
    }
    assert_ne!(answer, Presence::Absent);
    assert_eq!(read(source, descriptor).unwrap(), bytes);
}

fn ranges_are_read(source: &(impl BlobSource + ?Sized), descriptor: &Descriptor, bytes: &[u8]) {
    let end = bytes.len();
    let middle = end / 2;
    for range in [
        0..end,
        0..0,
        end..end,
        middle..end,
        0..middle,
        middle..(middle + 1).min(end),
    ] {
        let found = read_range(source, descriptor, range.start as u64..range.end as u64);
        assert_eq!(found.unwrap(), &bytes[range.clone()], "{range:?}");
    }
}

fn read_range(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
    range: Range<u64>,
) -> Result<Vec<u8>> {
    block_on(async {
        let mut bytes = Vec::new();
        let mut stream = source.open_range(descriptor, range).await?;
        while let Some(chunk) = stream.next().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes)
    })
}

#[expect(clippy::reversed_empty_ranges, reason = "it must be refused")]
fn bad_ranges_are_refused(source: &(impl BlobSource + ?Sized), descriptor: &Descriptor) {
    for range in [0..descriptor.size + 1, 1..0] {
        let kind = read_range(source, descriptor, range).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::InvalidInput);
    }
}

fn wrong_sizes_are_found(source: &(impl BlobSource + ?Sized), descriptor: &Descriptor) {
    let mut longer = descriptor.clone();
    longer.size += 1;
    assert!(read(source, &longer).is_err(), "a blob ended early");
    if descriptor.size > 0 {
        let mut shorter = descriptor.clone();
        shorter.size -= 1;
        assert!(read(source, &shorter).is_err(), "a blob ended late");
    }
}

fn absent_blobs_are_not_found(source: &(impl BlobSource + ?Sized)) {
    let descriptor = describe(b"nobody has this blob");
    let answer = block_on(source.stat_one(&descriptor.digest)).unwrap();
    assert!(!matches!(answer, Presence::Present { .. }));
    assert_eq!(source.local_path(&descriptor.digest), None);
    let kind = read(source, &descriptor).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::NotFound);
    let kind = read_range(source, &descriptor, 0..1).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::NotFound);
}

fn local_files_have_the_bytes(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
    bytes: &[u8],
) {
    if let Some(path) = source.local_path(&descriptor.digest) {
        assert_eq!(fs_err::read(path).unwrap(), bytes);
    }
}

fn reads_may_be_dropped(
    source: &(impl BlobSource + ?Sized),
    descriptor: &Descriptor,
    bytes: &[u8],
) {
    block_on(async {
        let mut stream = source.open(descriptor).await.unwrap();
        let _ = stream.next().await;
        drop(stream);
        drop(source.open(descriptor));
    });
    assert_eq!(read(source, descriptor).unwrap(), bytes);
}

fn limits_hold(source: &(impl BlobSource + ?Sized), descriptor: &Descriptor) {
    if let Some(limit) = descriptor.size.checked_sub(1) {
        let kind = block_on(source.read_all(descriptor, limit))
            .unwrap_err()
            .kind();
        assert_eq!(kind, ErrorKind::TooLarge);
    }
}

fn many_blobs_are_answered_in_order<S: BlobSource + BlobSink>(store: &S) {
    put(store, b"one").unwrap();
    put(store, b"three").unwrap();
    let digests = [b"one".as_slice(), b"second", b"three"].map(Digest::sha256_of);
    let answers = block_on(store.stat(&digests)).unwrap();
    assert_eq!(answers.len(), 3);
    assert_ne!(answers[0], Presence::Absent);
    assert!(!matches!(answers[1], Presence::Present { .. }));
    assert_ne!(answers[2], Presence::Absent);
    assert_eq!(block_on(store.stat(&[])).unwrap(), []);
}

fn written_blobs_appear_on_commit<S: BlobSource + BlobSink>(store: &S, bytes: &[u8]) {
    let descriptor = describe(bytes);
    block_on(async {
        let mut ingest = store
            .writer(&descriptor)
            .await
            .unwrap()
            .into_writer()
            .unwrap();
        assert_eq!(ingest.offset(), 0);
        ingest.write(Bytes::copy_from_slice(bytes)).await.unwrap();
        assert_eq!(ingest.offset(), descriptor.size);
        assert!(
            !is_present(store, &descriptor.digest),
            "visible before its commit"
        );
        ingest.commit().await.unwrap();
    });
    assert_eq!(read(store, &descriptor).unwrap(), bytes);
    let again = block_on(store.writer(&descriptor)).unwrap();
    assert!(matches!(again, Begin::AlreadyExists));
}

fn dropped_writers_leave_nothing<S: BlobSource + BlobSink>(store: &S, bytes: &[u8]) {
    let descriptor = describe(bytes);
    block_on(async {
        let mut ingest = store
            .writer(&descriptor)
            .await
            .unwrap()
            .into_writer()
            .unwrap();
        ingest.write(Bytes::copy_from_slice(bytes)).await.unwrap();
    });
    assert!(
        !is_present(store, &descriptor.digest),
        "a dropped writer left its blob"
    );
    put(store, bytes).unwrap();
    assert_eq!(read(store, &descriptor).unwrap(), bytes);
}

fn two_writers_may_commit<S: BlobSource + BlobSink>(store: &S, bytes: &[u8]) {
    let descriptor = describe(bytes);
    let (head, tail) = bytes.split_at(bytes.len() / 2);
    block_on(async {
        let mut one = store
            .writer(&descriptor)
            .await
            .unwrap()
            .into_writer()
            .unwrap();
        one.write(Bytes::copy_from_slice(head)).await.unwrap();
        // A sink may make a second writer wait or answer from the first; it may not mix their bytes.
        let mut two = store
            .writer(&descriptor)
            .await
            .unwrap()
            .into_writer()
            .unwrap();
        two.write(Bytes::copy_from_slice(head)).await.unwrap();
        one.write(Bytes::copy_from_slice(tail)).await.unwrap();
        one.commit().await.unwrap();
        assert_eq!(store.read_all(&descriptor, u64::MAX).await.unwrap(), bytes);
        two.write(Bytes::copy_from_slice(tail)).await.unwrap();
        two.commit().await.unwrap();
    });
    assert_eq!(read(store, &descriptor).unwrap(), bytes);
}

fn blobs_are_copied_once<S: BlobSource + BlobSink>(store: &S, bytes: &[u8]) {
    assert_eq!(
        put(store, bytes).unwrap(),
        Copied::Bytes(bytes.len() as u64)
    );
    assert_eq!(put(store, bytes).unwrap(), Copied::AlreadyThere);
}

fn wrong_bytes_are_refused<S: BlobSource + BlobSink>(store: &S) {
    let descriptor = describe(b"hello");
    let error = block_on(async {
        let mut ingest = store.writer(&descriptor).await?.into_writer()?;
        ingest.write(Bytes::from_static(b"hellp")).await?;
        ingest.commit().await
    });
    let kind = error.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::DigestMismatch { .. }), "{kind:?}");
    assert!(
        !is_present(store, &descriptor.digest),
        "wrong bytes are visible"
    );
}

fn wrong_lengths_are_refused<S: BlobSource + BlobSink>(store: &S) {
    let descriptor = describe(b"hello");
    for bytes in [b"hell".as_slice(), b"hello!", b""] {
        let error = block_on(async {
            let mut ingest = store.writer(&descriptor).await?.into_writer()?;
            ingest.write(Bytes::copy_from_slice(bytes)).await?;
            ingest.commit().await
        });
        let kind = error.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::SizeMismatch { .. }), "{kind:?}");
        assert!(
            !is_present(store, &descriptor.digest),
            "a wrong length is visible"
        );
    }
}

fn any_write_size_is_taken<S: BlobSource + BlobSink>(store: &S) {
    let bytes = patterned(1000);
    let descriptor = describe(&bytes);
    block_on(async {
        let mut ingest = store
            .writer(&descriptor)
            .await
            .unwrap()
            .into_writer()
            .unwrap();
        for size in [0, 1, 2, 997] {
            let from = usize::try_from(ingest.offset()).unwrap();
            let chunk = Bytes::copy_from_slice(&bytes[from..from + size]);
            ingest.write(chunk).await.unwrap();
        }
        ingest.commit().await.unwrap();
    });
    assert_eq!(read(store, &descriptor).unwrap(), bytes);
}

fn long_digests_are_taken<S: BlobSource + BlobSink>(store: &S) {
    let mut hasher = Hasher::new(imgcore::Algorithm::Sha512);
    hasher.update(b"hello");
    let descriptor = Descriptor::new(MediaType::OCI_LAYER_TAR, hasher.finish(), 5);
    block_on(async {
        let mut ingest = store
            .writer(&descriptor)
            .await
            .unwrap()
            .into_writer()
            .unwrap();
        ingest.write(Bytes::from_static(b"hello")).await.unwrap();
        ingest.commit().await.unwrap();
    });
    assert_eq!(read(store, &descriptor).unwrap(), b"hello".as_slice());
}
