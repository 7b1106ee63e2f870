//! What cannot be in a layer, and what is said about it.

use imglayer::{
    Error, ErrorKind, ImportOptions, LayerPath, MetadataPatch, PlanBuilder, TreeOptions,
};

use crate::support::{Disk, builder, builder_with, path};

/// Joins an error and its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

/// Returns the text of an error about files of `disk`, which is somewhere else each time.
fn text(disk: &Disk, error: &Error) -> String {
    chain(error).replace(&disk.root().display().to_string(), "DISK")
}

/// Returns why nothing can be made of what `add` adds.
fn refusal(add: impl FnOnce(&mut PlanBuilder)) -> String {
    let mut builder = builder();
    add(&mut builder);
    let error = builder.finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    chain(&error)
}

#[test]
fn missing_and_unfit_files_are_named_with_their_place_in_the_layer() {
    let disk = Disk::with(&[("file", "1")]);
    let options = TreeOptions::default();
    let mut builder = builder();

    let error = builder.file(path("a/b"), disk.path("missing")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    insta::assert_snapshot!(text(&disk, &error), @"input for a/b: cannot look at `DISK/missing`: No such file or directory (os error 2)");

    let error = builder.file(path("a"), disk.root()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    insta::assert_snapshot!(text(&disk, &error), @"input for a: DISK is no regular file");

    let error = builder
        .tree(path("a"), disk.path("file"), &options)
        .unwrap_err();
    insta::assert_snapshot!(text(&disk, &error), @"input for a: DISK/file is no directory");

    let error = builder
        .symlink_from_disk(path("a"), disk.path("missing"))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    insta::assert_snapshot!(text(&disk, &error), @"input for a: failed to read symbolic link `DISK/missing`: No such file or directory (os error 2)");

    let error = builder
        .import_tar(disk.path("missing"), &ImportOptions::default())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    insta::assert_snapshot!(text(&disk, &error), @"archive DISK/missing: failed to open file `DISK/missing`: No such file or directory (os error 2)");

    let spooling = |options: &mut imglayer::PlanOptions| {
        options.spool_directory = Some(disk.path("missing"));
    };
    let error = builder_with(spooling)
        .import_tar_stream("in.tar", &[0; 1024][..], &ImportOptions::default())
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(text(&disk, &error).starts_with("spool directory DISK/missing for in.tar: "));
}

#[test]
fn paths_that_no_entry_can_have_are_refused() {
    fn check(error: Option<Error>, expected: &str) {
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), expected);
    }
    let root = "the root of a layer has no entry of its own";
    check(builder().bytes(LayerPath::root(), "x").err(), root);
    check(builder().directory(LayerPath::root()).err(), root);
    check(builder().symlink(LayerPath::root(), "x").err(), root);
    check(builder().whiteout(&LayerPath::root()).err(), root);
    let name = "the name \".wh.b\" would remove files of lower layers at run time";
    check(
        builder().bytes(path("a/.wh.b"), "x").err(),
        &format!("a/.wh.b: {name}"),
    );
    check(
        builder().directory(path(".wh.b/c")).err(),
        &format!(".wh.b/c: {name}"),
    );
    check(
        builder().whiteout(&path(".wh.b")).err(),
        &format!(".wh.b: {name}"),
    );
    check(
        builder().opaque(&path(".wh.b")).err(),
        &format!(".wh.b: {name}"),
    );
    let nul = r#"symlink a: text "b\0" holds a NUL byte"#;
    check(builder().symlink(path("a"), "b\0").err(), nul);
}

#[test]
fn a_whiteout_in_a_tree_is_refused() {
    let disk = Disk::with(&[("t/.wh.x", "")]);
    let error = builder()
        .tree(path("a"), disk.path("t"), &TreeOptions::default())
        .unwrap_err();
    insta::assert_snapshot!(text(&disk, &error), @r#"a/.wh.x: the name ".wh.x" would remove files of lower layers at run time"#);
}

#[test]
fn nothing_can_be_a_directory_and_something_else() {
    let refused = refusal(|builder| {
        builder
            .bytes(path("a"), "x")
            .unwrap()
            .directory(path("a"))
            .unwrap();
    });
    insta::assert_snapshot!(refused, @"a: one input is a file, another a directory");
    let refused = refusal(|builder| {
        builder
            .directory(path("a"))
            .unwrap()
            .symlink(path("a"), "x")
            .unwrap();
    });
    insta::assert_snapshot!(refused, @"a: one input is a directory, another a symlink");
    let refused = refusal(|builder| {
        builder
            .bytes(path("usr/lib/x"), "x")
            .unwrap()
            .symlink(path("usr/lib"), "lib64")
            .unwrap();
    });
    insta::assert_snapshot!(refused, @"usr/lib/x cannot be in the layer together with usr/lib, which is a symlink and not a directory");
    let refused = refusal(|builder| {
        builder
            .bytes(path("a"), "x")
            .unwrap()
            .whiteout(&path("a/b/c"))
            .unwrap();
    });
    insta::assert_snapshot!(refused, @"a/b/.wh.c cannot be in the layer together with a, which is a file and not a directory");
}

#[test]
fn metadata_for_paths_without_entry_is_an_error_that_lists_them_sorted() {
    let refused = refusal(|builder| {
        builder.bytes(path("there"), "x").unwrap();
        for name in ["z", "there", "a/b", "a-b"] {
            let mut patch = MetadataPatch::default();
            patch.uid = Some(1);
            builder.metadata(path(name), patch).unwrap();
        }
    });
    insta::assert_snapshot!(refused, @"metadata for paths without entry: a/b, a-b, z");
}

#[test]
fn hard_links_must_lead_to_a_file_of_the_layer() {
    let refused = refusal(|builder| {
        builder.hard_link(path("a"), path("b")).unwrap();
    });
    insta::assert_snapshot!(refused, @"hard link a: its target b is not in the layer");
    let refused = refusal(|builder| {
        builder
            .hard_link(path("a"), path("b"))
            .unwrap()
            .symlink(path("b"), "c")
            .unwrap();
    });
    insta::assert_snapshot!(refused, @"hard link a: its target b is a symlink, not a regular file");
    let refused = refusal(|builder| {
        builder
            .hard_link(path("a"), path("b"))
            .unwrap()
            .hard_link(path("b"), path("a"))
            .unwrap();
    });
    insta::assert_snapshot!(refused, @"hard link a leads back to itself");
    let refused = refusal(|builder| {
        builder.hard_link(path("a"), path("a")).unwrap();
    });
    insta::assert_snapshot!(refused, @"hard link a leads back to itself");
}

#[test]
fn names_of_one_file_cannot_differ_in_metadata() {
    let refused = refusal(|builder| {
        builder
            .bytes(path("b"), "x")
            .unwrap()
            .hard_link(path("a"), path("b"))
            .unwrap();
        for (name, uid) in [("a", 1), ("b", 2)] {
            let mut patch = MetadataPatch::default();
            patch.uid = Some(uid);
            builder.metadata(path(name), patch).unwrap();
        }
    });
    insta::assert_snapshot!(refused, @"a and b are names of one file and cannot differ in metadata");
}

#[test]
fn impossible_metadata_is_refused_where_it_is_given() {
    let mut patch = MetadataPatch::default();
    patch.mode = Some(0o17777);
    let error = builder().metadata(path("a"), patch.clone()).err().unwrap();
    insta::assert_snapshot!(error, @"metadata of a: mode 17777 has bits beyond 7777");
    let error = builder_with(|options| options.default_metadata = patch.clone());
    insta::assert_snapshot!(error.finish().unwrap_err(), @"metadata of all files: mode 17777 has bits beyond 7777");
    let mut options = TreeOptions::default();
    options.metadata = patch;
    let disk = Disk::new();
    let error = builder()
        .tree(path("t"), disk.root(), &options)
        .err()
        .unwrap();
    insta::assert_snapshot!(error, @"metadata of t: mode 17777 has bits beyond 7777");
}

#[test]
fn metadata_of_the_last_input_needs_one_of_its_own() {
    let patch = MetadataPatch::default();
    let error = builder().metadata_of_last(&patch).unwrap_err();
    insta::assert_snapshot!(chain(&error), @"metadata for an input that was not added");
    let mut linked = builder();
    linked.hard_link(path("a"), path("b")).unwrap();
    let error = linked.metadata_of_last(&patch).unwrap_err();
    insta::assert_snapshot!(chain(&error), @"hard link a: its metadata is that of its target");
}
