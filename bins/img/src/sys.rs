//! What depends on the host: how text of the command line is cut and how files are created.

use std::ffi::{OsStr, OsString};

/// Cuts a word of the command line at its first `=`, whatever its encoding.
pub(crate) fn split_at_equals(word: &OsStr) -> Option<(OsString, OsString)> {
    imp::split_at_equals(word)
}

/// The permissions of a new output file, before the umask; `None` where the host has no such bits.
pub(crate) fn new_file_permissions() -> Option<std::fs::Permissions> {
    imp::new_file_permissions()
}

/// Raw bytes of a word, as they go into a tar: on Unix the bytes themselves, elsewhere UTF-8.
pub(crate) fn bytes_of(word: &OsStr) -> Vec<u8> {
    imp::bytes_of(word)
}

/// A path from the bytes of a parameter file; `None` if this host has no such names.
pub(crate) fn path_from_bytes(bytes: &[u8]) -> Option<std::path::PathBuf> {
    imp::path_from_bytes(bytes)
}

/// The permission bits of a file; `None` where the host has no such bits.
pub(crate) fn permission_bits(metadata: &std::fs::Metadata) -> Option<u32> {
    imp::permission_bits(metadata)
}

/// Sets the permission bits of a file, whatever the umask; nothing where the host has no such bits.
pub(crate) fn set_permission_bits(path: &std::path::Path, bits: u32) -> std::io::Result<()> {
    imp::set_permission_bits(path, bits)
}

/// The number of the user who runs this process; `None` where the host has no such numbers, or does not tell.
pub(crate) fn user_id() -> Option<u32> {
    imp::user_id()
}

/// Makes `path` stand for the file `name` beside it: a link, or a copy where there are no links. What stood there is
/// replaced in one step.
pub(crate) fn link_beside(path: &std::path::Path, name: &str) -> std::io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| std::path::Path::new("."));
    let temporary = tempfile::Builder::new()
        .prefix(".img-")
        .make_in(directory, |temporary| {
            imp::link_or_copy(&directory.join(name), name, temporary)
        })?;
    temporary.into_temp_path().persist(path).map_err(Into::into)
}

#[cfg(unix)]
mod imp {
    use std::ffi::{OsStr, OsString};
    use std::fs::Permissions;
    use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};

    pub(super) fn split_at_equals(word: &OsStr) -> Option<(OsString, OsString)> {
        let bytes = word.as_bytes();
        let at = bytes.iter().position(|&byte| byte == b'=')?;
        let half = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        Some((half(&bytes[..at]), half(&bytes[at + 1..])))
    }

    #[expect(clippy::unnecessary_wraps, reason = "other hosts have no mode bits")]
    pub(super) fn new_file_permissions() -> Option<Permissions> {
        Some(Permissions::from_mode(0o666))
    }

    #[expect(clippy::unnecessary_wraps, reason = "other hosts have no mode bits")]
    pub(super) fn permission_bits(metadata: &std::fs::Metadata) -> Option<u32> {
        Some(metadata.permissions().mode() & 0o7777)
    }

    pub(super) fn set_permission_bits(path: &Path, bits: u32) -> std::io::Result<()> {
        fs_err::set_permissions(path, Permissions::from_mode(bits))
    }

    pub(super) fn bytes_of(word: &OsStr) -> Vec<u8> {
        word.as_bytes().to_vec()
    }

    pub(super) fn link_or_copy(_file: &Path, name: &str, link: &Path) -> std::io::Result<()> {
        std::os::unix::fs::symlink(name, link)
    }

    /// A process owns what the system says of it.
    pub(super) fn user_id() -> Option<u32> {
        let of_process = fs_err::metadata("/proc/self").ok()?;
        Some(std::os::unix::fs::MetadataExt::uid(&of_process))
    }

    #[expect(clippy::unnecessary_wraps, reason = "other hosts refuse some names")]
    pub(super) fn path_from_bytes(bytes: &[u8]) -> Option<PathBuf> {
        Some(PathBuf::from(OsString::from_vec(bytes.to_vec())))
    }
}

#[cfg(not(unix))]
mod imp {
    use std::ffi::{OsStr, OsString};
    use std::fs::Permissions;
    use std::path::{Path, PathBuf};

    pub(super) fn split_at_equals(word: &OsStr) -> Option<(OsString, OsString)> {
        let (key, value) = word.to_str()?.split_once('=')?;
        Some((key.into(), value.into()))
    }

    pub(super) fn new_file_permissions() -> Option<Permissions> {
        None
    }

    pub(super) fn permission_bits(_metadata: &std::fs::Metadata) -> Option<u32> {
        None
    }

    pub(super) fn set_permission_bits(_path: &Path, _bits: u32) -> std::io::Result<()> {
        Ok(())
    }

    pub(super) fn bytes_of(word: &OsStr) -> Vec<u8> {
        word.to_string_lossy().into_owned().into_bytes()
    }

    pub(super) fn link_or_copy(file: &Path, _name: &str, copy: &Path) -> std::io::Result<()> {
        fs_err::copy(file, copy).map(drop)
    }

    pub(super) fn user_id() -> Option<u32> {
        None
    }

    pub(super) fn path_from_bytes(bytes: &[u8]) -> Option<PathBuf> {
        std::str::from_utf8(bytes).ok().map(PathBuf::from)
    }
}
