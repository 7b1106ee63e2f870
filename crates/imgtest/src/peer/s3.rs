//! A server of S3: moto, which keeps everything in memory.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use super::{Running, free_address, wait_for_listener};
use crate::oracle::moto_server;

/// The bucket that is there from the start.
pub(super) const BUCKET: &str = "blobs";

/// An S3 that anyone may read and write.
#[derive(Debug)]
pub(super) struct S3 {
    address: String,
    _process: Running,
}

impl S3 {
    /// Starts one with its log in `directory`; `None` where moto cannot be had, which has then been said.
    pub(super) fn start(directory: &Path) -> Option<Self> {
        let mut command = moto_server()?;
        let address = free_address();
        let (host, port) = address
            .rsplit_once(':')
            .expect("because an address has a port");
        let log = directory.join("s3.log");
        let process = Running::start(command.args(["--host", host, "--port", port]), &log);
        wait_for_listener(&address, &log);
        make_bucket(&address);
        Some(Self {
            address,
            _process: process,
        })
    }

    /// Returns host and port.
    pub(super) fn address(&self) -> &str {
        &self.address
    }
}

fn make_bucket(address: &str) {
    let mut stream = TcpStream::connect(address).expect("because it listens");
    let request = format!(
        "PUT /{BUCKET} HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    let mut answer = String::new();
    stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.read_to_string(&mut answer))
        .expect("because it listens");
    let is_made = answer.split(' ').nth(1) == Some("200");
    assert!(is_made, "no bucket: {answer}");
}
