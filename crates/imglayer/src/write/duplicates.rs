//! Finding equal files while they are written, reading each as seldom as possible.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use crate::Error;
use crate::plan::{Body, Hardlinks, Plan};
use crate::source::ContentReader;

type Hash = [u8; 32];

/// How much of a content is held until it is known whether it is new.
///
/// Smaller files are never read twice, and larger ones only where they begin alike.
const HELD: usize = 256 << 10;

/// The contents that are in the layer and may come again.
///
/// Only files of the same size and metadata can be equal, so only those are hashed: the first of
/// them on its way into the layer, the others before it is decided whether they get there.
pub(super) struct Duplicates {
    /// Pairs of metadata and size that more than one file has.
    shared: HashSet<(u32, u64)>,
    /// Which record carries a content.
    carriers: HashMap<(u32, Hash), u32>,
    /// How contents start that are larger than what is held.
    starts: HashSet<(u32, u64, Hash)>,
    held: Vec<u8>,
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
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            shared: if plan.hardlinks == Hardlinks::Auto {
                shared(plan)
            } else {
                HashSet::new()
            },
            carriers: HashMap::new(),
            starts: HashSet::new(),
            held: Vec::new(),
        }
    }

    /// Returns whether another file has this metadata and size.
    pub(super) fn may_have_equal(&self, metadata: u32, size: u64) -> bool {
        self.shared.contains(&(metadata, size))
    }

    /// Reads as much of a content as it takes to know whether it is in the layer.
    pub(super) fn judge(
        &mut self,
        metadata: u32,
        reader: &mut ContentReader<'_>,
    ) -> Result<Judgement, Error> {
        let size = reader.remaining();
        self.held.resize(HELD, 0);
        let held = reader.fill(&mut self.held)?;
        self.held.truncate(held);
        let mut hasher = Sha256::new_with_prefix(&self.held);
        if reader.remaining() > 0 {
            let start = hasher.clone().finalize().into();
            if self.starts.insert((metadata, size, start)) {
                return Ok(Judgement::Started(hasher));
            }
            while reader.remaining() > 0 {
                let read = reader.fill(&mut self.held)?;
                hasher.update(&self.held[..read]);
            }
            return Ok(match self.carrier(metadata, &hasher) {
                Some(record) => Judgement::Equal(record),
                None => Judgement::Different(hasher),
            });
        }
        Ok(match self.carrier(metadata, &hasher) {
            Some(record) => Judgement::Equal(record),
            None => Judgement::Started(hasher),
        })
    }

    /// Returns the start of the content that was judged last.
    pub(super) fn start(&self) -> &[u8] {
        &self.held
    }

    /// Remembers that a record carries the content that was hashed.
    pub(super) fn remember(&mut self, metadata: u32, hasher: Sha256, record: u32) {
        self.carriers
            .insert((metadata, hasher.finalize().into()), record);
    }

    fn carrier(&self, metadata: u32, hasher: &Sha256) -> Option<u32> {
        let hash = hasher.clone().finalize().into();
        self.carriers.get(&(metadata, hash)).copied()
    }
}

/// Returns the pairs of metadata and size that more than one non-empty file has.
fn shared(plan: &Plan) -> HashSet<(u32, u64)> {
    let mut groups = HashSet::new();
    let mut pairs: Vec<(u32, u64)> = plan
        .records_in_order()
        .filter_map(|record| match &record.body {
            // Of the names of one file one is enough.
            Body::File(file) if file.group.is_none_or(|group| groups.insert(group)) => {
                (file.size > 0).then_some((record.metadata, file.size))
            }
            _ => None,
        })
        .collect();
    pairs.sort_unstable();
    pairs
        .chunk_by(|left, right| left == right)
        .filter(|c| c.len() > 1)
        .map(|c| c[0])
        .collect()
}
