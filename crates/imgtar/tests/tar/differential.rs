//! Other readers list what we write as we list it.

use imgtar::EntryKind;
use imgtest::oracle::{Oracle, Seen, View};
use imgtest::tar::{
    Item, directory, file, hardlink, list, record, special, symlink, tar_of, whiteout,
};
use proptest::prelude::*;

fn ours(archive: &[u8]) -> View {
    let entries = list(archive).map_err(|error| error.to_string())?;
    Ok(entries.iter().map(Seen::of).collect())
}

#[track_caller]
fn all_agree(archive: &[u8]) {
    let expected = ours(archive).expect("our reader takes what we write");
    for oracle in Oracle::ALL {
        let Some(view) = oracle.list(archive) else {
            continue;
        };
        assert_eq!(view.as_ref(), Ok(&expected), "{oracle:?}");
    }
}

#[test]
fn every_kind_of_entry_is_listed_by_all() {
    all_agree(&tar_of([
        directory("d"),
        file("d/empty", ""),
        file("d/exact", "x".repeat(512)),
        file("d/more", "x".repeat(513))
            .mode(0o4755)
            .owner(1000, 1000)
            .names("user", "group"),
        hardlink("d/hard", "d/more"),
        symlink("d/soft", "../elsewhere"),
        special(EntryKind::CharDevice, "null", (1, 3)),
        special(EntryKind::BlockDevice, "sda", (8, 0)),
        special(EntryKind::Fifo, "pipe", (0, 0)),
        whiteout("d/gone"),
    ]));
    all_agree(&tar_of([]));
}

#[test]
fn a_name_that_begins_with_a_space_is_listed_whole() {
    let archive = tar_of([file(" two  spaces ", "x"), symlink(" soft", " target")]);
    let expected = ours(&archive).unwrap();
    for oracle in [Oracle::Go, Oracle::GnuTar, Oracle::Python] {
        if let Some(view) = oracle.list(&archive) {
            assert_eq!(view.as_ref(), Ok(&expected), "{oracle:?}");
        }
    }
}

#[test]
fn what_needs_pax_is_listed_by_all() {
    all_agree(&tar_of([
        directory("é/"),
        file("é/日本語", "utf-8"),
        file("n".repeat(101), "long"),
        file(
            format!("{}/{}", "d".repeat(150), "n".repeat(100)),
            "fits the prefix",
        ),
        file(
            format!("{}/{}", "d".repeat(156), "n".repeat(100)),
            "does not",
        ),
        file("deep/".repeat(100) + "leaf", "deep"),
        symlink("s", "t".repeat(101)),
        hardlink("h", "n".repeat(101)),
        file("owner", "x").owner(1 << 21, 1 << 31),
        file("names", "x").names(&"u".repeat(40), "gruppe-ä"),
        file("time", "x").mtime(1_700_000_000, 123_456_789),
        file("past", "x").mtime(-1, 500_000_000),
        file("future", "x").mtime(1 << 33, 0),
        file("xattr", "x").xattr("user.k", [1, 2, b'\n', 0, 255]),
    ]));
}

#[test]
fn a_file_beyond_eight_gibibytes_keeps_its_size_in_pax() {
    // No reader gets the content: the header alone is compared, with the one program that tells.
    let header = imgtar::Header::file("huge", (8 << 30) + 1);
    let mut archive = Vec::new();
    header.encode(&mut archive).unwrap();
    let Some(python) = imgtest::oracle::tool("python3") else {
        return;
    };
    let script =
        "import sys,tarfile; print(tarfile.open(fileobj=sys.stdin.buffer,mode='r|').next().size)";
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("huge.tar");
    fs_err::write(&path, &archive).unwrap();
    let output = std::process::Command::new(python)
        .args(["-c", script])
        .stdin(fs_err::File::open(&path).unwrap().into_parts().0)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "8589934593");
}

#[test]
fn a_global_comment_is_passed_over_by_all() {
    let comment = record("comment", "28a0da37a9d8d8a3e2fd1e1ee5c2bbe2a8b0bb85");
    all_agree(&tar_of([
        file("a", "x").extended(b'g', comment),
        file("b", "y"),
    ]));
}

fn names() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        4 => "[a-c]{1,3}",
        1 => "[a-z ._+~-]{0,20}[a-z]",
        1 => "[é日🦀ß]{1,4}",
        1 => "[xy]{90,160}",
    ];
    let parts = prop::collection::vec(part, 1..4);
    // Readers strip and unescape in their own ways; what a name may be is not their business here.
    parts
        .prop_map(|parts| parts.join("/"))
        .prop_filter("plain", |name| {
            name.split('/')
                .all(|part| part != "." && part != ".." && !part.starts_with(' '))
                && !name.contains(" -> ")
                && !name.contains(" link to ")
        })
}

fn items() -> impl Strategy<Value = Item> {
    let content = prop::collection::vec(any::<u8>(), 0..1300);
    let plain = (names(), content).prop_map(|(name, content)| file(name, content));
    prop_oneof![
        3 => plain,
        1 => names().prop_map(directory),
        1 => (names(), names()).prop_map(|(name, target)| symlink(name, target)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_archive_of_ours_is_listed_by_all(items in prop::collection::vec(items(), 0..12)) {
        all_agree(&tar_of(items));
    }
}

/// Archives of ours with some bytes of headers changed, and the sums over them put right again.
fn changed_headers() -> impl Strategy<Value = Vec<u8>> {
    let extended = [
        file("pax", "content").extended(b'x', record("path", "longer/name")),
        file("sized", "content").extended(b'x', record("size", "7")),
        file("gnu", "content").extended(b'L', b"another/name\0"),
        symlink("soft", "target").extended(b'K', b"another/target\0"),
        file("global", "content").extended(b'g', record("comment", "text")),
        hardlink("hard", "sized"),
        directory("dir"),
    ];
    let base = tar_of(extended);
    let headers: Vec<usize> = (0..base.len() / 512)
        .map(|block| block * 512)
        .filter(|&start| base[start + 257..start + 262] == *b"ustar")
        .collect();
    let value = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"\0 017/.xgLKS25\x80\xff".to_vec()),
    ];
    let change = (prop::sample::select(headers), 0..512_usize, value);
    prop::collection::vec(change, 1..4).prop_map(move |changes| {
        let mut archive = base.clone();
        for &(header, offset, value) in &changes {
            archive[header + offset] = value;
        }
        for &(header, _, _) in &changes {
            fix_checksum(&mut archive[header..header + 512]);
        }
        archive
    })
}

fn fix_checksum(header: &mut [u8]) {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    /// What our reader takes means the same to the readers that take it too.
    #[test]
    fn what_is_taken_has_one_meaning(archive in changed_headers()) {
        let Ok(expected) = ours(&archive) else {
            return Ok(());
        };
        for oracle in [Oracle::Go, Oracle::GnuTar, Oracle::Python] {
            let Some(Ok(view)) = oracle.list(&archive) else {
                continue;
            };
            // Python ends the archive at a header that it refuses.
            let meant = match oracle {
                Oracle::Python => &expected[..view.len().min(expected.len())],
                _ => &expected,
            };
            prop_assert_eq!(&view, meant, "{:?}", oracle);
        }
    }
}
