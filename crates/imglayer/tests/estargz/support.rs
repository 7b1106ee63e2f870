//! Writing eStargz layers, and holding what the TOC says against what the tar says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::num::NonZeroUsize;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::read::MultiGzDecoder;
use imglayer::estargz::{EstargzOptions, TOC_DIGEST, UNCOMPRESSED_SIZE};
use imglayer::{
    EncodeOptions, Hardlinks, LayerFormat, LayerPath, Plan, PlanBuilder, PlanOptions, Written,
    write_layer_as,
};
use imgtest::layer::{Rules, check_blob};
use serde_json::Value;

use crate::reader::{Toc, number};

pub(crate) fn path(text: &str) -> LayerPath {
    LayerPath::parse(text).unwrap()
}

pub(crate) fn builder() -> PlanBuilder {
    PlanBuilder::new(PlanOptions::default())
}

/// The default options but for what `change` does to them.
pub(crate) fn options(change: impl FnOnce(&mut EstargzOptions)) -> EstargzOptions {
    let mut options = EstargzOptions::default();
    change(&mut options);
    options
}

/// Text that compresses, and is different for each `seed`.
pub(crate) fn text(size: usize, seed: usize) -> Vec<u8> {
    let mut words = (0..).flat_map(|n| format!("{:x} ", (n * (seed + 7)) % 9973).into_bytes());
    words.by_ref().take(size).collect()
}

/// Writes a layer and checks all that holds for every eStargz layer.
pub(crate) fn write(plan: &Plan, options: &EstargzOptions) -> (Written, Vec<u8>, Toc) {
    let (written, blob) = write_with(plan, options, 2);
    let toc = check(plan, &written, &blob);
    (written, blob, toc)
}

pub(crate) fn write_with(
    plan: &Plan,
    options: &EstargzOptions,
    threads: usize,
) -> (Written, Vec<u8>) {
    let mut encode = EncodeOptions::default();
    encode.threads = NonZeroUsize::new(threads).unwrap();
    let format = LayerFormat::Estargz(options.clone());
    write_layer_as(plan, &format, &encode, Vec::new()).unwrap()
}

fn check(plan: &Plan, written: &Written, blob: &[u8]) -> Toc {
    let mut rules = Rules::default();
    rules.deduplicated = plan.hardlinks() == Hardlinks::Auto;
    check_blob(blob, &written.metadata, rules).unwrap();
    let toc = Toc::open(blob);
    let annotations = &written.metadata.annotations;
    assert_eq!(annotations[TOC_DIGEST], toc.digest.to_string());
    let mut tar = Vec::new();
    MultiGzDecoder::new(blob).read_to_end(&mut tar).unwrap();
    assert_eq!(annotations[UNCOMPRESSED_SIZE], tar.len().to_string());
    assert_eq!(written.uncompressed_size, tar.len() as u64);

    let contents = check_entries(&tar, &toc, written);
    let mut members = BTreeSet::new();
    let mut last = 0;
    for entry in &toc.entries {
        let offset = number(entry, "offset");
        if offset > 0 {
            assert!(offset >= last, "{entry}");
            assert_eq!(
                members.insert(offset),
                number(entry, "innerOffset") == 0,
                "{entry}"
            );
            last = offset;
        }
    }
    for (name, content) in contents {
        assert!(toc.read(blob, &name) == content, "{name}");
    }
    toc
}

/// Compares the TOC with the tar, entry by entry, and returns the contents that the tar has.
fn check_entries(tar: &[u8], toc: &Toc, written: &Written) -> BTreeMap<String, Vec<u8>> {
    let mut contents = BTreeMap::new();
    let mut files = toc.files();
    let mut archive = tar::Archive::new(tar);
    let mut count = 0;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        count += 1;
        let name = String::from_utf8(entry.path_bytes().into_owned()).unwrap();
        if name == "stargz.index.json" {
            assert!(files.next().is_none(), "the TOC has more than the layer");
            continue;
        }
        let in_toc = files.next().unwrap();
        assert_eq!(in_toc["name"], name);
        check_entry(&mut entry, in_toc);
        if in_toc["type"] == "reg" {
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            contents.insert(name, content);
        }
    }
    assert_eq!(count, written.counts.entries);
    contents
}

fn check_entry<R: Read>(entry: &mut tar::Entry<'_, R>, in_toc: &Value) {
    let header = entry.header().clone();
    let kind = match header.entry_type() {
        tar::EntryType::Block => "block",
        tar::EntryType::Char => "char",
        tar::EntryType::Directory => "dir",
        tar::EntryType::Fifo => "fifo",
        tar::EntryType::Link => "hardlink",
        tar::EntryType::Regular => "reg",
        tar::EntryType::Symlink => "symlink",
        other => panic!("unexpected {other:?}"),
    };
    assert_eq!(in_toc["type"], kind, "{in_toc}");
    assert_eq!(number(in_toc, "size"), entry.size(), "{in_toc}");
    let mode = u64::from(header.mode().unwrap());
    assert_eq!(number(in_toc, "mode"), mode, "{in_toc}");
    let target = entry.link_name_bytes();
    let target = target.map(|target| String::from_utf8(target.into_owned()).unwrap());
    assert_eq!(in_toc["linkName"].as_str(), target.as_deref(), "{in_toc}");
    for (member, value) in [
        ("devMajor", header.device_major().unwrap()),
        ("devMinor", header.device_minor().unwrap()),
    ] {
        let value = value.unwrap_or_default();
        assert_eq!(number(in_toc, member), u64::from(value), "{in_toc}");
    }
    let extensions = entry.pax_extensions().unwrap();
    let mut xattrs = serde_json::Map::new();
    for extension in extensions.into_iter().flatten() {
        let extension = extension.unwrap();
        if let Some(name) = extension.key().unwrap().strip_prefix("SCHILY.xattr.") {
            let value = STANDARD.encode(extension.value_bytes());
            xattrs.insert(name.to_owned(), value.into());
        }
    }
    let expected = if xattrs.is_empty() {
        Value::Null
    } else {
        xattrs.into()
    };
    assert_eq!(in_toc["xattrs"], expected, "{in_toc}");
}
