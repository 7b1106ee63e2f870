//! Equal files and names of one file.

use imglayer::{Error, Hardlinks, MetadataPatch};

use crate::support::{Disk, builder, builder_with, list, path, write};

#[test]
fn equal_files_are_stored_once_under_the_first_name() -> Result<(), Error> {
    let disk = Disk::with(&[("x", "same"), ("y", "same"), ("z", "else")]);
    let mut builder = builder();
    builder
        .file(path("c"), disk.path("x"))?
        .file(path("a/z"), disk.path("y"))?
        .bytes(path("b"), "same")?
        .file(path("d"), disk.path("z"))?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 a/z "same"
    h 644 b -> a/z
    h 644 c -> a/z
    f 644 d "else"
    "#);
    Ok(())
}

#[test]
fn empty_files_stay_files() -> Result<(), Error> {
    let mut builder = builder();
    builder.empty_file(path("a"))?.empty_file(path("b"))?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 a ""
    f 644 b ""
    "#);
    Ok(())
}

#[test]
fn files_of_other_metadata_stay_files() -> Result<(), Error> {
    let mut builder = builder();
    for name in ["a", "mode", "owner", "group", "names", "time", "xattr", "z"] {
        builder.bytes(path(name), "same")?;
    }
    let change = |change: &dyn Fn(&mut MetadataPatch)| {
        let mut patch = MetadataPatch::default();
        change(&mut patch);
        patch
    };
    let second = imglayer::Timestamp { secs: 1, nanos: 0 };
    let patches = [
        ("mode", change(&|patch| patch.mode = Some(0o600))),
        ("owner", change(&|patch| patch.uid = Some(1))),
        ("group", change(&|patch| patch.gid = Some(1))),
        (
            "names",
            change(&|patch| patch.user_name = Some(b"root".to_vec())),
        ),
        ("time", change(&|patch| patch.mtime = Some(second))),
        (
            "xattr",
            change(&|patch| _ = patch.xattrs.insert("user.a".into(), b"1".to_vec())),
        ),
    ];
    for (name, patch) in patches {
        builder.metadata(path(name), patch)?;
    }
    insta::assert_snapshot!(list(builder), @r#"
    f 644 a "same"
    f 644 0:1 group "same"
    f 600 mode "same"
    f 644 root: names "same"
    f 644 1:0 owner "same"
    f 644 @1 time "same"
    f 644 xattr "same" SCHILY.xattr.user.a=1
    h 644 z -> a
    "#);
    Ok(())
}

#[test]
fn equal_files_stay_files_when_links_are_off() -> Result<(), Error> {
    let mut builder = builder_with(|options| options.hardlinks = Hardlinks::Off);
    builder
        .bytes(path("a"), "same")?
        .bytes(path("b"), "same")?
        .hard_link(path("c"), path("b"))?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 a "same"
    f 644 b "same"
    h 644 c -> b
    "#);
    Ok(())
}

#[test]
fn the_first_name_in_the_layer_carries_the_content_of_an_intended_link() -> Result<(), Error> {
    let mut builder = builder();
    builder
        .hard_link(path("a"), path("b"))?
        .hard_link(path("z"), path("a"))?
        .bytes(path("b"), "content")?
        .empty_file(path("e"))?
        .hard_link(path("d"), path("e"))?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 a "content"
    h 644 b -> a
    f 644 d ""
    h 644 e -> d
    h 644 z -> a
    "#);
    Ok(())
}

#[test]
fn links_lead_to_the_file_that_carries_the_content_never_to_another_link() -> Result<(), Error> {
    let mut builder = builder();
    builder
        .bytes(path("a"), "same")?
        .bytes(path("b"), "same")?
        .hard_link(path("c"), path("b"))?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 a "same"
    h 644 b -> a
    h 644 c -> a
    "#);
    Ok(())
}

#[test]
fn metadata_of_one_name_is_that_of_all_names() -> Result<(), Error> {
    let mut patch = MetadataPatch::default();
    patch.mode = Some(0o600);
    let mut builder = builder();
    builder
        .bytes(path("b"), "content")?
        .hard_link(path("a"), path("b"))?
        .hard_link(path("c"), path("b"))?
        .metadata(path("c"), patch)?;
    insta::assert_snapshot!(list(builder), @r#"
    f 600 a "content"
    h 600 b -> a
    h 600 c -> a
    "#);
    Ok(())
}

#[test]
fn a_file_of_unique_size_is_read_once() -> Result<(), Error> {
    let disk = Disk::with(&[("a", "1"), ("b", "22"), ("c", "333")]);
    let mut builder = builder();
    for name in ["a", "b", "c"] {
        builder.file(path(name), disk.path(name))?;
    }
    let (written, _) = write(builder);
    let counts = written.counts;
    assert_eq!((counts.files_read_once, counts.files_read_twice), (3, 0));
    assert_eq!(
        (
            counts.bytes_read,
            counts.linked,
            counts.files,
            counts.entries
        ),
        (6, 0, 3, 3)
    );
    Ok(())
}

#[test]
fn small_files_of_one_size_are_read_once() -> Result<(), Error> {
    let disk = Disk::with(&[("a", "aaaa"), ("b", "bbbb"), ("c", "aaaa"), ("d", "dddd")]);
    let mut builder = builder();
    for name in ["a", "b", "c", "d"] {
        builder.file(path(name), disk.path(name))?;
    }
    let (written, _) = write(builder);
    let counts = written.counts;
    assert_eq!((counts.files_read_once, counts.files_read_twice), (4, 0));
    assert_eq!(
        (
            counts.bytes_read,
            counts.linked,
            counts.files,
            counts.entries
        ),
        (16, 1, 3, 4)
    );
    Ok(())
}

#[test]
fn only_a_large_file_that_begins_like_another_and_differs_is_read_twice() -> Result<(), Error> {
    const SIZE: usize = 600_000;
    let disk = Disk::new();
    let base = vec![b'x'; SIZE];
    let (mut late, mut early) = (base.clone(), base.clone());
    late[SIZE - 1] = b'y';
    early[0] = b'y';
    disk.write("a", &base);
    disk.write("b", &late);
    disk.write("c", &early);
    disk.write("d", &base);
    disk.write("e", &late);
    let mut builder = builder();
    for name in ["a", "b", "c", "d", "e"] {
        builder.file(path(name), disk.path(name))?;
    }
    let (written, layer) = write(builder);
    insta::assert_snapshot!(crate::support::list_layer(&layer), @r"
    f 644 a (600000 bytes)
    f 644 b (600000 bytes)
    f 644 c (600000 bytes)
    h 644 d -> a
    h 644 e -> b
    ");
    let counts = written.counts;
    assert_eq!((counts.files_read_once, counts.files_read_twice), (4, 1));
    assert_eq!((counts.bytes_read, counts.linked), (6 * SIZE as u64, 2));
    Ok(())
}
