//! The form of eStargz blobs: where their members begin, and what stands behind the last entry.

use std::io::Write;

use imgcore::{Digest, Hasher};
use imgtar::{END_OF_ARCHIVE, Header, padding};
use sha2::{Digest as _, Sha256};

use super::footer::footer;
use super::toc::{Chunk, Toc};
use super::{ADDED_FILE_MODE, EstargzOptions, LANDMARK_CONTENT, TOC_NAME};
use crate::encode::BlobWriter;
use crate::plan::Plan;
use crate::write::Format;
use crate::{Error, ErrorKind};

/// Cuts a layer into members, and takes note of what is in them.
pub(crate) struct Estargz<'p> {
    plan: &'p Plan,
    chunk_size: u64,
    min_chunk_size: u64,
    toc: Toc,
    /// The last member that was started, and how many uncompressed bytes were before it.
    member: Option<(u64, u64)>,
    /// What is left of the current file.
    left: u64,
    /// What is left of its current chunk.
    left_in_chunk: u64,
    chunk: Chunk,
    chunk_hasher: Sha256,
    /// Of the current file, if it has more than one chunk.
    file_hasher: Option<Sha256>,
}

impl<'p> Estargz<'p> {
    pub(crate) fn new(plan: &'p Plan, options: &EstargzOptions) -> Self {
        Self {
            plan,
            chunk_size: options.chunk_size.into(),
            min_chunk_size: options.min_chunk_size.into(),
            toc: Toc::new(options.chunk_size),
            member: None,
            left: 0,
            left_in_chunk: 0,
            chunk: Chunk::default(),
            chunk_hasher: Sha256::new(),
            file_hasher: None,
        }
    }

    /// Writes the landmark, in a member of its own: readers fetch what is before it.
    pub(crate) fn write_landmark<W: Write + Send>(
        &mut self,
        name: &'static str,
        blob: &mut BlobWriter<W>,
    ) -> Result<(), Error> {
        let size = LANDMARK_CONTENT.len() as u64;
        write_header(name, size, blob)?;
        self.toc.add_landmark(name);
        self.left = size;
        self.member = None;
        self.start_chunk(blob)?;
        Format::<W>::content(self, &LANDMARK_CONTENT);
        blob.write_all(&LANDMARK_CONTENT)?;
        blob.write_all(&END_OF_ARCHIVE[..padding(size)])
    }

    fn start_chunk<W: Write + Send>(&mut self, blob: &mut BlobWriter<W>) -> Result<(), Error> {
        self.left_in_chunk = self.left.min(self.chunk_size);
        let position = blob.uncompressed_size();
        let (number, start) = match self.member {
            Some((number, start)) if position - start < self.min_chunk_size => (number, start),
            _ => (blob.start_member(self.left_in_chunk)?, position),
        };
        self.member = Some((number, start));
        self.chunk.member = number;
        self.chunk.inner_offset = position - start;
        Ok(())
    }

    /// Counts content that was seen.
    fn take(&mut self, bytes: &[u8]) {
        self.left -= bytes.len() as u64;
        self.left_in_chunk -= bytes.len() as u64;
    }

    /// Writes the TOC and the end of the archive. Returns the TOC's digest.
    fn write_toc<W: Write + Send>(&self, blob: &mut BlobWriter<W>) -> Result<Digest, Error> {
        let offsets = blob.member_offsets().to_vec();
        // The size comes before the content, and the content is not kept.
        let mut size = 0;
        self.toc.write(self.plan, &offsets, &mut |json| {
            size += json.len() as u64;
            Ok(())
        })?;
        blob.start_member(size)?;
        write_header(TOC_NAME, size, blob)?;
        let mut hasher = Hasher::default();
        self.toc.write(self.plan, &offsets, &mut |json| {
            hasher.update(json);
            blob.write_all(json)
        })?;
        blob.write_all(&END_OF_ARCHIVE[..padding(size)])?;
        blob.write_all(&END_OF_ARCHIVE)?;
        Ok(hasher.finish())
    }
}

impl<W: Write + Send> Format<W> for Estargz<'_> {
    /// The digest of the TOC.
    type Summary = Digest;

    const WANTS_HASHES: bool = true;

    fn other(&mut self, record: u32) {
        self.toc.add_other(record);
    }

    fn hard_link(&mut self, record: u32, target: u32) {
        self.toc.add_hard_link(record, target);
    }

    fn start_file(
        &mut self,
        record: u32,
        size: u64,
        _blob: &mut BlobWriter<W>,
    ) -> Result<(), Error> {
        self.toc.add_file(record);
        self.left = size;
        self.left_in_chunk = 0;
        self.file_hasher = (size > self.chunk_size).then(Sha256::new);
        Ok(())
    }

    fn piece(&mut self, blob: &mut BlobWriter<W>) -> Result<u64, Error> {
        if self.left_in_chunk == 0 {
            self.start_chunk(blob)?;
        }
        Ok(self.left_in_chunk)
    }

    fn content(&mut self, bytes: &[u8]) {
        self.chunk_hasher.update(bytes);
        if let Some(hasher) = &mut self.file_hasher {
            hasher.update(bytes);
        }
        self.take(bytes);
        if self.left_in_chunk == 0 {
            self.chunk.hash = self.chunk_hasher.finalize_reset().into();
            self.toc.add_chunk(self.chunk);
        }
    }

    fn hashed_content(&mut self, bytes: &[u8], hash: [u8; 32]) {
        let size = bytes.len() as u64;
        if self.file_hasher.is_some() || size != self.left || size != self.left_in_chunk {
            return Format::<W>::content(self, bytes);
        }
        self.take(bytes);
        self.chunk.hash = hash;
        self.toc.add_chunk(self.chunk);
    }

    fn end_file(&mut self, _size: u64, _blob: &mut BlobWriter<W>) -> Result<(), Error> {
        if self.left > 0 {
            return Err(Error::new(
                ErrorKind::Bug,
                "a file ended before its content",
            ));
        }
        if let Some(hasher) = self.file_hasher.take() {
            self.toc.add_hash(hasher.finalize().into());
        }
        Ok(())
    }

    fn finish(self, blob: &mut BlobWriter<W>) -> Result<Digest, Error> {
        blob.sync()?;
        let toc_offset = blob.size();
        let digest = self.write_toc(blob)?;
        blob.write_raw(&footer(toc_offset))?;
        Ok(digest)
    }
}

/// Writes the header of a file that the format adds.
fn write_header<W: Write + Send>(
    name: &str,
    size: u64,
    blob: &mut BlobWriter<W>,
) -> Result<(), Error> {
    let mut header = Header::file(name, size);
    header.mode = ADDED_FILE_MODE;
    let mut blocks = Vec::new();
    header.encode(&mut blocks).map_err(|error| {
        Error::new(ErrorKind::Bug, format!("no header for {name}")).with_source(error)
    })?;
    blob.write_all(&blocks)
}
