//! What a layer's blob is beside the tar archive in it.

use std::io::Write;

use imgtar::END_OF_ARCHIVE;

use super::duplicates::Hash;
use crate::Error;
use crate::encode::BlobWriter;

/// Content of this many bytes or more starts a block of its own, and ends one.
///
/// So an unchanged large file gives the same blocks wherever it stands in a layer. The number is
/// part of the cut rule, and the cut rule of the encoder's identity.
const OWN_BLOCKS: u64 = 128 << 10;

/// A form of blobs, told of the entries while they are written.
///
/// It decides where the blob can be decoded from, may take note of where entries are, and writes what comes behind the
/// last one. Entries are named by their records in the plan. What is about an entry comes when its header is written:
///
/// * [`other`](Self::other) for one that is no regular file;
/// * [`hard_link`](Self::hard_link) for a link to an earlier file;
/// * [`start_file`](Self::start_file) for a file, then for its content in turn [`piece`](Self::piece) and
///   [`content`](Self::content), until all of it is written and padded, and [`end_file`](Self::end_file).
pub(crate) trait Format<W: Write + Send> {
    /// What is known of the blob when its entries are written.
    type Summary;

    /// Whether the format needs the SHA-256 of contents, so that it pays to compute it where they are read.
    const WANTS_HASHES: bool;

    fn other(&mut self, record: u32);

    fn hard_link(&mut self, record: u32, target: u32);

    fn start_file(&mut self, record: u32, size: u64, blob: &mut BlobWriter<W>)
    -> Result<(), Error>;

    /// Says how many bytes of content may come next, at least one. Called while there is content left.
    fn piece(&mut self, blob: &mut BlobWriter<W>) -> Result<u64, Error>;

    /// Sees content that goes into the blob, no more than [`piece`](Self::piece) asked for.
    fn content(&mut self, bytes: &[u8]);

    /// Sees content as [`content`](Self::content) does, whose SHA-256 is known.
    fn hashed_content(&mut self, bytes: &[u8], _hash: Hash) {
        self.content(bytes);
    }

    fn end_file(&mut self, size: u64, blob: &mut BlobWriter<W>) -> Result<(), Error>;

    /// Ends the archive.
    fn finish(self, blob: &mut BlobWriter<W>) -> Result<Self::Summary, Error>;
}

/// A compressed archive and nothing else.
pub(super) struct Plain;

impl<W: Write + Send> Format<W> for Plain {
    type Summary = ();

    const WANTS_HASHES: bool = false;

    fn other(&mut self, _record: u32) {}

    fn hard_link(&mut self, _record: u32, _target: u32) {}

    fn start_file(
        &mut self,
        _record: u32,
        size: u64,
        blob: &mut BlobWriter<W>,
    ) -> Result<(), Error> {
        if size >= OWN_BLOCKS {
            blob.cut()?;
        }
        Ok(())
    }

    fn piece(&mut self, _blob: &mut BlobWriter<W>) -> Result<u64, Error> {
        Ok(u64::MAX)
    }

    fn content(&mut self, _bytes: &[u8]) {}

    fn end_file(&mut self, size: u64, blob: &mut BlobWriter<W>) -> Result<(), Error> {
        if size >= OWN_BLOCKS {
            blob.cut()?;
        }
        Ok(())
    }

    fn finish(self, blob: &mut BlobWriter<W>) -> Result<(), Error> {
        blob.write_all(&END_OF_ARCHIVE)
    }
}
