//! Debian's docker-registry, with its blobs in memory.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use fs_err as fs;

use super::super::text;
use crate::run::Result;

/// A registry that ends with this.
pub(super) struct Registry {
    address: String,
    process: Child,
}

impl Registry {
    /// Starts one that remembers nothing but what is in `storage`: who empties that has an empty registry.
    pub(super) fn start(directory: &Path, storage: &Path) -> Result<Self> {
        let free = TcpListener::bind(("127.0.0.1", 0)).map_err(text)?;
        let address = free.local_addr().map_err(text)?.to_string();
        drop(free);
        let file = directory.join("registry.yml");
        let config = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\nhttp: {{addr: \"{address}\"}}\n\
             storage: {{filesystem: {{rootdirectory: \"{}\"}}}}\n",
            storage.display()
        );
        fs::write(&file, config).map_err(text)?;
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start docker-registry: {error}"))?;
        let registry = Self { address, process };
        registry.wait()?;
        Ok(registry)
    }

    pub(super) fn address(&self) -> &str {
        &self.address
    }

    fn wait(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(&self.address).is_err() {
            if Instant::now() > deadline {
                return Err("docker-registry does not listen".to_owned());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
