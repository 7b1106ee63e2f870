//! The time that no arrangement of the same work can beat: its parts measured by themselves, spread over the cores.
//!
//! Each part runs alone in this process and is measured in CPU seconds of its thread, so other work on the machine
//! does not make the limit longer. Codecs run over a part of the blocks where a corpus is large.

mod blocks;
mod codec;

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use imglayer::encode::{Codec as Format, EncodeOptions, EncoderIdentity, GzipMembers, Level};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest as _, Sha256};

use super::corpus::Corpus;
use super::rows::{Kind, Ours};
use super::text;
use crate::run::Result;
use blocks::{Blocks, Rule};
use codec::Codec;

/// A corpus of more bytes than this is sampled.
const SAMPLED_FROM: u64 = 256 << 20;

/// The parts of a layer's work.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Limit {
    /// Names with seconds of CPU.
    pub(super) parts: Vec<(&'static str, f64)>,
    /// The part that is one chain: it takes as long on any number of cores.
    pub(super) chain: f64,
    pub(super) cores: usize,
}

impl Limit {
    /// Seconds from start to end, at best.
    pub(super) fn seconds(&self) -> f64 {
        self.chain.max(self.cpu() / self.cores as f64)
    }

    /// Seconds of CPU, at best.
    pub(super) fn cpu(&self) -> f64 {
        self.parts.iter().map(|(_, seconds)| seconds).sum()
    }

    /// Adds a part that is long enough to be seen.
    fn add(&mut self, name: &'static str, seconds: f64) {
        if seconds >= 0.005 {
            self.parts.push((name, seconds));
        }
    }
}

/// Measures the parts of what ours does with a corpus; `layer` is the layer of it without compression.
pub(super) fn measure(
    ours: Ours,
    corpus: &Corpus,
    layer: &Path,
    scratch: &Path,
    cores: usize,
) -> Result<Limit> {
    let sources = corpus.sources()?;
    let (encoded, chain) = encode(ours, layer, scratch)?;
    let mut limit = Limit {
        parts: Vec::new(),
        chain,
        cores,
    };
    let read = match ours.kind {
        Kind::Import => read_all(&[corpus.tar()?])?,
        _ => read_all(&sources)?,
    };
    limit.add("read", read);
    limit.add("diff_id", chain);
    limit.add("contents", hash_contents(ours.kind, &sources)?);
    for (name, seconds) in encoded {
        limit.add(name, seconds);
    }
    Ok(limit)
}

/// Opens and reads files into one buffer.
fn read_all(files: &[PathBuf]) -> Result<f64> {
    let mut buffer = vec![0; 1 << 20];
    let start = cpu_time();
    for path in files {
        let mut file = fs::File::open(path).map_err(text)?;
        while file.read(&mut buffer).map_err(text)? > 0 {}
    }
    Ok(cpu_time() - start)
}

/// Hashes the contents that must be: those of equal sizes, and all of an eStargz, whose table has their digests.
fn hash_contents(kind: Kind, files: &[PathBuf]) -> Result<f64> {
    let mut sizes = HashMap::new();
    for path in files {
        let size = fs::metadata(path).map_err(text)?.len();
        sizes.entry(size).or_insert_with(Vec::new).push(path);
    }
    let mut seconds = 0.0;
    let mut buffer = vec![0; 1 << 20];
    let needed = sizes
        .into_values()
        .filter(|equal| equal.len() > 1 || kind == Kind::Estargz);
    for path in needed.flatten() {
        let mut file = fs::File::open(path).map_err(text)?;
        let mut hasher = Sha256::new();
        loop {
            let read = file.read(&mut buffer).map_err(text)?;
            if read == 0 {
                break;
            }
            let mut clock = Clock::start();
            hasher.update(&buffer[..read]);
            seconds += clock.lap();
        }
        std::hint::black_box(hasher.finalize());
    }
    Ok(seconds)
}

/// Runs everything that happens to the blocks of a layer. Returns the parts, and the hash of the tar by itself.
fn encode(ours: Ours, layer: &Path, scratch: &Path) -> Result<(Vec<(&'static str, f64)>, f64)> {
    let identity = identity(ours)?;
    let rule = Rule::of(&identity, ours.kind == Kind::Estargz);
    let size = fs::metadata(layer).map_err(text)?.len();
    let stride = match (size, ours.level) {
        (..=SAMPLED_FROM, _) => 1,
        (_, "best") => 6,
        _ => 2,
    };
    let mut stages = Stages::new(Codec::of(&identity)?, scratch)?;
    let mut blocks = Blocks::open(layer, rule)?;
    let (mut number, mut total) = (0_u64, 0);
    while let Some(block) = blocks.next().map_err(text)? {
        total += block.len();
        if number % stride == 0 {
            stages.run(block)?;
        }
        number += 1;
    }
    let parts = stages.finish(total);
    fs::remove_file(scratch.join("written")).map_err(text)?;
    Ok(parts)
}

/// What is done to one block after the other, with the time of each step.
struct Stages {
    codec: Codec,
    file: fs::File,
    diff_id: Sha256,
    digest: Sha256,
    input: usize,
    diff_id_time: f64,
    digest_time: f64,
    codec_time: f64,
    stitch_time: f64,
    write_time: f64,
}

impl Stages {
    fn new(codec: Codec, scratch: &Path) -> Result<Self> {
        Ok(Self {
            codec,
            file: fs::File::create(scratch.join("written")).map_err(text)?,
            diff_id: Sha256::new(),
            digest: Sha256::new(),
            input: 0,
            diff_id_time: 0.0,
            digest_time: 0.0,
            codec_time: 0.0,
            stitch_time: 0.0,
            write_time: 0.0,
        })
    }

    fn run(&mut self, block: &[u8]) -> Result<()> {
        self.input += block.len();
        let mut clock = Clock::start();
        self.diff_id.update(block);
        self.diff_id_time += clock.lap();
        self.codec.encode(block)?;
        self.codec_time += clock.lap();
        if self.codec.stitches() {
            self.codec.stitch()?;
            self.stitch_time += clock.lap();
        }
        let output = self.codec.output(block);
        if self.codec.changes_bytes() {
            self.digest.update(output);
            self.digest_time += clock.lap();
        }
        self.file.write_all(output).map_err(text)?;
        self.write_time += clock.lap();
        Ok(())
    }

    /// Scales what was measured to all bytes.
    fn finish(self, total: usize) -> (Vec<(&'static str, f64)>, f64) {
        let scale = total as f64 / self.input.max(1) as f64;
        let parts = [
            ("codec", self.codec_time),
            ("stitch", self.stitch_time),
            ("digest", self.digest_time),
            ("write", self.write_time),
        ];
        let parts = parts.map(|(name, seconds)| (name, seconds * scale));
        (parts.to_vec(), self.diff_id_time * scale)
    }
}

/// The encoder of a row, in words.
fn identity(ours: Ours) -> Result<String> {
    let format = match ours.format {
        "gzip" => Format::Gzip,
        "zstd" => Format::Zstd,
        _ => Format::None,
    };
    let level = match ours.level {
        "fast" => Level::Fast,
        "best" => Level::Best,
        _ => Level::Default,
    };
    let mut options = EncodeOptions::new(format, level);
    if ours.kind == Kind::Members {
        options.gzip_members = GzipMembers::Multi;
    }
    let identity = match ours.kind {
        Kind::Estargz => EncoderIdentity::of_seekable(&options),
        _ => EncoderIdentity::of(&options),
    };
    Ok(identity.map_err(|error| error.to_string())?.to_string())
}

/// Reads `name=number` from the words of an identity.
fn value(identity: &str, name: &str) -> Option<i32> {
    let mut words = identity.split(' ');
    words.find_map(|word| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// Tells the CPU time of one step after the other; each look at it costs a fraction of a microsecond.
struct Clock(f64);

impl Clock {
    fn start() -> Self {
        Self(cpu_time())
    }

    /// Returns the seconds since the last look.
    fn lap(&mut self) -> f64 {
        let now = cpu_time();
        now - std::mem::replace(&mut self.0, now)
    }
}

/// Seconds of CPU of this thread.
fn cpu_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limit_is_the_work_over_the_cores_or_the_chain() {
        let mut limit = Limit {
            parts: vec![("codec", 6.0), ("diff_id", 2.0)],
            chain: 2.0,
            cores: 2,
        };
        assert!((limit.seconds() - 4.0).abs() < 1e-9);
        limit.cores = 16;
        assert!((limit.seconds() - 2.0).abs() < 1e-9);
    }

    #[test]
    fn values_are_read_from_an_identity() {
        let identity = "gzip libdeflate level=5 members=single block=1048576 cut=1";
        assert_eq!(value(identity, "level"), Some(5));
        assert_eq!(value(identity, "block"), Some(1 << 20));
        assert_eq!(value(identity, "members"), None);
        assert_eq!(value("none", "level"), None);
    }

    #[test]
    fn every_row_has_an_encoder_that_is_understood() {
        for row in super::super::rows::ROWS {
            let identity = identity(row.ours).unwrap();
            assert!(Codec::of(&identity).is_ok(), "{identity}");
        }
    }
}
