//! What stands in the TOC, and where chunks and members begin.

use imglayer::{
    Hardlinks, ImportOptions, MetadataPatch, PlanBuilder, PlanOptions, Timestamp, write_layer,
};
use serde_json::json;

use crate::reader::number;
use crate::support::{builder, options, path, text, write};

#[test]
fn the_toc_says_of_an_entry_what_its_header_says() {
    let mut patch = MetadataPatch::with_mode(0o4755);
    patch.uid = Some(1000);
    patch.gid = Some(5_000_000);
    patch.user_name = Some(b"user <a@b>".to_vec());
    patch.group_name = Some("größe".into());
    patch.mtime = Some(Timestamp {
        secs: 1_700_000_000,
        nanos: 500_000_000,
    });
    patch.xattrs.insert("user.z".into(), b"\0\xff".to_vec());
    patch.xattrs.insert("user.a\"".into(), b"value".to_vec());
    patch
        .pax
        .insert("comment".into(), b"not in the TOC".to_vec());
    let mut builder = builder();
    builder
        .bytes(path("a/\"quoted\"\\"), "quoted")
        .and_then(|builder| builder.metadata_of_last(&patch))
        .and_then(|builder| builder.directory(path("dir")))
        .and_then(|builder| builder.symlink(path("dir/symlink"), "../a & b"))
        .and_then(|builder| builder.empty_file(path("empty")))
        .and_then(|builder| builder.bytes(path("file"), "content"))
        .and_then(|builder| builder.hard_link(path("hardlink"), path("file")))
        .unwrap();
    let (_, _, toc) = write(&builder.finish().unwrap(), &options(|_| {}));
    let quoted = &toc.entries[1];
    let digest = imgcore::Digest::sha256_of(b"quoted").to_string();
    assert_eq!(
        *quoted,
        json!({
            "name": "a/\"quoted\"\\", "type": "reg", "size": 6, "modtime": "2023-11-14T22:13:21Z",
            "mode": 0o4755, "uid": 1000, "gid": 5_000_000, "userName": "user <a@b>", "groupName": "größe",
            "offset": quoted["offset"], "xattrs": { "user.a\"": "dmFsdWU=", "user.z": "AP8=" },
            "digest": digest, "chunkDigest": digest,
        })
    );
    assert_eq!(
        toc.entries[2..5],
        [
            json!({ "name": "dir/", "type": "dir", "mode": 0o755 }),
            json!({ "name": "dir/symlink", "type": "symlink", "linkName": "../a & b", "mode": 0o777 }),
            json!({
                "name": "empty", "type": "reg", "mode": 0o644,
                "digest": imgcore::Digest::sha256_of(b"").to_string(),
            }),
        ]
    );
    assert_eq!(
        toc.entries[6],
        json!({ "name": "hardlink", "type": "hardlink", "linkName": "file", "mode": 0o644 })
    );
}

#[test]
fn a_file_is_cut_into_chunks_of_the_chosen_size() {
    let check = |size: usize, expected: &[(u64, u64)]| {
        let mut builder = builder();
        builder.bytes(path("file"), text(size, 0)).unwrap();
        let options = options(|options| options.chunk_size = 1000);
        let (_, _, toc) = write(&builder.finish().unwrap(), &options);
        let chunks = toc.entries.iter().filter(|entry| entry["name"] == "file");
        let chunks: Vec<_> = chunks
            .map(|chunk| (number(chunk, "chunkOffset"), number(chunk, "chunkSize")))
            .collect();
        // As Go's writer has it, the last chunk says its size only if it is a whole one.
        assert_eq!(chunks, expected, "{size}");
    };
    check(0, &[(0, 0)]);
    check(1, &[(0, 0)]);
    check(999, &[(0, 0)]);
    check(1000, &[(0, 1000)]);
    check(1001, &[(0, 1000), (1000, 0)]);
    check(2000, &[(0, 1000), (1000, 1000)]);
    check(2999, &[(0, 1000), (1000, 1000), (2000, 0)]);
}

#[test]
fn a_chunk_may_be_longer_than_a_block_of_the_encoder() {
    let mut builder = builder();
    builder
        .bytes(path("a"), text(100, 1))
        .and_then(|builder| builder.bytes(path("b"), text(5 << 20, 2)))
        .and_then(|builder| builder.bytes(path("c"), text(3 << 20, 3)))
        .and_then(|builder| builder.bytes(path("d"), text(1 << 20, 4)))
        .unwrap();
    let plan = builder.finish().unwrap();
    for chunk_size in [3 << 19, 1 << 20, 4 << 20, 1 << 30] {
        write(&plan, &options(|options| options.chunk_size = chunk_size));
    }
}

#[test]
fn small_files_share_a_member_of_the_smallest_size() {
    let mut builder = builder();
    for number in 0..40 {
        let size = 100 + 60 * number;
        builder
            .bytes(path(&format!("{number:02}")), text(size, number))
            .unwrap();
    }
    let plan = builder.finish().unwrap();
    let (alone, ..) = write(&plan, &options(|_| {}));
    let (together, _, toc) = write(&plan, &options(|options| options.min_chunk_size = 10_000));
    assert!(together.metadata.size < alone.metadata.size);
    let data: Vec<_> = (toc.entries.iter())
        .map(|entry| (number(entry, "offset"), number(entry, "innerOffset")))
        .collect();
    let members = data.chunk_by(|left, right| left.0 == right.0);
    let sizes: Vec<u64> = members.map(|chunks| chunks[chunks.len() - 1].1).collect();
    assert!(sizes.len() > 3, "{sizes:?}");
    assert!(sizes.iter().all(|size| *size < 10_000), "{sizes:?}");
    // The next chunk would have been beyond it.
    assert!(
        sizes[..sizes.len() - 1].iter().all(|size| *size > 6_000),
        "{sizes:?}"
    );
}

#[test]
fn the_landmark_begins_a_member_although_small_files_share_them() {
    let mut builder = builder();
    builder
        .bytes(path("a"), "a")
        .and_then(|builder| builder.bytes(path("b"), "b"))
        .and_then(|builder| builder.bytes(path("c"), "c"))
        .unwrap();
    let options = options(|options| {
        options.min_chunk_size = 1 << 20;
        options.prioritized_files = vec![path("c"), path("a")];
    });
    let (_, _, toc) = write(&builder.finish().unwrap(), &options);
    assert_eq!(toc.names(), ["c", "a", ".prefetch.landmark", "b"]);
    let inner: Vec<u64> = toc
        .files()
        .map(|file| number(file, "innerOffset"))
        .collect();
    assert_eq!(inner, [0, 1024, 0, 1024]);
}

#[test]
fn an_empty_layer_has_a_landmark_and_a_toc() {
    let (written, _, toc) = write(&builder().finish().unwrap(), &options(|_| {}));
    assert_eq!(toc.names(), [".no.prefetch.landmark"]);
    assert_eq!((written.counts.entries, written.counts.files), (2, 0));
}

#[test]
fn special_files_and_whiteouts_are_in_the_toc() {
    let header = |kind, name: &str, device| {
        let mut header = imgtar::Header::new(kind, name, 0o600);
        header.device = device;
        let mut blocks = Vec::new();
        header.encode(&mut blocks).unwrap();
        blocks
    };
    let mut tar = header(imgtar::EntryKind::BlockDevice, "dev/sda", (8, 1));
    tar.extend(header(
        imgtar::EntryKind::CharDevice,
        "dev/tty",
        (0o777_7777, 0),
    ));
    tar.extend(header(imgtar::EntryKind::Fifo, "dev/pipe", (0, 0)));
    tar.extend(imgtar::END_OF_ARCHIVE);
    let spool = tempfile::tempdir().unwrap();
    let mut plan_options = PlanOptions::default();
    plan_options.spool_directory = Some(spool.path().to_owned());
    let mut builder = PlanBuilder::new(plan_options);
    builder
        .import_tar_stream("devices", &tar[..], &ImportOptions::default())
        .and_then(|builder| builder.whiteout(&path("dev/gone")))
        .and_then(|builder| builder.opaque(&path("etc")))
        .unwrap();
    let (_, _, toc) = write(&builder.finish().unwrap(), &options(|_| {}));
    let kinds: Vec<_> = toc
        .files()
        .map(|file| file["type"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["reg", "reg", "fifo", "block", "char", "reg"]);
    assert_eq!(toc.entries[3]["devMajor"], 8);
    assert_eq!(toc.entries[3]["devMinor"], 1);
    assert_eq!(toc.names()[1], "dev/.wh.gone");
    assert_eq!(toc.names()[5], "etc/.wh..wh..opq");
}

#[test]
fn what_another_writer_of_estargz_added_is_made_anew() {
    let mut first = builder();
    first
        .bytes(path("a"), "a")
        .and_then(|builder| builder.bytes(path("b/stargz.index.json"), "no TOC"))
        .unwrap();
    let plan = first.finish().unwrap();
    let prioritized = options(|options| options.prioritized_files = vec![path("a")]);
    let (_, unordered, _) = write(&plan, &options(|_| {}));
    let (_, with_landmark, _) = write(&plan, &prioritized);
    let again = |blob: &[u8], options| {
        let spool = tempfile::tempdir().unwrap();
        let mut plan_options = PlanOptions::default();
        plan_options.spool_directory = Some(spool.path().to_owned());
        plan_options.hardlinks = Hardlinks::Off;
        let mut builder = PlanBuilder::new(plan_options);
        builder
            .import_tar_stream("layer", blob, &ImportOptions::default())
            .unwrap();
        write(&builder.finish().unwrap(), &options).1
    };
    assert!(again(&unordered, options(|_| {})) == unordered);
    assert!(again(&with_landmark, options(|_| {})) == unordered);
    assert!(again(&unordered, prioritized) == with_landmark);
}

#[test]
fn a_plain_layer_of_the_same_plan_has_the_files_and_nothing_else() {
    let mut builder = builder();
    builder
        .bytes(path("stargz.index.json"), "a file like any other")
        .unwrap();
    let plan = builder.finish().unwrap();
    let (written, _) = write_layer(&plan, &imglayer::EncodeOptions::default(), Vec::new()).unwrap();
    assert_eq!(written.counts.entries, 1);
    assert!(written.metadata.annotations.is_empty());
}
