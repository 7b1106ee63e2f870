//! Which entries stand in an eStargz layer, and in which order.

use std::collections::HashSet;

use super::{EstargzOptions, TOC_NAME};
use crate::Error;
use crate::path::{LayerPath, OPAQUE_MARKER, Quoted, WHITEOUT_PREFIX};
use crate::plan::{Body, Plan, Record};

/// Ends the entries that a reader fetches at once.
const PREFETCH_LANDMARK: &str = ".prefetch.landmark";

/// Says that no entries are to be fetched at once.
const NO_PREFETCH_LANDMARK: &str = ".no.prefetch.landmark";

/// The files that writers of eStargz add.
const ADDED: [&str; 3] = [TOC_NAME, PREFETCH_LANDMARK, NO_PREFETCH_LANDMARK];

/// The order of the entries in an eStargz layer.
#[derive(Debug)]
pub(crate) struct Order {
    /// The prioritized entries, then all others; numbers of the plan's records.
    entries: Vec<u32>,
    /// How many of them are prioritized.
    prioritized: usize,
    /// Prioritized files that are not in the layer.
    missing: Vec<LayerPath>,
}

impl Order {
    /// Puts prioritized entries first, and leaves out what an earlier eStargz writer added.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for names that are not UTF-8, which the TOC cannot hold, and
    /// for prioritized files that are not in the layer, unless they may be missing.
    pub(crate) fn new(plan: &Plan, options: &EstargzOptions) -> Result<Self, Error> {
        check_names(plan)?;
        let mut picks = Picks::new(plan);
        let mut missing = Vec::new();
        for path in &options.prioritized_files {
            if !picks.pick(path)? {
                missing.push(path.clone());
            }
        }
        if !missing.is_empty() && !options.allow_missing {
            let paths: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let message = format!("prioritized files without entry: {}", paths.join(", "));
            return Err(Error::invalid(message));
        }
        let mut entries = picks.picked;
        let prioritized = entries.len();
        let others = plan.order.iter().filter(|record| {
            !picks.seen.contains(record) && !is_added(&plan.records[**record as usize].path)
        });
        entries.extend(others);
        Ok(Self {
            entries,
            prioritized,
            missing,
        })
    }

    /// Returns the entries that stand before the landmark, and those behind it.
    pub(crate) fn parts(&self) -> (&[u32], &[u32]) {
        self.entries.split_at(self.prioritized)
    }

    /// Returns the name of the landmark.
    pub(crate) fn landmark(&self) -> &'static str {
        match self.prioritized {
            0 => NO_PREFETCH_LANDMARK,
            _ => PREFETCH_LANDMARK,
        }
    }

    /// Returns the prioritized files that are not in the layer.
    pub(crate) fn into_missing(self) -> Vec<LayerPath> {
        self.missing
    }
}

/// Entries that are taken before their turn.
struct Picks<'p> {
    plan: &'p Plan,
    picked: Vec<u32>,
    seen: HashSet<u32>,
}

impl<'p> Picks<'p> {
    fn new(plan: &'p Plan) -> Self {
        Self {
            plan,
            picked: Vec::new(),
            seen: HashSet::new(),
        }
    }

    /// Takes an entry, behind its directories and what must be undone there first; returns whether it exists.
    ///
    /// A whiteout removes what was unpacked before it, so it must not come behind what it stands in front of.
    fn pick(&mut self, path: &LayerPath) -> Result<bool, Error> {
        if path.is_root() {
            // It is in every layer, and has no entry.
            return Ok(true);
        }
        if is_added(path) {
            return Ok(false);
        }
        let Some(record) = self.find(path) else {
            return Ok(false);
        };
        self.pick_before(path)?;
        self.take(record);
        Ok(true)
    }

    /// Takes what must stand before an entry at `path`.
    fn pick_before(&mut self, path: &LayerPath) -> Result<(), Error> {
        let mut directory = LayerPath::root();
        // No recursion: archives may have paths that are deeper than the stack.
        for name in path.components() {
            let opaque = directory.child(OPAQUE_MARKER)?;
            let whiteout = directory.child(&[WHITEOUT_PREFIX, name].concat())?;
            for before in [&directory, &opaque, &whiteout] {
                if let Some(record) = self.find(before) {
                    self.take(record);
                }
            }
            directory = directory.child(name)?;
        }
        Ok(())
    }

    fn take(&mut self, record: u32) {
        if self.seen.insert(record) {
            self.picked.push(record);
        }
    }

    fn find(&self, path: &LayerPath) -> Option<u32> {
        let order = &self.plan.order;
        let record_path = |record: &u32| &self.plan.records[*record as usize].path;
        let at = order.binary_search_by(|record| record_path(record).cmp(path));
        at.ok().map(|at| order[at])
    }
}

/// Returns whether a file is one that writers of eStargz add, and that would contradict the new one.
fn is_added(path: &LayerPath) -> bool {
    ADDED.iter().any(|name| path.as_bytes() == name.as_bytes())
}

/// Refuses directories where the format has a file: no entry can be in one.
fn check_place(record: &Record) -> Result<(), Error> {
    let first = record.path.components().next().unwrap_or_default();
    let is_directory =
        first.len() < record.path.as_bytes().len() || matches!(record.body, Body::Directory);
    if is_directory && ADDED.iter().any(|name| first == name.as_bytes()) {
        let name = Quoted(first);
        let message = format!("{}: {name} is a file in every eStargz layer", record.path);
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// Refuses names that JSON cannot hold: a layer that is fetched lazily would have others.
fn check_names(plan: &Plan) -> Result<(), Error> {
    let refused = |what: std::fmt::Arguments<'_>, name: &[u8]| {
        let message = format!("{what} {} is not UTF-8, as eStargz wants it", Quoted(name));
        Err(Error::invalid(message))
    };
    for record in plan.records_in_order() {
        check_place(record)?;
        let path = record.path.as_bytes();
        if std::str::from_utf8(path).is_err() {
            return refused(format_args!("entry name"), path);
        }
        if let Body::Symlink(target) = &record.body
            && std::str::from_utf8(target).is_err()
        {
            return refused(format_args!("symlink {}: text", record.path), target);
        }
        let metadata = &plan.metadata[record.metadata as usize];
        for name in [&metadata.user_name, &metadata.group_name] {
            if std::str::from_utf8(name).is_err() {
                return refused(format_args!("{}: owner name", record.path), name);
            }
        }
    }
    Ok(())
}
