//! From inputs in the order of operations to entries in the order of the layer.

use std::collections::HashMap;

use super::{Body, Plan, PlanBuilder, Record, Warning};
use crate::path::LayerPath;
use crate::{Error, MetadataPatch};

impl PlanBuilder {
    /// Decides what is in the layer.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if
    ///
    /// * a path is a directory for one input and something else for another;
    /// * a [hard link](Self::hard_link) leads to no regular file, or to itself;
    /// * names of one file are given different [metadata](Self::metadata);
    /// * metadata was given for paths that have no entry, which are listed;
    /// * the default metadata has a value that no entry can have.
    pub fn finish(mut self) -> Result<Plan, Error> {
        self.options.default_metadata.check(&"all files")?;
        let (mut order, warnings) = self.choose()?;
        if self.options.create_parents {
            order = self.with_parents(&order)?;
        }
        self.resolve_hard_links(&order)?;
        self.patch(&order)?;
        self.sources.directories.seal();
        self.records.shrink_to_fit();
        Ok(Plan {
            records: self.records,
            order,
            metadata: self.table.into_list(),
            sources: self.sources,
            hardlinks: self.options.hardlinks,
            archives: self.archives,
            warnings,
        })
    }

    /// Takes the last record of each path, and refuses paths that cannot be together.
    fn choose(&self) -> Result<(Vec<u32>, Vec<Warning>), Error> {
        let sorted = self.sorted()?;
        let mut order = Vec::with_capacity(sorted.len());
        let mut warnings = Vec::new();
        // The last entry that is no directory: nothing may be inside of it.
        let mut leaf: Option<&Record> = None;
        let same_path =
            |left: &u32, right: &u32| self.record(*left).path == self.record(*right).path;
        for inputs in sorted.chunk_by(same_path) {
            let [.., last] = inputs else { continue };
            let record = self.record(*last);
            if let Some(leaf) = leaf.filter(|leaf| record.path.starts_with(&leaf.path)) {
                return Err(inside_of(leaf, &record.path));
            }
            warnings.extend(self.check_inputs(inputs, record)?);
            if !matches!(record.body, Body::Directory) {
                leaf = Some(record);
            }
            order.push(*last);
        }
        Ok((order, warnings))
    }

    /// Returns the records in the order of their paths, those of one path in the order in which they were added.
    fn sorted(&self) -> Result<Vec<u32>, Error> {
        let count = u32::try_from(self.records.len())
            .map_err(|_| Error::invalid("a layer can have 4294967295 entries at most"))?;
        let mut keyed: Vec<(u128, u32)> = (0..count)
            .map(|at| (self.record(at).path.order_key(), at))
            .collect();
        // Inputs are often in order already, in long runs at least, which this way of sorting makes use of.
        keyed.sort_by(|(left_key, left), (right_key, right)| {
            left_key
                .cmp(right_key)
                .then_with(|| self.record(*left).path.cmp(&self.record(*right).path))
        });
        Ok(keyed.into_iter().map(|(_, at)| at).collect())
    }

    /// Compares the inputs for one path, the last of which is `taken`.
    fn check_inputs(&self, inputs: &[u32], taken: &Record) -> Result<Option<Warning>, Error> {
        let mut dropped = 0;
        for input in inputs {
            let other = self.record(*input);
            let are_directories =
                [other, taken].map(|record| matches!(record.body, Body::Directory));
            if are_directories[0] != are_directories[1] {
                return Err(Error::invalid(format!(
                    "{}: one input is a {}, another a {}",
                    taken.path,
                    other.body.noun(),
                    taken.body.noun()
                )));
            }
            dropped += u32::from(!is_same(other, taken));
        }
        Ok((dropped > 0).then(|| Warning::Replaced {
            path: taken.path.clone(),
            dropped,
        }))
    }

    /// Adds the directories that entries are in and that are not there.
    fn with_parents(&mut self, order: &[u32]) -> Result<Vec<u32>, Error> {
        let metadata = self.directory_metadata(0o755, &MetadataPatch::default());
        let mut all = Vec::with_capacity(order.len());
        let mut last = LayerPath::root();
        for at in order {
            let path = self.record(*at).path.clone();
            let mut missing: Vec<LayerPath> = Vec::new();
            let mut parent = path.parent();
            // Entries are sorted, so a directory is there exactly if the last entry is in it or it.
            while let Some(directory) =
                parent.filter(|directory| !directory.is_root() && !last.starts_with(directory))
            {
                parent = directory.parent();
                missing.push(directory);
            }
            for path in missing.into_iter().rev() {
                let number = u32::try_from(self.records.len())
                    .map_err(|_| Error::invalid("a layer can have 4294967295 entries at most"))?;
                self.records.push(Record {
                    path,
                    body: Body::Directory,
                    metadata,
                });
                all.push(number);
            }
            all.push(*at);
            last = path;
        }
        Ok(all)
    }

    /// Makes every hard link a name in the group of its target.
    fn resolve_hard_links(&mut self, order: &[u32]) -> Result<(), Error> {
        let links: Vec<u32> = order
            .iter()
            .copied()
            .filter(|at| matches!(self.record(*at).body, Body::HardLink(_)))
            .collect();
        for link in links {
            let target = self.hard_link_target(order, link)?;
            let fresh = self.new_group();
            let target = &mut self.records[target as usize];
            let Body::File(file) = &mut target.body else {
                continue;
            };
            file.group.get_or_insert(fresh);
            let mut file = file.clone();
            file.source = file.source.apart_from(&target.path);
            let metadata = target.metadata;
            let record = &mut self.records[link as usize];
            record.body = Body::File(file);
            record.metadata = metadata;
        }
        Ok(())
    }

    /// Returns the record of the file that a hard link leads to, through others perhaps.
    fn hard_link_target(&self, order: &[u32], link: u32) -> Result<u32, Error> {
        let start = &self.record(link).path;
        let mut at = link;
        for _ in 0..=order.len() {
            let Body::HardLink(target) = &self.record(at).body else {
                break;
            };
            let found = order.binary_search_by(|other| self.record(*other).path.cmp(target));
            let Ok(found) = found else {
                let message = format!("hard link {start}: its target {target} is not in the layer");
                return Err(Error::invalid(message));
            };
            at = order[found];
        }
        match &self.record(at).body {
            Body::File(_) => Ok(at),
            Body::HardLink(_) => Err(Error::invalid(format!(
                "hard link {start} leads back to itself"
            ))),
            body => Err(Error::invalid(format!(
                "hard link {start}: its target {} is a {}, not a regular file",
                self.record(at).path,
                body.noun()
            ))),
        }
    }

    /// Applies the metadata that was given by path.
    fn patch(&mut self, order: &[u32]) -> Result<(), Error> {
        if self.patches.is_empty() {
            return Ok(());
        }
        let mut patches = std::mem::take(&mut self.patches);
        let mut groups = HashMap::new();
        for at in order {
            let record = &mut self.records[*at as usize];
            let Some(patch) = patches.remove(&record.path) else {
                continue;
            };
            record.metadata = self.table.changed(record.metadata, &patch);
            let Body::File(super::FileBody {
                group: Some(group), ..
            }) = record.body
            else {
                continue;
            };
            let (first, metadata) = *groups.entry(group).or_insert((*at, record.metadata));
            if metadata != record.metadata {
                return Err(Error::invalid(format!(
                    "{} and {} are names of one file and cannot differ in metadata",
                    self.record(first).path,
                    self.record(*at).path
                )));
            }
        }
        if !patches.is_empty() {
            let paths: Vec<String> = patches.keys().map(ToString::to_string).collect();
            let message = format!("metadata for paths without entry: {}", paths.join(", "));
            return Err(Error::invalid(message));
        }
        for at in order {
            let record = &mut self.records[*at as usize];
            if let Body::File(super::FileBody {
                group: Some(group), ..
            }) = record.body
                && let Some((_, metadata)) = groups.get(&group)
            {
                record.metadata = *metadata;
            }
        }
        Ok(())
    }

    fn record(&self, at: u32) -> &Record {
        &self.records[at as usize]
    }
}

fn inside_of(leaf: &Record, path: &LayerPath) -> Error {
    Error::invalid(format!(
        "{path} cannot be in the layer together with {}, which is a {} and not a directory",
        leaf.path,
        leaf.body.noun()
    ))
}

/// Returns whether two inputs make the same entry, so that it does not matter which is taken.
fn is_same(left: &Record, right: &Record) -> bool {
    left.metadata == right.metadata
        && match (&left.body, &right.body) {
            (Body::Directory, Body::Directory) => true,
            (Body::File(left), Body::File(right)) => {
                left.size == right.size && left.source.is_same(&right.source)
            }
            (Body::HardLink(left), Body::HardLink(right)) => left == right,
            (
                Body::Special { kind, device },
                Body::Special {
                    kind: other_kind,
                    device: other_device,
                },
            ) => (kind, device) == (other_kind, other_device),
            (Body::Symlink(left), Body::Symlink(right)) => left == right,
            _ => false,
        }
}
