//! Collecting what goes into a layer.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::intern::MetadataTable;
use super::parallel;
use super::tree::TreeShapes;
use super::{Body, FileBody, Group, PlanOptions, Record, TreeOptions};
use crate::metadata::{Metadata, MetadataPatch};
use crate::path::{LayerPath, OPAQUE_MARKER, Quoted, WHITEOUT_PREFIX};
use crate::source::{self, Content, Found, FoundKind, Source, Sources};
use crate::{Error, ErrorKind};

/// So many files to look at are worth a thread.
const FILES_OF_A_THREAD: usize = 128;

/// Collects the inputs of a layer in any order and makes a [`Plan`](super::Plan) of them.
///
/// Where two inputs have the same path, the one that was added last is taken, with a
/// [warning](super::Warning). Files on disk are looked at when they are added and read when the
/// layer is written.
///
/// # Examples
///
/// ```
/// use imglayer::{LayerPath, PlanBuilder, PlanOptions};
///
/// let mut builder = PlanBuilder::new(PlanOptions::default());
/// builder
///     .symlink(LayerPath::parse("bin/greet")?, "../usr/bin/hello")?
///     .bytes(LayerPath::parse("etc/motd")?, "welcome\n")?
///     .directory(LayerPath::parse("var/empty")?)?
///     .whiteout(&LayerPath::parse("etc/issue")?)?;
/// let plan = builder.finish()?;
/// let names: Vec<String> = plan.entries().map(|entry| entry.path().to_string()).collect();
/// assert_eq!(names, ["bin/greet", "etc/.wh.issue", "etc/motd", "var/empty"]);
/// # Ok::<(), imglayer::Error>(())
/// ```
#[derive(Debug)]
pub struct PlanBuilder {
    pub(super) options: PlanOptions,
    pub(super) records: Vec<Record>,
    pub(super) table: MetadataTable,
    pub(super) sources: Sources,
    /// Metadata by path.
    pub(super) patches: BTreeMap<LayerPath, MetadataPatch>,
    pub(super) shapes: TreeShapes,
    /// The records that each archive brought.
    pub(super) archives: Vec<Range<usize>>,
    groups: u32,
}

impl PlanBuilder {
    /// Starts without inputs.
    pub fn new(options: PlanOptions) -> Self {
        Self {
            options,
            records: Vec::new(),
            table: MetadataTable::default(),
            sources: Sources::default(),
            patches: BTreeMap::new(),
            shapes: TreeShapes::default(),
            archives: Vec::new(),
            groups: 0,
        }
    }

    /// Adds a regular file from disk. A symlink on disk is followed.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) or [`Io`](ErrorKind::Io) if the file cannot be looked at,
    /// [`InvalidInput`](ErrorKind::InvalidInput) if it is not a regular file, or the path cannot be
    /// an entry's: it is the root, or holds a component that starts with `.wh.`.
    pub fn file(&mut self, path: LayerPath, host: impl AsRef<Path>) -> Result<&mut Self, Error> {
        let host = host.as_ref();
        let found = source::stat(host, &path)?;
        if found.kind != FoundKind::File {
            return Err(wrong_type(&path, host, "regular file"));
        }
        self.add_file(path, host, &found, &MetadataPatch::default())
    }

    /// Adds what is on disk: a file, or a directory with everything in it.
    ///
    /// # Errors
    ///
    /// As [`file`](Self::file) and [`tree`](Self::tree).
    pub fn file_or_tree(
        &mut self,
        path: LayerPath,
        host: impl AsRef<Path>,
        options: &TreeOptions,
    ) -> Result<&mut Self, Error> {
        let host = host.as_ref();
        let found = source::stat(host, &path)?;
        self.add_file_or_tree(path, host, &found, options)
    }

    /// Adds many things on disk, each as [`file_or_tree`](Self::file_or_tree) does and in this order.
    ///
    /// They are looked at by several threads where they are many.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use imglayer::{LayerPath, PlanBuilder, PlanOptions, TreeOptions};
    ///
    /// let mut builder = PlanBuilder::new(PlanOptions::default());
    /// let inputs = vec![
    ///     (LayerPath::parse("srv/index.html")?, "build/index.html".into()),
    ///     (LayerPath::parse("srv/images")?, "assets/images".into()),
    /// ];
    /// builder.files_or_trees(inputs, &TreeOptions::default())?;
    /// # Ok::<(), imglayer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`file_or_tree`](Self::file_or_tree), for the first that cannot be added.
    pub fn files_or_trees(
        &mut self,
        inputs: Vec<(LayerPath, PathBuf)>,
        options: &TreeOptions,
    ) -> Result<&mut Self, Error> {
        let found = parallel::map(&inputs, FILES_OF_A_THREAD, |(_, host)| source::look(host));
        self.records.reserve(inputs.len());
        for ((path, host), found) in inputs.into_iter().zip(found) {
            let found = found.map_err(|error| Error::io(format!("input for {path}"), error))?;
            self.add_file_or_tree(path, &host, &found, options)?;
        }
        Ok(self)
    }

    fn add_file_or_tree(
        &mut self,
        path: LayerPath,
        host: &Path,
        found: &Found,
        options: &TreeOptions,
    ) -> Result<&mut Self, Error> {
        match found.kind {
            FoundKind::Directory => self.tree(path, host, options),
            FoundKind::File => self.add_file(path, host, found, &options.metadata),
            FoundKind::Special | FoundKind::Symlink => {
                Err(wrong_type(&path, host, "regular file or directory"))
            }
        }
    }

    /// Adds a regular file with the given content.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) as for [`file`](Self::file).
    pub fn bytes(
        &mut self,
        path: LayerPath,
        content: impl Into<Vec<u8>>,
    ) -> Result<&mut Self, Error> {
        let content: Arc<[u8]> = content.into().into();
        let size = content.len() as u64;
        self.add_memory(path, Source::Bytes(content), size)
    }

    /// Adds a regular file of size 0.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) as for [`file`](Self::file).
    pub fn empty_file(&mut self, path: LayerPath) -> Result<&mut Self, Error> {
        self.bytes(path, [])
    }

    /// Adds a regular file whose content the caller can read from somewhere.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) as for [`file`](Self::file).
    pub fn content(
        &mut self,
        path: LayerPath,
        content: Arc<dyn Content>,
    ) -> Result<&mut Self, Error> {
        let size = content.size();
        self.add_memory(path, Source::Custom(content), size)
    }

    /// Adds a directory without what may be in it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) as for [`file`](Self::file).
    pub fn directory(&mut self, path: LayerPath) -> Result<&mut Self, Error> {
        let metadata = self.directory_metadata(0o755, &MetadataPatch::default());
        self.push(path, Body::Directory, metadata)
    }

    /// Adds a symlink with this text, whatever the text says.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) as for [`file`](Self::file), and for a text that
    /// holds a NUL byte.
    pub fn symlink(
        &mut self,
        path: LayerPath,
        target: impl Into<Vec<u8>>,
    ) -> Result<&mut Self, Error> {
        self.add_symlink(path, target.into(), &MetadataPatch::default())
    }

    /// Adds a symlink with the text of one on disk.
    ///
    /// # Errors
    ///
    /// [`NotFound`](ErrorKind::NotFound) or [`Io`](ErrorKind::Io) if there is no symlink, and as
    /// [`symlink`](Self::symlink).
    pub fn symlink_from_disk(
        &mut self,
        path: LayerPath,
        host: impl AsRef<Path>,
    ) -> Result<&mut Self, Error> {
        let target = source::read_link(host.as_ref(), &path)?;
        self.symlink(path, target)
    }

    /// Adds another name for a regular file of the same layer, which may be added later.
    ///
    /// Which of the names carries the content is decided by their order in the layer. They share
    /// their metadata.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) as for [`file`](Self::file). Whether there is such
    /// a file is known when the builder is [finished](Self::finish).
    pub fn hard_link(&mut self, path: LayerPath, target: LayerPath) -> Result<&mut Self, Error> {
        let metadata = self.table.number(Metadata::with_mode(0o644));
        self.push(path, Body::HardLink(target), metadata)
    }

    /// Removes what lower layers have at a path.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for the root and for a path that is a whiteout
    /// itself.
    pub fn whiteout(&mut self, path: &LayerPath) -> Result<&mut Self, Error> {
        check_entry(path)?;
        let name = [WHITEOUT_PREFIX, path.file_name()].concat();
        let directory = path.parent().unwrap_or_else(LayerPath::root);
        Ok(self.push_marker(directory.child(&name)?))
    }

    /// Hides everything that lower layers have in a directory, which may be the root.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a path that holds a whiteout.
    pub fn opaque(&mut self, directory: &LayerPath) -> Result<&mut Self, Error> {
        if !directory.is_root() {
            check_entry(directory)?;
        }
        Ok(self.push_marker(directory.child(OPAQUE_MARKER)?))
    }

    /// Sets the metadata of the entry at a path, above the default and what the input says.
    ///
    /// A second patch for the same path replaces the first. A patch for a path that has no entry in
    /// the end is an error of [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a value that no entry can have.
    pub fn metadata(
        &mut self,
        path: LayerPath,
        changes: MetadataPatch,
    ) -> Result<&mut Self, Error> {
        changes.check(&path)?;
        self.patches.insert(path, changes);
        Ok(self)
    }

    /// Changes the metadata of the input that was added last, above the default and what it says.
    ///
    /// Unlike [`metadata`](Self::metadata) this is about one input, not about a path: where another
    /// input for the same path is taken, the change is gone with its input, and a
    /// [warning](super::Warning) tells of it.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) if nothing was added yet, if the last input is a
    /// hard link, which has the metadata of its target, and for a value that no entry can have.
    ///
    /// # Examples
    ///
    /// ```
    /// use imglayer::{LayerPath, MetadataPatch, PlanBuilder, PlanOptions};
    ///
    /// let mut private = MetadataPatch::default();
    /// private.mode = Some(0o600);
    /// let mut builder = PlanBuilder::new(PlanOptions::default());
    /// builder
    ///     .bytes(LayerPath::parse("etc/key")?, "secret")?
    ///     .metadata_of_last(&private)?;
    /// let plan = builder.finish()?;
    /// assert_eq!(plan.entries().next().map(|entry| entry.metadata().mode), Some(0o600));
    /// # Ok::<(), imglayer::Error>(())
    /// ```
    pub fn metadata_of_last(&mut self, changes: &MetadataPatch) -> Result<&mut Self, Error> {
        let Some(last) = self.records.last_mut() else {
            return Err(Error::invalid("metadata for an input that was not added"));
        };
        changes.check(&last.path)?;
        if matches!(last.body, Body::HardLink(_)) {
            let message = format!(
                "hard link {}: its metadata is that of its target",
                last.path
            );
            return Err(Error::invalid(message));
        }
        last.metadata = self.table.changed(last.metadata, changes);
        Ok(self)
    }

    /// Adds a file that was looked at already.
    pub(super) fn add_file(
        &mut self,
        path: LayerPath,
        host: &Path,
        found: &Found,
        changes: &MetadataPatch,
    ) -> Result<&mut Self, Error> {
        let file = self.sources.directories.file(host, &path, found);
        let metadata = self.file_metadata(self.options.modes.of_file(found.mode), changes);
        let body = FileBody {
            source: Source::Disk(file),
            size: found.size,
            group: None,
        };
        self.push(path, Body::File(body), metadata)
    }

    pub(super) fn add_symlink(
        &mut self,
        path: LayerPath,
        target: Vec<u8>,
        changes: &MetadataPatch,
    ) -> Result<&mut Self, Error> {
        if target.contains(&0) {
            let message = format!("symlink {path}: text {} holds a NUL byte", Quoted(&target));
            return Err(Error::invalid(message));
        }
        let metadata = self.symlink_metadata(changes);
        self.push(path, Body::Symlink(target.into()), metadata)
    }

    /// Adds an entry, whose path must not look like a whiteout.
    pub(super) fn push(
        &mut self,
        path: LayerPath,
        body: Body,
        metadata: u32,
    ) -> Result<&mut Self, Error> {
        check_entry(&path)?;
        self.records.push(Record {
            path,
            body,
            metadata,
        });
        Ok(self)
    }

    /// Adds a whiteout: an empty file that no default metadata is for.
    fn push_marker(&mut self, path: LayerPath) -> &mut Self {
        let metadata = self.table.number(Metadata::with_mode(0o644));
        let source = Source::Bytes(Arc::default());
        let body = Body::File(FileBody {
            source,
            size: 0,
            group: None,
        });
        self.records.push(Record {
            path,
            body,
            metadata,
        });
        self
    }

    pub(super) fn file_metadata(&mut self, mode: u32, patch: &MetadataPatch) -> u32 {
        let mut metadata = Metadata::with_mode(mode);
        self.options.default_metadata.apply(&mut metadata);
        patch.apply(&mut metadata);
        self.table.number(metadata)
    }

    pub(super) fn directory_metadata(&mut self, mode: u32, patch: &MetadataPatch) -> u32 {
        let mut metadata = Metadata::with_mode(mode);
        for patch in [&self.options.default_metadata, patch] {
            patch.apply_but_mode(&mut metadata);
            if let Some(mode) = patch.mode {
                metadata.mode = searchable(mode);
            }
        }
        self.table.number(metadata)
    }

    pub(super) fn symlink_metadata(&mut self, patch: &MetadataPatch) -> u32 {
        let mut metadata = Metadata::with_mode(0o777);
        self.options.default_metadata.apply_but_mode(&mut metadata);
        patch.apply_but_mode(&mut metadata);
        self.table.number(metadata)
    }

    /// Returns a number for a file that has several names.
    pub(super) fn new_group(&mut self) -> Group {
        self.groups += 1;
        Group(
            self.groups
                .try_into()
                .expect("because it was just counted up from 0"),
        )
    }

    fn add_memory(
        &mut self,
        path: LayerPath,
        source: Source,
        size: u64,
    ) -> Result<&mut Self, Error> {
        let mode = self.options.modes.of_memory();
        let metadata = self.file_metadata(mode, &MetadataPatch::default());
        self.push(
            path,
            Body::File(FileBody {
                source,
                size,
                group: None,
            }),
            metadata,
        )
    }
}

/// Refuses paths that no entry can have.
fn check_entry(path: &LayerPath) -> Result<(), Error> {
    if path.is_root() {
        return Err(Error::invalid(
            "the root of a layer has no entry of its own",
        ));
    }
    if let Some(name) = path.whiteout_component() {
        let name = Quoted(name);
        let message =
            format!("{path}: the name {name} would remove files of lower layers at run time");
        return Err(Error::invalid(message));
    }
    Ok(())
}

/// Returns the mode of a directory whose files have `mode`: who may read may search.
fn searchable(mode: u32) -> u32 {
    mode | (mode & 0o444) >> 2
}

pub(super) fn wrong_type(path: &LayerPath, host: &Path, wanted: &str) -> Error {
    Error::new(
        ErrorKind::InvalidInput,
        format!("input for {path}: {} is no {wanted}", host.display()),
    )
}
