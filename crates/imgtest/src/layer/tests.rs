use imgcore::{DiffId, Digest, LayerMetadata, MediaType};

use super::*;
use crate::tar::{Item, blocks_of, directory, file, hardlink, symlink, tar_of};

#[track_caller]
fn check(items: impl IntoIterator<Item = Item>, expected: &[&str]) {
    check_bytes(&tar_of(items), expected);
}

#[track_caller]
fn check_bytes(layer: &[u8], expected: &[&str]) {
    let problems = check_invariants(layer).err().unwrap_or_default();
    assert_eq!(problems, expected);
}

#[test]
fn a_proper_layer_has_no_problems() {
    check(
        [
            directory("a"),
            directory("a/b"),
            file("a/b/c", "content"),
            hardlink("a/b/d", "a/b/c"),
            symlink("a/e", "../../anywhere"),
            file("a/empty", ""),
            file("a/empty too", ""),
            file("a/other mode", "content").mode(0o600),
            file("x".repeat(300), "long").xattr("user.k", "v"),
        ],
        &[],
    );
    check([], &[]);
}

#[test]
fn names_are_relative_and_plain() {
    check(
        [file("/a", "")],
        &[r#""/a" is absolute"#, r#""/a" has an empty component"#],
    );
    check([file("a//b", "")], &[r#""a//b" has an empty component"#]);
    check([file("./a", "")], &[r#""./a" has the component ".""#]);
    check(
        [file("a/../b", "")],
        &[r#""a/../b" has the component "..""#],
    );
    let mut bare = directory("a");
    bare.header.path = b"a".to_vec();
    check([bare], &[r#""a" is a directory without a trailing slash"#]);
}

#[test]
fn names_are_unique_and_directories_come_first() {
    check([file("a", ""), file("a", "")], &[r#""a" appears twice"#]);
    check([file("a", ""), directory("a")], &[r#""a/" appears twice"#]);
    check(
        [file("a/b", ""), directory("a")],
        &[r#""a/" stands after its children"#],
    );
    check(
        [file("a/b", ""), file("a", "")],
        &[r#""a" is a file and has children"#],
    );
    check(
        [symlink("a", "b"), file("a/b", "")],
        &[r#""a/b" stands in "a", a symbolic link"#],
    );
}

#[test]
fn hard_links_point_back_to_equal_files() {
    check(
        [hardlink("b", "a"), file("a", "x")],
        &[r#""b" links to "a", which is not there yet"#],
    );
    check(
        [hardlink("a", "a")],
        &[r#""a" links to "a", which is not there yet"#],
    );
    check(
        [file("a", "x"), hardlink("b", "a"), hardlink("c", "b")],
        &[r#""c" links to "b", a hard link"#],
    );
    check(
        [directory("a"), hardlink("b", "a")],
        &[r#""b" links to "a", a directory"#],
    );
    let other = r#""b" links to "a", which has other attributes"#;
    check([file("a", "x"), hardlink("b", "a").mode(0o600)], &[other]);
    check([file("a", "x"), hardlink("b", "a").owner(1, 0)], &[other]);
    check(
        [file("a", "x"), hardlink("b", "a").xattr("user.k", "v")],
        &[other],
    );
    check(
        [
            file("a", "x"),
            hardlink("b", "a").patch(124, "00000000001\0"),
        ],
        &[r#""b" is a hard link of size 1"#],
    );
}

#[test]
fn equal_files_are_linked_unless_told() {
    let layer = tar_of([file("a", "x"), file("b", "x")]);
    check_bytes(&layer, &[r#""b" is the same as "a""#]);
    let rules = Rules {
        deduplicated: false,
        ..Rules::default()
    };
    assert_eq!(check_with(layer.as_slice(), rules), Ok(()));
}

#[test]
fn parents_are_asked_for_on_request() {
    let rules = Rules {
        parents: true,
        ..Rules::default()
    };
    let layer = tar_of([directory("a"), file("a/b/c", "x")]);
    let problems = check_with(layer.as_slice(), rules).unwrap_err();
    assert_eq!(problems, [r#""a/b/c" stands in "a/b", which has no entry"#]);
}

#[test]
fn the_end_is_two_blocks_and_padding_is_zero() {
    let mut long = tar_of([file("a", "x")]);
    long.extend_from_slice(&[0; 512]);
    check_bytes(
        &long,
        &["the archive ends with 1536 zero bytes instead of two blocks"],
    );
    let mut short = blocks_of([file("a", "x")]);
    short.extend_from_slice(&[0; 512]);
    check_bytes(
        &short,
        &["the archive ends with 512 zero bytes instead of two blocks"],
    );
    let mut dirty = tar_of([file("a", "x"), file("b", "y")]);
    dirty[1000] = 1;
    check_bytes(
        &dirty,
        &[r#""b" follows content whose padding is not zero"#],
    );
    let mut last = tar_of([file("a", "x")]);
    last[1000] = 1;
    check_bytes(
        &last,
        &["the archive follows content whose padding is not zero"],
    );
    let mut extended = tar_of([file("a", "x").xattr("user.k", "v")]);
    extended[1000] = 1;
    check_bytes(
        &extended,
        &[r#""a" has an extended header whose padding is not zero"#],
    );
}

#[test]
fn a_blob_is_compared_with_its_metadata() {
    let layer = tar_of([file("a", "x")]);
    let metadata = |bytes: &[u8]| {
        let (digest, diff_id) = (Digest::sha256_of(bytes), DiffId::sha256_of(bytes));
        LayerMetadata::new(
            Some(diff_id),
            MediaType::OCI_LAYER_TAR,
            digest,
            bytes.len() as u64,
        )
    };
    let right = metadata(&layer);
    assert_eq!(
        check_blob(layer.as_slice(), &right, Rules::default()),
        Ok(())
    );
    let wrong = metadata(b"something else");
    let problems = check_blob(layer.as_slice(), &wrong, Rules::default()).unwrap_err();
    let whats: Vec<_> = problems
        .iter()
        .map(|p| p.split(" is ").next().unwrap())
        .collect();
    assert_eq!(whats, ["diff id", "digest", "size"]);
    let mut wrong = metadata(&layer);
    wrong.media_type = MediaType::OCI_LAYER_ZSTD;
    let problems = check_blob(layer.as_slice(), &wrong, Rules::default()).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:?}");
}
