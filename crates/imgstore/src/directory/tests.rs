use std::io::Write;

use imgcore::{Descriptor, Digest, MediaType};

use super::*;
use crate::{LocalSourceExt, conformance, sys};

fn describe(bytes: &[u8]) -> Descriptor {
    Descriptor::of(MediaType::OCI_LAYER_TAR, bytes)
}

/// Every store gets a directory of its own below one that lives as long as the test.
fn numbered(root: &Path) -> impl Fn() -> DirectoryStore + '_ {
    let count = std::cell::Cell::new(0);
    move || {
        count.set(count.get() + 1);
        DirectoryStore::create(root.join(count.get().to_string())).unwrap()
    }
}

fn names(root: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(root).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn it_conforms() {
    let root = tempfile::tempdir().unwrap();
    let factory = numbered(root.path());
    conformance::all(&factory);
    let store = factory();
    conformance::damage_is_found(&store, |digest, bytes| {
        fs_err::write(store.blob_path(digest), bytes).unwrap();
    });
    let durable = DirectoryOptions {
        durability: Durability::Machine,
        ..DirectoryOptions::default()
    };
    conformance::all(|| factory().with_options(durable));
}

#[test]
fn an_unfinished_blob_leaves_no_file_when_dropped() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectoryStore::create(root.path()).unwrap();
    let mut blob = store.stage().unwrap();
    blob.write_all(b"half").unwrap();
    assert_eq!(names(root.path()).len(), 1);
    drop(blob);
    assert_eq!(names(root.path()), [""; 0]);
    let mut blob = store.stage().unwrap();
    blob.write_all(b"wrong").unwrap();
    let kind = blob
        .commit(&Digest::sha256_of(b"right"), 5)
        .unwrap_err()
        .kind();
    assert!(matches!(kind, ErrorKind::DigestMismatch { .. }));
    assert_eq!(names(root.path()), [""; 0]);
}

#[test]
fn what_a_killed_writer_left_is_removed_and_what_a_live_one_writes_is_not() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectoryStore::create(root.path()).unwrap();
    let killed = format!("{LEFTOVER_PREFIX}abc");
    fs_err::write(root.path().join(&killed), b"half").unwrap();
    let mut live = store.stage().unwrap();
    live.write_all(b"hello").unwrap();

    assert_eq!(store.remove_leftovers().unwrap(), 1);
    assert!(!names(root.path()).contains(&killed));
    assert_eq!(live.commit_as_hashed().unwrap().1, 5);
    assert_eq!(names(root.path()), ["sha256"]);
}

#[test]
fn a_removed_blob_is_gone() {
    for durability in [Durability::Machine, Durability::Program] {
        let root = tempfile::tempdir().unwrap();
        let store = DirectoryStore::create(root.path()).unwrap();
        let store = store.with_options(DirectoryOptions::default().with_durability(durability));
        assert!(!store.remove(&Digest::sha256_of(b"one")).unwrap());
        let (one, two) = (store.insert(b"one").unwrap(), store.insert(b"two").unwrap());
        assert!(store.remove(&one).unwrap());
        assert!(!store.remove(&one).unwrap());
        assert_eq!(store.size_of(&one).unwrap(), None);
        assert_eq!(store.size_of(&two).unwrap(), Some(3));
    }
}

#[test]
fn a_damaged_file_of_another_size_is_written_again() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectoryStore::create(root.path()).unwrap();
    let digest = store.insert(b"hello").unwrap();
    fs_err::write(store.blob_path(&digest), b"").unwrap();
    store.insert(b"hello").unwrap();
    let bytes = store.read_all_blocking(&describe(b"hello"), 5).unwrap();
    assert_eq!(bytes, b"hello");
}

#[cfg(unix)]
#[test]
fn links_that_leave_the_store_are_refused_unless_allowed() {
    let root = tempfile::tempdir().unwrap();
    fs_err::write(root.path().join("secret"), b"hello").unwrap();
    let store = DirectoryStore::create(root.path().join("store")).unwrap();
    let descriptor = describe(b"hello");
    let path = store.blob_path(&descriptor.digest);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    sys::symlink_file(Path::new("../../secret"), &path).unwrap();

    let error = store.open_blocking(&descriptor).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert_eq!(store.path_of(&descriptor.digest), None);

    let follow = DirectoryOptions {
        outside_links: OutsideLinks::Follow,
        ..DirectoryOptions::default()
    };
    let store = store.with_options(follow);
    assert_eq!(store.read_all_blocking(&descriptor, 5).unwrap(), b"hello");
}

#[cfg(unix)]
#[test]
fn a_blob_that_is_no_regular_file_is_not_opened() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectoryStore::create(root.path()).unwrap();
    let descriptor = describe(b"hello");
    // Opening a named pipe would wait for a writer for ever.
    let path = store.blob_path(&descriptor.digest);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    let error = store.open_blocking(&descriptor).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

#[test]
fn files_are_placed_by_copy_link_and_symlink() {
    for (placement, expected) in [
        (Placement::Copy, Placed::Copied),
        (Placement::Link, Placed::Linked),
        (Placement::Symlink, Placed::Symlinked),
    ] {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs_err::write(&file, b"hello").unwrap();
        let store = DirectoryStore::create(root.path().join("store")).unwrap();
        let descriptor = describe(b"hello");
        assert_eq!(
            store.place_file(&descriptor, &file, placement).unwrap(),
            expected
        );
        let again = store.place_file(&descriptor, &file, placement).unwrap();
        assert_eq!(again, Placed::AlreadyThere);
        assert_eq!(
            fs_err::read(store.blob_path(&descriptor.digest)).unwrap(),
            b"hello"
        );
        if placement == Placement::Symlink {
            let target = fs_err::read_link(store.blob_path(&descriptor.digest)).unwrap();
            assert_eq!(target, Path::new("../../file"));
        }
    }
}

#[test]
fn a_damaged_blob_is_replaced_by_a_placed_file() {
    for placement in [Placement::Copy, Placement::Link, Placement::Symlink] {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs_err::write(&file, b"hello").unwrap();
        let store = DirectoryStore::create(root.path().join("store")).unwrap();
        let digest = store.insert(b"hello").unwrap();
        fs_err::write(store.blob_path(&digest), b"he").unwrap();
        let placed = store.place_file(&describe(b"hello"), &file, placement);
        let expected = match placement {
            Placement::Copy => Placed::Copied,
            Placement::Link => Placed::Linked,
            Placement::Symlink => Placed::Symlinked,
        };
        assert_eq!(placed.unwrap(), expected);
        assert_eq!(fs_err::read(store.blob_path(&digest)).unwrap(), b"hello");
        assert_eq!(names(store.root()), ["sha256"], "{placement:?}");
    }
}

#[test]
fn a_wrong_file_replaces_nothing() {
    let root = tempfile::tempdir().unwrap();
    let missing = root.path().join("missing");
    let wrong = root.path().join("wrong");
    fs_err::write(&wrong, b"hellp").unwrap();
    let long = root.path().join("long");
    fs_err::write(&long, b"hello and more").unwrap();
    let store = DirectoryStore::create(root.path().join("store")).unwrap();
    let digest = store.insert(b"hello").unwrap();
    let path = store.blob_path(&digest);
    // Whoever knows its true size may still want it.
    fs_err::write(&path, b"another").unwrap();
    for placement in [Placement::Copy, Placement::Link, Placement::Symlink] {
        for file in [&missing, &wrong, &long] {
            let placed = store.place_file(&describe(b"hello"), file, placement);
            placed.unwrap_err();
            assert_eq!(fs_err::read(&path).unwrap(), b"another", "{placement:?}");
            assert_eq!(names(store.root()), ["sha256"], "{placement:?}");
        }
    }
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_replaced_by_a_placed_file() {
    for placement in [Placement::Copy, Placement::Link, Placement::Symlink] {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs_err::write(&file, b"hello").unwrap();
        let store = DirectoryStore::create(root.path().join("store")).unwrap();
        let digest = store.insert(b"hello").unwrap();
        let path = store.blob_path(&digest);
        fs_err::remove_file(&path).unwrap();
        sys::symlink_file(Path::new("nowhere"), &path).unwrap();
        let placed = store.place_file(&describe(b"hello"), &file, placement);
        assert_ne!(placed.unwrap(), Placed::AlreadyThere);
        assert_eq!(fs_err::read(&path).unwrap(), b"hello");
    }
}

#[cfg(unix)]
#[test]
fn a_hard_link_is_made_to_the_file_behind_a_symlink() {
    let root = tempfile::tempdir().unwrap();
    fs_err::write(root.path().join("file"), b"hello").unwrap();
    sys::symlink_file(Path::new("file"), &root.path().join("link")).unwrap();
    let store = DirectoryStore::create(root.path().join("store")).unwrap();
    let descriptor = describe(b"hello");
    let link = root.path().join("link");
    store
        .place_file(&descriptor, &link, Placement::Link)
        .unwrap();
    let placed = store.blob_path(&descriptor.digest);
    assert!(fs_err::symlink_metadata(placed).unwrap().is_file());
}

#[test]
fn a_file_with_other_content_is_not_placed() {
    for placement in [Placement::Copy, Placement::Link, Placement::Symlink] {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("file");
        fs_err::write(&file, b"hellp").unwrap();
        let store = DirectoryStore::create(root.path().join("store")).unwrap();
        let descriptor = describe(b"hello");
        let error = store.place_file(&descriptor, &file, placement).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::DigestMismatch { .. }),
            "{error}"
        );
        assert!(!store.blob_path(&descriptor.digest).exists());
    }
}

#[cfg(unix)]
#[test]
fn nothing_is_written_through_a_link_that_leaves_the_store() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = root.path().join("elsewhere");
    fs_err::create_dir(&elsewhere).unwrap();
    fs_err::write(root.path().join("file"), b"hello").unwrap();
    let store = DirectoryStore::create(root.path().join("store")).unwrap();
    sys::symlink_file(Path::new("../elsewhere"), &store.root().join("sha256")).unwrap();

    assert_eq!(
        store.insert(b"hello").unwrap_err().kind(),
        ErrorKind::Denied
    );
    let placed = store.place_file(
        &describe(b"hello"),
        &root.path().join("file"),
        Placement::Copy,
    );
    assert_eq!(placed.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(names(&elsewhere), [""; 0]);
    let theirs = Digest::sha256_of(b"theirs");
    fs_err::write(elsewhere.join(theirs.hex()), b"theirs").unwrap();
    assert_eq!(store.remove(&theirs).unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(names(&elsewhere), [theirs.hex()]);
    assert_eq!(names(store.root()), ["sha256"]);
}

#[cfg(unix)]
#[test]
fn cleaning_takes_files_alone() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectoryStore::create(root.path()).unwrap();
    // Opening a named pipe would wait for a writer for ever.
    let path = root.path().join(format!("{LEFTOVER_PREFIX}pipe"));
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(store.remove_leftovers().unwrap(), 0);
}

#[test]
fn writers_and_cleaners_at_once_lose_nothing() {
    let root = tempfile::tempdir().unwrap();
    let store = DirectoryStore::create(root.path()).unwrap();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for number in 0..1000_u32 {
                let mut blob = store.stage().unwrap();
                blob.write_all(&number.to_le_bytes()).unwrap();
                blob.commit_as_hashed().unwrap();
            }
        });
        while !writer.is_finished() {
            store.remove_leftovers().unwrap();
        }
    });
    assert_eq!(names(&root.path().join("sha256")).len(), 1000);
}

#[test]
fn directories_are_made_with_those_above_unless_something_is_in_the_way() {
    let directory = tempfile::tempdir().unwrap();
    for durability in [Durability::Machine, Durability::Program] {
        let root = directory.path().join(format!("{durability:?}"));
        let below = root.join("a/b");
        make_directory(&below, durability).unwrap();
        make_directory(&below, durability).unwrap();
        assert!(below.is_dir());
        fs_err::write(root.join("file"), "").unwrap();
        make_directory(&root.join("file"), durability).unwrap_err();
        make_directory(&root.join("file/below"), durability).unwrap_err();
    }
}
