//! Directories on disk and the symlinks in them.

use imglayer::{Error, LayerPath, MetadataPatch, SymlinkPolicy, TreeHandling, TreeOptions};

use crate::support::{Disk, builder, builder_with, list, path, write};

fn tree_with(disk: &Disk, root: &str, policy: SymlinkPolicy) -> Result<String, String> {
    let mut builder = builder();
    let options = TreeOptions::with_symlinks(policy);
    match builder.tree(path("t"), disk.path(root), &options) {
        Ok(_) => Ok(list(builder)),
        Err(error) => {
            let text = crate::errors::chain(&error);
            Err(text.replace(&disk.root().display().to_string(), "DISK"))
        }
    }
}

#[test]
fn symlinks_are_kept_followed_or_judged() {
    let disk = Disk::with(&[
        ("t/dir/file", "inside"),
        ("out/file", "out"),
        ("out/d/e", "deep"),
    ]);
    disk.symlink("t/dir/sibling", "file");
    disk.symlink("t/dir/up", "../dir");
    disk.symlink("t/escape", "../out/file");
    disk.symlink("t/absolute", disk.path("out/file"));
    disk.symlink("t/directory", disk.path("out/d"));
    let keep = tree_with(&disk, "t", SymlinkPolicy::Keep).unwrap();
    insta::assert_snapshot!(keep.replace(&disk.root().display().to_string(), "DISK"), @r#"
    d 755 t/
    l 777 t/absolute -> DISK/out/file
    d 755 t/dir/
    f 644 t/dir/file "inside"
    l 777 t/dir/sibling -> file
    l 777 t/dir/up -> ../dir
    l 777 t/directory -> DISK/out/d
    l 777 t/escape -> ../out/file
    "#);
    insta::assert_snapshot!(tree_with(&disk, "t", SymlinkPolicy::KeepInside).unwrap(), @r#"
    d 755 t/
    f 644 t/absolute "out"
    d 755 t/dir/
    f 644 t/dir/file "inside"
    l 777 t/dir/sibling -> file
    l 777 t/dir/up -> ../dir
    d 755 t/directory/
    f 644 t/directory/e "deep"
    h 644 t/escape -> t/absolute
    "#);
    insta::assert_snapshot!(tree_with(&disk, "t", SymlinkPolicy::Follow).unwrap_err(), @"input for t/dir/up: DISK/t/dir/up leads back to a directory that it is in");
    fs_err::remove_file(disk.path("t/dir/up")).unwrap();
    insta::assert_snapshot!(tree_with(&disk, "t", SymlinkPolicy::Follow).unwrap(), @r#"
    d 755 t/
    f 644 t/absolute "out"
    d 755 t/dir/
    f 644 t/dir/file "inside"
    h 644 t/dir/sibling -> t/dir/file
    d 755 t/directory/
    f 644 t/directory/e "deep"
    h 644 t/escape -> t/absolute
    "#);
}

#[test]
fn a_tree_is_the_same_through_a_sandbox_of_links() {
    let disk = Disk::with(&[("real/a", "1"), ("real/d/b", "22"), ("other", "333")]);
    disk.symlink("real/d/link", "../a");
    disk.symlink("real/out", "../other");
    for name in ["a", "d/b", "d/link", "out"] {
        disk.symlink(
            &format!("sandbox/{name}"),
            disk.path(&format!("real/{name}")),
        );
    }
    let real = tree_with(&disk, "real", SymlinkPolicy::KeepInside).unwrap();
    assert_eq!(
        tree_with(&disk, "sandbox", SymlinkPolicy::KeepInside).unwrap(),
        real
    );
    insta::assert_snapshot!(real, @r#"
    d 755 t/
    f 644 t/a "1"
    d 755 t/d/
    f 644 t/d/b "22"
    l 777 t/d/link -> ../a
    f 644 t/out "333"
    "#);
}

#[test]
fn links_that_lead_nowhere_are_kept_as_they_are() {
    let disk = Disk::new();
    disk.symlink("real/up", "../absent");
    disk.symlink("real/absolute", "/nonexistent/target");
    for name in ["up", "absolute"] {
        disk.symlink(
            &format!("sandbox/{name}"),
            disk.path(&format!("real/{name}")),
        );
    }
    let real = tree_with(&disk, "real", SymlinkPolicy::KeepInside).unwrap();
    assert_eq!(
        tree_with(&disk, "sandbox", SymlinkPolicy::KeepInside).unwrap(),
        real
    );
    insta::assert_snapshot!(real, @r"
    d 755 t/
    l 777 t/absolute -> /nonexistent/target
    l 777 t/up -> ../absent
    ");
}

#[test]
fn links_that_lead_nowhere_or_in_circles_are_errors_where_they_are_followed() {
    let dangling = Disk::new();
    dangling.symlink("t/x", "/nonexistent/target");
    insta::assert_snapshot!(tree_with(&dangling, "t", SymlinkPolicy::Keep).unwrap(), @r"
    d 755 t/
    l 777 t/x -> /nonexistent/target
    ");
    insta::assert_snapshot!(tree_with(&dangling, "t", SymlinkPolicy::Follow).unwrap_err(), @"input for t/x: cannot look at `DISK/t/x`: No such file or directory (os error 2)");

    let mutual = Disk::new();
    mutual.directory("a/t");
    mutual.directory("b");
    mutual.symlink("a/t/x", "../../b");
    mutual.symlink("b/y", "../a");
    insta::assert_snapshot!(tree_with(&mutual, "a/t", SymlinkPolicy::Follow).unwrap_err(), @"input for t/x/y: DISK/a/t/x/y leads back to a directory that it is in");
    let outcome = tree_with(&mutual, "a/t", SymlinkPolicy::KeepInside).unwrap_err();
    insta::assert_snapshot!(outcome, @"input for t/x/y: DISK/a/t/x/y leads back to a directory that it is in");
}

#[test]
fn the_root_of_a_tree_may_be_a_link() {
    let disk = Disk::with(&[("real/a", "1")]);
    disk.symlink("link", "real");
    insta::assert_snapshot!(tree_with(&disk, "link", SymlinkPolicy::Keep).unwrap(), @r#"
    d 755 t/
    f 644 t/a "1"
    "#);
}

#[test]
fn sockets_and_pipes_are_refused() {
    let disk = Disk::new();
    disk.directory("t");
    let _socket = std::os::unix::net::UnixListener::bind(disk.path("t/socket")).unwrap();
    insta::assert_snapshot!(tree_with(&disk, "t", SymlinkPolicy::Keep).unwrap_err(), @"input for t/socket: DISK/t/socket is no file, directory or symlink");
}

#[test]
fn a_symlink_is_copied_by_its_text() -> Result<(), Error> {
    let disk = Disk::new();
    disk.symlink("l", "../some//where/");
    let mut builder = builder();
    builder.symlink_from_disk(path("a"), disk.path("l"))?;
    insta::assert_snapshot!(list(builder), @"l 777 a -> ../some//where/");
    Ok(())
}

#[test]
fn a_filter_keeps_files_and_directories_out() -> Result<(), Error> {
    let disk = Disk::with(&[
        ("a.txt", "1"),
        ("b.o", "2"),
        ("c/d.txt", "3"),
        ("skip/e.txt", "4"),
    ]);
    let mut asked = Vec::new();
    let mut builder = builder();
    builder.tree_filtered(
        LayerPath::root(),
        disk.root(),
        &TreeOptions::default(),
        &mut |name| {
            asked.push(name.to_string());
            name.as_bytes() != b"skip" && !name.as_bytes().ends_with(b".o")
        },
    )?;
    assert_eq!(asked, ["a.txt", "b.o", "c", "skip", "c/d.txt"]);
    insta::assert_snapshot!(list(builder), @r#"
    f 644 a.txt "1"
    d 755 c/
    f 644 c/d.txt "3"
    "#);
    Ok(())
}

#[test]
fn equal_trees_become_symlinks_on_request() -> Result<(), Error> {
    let disk = Disk::with(&[
        ("one/a", "same"),
        ("one/d/b", "22"),
        ("two/a", "same"),
        ("two/d/b", "22"),
        ("other/a", "SAME"),
        ("other/d/b", "22"),
    ]);
    for name in ["one", "two", "other"] {
        disk.symlink(&format!("{name}/l"), "a");
    }
    let options = TreeOptions::default();
    let add = |handling: TreeHandling| {
        let mut builder = builder_with(|options| options.trees = handling);
        builder
            .tree(path("srv/first"), disk.path("one"), &options)?
            .tree(path("srv/second"), disk.path("two"), &options)?
            .tree(path("third"), disk.path("one"), &options)?
            .tree(path("srv/other"), disk.path("other"), &options)?
            .tree(path("srv/first/nested"), disk.path("two"), &options)?;
        Ok::<_, Error>(list(builder))
    };
    insta::assert_snapshot!(add(TreeHandling::DeduplicateBySymlink)?, @r#"
    d 755 srv/first/
    f 644 srv/first/a "same"
    d 755 srv/first/d/
    f 644 srv/first/d/b "22"
    l 777 srv/first/l -> a
    d 755 srv/first/nested/
    h 644 srv/first/nested/a -> srv/first/a
    d 755 srv/first/nested/d/
    h 644 srv/first/nested/d/b -> srv/first/d/b
    l 777 srv/first/nested/l -> a
    d 755 srv/other/
    f 644 srv/other/a "SAME"
    d 755 srv/other/d/
    h 644 srv/other/d/b -> srv/first/d/b
    l 777 srv/other/l -> a
    l 777 srv/second -> first
    l 777 third -> srv/first
    "#);
    assert_eq!(add(TreeHandling::Full)?.matches("l 777").count(), 5);
    Ok(())
}

#[test]
fn trees_of_other_metadata_are_not_equal() -> Result<(), Error> {
    let disk = Disk::with(&[("one/a", "1"), ("two/a", "1")]);
    let mut options = TreeOptions::default();
    let mut builder = builder_with(|options| options.trees = TreeHandling::DeduplicateBySymlink);
    builder.tree(path("one"), disk.path("one"), &options)?;
    options.metadata = MetadataPatch::default();
    options.metadata.uid = Some(1);
    builder.tree(path("two"), disk.path("two"), &options)?;
    insta::assert_snapshot!(list(builder), @r#"
    d 755 one/
    f 644 one/a "1"
    d 755 1:0 two/
    f 644 1:0 two/a "1"
    "#);
    Ok(())
}

#[test]
fn a_deep_tree_is_no_trouble() -> Result<(), Error> {
    let disk = Disk::new();
    let mut deep = disk.root().to_owned();
    for _ in 0..500 {
        deep.push("d");
    }
    fs_err::create_dir_all(&deep).unwrap();
    fs_err::write(deep.join("f"), "bottom").unwrap();
    let mut builder = builder();
    builder.tree(LayerPath::root(), disk.root(), &TreeOptions::default())?;
    let (written, _) = write(builder);
    assert_eq!(written.counts.entries, 501);
    Ok(())
}
