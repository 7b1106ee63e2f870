//! A registry that a test starts for itself.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::tool::Running;

/// Debian's registry, with its access log.
pub(crate) struct Registry {
    pub(crate) address: String,
    log: PathBuf,
    _process: Running,
}

impl Registry {
    pub(crate) fn start(program: &Path, directory: &Path) -> Self {
        let free = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = free.local_addr().unwrap().to_string();
        drop(free);
        let storage = directory.join("registry");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nhttp: {{addr: \"{address}\"}}\n\
             storage: {{filesystem: {{rootdirectory: \"{}\"}}}}\n",
            storage.display()
        );
        let (file, log_file) = (
            directory.join("registry.yml"),
            directory.join("registry.log"),
        );
        fs_err::write(&file, config).unwrap();
        let process = Command::new(program)
            .arg("serve")
            .arg(file)
            .stdout(log(&log_file))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let process = Running(process);
        wait_for("the registry", || TcpStream::connect(&address).is_ok());
        Self {
            address,
            log: log_file,
            _process: process,
        }
    }

    /// Adds up what the access log says of answers with parts of a blob and with all of it.
    pub(crate) fn bytes_served(&self, digest: &str) -> u64 {
        let log = fs_err::read_to_string(&self.log).unwrap();
        let of_blob = log
            .lines()
            .filter(|line| line.contains("\"GET ") && line.contains(&format!("/blobs/{digest} ")));
        let size = |line: &str| -> u64 {
            let (_, after) = line.split_once(" HTTP/1.1\" ").unwrap();
            after.split(' ').nth(1).unwrap().parse().unwrap()
        };
        of_blob.map(size).sum()
    }
}

/// A file that takes what a process prints.
pub(crate) fn log(path: &Path) -> Stdio {
    Stdio::from(fs_err::File::create(path).unwrap().into_parts().0)
}

/// Waits a minute at most.
pub(crate) fn wait_for(what: &str, is_there: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is_there() {
        assert!(Instant::now() < deadline, "{what} does not start");
        std::thread::sleep(Duration::from_millis(50));
    }
}
