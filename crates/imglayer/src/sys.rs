//! What depends on the host: modes, and the bytes of names.
//!
//! Every function has a portable fallback; nothing else in this crate looks at the host.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io;

/// Looks at what stands at a name in a directory, a symlink for itself.
#[cfg(not(windows))]
pub(crate) fn item_metadata(item: &fs_err::DirEntry) -> io::Result<Metadata> {
    item.metadata()
}

/// Looks at what stands at a name in a directory, a symlink for itself.
///
/// Directories of this host are late to learn of sizes and times, above all those of hard links, so the file is asked.
#[cfg(windows)]
pub(crate) fn item_metadata(item: &fs_err::DirEntry) -> io::Result<Metadata> {
    fs_err::symlink_metadata(item.path())
}

/// Returns the permission bits of a file, or `None` on a host that has none.
#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "other hosts have no modes")]
pub(crate) fn mode(metadata: &Metadata) -> Option<u32> {
    use std::os::unix::fs::PermissionsExt;
    Some(metadata.permissions().mode() & 0o7777)
}

/// Returns the permission bits of a file, or `None` on a host that has none.
#[cfg(not(unix))]
pub(crate) fn mode(_: &Metadata) -> Option<u32> {
    None
}

/// Returns the bytes of a name, or `None` if they are not known: it is not Unicode.
#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other hosts have names without bytes"
)]
pub(crate) fn bytes(name: &OsStr) -> Option<&[u8]> {
    Some(std::os::unix::ffi::OsStrExt::as_bytes(name))
}

/// Returns the bytes of a name, or `None` if they are not known: it is not Unicode.
#[cfg(not(unix))]
pub(crate) fn bytes(name: &OsStr) -> Option<&[u8]> {
    name.to_str().map(str::as_bytes)
}

/// Returns the name that has these bytes, or `None` if there is none: they are not Unicode.
#[cfg(unix)]
#[expect(
    clippy::unnecessary_wraps,
    reason = "other hosts have names without bytes"
)]
pub(crate) fn name(bytes: &[u8]) -> Option<OsString> {
    Some(std::os::unix::ffi::OsStringExt::from_vec(bytes.to_vec()))
}

/// Returns the name that has these bytes, or `None` if there is none: they are not Unicode.
#[cfg(not(unix))]
pub(crate) fn name(bytes: &[u8]) -> Option<OsString> {
    std::str::from_utf8(bytes).ok().map(OsString::from)
}

/// Returns the text of a symlink in the form that a layer has, or `None` if it is not Unicode.
pub(crate) fn link_text(target: &OsStr) -> Option<Vec<u8>> {
    let text = bytes(target)?.to_vec();
    if cfg!(windows) {
        return Some(
            text.into_iter()
                .map(|b| if b == b'\\' { b'/' } else { b })
                .collect(),
        );
    }
    Some(text)
}

/// Reads at a place of a file, wherever others read.
#[cfg(unix)]
pub(crate) fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

/// Reads at a place of a file, wherever others read.
#[cfg(windows)]
pub(crate) fn read_at(file: &File, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}
