//! Directories on disk with everything in them.

mod equal;
mod follow;

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::builder::wrong_type;
use super::{Body, PlanBuilder, SymlinkPolicy, TreeHandling, TreeOptions, parallel};
use crate::path::LayerPath;
use crate::source::{Found, FoundKind, Item};
use crate::{Error, source};

pub(super) use equal::TreeShapes;
use follow::{Followed, Resolved};

/// So many directories are read before what is in them is added.
const DIRECTORIES_AT_ONCE: usize = 64;
/// So many directories to read are worth a thread.
const DIRECTORIES_OF_A_THREAD: usize = 16;

impl PlanBuilder {
    /// Adds a directory on disk with everything in it, empty directories too.
    ///
    /// `path` may be the root of the layer, which gets no entry. What is in the tree when it is
    /// added is in the layer; a file that changes after that is an error when the layer is written.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use imglayer::{LayerPath, PlanBuilder, PlanOptions, SymlinkPolicy, TreeOptions};
    ///
    /// let mut builder = PlanBuilder::new(PlanOptions::default());
    /// let options = TreeOptions::with_symlinks(SymlinkPolicy::KeepInside);
    /// builder.tree(LayerPath::parse("srv/www")?, "build/site", &options)?;
    /// # Ok::<(), imglayer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) or [`Io`](crate::ErrorKind::Io) if something in the
    /// tree cannot be looked at, [`InvalidInput`](crate::ErrorKind::InvalidInput) if `host` is no
    /// directory, for a name that starts with `.wh.`, for a link that leads back to where it is,
    /// and for sockets, pipes and devices.
    pub fn tree(
        &mut self,
        path: LayerPath,
        host: impl AsRef<Path>,
        options: &TreeOptions,
    ) -> Result<&mut Self, Error> {
        self.tree_filtered(path, host, options, &mut |_| true)
    }

    /// Adds a directory on disk with what `keep` says yes to in it.
    ///
    /// `keep` is asked with paths relative to the tree. A directory that it says no to is not
    /// looked into.
    ///
    /// # Errors
    ///
    /// As [`tree`](Self::tree).
    pub fn tree_filtered(
        &mut self,
        path: LayerPath,
        host: impl AsRef<Path>,
        options: &TreeOptions,
        keep: &mut dyn FnMut(&LayerPath) -> bool,
    ) -> Result<&mut Self, Error> {
        let host = host.as_ref();
        options.metadata.check(&path)?;
        let found = source::stat(host, &path)?;
        if found.kind != FoundKind::Directory {
            return Err(wrong_type(&path, host, "directory"));
        }
        let first = self.records.len();
        if !path.is_root() {
            let mode = self.options.modes.of_directory(found.mode);
            let metadata = self.directory_metadata(mode, &options.metadata);
            self.push(path.clone(), Body::Directory, metadata)?;
        }
        let root = Directory {
            host: host.to_owned(),
            tree_path: LayerPath::root(),
            own_path: LayerPath::root(),
            followed: None,
        };
        Walk {
            builder: self,
            path: &path,
            options,
            keep,
            pending: VecDeque::from([root]),
        }
        .run()?;
        if self.options.trees == TreeHandling::DeduplicateBySymlink {
            self.deduplicate_tree(path, first, options)?;
        }
        Ok(self)
    }
}

/// A directory that is still to be read.
struct Directory {
    host: PathBuf,
    /// Where it is in the tree.
    tree_path: LayerPath,
    /// Where it is in the directory that the last followed link led to.
    own_path: LayerPath,
    followed: Option<Arc<Followed>>,
}

struct Walk<'a> {
    builder: &'a mut PlanBuilder,
    path: &'a LayerPath,
    options: &'a TreeOptions,
    keep: &'a mut dyn FnMut(&LayerPath) -> bool,
    pending: VecDeque<Directory>,
}

impl Walk<'_> {
    /// Reads directories until none is left. The list stands in for recursion, so that a deep tree
    /// cannot exhaust the stack; those at its start are read at the same time.
    fn run(mut self) -> Result<(), Error> {
        while !self.pending.is_empty() {
            let some = self.pending.len().min(DIRECTORIES_AT_ONCE);
            let directories: Vec<Directory> = self.pending.drain(..some).collect();
            let items = parallel::map(&directories, DIRECTORIES_OF_A_THREAD, |it| {
                source::sorted_items(&it.host)
            });
            for (directory, items) in directories.iter().zip(items) {
                let items = items.map_err(|error| {
                    let entry = self.path.join(&directory.tree_path);
                    Error::io(format!("input for {entry}"), error)
                })?;
                items
                    .into_iter()
                    .try_for_each(|item| self.add(item, directory))?;
            }
        }
        Ok(())
    }

    /// Adds what stands at a name in `directory`.
    fn add(&mut self, item: Item, directory: &Directory) -> Result<(), Error> {
        let name = source::name_bytes(&directory.host, &item.name)?;
        let tree_path = directory.tree_path.child(name)?;
        if !(self.keep)(&tree_path) {
            return Ok(());
        }
        let own_path = match directory.followed {
            Some(_) => directory.own_path.child(name)?,
            None => tree_path.clone(),
        };
        let entry = self.path.join(&tree_path);
        let found = (item.found).map_err(|error| Error::io(format!("input for {entry}"), error))?;
        let item = Directory {
            host: directory.host.join(&item.name),
            tree_path,
            own_path,
            followed: directory.followed.clone(),
        };
        if found.kind == FoundKind::Symlink {
            return self.add_link(item, directory, entry);
        }
        self.add_found(item, entry, &found)
    }

    fn add_link(
        &mut self,
        item: Directory,
        directory: &Directory,
        entry: LayerPath,
    ) -> Result<(), Error> {
        let text = match self.options.symlinks {
            SymlinkPolicy::Follow => None,
            SymlinkPolicy::Keep => Some(source::read_link(&item.host, &entry)?),
            SymlinkPolicy::KeepInside => {
                match follow::resolve(&item.host, &item.own_path, &entry)? {
                    Resolved::Inside(text) => Some(text),
                    Resolved::Outside(text) => leads_nowhere(&item.host).then_some(text),
                }
            }
        };
        if let Some(text) = text {
            self.builder
                .add_symlink(entry, text, &self.options.metadata)?;
            return Ok(());
        }
        let found = source::stat(&item.host, &entry)?;
        if found.kind != FoundKind::Directory {
            return self.add_found(item, entry, &found);
        }
        let followed = Followed::enter(
            &item.host,
            &directory.host,
            directory.followed.as_ref(),
            &entry,
        )?;
        let item = Directory {
            own_path: LayerPath::root(),
            followed: Some(followed),
            ..item
        };
        self.add_found(item, entry, &found)
    }

    fn add_found(&mut self, item: Directory, entry: LayerPath, found: &Found) -> Result<(), Error> {
        let patch = &self.options.metadata;
        if found.kind == FoundKind::File {
            self.builder.add_file(entry, &item.host, found, patch)?;
        } else if found.kind == FoundKind::Directory {
            let mode = self.builder.options.modes.of_directory(found.mode);
            let metadata = self.builder.directory_metadata(mode, patch);
            self.builder.push(entry, Body::Directory, metadata)?;
            self.pending.push_back(item);
        } else {
            return Err(wrong_type(&entry, &item.host, "file, directory or symlink"));
        }
        Ok(())
    }
}

/// Says whether what a link leads to does not exist.
fn leads_nowhere(link: &Path) -> bool {
    fs_err::metadata(link).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}
