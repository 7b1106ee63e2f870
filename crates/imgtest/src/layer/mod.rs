//! The invariants that every layer of ours satisfies.
//!
//! 1. Names are relative, `/`-separated, without `.` and `..`; only directories end with a slash.
//! 2. No name appears twice, a directory precedes its children, and nothing else has children.
//! 3. A hard link's target stands earlier, is a regular file with the same mode, owner, time and
//!    PAX records (xattrs are among them); the link's size is 0.
//! 4. No two non-empty files are the same in content and in all of that (unless de-duplication is
//!    off).
//! 5. The archive ends with two zero blocks and nothing behind them; all padding is zero.
//!
//! Checksums are the reader's part, which refuses wrong ones.

mod names;
mod raw;

use std::io::{self, Read};

use imgcore::digest::HashingReader;
use imgcore::{DiffId, Hasher, LayerMetadata};
use imgtar::{DecodeLimits, Decoder, Reader};

use names::Names;
use raw::Tap;

/// Which of the invariants are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rules {
    /// Equal files are hard links.
    pub deduplicated: bool,
    /// Directories of entries have entries themselves.
    pub parents: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            deduplicated: true,
            parents: false,
        }
    }
}

/// Checks invariants 1 to 5 of an uncompressed layer.
///
/// # Errors
///
/// One line for each violation, in the order of the archive.
pub fn check_invariants(layer: impl Read) -> Result<(), Vec<String>> {
    check_with(layer, Rules::default())
}

/// Checks the invariants that `rules` ask for.
///
/// # Errors
///
/// One line for each violation, in the order of the archive.
pub fn check_with(layer: impl Read, rules: Rules) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    if let Err(error) = check_stream(layer, rules, &mut problems) {
        problems.push(chain(&error));
    }
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// Checks a blob against the metadata that was written beside it: digest, size, diff id, media
/// type; and the invariants of the tar in it.
///
/// # Errors
///
/// One line for each violation.
pub fn check_blob(
    blob: impl Read,
    metadata: &LayerMetadata,
    rules: Rules,
) -> Result<(), Vec<String>> {
    let mut problems = Vec::new();
    let mut blob = HashingReader::new(blob);
    match decode(&mut blob, rules, &mut problems) {
        Err(error) => problems.push(chain(&error)),
        Ok((diff_id, codec)) => {
            compare(&mut problems, "diff id", (metadata.diff_id, Some(diff_id)));
            let suffix = match codec {
                imgtar::Codec::Gzip => "gzip",
                imgtar::Codec::None => "tar",
                imgtar::Codec::Zstd => "zstd",
            };
            if !metadata.media_type.as_str().ends_with(suffix) {
                problems.push(format!(
                    "media type is {:?} of a blob in {codec}",
                    metadata.media_type
                ));
            }
        }
    }
    // What a decoder that failed has not read.
    let rest = io::copy(&mut blob, &mut io::sink());
    if let Err(error) = rest {
        problems.push(error.to_string());
    }
    let (digest, size, _) = blob.finish();
    compare(&mut problems, "digest", (metadata.digest, digest));
    compare(&mut problems, "size", (metadata.size, size));
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

fn compare<T: std::fmt::Debug + PartialEq>(
    problems: &mut Vec<String>,
    what: &str,
    (told, is): (T, T),
) {
    if told != is {
        problems.push(format!(
            "{what} is {told:?} in the metadata and {is:?} of the blob"
        ));
    }
}

fn decode(
    blob: &mut impl Read,
    rules: Rules,
    problems: &mut Vec<String>,
) -> Result<(DiffId, imgtar::Codec), imgtar::Error> {
    let decoder = Decoder::new(blob, DecodeLimits::default())?;
    let codec = decoder.codec();
    let mut layer = DiffIdReader {
        inner: decoder,
        hasher: Hasher::default(),
    };
    check_stream(&mut layer, rules, problems)?;
    Ok((DiffId::from_hasher(layer.hasher), codec))
}

/// Hashes for a diff id, which a plain digest does not convert to.
struct DiffIdReader<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Read for DiffIdReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

fn check_stream(
    layer: impl Read,
    rules: Rules,
    problems: &mut Vec<String>,
) -> Result<(), imgtar::Error> {
    let (input, tap) = Tap::around(layer);
    let mut reader = Reader::new(input);
    let mut names = Names::new(rules);
    while let Some(mut entry) = reader.next_entry()? {
        let header = entry.header().clone();
        let mut report = |problem: String| {
            problems.push(format!("\"{}\" {problem}", header.path.escape_ascii()));
        };
        let raw_size = tap.borrow_mut().end_headers(header.size, &mut report);
        if raw_size != header.size && header.kind.is_link() {
            report(format!("is a {} of size {raw_size}", header.kind));
        }
        let mut content = HashingReader::new(&mut entry);
        let read = io::copy(&mut content, &mut io::sink());
        read.map_err(|error| {
            error
                .downcast::<imgtar::Error>()
                .unwrap_or_else(|error| panic!("{error}"))
        })?;
        let (digest, _, _) = content.finish();
        names.add(&header, digest, &mut report);
        // The padding passes when the reader goes on, which the tap watches.
    }
    let mut report = |problem: String| problems.push(format!("the archive {problem}"));
    tap.borrow_mut().end_archive(&mut report);
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
