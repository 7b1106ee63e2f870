//! Finding equal files while they are written, reading each as seldom as possible.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use crate::Error;
use crate::plan::{Body, Hardlinks, Plan};
use crate::source::ContentReader;

pub(super) type Hash = [u8; 32];

/// How much of a content is held until it is known whether it is new.
///
/// Smaller files are never read twice, and larger ones only where they begin alike.
const HELD: usize = 256 << 10;

/// The contents that are in the layer and may come again.
///
/// Only files of the same size and metadata can be equal, so only those are hashed: the first of
/// them on its way into the layer, the others before it is decided whether they get there.
#[derive(Default)]
pub(super) struct Duplicates {
    /// Which record carries a content.
    carriers: HashMap<(u32, Hash), u32>,
    /// How contents start that are larger than what is held.
    starts: HashSet<(u32, u64, Hash)>,
    /// The start of the content that was judged last; never cut, so that it is not cleared again.
    buffer: Vec<u8>,
    held: usize,
}

/// What is known of a content after a look at it.
pub(super) enum Judgement {
    /// It is not in the layer, and all of it was read to find out. The hash is of all of it.
    Different(Sha256),
    /// It is in the layer already, carried by this record.
    Equal(u32),
    /// It is not in the layer. Its start is [held](Duplicates::start) and hashed.
    Started(Sha256),
}

impl Duplicates {
    /// Reads as much of a content as it takes to know whether it is in the layer.
    pub(super) fn judge(
        &mut self,
        metadata: u32,
        reader: &mut ContentReader<'_>,
    ) -> Result<Judgement, Error> {
        let size = reader.remaining();
        self.buffer.resize(HELD, 0);
        self.held = reader.fill(&mut self.buffer)?;
        let mut hasher = Sha256::new_with_prefix(self.start());
        if reader.remaining() > 0 {
            let start = finished(&hasher);
            if self.starts.insert((metadata, size, start)) {
                return Ok(Judgement::Started(hasher));
            }
            while reader.remaining() > 0 {
                let read = reader.fill(&mut self.buffer)?;
                hasher.update(&self.buffer[..read]);
            }
            return Ok(match self.carrier(metadata, finished(&hasher)) {
                Some(record) => Judgement::Equal(record),
                None => Judgement::Different(hasher),
            });
        }
        Ok(match self.carrier(metadata, finished(&hasher)) {
            Some(record) => Judgement::Equal(record),
            None => Judgement::Started(hasher),
        })
    }

    /// Returns the start of the content that was judged last.
    pub(super) fn start(&self) -> &[u8] {
        &self.buffer[..self.held]
    }

    /// Remembers that a record carries the content with this hash.
    pub(super) fn remember(&mut self, metadata: u32, hash: Hash, record: u32) {
        self.carriers.insert((metadata, hash), record);
    }

    /// Returns the record that carries the content with this hash already.
    pub(super) fn carrier(&self, metadata: u32, hash: Hash) -> Option<u32> {
        self.carriers.get(&(metadata, hash)).copied()
    }
}

fn finished(hasher: &Sha256) -> Hash {
    hasher.clone().finalize().into()
}

/// The files that may be equal to another: it has the same size and metadata.
pub(super) struct Suspects {
    /// A bit for each record.
    bits: Vec<u64>,
}

impl Suspects {
    /// Finds them in the entries of a layer, which come in two parts; there are none among empty files.
    pub(super) fn new(plan: &Plan, parts: [&[u32]; 2]) -> Self {
        let mut suspects = Self { bits: Vec::new() };
        if plan.hardlinks == Hardlinks::Off {
            return suspects;
        }
        suspects.bits.resize(plan.records.len().div_ceil(64), 0);
        let mut groups = HashSet::new();
        let mut files: Vec<(u64, u32, u32)> = parts
            .into_iter()
            .flatten()
            .filter_map(|&number| {
                let record = &plan.records[number as usize];
                match &record.body {
                    // Of the names of one file one is enough.
                    Body::File(file) if file.group.is_none_or(|group| groups.insert(group)) => {
                        (file.size > 0).then_some((file.size, record.metadata, number))
                    }
                    _ => None,
                }
            })
            .collect();
        files.sort_unstable();
        for files in files.chunk_by(|left, right| (left.0, left.1) == (right.0, right.1)) {
            if files.len() > 1 {
                for (_, _, number) in files {
                    suspects.bits[*number as usize / 64] |= 1 << (number % 64);
                }
            }
        }
        suspects
    }

    pub(super) fn contains(&self, record: u32) -> bool {
        let bits = self.bits.get(record as usize / 64);
        bits.is_some_and(|bits| bits >> (record % 64) & 1 == 1)
    }
}
