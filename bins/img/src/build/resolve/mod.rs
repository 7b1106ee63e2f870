//! From what a build file says to the entries of each layer of each platform. Files are found here and read later.

mod pattern;
#[cfg(test)]
mod tests;
mod walk;

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use fs_err as fs;
use imgcore::Platform;
use toml::Spanned;

use self::pattern::Selection;
use self::walk::{Found, Kind};
use super::file::{BuildFile, Compression, Copy, ImagePath, Layer, Level, Owner, Text};
use super::reason;
use crate::report::{Explain as _, Failure};
use crate::sys;

/// How the directories start that builds put unfinished layers into. They are never sources.
pub(crate) const STAGING_PREFIX: &str = ".img-build-";

/// The permission bits of a directory, unless told otherwise.
const DIRECTORY: u32 = 0o755;

/// The permission bits of a file whose content stands in the build file, unless told otherwise.
const FILE: u32 = 0o644;

/// One layer for one platform. Two equal ones are one blob.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResolvedLayer {
    /// How the layer is called in the image's history.
    pub(crate) name: String,
    /// How it is called in messages.
    pub(crate) title: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) compression: Compression,
    pub(crate) level: Level,
    /// The files that are fetched first of an eStargz layer; `None` for a layer that is none.
    pub(crate) estargz: Option<Vec<Vec<u8>>>,
    pub(crate) hard_links: bool,
    /// Who owns what does not say otherwise.
    pub(crate) owner: Owner,
    /// Whether files keep all their permission bits, or only whether they may be executed.
    pub(crate) preserve_modes: bool,
}

/// One path of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Entry {
    /// Relative to the image's root, separated by slashes.
    pub(crate) path: Vec<u8>,
    pub(crate) content: Content,
    /// Permission bits; `None` for those of the source.
    pub(crate) mode: Option<u32>,
    pub(crate) owner: Owner,
}

/// What is at the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    Directory,
    File(PathBuf),
    /// The path is removed from what is below.
    Removed,
    Symlink(Vec<u8>),
}

/// Finds everything that goes into the layers of one platform, lowest layer first.
///
/// # Errors
///
/// Fails if a source does not exist, a pattern matches nothing, or a file is of a kind that no layer holds.
pub(crate) fn layers(file: &BuildFile, platform: &Platform) -> Result<Vec<ResolvedLayer>, Failure> {
    let own = own_files(file);
    let mut layers = Vec::new();
    for (position, layer) in file.build.layers.iter().enumerate() {
        if is_for(&layer.get_ref().platforms, platform) {
            layers.push(resolve_layer(file, &own, (position, layer), platform)?);
        }
    }
    Ok(layers)
}

fn resolve_layer(
    file: &BuildFile,
    own: &[PathBuf],
    (position, layer): (usize, &Spanned<Layer>),
    platform: &Platform,
) -> Result<ResolvedLayer, Failure> {
    let build = &file.build;
    let (span, layer) = (layer.span(), layer.get_ref());
    let compression = layer.compression.unwrap_or(build.compression);
    let mut resolver = Resolver {
        file,
        own,
        platform,
        owner: layer.owner.map(|owner| owner.0).unwrap_or_default(),
        preserve_modes: layer.preserve_modes.unwrap_or(build.preserve_modes),
        entries: Vec::new(),
    };
    resolver.layer(layer)?;
    let estargz = resolver.estargz(span, layer, compression)?;
    let (owner, preserve_modes) = (resolver.owner, resolver.preserve_modes);
    // Counted as `img ls --layer`, `img inspect` and `img check` count.
    let unnamed = format!("layer {position}");
    let (name, title) = match &layer.name {
        Some(name) => (name.clone(), format!("layer `{name}`")),
        None => (unnamed.clone(), unnamed),
    };
    Ok(ResolvedLayer {
        name,
        title,
        entries: resolver.entries,
        compression,
        level: layer.level.unwrap_or(build.level),
        estargz,
        hard_links: layer.hard_links.unwrap_or(build.hard_links),
        owner,
        preserve_modes,
    })
}

/// Lists what builds of this file write, so that a build does not put the last one's outputs into the image.
fn own_files(file: &BuildFile) -> Vec<PathBuf> {
    let mut own = file.outputs();
    own.push(file.beside("lock"));
    // What does not exist cannot be found by walking.
    own.iter()
        .filter_map(|path| fs::canonicalize(path).ok())
        .collect()
}

/// Says whether a list of platforms names this one; an empty list names all.
fn is_for(platforms: &[Spanned<Text<Platform>>], platform: &Platform) -> bool {
    let is_named = |it: &Spanned<Text<Platform>>| it.get_ref().0.accepts(platform);
    platforms.is_empty() || platforms.iter().any(is_named)
}

/// What is known while the entries of one layer are collected.
struct Resolver<'a> {
    file: &'a BuildFile,
    own: &'a [PathBuf],
    platform: &'a Platform,
    owner: Owner,
    preserve_modes: bool,
    entries: Vec<Entry>,
}

impl Resolver<'_> {
    fn layer(&mut self, layer: &Layer) -> Result<(), Failure> {
        for path in &layer.remove {
            let path = self.needs_name(path.span(), &path.get_ref().0)?;
            self.add(path, Content::Removed, None, None);
        }
        for copy in &layer.copy {
            if is_for(&copy.get_ref().platforms, self.platform) {
                self.copy(copy.span(), copy.get_ref())?;
            }
        }
        self.directories(layer)?;
        for symlink in &layer.symlinks {
            let (span, symlink) = (symlink.span(), symlink.get_ref());
            let path = self.needs_name(span.clone(), &symlink.path.0)?;
            if symlink.target.is_empty() || symlink.target.contains('\0') {
                return Err(self
                    .file
                    .at(span, "the target of a symbolic link is a path"));
            }
            let target = symlink.target.clone().into_bytes();
            self.add(path, Content::Symlink(target), None, symlink.owner);
        }
        Ok(())
    }

    /// The prioritized files of an eStargz layer.
    fn estargz(
        &self,
        span: Range<usize>,
        layer: &Layer,
        compression: Compression,
    ) -> Result<Option<Vec<Vec<u8>>>, Failure> {
        if !layer.estargz.unwrap_or(self.file.build.estargz) {
            return match layer.prioritized_files.first() {
                Some(path) => Err(self.file.at(
                    path.span(),
                    "prioritized_files are only for layers with `estargz = true`",
                )),
                None => Ok(None),
            };
        }
        if compression != Compression::Gzip {
            let message = "an eStargz layer is compressed with gzip: say `estargz = false`, or another `compression`";
            return Err(self.file.at(span, message));
        }
        let paths = layer.prioritized_files.iter();
        let paths = paths.map(|path| self.needs_name(path.span(), &path.get_ref().0));
        paths.collect::<Result<_, _>>().map(Some)
    }

    /// Directories of the list are instead of those that copies bring; what the list does not say is as there.
    fn directories(&mut self, layer: &Layer) -> Result<(), Failure> {
        let listed = layer.directories.iter();
        let listed: HashSet<&[u8]> = listed
            .map(|directory| directory.get_ref().path.0.as_str().as_bytes())
            .collect();
        let mut copied = HashMap::new();
        self.entries.retain(|entry| {
            let is_replaced =
                entry.content == Content::Directory && listed.contains(entry.path.as_slice());
            if is_replaced {
                copied.insert(entry.path.clone(), (entry.mode, entry.owner));
            }
            !is_replaced
        });
        for directory in &layer.directories {
            let (span, directory) = (directory.span(), directory.get_ref());
            let path = self.needs_name(span, &directory.path.0)?;
            let (mode, owner) = copied.get(&path).copied().unzip();
            let mode = directory.mode.map(|mode| mode.0.0).or(mode.flatten());
            let owner = directory.owner.or(owner.map(Text));
            self.add(path, Content::Directory, mode.or(Some(DIRECTORY)), owner);
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: Vec<u8>,
        content: Content,
        mode: Option<u32>,
        owner: Option<Text<Owner>>,
    ) {
        self.entries.push(Entry {
            path,
            content,
            mode,
            owner: owner.map_or(self.owner, |owner| owner.0),
        });
    }

    /// Refuses the root, which cannot be made, replaced or removed.
    fn needs_name(&self, span: Range<usize>, path: &ImagePath) -> Result<Vec<u8>, Failure> {
        if path.as_str().is_empty() {
            return Err(self
                .file
                .at(span, "the root of the image has no entry of its own"));
        }
        Ok(path.as_str().as_bytes().to_vec())
    }

    fn copy(&mut self, span: Range<usize>, copy: &Copy) -> Result<(), Failure> {
        if let Some(content) = &copy.content {
            let path = self.needs_name(span, &copy.to.0)?;
            let mode = Some(copy.mode.map_or(FILE, |mode| mode.0.0));
            let content = Content::Bytes(content.clone().into_bytes());
            self.add(path, content, mode, copy.owner);
            return Ok(());
        }
        let from = self
            .fill_in(copy.from.as_deref().unwrap_or_default())
            .map_err(|error| self.file.at(span.clone(), error))?;
        let selection = Selection::new(&from, &copy.exclude)
            .map_err(|error| self.file.at(span.clone(), error))?;
        let root = self.file.path(&selection.root);
        let metadata = fs::metadata(&root).map_err(|error| {
            let from = shown(&selection.root);
            let message = format!("cannot read {from}: {}", reason(&error));
            self.file.at(span.clone(), message)
        })?;
        if metadata.is_dir() {
            return self.copy_tree(span, copy, &root, &selection);
        }
        if selection.has_pattern() {
            let message = format!("{} is no directory", shown(&selection.root));
            return Err(self.file.at(span, message));
        }
        self.copy_file(span, copy, &root, &metadata)
    }

    /// One file, under the name that `to` gives it, or under its own where `to` is a directory.
    fn copy_file(
        &mut self,
        span: Range<usize>,
        copy: &Copy,
        source: &Path,
        metadata: &std::fs::Metadata,
    ) -> Result<(), Failure> {
        if !metadata.is_file() {
            return Err(self.file.at(span, walk::not_a_file(source)));
        }
        let to = copy.to.0.as_str().as_bytes();
        let path = if copy.to.0.is_directory() {
            let name = source.file_name().unwrap_or_default();
            join(to, &sys::bytes_of(name))
        } else {
            to.to_vec()
        };
        let mode = copy.mode.map(|mode| mode.0.0);
        self.add(path, Content::File(source.to_owned()), mode, copy.owner);
        Ok(())
    }

    /// What a directory holds, or what of it a pattern selects, below `to`.
    fn copy_tree(
        &mut self,
        span: Range<usize>,
        copy: &Copy,
        root: &Path,
        selection: &Selection,
    ) -> Result<(), Failure> {
        let to = copy.to.0.as_str().as_bytes();
        let whole = !selection.has_pattern();
        if whole && !to.is_empty() {
            let mode = self.directory_mode(copy, &fs::metadata(root)?);
            self.add(to.to_vec(), Content::Directory, Some(mode), copy.owner);
        }
        let found = walk::walk(root, selection, self.own)
            .map_err(|failure| failure.place(|message| self.file.at(span.clone(), message)))?;
        if found.is_empty() && !whole {
            let from = copy.from.as_deref().unwrap_or_default();
            let message = format!("`{from}` matches nothing for {}", self.platform);
            return Err(self.file.at(span, message));
        }
        found
            .into_iter()
            .try_for_each(|found| self.add_found(copy, found))
    }

    fn add_found(&mut self, copy: &Copy, found: Found) -> Result<(), Failure> {
        let (content, mode) = match found.kind {
            Kind::Directory => {
                let mode = self.directory_mode(copy, &found.metadata);
                (Content::Directory, Some(mode))
            }
            Kind::File => {
                let mode = copy.mode.map(|mode| mode.0.0);
                (Content::File(found.path), mode)
            }
            Kind::Symlink => {
                let target = fs::read_link(&found.path);
                let target = target.explain(|| "cannot read a symbolic link")?;
                let target = sys::bytes_of(target.as_os_str());
                (Content::Symlink(target), None)
            }
        };
        let path = join(copy.to.0.as_str().as_bytes(), &found.relative);
        self.add(path, content, mode, copy.owner);
        Ok(())
    }

    fn directory_mode(&self, copy: &Copy, metadata: &std::fs::Metadata) -> u32 {
        if let Some(mode) = copy.directory_mode {
            return mode.0.0;
        }
        sys::permission_bits(metadata)
            .filter(|_| self.preserve_modes)
            .unwrap_or(DIRECTORY)
    }

    /// Puts the platform into a path: `{os}`, `{arch}` and `{variant}`.
    fn fill_in(&self, from: &str) -> Result<String, String> {
        let variant = self.platform.variant.as_deref().unwrap_or_default();
        // `build/{variant}` would be all of `build`.
        if variant.is_empty() && from.split('/').any(|component| component == "{variant}") {
            let platform = &self.platform;
            return Err(format!(
                "`{from}`: {platform} has no variant, and would get everything above"
            ));
        }
        Ok(from
            .replace("{os}", &self.platform.os)
            .replace("{arch}", &self.platform.architecture)
            .replace("{variant}", variant))
    }
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        return name.to_vec();
    }
    [directory, name].join(&b'/')
}

fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() {
        return "the build file's directory".to_owned();
    }
    path.display().to_string()
}
