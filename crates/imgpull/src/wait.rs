//! Waiting and long calls, with a runtime where there is one and without where there is none.

use std::io;
use std::time::Duration;

use tokio::runtime::Handle;

/// Runs something that keeps the disk busy where it holds up no task.
pub(crate) async fn off_the_runtime<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match Handle::try_current() {
        Err(_) => work(),
        Ok(handle) => handle
            .spawn_blocking(work)
            .await
            .unwrap_or_else(|error| Err(io::Error::other(error))),
    }
}

/// Waits.
pub(crate) async fn pause(duration: Duration) {
    if Handle::try_current().is_ok() {
        tokio::time::sleep(duration).await;
    } else {
        std::thread::sleep(duration);
    }
}
