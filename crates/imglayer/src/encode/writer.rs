//! The writer of one blob.

use std::io::{Read, Write};
use std::mem;

use imgcore::{DiffId, Digest};

use super::block::Block;
use super::codec::Kind;
use super::engine::Engine;
use super::members::{self, Members};
use super::options::EncodeOptions;
use super::output::{Layout, Output};
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
/// # Seekable blobs
///
/// A writer that was made by [`seekable`](Self::seekable) makes a blob of members that can be decoded by themselves,
/// each begun by [`start_member`](Self::start_member): what eStargz and its like are built on. See there.
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
    layout: Layout,
    /// Of a seekable blob.
    members: Members,
    engine: Engine,
    output: Output<W>,
    failed: bool,
}

impl<W: Write + Send> BlobWriter<W> {
    /// Starts a blob.
    ///
    /// # Errors
    ///
    /// None at present: a codec that refuses our parameters is a [`Bug`](ErrorKind::Bug) of the first block.
    pub fn new(out: W, options: &EncodeOptions) -> Result<Self, Error> {
        let layout = Layout::plain(options.codec, options.gzip_members);
        Ok(Self::with_layout(out, options, layout))
    }

    /// Starts a blob of members that the caller [begins](Self::start_member).
    ///
    /// Each member can be decoded by itself, from its [offset](Self::member_offsets) to that of the next one:
    ///
    /// - gzip: one member of the file each, whatever [`gzip_members`](EncodeOptions::gzip_members) says;
    /// - zstd: one frame, or several one after the other when it is longer than 2 MiB;
    /// - no compression: the bytes.
    ///
    /// The encoding of a member, and so every offset, depends on the bytes of the members and on the
    /// [identity](super::EncoderIdentity::of_seekable) of the encoder; not on threads, nor on how members share blocks:
    /// small ones are put together into blocks and encoded by one hand-over to a thread, long ones are
    /// stitched from several blocks, so that memory does not grow with their size. [`cut`](Self::cut) does nothing.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Examples
    ///
    /// A blob that ends with the offsets of its members, as seekable formats do:
    ///
    /// ```
    /// use imglayer::encode::{BlobWriter, EncodeOptions};
    ///
    /// let mut writer = BlobWriter::seekable(Vec::new(), &EncodeOptions::default())?;
    /// for content in ["one", "two"] {
    ///     writer.start_member(content.len() as u64)?;
    ///     writer.write_all(content.as_bytes())?;
    /// }
    /// writer.sync()?;
    /// let end = writer.size();
    /// let index = format!("{:?} {end}", writer.member_offsets());
    /// writer.start_member(0)?;
    /// writer.write_all(index.as_bytes())?;
    /// writer.sync()?;
    /// writer.write_raw(b"a footer")?;
    /// assert_eq!(writer.member_offsets(), [0, 26, 52]);
    ///
    /// let (blob, bytes) = writer.finish()?;
    /// assert_eq!(blob.diff_id, imgcore::DiffId::sha256_of(b"onetwo[0, 26] 52"));
    /// assert!(bytes.ends_with(b"a footer"));
    /// # Ok::<(), imglayer::Error>(())
    /// ```
    pub fn seekable(out: W, options: &EncodeOptions) -> Result<Self, Error> {
        Ok(Self::with_layout(
            out,
            options,
            Layout::Seekable(options.codec),
        ))
    }

    fn with_layout(out: W, options: &EncodeOptions, layout: Layout) -> Self {
        let kind = Kind::new(options, layout.is_seekable());
        Self {
            current: Block::new(kind.block_size()),
            uncompressed_size: 0,
            layout,
            members: Members::default(),
            engine: Engine::new(kind, options),
            output: Output::new(out, layout),
            failed: false,
        }
    }

    /// Returns the free space of the current block, never empty, to fill and then [`advance`](Self::advance) over.
    ///
    /// # Errors
    ///
    /// [`Io`](ErrorKind::Io) when the output failed, [`Bug`](ErrorKind::Bug) when the codec did.
    pub fn spare(&mut self) -> Result<&mut [u8], Error> {
        self.check_usable()?;
        if self.current.filled == self.current.input.len() {
            self.next_block()?;
        }
        Ok(&mut self.current.input[self.current.filled..])
    }

    /// Says that `count` bytes of [`spare`](Self::spare) were filled.
    ///
    /// # Panics
    ///
    /// When that is more than there was.
    pub fn advance(&mut self, count: usize) {
        assert!(
            count <= self.current.input.len() - self.current.filled,
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

    /// Ends the current block here, unless it is empty. In a seekable blob it does nothing.
    ///
    /// # Errors
    ///
    /// As [`spare`](Self::spare).
    pub fn cut(&mut self) -> Result<(), Error> {
        self.check_usable()?;
        if self.current.filled == 0 || self.is_seekable() {
            return Ok(());
        }
        self.next_block()
    }

    /// Says that the next byte begins a member, and returns the member's number, counted from 0.
    ///
    /// The member lasts until the next call, until [`sync`](Self::sync) or the end of the blob. Bytes before the first
    /// call, or after `sync` without a call, are a member too, which has no number. A member without a byte takes no
    /// byte of the blob, and has the offset of what comes after it.
    ///
    /// `expected_size` is how many bytes the member will have, as far as the caller knows; 0 if it does not. It saves
    /// copying the beginning of a member into the next block, and changes no byte of the blob.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](ErrorKind::InvalidInput) when the blob is not [seekable](Self::seekable); else as
    /// [`spare`](Self::spare).
    pub fn start_member(&mut self, expected_size: u64) -> Result<u64, Error> {
        self.check_seekable()?;
        self.end_member()?;
        if members::wants_new_block(&self.current, expected_size) {
            self.submit()?;
        }
        Ok(self.members.begin())
    }

    /// Ends the current member, and waits until all that was given is written.
    ///
    /// Threads have nothing to do meanwhile, so this is for the end of what is written, and not for every member.
    ///
    /// # Errors
    ///
    /// As [`start_member`](Self::start_member).
    pub fn sync(&mut self) -> Result<(), Error> {
        self.check_seekable()?;
        self.end_member()?;
        if !self.current.pieces.is_empty() {
            self.submit()?;
        }
        self.failed = true;
        self.engine.drain(&mut self.output)?;
        self.failed = false;
        self.output.add_empty_members(self.members.take_empty());
        Ok(())
    }

    /// Returns where the members begin in the blob, by their numbers: all of them after [`sync`](Self::sync), else those
    /// that are written.
    ///
    /// Eight bytes are kept for each member.
    pub fn member_offsets(&self) -> &[u64] {
        self.output.member_offsets()
    }

    /// Returns how many bytes of the blob are written: after [`sync`](Self::sync), where the next member begins.
    pub fn size(&self) -> u64 {
        self.output.size()
    }

    /// Returns how many uncompressed bytes were given.
    pub fn uncompressed_size(&self) -> u64 {
        self.uncompressed_size
    }

    /// Writes bytes into the blob as they are, after all that was given.
    ///
    /// They are part of the blob's digest and size, and not of the `diff_id`: they are for what decodes to nothing, such
    /// as an empty gzip member that says where an index is.
    ///
    /// # Errors
    ///
    /// As [`start_member`](Self::start_member).
    pub fn write_raw(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.sync()?;
        self.failed = true;
        self.output.write(bytes)?;
        self.failed = false;
        Ok(())
    }

    /// Ends the blob, flushes the output, and returns what is known of the blob.
    ///
    /// # Errors
    ///
    /// As [`spare`](Self::spare).
    pub fn finish(mut self) -> Result<(Blob, W), Error> {
        self.check_usable()?;
        if self.is_seekable() {
            self.sync()?;
        } else {
            self.cut()?;
        }
        let hasher = self.engine.finish(self.current, &mut self.output)?;
        let (digest, size, out) = self.output.finish(&hasher)?;
        let diff_id = DiffId::from_hasher(hasher);
        let blob = Blob {
            digest,
            size,
            diff_id,
            uncompressed_size: self.uncompressed_size,
        };
        Ok((blob, out))
    }

    /// Goes on in an empty block after a full or cut one.
    fn next_block(&mut self) -> Result<(), Error> {
        if !self.is_seekable() {
            self.current.set_single_piece(self.layout.part_of_block());
            return self.submit();
        }
        let start = self.members.start();
        if start == 0 {
            self.members.go_on(&mut self.current);
            return self.submit();
        }
        // A member is cut where it has filled blocks of its own, so its beginning moves along.
        let beginning = self.current.input[start..self.current.filled].to_vec();
        self.current.filled = start;
        self.submit()?;
        self.current.input[..beginning.len()].copy_from_slice(&beginning);
        self.current.filled = beginning.len();
        Ok(())
    }

    /// Ends the current member of a seekable blob, if it has bytes.
    fn end_member(&mut self) -> Result<(), Error> {
        if self.members.start() == 0 && self.current.filled == self.current.input.len() {
            self.next_block()?;
        }
        self.members.end(&mut self.current);
        Ok(())
    }

    /// Gives the current block to the engine.
    fn submit(&mut self) -> Result<(), Error> {
        // Stays set when an error leaves this function, and when a panic does.
        self.failed = true;
        let block = mem::take(&mut self.current);
        self.current = self.engine.submit(block, &mut self.output)?;
        self.members.start_block();
        self.failed = false;
        Ok(())
    }

    fn is_seekable(&self) -> bool {
        matches!(self.layout, Layout::Seekable(_))
    }

    fn check_seekable(&self) -> Result<(), Error> {
        self.check_usable()?;
        if self.is_seekable() {
            return Ok(());
        }
        Err(Error::invalid("only a seekable blob has members"))
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
            .field("layout", &self.layout)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Encodes a whole tar in blocks of the codec's size, wherever its entries begin.
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
