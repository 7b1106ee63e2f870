//! A socket between a client and a daemon, that counts what passes.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Passes on connections to a Unix socket, and counts the bytes that clients send. Its threads end with the test's process.
#[derive(Debug)]
pub struct SocketProxy {
    sent: Arc<AtomicU64>,
}

impl SocketProxy {
    /// Listens at `at` for a daemon at `target`.
    pub fn start(at: &Path, target: &Path) -> Self {
        let listener = UnixListener::bind(at).expect("because the test owns the directory");
        let sent = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&sent);
        let target = target.to_owned();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let Ok(daemon) = UnixStream::connect(&target) else {
                    continue;
                };
                let (Ok(back), Ok(answers)) = (client.try_clone(), daemon.try_clone()) else {
                    continue;
                };
                let counter = Arc::clone(&counter);
                thread::spawn(move || pass(client, daemon, &counter));
                thread::spawn(move || pass(answers, back, &AtomicU64::new(0)));
            }
        });
        Self { sent }
    }

    /// Returns how many bytes clients have sent, and begins anew.
    pub fn take_sent(&self) -> u64 {
        self.sent.swap(0, Ordering::SeqCst)
    }
}

fn pass(mut from: UnixStream, mut to: UnixStream, counter: &AtomicU64) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        counter.fetch_add(count as u64, Ordering::SeqCst);
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
