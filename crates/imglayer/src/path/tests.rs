use proptest::prelude::*;

use super::{HostPaths, LayerPath};

fn path(text: &str) -> LayerPath {
    LayerPath::parse(text).unwrap()
}

#[test]
fn parse_takes_relative_paths_only() {
    fn check(input: &[u8], expected: Result<(), &str>) {
        let actual = LayerPath::parse(input);
        match expected {
            Ok(()) => assert_eq!(actual.unwrap().as_bytes(), input),
            Err(text) => assert_eq!(actual.unwrap_err().to_string(), text),
        }
    }
    check(b"a", Ok(()));
    check(b"a/b/c.txt", Ok(()));
    check(b"...", Ok(()));
    check(b" /\n", Ok(()));
    check(b"caf\xe9", Ok(()));
    check(br"back\slash", Ok(()));
    check(b"c:/x", Ok(()));
    check(b"", Err(r#"layer path "": a path must not be empty"#));
    check(
        b"a\0b",
        Err(r#"layer path "a\0b": a path must not hold a NUL byte"#),
    );
    check(
        b"/a",
        Err(r#"layer path "/a": a path must be relative, without a leading "/""#),
    );
    check(
        b"a/",
        Err(r#"layer path "a/": a path must not have an empty component"#),
    );
    check(
        b"a//b",
        Err(r#"layer path "a//b": a path must not have an empty component"#),
    );
    check(
        b".",
        Err(r#"layer path ".": a path must not have the component ".""#),
    );
    check(
        b"a/./b",
        Err(r#"layer path "a/./b": a path must not have the component ".""#),
    );
    check(
        b"..",
        Err(r#"layer path "..": a path must not have the component "..""#),
    );
    check(
        b"\xff/..",
        Err(r#"layer path "\xff/..": a path must not have the component "..""#),
    );
}

#[test]
fn one_leading_slash_is_dropped_where_a_caller_asks() {
    assert_eq!(LayerPath::parse_rooted("/a/b").unwrap(), path("a/b"));
    assert_eq!(LayerPath::parse_rooted("a/b").unwrap(), path("a/b"));
    assert!(LayerPath::parse_rooted("//a/b").is_err());
    assert!(LayerPath::parse_rooted("/").is_err());
}

#[test]
fn archive_names_lose_what_tar_adds() {
    fn check(input: &str, expected: Option<&str>) {
        let actual = LayerPath::from_archive_name(input).ok();
        assert_eq!(
            actual.map(|path| path.to_string()),
            expected.map(str::to_owned),
            "{input:?}"
        );
    }
    check("a/b", Some("a/b"));
    check("a/b/", Some("a/b"));
    check("./a", Some("a"));
    check("././a/", Some("a"));
    check("/a", Some("a"));
    check("/./a", Some("a"));
    check("./", Some(""));
    check(".", Some(""));
    check("/", Some(""));
    check("", None);
    check("//a", None);
    check("a//", None);
    check("../a", None);
    check("./../a", None);
    check("a/./b", None);
    check("a/..", None);
}

#[test]
fn host_paths_become_layer_paths() {
    fn check(style: HostPaths, input: &str, expected: Option<&str>) {
        let actual = LayerPath::from_host(input, style).ok();
        assert_eq!(
            actual.map(|path| path.to_string()),
            expected.map(str::to_owned),
            "{input:?}"
        );
    }
    check(HostPaths::Unix, r"a\b", Some(r"a\b"));
    check(HostPaths::Unix, "C:/x", Some("C:/x"));
    check(HostPaths::Unix, "/x", None);
    check(HostPaths::Windows, r"a\b\c", Some("a/b/c"));
    check(HostPaths::Windows, r"a/b\c", Some("a/b/c"));
    check(HostPaths::Windows, r"\\?\a\b", Some("a/b"));
    check(HostPaths::Windows, "é\\ü", Some("é/ü"));
    check(HostPaths::Windows, r"C:\x", None);
    check(HostPaths::Windows, "c:x", None);
    check(HostPaths::Windows, r"\\?\C:\x", None);
    check(HostPaths::Windows, r"\\?\UNC\server\share\x", None);
    check(HostPaths::Windows, r"\\server\share\x", None);
    check(HostPaths::Windows, "//server/share/x", None);
    check(HostPaths::Windows, r"\\.\pipe\x", None);
    check(HostPaths::Windows, r"\x", None);
    check(HostPaths::Windows, r"a\..\x", None);
    check(HostPaths::Windows, r"a\\x", None);
    check(HostPaths::Windows, "file.txt:stream", None);
    let long = vec!["directory"; 40].join("\\");
    check(HostPaths::Windows, &long, Some(&long.replace('\\', "/")));
    assert!(LayerPath::from_host(b"a\xff", HostPaths::Windows).is_err());
    assert!(LayerPath::from_host(b"a\xff", HostPaths::Unix).is_ok());
}

#[test]
fn host_path_errors_say_what_is_wrong() {
    let error = LayerPath::from_host(r"C:\x", HostPaths::Windows).unwrap_err();
    insta::assert_snapshot!(
        error,
        @r#"windows path "C:\\x": a path on a drive cannot be inside of a layer"#
    );
}

#[test]
fn entries_are_sorted_by_component_with_whiteouts_first() {
    let sorted = [
        "",
        ".wh..wh..opq",
        ".wh.z",
        "!",
        ".wh",
        "a",
        "a/.wh..wh..opq",
        "a/.wh.b",
        "a/.w",
        "a/b",
        "a/b/c",
        "a-b",
        "a.",
        "aa",
        "b",
    ];
    let paths: Vec<LayerPath> = sorted
        .iter()
        .map(|text| {
            if text.is_empty() {
                LayerPath::root()
            } else {
                path(text)
            }
        })
        .collect();
    for (at, left) in paths.iter().enumerate() {
        for (other, right) in paths.iter().enumerate() {
            assert_eq!(left.cmp(right), at.cmp(&other), "{left} against {right}");
        }
    }
}

#[test]
fn symlink_texts_lead_from_the_link_to_the_target() {
    fn check(link: &str, target: &str, expected: &str) {
        let text = path(link).relative_link(&path(target));
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }
    check("second", "srv/first", "srv/first");
    check("second", "first", "first");
    check("srv/second", "srv/first", "first");
    check("opt/second", "srv/first", "../srv/first");
    check("opt/x/second", "opt/first", "../first");
    check("a/b/c", "a", "..");
    check("a/b", "a", ".");
}

#[test]
fn parts_of_a_path() {
    let deep = path("a/b/c");
    assert_eq!(deep.file_name(), b"c");
    assert_eq!(deep.parent(), Some(path("a/b")));
    assert_eq!(path("a").parent(), Some(LayerPath::root()));
    assert_eq!(LayerPath::root().parent(), None);
    assert!(deep.starts_with(&path("a/b")) && deep.starts_with(&deep));
    assert!(!path("ab").starts_with(&path("a")));
    assert_eq!(path("a").join(&path("b/c")), deep);
    assert_eq!(LayerPath::root().join(&deep), deep);
    assert!(path("a").child(b"b/c").is_err());
}

fn arbitrary_path() -> impl Strategy<Value = LayerPath> {
    let component = prop_oneof![
        prop::collection::vec(prop::sample::select(b"ab-./".to_vec()), 1..4),
        Just(b".wh.a".to_vec()),
        Just(b".wh..wh..opq".to_vec()),
    ];
    prop::collection::vec(component, 1..4).prop_filter_map("not a path", |parts| {
        LayerPath::parse(parts.join(&b'/')).ok()
    })
}

proptest! {
    #[test]
    fn order_is_that_of_ranked_components(left in arbitrary_path(), right in arbitrary_path()) {
        let key = |path: &LayerPath| -> Vec<(u8, Vec<u8>)> {
            path.components()
                .map(|name| {
                    let rank = match name {
                        b".wh..wh..opq" => 0,
                        name if name.starts_with(b".wh.") => 1,
                        _ => 2,
                    };
                    (rank, name.to_vec())
                })
                .collect()
        };
        prop_assert_eq!(left.cmp(&right), key(&left).cmp(&key(&right)));
        // Long paths are compared in strides.
        for directory in ["a-directory", "directory/of-16", "some/directory/of/26/bytes"] {
            let [left, right] = [&left, &right].map(|it| path(directory).join(it));
            prop_assert_eq!(left.cmp(&right), key(&left).cmp(&key(&right)));
        }
        prop_assert_eq!(left == right, left.cmp(&right).is_eq());
        for directory in ["", "longer/than/16/bytes", "15-of-its-bytes"] {
            let directory = if directory.is_empty() { LayerPath::root() } else { path(directory) };
            let [left, right] = [&left, &right].map(|it| directory.join(it));
            let by_key = left.order_key().cmp(&right.order_key());
            prop_assert!(by_key.is_eq() || by_key == left.cmp(&right), "{} {}", left, right);
        }
    }

    #[test]
    fn what_parses_stays_as_it_was(bytes in prop::collection::vec(any::<u8>(), 0..12)) {
        if let Ok(path) = LayerPath::parse(&bytes) {
            prop_assert_eq!(path.as_bytes(), &bytes[..]);
            prop_assert_eq!(LayerPath::from_archive_name(&bytes).unwrap(), path);
        }
        let _ = LayerPath::from_host(&bytes, HostPaths::Windows);
    }
}
