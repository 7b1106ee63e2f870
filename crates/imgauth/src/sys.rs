//! What depends on the host.

use std::path::Path;

/// Whether a file is there that can be started.
#[cfg(unix)]
pub(crate) fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;

    fs_err::metadata(path)
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Whether a file is there that can be started: elsewhere its name says that.
#[cfg(not(unix))]
pub(crate) fn is_program(path: &Path) -> bool {
    fs_err::metadata(path).is_ok_and(|metadata| metadata.is_file())
}
