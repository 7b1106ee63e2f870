//! What each reader makes of names that are not UTF-8: the table in the crate's documentation.

use imgtest::oracle::{Oracle, View};
use imgtest::tar::{file, symlink, tar_of};

fn path(view: View) -> String {
    match view {
        Err(_) => "refused".into(),
        Ok(entries) => entries[0].path.escape_ascii().to_string(),
    }
}

fn table(archive: &[u8]) -> String {
    let views = Oracle::ALL
        .into_iter()
        .filter_map(|oracle| Some((oracle, oracle.list(archive)?)));
    views
        .map(|(oracle, view)| format!("{oracle:?}: {}", path(view)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn a_short_name_that_is_not_utf_8_stands_in_its_field() {
    let table = table(&tar_of([file(*b"a\xff", "x")]));
    insta::assert_snapshot!(table, @r"
    Bsdtar: a\xff
    GnuTar: a\xff
    Go: a\xff
    Python: a\xff
    TarCrate: a\xff
    ");
}

#[test]
fn a_long_name_that_is_not_utf_8_is_declared_binary() {
    let name = [&[b'a'; 100][..], b"\xff"].concat();
    let table = table(&tar_of([file(name, "x")])).replace(&"a".repeat(100), "a…");
    insta::assert_snapshot!(table, @r"
    Bsdtar: a…\xff
    GnuTar: a…\xff
    Go: a…\xff
    Python: a…\xff
    TarCrate: a…\xff
    ");
}

#[test]
fn a_name_in_utf_8_survives_beside_a_long_target_that_is_not() {
    let target = [&[b'a'; 100][..], b"\xff"].concat();
    let table = table(&tar_of([symlink("é", target)]));
    insta::assert_snapshot!(table, @r"
    Bsdtar: \xc3\xa9
    GnuTar: \xc3\xa9
    Go: \xc3\xa9
    Python: \xc3\xa9
    TarCrate: \xc3\xa9
    ");
}
