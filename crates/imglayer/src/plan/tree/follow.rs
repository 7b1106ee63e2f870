//! Symlinks of trees: which of them stay inside, and which lead in circles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::path::LayerPath;
use crate::{Error, source, sys};

/// How many links in a row are looked at, as many as Linux follows.
const MOST_HOPS: usize = 40;

/// What a link is, seen from the tree that it is in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resolved {
    /// It has this text, which leads to a place in the tree.
    Inside(Vec<u8>),
    /// It leads somewhere else; this is its text.
    Outside(Vec<u8>),
}

/// Judges the symlink at `host`, which is at `own_path` of its tree and `entry` in the layer.
///
/// A sandbox copies a tree as links to the real one, so a link that leaves the tree for the same
/// place in another is judged by what it finds there.
pub(super) fn resolve(
    host: &Path,
    own_path: &LayerPath,
    entry: &LayerPath,
) -> Result<Resolved, Error> {
    let depth = own_path.components().count() - 1;
    let same_place = sys::name(own_path.as_bytes()).map(PathBuf::from);
    let mut link = host.to_owned();
    for _ in 0..MOST_HOPS {
        let text = source::read_link(&link, entry)?;
        if stays_inside(depth, &text) {
            return Ok(Resolved::Inside(text));
        }
        let (Some(target), Some(same_place)) = (sys::name(&text), &same_place) else {
            return Ok(Resolved::Outside(text));
        };
        // An absolute text replaces the directory that it is joined to.
        let target = link.parent().unwrap_or(Path::new("")).join(target);
        let is_copy = target.ends_with(same_place)
            && fs_err::symlink_metadata(&target).is_ok_and(|found| found.is_symlink());
        if !is_copy {
            return Ok(Resolved::Outside(text));
        }
        link = target;
    }
    Err(Error::invalid(format!(
        "input for {entry}: {} is a link in a circle",
        host.display()
    )))
}

/// Returns whether a link text that stands `depth` directories deep leads to a place in the tree.
///
/// It looks at the text alone: what a component is on disk does not matter.
fn stays_inside(depth: usize, text: &[u8]) -> bool {
    if text.starts_with(b"/") || (cfg!(windows) && text.get(1) == Some(&b':')) {
        return false;
    }
    let mut depth = depth;
    for component in text.split(|byte| *byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(less) => depth = less,
                None => return false,
            },
            _ => depth += 1,
        }
    }
    true
}

/// A directory in which a link to another directory was followed, and the ones before it.
#[derive(Debug)]
pub(super) struct Followed {
    /// The real path of the directory that held the link.
    from: PathBuf,
    before: Option<Arc<Self>>,
}

impl Followed {
    /// Follows `link`, a link to a directory that stands in `directory`.
    pub(super) fn enter(
        link: &Path,
        directory: &Path,
        before: Option<&Arc<Self>>,
        entry: &LayerPath,
    ) -> Result<Arc<Self>, Error> {
        let real = |path: &Path| {
            fs_err::canonicalize(path)
                .map_err(|error| Error::io(format!("input for {entry}"), error))
        };
        let followed = Self {
            from: real(directory)?,
            before: before.map(Arc::clone),
        };
        let target = real(link)?;
        let mut place = Some(&followed);
        while let Some(at) = place {
            // To come back to where a link was followed, or above it, is to come there for ever.
            if at.from.starts_with(&target) {
                return Err(Error::invalid(format!(
                    "input for {entry}: {} leads back to a directory that it is in",
                    link.display()
                )));
            }
            place = at.before.as_deref();
        }
        Ok(Arc::new(followed))
    }
}

#[cfg(test)]
mod tests {
    use super::stays_inside;

    #[test]
    fn link_texts_are_judged_by_their_components() {
        fn check(depth: usize, text: &str, expected: bool) {
            assert_eq!(
                stays_inside(depth, text.as_bytes()),
                expected,
                "{text} at {depth}"
            );
        }
        check(0, "a", true);
        check(0, "./a//b", true);
        check(0, "..", false);
        check(0, "../a", false);
        check(1, "../a", true);
        check(1, "../../a", false);
        check(1, "b/../../a", true);
        check(0, "a/../../b", false);
        check(3, "/a", false);
    }
}
