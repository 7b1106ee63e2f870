//! Time and chance, from outside: tests bring their own.

use std::fmt;
use std::time::{Duration, Instant, SystemTime};

use futures_core::future::BoxFuture;
use tokio::runtime::Handle;

/// What the client knows of time, and where its jitter comes from.
///
/// Protocol code gets moments and random numbers as arguments, and the client gets them from here, so that a test of
/// minutes of retries takes none.
pub trait Clock: Send + Sync {
    /// Returns a moment that never goes back: for the life of tokens.
    fn now(&self) -> Instant;

    /// Returns the time of day: for headers that carry dates.
    fn wall(&self) -> SystemTime;

    /// Waits, between two attempts.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;

    /// Waits for so long as a server may be silent. It runs beside the transfer.
    ///
    /// A clock whose [`sleep`](Self::sleep) ends at once must have a `patience` that does not.
    fn patience(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.sleep(duration)
    }

    /// Returns a number from 0 up to, but not including, 1.
    fn jitter(&self) -> f64;
}

/// The clock of tokio's runtime. It follows a runtime whose time is paused.
pub struct TokioClock {
    runtime: Option<Handle>,
    started: tokio::time::Instant,
    wall: SystemTime,
    jitter: std::hash::RandomState,
    calls: std::sync::atomic::AtomicU64,
}

impl TokioClock {
    /// Starts a clock on the runtime that the caller is on. Without one, waiting works on runtimes only.
    pub fn new() -> Self {
        Self {
            runtime: Handle::try_current().ok(),
            started: tokio::time::Instant::now(),
            wall: SystemTime::now(),
            jitter: std::hash::RandomState::new(),
            calls: std::sync::atomic::AtomicU64::new(0),
        }
    }
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Instant {
        tokio::time::Instant::now().into_std()
    }

    fn wall(&self) -> SystemTime {
        self.wall + self.started.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        // The caller may be on a thread that the runtime does not know.
        let _on_runtime = self.runtime.as_ref().map(Handle::enter);
        Box::pin(tokio::time::sleep(duration))
    }

    fn jitter(&self) -> f64 {
        use std::hash::BuildHasher;
        // Spreading clients apart needs no better randomness than the standard library's seed.
        let call = self
            .calls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let bits = self.jitter.hash_one(call) >> 11;
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
        let fraction = bits as f64 / (1_u64 << 53) as f64;
        fraction
    }
}

impl fmt::Debug for TokioClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokioClock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_follows_paused_time() {
        let clock = TokioClock::new();
        let (now, wall) = (clock.now(), clock.wall());
        clock.sleep(Duration::from_secs(3600)).await;
        assert!(clock.now() - now >= Duration::from_secs(3600));
        assert!(clock.wall().duration_since(wall).unwrap() >= Duration::from_secs(3600));
    }

    #[test]
    fn jitter_is_a_fraction_that_changes() {
        let clock = TokioClock::new();
        let drawn: Vec<f64> = (0..100).map(|_| clock.jitter()).collect();
        assert!(drawn.iter().all(|value| (0.0..1.0).contains(value)));
        assert!(
            drawn
                .windows(2)
                .any(|pair| (pair[0] - pair[1]).abs() > 0.01)
        );
    }
}
