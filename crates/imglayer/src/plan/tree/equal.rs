//! Finding equal trees.

use std::collections::HashMap;
use std::ops::Range;

use sha2::{Digest, Sha256};

use super::super::{Body, PlanBuilder, Record, TreeOptions};
use crate::Error;
use crate::path::LayerPath;
use crate::source::ContentReader;

type Hash = [u8; 32];

/// The trees that were added, by what can be said of them without reading their files.
#[derive(Debug, Default)]
pub(in crate::plan) struct TreeShapes(HashMap<Hash, Vec<Tree>>);

#[derive(Debug)]
struct Tree {
    path: LayerPath,
    records: Range<usize>,
    /// The hash of all contents, once it was needed.
    contents: Option<Hash>,
}

impl PlanBuilder {
    /// Puts a symlink in the place of the tree whose records start at `first` if there is an equal
    /// one.
    ///
    /// Contents are read only where names, sizes and metadata are equal already.
    pub(super) fn deduplicate_tree(
        &mut self,
        path: LayerPath,
        first: usize,
        options: &TreeOptions,
    ) -> Result<(), Error> {
        if path.is_root() {
            return Ok(());
        }
        let records = first..self.records.len();
        let order = self.tree_order(&records);
        let shape = self.shape(&path, &order);
        let Some(mut earlier) = self.shapes.0.remove(&shape) else {
            self.shapes.0.insert(
                shape,
                vec![Tree {
                    path,
                    records,
                    contents: None,
                }],
            );
            return Ok(());
        };
        let contents = self.contents(&order)?;
        let mut equal = None;
        for tree in &mut earlier {
            if tree.contents.is_none() {
                tree.contents = Some(self.contents(&self.tree_order(&tree.records))?);
            }
            // A link into itself would be a circle.
            let apart = !path.starts_with(&tree.path) && !tree.path.starts_with(&path);
            if tree.contents == Some(contents) && apart {
                equal = Some(tree.path.clone());
                break;
            }
        }
        match equal {
            Some(target) => {
                self.records.truncate(records.start);
                let text = path.relative_link(&target);
                self.add_symlink(path, text, &options.metadata)?;
            }
            None => earlier.push(Tree {
                path,
                records,
                contents: Some(contents),
            }),
        }
        self.shapes.0.insert(shape, earlier);
        Ok(())
    }

    /// Returns the numbers of records in the order of their entries.
    fn tree_order(&self, records: &Range<usize>) -> Vec<usize> {
        let mut order: Vec<usize> = records.clone().collect();
        order.sort_by_key(|at| &self.records[*at].path);
        order
    }

    /// Hashes everything about a tree but its contents and its path.
    fn shape(&self, path: &LayerPath, order: &[usize]) -> Hash {
        let mut hasher = Sha256::new();
        for at in order {
            let Record {
                path: entry,
                body,
                metadata,
            } = &self.records[*at];
            update(&mut hasher, &entry.as_bytes()[path.as_bytes().len()..]);
            update(&mut hasher, body.noun().as_bytes());
            update(&mut hasher, &metadata.to_be_bytes());
            match body {
                Body::File(file) => update(&mut hasher, &file.size.to_be_bytes()),
                Body::Symlink(target) => update(&mut hasher, target),
                Body::Directory | Body::HardLink(_) | Body::Special { .. } => {}
            }
        }
        hasher.finalize().into()
    }

    /// Hashes all contents of a tree.
    fn contents(&self, order: &[usize]) -> Result<Hash, Error> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        for at in order {
            let Record {
                path,
                body: Body::File(file),
                ..
            } = &self.records[*at]
            else {
                continue;
            };
            let mut reader = ContentReader::open(&self.sources, path, &file.source, file.size)?;
            while reader.remaining() > 0 {
                let read = reader.fill(&mut buffer)?;
                // Sizes are part of the shape, so contents need no separator.
                hasher.update(&buffer[..read]);
            }
            reader.finish()?;
        }
        Ok(hasher.finalize().into())
    }
}

/// Adds a field, with its length so that fields cannot be read in another way.
fn update(hasher: &mut Sha256, field: &[u8]) {
    hasher.update((field.len() as u64).to_be_bytes());
    hasher.update(field);
}
