//! The writer of one blob.

use std::io::{Read, Write};
use std::mem;
use std::sync::Arc;

use imgcore::{DiffId, Digest, Hasher};

use super::codec::{self, BLOCK_SIZE, BlockCodec, CodecFactory, Frame};
use super::options::EncodeOptions;
use super::pipeline::{Block, Pipeline};
use crate::{Error, ErrorKind};

/// What is known of a blob that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Blob {
    /// The digest of the blob as it was written.
    pub digest: Digest,
    /// How many bytes were written.
    pub size: u64,
    /// The digest of the uncompressed bytes.
    pub diff_id: DiffId,
    /// How many uncompressed bytes there were.
    pub uncompressed_size: u64,
}

/// Encodes bytes into a blob on `W`, and hashes both.
///
/// Content is best read straight into [`spare`](Self::spare), which saves a copy. Dropping a writer that was not
/// [finished](Self::finish) stops its threads and leaves a partial blob in `W`.
///
/// After an error the writer is of no more use: every further call fails.
///
/// # Examples
///
/// ```
/// use imglayer::encode::{BlobWriter, EncodeOptions};
///
/// let mut writer = BlobWriter::new(Vec::new(), &EncodeOptions::default())?;
/// writer.write_all(b"hello, ")?;
/// writer.spare()?[..5].copy_from_slice(b"world");
/// writer.advance(5);
/// let (blob, bytes) = writer.finish()?;
/// assert_eq!(blob.uncompressed_size, 12);
/// assert_eq!(blob.digest, imgcore::Digest::sha256_of(&bytes));
/// # Ok::<(), imglayer::Error>(())
/// ```
pub struct BlobWriter<W: Write + Send> {
    /// The block that is filled.
    current: Block,
    uncompressed_size: u64,
    engine: Engine,
    output: Output<W>,
    failed: bool,
}

/// Who hashes and encodes.
enum Engine {
    /// Nobody encodes: the blob is what goes in, and one hash names both.
    Identity,
    /// The calling thread.
    Inline {
        codec: Box<dyn BlockCodec>,
        hasher: Hasher,
    },
    /// Threads, which start with the second block.
    Parallel {
        factory: Arc<CodecFactory>,
        threads: usize,
        state: Parallel,
    },
}

/// How far an engine with threads has come.
enum Parallel {
    /// No block yet.
    Idle,
    /// One block waits for a second one, or for the end.
    OneBlock(Block),
    Running(Pipeline),
}

impl<W: Write + Send> BlobWriter<W> {
    /// Starts a blob.
    ///
    /// # Errors
    ///
    /// [`Bug`](ErrorKind::Bug) when the codec refuses our parameters.
    pub fn new(out: W, options: &EncodeOptions) -> Result<Self, Error> {
        let engine = match (codec::factory(options), options.threads.get()) {
            (None, _) => Engine::Identity,
            (Some(factory), 1) => Engine::Inline {
                codec: factory()?,
                hasher: Hasher::default(),
            },
            (Some(factory), threads) => Engine::Parallel {
                factory: Arc::new(factory),
                threads,
                state: Parallel::Idle,
            },
        };
        Ok(Self {
            current: Block::new(),
            uncompressed_size: 0,
            engine,
            output: Output::new(out, Frame::new(options)),
            failed: false,
        })
    }

    /// Returns the free space of the current block, never empty, to fill and then [`advance`](Self::advance) over.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) when the output failed, [`Bug`](ErrorKind::Bug) when the codec did.
    pub fn spare(&mut self) -> Result<&mut [u8], Error> {
        if self.current.filled == BLOCK_SIZE {
            self.cut()?;
        }
        self.check_usable()?;
        Ok(&mut self.current.input[self.current.filled..])
    }

    /// Says that `count` bytes of [`spare`](Self::spare) were filled.
    ///
    /// # Panics
    ///
    /// When that is more than there was.
    pub fn advance(&mut self, count: usize) {
        assert!(
            count <= BLOCK_SIZE - self.current.filled,
            "advanced by {count} bytes, which is more than the block has left"
        );
        self.current.filled += count;
        self.uncompressed_size += count as u64;
    }

    /// Writes bytes.
    ///
    /// # Errors
    ///
    /// As [`spare`](Self::spare).
    pub fn write_all(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        while !bytes.is_empty() {
            let spare = self.spare()?;
            let count = spare.len().min(bytes.len());
            let (now, later) = bytes.split_at(count);
            spare[..count].copy_from_slice(now);
            self.advance(count);
            bytes = later;
        }
        Ok(())
    }

    /// Ends the current block here, unless it is empty.
    ///
    /// # Errors
    ///
    /// As [`spare`](Self::spare).
    pub fn cut(&mut self) -> Result<(), Error> {
        self.check_usable()?;
        if self.current.filled == 0 {
            return Ok(());
        }
        // Stays set when an error leaves this function, and when a panic does.
        self.failed = true;
        let block = mem::take(&mut self.current);
        self.current = self.engine.submit(block, &mut self.output)?;
        self.current.filled = 0;
        self.failed = false;
        Ok(())
    }

    /// Ends the blob, flushes the output, and returns what is known of the blob.
    ///
    /// # Errors
    ///
    /// As [`spare`](Self::spare).
    pub fn finish(mut self) -> Result<(Blob, W), Error> {
        self.cut()?;
        let hasher = self.engine.finish(&mut self.output)?;
        let diff_id = DiffId::from_hasher(hasher);
        let (digest, size, out) = self.output.finish()?;
        let blob = Blob {
            digest,
            size,
            diff_id,
            uncompressed_size: self.uncompressed_size,
        };
        Ok((blob, out))
    }

    fn check_usable(&self) -> Result<(), Error> {
        if self.failed {
            return Err(Error::invalid("a blob writer was used after it had failed"));
        }
        Ok(())
    }
}

impl<W: Write + Send> std::fmt::Debug for BlobWriter<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlobWriter")
            .field("uncompressed_size", &self.uncompressed_size)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Takes a full block, and returns one to fill.
    fn submit<W: Write>(&mut self, block: Block, output: &mut Output<W>) -> Result<Block, Error> {
        match self {
            Self::Identity => {
                output.write(block.bytes())?;
                Ok(block)
            }
            Self::Inline { codec, hasher } => encode_inline(block, codec.as_mut(), hasher, output),
            Self::Parallel {
                factory,
                threads,
                state,
            } => {
                match mem::replace(state, Parallel::Idle) {
                    Parallel::Idle => {
                        *state = Parallel::OneBlock(block);
                        return Ok(Block::new());
                    }
                    Parallel::OneBlock(first) => {
                        let hasher = Hasher::default();
                        let mut pipeline = Pipeline::start(Arc::clone(factory), *threads, hasher)?;
                        for block in [first, block] {
                            let block = pipeline.adopt(block);
                            pipeline.submit(block)?;
                        }
                        *state = Parallel::Running(pipeline);
                    }
                    Parallel::Running(mut pipeline) => {
                        pipeline.submit(block)?;
                        *state = Parallel::Running(pipeline);
                    }
                }
                let Parallel::Running(pipeline) = state else {
                    return Err(Error::new(ErrorKind::Bug, "an encoder lost its threads"));
                };
                free_block(pipeline, output)
            }
        }
    }

    /// Writes what is under way and what a blob without blocks needs, and returns the hash of all blocks.
    fn finish<W: Write>(self, output: &mut Output<W>) -> Result<Hasher, Error> {
        match self {
            Self::Identity => Ok(output.hasher.clone()),
            Self::Inline {
                mut codec,
                mut hasher,
            } => {
                if output.frame.needs_block() {
                    encode_inline(Block::new(), codec.as_mut(), &mut hasher, output)?;
                }
                Ok(hasher)
            }
            Self::Parallel { factory, state, .. } => match state {
                Parallel::Running(pipeline) => drain(pipeline, output),
                Parallel::OneBlock(block) => {
                    let (mut codec, mut hasher) = (factory()?, Hasher::default());
                    encode_inline(block, codec.as_mut(), &mut hasher, output)?;
                    Ok(hasher)
                }
                Parallel::Idle => Self::Inline {
                    codec: factory()?,
                    hasher: Hasher::default(),
                }
                .finish(output),
            },
        }
    }
}

fn encode_inline<W: Write>(
    mut block: Block,
    codec: &mut dyn BlockCodec,
    hasher: &mut Hasher,
    output: &mut Output<W>,
) -> Result<Block, Error> {
    hasher.update(block.bytes());
    block.encode(codec)?;
    output.write_block(&block)?;
    Ok(block)
}

/// Writes the encodings that came, and waits for more of them until a block is free.
fn free_block<W: Write>(pipeline: &mut Pipeline, output: &mut Output<W>) -> Result<Block, Error> {
    while let Some(block) = pipeline.try_next()? {
        output.write_block(&block)?;
        pipeline.recycle(block);
    }
    if let Some(block) = pipeline.free_block() {
        return Ok(block);
    }
    let block = (pipeline.next()?)
        .ok_or_else(|| Error::new(ErrorKind::Bug, "an encoder lost its blocks"))?;
    output.write_block(&block)?;
    Ok(block)
}

fn drain<W: Write>(mut pipeline: Pipeline, output: &mut Output<W>) -> Result<Hasher, Error> {
    pipeline.close();
    while let Some(block) = pipeline.next()? {
        output.write_block(&block)?;
    }
    pipeline.finish()
}

/// The output, and what stands around the blocks in it.
struct Output<W> {
    out: W,
    /// Of what was written.
    hasher: Hasher,
    size: u64,
    frame: Frame,
    started: bool,
}

impl<W: Write> Output<W> {
    fn new(out: W, frame: Frame) -> Self {
        Self {
            out,
            hasher: Hasher::default(),
            size: 0,
            frame,
            started: false,
        }
    }

    fn write_block(&mut self, block: &Block) -> Result<(), Error> {
        self.start()?;
        self.frame.add(&block.encoded);
        self.write(block.encoding())
    }

    fn start(&mut self) -> Result<(), Error> {
        if !self.started {
            self.started = true;
            self.write(self.frame.head())?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.out.write_all(bytes).map_err(write_failed)?;
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        Ok(())
    }

    fn finish(mut self) -> Result<(Digest, u64, W), Error> {
        self.start()?;
        let tail = self.frame.tail();
        self.write(&tail)?;
        self.out.flush().map_err(write_failed)?;
        Ok((self.hasher.finish(), self.size, self.out))
    }
}

fn write_failed(source: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "write a layer blob").with_source(source)
}

/// Encodes a whole tar in blocks of 1 MiB, wherever its entries begin.
///
/// # Errors
///
/// [`Io`](ErrorKind::Io) when reading or writing fails, [`Bug`](ErrorKind::Bug) when the codec does.
///
/// # Examples
///
/// ```
/// use imglayer::encode::{Codec, EncodeOptions, Level, recompress};
///
/// let options = EncodeOptions::new(Codec::None, Level::Default);
/// let (blob, bytes) = recompress(&mut &b"a tar"[..], Vec::new(), &options)?;
/// assert_eq!(bytes, b"a tar");
/// assert_eq!(blob.digest.to_string(), blob.diff_id.to_string());
/// # Ok::<(), imglayer::Error>(())
/// ```
pub fn recompress<W: Write + Send>(
    input: &mut dyn Read,
    out: W,
    options: &EncodeOptions,
) -> Result<(Blob, W), Error> {
    let mut writer = BlobWriter::new(out, options)?;
    loop {
        match input.read(writer.spare()?) {
            Ok(0) => return writer.finish(),
            Ok(count) => writer.advance(count),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::new(ErrorKind::Io, "read a layer").with_source(error)),
        }
    }
}
