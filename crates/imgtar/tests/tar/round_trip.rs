//! What is encoded is read back equal, and has the bytes that it always had.

use imgtar::{BLOCK_SIZE, EntryKind, ErrorKind, Header, Reader, Timestamp};
use imgtest::tar::{Item, directory, file, hardlink, special, symlink, tar_of};
use proptest::prelude::*;

fn read_back(header: &Header) -> Header {
    let mut archive = Vec::new();
    header.encode(&mut archive).unwrap();
    assert_eq!(archive.len() % BLOCK_SIZE, 0);
    let mut reader = Reader::new(archive.as_slice());
    reader.next_entry().unwrap().unwrap().header().clone()
}

fn text(width: usize) -> impl Strategy<Value = Vec<u8>> {
    let ascii = prop::collection::vec(b' '..=b'~', 1..=2 * width);
    prop_oneof![
        3 => ascii,
        2 => "[a-z/é日🦀]{1,120}".prop_map(String::into_bytes),
        1 => prop::collection::vec(1..=255_u8, 1..=2 * width),
        1 => (1..=3 * width).prop_map(|length| vec![b'n'; length]),
        1 => prop::collection::vec("[a-z]{1,40}", 1..9).prop_map(|parts| parts.join("/").into_bytes()),
    ]
}

fn number(digits: u32) -> impl Strategy<Value = u64> {
    let max = i64::MAX.cast_unsigned();
    let edge = 8_u64.pow(digits);
    prop_oneof![Just(0), 0..edge, edge - 2..edge + 2, Just(max), 0..=max]
}

fn times() -> impl Strategy<Value = Timestamp> {
    let edge = 8_i64.pow(11);
    let secs = prop_oneof![
        Just(0),
        0..2_000_000_000_i64,
        -3..3_i64,
        edge - 2..edge + 2,
        Just(i64::MAX),
        // One second later than the earliest, whose absolute value has no `i64`.
        Just(i64::MIN + 1),
    ];
    let nanos = prop_oneof![3 => Just(0), 1 => 0..1_000_000_000_u32, 1 => Just(500_000_000)];
    (secs, nanos).prop_map(|(secs, nanos)| Timestamp { secs, nanos })
}

fn headers() -> impl Strategy<Value = Header> {
    let kind = prop_oneof![
        4 => Just(EntryKind::File),
        1 => Just(EntryKind::Directory),
        1 => Just(EntryKind::HardLink),
        1 => Just(EntryKind::Symlink),
        1 => Just(EntryKind::Fifo),
        1 => Just(EntryKind::CharDevice),
        1 => Just(EntryKind::BlockDevice),
    ];
    let maybe_name = prop_oneof![Just(Vec::new()), text(32)];
    let records = prop::collection::btree_map(
        prop_oneof![
            "SCHILY\\.xattr\\.user\\.[a-z]{1,3}",
            "comment",
            "[a-zA-Z.]{1,12}X"
        ],
        prop::collection::vec(any::<u8>(), 0..200),
        0..3,
    );
    let names = (text(100), text(100), maybe_name.clone(), maybe_name);
    let numbers = (0..=0o7777_u32, number(7), number(7), number(11), times());
    let device = (0..=0o7_777_777_u32, 0..=0o7_777_777_u32);
    (kind, names, numbers, device, records).prop_map(|(kind, names, numbers, device, pax)| {
        let (mut path, link, user_name, group_name) = names;
        while path.len() > 1 && path.ends_with(b"/") {
            path.pop();
        }
        if path == b"/" {
            path = b"root".to_vec();
        }
        if kind == EntryKind::Directory {
            path.push(b'/');
        }
        let (mode, uid, gid, size, mtime) = numbers;
        let mut header = Header::new(kind, path, mode);
        header.uid = uid;
        header.gid = gid;
        header.user_name = user_name;
        header.group_name = group_name;
        header.mtime = mtime;
        header.pax = pax;
        if kind.is_link() {
            header.link = link;
        }
        if kind.is_device() {
            header.device = device;
        }
        if kind == EntryKind::File {
            header.size = size;
        }
        header
    })
}

proptest! {
    #[test]
    fn any_header_is_read_back_equal(header in headers()) {
        prop_assert_eq!(read_back(&header), header);
    }

    #[test]
    fn encoding_appends_and_depends_on_nothing_else(header in headers()) {
        let (mut alone, mut after) = (Vec::new(), b"before".to_vec());
        header.encode(&mut alone).unwrap();
        header.encode(&mut after).unwrap();
        prop_assert_eq!(&after[6..], alone);
    }

    #[test]
    fn the_tar_crate_reads_the_same(header in headers()) {
        // It ends a record at the first newline, whatever its length says.
        let fields = [&header.path, &header.link, &header.user_name, &header.group_name];
        prop_assume!(!fields.into_iter().any(|text| text.contains(&b'\n')));
        let mut archive = Vec::new();
        header.encode(&mut archive).unwrap();
        let mut archive = tar::Archive::new(archive.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        let path = entry.path_bytes().into_owned();
        prop_assert_eq!(&path, &header.path);
        prop_assert_eq!(entry.header().entry_type().as_byte(), flag(header.kind));
        prop_assert_eq!(entry.header().mode().unwrap(), header.mode);
        prop_assert_eq!(entry.size(), header.size);
        if header.kind.is_link() {
            let link = entry.link_name_bytes().unwrap();
            prop_assert_eq!(link.as_ref(), &header.link);
        }
    }
}

fn flag(kind: EntryKind) -> u8 {
    match kind {
        EntryKind::File => b'0',
        EntryKind::HardLink => b'1',
        EntryKind::Symlink => b'2',
        EntryKind::CharDevice => b'3',
        EntryKind::BlockDevice => b'4',
        EntryKind::Directory => b'5',
        EntryKind::Fifo => b'6',
    }
}

#[test]
fn a_plain_file_is_one_ustar_block() {
    let mut block = Vec::new();
    Header::file("etc/motd", 5).encode(&mut block).unwrap();
    let (name, rest) = block.split_at(100);
    assert_eq!(name, [&b"etc/motd"[..], &[0; 92]].concat());
    let expected = "0000644\\x000000000\\x000000000\\x0000000000005\\x0000000000000\\x00\
                    010641\\x00 0";
    assert_eq!(rest[..57].escape_ascii().to_string(), expected);
    assert_eq!(&rest[157..165], b"ustar\x0000");
    assert_eq!(&rest[229..245], b"0000000\x000000000\0");
}

#[test]
fn bytes_never_change() {
    let long = "long/".repeat(60);
    let items = [
        directory("a"),
        file("a/b", "content")
            .mode(0o4755)
            .owner(1000, 100)
            .names("user", "group"),
        file(format!("{}/b", "d".repeat(120)), "prefix"),
        file(format!("{long}b"), "pax").mtime(1_700_000_000, 120_000_000),
        file("é", "utf-8")
            .owner(3_000_000, 0)
            .xattr("security.capability", [1, 0, 0, 2]),
        file(*b"\xff\xfe", "raw"),
        symlink("s", "t".repeat(101)),
        hardlink("h", [&b"\xff"[..], &[b'x'; 100]].concat()),
        special(EntryKind::BlockDevice, "dev", (8, 1)).mtime(-1, 0),
    ];
    let digest = imgcore::Digest::sha256_of(&tar_of(items));
    insta::assert_snapshot!(digest, @"sha256:f2adeaf55d551ace556484b0f24d832971c80762a496178324f51ef7e7087ce8");
}

#[test]
fn records_stand_in_their_order_and_binary_text_is_declared_first() {
    let check = |item: Item, expected: &[&str]| {
        let mut out = Vec::new();
        item.header.encode(&mut out).unwrap();
        let records = out[BLOCK_SIZE..].split(|&byte| byte == b'\n');
        let records: Vec<_> = records
            .map(|record| record.escape_ascii().to_string())
            .collect();
        assert_eq!(records[..records.len() - 1], *expected);
    };
    check(file("a", "").mtime(1, 500_000_000), &["13 mtime=1.5"]);
    check(file("a", "").mtime(-2, 500_000_000), &["14 mtime=-1.5"]);
    check(file("a", "").mtime(-1, 0), &["12 mtime=-1"]);
    check(file("a", "").mtime(-1, 1), &["22 mtime=-0.999999999"]);
    check(
        file("é", "")
            .pax("comment", "c")
            .owner(1 << 21, 1 << 21)
            .xattr("user.a", "v"),
        &[
            "15 gid=2097152",
            r"11 path=\xc3\xa9",
            "15 uid=2097152",
            "25 SCHILY.xattr.user.a=v",
            "13 comment=c",
        ],
    );
    let long = [&b"\xff"[..], &[b'x'; 100]].concat();
    check(
        symlink("é", long),
        &[
            "21 hdrcharset=BINARY",
            &format!(r"115 linkpath=\xff{}", "x".repeat(100)),
            r"11 path=\xc3\xa9",
        ],
    );
}

#[test]
fn what_no_archive_can_say_is_refused() {
    let check = |item: Item, expected: &str| {
        let error = item.header.encode(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), expected);
    };
    check(file("", ""), r#"tar entry "" has an empty path"#);
    check(
        file("a\0b", ""),
        r#"tar entry "a\x00b" has a NUL in its path"#,
    );
    check(
        symlink("a", "b\0"),
        r#"tar entry "a" has a NUL in its link target"#,
    );
    check(
        file("a/", ""),
        r#"tar entry "a/" is a file whose path ends with a slash"#,
    );
    check(
        symlink("a", ""),
        r#"tar entry "a" is a symbolic link without a link target"#,
    );
    check(
        file("a", "").mode(0o10000),
        r#"tar entry "a" has the mode 10000, beyond 7777"#,
    );
    check(
        file("a", "").mtime(0, 1_000_000_000),
        r#"tar entry "a" has 1000000000 nanoseconds in its time"#,
    );
    check(
        file("a", "").owner(1 << 63, 0),
        r#"tar entry "a" has the uid 9223372036854775808, beyond 9223372036854775807"#,
    );
    check(
        special(EntryKind::CharDevice, "a", (1 << 21, 0)),
        r#"tar entry "a" has the device number 2097152:0, beyond 2097151"#,
    );
    check(
        special(EntryKind::Fifo, "a", (0, 1)),
        r#"tar entry "a" is a fifo with a device number"#,
    );
    check(
        file("a", "").pax("path", "b"),
        r#"tar entry "a" has the reserved PAX keyword "path""#,
    );
    check(
        file("a", "").pax("GNU.sparse.major", "1"),
        r#"tar entry "a" has the reserved PAX keyword "GNU.sparse.major""#,
    );
    check(
        file("a", "").pax("a=b", "c"),
        r#"tar entry "a" has the unusable PAX keyword "a=b""#,
    );
    let mut sized = directory("a");
    sized.header.size = 1;
    check(sized, r#"tar entry "a/" is a directory with content"#);
    let mut linked = file("a", "");
    linked.header.link = b"b".to_vec();
    check(linked, r#"tar entry "a" is a file with a link target"#);
}
