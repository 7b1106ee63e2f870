//! A layer of more than 50,000 real files: what is on this machine, with all its odd names and links.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use imgtest::layer::{Rules, check_with};
use imgtest::oracle::Oracle;
use tempfile::TempDir;

use crate::tool::img;

/// More than the 50,000 that the test is about.
const WANTED: usize = 55_000;

/// Larger files add time and no case.
const LARGEST: u64 = 64 << 10;

#[test]
fn every_reader_lists_the_same_entries_of_a_real_tree() {
    let found = files_of_this_machine(LARGEST);
    assert!(!found.is_empty(), "this machine has no readable files");
    let work = TempDir::new().unwrap();
    let (list, layer) = (work.path().join("list"), work.path().join("layer.tar"));
    fs_err::write(&list, parameters(&found)).unwrap();
    img([
        "layer",
        "--add-from-file",
        &list.to_string_lossy(),
        "--create-parent-directories",
        &layer.to_string_lossy(),
    ]);
    let archive = fs_err::read(&layer).unwrap();
    let mut rules = Rules::default();
    rules.parents = true;
    assert_eq!(check_with(&archive[..], rules), Ok(()));
    let ours = Oracle::TarCrate.list(&archive).unwrap().unwrap();
    assert!(ours.len() > WANTED, "{} entries", ours.len());
    for oracle in Oracle::ALL {
        let Some(theirs) = oracle.list(&archive) else {
            continue;
        };
        let theirs = theirs.unwrap_or_else(|complaint| panic!("{oracle:?}: {complaint}"));
        assert_eq!(theirs.len(), ours.len(), "{oracle:?}");
        for (their, our) in theirs.iter().zip(&ours) {
            let digests = their.digest.zip(our.digest);
            let same = (&their.path, their.kind, their.size, &their.link)
                == (&our.path, our.kind, our.size, &our.link)
                && digests.is_none_or(|(their, our)| their == our);
            assert!(same, "{oracle:?} sees {their:?} where {our:?} is");
        }
    }
}

/// A param file that puts every file at its own place below `tree-0/`; where there are few, again below `tree-1/` and so on.
fn parameters(files: &[PathBuf]) -> String {
    let mut list = String::new();
    for number in 0..WANTED.max(files.len()) {
        let (round, path) = (number / files.len(), &files[number % files.len()]);
        let kind = if path.is_symlink() { 'l' } else { 'f' };
        let path = path.display();
        writeln!(list, "tree-{round}{path}\0{kind}{path}").unwrap();
    }
    list
}

/// Files of up to so many bytes and links of the toolchain and the system, the same ones on every run.
pub(crate) fn files_of_this_machine(largest: u64) -> Vec<PathBuf> {
    let toolchain = Path::new(env!("CARGO")).ancestors().nth(2).unwrap();
    let roots = [
        Path::new("/usr/share"),
        Path::new("/usr/lib"),
        toolchain,
        Path::new("/usr/include"),
    ];
    let mut found = Vec::new();
    for root in roots {
        collect(root, largest, &mut found);
    }
    found
}

fn collect(directory: &Path, largest: u64, found: &mut Vec<PathBuf>) {
    let Ok(entries) = fs_err::read_dir(directory) else {
        return;
    };
    let mut paths: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    paths.sort();
    for path in paths {
        if found.len() >= WANTED {
            return;
        }
        let Ok(metadata) = fs_err::symlink_metadata(&path) else {
            continue;
        };
        // A param file is text with a line for each file.
        let is_text = path.to_str().is_some_and(|text| !text.contains('\n'));
        if metadata.is_dir() {
            collect(&path, largest, found);
        } else if is_text && (metadata.is_symlink() || is_readable(&path, &metadata, largest)) {
            found.push(path);
        }
    }
}

fn is_readable(path: &Path, metadata: &std::fs::Metadata, largest: u64) -> bool {
    metadata.is_file() && metadata.len() <= largest && fs_err::File::open(path).is_ok()
}
