//! The library of the lazy snapshotters verifies our eStargz layers, and sees when one was changed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use imgtest::oracle::estargz::{Verified, verify};
use imgtest::tree;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tempfile::TempDir;

use crate::tool::{img, succeed, tool};

/// The size of an eStargz layer's last gzip member, which is empty and tells where the TOC starts.
const FOOTER: usize = 51;

/// An eStargz layer, and what its metadata says.
struct Layer {
    blob: PathBuf,
    metadata: Value,
}

impl Layer {
    /// Runs `img layer --estargz` in a directory.
    fn make(work: &Path, name: &str, arguments: &[&str]) -> Self {
        let blob = work.join(name);
        let metadata = work.join(format!("{name}.json"));
        let mut all = vec!["layer", "--estargz", "--metadata"];
        let (blob_text, metadata_text) = (blob.to_string_lossy(), metadata.to_string_lossy());
        all.push(&metadata_text);
        all.extend(arguments);
        all.push(&blob_text);
        img(all);
        Self::read(blob.clone(), &metadata)
    }

    fn read(blob: PathBuf, metadata: &Path) -> Self {
        let metadata = fs_err::read_to_string(metadata).unwrap();
        let metadata = serde_json::from_str(&metadata).unwrap();
        Self { blob, metadata }
    }

    fn annotation(&self, key: &str) -> &str {
        let value = &self.metadata["annotations"][key];
        value.as_str().unwrap_or_else(|| panic!("{key}: {value}"))
    }

    fn toc_digest(&self) -> &str {
        self.annotation("containerd.io/snapshot/stargz/toc.digest")
    }

    /// Expects the metadata to say what the library found.
    fn check(&self, verified: &Verified) {
        assert_eq!(self.metadata["diff_id"], verified.diff_id.as_str());
        assert_eq!(
            self.annotation("io.containers.estargz.uncompressed-size"),
            verified.uncompressed_size.to_string()
        );
        let size = fs_err::metadata(&self.blob).unwrap().len();
        assert_eq!(self.metadata["size"], size);
    }
}

/// Verifies many layers in one process; `None` without Go.
fn verify_all(layers: &[Layer]) -> Option<Vec<Verified>> {
    let blobs: Vec<_> = layers
        .iter()
        .map(|layer| (layer.blob.as_path(), layer.toc_digest()))
        .collect();
    let answers = verify(&blobs)?;
    let check = |(layer, answer): (&Layer, Result<Verified, String>)| {
        let verified = answer.unwrap_or_else(|error| panic!("{}: {error}", layer.blob.display()));
        layer.check(&verified);
        verified
    };
    Some(layers.iter().zip(answers).map(check).collect())
}

/// Bytes that no codec makes smaller, the same ones on every run.
pub(crate) fn noise(seed: u64, size: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}

/// Text that every codec makes smaller.
fn prose(seed: usize, size: usize) -> Vec<u8> {
    let words = ["layer", "chunk", "of", "a", "member", "the", "footer", "is"];
    let mut bytes = Vec::with_capacity(size + 16);
    for pick in noise(seed as u64 + 1, size / 2 + 1) {
        bytes.extend(words[usize::from(pick % 8)].as_bytes());
        bytes.push(if pick < 20 { b'\n' } else { b' ' });
        if bytes.len() >= size {
            break;
        }
    }
    bytes.truncate(size);
    bytes
}

/// Files around every size at which a tar, a member or a chunk ends, and several hundred small ones.
fn mixed_files() -> BTreeMap<String, Vec<u8>> {
    const CHUNK: usize = 4 << 20;
    let mut files = BTreeMap::new();
    let around = [
        0,
        1,
        511,
        512,
        513,
        65_535,
        65_536,
        200_000,
        CHUNK - 1,
        CHUNK,
    ];
    for (number, size) in around.into_iter().chain([CHUNK + 1]).enumerate() {
        files.insert(format!("edge/prose-{size}"), prose(number, size));
        if size < CHUNK {
            files.insert(format!("edge/noise-{size}"), noise(number as u64, size));
        }
    }
    files.insert("large/noise".into(), noise(7, 2 * CHUNK + 12_345));
    files.insert("large/prose".into(), prose(7, 2 * CHUNK));
    files.insert("large/same".into(), prose(7, 2 * CHUNK));
    for number in 0..300 {
        let path = format!("share/{}/file-{number}.txt", number % 17);
        files.insert(path, prose(number % 250, number * number % 9_001));
    }
    files.insert(format!("long/{}/é", "d".repeat(180)), b"deep".to_vec());
    files
}

fn write_mixed_tree(root: &Path) {
    for (path, content) in mixed_files() {
        let path = root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }
    fs_err::create_dir_all(root.join("empty/directory")).unwrap();
    fs_err::os::unix::fs::symlink("../share/1/file-1.txt", root.join("edge/link")).unwrap();
}

const MIXED: [&str; 4] = [
    "--add",
    "opt/application=tree",
    "--create-parent-directories",
    r#"--default-metadata={"uid":7,"gid":8,"uname":"app","mtime":"2031-05-06T07:08:09.75Z","pax_records":{"SCHILY.xattr.user.note":"ü"}}"#,
];

/// The mixed tree as a layer, in a directory of its own.
fn mixed_layer(work: &Path, name: &str, more: &[&str]) -> Layer {
    let tree = work.join("tree");
    if !tree.exists() {
        write_mixed_tree(&tree);
    }
    let mut arguments: Vec<String> = MIXED.map(str::to_owned).into();
    arguments[1] = format!("opt/application={}", tree.display());
    arguments.extend(more.iter().copied().map(str::to_owned));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    Layer::make(work, name, &arguments)
}

#[test]
fn files_of_all_sizes_are_verified() {
    let work = TempDir::new().unwrap();
    let layers = ["default", "fast", "best"].map(|level| {
        let level_flag = format!("--compression-level={level}");
        mixed_layer(work.path(), level, &[&level_flag])
    });
    let Some(verified) = verify_all(&layers) else {
        return;
    };
    let files = mixed_files();
    let mut contents: Vec<_> = files.values().filter(|bytes| !bytes.is_empty()).collect();
    contents.sort();
    contents.dedup();
    let bytes: usize = contents.iter().map(|bytes| bytes.len()).sum();
    for verified in verified {
        // The landmark is a file of one byte; equal files are hard links.
        assert_eq!(verified.landmark, ".no.prefetch.landmark");
        assert_eq!(verified.files, contents.len() as u64 + 1);
        assert_eq!(verified.bytes, bytes as u64 + 1);
        // Three files are larger than a chunk, one of them by two.
        assert_eq!(verified.chunks, verified.files + 4);
        assert_eq!(verified.shared, 0);
    }
}

#[test]
fn chunks_that_are_small_or_share_members_are_verified() {
    let work = TempDir::new().unwrap();
    let layers = [
        mixed_layer(work.path(), "small", &["--estargz-chunk-size=65536"]),
        mixed_layer(work.path(), "shared", &["--estargz-min-chunk-size=50000"]),
    ];
    let Some(verified) = verify_all(&layers) else {
        return;
    };
    let [small, shared] = &verified[..] else {
        panic!("{verified:?}")
    };
    assert!(small.chunks > 500 && small.shared == 0, "{small:?}");
    assert!(shared.shared > 200, "{shared:?}");
    assert_eq!(small.bytes, shared.bytes);
    let size = |layer: &Layer| layer.metadata["size"].as_u64().unwrap();
    assert!(size(&layers[1]) < size(&layers[0]));
}

#[test]
fn prioritized_files_stand_before_the_landmark_with_their_directories() {
    let work = TempDir::new().unwrap();
    let list = work.path().join("list");
    // The first of two equal files carries their content.
    let wanted = "/opt/application/large/same\n\n./opt/application/share/3/file-3.txt\nopt/application/edge/link\n";
    fs_err::write(&list, wanted).unwrap();
    let flag = format!("--estargz-prioritized-files={}", list.display());
    let layer = mixed_layer(work.path(), "layer", &[&flag]);
    let Some(verified) = verify_all(&[layer]) else {
        return;
    };
    assert_eq!(verified[0].landmark, ".prefetch.landmark");
    let expected = [
        "opt/",
        "opt/application/",
        "opt/application/large/",
        "opt/application/large/same",
        "opt/application/share/",
        "opt/application/share/3/",
        "opt/application/share/3/file-3.txt",
        "opt/application/edge/",
        "opt/application/edge/link",
    ];
    assert_eq!(verified[0].prioritized, expected);
}

#[test]
fn tars_of_others_are_verified_when_they_are_compressed() {
    let Some(tar) = tool("tar") else { return };
    let work = TempDir::new().unwrap();
    let tree = work.path().join("tree");
    write_mixed_tree(&tree);
    fs_err::hard_link(tree.join("share/9/file-9.txt"), tree.join("another name")).unwrap();
    let archive = work.path().join("archive.tar");
    succeed(
        Command::new(tar)
            .args(["--format=posix", "--owner=app:7", "--group=app:8", "-cf"])
            .arg(&archive)
            .arg("-C")
            .args([&tree, Path::new(".")]),
    );
    let compress = |from: &Path, name: &str| {
        let (blob, metadata) = (
            work.path().join(name),
            work.path().join(format!("{name}.json")),
        );
        img([
            "compress".as_ref(),
            "--format=gzip".as_ref(),
            "--estargz".as_ref(),
            "--metadata".as_ref(),
            metadata.as_os_str(),
            from.as_os_str(),
            blob.as_os_str(),
        ]);
        Layer::read(blob, &metadata)
    };
    let once = compress(&archive, "once");
    let twice = compress(&once.blob, "twice");
    assert_eq!(once.metadata["digest"], twice.metadata["digest"]);
    if let Some(verified) = verify_all(&[once, twice]) {
        assert!(verified[0].files > 250, "{verified:?}");
    }
}

#[test]
fn random_trees_are_verified() {
    check_random_trees(24);
}

#[test]
#[ignore = "makes 200 layers: cargo xtask test --all"]
fn many_random_trees_are_verified() {
    check_random_trees(200);
}

fn check_random_trees(count: usize) {
    let mut runner = TestRunner::deterministic();
    let trees = tree::trees(24);
    let work = TempDir::new().unwrap();
    let mut layers = Vec::new();
    for number in 0..count {
        let tree = trees.new_tree(&mut runner).unwrap().current();
        let root = work.path().join(format!("tree-{number}"));
        fs_err::create_dir_all(&root).unwrap();
        tree::write(&tree, &root);
        let input = format!("t={}", root.display());
        let name = format!("layer-{number}");
        layers.push(Layer::make(work.path(), &name, &["--add", &input]));
    }
    let Some(verified) = verify_all(&layers) else {
        return;
    };
    let chunks: u64 = verified.iter().map(|verified| verified.chunks).sum();
    assert!(
        chunks > 3 * count as u64,
        "{chunks} chunks in {count} trees"
    );
}

#[test]
#[ignore = "compresses 200 MiB: cargo xtask test --all"]
fn an_application_of_200_mib_is_verified() {
    const WANTED: u64 = 200 << 20;
    let work = TempDir::new().unwrap();
    let (mut list, mut size) = (String::new(), 0);
    for path in crate::real_tree::files_of_this_machine(32 << 20) {
        if size >= WANTED {
            break;
        }
        size += fs_err::symlink_metadata(&path).unwrap().len();
        let kind = if path.is_symlink() { 'l' } else { 'f' };
        let path = path.display();
        writeln!(list, "application{path}\0{kind}{path}").unwrap();
    }
    let parameters = work.path().join("list");
    fs_err::write(&parameters, list).unwrap();
    let inputs = ["--add-from-file", &parameters.to_string_lossy()];
    let layer = Layer::make(work.path(), "layer", &inputs);
    if let Some(verified) = verify_all(&[layer]) {
        println!("{verified:?}");
        assert!(verified[0].bytes > WANTED / 3, "{verified:?}");
    }
}

/// A changed copy of a blob, and what the library must say of it.
struct Forgery {
    blob: PathBuf,
    toc_digest: String,
    complaint: &'static str,
}

#[test]
fn changed_bytes_and_another_toc_digest_are_rejected() {
    let work = TempDir::new().unwrap();
    let layer = mixed_layer(work.path(), "layer", &[]);
    let other = Layer::make(work.path(), "other", &["--symlink=a=b"]);
    let blob = fs_err::read(&layer.blob).unwrap();
    let toc = toc_offset(&blob);
    let mut forgeries = Vec::new();
    let mut add = |bytes: &[u8], toc_digest: &str, complaint| {
        let path = work.path().join(format!("forgery-{}", forgeries.len()));
        fs_err::write(&path, bytes).unwrap();
        forgeries.push(Forgery {
            blob: path,
            toc_digest: toc_digest.to_owned(),
            complaint,
        });
    };
    add(&blob, other.toc_digest(), "the TOC has the digest");
    add(
        &with_another_toc(&blob),
        layer.toc_digest(),
        "the TOC has the digest",
    );
    for part in 1..8 {
        add(
            &flip(&blob, toc + (blob.len() - FOOTER - toc) * part / 8),
            layer.toc_digest(),
            "",
        );
        add(&flip(&blob, toc * part / 8), layer.toc_digest(), "");
    }
    let noise = find(&blob, &noise(7, 4 << 20)[1_000_000..1_000_064]);
    add(&flip(&blob, noise), layer.toc_digest(), "");
    let blobs: Vec<_> = forgeries
        .iter()
        .map(|forgery| (forgery.blob.as_path(), forgery.toc_digest.as_str()))
        .collect();
    let Some(answers) = verify(&blobs) else {
        return;
    };
    for (forgery, answer) in forgeries.iter().zip(answers) {
        let complaint = answer.expect_err(&forgery.blob.to_string_lossy());
        assert!(complaint.contains(forgery.complaint), "{complaint}");
    }
}

/// Reads where the TOC starts: sixteen hexadecimal digits in front of a word in the footer.
fn toc_offset(blob: &[u8]) -> usize {
    let footer = &blob[blob.len() - FOOTER..];
    let word = find(footer, b"STARGZ");
    let digits = std::str::from_utf8(&footer[word - 16..word]).unwrap();
    usize::from_str_radix(digits, 16).unwrap()
}

fn find(haystack: &[u8], needle: &[u8]) -> usize {
    let mut windows = haystack.windows(needle.len());
    windows.position(|window| window == needle).unwrap()
}

fn flip(blob: &[u8], at: usize) -> Vec<u8> {
    let mut bytes = blob.to_vec();
    bytes[at] ^= 0x10;
    bytes
}

/// Puts a TOC with another digest of a chunk into a blob, as a forger would who knows the format.
fn with_another_toc(blob: &[u8]) -> Vec<u8> {
    let (content, rest) = blob.split_at(toc_offset(blob));
    let (member, footer) = rest.split_at(rest.len() - FOOTER);
    let mut tar = Vec::new();
    flate2::read::GzDecoder::new(member)
        .read_to_end(&mut tar)
        .unwrap();
    let key = find(&tar, b"chunkDigest");
    let digit = key + find(&tar[key..], b"sha256:") + 7;
    tar[digit] = if tar[digit] == b'0' { b'1' } else { b'0' };
    let mut encoder = flate2::write::GzEncoder::new(content.to_vec(), flate2::Compression::fast());
    encoder.write_all(&tar).unwrap();
    let mut forged = encoder.finish().unwrap();
    forged.extend(footer);
    forged
}
