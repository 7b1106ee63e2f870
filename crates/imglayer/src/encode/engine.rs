//! Who hashes and encodes the blocks of a blob: the calling thread, or threads.

use std::io::Write;
use std::num::NonZeroUsize;
use std::sync::Arc;

use imgcore::Hasher;

use super::block::{Block, Part};
use super::codec::{BlockCodec, CodecFactory, Kind};
use super::options::EncodeOptions;
use super::output::Output;
use super::pipeline::Pipeline;
use super::threads::Threads;
use crate::{Error, ErrorKind};

/// Hashes and encodes blocks.
///
/// Threads start with the second block: a small layer is done sooner without.
pub(super) struct Engine {
    /// `None` when bytes stay as they are.
    factory: Option<Arc<CodecFactory>>,
    threads: NonZeroUsize,
    /// Threads to use instead of own ones.
    shared_threads: Option<Threads>,
    /// How long a block may be.
    block_size: usize,
    /// Of the uncompressed bytes, unless a pipeline has it.
    hasher: Hasher,
    /// The codec of the calling thread, once it encoded something.
    codec: Option<Box<dyn BlockCodec>>,
    /// A block that waits for a second one, or for the end.
    waiting: Option<Block>,
    /// Blocks that nobody uses, while there is no pipeline.
    free: Vec<Block>,
    pipeline: Option<Pipeline>,
}

impl Engine {
    pub(super) fn new(kind: Kind, options: &EncodeOptions) -> Self {
        Self {
            factory: CodecFactory::of(kind).map(Arc::new),
            block_size: kind.block_size(),
            threads: options.threads,
            shared_threads: options.shared_threads.clone(),
            hasher: Hasher::default(),
            codec: None,
            waiting: None,
            free: Vec::new(),
            pipeline: None,
        }
    }

    /// Takes a block, and returns an empty one to fill.
    pub(super) fn submit<W: Write>(
        &mut self,
        block: Block,
        output: &mut Output<W>,
    ) -> Result<Block, Error> {
        if let Some(pipeline) = &mut self.pipeline {
            pipeline.submit(block)?;
            return free_block(pipeline, output);
        }
        if self.threads == NonZeroUsize::MIN {
            return self.encode_inline(block, output);
        }
        let Some(first) = self.waiting.take() else {
            self.waiting = Some(block);
            return Ok(self
                .free
                .pop()
                .unwrap_or_else(|| Block::new(self.block_size)));
        };
        let mut pipeline = self.start()?;
        for block in [first, block] {
            let block = pipeline.adopt(block);
            pipeline.submit(block)?;
        }
        let pipeline = self.pipeline.insert(pipeline);
        free_block(pipeline, output)
    }

    fn start(&self) -> Result<Pipeline, Error> {
        let encoder = self.factory.as_ref().map(|factory| {
            let threads = self.shared_threads.clone();
            let threads = threads.unwrap_or_else(|| Threads::new(self.threads));
            (threads, Arc::clone(factory))
        });
        let most_encoded = self.threads.get();
        Pipeline::start(encoder, most_encoded, self.block_size, self.hasher.clone())
    }

    /// Writes all that was submitted.
    pub(super) fn drain<W: Write>(&mut self, output: &mut Output<W>) -> Result<(), Error> {
        if let Some(block) = self.waiting.take() {
            let block = self.encode_inline(block, output)?;
            self.free.push(block);
        }
        if let Some(pipeline) = &mut self.pipeline {
            while let Some(mut block) = pipeline.next()? {
                output.write_block(&mut block)?;
                block.clear();
                pipeline.recycle(block);
            }
        }
        Ok(())
    }

    /// Writes all that was submitted, and what a blob without blocks needs. Returns the hash of all blocks.
    pub(super) fn finish<W: Write>(
        mut self,
        mut empty_block: Block,
        output: &mut Output<W>,
    ) -> Result<Hasher, Error> {
        self.drain(output)?;
        if output.needs_block() {
            empty_block.clear();
            empty_block.set_single_piece(Part::Whole);
            self.encode_inline(empty_block, output)?;
        }
        match self.pipeline {
            Some(pipeline) => pipeline.finish(),
            None => Ok(self.hasher),
        }
    }

    fn encode_inline<W: Write>(
        &mut self,
        mut block: Block,
        output: &mut Output<W>,
    ) -> Result<Block, Error> {
        if let Some(factory) = &self.factory {
            let codec = match &mut self.codec {
                Some(codec) => codec,
                None => self.codec.insert(factory.make()?),
            };
            block.encode(codec.as_mut())?;
        }
        self.hasher.update(block.bytes());
        output.write_block(&mut block)?;
        block.clear();
        Ok(block)
    }
}

/// Writes the encodings that came, and waits for more of them until a block is free.
fn free_block<W: Write>(pipeline: &mut Pipeline, output: &mut Output<W>) -> Result<Block, Error> {
    while let Some(mut block) = pipeline.try_next()? {
        output.write_block(&mut block)?;
        block.clear();
        pipeline.recycle(block);
    }
    if let Some(block) = pipeline.free_block() {
        return Ok(block);
    }
    let mut block = (pipeline.next()?)
        .ok_or_else(|| Error::new(ErrorKind::Bug, "an encoder lost its blocks"))?;
    output.write_block(&mut block)?;
    block.clear();
    Ok(block)
}
