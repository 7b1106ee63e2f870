//! Patterns: which files of a directory are meant.
//!
//! `*` and `?` match within a name, `**` any number of directories, `[…]` one character of a set, `{a,b}` one of several.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// A directory or file, and what is meant of it.
#[derive(Debug)]
pub(super) struct Selection {
    /// The part of the path before the first special character.
    pub(super) root: PathBuf,
    include: Option<Include>,
    exclude: GlobSet,
}

#[derive(Debug)]
struct Include {
    patterns: GlobSet,
    /// How deep a match can lie; `None` where the pattern has `**`.
    depth: Option<usize>,
}

impl Selection {
    /// Reads a path that may be a pattern, and the patterns of what to leave out.
    pub(super) fn new(from: &str, exclude: &[String]) -> Result<Self, PatternError> {
        let (root, pattern) = split(from);
        let include = match pattern {
            None => None,
            Some(pattern) => Some(Include {
                patterns: compile([pattern.to_owned()])?,
                depth: (!pattern.contains("**")).then(|| pattern.split('/').count()),
            }),
        };
        // As in ignore files: a name alone is meant wherever it is.
        let exclude = exclude.iter().map(|pattern| {
            let pattern = pattern.trim_end_matches('/');
            match pattern.strip_prefix('/') {
                Some(anchored) => anchored.to_owned(),
                None if pattern.contains('/') => pattern.to_owned(),
                None => format!("**/{pattern}"),
            }
        });
        Ok(Self {
            root: PathBuf::from(root),
            include,
            exclude: compile(exclude)?,
        })
    }

    /// Returns whether only a part of the directory is meant.
    pub(super) fn has_pattern(&self) -> bool {
        self.include.is_some()
    }

    /// Says whether a path, relative to the root, is meant by itself.
    pub(super) fn includes(&self, relative: &Path) -> bool {
        self.include
            .as_ref()
            .is_none_or(|include| include.patterns.is_match(relative))
    }

    /// Says whether a path, relative to the root, is left out, with everything below it.
    pub(super) fn excludes(&self, relative: &Path) -> bool {
        self.exclude.is_match(relative)
    }

    /// Says whether anything below a directory at this depth (1 for one in the root) can be meant.
    pub(super) fn reaches_below(&self, depth: usize) -> bool {
        match &self.include {
            Some(Include {
                depth: Some(deepest),
                ..
            }) => depth < *deepest,
            _ => true,
        }
    }
}

/// Why a text is no pattern.
#[derive(Debug, thiserror::Error)]
#[error("`{pattern}` is no pattern: {reason}")]
pub(super) struct PatternError {
    pattern: String,
    reason: String,
}

/// Cuts at the last slash before the first special character.
fn split(from: &str) -> (&str, Option<&str>) {
    let Some(special) = from.find(['*', '?', '[', '{']) else {
        return (from, None);
    };
    match from[..special].rfind('/') {
        Some(0) => ("/", Some(&from[1..])),
        Some(slash) => (&from[..slash], Some(&from[slash + 1..])),
        None => ("", Some(from)),
    }
}

fn compile(patterns: impl IntoIterator<Item = String>) -> Result<GlobSet, PatternError> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(&pattern).literal_separator(true).build();
        set.add(glob.map_err(|error| refuse(&error))?);
    }
    set.build().map_err(|error| refuse(&error))
}

fn refuse(error: &globset::Error) -> PatternError {
    PatternError {
        pattern: error.glob().unwrap_or_default().to_owned(),
        reason: error.kind().to_string(),
    }
}
