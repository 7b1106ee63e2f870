//! The way of the blocks of one blob: hashed in order, encoded out of order, and put in order again.
//!
//! ```text
//!  caller ──▶ hash lane (one, ordered) ──▶ queue ──▶ threads (may be shared) ──▶ caller puts them in order, writes
//!     ▲                                                                                        │
//!     └──────────────────────────── blocks come back with the encodings ───────────────────────┘
//! ```
//!
//! Where bytes stay as they are, the hash lane hands blocks back itself. A block moves from place to place and is never
//! shared. All channels together hold no more than all blocks, so nothing but waiting for a result ever blocks, and
//! results only stop coming when a thread died, which shows as a closed channel or as an error in place of the result.
//! The caller's thread does the writing, so that an error of the output is known at once and the output need not be
//! handed to another thread.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use crossbeam_channel::{Receiver, Sender, bounded};
use imgcore::Hasher;

use super::block::Block;
use super::codec::CodecFactory;
use super::threads::{Client, Done, Job, MOST_THREADS, Queue, Threads, died};
use crate::Error;

/// How many blocks there are beside the one that each thread has: one at the caller, one at the hash lane, and some that
/// wait, so that a thread that is done finds the next one at once, and one that needs long for its block does not hold up
/// the others.
const WAITING_BLOCKS: usize = 6;
/// As many of the longer blocks of zstd: they take twice the memory, and last as long.
const WAITING_LONG_BLOCKS: usize = 4;

/// How many blocks there are where the hash lane is all that there is.
const UNENCODED_BLOCKS: usize = 4;

/// The way of the blocks of one blob.
pub(super) struct Pipeline {
    /// Who encodes, and what is to be done; `None` where bytes stay as they are.
    encoders: Option<(Threads, Arc<Client>)>,
    most_blocks: usize,
    /// How long a block may be.
    block_size: usize,
    /// How many blocks exist, wherever they are.
    blocks: usize,
    /// Blocks that nobody uses.
    free: Vec<Block>,
    /// `None` when no more blocks come.
    to_hash: Option<Sender<(u64, Block)>>,
    done: Receiver<Done>,
    hash_lane: Option<JoinHandle<Hasher>>,
    submitted: u64,
    /// How many encodings were handed out, in order.
    handed_out: u64,
    /// Encodings that came, by their distance from the next one to hand out.
    came: VecDeque<Option<Block>>,
}

impl Pipeline {
    /// Starts the hash lane, which goes on with `hasher`; up to `most_encoded` blocks are encoded at the same time.
    pub(super) fn start(
        encoder: Option<(Threads, Arc<CodecFactory>)>,
        most_encoded: usize,
        block_size: usize,
        hasher: Hasher,
    ) -> Result<Self, Error> {
        let most_blocks = match encoder {
            Some(_) if block_size > 1 << 20 => most_encoded.min(MOST_THREADS) + WAITING_LONG_BLOCKS,
            Some(_) => most_encoded.min(MOST_THREADS) + WAITING_BLOCKS,
            None => UNENCODED_BLOCKS,
        };
        let (to_hash, blocks) = bounded(most_blocks);
        let (done_sender, done) = bounded(most_blocks);
        let encoders = encoder.map(|(threads, factory)| {
            let stopped = AtomicBool::new(false);
            (threads, Arc::new(Client { factory, stopped }))
        });
        let lane = HashLane {
            encoders: match &encoders {
                Some((threads, client)) => Some((threads.queue()?, Arc::clone(client))),
                None => None,
            },
            done: done_sender,
        };
        let hash_lane = thread::Builder::new()
            .name("imglayer-hash".to_owned())
            .spawn(move || lane.run(hasher, &blocks))
            .map_err(|source| Error::io("start a thread to hash a layer", source))?;
        Ok(Self {
            encoders,
            most_blocks,
            block_size,
            blocks: 0,
            free: Vec::new(),
            to_hash: Some(to_hash),
            done,
            hash_lane: Some(hash_lane),
            submitted: 0,
            handed_out: 0,
            came: VecDeque::new(),
        })
    }

    /// Hands a block to the threads. Never waits.
    pub(super) fn submit(&mut self, block: Block) -> Result<(), Error> {
        if let Some((threads, _)) = &self.encoders {
            threads.expect_block()?;
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
            Block::new(self.block_size)
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

    /// Ends the hash lane, and returns the hash of all blocks.
    pub(super) fn finish(mut self) -> Result<Hasher, Error> {
        self.to_hash = None;
        let hash_lane = self.hash_lane.take().ok_or_else(died)?;
        hash_lane.join().map_err(|_| died())
    }

    fn arrive(&mut self, (number, result): Done) -> Result<(), Error> {
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
        if let Some((_, client)) = &self.encoders {
            client.stopped.store(true, Ordering::Relaxed);
        }
        self.to_hash = None;
        if let Some(hash_lane) = self.hash_lane.take() {
            // If it panicked, that was shown already, as an end of results.
            let _ = hash_lane.join();
        }
    }
}

/// Hashes blocks in order and sends them on.
struct HashLane {
    /// Where they go to be encoded; `None` when they are done with this.
    encoders: Option<(Queue, Arc<Client>)>,
    done: Sender<Done>,
}

impl HashLane {
    fn run(self, mut hasher: Hasher, blocks: &Receiver<(u64, Block)>) -> Hasher {
        for (number, block) in blocks {
            hasher.update(block.bytes());
            if self.send_on(number, block).is_err() {
                break;
            }
        }
        hasher
    }

    fn send_on(&self, number: u64, block: Block) -> Result<(), Error> {
        match &self.encoders {
            Some((queue, client)) => queue.push(Job {
                client: Arc::clone(client),
                number,
                block,
                done: self.done.clone(),
            }),
            None => self.done.send((number, Ok(block))).map_err(|_| died()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use imgtar::Codec;

    use super::super::block::{Encoding, Part};
    use super::super::codec::BlockCodec;
    use super::super::codec::Kind;
    use super::super::level::Level;
    use super::super::options::EncodeOptions;
    use super::*;
    use crate::ErrorKind;

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
                [b's', ..] => thread::sleep(std::time::Duration::from_millis(150)),
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
        pipeline_on(&own(threads), threads)
    }

    fn a_kind() -> Kind {
        Kind::new(&EncodeOptions::new(Codec::None, Level::Fast), false)
    }

    fn own(threads: usize) -> Threads {
        Threads::new(NonZeroUsize::new(threads).unwrap())
    }

    fn pipeline_on(threads: &Threads, most: usize) -> Pipeline {
        let factory = CodecFactory::new(a_kind(), Box::new(|| Ok(Box::new(Moody))));
        let encoder = (threads.clone(), Arc::new(factory));
        Pipeline::start(Some(encoder), most, 1 << 10, Hasher::default()).unwrap()
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
        let refuse = || Err(Error::new(ErrorKind::Unsupported, "no"));
        let factory = CodecFactory::new(a_kind(), Box::new(refuse));
        let encoder = (own(2), Arc::new(factory));
        let mut pipeline = Pipeline::start(Some(encoder), 2, 1 << 10, Hasher::default()).unwrap();
        submit(&mut pipeline, b"any");
        assert_eq!(
            pipeline.next().err().unwrap().kind(),
            ErrorKind::Unsupported
        );
    }

    #[test]
    fn a_panic_while_a_codec_is_made_is_a_bug_and_not_a_wait() {
        let factory = CodecFactory::new(a_kind(), Box::new(|| panic!("told to")));
        let encoder = (own(2), Arc::new(factory));
        let mut pipeline = Pipeline::start(Some(encoder), 2, 1 << 10, Hasher::default()).unwrap();
        submit(&mut pipeline, b"any");
        assert_eq!(pipeline.next().err().unwrap().kind(), ErrorKind::Bug);
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
        assert_eq!(pipeline.most_blocks, MOST_THREADS + WAITING_BLOCKS);
    }

    #[test]
    fn encoders_start_as_they_are_needed_and_stop_when_dropped() {
        let threads = own(64);
        let mut pipeline = pipeline_on(&threads, 64);
        submit(&mut pipeline, b"slow");
        submit(&mut pipeline, b"slow");
        assert_eq!(threads.running(), 2);
        let (_, client) = pipeline.encoders.as_ref().unwrap();
        let client = Arc::clone(client);
        drop(pipeline);
        drop(threads);
        assert_eq!(Arc::strong_count(&client), 1, "no thread holds it any more");
    }

    #[test]
    fn shared_threads_outlive_writers_and_panics() {
        let threads = own(2);
        for _ in 0..3 {
            let mut failing = pipeline_on(&threads, 2);
            let mut dropped = pipeline_on(&threads, 2);
            let mut other = pipeline_on(&threads, 2);
            submit(&mut dropped, b"slow");
            submit(&mut other, b"slow");
            submit(&mut failing, b"panic");
            submit(&mut other, b"quick");
            drop(dropped);
            assert_eq!(failing.next().err().unwrap().kind(), ErrorKind::Bug);
            assert_eq!(next_output(&mut other), Some(vec![4]));
            assert_eq!(next_output(&mut other), Some(vec![5]));
        }
        assert_eq!(threads.running(), 2);
    }

    #[test]
    fn blocks_without_a_codec_come_back_hashed() {
        let mut pipeline = Pipeline::start(None, 2, 1 << 10, Hasher::default()).unwrap();
        submit(&mut pipeline, b"one");
        submit(&mut pipeline, b"two");
        for expected in [b"one", b"two"] {
            assert_eq!(pipeline.next().unwrap().unwrap().bytes(), expected);
        }
        let hash = pipeline.finish().unwrap().finish();
        assert_eq!(hash, imgcore::Digest::sha256_of(b"onetwo"));
    }
}
