//! Modes, owners, times and further records.

use imglayer::{Error, MetadataPatch, ModePolicy, Timestamp, TreeOptions};

use crate::support::{Disk, builder, builder_with, list, path};

fn owner(uid: u64, gid: u64) -> MetadataPatch {
    let mut patch = MetadataPatch::default();
    patch.uid = Some(uid);
    patch.gid = Some(gid);
    patch
}

#[cfg(unix)]
#[test]
fn modes_come_from_the_executable_bit_or_as_the_policy_says() -> Result<(), Error> {
    let disk = Disk::with(&[("plain", "1"), ("tool", "22"), ("tree/private", "333")]);
    disk.chmod("plain", 0o600);
    disk.chmod("tool", 0o4711);
    disk.chmod("tree/private", 0o640);
    disk.chmod("tree", 0o750);
    let with = |policy: ModePolicy| {
        let mut builder = builder_with(|options| options.modes = policy);
        builder
            .file(path("plain"), disk.path("plain"))?
            .file(path("tool"), disk.path("tool"))?
            .tree(path("tree"), disk.path("tree"), &TreeOptions::default())?
            .bytes(path("memory"), "4444")?;
        Ok::<String, Error>(list(builder))
    };
    insta::assert_snapshot!(with(ModePolicy::ExecutableBit)?, @r#"
    f 644 memory "4444"
    f 644 plain "1"
    f 755 tool "22"
    d 755 tree/
    f 644 tree/private "333"
    "#);
    insta::assert_snapshot!(with(ModePolicy::Fixed(0o755))?, @r#"
    f 755 memory "4444"
    f 755 plain "1"
    f 755 tool "22"
    d 755 tree/
    f 755 tree/private "333"
    "#);
    insta::assert_snapshot!(with(ModePolicy::Preserve)?, @r#"
    f 644 memory "4444"
    f 600 plain "1"
    f 4711 tool "22"
    d 750 tree/
    f 640 tree/private "333"
    "#);
    Ok(())
}

#[test]
fn default_metadata_is_for_everything_but_whiteouts() -> Result<(), Error> {
    let disk = Disk::with(&[("tree/a", "1")]);
    let mut default = owner(33, 34);
    default.mode = Some(0o640);
    default.user_name = Some(b"www".to_vec());
    default.group_name = Some(b"data".to_vec());
    default.mtime = Some(Timestamp {
        secs: 1_700_000_000,
        nanos: 0,
    });
    default.pax.insert("VENDOR.note".into(), b"x".to_vec());
    let mut builder = builder_with(|options| {
        options.default_metadata = default;
        options.create_parents = true;
    });
    builder
        .tree(path("srv/tree"), disk.path("tree"), &TreeOptions::default())?
        .symlink(path("link"), "srv")?
        .directory(path("directory"))?
        .empty_file(path("empty"))?
        .whiteout(&path("gone"))?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 .wh.gone ""
    d 750 33:34 www:data @1700000000 directory/ VENDOR.note=x
    f 640 33:34 www:data @1700000000 empty "" VENDOR.note=x
    l 777 33:34 www:data @1700000000 link -> srv VENDOR.note=x
    d 750 33:34 www:data @1700000000 srv/ VENDOR.note=x
    d 750 33:34 www:data @1700000000 srv/tree/ VENDOR.note=x
    f 640 33:34 www:data @1700000000 srv/tree/a "1" VENDOR.note=x
    "#);
    Ok(())
}

#[test]
fn metadata_by_path_is_above_the_default_and_applies_to_every_kind() -> Result<(), Error> {
    let disk = Disk::with(&[("tree/a", "1")]);
    let mut builder = builder_with(|options| {
        options.default_metadata = owner(1, 1);
        options.create_parents = true;
    });
    let mut mode = MetadataPatch::default();
    mode.mode = Some(0o700);
    builder
        .tree(path("srv/tree"), disk.path("tree"), &TreeOptions::default())?
        .symlink(path("link"), "srv")?
        .metadata(path("srv"), owner(2, 2))?
        .metadata(path("srv/tree"), mode.clone())?
        .metadata(path("srv/tree/a"), owner(9, 9))?
        .metadata(path("srv/tree/a"), owner(3, 0))?
        .metadata(path("link"), mode)?;
    insta::assert_snapshot!(list(builder), @r#"
    l 700 1:1 link -> srv
    d 755 2:2 srv/
    d 700 1:1 srv/tree/
    f 644 3:0 srv/tree/a "1"
    "#);
    Ok(())
}

#[test]
fn metadata_of_a_tree_is_between_the_default_and_that_of_a_path() -> Result<(), Error> {
    let disk = Disk::with(&[("tree/a", "1"), ("tree/b", "22")]);
    let mut options = TreeOptions::default();
    options.metadata = owner(5, 5);
    options.metadata.mode = Some(0o600);
    let mut builder = builder_with(|options| options.default_metadata = owner(1, 1));
    builder
        .tree(path("tree"), disk.path("tree"), &options)?
        .file_or_tree(path("file"), disk.path("tree/a"), &options)?
        .bytes(path("other"), "333")?
        .metadata(path("tree/b"), owner(7, 7))?;
    insta::assert_snapshot!(list(builder), @r#"
    f 600 5:5 file "1"
    f 644 1:1 other "333"
    d 700 5:5 tree/
    h 600 5:5 tree/a -> file
    f 600 7:7 tree/b "22"
    "#);
    Ok(())
}

#[test]
fn extended_attributes_times_and_large_ids_are_pax_records() -> Result<(), Error> {
    let mut patch = owner(5_000_000_000, 1);
    patch.mtime = Some(Timestamp {
        secs: -1,
        nanos: 500_000_000,
    });
    patch
        .xattrs
        .insert("security.capability".into(), b"\x01\0\0\x02".to_vec());
    let mut builder = builder();
    builder.bytes(path("a"), "1")?.metadata(path("a"), patch)?;
    let (_, layer) = crate::support::write(builder);
    let text = layer.escape_ascii().to_string();
    for record in [
        r"18 uid=5000000000\n".to_owned(),
        r"mtime=-0.5\n".to_owned(),
        r"SCHILY.xattr.security.capability=\x01\x00\x00\x02\n".to_owned(),
    ] {
        assert!(text.contains(&record), "{record}");
    }
    Ok(())
}
