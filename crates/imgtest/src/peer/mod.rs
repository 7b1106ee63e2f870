//! Programs of others that a test starts for itself: on 127.0.0.1 and a port of their own, or at a socket in its directory.

mod certificate;
mod containerd;
mod docker_registry;
mod go_registry;
mod real;
mod s3;
#[cfg(unix)]
mod socket_proxy;
mod token_server;

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub use certificate::Certificate;
pub use containerd::Containerd;
pub use docker_registry::{Access, Answered, DockerRegistry};
pub use go_registry::GoRegistry;
pub use real::{RealRegistry, Setup};
#[cfg(unix)]
pub use socket_proxy::SocketProxy;
pub use token_server::TokenServer;

/// A process that ends with its guard.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts a program; what it prints goes to a file.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let stdout = fs_err::File::create(log).expect("because the test owns the directory");
        let stderr = stdout
            .try_clone()
            .expect("because the file was just opened");
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout.into_parts().0)
            .stderr(stderr.into_parts().0)
            .spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// Returns the process id.
    pub fn id(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Finds a port that nobody listens on now.
pub fn free_address() -> String {
    let free = TcpListener::bind(("127.0.0.1", 0)).expect("because a machine has free ports");
    let address = free
        .local_addr()
        .expect("because a bound socket has an address");
    address.to_string()
}

/// Waits until somebody listens, a minute at most.
///
/// # Panics
///
/// When nobody does; the text has the log of the program.
pub fn wait_for_listener(address: &str, log: &Path) {
    wait_for(address, log, || TcpStream::connect(address).is_ok());
}

/// Waits until something is there that a program makes when it starts, a minute at most.
///
/// # Panics
///
/// When it does not come; the text has the log of the program.
pub fn wait_for(what: &str, log: &Path, is_there: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_there() {
        assert!(
            Instant::now() < deadline,
            "{what} does not come: {}",
            fs_err::read_to_string(log).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}
