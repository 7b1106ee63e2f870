//! What the library of the lazy snapshotters makes of an eStargz layer.
//!
//! The program in `oracles/estargz` is Go, because that library is. One process looks at many blobs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::{Value, json};

use super::{build_go, go, run_for_output};

/// What a blob holds whose TOC and chunks were all found good.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Regular files with content, the landmark included.
    pub files: u64,
    /// Chunks whose digests were computed.
    pub chunks: u64,
    /// Bytes of these chunks.
    pub bytes: u64,
    /// Chunks that stand in a gzip member with others in front of them.
    pub shared: u64,
    /// The digest of all that the blob decompresses to, the TOC's entry included.
    pub diff_id: String,
    /// The bytes that `diff_id` covers.
    pub uncompressed_size: u64,
    /// The name of the landmark; empty without one.
    pub landmark: String,
    /// The names in front of the landmark, in their order.
    pub prioritized: Vec<String>,
}

/// Looks at blobs, each with the TOC digest that it should have; `None` where Go is missing.
///
/// A blob is read in order, and its headers are compared with its TOC; then chunk by chunk, each
/// compared with its digest.
///
/// # Panics
///
/// When Go is missing and the environment has `CI`, or when the program does not answer.
pub fn verify(blobs: &[(&Path, &str)]) -> Option<Vec<Result<Verified, String>>> {
    let mut requests = String::new();
    for (path, toc_digest) in blobs {
        let request = json!({ "blob": path, "tocDigest": toc_digest });
        writeln!(requests, "{request}").expect("because a string takes every text");
    }
    let output = run_for_output(&mut Command::new(program()?), requests.as_bytes());
    let lines = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<_> = lines.lines().map(answer).collect();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert_eq!(answers.len(), blobs.len(), "{complaint}");
    // What it says of the blobs and how it ends must be one and the same.
    let is_good = answers.iter().all(Result::is_ok);
    assert_eq!(output.status.success(), is_good, "{}", output.status);
    Some(answers)
}

/// Builds the stargz snapshotter, which takes a socket and a directory; `None` where Go is missing.
///
/// # Panics
///
/// When Go is missing and the environment has `CI`, or when the program cannot be built.
pub fn snapshotter() -> Option<PathBuf> {
    Some(build_go(&go()?, "snapshotter"))
}

fn program() -> Option<&'static PathBuf> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    PROGRAM
        .get_or_init(|| go().map(|go| build_go(&go, "estargz")))
        .as_ref()
}

fn answer(line: &str) -> Result<Verified, String> {
    let object: Value =
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    if let Some(error) = object["error"].as_str() {
        return Err(error.to_owned());
    }
    let number = |key: &str| {
        object[key]
            .as_u64()
            .unwrap_or_else(|| panic!("{line}: {key}"))
    };
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(Verified {
        files: number("files"),
        chunks: number("chunks"),
        bytes: number("bytes"),
        shared: number("shared"),
        diff_id: text(&object["diffId"]),
        uncompressed_size: number("uncompressedSize"),
        landmark: text(&object["landmark"]),
        prioritized: object["prioritized"]
            .as_array()
            .map(|names| names.iter().map(text).collect())
            .unwrap_or_default(),
    })
}
