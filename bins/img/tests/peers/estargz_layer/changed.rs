//! Blobs that somebody changed.

use std::io::{Read, Write};
use std::path::PathBuf;

use imgtest::oracle::estargz::verify;
use tempfile::TempDir;

use super::{Layer, mixed_layer};
use imgtest::noise;

/// The size of an eStargz layer's last gzip member, which is empty and tells where the TOC starts.
const FOOTER: usize = 51;

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
