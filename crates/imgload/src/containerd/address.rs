//! Where the socket of containerd is.

use std::path::{Path, PathBuf};

use crate::{Error, ErrorKind, Result};

/// Below the directory of the system or a user, in the order in which they are tried: containerd's own socket, and that of
/// the containerd which Docker starts for itself.
const SOCKETS: [&str; 2] = [
    "containerd/containerd.sock",
    "docker/containerd/containerd.sock",
];

/// Lists the places where the socket usually is, in the order in which they are tried. `runtime_directory` is what
/// `XDG_RUNTIME_DIR` names: rootless daemons have theirs there.
///
/// # Examples
///
/// ```
/// use imgload::containerd::default_sockets;
///
/// let sockets = default_sockets(Some("/run/user/1000".as_ref()));
/// assert_eq!(sockets[0].to_str(), Some("/run/containerd/containerd.sock"));
/// assert_eq!(sockets.len(), 6);
/// ```
pub fn default_sockets(runtime_directory: Option<&Path>) -> Vec<PathBuf> {
    let system = SOCKETS.iter().flat_map(|socket| {
        // Nearly everywhere these are one and the same.
        ["/run", "/var/run"].map(|directory| Path::new(directory).join(socket))
    });
    let of_user = runtime_directory.filter(|it| it.is_absolute());
    let of_user = of_user.into_iter();
    system
        .chain(of_user.flat_map(|directory| SOCKETS.map(|socket| directory.join(socket))))
        .collect()
}

/// Reads an address as `CONTAINERD_ADDRESS` has it: the path of a socket, or `unix://` and the path.
///
/// # Examples
///
/// ```
/// use imgload::containerd::parse_address;
///
/// assert_eq!(parse_address("unix:///run/c.sock")?, parse_address("/run/c.sock")?);
/// assert!(parse_address("tcp://10.0.0.1:1234").is_err());
/// # Ok::<(), imgload::Error>(())
/// ```
///
/// # Errors
///
/// [`ErrorKind::InvalidInput`] for an empty text and for other schemes.
pub fn parse_address(text: &str) -> Result<PathBuf> {
    let path = text.strip_prefix("unix://").unwrap_or(text);
    if path.is_empty() || path.contains("://") {
        let text = format!(
            "address `{text}`: write the path of containerd's socket, like /run/containerd/containerd.sock"
        );
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    Ok(PathBuf::from(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_of_the_system_come_first() {
        let sockets = default_sockets(Some(Path::new("/run/user/7")));
        let shown: Vec<_> = sockets.iter().map(|it| it.display().to_string()).collect();
        assert_eq!(
            shown,
            [
                "/run/containerd/containerd.sock",
                "/var/run/containerd/containerd.sock",
                "/run/docker/containerd/containerd.sock",
                "/var/run/docker/containerd/containerd.sock",
                "/run/user/7/containerd/containerd.sock",
                "/run/user/7/docker/containerd/containerd.sock",
            ]
        );
        // The specification of base directories wants absolute paths, and others ignored.
        assert_eq!(default_sockets(Some(Path::new("run"))).len(), 4);
    }
}
