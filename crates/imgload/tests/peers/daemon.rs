//! A containerd of the test's own, and a way to it that counts.

use std::path::PathBuf;

use imgload::containerd::{Containerd, Options};
use imgtest::peer::{Containerd as Daemon, SocketProxy};
use tempfile::TempDir;

/// A daemon with its directory.
pub(crate) struct Engine {
    pub(crate) daemon: Daemon,
    pub(crate) work: TempDir,
}

impl Engine {
    /// Starts one; `None` where there is none, which has then been said.
    pub(crate) fn start() -> Option<Self> {
        let work = TempDir::new().unwrap();
        let daemon = Daemon::start(work.path())?;
        Some(Self { daemon, work })
    }

    pub(crate) async fn client(&self) -> Containerd {
        self.client_in("default").await
    }

    pub(crate) async fn client_in(&self, namespace: &str) -> Containerd {
        connect(self.daemon.socket(), namespace).await
    }

    /// Connects by a socket that counts what is sent.
    pub(crate) async fn counted_client(&self) -> (Containerd, SocketProxy) {
        let at = self.work.path().join("counted.sock");
        let proxy = SocketProxy::start(&at, &self.daemon.socket());
        (connect(at, "default").await, proxy)
    }
}

async fn connect(socket: PathBuf, namespace: &str) -> Containerd {
    let mut options = Options::default();
    namespace.clone_into(&mut options.namespace);
    Containerd::connect(&[socket], options).await.unwrap()
}
