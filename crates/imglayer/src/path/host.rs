//! From the way a host writes a path to the way a layer does.
//!
//! Nothing here looks at the host that it runs on, so that the rules of every host are tested on
//! each of them.

use super::{LayerPath, Quoted};
use crate::Error;

/// How a host writes paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "there are these two, and callers must choose"
)]
pub enum HostPaths {
    /// `/` between components, and every other byte is part of a name.
    Unix,
    /// `/` or `\` between components, drives, and names that must be Unicode.
    Windows,
}

impl HostPaths {
    /// Returns how the host that this program runs on writes paths.
    pub const fn native() -> Self {
        if cfg!(windows) {
            Self::Windows
        } else {
            Self::Unix
        }
    }
}

impl LayerPath {
    /// Parses a relative path as a host writes it.
    ///
    /// On Windows the long form (`\\?\…`) is taken where a short one is, and names are refused that
    /// mean something else there than they say: a drive (`C:`), a network share (`\\server\share`),
    /// a device (`\\.\…`) and a stream of a file (`name:stream`).
    ///
    /// # Examples
    ///
    /// ```
    /// use imglayer::{HostPaths, LayerPath};
    ///
    /// let path = LayerPath::from_host(r"bin\tools/run", HostPaths::Windows)?;
    /// assert_eq!(path.as_bytes(), b"bin/tools/run");
    /// let path = LayerPath::from_host(r"bin\tools/run", HostPaths::Unix)?;
    /// assert_eq!(path.as_bytes(), br"bin\tools/run");
    /// # Ok::<(), imglayer::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a path that is absolute on that host,
    /// and for what [`parse`](Self::parse) refuses.
    pub fn from_host(path: impl AsRef<[u8]>, style: HostPaths) -> Result<Self, Error> {
        let path = path.as_ref();
        match style {
            HostPaths::Unix => Self::parse(path),
            HostPaths::Windows => from_windows(path),
        }
    }
}

fn from_windows(path: &[u8]) -> Result<LayerPath, Error> {
    let refuse = |why: &str| {
        let message = format!("windows path {}: {why}", Quoted(path));
        Err(Error::invalid(message))
    };
    if std::str::from_utf8(path).is_err() {
        return refuse("a name must be Unicode");
    }
    let relative = path.strip_prefix(br"\\?\").unwrap_or(path);
    let slashes: Vec<u8> = relative
        .iter()
        .map(|byte| if *byte == b'\\' { b'/' } else { *byte })
        .collect();
    if relative.len() != path.len() && slashes.starts_with(b"UNC/") {
        return refuse("a network share cannot be inside of a layer");
    }
    if let [b'/', b'/', b'.', b'/', ..] = slashes[..] {
        return refuse("a device cannot be inside of a layer");
    }
    if slashes.starts_with(b"//") {
        return refuse("a network share cannot be inside of a layer");
    }
    if let [letter, b':', ..] = slashes[..]
        && letter.is_ascii_alphabetic()
    {
        return refuse("a path on a drive cannot be inside of a layer");
    }
    if slashes.contains(&b':') {
        return refuse("a stream of a file cannot be inside of a layer");
    }
    match super::fault(&slashes) {
        Some(fault) => refuse(fault),
        None => Ok(LayerPath(slashes.into())),
    }
}
