//! How many requests may be in flight at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

use crate::Clock;

/// What a request is to others, as far as waiting for a place goes.
///
/// Each lane has as many places as the ceiling allows. With one lane for all, copies within one client would wait for
/// each other for ever: each holds the place of the blob that it reads, and wants one to write it. So nobody waits for a
/// lane while it holds a place of a later one: writing waits behind reading, and a token behind both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Reads. The place of a blob is held until whoever reads it is done, interruptions included.
    Reading,
    /// Writes, maybe what is being read at the same time.
    Writing,
    /// Asks for a token, which any other request may have to wait for.
    Token,
}

/// The places for requests.
#[derive(Debug)]
pub(crate) struct Ceiling {
    reading: Arc<Semaphore>,
    writing: Arc<Semaphore>,
    tokens: Arc<Semaphore>,
    /// Grows when anything of any request moves.
    moves: Arc<AtomicU64>,
}

/// A place in a lane, which is free again once all clones are gone.
#[derive(Clone, Debug)]
pub(crate) struct Permit(Arc<Held>);

#[derive(Debug)]
struct Held {
    _permit: OwnedSemaphorePermit,
    moves: Arc<AtomicU64>,
}

impl Ceiling {
    /// Allows so many requests in each lane; 0 counts as 1.
    pub(crate) fn new(count: usize) -> Self {
        let lane = || Arc::new(Semaphore::new(count.clamp(1, Semaphore::MAX_PERMITS)));
        Self {
            reading: lane(),
            writing: lane(),
            tokens: lane(),
            moves: Arc::default(),
        }
    }

    /// Waits for a place; `None` when there is none to wait for: nothing in any lane has moved for twice as long as a
    /// server may be silent, so whoever holds the places does not use them.
    pub(crate) async fn enter(
        &self,
        lane: Lane,
        clock: &dyn Clock,
        patience: Duration,
    ) -> Option<Permit> {
        let places = match lane {
            Lane::Reading => &self.reading,
            Lane::Writing => &self.writing,
            Lane::Token => &self.tokens,
        };
        let mut waiting = Box::pin(Arc::clone(places).acquire_owned());
        loop {
            let before = self.moves.load(Ordering::Relaxed);
            let silence = clock.patience(patience.saturating_mul(2));
            match select(waiting, silence).await {
                Either::Left((permit, _)) => return self.permit(permit),
                Either::Right(_) if self.moves.load(Ordering::Relaxed) == before => return None,
                Either::Right(((), again)) => waiting = again,
            }
        }
    }

    fn permit(&self, permit: Result<OwnedSemaphorePermit, AcquireError>) -> Option<Permit> {
        let held = Held {
            _permit: permit.ok()?,
            moves: Arc::clone(&self.moves),
        };
        Some(Permit(Arc::new(held)))
    }

    /// Notes that something moved.
    pub(crate) fn note(&self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }
}

impl Permit {
    /// Notes that something of its request moved.
    pub(crate) fn note(&self) {
        self.0.moves.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.moves.fetch_add(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TokioClock;

    const PATIENCE: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn lanes_do_not_wait_for_each_other() {
        let ceiling = Ceiling::new(0);
        let clock = TokioClock::new();
        let mut held = Vec::new();
        for lane in [Lane::Reading, Lane::Writing, Lane::Token] {
            held.push(ceiling.enter(lane, &clock, PATIENCE).await.unwrap());
        }
        let reading = held.remove(0);
        let clone = reading.clone();
        drop(reading);
        let next = ceiling.enter(Lane::Reading, &clock, PATIENCE);
        let later = async {
            tokio::task::yield_now().await;
            drop(clone);
        };
        let (next, ()) = futures_util::future::join(next, later).await;
        assert!(next.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_what_nobody_uses_gives_up_and_nobody_else_does() {
        let ceiling = Ceiling::new(1);
        let clock = TokioClock::new();
        let held = ceiling.enter(Lane::Reading, &clock, PATIENCE).await;
        let started = tokio::time::Instant::now();
        let busy = async {
            for _ in 0..5 {
                tokio::time::sleep(PATIENCE).await;
                held.as_ref().unwrap().note();
            }
            std::future::pending::<()>().await;
        };
        let next = Box::pin(ceiling.enter(Lane::Reading, &clock, PATIENCE));
        let Either::Left((next, _)) = select(next, Box::pin(busy)).await else {
            panic!("this one never ends");
        };
        assert!(next.is_none());
        let waited = started.elapsed();
        assert!(
            waited > 5 * PATIENCE && waited <= 10 * PATIENCE,
            "{waited:?}"
        );
    }
}
