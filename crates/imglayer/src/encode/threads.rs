//! The threads that encode blocks, for one writer or for many.

use std::fmt;
use std::num::NonZeroUsize;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::block::Block;
use super::codec::{BlockCodec, CodecFactory, Kind};
use crate::{Error, ErrorKind};

/// More threads than this are never started.
pub(super) const MOST_THREADS: usize = 1024;

/// How many codecs a thread keeps for the next block of their kind.
const KEPT_CODECS: usize = 3;

/// Encoding threads that several writers share, also at the same time.
///
/// Threads start when there are blocks for them, and wait for more until the last handle is dropped. A clone is another
/// handle to the same threads. Where nothing is shared, a writer starts
/// [as many](super::EncodeOptions::threads) as it may have and ends them.
///
/// # Examples
///
/// ```
/// use imglayer::encode::{EncodeOptions, Threads, recompress};
///
/// let mut options = EncodeOptions::default();
/// options.shared_threads = Some(Threads::new(2.try_into()?));
/// for layer in ["one", "two"] {
///     recompress(&mut layer.as_bytes(), Vec::new(), &options)?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Threads(Arc<Pool>);

impl Threads {
    /// Makes room for so many threads, at most 1024, and starts none.
    pub fn new(most: NonZeroUsize) -> Self {
        let (sender, jobs) = unbounded();
        Self(Arc::new(Pool {
            most: most.get().min(MOST_THREADS),
            sender: Some(sender),
            jobs,
            under_way: Arc::default(),
            running: Mutex::default(),
        }))
    }

    /// Says that a block comes, and starts a thread for it if all that run have something to do.
    pub(super) fn expect_block(&self) -> Result<(), Error> {
        let under_way = self.0.under_way.fetch_add(1, Ordering::Relaxed) + 1;
        let mut running = self
            .0
            .running
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if running.len() >= self.0.most || running.len() >= under_way {
            return Ok(());
        }
        let (jobs, count) = (self.0.jobs.clone(), Arc::clone(&self.0.under_way));
        let started = thread::Builder::new()
            .name("imglayer-encode".to_owned())
            .spawn(move || encode_all(&jobs, &count));
        match started {
            Ok(thread) => running.push(thread),
            // A machine that is short of threads may do with those that it gave.
            Err(_) if !running.is_empty() => {}
            Err(source) => return Err(Error::io("start a thread to encode a layer", source)),
        }
        Ok(())
    }

    /// Where blocks go that were expected.
    pub(super) fn queue(&self) -> Result<Queue, Error> {
        Ok(Queue(self.0.sender.clone().ok_or_else(died)?))
    }

    #[cfg(test)]
    pub(super) fn running(&self) -> usize {
        self.0.running.lock().unwrap().len()
    }
}

/// Equal handles have the same threads.
impl PartialEq for Threads {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Threads {}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Threads")
            .field("most", &self.0.most)
            .finish_non_exhaustive()
    }
}

struct Pool {
    most: usize,
    /// `None` when no more jobs come.
    sender: Option<Sender<Job>>,
    jobs: Receiver<Job>,
    /// How many blocks were expected and are not encoded yet.
    under_way: Arc<AtomicUsize>,
    running: Mutex<Vec<JoinHandle<()>>>,
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.sender = None;
        let running = self
            .running
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        for thread in running.drain(..) {
            // A panic of a codec never gets this far.
            let _ = thread.join();
        }
    }
}

/// The end of the queue of blocks, without a hold on the threads.
pub(super) struct Queue(Sender<Job>);

impl Queue {
    pub(super) fn push(&self, job: Job) -> Result<(), Error> {
        self.0.send(job).map_err(|_| died())
    }
}

/// What the blocks of a blob have in common.
pub(super) struct Client {
    pub(super) factory: Arc<CodecFactory>,
    /// Says that nobody waits for the blocks any more.
    pub(super) stopped: AtomicBool,
}

/// A block to encode.
pub(super) struct Job {
    pub(super) client: Arc<Client>,
    pub(super) number: u64,
    pub(super) block: Block,
    pub(super) done: Sender<Done>,
}

/// A block's number and what came of it.
pub(super) type Done = (u64, Result<Block, Error>);

fn encode_all(jobs: &Receiver<Job>, under_way: &AtomicUsize) {
    let mut codecs = Codecs::default();
    for Job {
        client,
        number,
        mut block,
        done,
    } in jobs
    {
        if !client.stopped.load(Ordering::Relaxed) {
            let result = codecs.encode(&client.factory, &mut block);
            // Nobody waits if the writer is gone.
            let _ = done.send((number, result.map(|()| block)));
        }
        under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The codecs of a thread, the one that was used last in front.
#[derive(Default)]
struct Codecs(Vec<(Kind, Box<dyn BlockCodec>)>);

impl Codecs {
    fn encode(&mut self, factory: &CodecFactory, block: &mut Block) -> Result<(), Error> {
        let kept = self.0.iter().position(|(kind, _)| *kind == factory.kind());
        let kept = kept.map(|place| self.0.remove(place).1);
        // A panic must come to the writer, who would wait for the block otherwise. The codec is not used after it.
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let mut codec = kept.map_or_else(|| factory.make(), Ok)?;
            block.encode(codec.as_mut())?;
            Ok(codec)
        }));
        let codec = result.unwrap_or_else(|_| Err(died()))?;
        self.0.truncate(KEPT_CODECS - 1);
        self.0.insert(0, (factory.kind(), codec));
        Ok(())
    }
}

pub(super) fn died() -> Error {
    Error::new(ErrorKind::Bug, "a thread that encodes a layer died")
}
