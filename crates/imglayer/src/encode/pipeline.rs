//! Threads that hash blocks in order and encode them out of order.
//!
//! ```text
//!  caller ──▶ hash lane (one, ordered) ──▶ work queue ──▶ encoders (up to n) ──▶ caller puts them in order, writes
//!     ▲                                                                                        │
//!     └──────────────────────────── buffers come back with the encodings ──────────────────────┘
//! ```
//!
//! A block moves from place to place and is never shared. All channels together hold no more than all blocks, so
//! nothing but waiting for a result ever blocks, and results only stop coming when a thread died, which shows as a
//! closed channel or as an error in place of the result. The caller's thread does the writing, so that an error of the
//! output is known at once and the output need not be handed to another thread.

use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use imgcore::Hasher;

use super::block::Block;
use super::codec::{BLOCK_SIZE, CodecFactory};
use crate::{Error, ErrorKind};

/// How many blocks there are beside the one that each encoder has: one at the caller, one at the hash lane, and two
/// that wait, so that an encoder that is done finds the next one at once.
const WAITING_BLOCKS: usize = 4;

/// More encoders than this are never started: the channels have room for a block of each from the start.
const MOST_ENCODERS: usize = 1024;

/// What moves between the threads.
type Numbered<T> = (u64, T);

/// The threads of one blob.
pub(super) struct Pipeline {
    factory: Arc<CodecFactory>,
    most_encoders: usize,
    most_blocks: usize,
    /// How many blocks exist, wherever they are.
    blocks: usize,
    /// Blocks that nobody uses.
    free: Vec<Block>,
    /// `None` when no more blocks come.
    to_hash: Option<Sender<Numbered<Block>>>,
    work: Receiver<Numbered<Block>>,
    done: Receiver<Numbered<Result<Block, Error>>>,
    /// For the encoders yet to be started.
    done_sender: Option<Sender<Numbered<Result<Block, Error>>>>,
    hash_lane: Option<JoinHandle<Hasher>>,
    encoders: Vec<JoinHandle<()>>,
    submitted: u64,
    /// How many encodings were handed out, in order.
    handed_out: u64,
    /// Encodings that came, by their distance from the next one to hand out.
    came: VecDeque<Option<Block>>,
    /// Tells the encoders that nobody waits for them any more.
    stopped: Arc<AtomicBool>,
}

impl Pipeline {
    /// Starts the hash lane, which goes on with `hasher`; encoders start when there is something for them to do.
    pub(super) fn start(
        factory: Arc<CodecFactory>,
        threads: usize,
        hasher: Hasher,
    ) -> Result<Self, Error> {
        let threads = threads.min(MOST_ENCODERS);
        let most_blocks = threads + WAITING_BLOCKS;
        let (to_hash, hash_input) = bounded(most_blocks);
        let (hash_output, work) = bounded(most_blocks);
        let (done_sender, done) = bounded(most_blocks);
        let hash_lane = thread::Builder::new()
            .name("imglayer-hash".to_owned())
            .spawn(move || hash_in_order(hasher, &hash_input, &hash_output))
            .map_err(|source| Error::io("start a thread to hash a layer", source))?;
        Ok(Self {
            factory,
            most_encoders: threads,
            most_blocks,
            blocks: 0,
            free: Vec::new(),
            to_hash: Some(to_hash),
            work,
            done,
            done_sender: Some(done_sender),
            hash_lane: Some(hash_lane),
            encoders: Vec::new(),
            submitted: 0,
            handed_out: 0,
            came: VecDeque::new(),
            stopped: Arc::new(AtomicBool::new(false)),
        })
    }

    /// Hands a block to the threads. Never waits.
    pub(super) fn submit(&mut self, block: Block) -> Result<(), Error> {
        let under_way = self.submitted - self.handed_out;
        if self.encoders.len() < self.most_encoders && self.encoders.len() as u64 <= under_way {
            self.start_encoder()?;
        }
        let sender = self.to_hash.as_ref().ok_or_else(died)?;
        sender.send((self.submitted, block)).map_err(|_| died())?;
        self.submitted += 1;
        Ok(())
    }

    /// Counts a block that was made elsewhere as one of this pipeline's.
    pub(super) fn adopt(&mut self, block: Block) -> Block {
        self.blocks += 1;
        block
    }

    /// Returns a block to fill, if there is one without waiting.
    pub(super) fn free_block(&mut self) -> Option<Block> {
        if let Some(block) = self.free.pop() {
            return Some(block);
        }
        (self.blocks < self.most_blocks).then(|| {
            self.blocks += 1;
            Block::new(BLOCK_SIZE)
        })
    }

    /// Takes a block back.
    pub(super) fn recycle(&mut self, block: Block) {
        self.free.push(block);
    }

    /// Returns the next encoding in order, if it came already.
    pub(super) fn try_next(&mut self) -> Result<Option<Block>, Error> {
        while let Ok(result) = self.done.try_recv() {
            self.arrive(result)?;
        }
        Ok(self.hand_out())
    }

    /// Waits for the next encoding in order; `None` when all were handed out.
    pub(super) fn next(&mut self) -> Result<Option<Block>, Error> {
        while self.handed_out < self.submitted {
            if let Some(block) = self.hand_out() {
                return Ok(Some(block));
            }
            let result = self.done.recv().map_err(|_| died())?;
            self.arrive(result)?;
        }
        Ok(None)
    }

    /// Says that no more blocks come: the encoders end when they are through.
    pub(super) fn close(&mut self) {
        self.to_hash = None;
        self.done_sender = None;
    }

    /// Ends the threads, and returns the hash of all blocks.
    pub(super) fn finish(mut self) -> Result<Hasher, Error> {
        self.close();
        let hash_lane = self.hash_lane.take().ok_or_else(died)?;
        hash_lane.join().map_err(|_| died())
    }

    fn start_encoder(&mut self) -> Result<(), Error> {
        let factory = Arc::clone(&self.factory);
        let stopped = Arc::clone(&self.stopped);
        let (work, done) = (
            self.work.clone(),
            self.done_sender.clone().ok_or_else(died)?,
        );
        let started = thread::Builder::new()
            .name("imglayer-encode".to_owned())
            .spawn(move || encode_all(&factory, &stopped, &work, &done));
        match started {
            Ok(encoder) => self.encoders.push(encoder),
            // A machine that is short of threads may do with those that it gave.
            Err(_) if !self.encoders.is_empty() => self.most_encoders = self.encoders.len(),
            Err(source) => return Err(Error::io("start a thread to encode a layer", source)),
        }
        Ok(())
    }

    fn arrive(&mut self, (number, result): Numbered<Result<Block, Error>>) -> Result<(), Error> {
        let place = usize::try_from(number - self.handed_out).map_err(|_| died())?;
        let block = result?;
        if self.came.len() <= place {
            self.came.resize_with(place + 1, || None);
        }
        self.came[place] = Some(block);
        Ok(())
    }

    fn hand_out(&mut self) -> Option<Block> {
        let block = self.came.front_mut()?.take()?;
        self.came.pop_front();
        self.handed_out += 1;
        Some(block)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        self.close();
        // A thread that panicked has shown it already, as an error in place of a result.
        for encoder in self.encoders.drain(..) {
            let _ = encoder.join();
        }
        if let Some(hash_lane) = self.hash_lane.take() {
            let _ = hash_lane.join();
        }
    }
}

fn hash_in_order(
    mut hasher: Hasher,
    blocks: &Receiver<Numbered<Block>>,
    work: &Sender<Numbered<Block>>,
) -> Hasher {
    for (number, block) in blocks {
        hasher.update(block.bytes());
        if work.send((number, block)).is_err() {
            break;
        }
    }
    hasher
}

fn encode_all(
    factory: &CodecFactory,
    stopped: &AtomicBool,
    work: &Receiver<Numbered<Block>>,
    done: &Sender<Numbered<Result<Block, Error>>>,
) {
    let mut codec = None;
    for (number, mut block) in work {
        if stopped.load(Ordering::Relaxed) {
            return;
        }
        // A panic must come to the caller, who would wait for the block otherwise. The codec is not used after it.
        let result = panic::catch_unwind(AssertUnwindSafe(|| {
            let codec = match &mut codec {
                Some(codec) => codec,
                None => codec.insert(factory()?),
            };
            block.encode(codec.as_mut())?;
            Ok(block)
        }));
        let result = result.unwrap_or_else(|_| Err(died()));
        let failed = result.is_err();
        if done.send((number, result)).is_err() || failed {
            return;
        }
    }
}

fn died() -> Error {
    Error::new(ErrorKind::Bug, "a thread that encodes a layer died")
}

#[cfg(test)]
mod tests {
    use super::super::block::{Encoding, Part};
    use super::super::codec::BlockCodec;
    use super::*;

    /// Encodes a block as its length, and does what its first byte says.
    struct Moody;

    impl BlockCodec for Moody {
        fn encode(
            &mut self,
            input: &[u8],
            _: Part,
            output: &mut Vec<u8>,
            _: usize,
        ) -> Result<Encoding, Error> {
            match input {
                [b'f', ..] => return Err(Error::new(ErrorKind::Unsupported, "no")),
                [b'p', ..] => panic!("told to"),
                [b's', ..] => thread::sleep(std::time::Duration::from_millis(20)),
                _ => {}
            }
            output.clear();
            output.push(input.len().to_le_bytes()[0]);
            Ok(Encoding {
                end: 1,
                checksum: None,
            })
        }
    }

    fn pipeline(threads: usize) -> Pipeline {
        let factory: CodecFactory = Box::new(|| Ok(Box::new(Moody)));
        Pipeline::start(Arc::new(factory), threads, Hasher::default()).unwrap()
    }

    fn submit(pipeline: &mut Pipeline, bytes: &[u8]) {
        let mut block = pipeline.free_block().unwrap();
        block.input[..bytes.len()].copy_from_slice(bytes);
        block.filled = bytes.len();
        block.set_single_piece(Part::Whole);
        pipeline.submit(block).unwrap();
    }

    fn next_output(pipeline: &mut Pipeline) -> Option<Vec<u8>> {
        pipeline
            .next()
            .unwrap()
            .map(|block| block.encoding().to_vec())
    }

    #[test]
    fn encodings_come_in_order_though_the_first_takes_longest() {
        let mut pipeline = pipeline(3);
        for bytes in [&b"slow"[..], b"quick", b"quicker"] {
            submit(&mut pipeline, bytes);
        }
        assert_eq!(next_output(&mut pipeline), Some(vec![4]));
        assert_eq!(next_output(&mut pipeline), Some(vec![5]));
        assert_eq!(next_output(&mut pipeline), Some(vec![7]));
        assert_eq!(next_output(&mut pipeline), None);
        let hash = pipeline.finish().unwrap().finish();
        assert_eq!(hash, imgcore::Digest::sha256_of(b"slowquickquicker"));
    }

    #[test]
    fn a_panic_of_an_encoder_is_a_bug_and_not_a_wait() {
        for threads in [1, 3] {
            let mut pipeline = pipeline(threads);
            submit(&mut pipeline, b"panic");
            submit(&mut pipeline, b"after");
            assert_eq!(pipeline.next().err().unwrap().kind(), ErrorKind::Bug);
        }
    }

    #[test]
    fn an_error_of_an_encoder_comes_as_it_is() {
        let mut pipeline = pipeline(2);
        submit(&mut pipeline, b"fail");
        assert_eq!(
            pipeline.next().err().unwrap().kind(),
            ErrorKind::Unsupported
        );
    }

    #[test]
    fn a_codec_that_cannot_be_made_is_an_error() {
        let factory: CodecFactory = Box::new(|| Err(Error::new(ErrorKind::Unsupported, "no")));
        let mut pipeline = Pipeline::start(Arc::new(factory), 2, Hasher::default()).unwrap();
        submit(&mut pipeline, b"any");
        assert_eq!(
            pipeline.next().err().unwrap().kind(),
            ErrorKind::Unsupported
        );
    }

    #[test]
    fn no_more_blocks_exist_than_threads_and_a_few() {
        let mut pipeline = pipeline(2);
        let blocks: Vec<Block> = std::iter::from_fn(|| pipeline.free_block()).collect();
        assert_eq!(blocks.len(), 2 + WAITING_BLOCKS);
    }

    #[test]
    fn number_of_threads_may_be_absurd() {
        let mut pipeline = pipeline(usize::MAX);
        submit(&mut pipeline, b"quick");
        assert_eq!(next_output(&mut pipeline), Some(vec![5]));
        assert_eq!(pipeline.most_blocks, MOST_ENCODERS + WAITING_BLOCKS);
    }

    #[test]
    fn encoders_start_as_they_are_needed_and_stop_when_dropped() {
        let mut pipeline = pipeline(64);
        submit(&mut pipeline, b"slow");
        submit(&mut pipeline, b"slow");
        assert_eq!(pipeline.encoders.len(), 2);
        let stopped = Arc::clone(&pipeline.stopped);
        drop(pipeline);
        assert_eq!(
            Arc::strong_count(&stopped),
            1,
            "no thread holds it any more"
        );
    }
}
