//! containerd, over its socket.
//!
//! ```no_run
//! use imgload::containerd::{Containerd, Options, default_sockets};
//! use imgload::{Engine, Image, Progress};
//!
//! # async fn example(image: &Image) -> Result<(), Box<dyn std::error::Error>> {
//! let sockets = default_sockets(None);
//! let containerd = Containerd::connect(&sockets, Options::default()).await?;
//! let report = containerd.load(image, &Progress::default()).await?;
//! println!("{report}");
//! # Ok(())
//! # }
//! ```
//!
//! A load takes a lease before it writes anything, so that garbage collection spares what arrives; it asks in batches for
//! what is there, sends what is not, under the references that containerd's own clients use, so that a pull of the same
//! layer is waited for and a load that broke off is gone on with; labels manifests with what they lead to; and gives names
//! last. The lease ends with the load, and by itself a day after a client that was killed.
//!
//! Nothing is unpacked: whoever runs a container does that.

mod address;
#[cfg(not(unix))]
mod elsewhere;
#[cfg(unix)]
mod unix;

pub use address::{default_sockets, parse_address};
#[cfg(not(unix))]
pub use elsewhere::Containerd;
#[cfg(unix)]
pub use unix::Containerd;

use crate::{Error, ErrorKind, Result};

/// How images are loaded into containerd.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The namespace, within which images have their names: `default` unless told otherwise, `k8s.io` for a kubelet's
    /// images.
    pub namespace: String,
    /// How many blobs are asked for or sent at once, at least 1.
    pub jobs: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            namespace: "default".to_owned(),
            jobs: 4,
        }
    }
}

impl Options {
    /// Checks the name of the namespace, by containerd's rules for identifiers: letters and digits, with single `.`, `-`
    /// and `_` between them, 76 at most.
    fn check(&self) -> Result<()> {
        let name = &self.namespace;
        let is_word =
            |word: &str| !word.is_empty() && word.bytes().all(|it| it.is_ascii_alphanumeric());
        if name.len() <= 76 && name.split(['.', '-', '_']).all(is_word) {
            return Ok(());
        }
        let text = format!(
            "namespace `{name}`: letters and digits, with single `.`, `-` and `_` between them, make a namespace of containerd"
        );
        Err(Error::new(ErrorKind::InvalidInput, text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_namespaces_are_those_that_containerd_takes() {
        let check = |name: &str| {
            let options = Options {
                namespace: name.to_owned(),
                ..Options::default()
            };
            options.check().is_ok()
        };
        for name in ["default", "k8s.io", "moby", "a", "buildkit-1_x"] {
            assert!(check(name), "{name}");
        }
        let long = "a".repeat(77);
        for name in ["", ".", "a..b", "-a", "a-", "a b", "a/b", "a\n", "ä", &long] {
            assert!(!check(name), "{name}");
        }
    }
}
