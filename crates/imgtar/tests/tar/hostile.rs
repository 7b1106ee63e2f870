//! Archives that readers disagree about are refused, by entry and offset.

use std::io::Read;

use imgtar::{Entry, EntryKind, Error, ErrorKind, Header, Limits, Reader};
use imgtest::tar::{
    Item, TYPE_FLAG, blocks_of, directory, extended, file, hardlink, list, record, special,
    symlink, tar_of,
};

const SIZE: usize = 124;
const MTIME: usize = 136;
const MAGIC: usize = 257;

#[track_caller]
fn refused(archive: &[u8], kind: ErrorKind, text: &str) {
    let error = list(archive).expect_err("the archive is refused");
    assert_eq!((error.to_string().as_str(), error.kind()), (text, kind));
}

#[track_caller]
fn malformed(item: Item, text: &str) {
    refused(&tar_of([item]), ErrorKind::Malformed, text);
}

#[track_caller]
fn unsupported(item: Item, text: &str) {
    refused(&tar_of([item]), ErrorKind::Unsupported, text);
}

#[track_caller]
fn taken(items: impl IntoIterator<Item = Item>) -> Vec<Header> {
    let entries = list(tar_of(items).as_slice()).expect("the archive is taken");
    entries.into_iter().map(|entry| entry.header).collect()
}

fn pax(item: Item, records: &[(&str, &[u8])]) -> Item {
    let records: Vec<u8> = records
        .iter()
        .flat_map(|(key, value)| record(key, value))
        .collect();
    item.extended(b'x', records)
}

#[test]
fn types_without_an_agreed_meaning_are_refused_by_name() {
    let check = |flag: u8, what: &str| {
        unsupported(
            file("a", "").patch(TYPE_FLAG, [flag]),
            &format!(r#"tar entry "a" at offset 0: {what}"#),
        );
    };
    check(b'S', r#"a sparse file (type flag "S")"#);
    check(b'7', r#"a contiguous file (type flag "7")"#);
    check(b'V', r#"a volume label (type flag "V")"#);
    check(
        b'M',
        r#"the continuation of another volume's file (type flag "M")"#,
    );
    check(
        b'D',
        r#"a directory of an incremental dump (type flag "D")"#,
    );
    check(b'Z', r#"an entry of unknown type (type flag "Z")"#);
    check(0xff, r#"an entry of unknown type (type flag "\xff")"#);
}

#[test]
fn sparse_files_of_pax_are_refused() {
    for key in [
        "GNU.sparse.major",
        "GNU.sparse.map",
        "GNU.sparse.name",
        "SCHILY.realsize",
    ] {
        let text = format!(r#"tar entry "extended" at offset 0: a sparse file ({key})"#);
        unsupported(pax(file("a", ""), &[(key, b"1")]), &text);
    }
}

#[test]
fn pax_records_must_be_well_formed() {
    let check = |records: &[u8], problem: &str| {
        let text = format!(r#"tar entry "extended" at offset 0: the PAX header {problem}"#);
        malformed(file("a", "").extended(b'x', records), &text);
    };
    check(b"x", "has a record without a proper length");
    check(b"0 a=b\n", "has a record without a proper length");
    check(b"06 a=b\n", "has a record without a proper length");
    check(b"-6 a=b\n", "has a record without a proper length");
    check(b"99999999999 a=b\n", "has a record without a proper length");
    check(b"7 a=b\n", "has a record that is longer than the header");
    check(b"5 a=b\n", "has a record whose length is wrong");
    check(b"6 a=bc", "has a record whose length is wrong");
    check(b"6_a=b\n", "has a record whose length is wrong");
    check(b"1\n", "has a record whose length is wrong");
    check(b"5 ab\n", "has a record without a '='");
    check(b"5 =b\n", "has an empty keyword or one with a NUL");
    check(b"6 \0=b\n", "has an empty keyword or one with a NUL");
    check(b"6 \xff=b\n", "has a keyword that is no UTF-8");
    check(b"6 a=b\n\0\0\0", "has a record without a proper length");
}

#[test]
fn pax_values_must_be_usable() {
    let check = |key: &str, value: &[u8]| {
        let shown = value.escape_ascii();
        let text = format!(
            r#"tar entry "extended" at offset 0: the PAX record "{key}" has the value "{shown}""#
        );
        malformed(pax(file("a", ""), &[(key, value)]), &text);
    };
    for key in [
        "path", "linkpath", "uname", "gname", "size", "uid", "gid", "mtime",
    ] {
        check(key, b"");
        check(key, b"1\0");
    }
    for value in [
        &b"-1"[..],
        b"+1",
        b" 1",
        b"0x1",
        b"1e3",
        b"9223372036854775808",
        b"99999999999999999999",
    ] {
        check("size", value);
        check("uid", value);
    }
    for value in [
        &b"1."[..],
        b".5",
        b"--1",
        b"1.2.3",
        b"nan",
        b"9223372036854775808",
    ] {
        check("mtime", value);
    }
    unsupported(
        pax(file("a", ""), &[("hdrcharset", b"ISO-8859-1")]),
        r#"tar entry "extended" at offset 0: the PAX charset "ISO-8859-1""#,
    );
}

#[test]
fn records_that_contradict_each_other_are_refused() {
    for key in ["path", "size", "mtime", "comment", "SCHILY.xattr.user.a"] {
        let text = format!(r#"tar entry "extended" at offset 0: the PAX header has "{key}" twice"#);
        malformed(pax(file("a", ""), &[(key, b"0"), (key, b"0")]), &text);
    }
    malformed(
        pax(pax(file("a", ""), &[("path", b"b")]), &[("comment", b"c")]),
        r#"tar entry "extended" at offset 1024: the PAX header follows another one of the same entry"#,
    );
    let both = "a PAX record and a GNU long name set the same field";
    let named = file("a", "").extended(b'L', "b\0");
    malformed(
        pax(named, &[("path", b"c")]),
        &format!(r#"tar entry "extended" at offset 1024: {both}"#),
    );
    let named = pax(file("a", ""), &[("path", b"c")]);
    malformed(
        named.extended(b'L', "b\0"),
        &format!(r#"tar entry "extended" at offset 1024: {both}"#),
    );
    malformed(
        file("a", "").extended(b'L', "b\0").extended(b'L', "b\0"),
        r#"tar entry "extended" at offset 1024: the GNU long name follows another one of the same entry"#,
    );
    malformed(
        file("a", "").extended(b'L', "b\0c"),
        r#"tar entry "extended" at offset 0: the GNU long name has a NUL in it"#,
    );
    malformed(
        file("a", "").extended(b'K', "\0"),
        r#"tar entry "extended" at offset 0: the GNU long link name is empty"#,
    );
    malformed(
        pax(file("a", ""), &[("linkpath", b"b")]),
        r#"tar entry "a" at offset 1024: a file has an extended link target"#,
    );
}

#[test]
fn an_extended_header_needs_its_entry() {
    let mut archive = extended(b'x', record("comment", "c"));
    archive.extend_from_slice(&[0; 1024]);
    refused(
        &archive,
        ErrorKind::Malformed,
        "tar archive at offset 1024: an extended header has no entry to extend",
    );
}

#[test]
fn global_headers_may_only_say_what_changes_nothing() {
    let comment = record("comment", "28a0da37a9d8d8a3e2fd1e1ee5c2bbe2a8b0bb85");
    let header = &taken([file("a", "").extended(b'g', comment)])[0];
    assert!(header.pax.is_empty());
    taken([file("a", "").extended(b'g', record("VENDOR.key", "v"))]);
    for key in [
        "path",
        "linkpath",
        "size",
        "uid",
        "gname",
        "mtime",
        "GNU.sparse.major",
        "SCHILY.xattr.user.a",
    ] {
        unsupported(
            file("a", "").extended(b'g', record(key, "1")),
            &format!(
                r#"tar entry "extended" at offset 0: the global PAX header sets "{key}" for every entry"#
            ),
        );
    }
    malformed(
        file("a", "").extended(b'g', "x"),
        r#"tar entry "extended" at offset 0: the global PAX header has a record without a proper length"#,
    );
    malformed(
        pax(file("a", ""), &[("path", b"b")]).extended(b'g', record("comment", "c")),
        r#"tar entry "extended" at offset 1024: the global PAX header stands between an entry and its extended header"#,
    );
}

#[test]
fn a_pax_size_counts_for_reading_and_for_skipping() {
    // The shape of CVE-2025-62518: readers that skip by the header's 0 take the content for entries.
    let inner = blocks_of([file("smuggled", "")]);
    let item = pax(
        file("outer", &inner),
        &[("size", inner.len().to_string().as_bytes())],
    );
    let archive = tar_of([item.patch(SIZE, "00000000000\0"), file("after", "x")]);
    let entries = list(archive.as_slice()).unwrap();
    let paths: Vec<_> = entries
        .iter()
        .map(|e| e.header.path.escape_ascii().to_string())
        .collect();
    assert_eq!(paths, ["outer", "after"]);
    assert_eq!(entries[0].digest, imgcore::Digest::sha256_of(&inner));
    // The other way round: the header has a size, the record says that there is none.
    let archive = tar_of([
        pax(
            file("a", "").patch(SIZE, "00000001000\0"),
            &[("size", b"0")],
        ),
        file("b", ""),
    ]);
    assert_eq!(list(archive.as_slice()).unwrap().len(), 2);
}

#[test]
fn numbers_that_no_file_has_are_refused() {
    let check = |offset, bytes: &[u8], problem: &str| {
        malformed(
            file("a", "").patch(offset, bytes),
            &format!(r#"tar entry "a" at offset 0: {problem}"#),
        );
    };
    check(SIZE, &[0xff; 12], "the size is negative");
    check(
        SIZE,
        b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
        "the size overflows 64 bits",
    );
    check(
        SIZE,
        b"\xbf\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        "the size overflows 64 bits",
    );
    check(
        SIZE,
        b"0000000000x\0",
        r#"the size is not an octal number: "0000000000x\x00""#,
    );
    check(
        SIZE,
        b"-0000000001\0",
        r#"the size is not an octal number: "-0000000001\x00""#,
    );
    check(
        SIZE,
        b"0000000\x00001\0",
        r#"the size has more than one number: "0000000\x00001\x00""#,
    );
    check(108, &[0xff; 8], "the uid is negative");
    check(116, &[0xff; 8], "the gid is negative");
    check(100, &[0xff; 8], "the mode is negative");
    let before = &taken([file("a", "").patch(MTIME, [0xff; 12])])[0];
    assert_eq!(before.mtime.secs, -1);
    malformed(
        special(EntryKind::CharDevice, "a", (0, 0)).patch(329, b"\x80\0\0\x01\0\0\0\0"),
        r#"tar entry "a" at offset 0: the device number 4294967296 is too large"#,
    );
}

#[test]
fn old_forms_of_numbers_are_read() {
    let header = &taken([file("a", "")
        .patch(108, "   17 \0\0")
        .patch(116, b"\x80\0\0\0\0\x30\0\0")])[0];
    assert_eq!((header.uid, header.gid), (0o17, 0x30_0000));
    // The file type in front of the permissions, as some writers put it.
    assert_eq!(
        taken([file("a", "").patch(100, "100755 \0")])[0].mode,
        0o755
    );
}

#[test]
fn what_starts_with_no_header_is_not_shown() {
    let text = "the input is no tar archive: it does not start with a header";
    refused(&[b'a'; 1024], ErrorKind::Malformed, text);
    // Later in an archive it is told where it stands.
    let mut archive = blocks_of([file("a", "")]);
    archive.extend([b'b'; 512]);
    let error = list(archive.as_slice()).unwrap_err().to_string();
    assert!(error.contains("at offset 512"), "{error}");
}

#[test]
fn headers_must_be_headers() {
    malformed(
        file("a", "").corrupt(0, "b"),
        r#"tar entry "b" at offset 0: the header's checksum is 3806 instead of 3807"#,
    );
    malformed(
        file("a", "").patch(MAGIC, "ustar!!!"),
        r#"tar entry "a" at offset 0: the header's magic is "ustar!!!""#,
    );
    malformed(
        file("a", "")
            .patch(MAGIC + 7, "\0")
            .patch(345, [b'p'; 131])
            .patch(508, "tar\0"),
        r#"tar entry "a" at offset 0: the prefix reaches into the times of a star header"#,
    );
    malformed(
        file("a", "").patch(0, "\0"),
        r#"tar entry "" at offset 0: the path is empty"#,
    );
    malformed(
        file("a", "").patch(1, "/"),
        r#"tar entry "a/" at offset 0: the path of a file ends with a slash"#,
    );
    malformed(
        symlink("a", "b").patch(157, "\0"),
        r#"tar entry "a" at offset 0: a symbolic link has no target"#,
    );
    malformed(
        directory("a").patch(SIZE, "00000000001\0"),
        r#"tar entry "a/" at offset 0: a directory declares 1 bytes of content"#,
    );
}

#[test]
fn sums_over_signed_bytes_are_taken() {
    let mut archive = tar_of([file(*b"\xff", "")]);
    // One byte of 255 counts as -1 there.
    let sum: u64 = archive[..512]
        .iter()
        .enumerate()
        .filter(|(i, _)| !(148..156).contains(i))
        .map(|(_, &b)| u64::from(b))
        .sum();
    archive[148..156].copy_from_slice(format!("{:06o}\0 ", sum + 8 * 32 - 256).as_bytes());
    assert_eq!(list(archive.as_slice()).unwrap()[0].header.path, b"\xff");
}

#[test]
fn archives_of_version_7_are_read() {
    let old = |item: Item| item.patch(MAGIC, [0; 255]).patch(TYPE_FLAG, [0]);
    let headers = taken([
        old(directory("a")),
        old(file("a/b", "x").names("no", "field")),
    ]);
    assert_eq!(
        (headers[0].kind, headers[1].kind),
        (EntryKind::Directory, EntryKind::File)
    );
    assert!(headers[1].user_name.is_empty());
}

#[test]
fn gnu_archives_are_read() {
    let gnu = |item: Item| item.patch(MAGIC, "ustar  \0");
    let long = "n".repeat(300);
    let headers = taken([
        gnu(file("short", "x")).extended(b'L', format!("{long}\0")),
        gnu(symlink("s", "short"))
            .extended(b'K', format!("{long}\0"))
            .extended(b'L', "s2\0"),
        // Times of access and change, where ustar has the prefix.
        gnu(file("t", "")).patch(345, "14530000000\x0014530000000\0"),
    ]);
    assert_eq!(headers[0].path, long.as_bytes());
    assert_eq!(
        (headers[1].path.as_slice(), headers[1].link.as_slice()),
        (&b"s2"[..], long.as_bytes())
    );
    assert_eq!(headers[2].path, b"t");
}

#[test]
fn links_have_no_content_whatever_they_declare() {
    let headers = taken([
        file("a", "x"),
        hardlink("b", "a").patch(SIZE, "00000000001\0"),
        symlink("c", "a").patch(SIZE, "00000000001\0"),
        file("d", "y"),
    ]);
    assert_eq!(
        headers.iter().map(|h| h.size).collect::<Vec<_>>(),
        [1, 0, 0, 1]
    );
}

#[test]
fn the_end_is_zeros_and_nothing_else() {
    let archive = tar_of([file("a", "x")]);
    let with = |tail: &[u8]| [archive.as_slice(), tail].concat();
    assert_eq!(list(with(&[0; 20 * 512]).as_slice()).unwrap().len(), 1);
    assert_eq!(list(with(&[0; 100]).as_slice()).unwrap().len(), 1);
    assert_eq!(list(&archive[..archive.len() - 512]).unwrap().len(), 1);
    let behind = "there is data after the end of the archive";
    refused(
        &with(b"x"),
        ErrorKind::Malformed,
        &format!("tar archive at offset 2048: {behind}"),
    );
    let hidden = with(&tar_of([file("hidden", "")]));
    refused(
        &hidden,
        ErrorKind::Malformed,
        &format!("tar archive at offset 2048: {behind}"),
    );
    let far = with(&[vec![0; 100_000], vec![1]].concat());
    refused(
        &far,
        ErrorKind::Malformed,
        &format!("tar archive at offset 102048: {behind}"),
    );
}

#[test]
fn truncated_input_is_an_error_with_its_place() {
    let archive = tar_of([file("a", "x".repeat(600))]);
    let check = |length: usize, text: &str| refused(&archive[..length], ErrorKind::Truncated, text);
    check(
        0,
        "the input ends at offset 0, without the zero blocks that end an archive",
    );
    check(100, "the input ends at offset 100, within a header");
    check(
        700,
        r#"tar entry "a" at offset 0: the input ends at offset 700, 412 bytes before the end of its content"#,
    );
    check(
        1200,
        r#"tar entry "a" at offset 0: the input ends at offset 1200, in the padding of its content"#,
    );
    check(
        1536,
        "the input ends at offset 1536, without the zero blocks that end an archive",
    );
    let long = tar_of([file("n".repeat(300), "")]);
    refused(
        &long[..600],
        ErrorKind::Truncated,
        "the input ends at offset 600, within an extended header",
    );
}

#[test]
fn truncated_content_is_an_error_for_who_skips_it() {
    let archive = tar_of([file("a", "x".repeat(600))]);
    let mut reader = Reader::new(&archive[..700]);
    assert!(reader.next_entry().unwrap().is_some());
    let error = reader.next_entry().unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"tar entry "a" at offset 0: the input ends at offset 700, 412 bytes before the end of its content"#
    );
    let error = reader.next_entry().unwrap_err();
    assert_eq!(error.to_string(), "this tar reader has already failed");
}

#[test]
fn going_past_contents_finds_what_reading_them_finds() {
    fn outcome(archive: &[u8], is_passed: bool) -> (Vec<Header>, Option<String>) {
        let mut reader = Reader::new(std::io::Cursor::new(archive));
        let mut headers = Vec::new();
        let ended = loop {
            match reader.next_entry() {
                Ok(Some(entry)) => headers.push(entry.header().clone()),
                Ok(None) => break None,
                Err(error) => break Some(error.to_string()),
            }
            if is_passed && let Err(error) = reader.skip_content() {
                break Some(error.to_string());
            }
        };
        (headers, ended)
    }
    let archive = tar_of([
        file("a", "x".repeat(2_600)),
        file("b", ""),
        file("c", "y".repeat(512)),
        file("d", "z".repeat(1_024)),
    ]);
    for length in 0..=archive.len() {
        let [read, passed] = [false, true].map(|is_passed| outcome(&archive[..length], is_passed));
        assert_eq!(passed, read, "{length} bytes");
    }
}

#[test]
fn a_missing_end_is_taken_on_request() {
    let archive = blocks_of([file("a", "x")]);
    let mut limits = Limits::default();
    limits.missing_end = true;
    let mut reader = Reader::with_limits(archive.as_slice(), limits);
    assert!(reader.next_entry().unwrap().is_some());
    assert!(reader.next_entry().unwrap().is_none());
    assert!(reader.next_entry().unwrap().is_none());
}

#[test]
fn limits_are_kept_before_anything_is_allocated() {
    let declared = file("extended", "")
        .declared_size(1 << 32)
        .patch(TYPE_FLAG, "x");
    refused(
        &tar_of([declared]),
        ErrorKind::TooLarge,
        "tar archive at offset 512: an extended header of 4294967296 bytes is beyond the limit of 1048576",
    );
    // Within the limit, but not there: the buffer grows with what comes.
    let declared = file("extended", "")
        .declared_size(1 << 20)
        .patch(TYPE_FLAG, "x");
    refused(
        &tar_of([declared]),
        ErrorKind::Truncated,
        "the input ends at offset 1536, within an extended header",
    );
    let mut limits = Limits::default();
    limits.entries = 1;
    let archive = tar_of([file("a", ""), file("b", "")]);
    let mut reader = Reader::with_limits(archive.as_slice(), limits);
    assert!(reader.next_entry().unwrap().is_some());
    let error = reader.next_entry().unwrap_err();
    assert_eq!(
        (error.kind(), error.to_string().as_str()),
        (
            ErrorKind::TooLarge,
            "tar archive at offset 512: has more than 1 headers"
        )
    );
}

#[test]
fn a_file_of_any_declared_size_is_reported_and_not_allocated() {
    let archive = tar_of([file("a", "").declared_size(i64::MAX.cast_unsigned())]);
    let mut reader = Reader::new(archive.as_slice());
    let mut entry: Entry<'_, _> = reader.next_entry().unwrap().unwrap();
    assert_eq!(entry.header().size, i64::MAX.cast_unsigned());
    let error = entry.read_to_end(&mut Vec::new()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    let ours: Error = error.downcast().unwrap();
    assert_eq!(ours.kind(), ErrorKind::Truncated);
}

#[test]
fn entries_know_where_they_stand() {
    let archive = tar_of([file("n".repeat(300), "x"), file("b", "y")]);
    let mut reader = Reader::new(archive.as_slice());
    let entry = reader.next_entry().unwrap().unwrap();
    assert_eq!(
        (entry.header_offset(), entry.content_offset()),
        (1024, 1536)
    );
    let entry = reader.next_entry().unwrap().unwrap();
    assert_eq!(
        (entry.header_offset(), entry.content_offset()),
        (2048, 2560)
    );
    assert_eq!(archive[2560], b'y');
}
