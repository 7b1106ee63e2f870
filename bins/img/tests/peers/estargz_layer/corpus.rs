//! What the layers are made of: the same bytes on every run.

use std::collections::BTreeMap;
use std::path::Path;

use imgtest::noise;

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
pub(crate) fn mixed_files() -> BTreeMap<String, Vec<u8>> {
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

/// Writes them, an empty directory and a link below `root`.
pub(crate) fn write_mixed_tree(root: &Path) {
    for (path, content) in mixed_files() {
        let path = root.join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }
    fs_err::create_dir_all(root.join("empty/directory")).unwrap();
    fs_err::os::unix::fs::symlink("../share/1/file-1.txt", root.join("edge/link")).unwrap();
}
