//! The library of the lazy snapshotters verifies our eStargz layers, and sees when one was changed.

mod changed;
pub(crate) mod corpus;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use imgtar::EntryKind;
use imgtest::oracle::estargz::{Verified, verify};
use imgtest::tar::{dir, file, hardlink, special, symlink, tar_of, whiteout};
use imgtest::tree;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_json::Value;
use tempfile::TempDir;

use self::corpus::{mixed_files, write_mixed_tree};
use crate::tool::{img, succeed, tool};
use imgtest::noise;

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
fn entries_of_every_kind_are_verified_and_those_of_an_older_toc_left_out() {
    let work = TempDir::new().unwrap();
    let items = [
        dir("./").mode(0o711),
        dir("./dev").mtime(-5, 0),
        special(EntryKind::CharDevice, "./dev/null", (1, 3)).mode(0o666),
        special(EntryKind::BlockDevice, "./dev/loop", (7, 300)),
        special(EntryKind::Fifo, "./dev/pipe", (0, 0)),
        file("./bin/su", "setuid".repeat(1000))
            .mode(0o4755)
            .names("root", "root")
            .mtime(1_000_000_000, 600_000_000),
        file("./bin/other", "x").names("other", "root"),
        file("./bin/nobody", "y").owner(3_000_000, 4_000_000),
        file("./big", noise(3, 9 << 20)),
        hardlink("./ln/again", "./big"),
        symlink("./ln/s", "../a\"<&>\\ é\u{2028}"),
        file("./quote\"<>&\\ \u{2028}\u{7f}\ttab\nline", "q"),
        whiteout("gone"),
        file("dir/.wh..wh..opq", ""),
        file("./x", "xx")
            .xattr("security.capability", b"\x01\x00\xff\x02")
            .xattr("user.a", "ü"),
        file("./stargz.index.json", "{}"),
        file("./.prefetch.landmark", [0x0f]),
        file("./.no.prefetch.landmark", [0x0f]),
        file("./sub/stargz.index.json", "{}"),
    ];
    let archive = work.path().join("in.tar");
    fs_err::write(&archive, tar_of(items)).unwrap();
    let list = work.path().join("list");
    fs_err::write(&list, "ln/again\nbin/su\ndev/null\n").unwrap();
    let input = format!("--import-tar={}", archive.display());
    let list = format!("--estargz-prioritized-files={}", list.display());
    let layers = [
        Layer::make(work.path(), "plain", &[&input]),
        Layer::make(work.path(), "first", &[&input, &list]),
        Layer::make(work.path(), "nothing", &[]),
    ];
    let Some(verified) = verify_all(&layers) else {
        return;
    };
    let files = |verified: &Verified| verified.files;
    assert_eq!(verified.iter().map(files).collect::<Vec<_>>(), [8, 8, 1]);
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
