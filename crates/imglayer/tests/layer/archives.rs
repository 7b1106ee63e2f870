//! Imported tar archives.

use std::io::Write;

use imglayer::{EntryKind, Error, ImportMetadata, ImportOptions, MetadataPatch, PlanBuilder};
use imgtest::tar::{
    Item, blocks_of, directory, file, hardlink, record, special, symlink, tar_of, whiteout,
};

use crate::support::{Disk, builder, builder_with, list, list_layer, path, write};

/// A builder that keeps contents of archives on this disk.
fn spooling(disk: &Disk) -> PlanBuilder {
    builder_with(|options| options.spool_directory = Some(disk.root().to_owned()))
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Imports an archive of these items with the default options and lists the layer.
fn import(items: impl IntoIterator<Item = Item>) -> String {
    let disk = Disk::new();
    let archive = disk.write("archive.tar", tar_of(items));
    let mut builder = builder();
    builder
        .import_tar(archive, &ImportOptions::default())
        .unwrap();
    list(builder)
}

/// Returns why an archive of these items cannot be imported.
fn refusal(items: impl IntoIterator<Item = Item>, options: &ImportOptions) -> String {
    let disk = Disk::new();
    let mut builder = spooling(&disk);
    let archive = tar_of(items);
    let error = builder
        .import_tar_stream("in.tar", &archive[..], options)
        .unwrap_err();
    crate::errors::chain(&error)
}

#[test]
fn entries_are_planned_anew_and_keep_what_they_say() {
    let items = [
        symlink("./usr/lib/link", "../x"),
        file("./usr/bin/tool", "tool")
            .mode(0o4755)
            .owner(1, 2)
            .names("root", "wheel"),
        directory("./usr/").mode(0o700),
        file("/absolute", "1").mtime(1_700_000_000, 0),
        special(EntryKind::Fifo, "pipe", (0, 0)),
        directory("./"),
        file("xattr", "2")
            .xattr("user.a", "b")
            .pax("atime", "1")
            .pax("SCHILY.ino", "77"),
        file("n".repeat(150), "3"),
        file("empty", ""),
    ];
    insta::assert_snapshot!(import(items), @r#"
    f 644 @1700000000 absolute "1"
    f 644 empty ""
    f 644 nnnnnnnnnn... (150 bytes) "3"
    p 644 pipe
    d 700 usr/
    f 4755 1:2 root:wheel usr/bin/tool "tool"
    l 777 usr/lib/link -> ../x
    f 644 xattr "2" SCHILY.xattr.user.a=b
    "#);
}

#[test]
fn an_archive_that_was_written_by_us_comes_out_as_it_went_in() -> Result<(), Error> {
    let disk = Disk::with(&[("t/a", "same"), ("t/b/c", "same"), ("t/d", "else")]);
    disk.directory("t/empty");
    let mut first = builder();
    let mut patch = MetadataPatch::default();
    patch.uid = Some(7);
    patch.xattrs.insert("user.k".into(), b"v".to_vec());
    first
        .tree(
            path("srv"),
            disk.path("t"),
            &imglayer::TreeOptions::default(),
        )?
        .symlink(path("link"), "srv")?
        .hard_link(path("again"), path("srv/d"))?
        .bytes(path("long/".repeat(40).trim_end_matches('/')), "x")?
        .metadata(path("srv/d"), patch)?;
    let (_, layer) = write(first);
    for archive in [
        layer.clone(),
        gzip(&layer),
        zstd::encode_all(&layer[..], 1).unwrap(),
    ] {
        let archive = disk.write("layer", archive);
        let mut second = spooling(&disk);
        second.import_tar(archive, &ImportOptions::default())?;
        assert_eq!(write(second).1, layer);
    }
    Ok(())
}

#[test]
fn names_of_one_file_stay_names_of_one_file() {
    let items = [
        file("m", "content"),
        hardlink("z", "./m"),
        hardlink("a", "z"),
        file("empty", ""),
        hardlink("also-empty", "empty"),
        symlink("link", "m"),
        hardlink("same-link", "link"),
    ];
    insta::assert_snapshot!(import(items), @r#"
    f 644 a "content"
    f 644 also-empty ""
    h 644 empty -> also-empty
    l 777 link -> m
    h 644 m -> a
    l 777 same-link -> m
    h 644 z -> a
    "#);
}

#[test]
fn a_hard_link_is_to_the_file_that_was_there_when_it_was_made() {
    let items = [file("a", "old"), hardlink("b", "a"), file("a", "new!")];
    insta::assert_snapshot!(import(items), @r#"
    f 644 a "new!"
    f 644 b "old"
    "#);
}

#[test]
fn equal_files_of_archives_and_disk_are_linked() -> Result<(), Error> {
    let disk = Disk::with(&[("x", "same")]);
    let archive = gzip(&tar_of([file("b", "same"), file("c", "diff")]));
    let mut builder = spooling(&disk);
    builder
        .import_tar_stream("first", &archive[..], &ImportOptions::default())?
        .import_tar_stream(
            "second",
            &tar_of([file("d", "diff")])[..],
            &ImportOptions::default(),
        )?
        .file(path("a"), disk.path("x"))?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 a "same"
    h 644 b -> a
    f 644 c "diff"
    h 644 d -> c
    "#);
    Ok(())
}

#[test]
fn metadata_of_entries_may_be_reset_and_changed_by_path() -> Result<(), Error> {
    let disk = Disk::new();
    let archive = tar_of([
        directory("d").mode(0o700).owner(5, 5).mtime(9, 0),
        file("d/tool", "1").mode(0o4711).owner(5, 5),
        file("d/plain", "22").mode(0o600).names("a", "b"),
        symlink("d/link", "plain").mode(0o755),
    ]);
    let mut options = ImportOptions::default();
    let mut patch = MetadataPatch::default();
    patch.gid = Some(9);
    let mut keep = spooling(&disk);
    keep.import_tar_stream("in.tar", &archive[..], &options)?;
    keep.metadata(path("d/tool"), patch.clone())?;
    insta::assert_snapshot!(list(keep), @r#"
    d 700 5:5 @9 d/
    l 755 d/link -> plain
    f 600 a:b d/plain "22"
    f 4711 5:9 d/tool "1"
    "#);

    options.metadata = ImportMetadata::Reset;
    let mut reset = builder_with(|options| {
        options.spool_directory = Some(disk.root().to_owned());
        options.default_metadata.uid = Some(1);
    });
    reset.import_tar_stream("in.tar", &archive[..], &options)?;
    reset.metadata(path("d/tool"), patch)?;
    insta::assert_snapshot!(list(reset), @r#"
    d 755 1:0 d/
    l 777 1:0 d/link -> plain
    f 644 1:0 d/plain "22"
    f 755 1:9 d/tool "1"
    "#);
    Ok(())
}

#[test]
fn whiteouts_are_refused_unless_they_are_declared() -> Result<(), Error> {
    let items = [
        file("a/.wh..wh..opq", ""),
        whiteout("b/gone"),
        file("b/kept", "1"),
    ];
    let mut options = ImportOptions::default();
    insta::assert_snapshot!(refusal(items.clone(), &options), @r#"archive in.tar: a/.wh..wh..opq: the name ".wh..wh..opq" would remove files of lower layers at run time"#);

    options.whiteouts = true;
    let disk = Disk::new();
    let mut builder = spooling(&disk);
    builder.import_tar_stream("in.tar", &tar_of(items)[..], &options)?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 a/.wh..wh..opq ""
    f 644 b/.wh.gone ""
    f 644 b/kept "1"
    "#);

    insta::assert_snapshot!(refusal([file(".wh..wh.plnk", "")], &options), @"archive in.tar: .wh..wh.plnk is no whiteout that layers can have");
    insta::assert_snapshot!(refusal([file("a/.wh.", "")], &options), @"archive in.tar: a/.wh. is no whiteout that layers can have");
    insta::assert_snapshot!(refusal([directory(".wh.a")], &options), @"archive in.tar: whiteout .wh.a is a directory");
    insta::assert_snapshot!(refusal([file(".wh.a/b", "")], &options), @r#"archive in.tar: .wh.a/b: the name ".wh.a" would remove files of lower layers at run time"#);
    Ok(())
}

#[test]
fn what_no_layer_can_have_is_refused_by_name() {
    let refused = |items: &[Item]| refusal(items.to_vec(), &ImportOptions::default());
    insta::assert_snapshot!(refused(&[file("../etc/passwd", "x")]), @r#"archive in.tar: entry name "../etc/passwd": a path must not have the component "..""#);
    insta::assert_snapshot!(refused(&[file("a/../../b", "x")]), @r#"archive in.tar: entry name "a/../../b": a path must not have the component "..""#);
    insta::assert_snapshot!(refused(&[hardlink("b", "a")]), @"archive in.tar: hard link b: its target a is not before it in the archive");
    insta::assert_snapshot!(refused(&[hardlink("b", "a"), file("a", "late")]), @"archive in.tar: hard link b: its target a is not before it in the archive");
    insta::assert_snapshot!(refused(&[directory("a"), hardlink("b", "a")]), @"archive in.tar: hard link b: its target a is a directory");
    insta::assert_snapshot!(refused(&[symlink(".", "a")]), @"archive in.tar: the root of a layer cannot be a symbolic link");
    let sparse = file("a", "x").extended(b'x', record("GNU.sparse.major", "1"));
    assert!(refused(&[sparse]).contains("sparse"));
}

#[test]
fn an_archive_without_end_is_taken_plain_and_compressed() -> Result<(), Error> {
    let disk = Disk::new();
    let endless = blocks_of([file("a", "1")]);
    let mut plain = builder();
    plain.import_tar(
        disk.write("endless.tar", &endless),
        &ImportOptions::default(),
    )?;
    insta::assert_snapshot!(list(plain), @r#"f 644 a "1""#);
    let mut packed = spooling(&disk);
    packed.import_tar_stream(
        "endless.tar.gz",
        &gzip(&endless)[..],
        &ImportOptions::default(),
    )?;
    insta::assert_snapshot!(list(packed), @r#"f 644 a "1""#);
    // What ends within an entry is cut.
    let cut = disk.write("cut.tar", &endless[..endless.len() - 1]);
    let error = builder()
        .import_tar(cut, &ImportOptions::default())
        .unwrap_err();
    assert_eq!(error.kind(), imglayer::ErrorKind::Malformed);
    Ok(())
}

#[test]
fn a_compressed_archive_needs_a_place_for_its_contents() {
    let disk = Disk::new();
    let archive = disk.write("in.tgz", gzip(&tar_of([file("a", "1")])));
    let error = builder()
        .import_tar(archive, &ImportOptions::default())
        .unwrap_err();
    let text = error
        .to_string()
        .replace(&disk.root().display().to_string(), "DISK");
    insta::assert_snapshot!(text, @"archive DISK/in.tgz: its contents need a spool directory, and none is set");
}

#[test]
fn an_archive_that_changes_before_the_layer_is_written_is_an_error() -> Result<(), Error> {
    let disk = Disk::new();
    let archive = disk.write("in.tar", tar_of([file("a", "1".repeat(2000))]));
    let mut builder = builder();
    builder.import_tar(&archive, &ImportOptions::default())?;
    let plan = builder.finish()?;
    let file = fs_err::OpenOptions::new()
        .write(true)
        .open(&archive)
        .unwrap();
    file.set_len(1000).unwrap();
    let error = crate::support::failure(&plan);
    let text = error
        .to_string()
        .replace(&disk.root().display().to_string(), "DISK");
    insta::assert_snapshot!(text, @"archive DISK/in.tar changed while the layer was made");
    assert_eq!(error.kind(), imglayer::ErrorKind::Changed);
    Ok(())
}

#[test]
fn an_archive_in_several_members_is_read_whole() -> Result<(), Error> {
    let disk = Disk::new();
    let whole = tar_of([file("a", "1"), file("b", "22")]);
    let (head, tail) = whole.split_at(700);
    let mut members = gzip(head);
    members.extend(gzip(tail));
    let mut builder = spooling(&disk);
    builder.import_tar_stream("in.tgz", &members[..], &ImportOptions::default())?;
    insta::assert_snapshot!(list_layer(&write(builder).1), @r#"
    f 644 a "1"
    f 644 b "22"
    "#);
    Ok(())
}
