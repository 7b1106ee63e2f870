//! Inputs on their way into the plan: many files at a time, because to look at them together is faster.

use std::mem;
use std::path::PathBuf;

use imglayer::{LayerPath, PlanBuilder, SymlinkPolicy, TreeOptions};

use super::destinations::Input;
use super::param_file::Kind;
use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// So many files are added at once.
const FILES_AT_ONCE: usize = 4096;

/// Adds inputs to a plan in their order.
pub(super) struct Inputs<'a> {
    builder: &'a mut PlanBuilder,
    context: &'a Context,
    options: TreeOptions,
    waiting: Vec<(LayerPath, PathBuf)>,
}

impl<'a> Inputs<'a> {
    pub(super) fn new(builder: &'a mut PlanBuilder, context: &'a Context) -> Self {
        Self {
            builder,
            context,
            // A sandbox may hold a link to each file of a tree instead of the file.
            options: TreeOptions::with_symlinks(SymlinkPolicy::KeepInside),
            waiting: Vec::new(),
        }
    }

    /// Adds one input, or lets it wait for others.
    ///
    /// # Errors
    ///
    /// Fails if this input or one that waited cannot be in a layer.
    pub(super) fn add(&mut self, input: Input) -> Result<(), Failure> {
        let path = match LayerPath::parse(&input.path) {
            Ok(path) => path,
            Err(error) => {
                // What is wrong with an earlier input is told first.
                self.flush()?;
                return Err(error).explain(|| format!("input {}", input.source.display()));
            }
        };
        let host = self.context.path(input.source);
        if input.kind == Kind::File {
            self.waiting.push((path, host));
            return match self.waiting.len() {
                FILES_AT_ONCE.. => self.flush(),
                _ => Ok(()),
            };
        }
        self.flush()?;
        if input.kind == Kind::Symlink {
            self.builder.symlink_from_disk(path, host)?;
        } else {
            self.builder.tree(path, host, &self.options)?;
        }
        Ok(())
    }

    /// Adds what waits.
    ///
    /// # Errors
    ///
    /// Fails if one of the inputs cannot be in a layer.
    pub(super) fn flush(&mut self) -> Result<(), Failure> {
        let waiting = mem::take(&mut self.waiting);
        self.builder.files_or_trees(waiting, &self.options)?;
        Ok(())
    }
}
