//! Which entries come first.

use imglayer::{LayerPath, Plan, PlanBuilder, PlanOptions};

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
