//! Names inside a layer: parsed once, so that nothing later has to ask whether one is safe.

mod host;
mod order;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use crate::Error;

pub use host::HostPaths;

/// The start of the name of a file that says "this is gone" about its neighbour in a lower layer.
///
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#whiteouts>
pub(crate) const WHITEOUT_PREFIX: &[u8] = b".wh.";

/// The name of the file that hides everything that lower layers have in its directory.
///
/// <https://github.com/opencontainers/image-spec/blob/v1.1.1/layer.md#opaque-whiteout>
pub(crate) const OPAQUE_MARKER: &[u8] = b".wh..wh..opq";

/// The name of an entry of a layer: relative, `/` between components, any bytes but NUL.
///
/// ```text
/// path      = component *( "/" component )
/// component = 1*( any byte but NUL and "/" )     ; and neither "." nor ".."
/// ```
///
/// Names need not be UTF-8, as they need not be on Linux. The order of two paths is the order of
/// their entries in a layer: component by component and bytewise, a directory before what is in
/// it, and whiteouts (`.wh.*`) first in their directory.
///
/// # Examples
///
/// ```
/// use imglayer::LayerPath;
///
/// let path = LayerPath::parse("usr/bin/hello")?;
/// assert_eq!(path.file_name(), b"hello");
/// assert!(LayerPath::parse("/usr/bin/hello").is_err());
/// assert_eq!(LayerPath::parse_rooted("/usr/bin/hello")?, path);
/// assert!(LayerPath::parse("usr/../etc/passwd").is_err());
/// assert!(LayerPath::parse("usr/bin")? < LayerPath::parse("usr/bin/hello")?);
/// # Ok::<(), imglayer::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct LayerPath(Box<[u8]>);

impl LayerPath {
    /// Parses a path that is relative already.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an empty text, a NUL byte, a leading or
    /// trailing `/`, and a component that is empty, `.` or `..`.
    pub fn parse(path: impl AsRef<[u8]>) -> Result<Self, Error> {
        let path = path.as_ref();
        match fault(path) {
            Some(fault) => Err(Error::invalid(format!(
                "layer path {}: {fault}",
                Quoted(path)
            ))),
            None => Ok(Self(path.into())),
        }
    }

    /// Parses a path that may start with one `/`, which is dropped.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn parse_rooted(path: impl AsRef<[u8]>) -> Result<Self, Error> {
        let path = path.as_ref();
        Self::parse(path.strip_prefix(b"/").unwrap_or(path))
    }

    /// Parses the name that an archive gives to an entry.
    ///
    /// What `tar` commonly writes is taken off: one leading `/`, any number of leading `./`, and
    /// one trailing `/`. The root of an archive (`./`, `.` or `/`) is [`root`](Self::root).
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), for what is left.
    pub fn from_archive_name(name: impl AsRef<[u8]>) -> Result<Self, Error> {
        let name = name.as_ref();
        let mut rest = name.strip_prefix(b"/").unwrap_or(name);
        while let Some(inner) = rest.strip_prefix(b"./") {
            rest = inner;
        }
        rest = rest.strip_suffix(b"/").unwrap_or(rest);
        if !name.is_empty() && matches!(rest, b"" | b".") {
            return Ok(Self::root());
        }
        match fault(rest) {
            Some(fault) => Err(Error::invalid(format!(
                "entry name {}: {fault}",
                Quoted(name)
            ))),
            None => Ok(Self(rest.into())),
        }
    }

    /// Returns the root of a layer: the directory that every path starts from.
    ///
    /// It is a place to put things into, and never an entry of its own.
    pub fn root() -> Self {
        Self(Box::default())
    }

    /// Returns whether this is the root of the layer.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes of the path; the root's are empty.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the components, from the root on.
    pub fn components(&self) -> impl Iterator<Item = &[u8]> {
        self.0
            .split(|byte| *byte == b'/')
            .filter(|component| !component.is_empty())
    }

    /// Returns the last component; the root's is empty.
    pub fn file_name(&self) -> &[u8] {
        &self.0[self.parent_len().map_or(0, |len| len + 1)..]
    }

    /// Returns the directory that the path is in, or `None` for the root.
    ///
    /// # Examples
    ///
    /// ```
    /// use imglayer::LayerPath;
    ///
    /// let parent = LayerPath::parse("etc/hosts")?.parent();
    /// assert_eq!(parent, Some(LayerPath::parse("etc")?));
    /// assert_eq!(LayerPath::parse("etc")?.parent(), Some(LayerPath::root()));
    /// # Ok::<(), imglayer::Error>(())
    /// ```
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0[..self.parent_len().unwrap_or(0)].into()))
    }

    /// Returns the path of `relative` inside of the directory `self`.
    #[must_use]
    pub fn join(&self, relative: &Self) -> Self {
        if self.is_root() || relative.is_root() {
            return if self.is_root() {
                relative.clone()
            } else {
                self.clone()
            };
        }
        Self([&*self.0, b"/", &*relative.0].concat().into())
    }

    /// Returns whether the path is `directory` or inside of it.
    pub fn starts_with(&self, directory: &Self) -> bool {
        directory.is_root()
            || self
                .0
                .strip_prefix(&*directory.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// Returns the text of a symlink at `self` that leads to `target`.
    ///
    /// # Examples
    ///
    /// ```
    /// use imglayer::LayerPath;
    ///
    /// let link = LayerPath::parse("srv/second")?;
    /// assert_eq!(link.relative_link(&LayerPath::parse("srv/first")?), b"first");
    /// assert_eq!(link.relative_link(&LayerPath::parse("opt/first")?), b"../opt/first");
    /// # Ok::<(), imglayer::Error>(())
    /// ```
    pub fn relative_link(&self, target: &Self) -> Vec<u8> {
        let from: Vec<&[u8]> = self.components().collect();
        let to: Vec<&[u8]> = target.components().collect();
        let directory = &from[..from.len().saturating_sub(1)];
        let shared = directory
            .iter()
            .zip(&to)
            .take_while(|(a, b)| a == b)
            .count();
        let mut parts: Vec<&[u8]> = vec![b".."; directory.len() - shared];
        parts.extend(&to[shared..]);
        if parts.is_empty() {
            return b".".to_vec();
        }
        parts.join(&b'/')
    }

    /// Returns the first component that makes the path a whiteout, if one does.
    pub(crate) fn whiteout_component(&self) -> Option<&[u8]> {
        self.components()
            .find(|component| component.starts_with(WHITEOUT_PREFIX))
    }

    /// Returns a number that is smaller only for a path that comes earlier, and is compared faster.
    pub(crate) fn order_key(&self) -> u128 {
        order::key(&self.0)
    }

    /// Returns the path of a name inside of this directory; the name is one component.
    pub(crate) fn child(&self, name: &[u8]) -> Result<Self, Error> {
        let is_plain = !name.is_empty() && !matches!(name, b"." | b"..");
        if is_plain && !name.iter().any(|byte| matches!(byte, 0 | b'/')) {
            let parts = [&*self.0, if self.is_root() { b"" } else { b"/" }, name];
            return Ok(Self(parts.concat().into()));
        }
        Self::parse(name)?;
        Err(Error::invalid(format!(
            "name {} holds a \"/\"",
            Quoted(name)
        )))
    }

    fn parent_len(&self) -> Option<usize> {
        self.0.iter().rposition(|byte| *byte == b'/')
    }
}

impl Ord for LayerPath {
    fn cmp(&self, other: &Self) -> Ordering {
        order::compare(&self.0, &other.0)
    }
}

impl PartialOrd for LayerPath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl FromStr for LayerPath {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self, Error> {
        Self::parse(path)
    }
}

impl AsRef<[u8]> for LayerPath {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        String::from_utf8_lossy(&self.0).fmt(f)
    }
}

impl fmt::Debug for LayerPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LayerPath({})", Quoted(&self.0))
    }
}

/// Shows bytes between quotes: text as text, everything else escaped.
pub(crate) struct Quoted<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for chunk in self.0.utf8_chunks() {
            write!(f, "{}", chunk.valid().escape_debug())?;
            write!(f, "{}", chunk.invalid().escape_ascii())?;
        }
        f.write_str("\"")
    }
}

/// Says what keeps `path` from being a layer path.
fn fault(path: &[u8]) -> Option<&'static str> {
    if path.is_empty() {
        return Some("a path must not be empty");
    }
    if path.contains(&0) {
        return Some("a path must not hold a NUL byte");
    }
    if path.starts_with(b"/") {
        return Some("a path must be relative, without a leading \"/\"");
    }
    path.split(|byte| *byte == b'/')
        .find_map(|component| match component {
            b"" => Some("a path must not have an empty component"),
            b"." => Some("a path must not have the component \".\""),
            b".." => Some("a path must not have the component \"..\""),
            _ => None,
        })
}
