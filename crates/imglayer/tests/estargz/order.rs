//! Which entries come first.

use imglayer::estargz::prioritized_in_archives;
use imglayer::{Hardlinks, ImportOptions, LayerPath, Plan, PlanBuilder, PlanOptions};

use crate::support::{builder, options, path, write};

fn check(plan: &Plan, prioritized: &[&str], expected: &[&str]) {
    let options = options(|options| {
        options.prioritized_files = prioritized.iter().map(|name| path(name)).collect();
        options.allow_missing = true;
    });
    let (_, _, toc) = write(plan, &options);
    assert_eq!(toc.names(), expected, "{prioritized:?}");
}

fn plan() -> Plan {
    let mut options = PlanOptions::default();
    options.create_parents = true;
    let mut builder = PlanBuilder::new(options);
    builder
        .bytes(path("a/b/c"), "1")
        .and_then(|builder| builder.bytes(path("a/b/d"), "2"))
        .and_then(|builder| builder.bytes(path("a/e"), "3"))
        .and_then(|builder| builder.symlink(path("f"), "a/e"))
        .unwrap();
    builder.finish().unwrap()
}

#[test]
fn prioritized_files_come_first_in_the_order_of_the_list_with_their_directories() {
    let plan = plan();
    let none = ".no.prefetch.landmark";
    let landmark = ".prefetch.landmark";
    check(
        &plan,
        &[],
        &[none, "a/", "a/b/", "a/b/c", "a/b/d", "a/e", "f"],
    );
    check(
        &plan,
        &["f", "a/b/d"],
        &["f", "a/", "a/b/", "a/b/d", landmark, "a/b/c", "a/e"],
    );
    check(
        &plan,
        &["a/e", "a/e", "a/b"],
        &["a/", "a/e", "a/b/", landmark, "a/b/c", "a/b/d", "f"],
    );
    check(
        &plan,
        &["missing", "a/b/c/d"],
        &[none, "a/", "a/b/", "a/b/c", "a/b/d", "a/e", "f"],
    );
}

#[test]
fn a_file_whose_directories_have_no_entries_can_be_prioritized() {
    let mut builder = builder();
    builder
        .bytes(path("a"), "1")
        .and_then(|builder| builder.bytes(path("b/c/d"), "2"))
        .unwrap();
    check(
        &builder.finish().unwrap(),
        &["b/c/d"],
        &["b/c/d", ".prefetch.landmark", "a"],
    );
}

#[test]
fn a_file_deeper_than_the_stack_can_be_prioritized() {
    let deep = "d/".repeat(10_000) + "file";
    let mut builder = builder();
    builder
        .bytes(path("a"), "1")
        .and_then(|builder| builder.bytes(path(&deep), "2"))
        .unwrap();
    check(
        &builder.finish().unwrap(),
        &[&deep],
        &[&deep, ".prefetch.landmark", "a"],
    );
}

#[test]
fn a_whiteout_stays_in_front_of_what_it_would_remove() {
    let mut builder = builder();
    for name in ["a", "a/b", "a/b/c"] {
        builder.whiteout(&path(name)).unwrap();
    }
    builder
        .directory(path("a"))
        .and_then(|builder| builder.directory(path("a/b")))
        .and_then(|builder| builder.bytes(path("a/b/c"), "new"))
        .and_then(|builder| builder.whiteout(&path("a/other")))
        .and_then(|builder| builder.opaque(&path("a/b")))
        .unwrap();
    check(
        &builder.finish().unwrap(),
        &["a/b/c"],
        &[
            ".wh.a",
            "a/",
            "a/.wh.b",
            "a/b/",
            "a/b/.wh..wh..opq",
            "a/b/.wh.c",
            "a/b/c",
            ".prefetch.landmark",
            "a/.wh.other",
        ],
    );
}

#[test]
fn the_first_of_equal_files_carries_the_content_in_the_order_of_the_layer() {
    let mut builder = builder();
    builder
        .bytes(path("a"), "equal")
        .and_then(|builder| builder.bytes(path("b"), "equal"))
        .and_then(|builder| builder.hard_link(path("c"), path("b")))
        .unwrap();
    let plan = builder.finish().unwrap();
    let options = options(|options| options.prioritized_files = vec![path("c")]);
    let (_, _, toc) = write(&plan, &options);
    let links: Vec<_> = (toc.files())
        .map(|file| (file["name"].as_str().unwrap(), file["linkName"].as_str()))
        .collect();
    assert_eq!(
        links,
        [
            ("c", None),
            (".prefetch.landmark", None),
            ("a", Some("c")),
            ("b", Some("c"))
        ]
    );
}

#[test]
fn the_root_is_there_and_brings_nothing_along() {
    let mut builder = builder();
    builder.bytes(path("a"), "1").unwrap();
    let options = options(|options| options.prioritized_files = vec![LayerPath::root()]);
    let (written, _, toc) = write(&builder.finish().unwrap(), &options);
    assert_eq!(toc.names(), [".no.prefetch.landmark", "a"]);
    assert!(written.missing.is_empty());
}

#[test]
fn a_landmark_is_a_file_of_its_own_although_another_is_equal() {
    let mut builder = builder();
    builder.bytes(path("a"), b"\x0f").unwrap();
    let options = options(|options| options.prioritized_files = vec![path("a")]);
    let (_, _, toc) = write(&builder.finish().unwrap(), &options);
    assert_eq!(toc.names(), ["a", ".prefetch.landmark"]);
    assert_eq!(toc.entries[1]["type"], "reg");
}

/// Returns the prioritized directories that bring nothing along.
fn bare(plan: &Plan, prioritized: &[&str]) -> Vec<String> {
    let options = options(|options| {
        options.prioritized_files = prioritized.iter().map(|name| path(name)).collect();
    });
    let (written, ..) = write(plan, &options);
    written
        .bare_directories
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_directory_without_anything_that_is_in_it_is_told_of() {
    let plan = plan();
    assert_eq!(bare(&plan, &["a/b", "f", "a/b"]), ["a/b"]);
    assert_eq!(bare(&plan, &["a", "f"]), ["a"]);
    // Of a list that `find` made of a directory, every entry brings what is meant.
    assert!(bare(&plan, &["a", "a/b", "a/b/d"]).is_empty());
    assert!(bare(&plan, &["a/b/c", "a/b"]).is_empty());
    assert!(bare(&plan, &["f"]).is_empty());

    let mut builder = builder();
    for name in ["empty", "empty-not"] {
        builder.directory(path(name)).unwrap();
    }
    builder.bytes(path("empty-not/a"), "a").unwrap();
    assert!(bare(&builder.finish().unwrap(), &["empty"]).is_empty());
}

/// A plan of what other layers have, and of a file.
fn plan_of(layers: &[&[u8]]) -> Plan {
    let spool = tempfile::tempdir().unwrap();
    let mut plan_options = PlanOptions::default();
    plan_options.spool_directory = Some(spool.path().to_owned());
    plan_options.hardlinks = Hardlinks::Off;
    let mut builder = PlanBuilder::new(plan_options);
    let mut import = ImportOptions::default();
    import.whiteouts = true;
    for layer in layers {
        builder.import_tar_stream("layer", *layer, &import).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn priorities_of_a_layer_can_be_kept() {
    let mut builder = builder();
    for name in ["a", "a/b", "a/b/c"] {
        builder.whiteout(&path(name)).unwrap();
    }
    builder
        .directory(path("a"))
        .and_then(|builder| builder.directory(path("a/b")))
        .and_then(|builder| builder.bytes(path("a/b/c"), "new"))
        .and_then(|builder| builder.hard_link(path("z"), path("a/b/c")))
        .and_then(|builder| builder.bytes(path("0"), "first by name"))
        .unwrap();
    let plan = builder.finish().unwrap();
    let prioritized = options(|it| it.prioritized_files = vec![path("z"), path("a/b/c")]);
    let (_, layer, toc) = write(&plan, &prioritized);
    let landmark = toc
        .names()
        .iter()
        .position(|it| *it == ".prefetch.landmark")
        .unwrap();

    let again = plan_of(&[&layer]);
    let kept = prioritized_in_archives(&again);
    let names: Vec<String> = kept.iter().map(ToString::to_string).collect();
    assert_eq!(
        names,
        toc.names()[..landmark]
            .iter()
            .map(|it| it.trim_end_matches('/'))
            .collect::<Vec<_>>()
    );
    let options = options(|it| it.prioritized_files = kept);
    assert!(write(&again, &options).1 == layer);
}

#[test]
fn priorities_of_several_layers_come_in_their_order() {
    let layer = |names: [&str; 2], prioritized: &[&str]| {
        let mut builder = builder();
        for name in names {
            builder.bytes(path(name), name).unwrap();
        }
        let options = options(|options| {
            options.prioritized_files = prioritized.iter().map(|name| path(name)).collect();
        });
        write(&builder.finish().unwrap(), &options).1
    };
    let layers = [
        layer(["p", "q"], &["q"]),
        layer(["a", "b"], &[]),
        layer(["c", "d"], &["d"]),
    ];
    let layers: Vec<&[u8]> = layers.iter().map(Vec::as_slice).collect();
    let kept = prioritized_in_archives(&plan_of(&layers));
    assert_eq!(kept, [path("q"), path("d")]);
    assert!(prioritized_in_archives(&plan()).is_empty());
}
