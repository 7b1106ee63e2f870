//! Where a pulled image goes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use imgcore::{Descriptor, Reference};
use imgpull::{Pulled, Store};
use imgstore::{CONTAINERD_NAME, DirectoryStore, Durability, OciLayout};

use super::Arguments;
use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// A layout, or a directory of blobs.
#[derive(Debug)]
pub(super) enum Target {
    Blobs {
        store: DirectoryStore,
        /// The directory above, as it was named.
        path: PathBuf,
    },
    Layout {
        layout: OciLayout,
        /// What the image is called in it, with its tag; `None` for an image that only has a digest.
        name: Option<Name>,
        has_one_platform: bool,
        /// Whether this call made it.
        is_new: bool,
    },
}

/// How layouts name an image: by its tag, and by its full name.
#[derive(Debug)]
pub(super) struct Name {
    tag: String,
    full: String,
}

impl Target {
    /// Makes the directory, unless it is there.
    pub(super) fn open(
        context: &Context,
        arguments: &Arguments,
        reference: Option<&Reference>,
    ) -> Result<Self, Failure> {
        if let Some(directory) = &arguments.oci_layout {
            let path = context.path(directory);
            let writing = || format!("cannot write the layout {}", directory.display());
            let is_new = !path.exists();
            let layout = OciLayout::create(&path).explain(writing)?;
            layout.remove_leftovers().explain(writing)?;
            return Ok(Self::Layout {
                layout,
                name: reference.and_then(name_of),
                has_one_platform: arguments.platform.len() == 1,
                is_new,
            });
        }
        let directory = arguments.output.clone();
        let directory = directory.unwrap_or_else(|| PathBuf::from("."));
        let writing = || format!("cannot write blobs to {}", directory.display());
        let store = DirectoryStore::create(context.path(&directory).join("blobs"));
        let store = store.explain(writing)?;
        store.remove_leftovers().explain(writing)?;
        Ok(Self::Blobs {
            store,
            path: directory,
        })
    }

    pub(super) fn is_layout(&self) -> bool {
        matches!(self, Self::Layout { .. })
    }

    /// A build makes its directory again whenever it needs to; a person keeps a layout.
    pub(super) fn durability(&self) -> Durability {
        match self {
            Self::Blobs { .. } => Durability::Program,
            Self::Layout { .. } => Durability::Machine,
        }
    }

    pub(super) fn store(&self) -> Arc<dyn Store> {
        match self {
            Self::Blobs { store, .. } => Arc::new(store.clone()),
            Self::Layout { layout, .. } => Arc::new(layout.clone()),
        }
    }

    /// Names what was pulled, after its blobs are there: for one platform the image, which is whole. Several platforms of
    /// an index only have the index for a name, and that also leads to the images that were not wanted:
    /// readers that read all of an index find them missing, and `img check` says why.
    pub(super) fn finish(&self, pulled: &Pulled) -> Result<(), Failure> {
        let Self::Layout {
            layout,
            name,
            has_one_platform,
            ..
        } = self
        else {
            return Ok(());
        };
        let mut root = match pulled.images.as_slice() {
            // The index leads to images that are not there.
            [only] if *has_one_platform => only.descriptor.clone(),
            _ => pulled.root.clone(),
        };
        let Some(name) = name else {
            return Ok(layout.add(&root, None)?);
        };
        set_full_name(&mut root, name);
        Ok(layout.add(&root, Some(&name.tag))?)
    }

    /// Takes a layout away again that this call made, unless it has blobs: the next pull goes on with them.
    pub(super) fn abandon(&self) {
        let Self::Layout {
            layout,
            is_new: true,
            ..
        } = self
        else {
            return;
        };
        // Directories with something in them are not removed.
        let _ = remove_empty(layout.root());
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Blobs { .. } => "blobs",
            Self::Layout { .. } => "layout",
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Blobs { path, .. } => path,
            Self::Layout { layout, .. } => layout.root(),
        }
    }
}

fn name_of(reference: &Reference) -> Option<Name> {
    let tag = reference.tag()?;
    Some(Name {
        tag: tag.to_string(),
        full: format!("{}:{tag}", reference.name()),
    })
}

fn set_full_name(root: &mut Descriptor, name: &Name) {
    let annotation = (CONTAINERD_NAME.to_owned(), name.full.clone());
    root.annotations.extend([annotation]);
}

fn remove_empty(layout: &Path) -> std::io::Result<()> {
    let blobs = layout.join("blobs");
    for algorithm in fs::read_dir(&blobs)? {
        fs::remove_dir(algorithm?.path())?;
    }
    fs::remove_dir(blobs)?;
    fs::remove_file(layout.join("index.json"))?;
    fs::remove_file(layout.join("oci-layout"))?;
    fs::remove_dir(layout)
}
