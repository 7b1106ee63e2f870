//! Which entries stand in an eStargz layer, and in which order.

use std::collections::{BTreeSet, HashSet};
use std::ops::Bound;

use super::{EstargzOptions, NO_PREFETCH_LANDMARK, PREFETCH_LANDMARK, RESERVED_NAMES};
use crate::Error;
use crate::path::{LayerPath, OPAQUE_MARKER, Quoted, WHITEOUT_PREFIX};
use crate::plan::{Body, Plan, Record};

/// The order of the entries in an eStargz layer.
#[derive(Debug)]
pub(crate) struct Order {
    /// The prioritized entries, then all others; numbers of the plan's records.
    entries: Vec<u32>,
    /// How many of them are prioritized.
    prioritized: usize,
    /// Prioritized files that are not in the layer.
    missing: Vec<LayerPath>,
    /// Prioritized directories that have entries, none of which is prioritized.
    bare_directories: Vec<LayerPath>,
}

impl Order {
    /// Puts prioritized entries first, and leaves out what an earlier eStargz writer added.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for names that are not UTF-8, which the TOC cannot hold, for
    /// entries that have a reserved name and come from no archive, and for prioritized files that are not in the layer,
    /// unless they may be missing.
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
        let bare_directories = picks.bare_directories(&options.prioritized_files);
        let mut entries = picks.picked;
        let prioritized = entries.len();
        let others = plan.order.iter().filter(|record| {
            !picks.seen.contains(record) && !is_reserved(&plan.records[**record as usize].path)
        });
        entries.extend(others);
        Ok(Self {
            entries,
            prioritized,
            missing,
            bare_directories,
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

    /// Returns the prioritized files that are not in the layer, and the directories that bring nothing along.
    pub(crate) fn into_remarks(self) -> (Vec<LayerPath>, Vec<LayerPath>) {
        (self.missing, self.bare_directories)
    }
}

/// Returns the entries that imported archives had in front of their landmarks, in their order.
///
/// To [prioritize](EstargzOptions::prioritized_files) them keeps the priorities of a layer that is written again.
///
/// # Examples
///
/// ```
/// use imglayer::estargz::{EstargzOptions, prioritized_in_archives};
/// use imglayer::{
///     EncodeOptions, ImportOptions, LayerFormat, LayerPath, PlanBuilder, PlanOptions, write_layer_as,
/// };
///
/// let first = LayerPath::parse("usr/bin/server")?;
/// let mut builder = PlanBuilder::new(PlanOptions::default());
/// builder.bytes(LayerPath::parse("etc/motd")?, "welcome\n")?.bytes(first.clone(), "")?;
/// let mut options = EstargzOptions::default();
/// options.prioritized_files.push(first.clone());
/// let (plan, format) = (builder.finish()?, LayerFormat::Estargz(options));
/// let (_, layer) = write_layer_as(&plan, &format, &EncodeOptions::default(), Vec::new())?;
///
/// let mut options = PlanOptions::default();
/// options.spool_directory = Some(std::env::temp_dir());
/// let mut builder = PlanBuilder::new(options);
/// builder.import_tar_stream("layer", layer.as_slice(), &ImportOptions::default())?;
/// assert_eq!(prioritized_in_archives(&builder.finish()?), [first]);
/// # Ok::<(), imglayer::Error>(())
/// ```
pub fn prioritized_in_archives(plan: &Plan) -> Vec<LayerPath> {
    let is_landmark = |record: &Record| {
        matches!(record.body, Body::File(_))
            && record.path.as_bytes() == PREFETCH_LANDMARK.as_bytes()
    };
    let mut paths = Vec::new();
    for archive in &plan.archives {
        let records = &plan.records[archive.clone()];
        let landmark = records.iter().position(is_landmark).unwrap_or_default();
        let before = records[..landmark].iter().map(|record| &record.path);
        paths.extend(before.filter(|path| !is_reserved(path)).cloned());
    }
    paths
}

/// Returns the paths that have no entry in a layer.
pub(super) fn missing(plan: &Plan, paths: &[LayerPath]) -> Vec<LayerPath> {
    let is_there =
        |path: &LayerPath| path.is_root() || !is_reserved(path) && find(plan, path).is_some();
    paths
        .iter()
        .filter(|path| !is_there(path))
        .cloned()
        .collect()
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
        if is_reserved(path) {
            return Ok(false);
        }
        let Some(record) = find(self.plan, path) else {
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
                if let Some(record) = find(self.plan, before) {
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

    /// Returns those of the paths that are directories with entries, none of which was taken.
    ///
    /// A list that names directories and what is in them, as `find` makes it, has none.
    fn bare_directories(&self, paths: &[LayerPath]) -> Vec<LayerPath> {
        let path_of = |record: &u32| &self.plan.records[*record as usize].path;
        let picked: BTreeSet<&LayerPath> = self.picked.iter().map(path_of).collect();
        let order = &self.plan.order;
        let is_bare = |directory: &LayerPath| {
            // What is in a directory comes right behind it, in both orders.
            let behind = order.partition_point(|record| path_of(record) <= directory);
            let next = order.get(behind).map(path_of);
            let bounds = (Bound::Excluded(directory), Bound::Unbounded);
            let next_picked = picked.range::<LayerPath, _>(bounds).next().copied();
            let is_inside = |path: &LayerPath| path.starts_with(directory);
            next.is_some_and(is_inside) && !next_picked.is_some_and(is_inside)
        };
        let mut seen = HashSet::new();
        (paths.iter())
            .filter(|path| picked.contains(path) && seen.insert(*path) && is_bare(path))
            .cloned()
            .collect()
    }
}

/// Returns the record of the entry at a path.
fn find(plan: &Plan, path: &LayerPath) -> Option<u32> {
    let record_path = |record: &u32| &plan.records[*record as usize].path;
    let at = plan
        .order
        .binary_search_by(|record| record_path(record).cmp(path));
    at.ok().map(|at| plan.order[at])
}

/// Returns whether a path is that of a file that writers of eStargz add, and that would contradict the new one.
fn is_reserved(path: &LayerPath) -> bool {
    (RESERVED_NAMES.iter()).any(|name| path.as_bytes() == name.as_bytes())
}

/// Refuses an entry under a reserved name that is no earlier writer's: to leave it out would lose it.
fn check_origin(plan: &Plan, number: u32) -> Result<(), Error> {
    let at = number as usize;
    let path = &plan.records[at].path;
    if is_reserved(path) && !plan.archives.iter().any(|archive| archive.contains(&at)) {
        let message = format!(
            "{path}: the name is reserved by eStargz for a file of its own; give the file another name, or leave it out"
        );
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// Refuses directories where the format has a file: no entry can be in one.
fn check_place(record: &Record) -> Result<(), Error> {
    let first = record.path.components().next().unwrap_or_default();
    let is_directory =
        first.len() < record.path.as_bytes().len() || matches!(record.body, Body::Directory);
    if is_directory && RESERVED_NAMES.iter().any(|name| first == name.as_bytes()) {
        let name = Quoted(first);
        let message = format!("{}: {name} is a file in every eStargz layer", record.path);
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// Refuses reserved names, and names that JSON cannot hold: a layer that is fetched lazily would have others.
fn check_names(plan: &Plan) -> Result<(), Error> {
    let refused = |what: std::fmt::Arguments<'_>, name: &[u8]| {
        let message = format!("{what} {} is not UTF-8, as eStargz wants it", Quoted(name));
        Err(Error::invalid(message))
    };
    for number in &plan.order {
        let record = &plan.records[*number as usize];
        check_place(record)?;
        check_origin(plan, *number)?;
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
