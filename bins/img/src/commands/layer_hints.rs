//! Layer hints: where files with the bytes of layers may be found, by digest.
//!
//! One line a digest, sorted: the digest and the paths, each behind a NUL byte, sorted, each once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fs_err as fs;
use imgcore::Digest;
use imgcore::json::{Fields, Limits, Value};

use crate::context::Context;
use crate::output::Outputs;
use crate::report::{Explain as _, Failure};
use crate::sys;

/// The longest line of a file that Bazel writes, as in the peer.
const MAX_PAIR_LINE: usize = 64 * 1024;

/// The longest line of a hints file, as in the peer.
const MAX_HINT_LINE: usize = 1024 * 1024;

/// Paths of layers, by digest.
#[derive(Debug, Default)]
pub(crate) struct LayerHints {
    paths: BTreeMap<String, BTreeSet<Vec<u8>>>,
}

/// Makes hints of pairs of a layer's path and its metadata's path, if both files are named.
pub(super) fn write(
    context: &Context,
    pairs: Option<&Path>,
    output: Option<&Path>,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    match (pairs, output) {
        (None, None) => Ok(()),
        (Some(pairs), Some(output)) => {
            let mut hints = LayerHints::default();
            hints.add_pairs(context, pairs)?;
            outputs.add_bytes(context, output, &hints.to_bytes())
        }
        _ => Err(
            Failure::new("layer hints need an input and an output").hint(
                "give --layer-hints-paths-file-input and --layer-hints-paths-output, or neither",
            ),
        ),
    }
}

impl LayerHints {
    /// Reads a file of hints.
    pub(crate) fn read(context: &Context, path: &Path) -> Result<Self, Failure> {
        let mut hints = Self::default();
        hints.add_hints(context, path)?;
        Ok(hints)
    }

    /// Returns every path with the digest of the layer that it may have.
    pub(crate) fn paths(&self) -> impl Iterator<Item = (Digest, PathBuf)> {
        self.paths.iter().flat_map(|(digest, paths)| {
            let digest: Option<Digest> = digest.parse().ok();
            let paths = paths.iter().filter_map(|path| sys::path_from_bytes(path));
            paths.filter_map(move |path| Some((digest?, path)))
        })
    }

    /// Adds the hints of another file.
    pub(super) fn add_hints(&mut self, context: &Context, path: &Path) -> Result<(), Failure> {
        for Line { number, fields } in read_lines(context, path, MAX_HINT_LINE)? {
            let [digest, paths @ ..] = fields.as_slice() else {
                continue;
            };
            let digest = std::str::from_utf8(digest)
                .ok()
                .and_then(|digest| digest.parse::<Digest>().ok())
                .ok_or_else(|| bad_line(path, number, "it starts with no digest"))?;
            let known = self.paths.entry(digest.to_string()).or_default();
            known.extend(paths.iter().cloned());
        }
        Ok(())
    }

    fn add_pairs(&mut self, context: &Context, path: &Path) -> Result<(), Failure> {
        for Line { number, fields } in read_lines(context, path, MAX_PAIR_LINE)? {
            let [blob, metadata] = fields.as_slice() else {
                return Err(bad_line(
                    path,
                    number,
                    "it is not two paths with a NUL between",
                ));
            };
            let metadata = sys::path_from_bytes(metadata)
                .ok_or_else(|| bad_line(path, number, "its second field is no path"))?;
            let digest = read_digest(context, &metadata)?;
            let known = self.paths.entry(digest.to_string()).or_default();
            known.insert(blob.clone());
        }
        Ok(())
    }

    /// Writes the hints file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (digest, paths) in &self.paths {
            bytes.extend_from_slice(digest.as_bytes());
            for path in paths {
                bytes.push(0);
                bytes.extend_from_slice(path);
            }
            bytes.push(b'\n');
        }
        bytes
    }
}

/// One line of a file, cut at NUL bytes.
struct Line {
    number: usize,
    fields: Vec<Vec<u8>>,
}

/// Reads the lines of a file that are not empty.
fn read_lines(context: &Context, path: &Path, longest: usize) -> Result<Vec<Line>, Failure> {
    let bytes = fs::read(context.path(path))?;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > longest {
            let what = format!("it has more than {longest} bytes");
            return Err(bad_line(path, number, &what));
        }
        if !line.is_empty() {
            let fields = line.split(|byte| *byte == 0).map(<[u8]>::to_vec);
            lines.push(Line {
                number,
                fields: fields.collect(),
            });
        }
    }
    Ok(lines)
}

fn bad_line(path: &Path, number: usize, what: &str) -> Failure {
    Failure::new(format!("{}: line {number}: {what}", path.display()))
}

/// Reads the digest of a metadata or descriptor file.
pub(super) fn read_digest(context: &Context, path: &PathBuf) -> Result<Digest, Failure> {
    let bytes = fs::read(context.path(path))?;
    Value::parse(&bytes, &Limits::default())
        .and_then(|value| Fields::of(&value, "layer metadata")?.parsed("digest"))
        .explain(|| path.display().to_string())
}
