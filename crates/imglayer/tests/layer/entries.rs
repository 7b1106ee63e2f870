//! Names, kinds and order.

use imglayer::{Error, LayerPath, MetadataPatch, TreeOptions};

use crate::support::{Disk, builder, builder_with, list, path};

#[test]
fn every_kind_of_input_becomes_an_entry() -> Result<(), Error> {
    let disk = Disk::with(&[("hello", "hi\n"), ("tree/a", "1"), ("tree/b/c", "2")]);
    disk.directory("tree/empty");
    let mut builder = builder();
    builder
        .file(path("bin/hello"), disk.path("hello"))?
        .bytes(path("etc/motd"), "welcome\n")?
        .empty_file(path("etc/empty"))?
        .directory(path("var/log"))?
        .symlink(path("bin/greet"), "../bin//hello/.")?
        .hard_link(path("bin/hey"), path("bin/hello"))?
        .tree(path("srv"), disk.path("tree"), &TreeOptions::default())?
        .whiteout(&path("etc/issue"))?
        .opaque(&path("opt"))?;
    insta::assert_snapshot!(list(builder), @r#"
    l 777 bin/greet -> ../bin//hello/.
    f 644 bin/hello "hi\n"
    h 644 bin/hey -> bin/hello
    f 644 etc/.wh.issue ""
    f 644 etc/empty ""
    f 644 etc/motd "welcome\n"
    f 644 opt/.wh..wh..opq ""
    d 755 srv/
    f 644 srv/a "1"
    d 755 srv/b/
    f 644 srv/b/c "2"
    d 755 srv/empty/
    d 755 var/log/
    "#);
    Ok(())
}

#[test]
fn entries_stand_in_the_order_of_their_components_whatever_the_order_of_inputs() {
    let names = [
        "a-b", "b", "a/c", "a.d/e", "a", "a/b/c", "a/b", "a/.wh", "A",
    ];
    let directories = ["a", "a/b"];
    let add = |order: Vec<usize>| {
        let mut builder = builder();
        for at in order {
            if directories.contains(&names[at]) {
                builder.directory(path(names[at])).unwrap();
            } else {
                builder.bytes(path(names[at]), names[at]).unwrap();
            }
        }
        builder.whiteout(&path("a/gone")).unwrap();
        builder.opaque(&path("a")).unwrap();
        list(builder)
    };
    let forward = add((0..names.len()).collect());
    assert_eq!(forward, add((0..names.len()).rev().collect()));
    insta::assert_snapshot!(forward, @r#"
    f 644 A "A"
    d 755 a/
    f 644 a/.wh..wh..opq ""
    f 644 a/.wh.gone ""
    f 644 a/.wh "a/.wh"
    d 755 a/b/
    f 644 a/b/c "a/b/c"
    f 644 a/c "a/c"
    f 644 a-b "a-b"
    f 644 a.d/e "a.d/e"
    f 644 b "b"
    "#);
}

#[test]
fn the_root_of_a_layer_may_be_a_tree_and_gets_no_entry() -> Result<(), Error> {
    let disk = Disk::with(&[("a", "1"), ("b/c", "2")]);
    let mut builder = builder();
    builder.tree(LayerPath::root(), disk.root(), &TreeOptions::default())?;
    builder.opaque(&LayerPath::root())?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 .wh..wh..opq ""
    f 644 a "1"
    d 755 b/
    f 644 b/c "2"
    "#);
    Ok(())
}

#[test]
fn parents_are_made_on_request_and_only_where_they_are_missing() -> Result<(), Error> {
    let mut builder = builder_with(|options| options.create_parents = true);
    builder
        .bytes(path("a/b/c"), "1")?
        .bytes(path("a/b/d"), "2")?
        .directory(path("a/e"))?
        .symlink(path("a/e/f/g"), "x")?
        .bytes(path("z"), "3")?
        .opaque(&path("a/h"))?;
    insta::assert_snapshot!(list(builder), @r#"
    d 755 a/
    d 755 a/b/
    f 644 a/b/c "1"
    f 644 a/b/d "2"
    d 755 a/e/
    d 755 a/e/f/
    l 777 a/e/f/g -> x
    d 755 a/h/
    f 644 a/h/.wh..wh..opq ""
    f 644 z "3"
    "#);
    Ok(())
}

#[test]
fn a_file_or_directory_is_added_as_what_it_is() -> Result<(), Error> {
    let disk = Disk::with(&[("tree/a", "1"), ("file", "2")]);
    let options = TreeOptions::default();
    let mut builder = builder();
    builder
        .file_or_tree(path("x"), disk.path("tree"), &options)?
        .file_or_tree(path("y"), disk.path("file"), &options)?;
    insta::assert_snapshot!(list(builder), @r#"
    d 755 x/
    f 644 x/a "1"
    f 644 y "2"
    "#);
    Ok(())
}

#[test]
fn the_last_input_for_a_path_is_taken_with_a_warning() -> Result<(), Error> {
    let disk = Disk::with(&[("file", "disk")]);
    let mut builder = builder();
    builder
        .bytes(path("a"), "first")?
        .symlink(path("a"), "second")?
        .file(path("a"), disk.path("file"))?
        .bytes(path("b"), "first")?
        .bytes(path("b"), "second")?;
    let plan = builder.finish()?;
    let warnings: Vec<String> = plan.warnings().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @r"
    a was added 3 times: the last one is in the layer
    b was added twice: the last one is in the layer
    ");
    insta::assert_snapshot!(crate::support::list_layer(&crate::support::write_plan(&plan).1), @r#"
    f 644 a "disk"
    f 644 b "second"
    "#);
    Ok(())
}

#[test]
fn metadata_of_one_input_goes_with_it_and_is_warned_about() -> Result<(), Error> {
    let mut private = MetadataPatch::default();
    private.mode = Some(0o600);
    let mut builder = builder();
    builder
        .bytes(path("taken"), "1")?
        .metadata_of_last(&private)?
        .directory(path("same"))?
        .metadata_of_last(&private)?
        .directory(path("same"))?
        .metadata_of_last(&private)?
        .directory(path("replaced"))?
        .metadata_of_last(&private)?
        .directory(path("replaced"))?;
    let plan = builder.finish()?;
    let warnings: Vec<String> = plan.warnings().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"), @"replaced was added twice: the last one is in the layer");
    insta::assert_snapshot!(crate::support::list_layer(&crate::support::write_plan(&plan).1), @r#"
    d 755 replaced/
    d 600 same/
    f 600 taken "1"
    "#);
    Ok(())
}

#[test]
fn the_same_input_twice_is_no_reason_for_a_warning() -> Result<(), Error> {
    let disk = Disk::with(&[("tree/a/b", "1"), ("file", "2")]);
    let mut builder = builder();
    for _ in 0..2 {
        builder
            .tree(path("t"), disk.path("tree"), &TreeOptions::default())?
            .file(path("f"), disk.path("file"))?
            .symlink(path("l"), "f")?
            .hard_link(path("h"), path("f"))?
            .whiteout(&path("w"))?;
    }
    let plan = builder.finish()?;
    assert_eq!(plan.warnings(), []);
    assert_eq!(plan.entries().len(), 7);
    Ok(())
}

#[test]
fn names_may_be_long_and_need_not_be_unicode() -> Result<(), Error> {
    let long = ["directory"; 60].join("/");
    let mut builder = builder();
    builder
        .bytes(path(&long), "1")?
        .bytes(path(&"n".repeat(200)), "2")?
        .bytes(LayerPath::parse(b"caf\xe9")?, "3")?
        .bytes(path("café"), "4")?
        .symlink(path("link"), "t".repeat(300))?
        .symlink(path("latin"), b"caf\xe9")?
        .bytes(path(&format!("{}\n", "x".repeat(99))), "5")?;
    insta::assert_snapshot!(list(builder), @r#"
    f 644 caf\xc3\xa9 "4"
    f 644 caf\xe9 "3"
    f 644 directory/... (599 bytes) "1"
    l 777 latin -> caf\xe9
    l 777 link -> tttttttttt... (300 bytes)
    f 644 nnnnnnnnnn... (200 bytes) "2"
    f 644 xxxxxxxxxx... (100 bytes) "5"
    "#);
    Ok(())
}

#[test]
fn a_plan_shows_its_entries_before_they_are_written() -> Result<(), Error> {
    let mut builder = builder();
    builder
        .symlink(path("l"), "target")?
        .hard_link(path("h"), path("f"))?
        .bytes(path("f"), "12345")?
        .directory(path("d"))?;
    let plan = builder.finish()?;
    let shown: Vec<String> = plan
        .entries()
        .map(|entry| {
            let target = entry.link_target().map(String::from_utf8_lossy);
            let target = target.unwrap_or_default();
            let mode = entry.metadata().mode;
            format!(
                "{} {} {mode:o} {} {target}",
                entry.kind(),
                entry.path(),
                entry.size()
            )
        })
        .collect();
    insta::assert_snapshot!(shown.join(";\n"), @r"
    directory d 755 0 ;
    file f 644 5 ;
    file h 644 5 ;
    symbolic link l 777 0 target
    ");
    Ok(())
}

#[test]
fn plans_and_errors_go_from_thread_to_thread() {
    fn check<T: Send + Sync + 'static>() {}
    check::<imglayer::Plan>();
    check::<imglayer::PlanBuilder>();
    check::<imglayer::PlanOptions>();
    check::<imglayer::Written>();
    check::<Error>();
}
