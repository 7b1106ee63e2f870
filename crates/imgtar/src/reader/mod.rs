//! A reader that refuses what other readers would read differently.

mod extended;
mod header;

use std::io::{self, Read, Seek, SeekFrom};

use crate::error::{Error, ErrorKind};
use crate::header::block::{self, Block};
use crate::header::{BLOCK_SIZE, Header, padding};
use extended::Extended;

/// How much a [`Reader`] takes from an archive that nobody vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one PAX header or one GNU long name. Default: 1 MiB.
    pub extended_bytes: u64,
    /// Headers of the archive: of its entries, and those that extend or stand between them. Default: 16 Mi.
    pub entries: u64,
    /// Takes an archive that ends after an entry, without its two zero blocks. Default: no, because
    /// a cut between two entries cannot be told from it.
    pub missing_end: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            extended_bytes: 1 << 20,
            entries: 1 << 24,
            missing_end: false,
        }
    }
}

/// Reads the entries of an archive in their order, as a stream.
///
/// Supported are v7, ustar, PAX and GNU archives. What readers of the field understand differently
/// is refused with an error that names the entry and the offset of its header:
///
/// * sparse files, and every type flag beyond [`EntryKind`](crate::EntryKind) (contiguous files,
///   volume labels, incremental dumps);
/// * PAX records that are malformed, appear twice, or stand beside a GNU long name for the same
///   field; an extended header without an entry to extend;
/// * a global PAX header that changes what entries say (paths, sizes, owners, times, xattrs). One
///   with a comment or keywords unknown to this crate is skipped: `git archive` writes one;
/// * numbers that are negative or overflow, wrong checksums, a regular file whose name ends with a
///   slash (but the flagless directories of v7 are read as such);
/// * anything but zeros after the end of the archive, and an end of input before it.
///
/// A PAX `size` replaces the header's for both what is read and what is skipped. Links have no
/// content whatever size they declare, as all readers of layers have it; the size reads as 0.
/// Checksums over signed bytes, which some old writers produced, are taken.
///
/// After an error every further call fails.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    limits: Limits,
    /// Bytes taken from `input`.
    offset: u64,
    /// Content and padding of the current entry that has not been read.
    content: u64,
    padding: u64,
    entries: u64,
    state: State,
    header: Header,
    header_offset: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Ended,
    Failed,
    Reading,
}

impl<R: Read> Reader<R> {
    /// Starts at the first block of an uncompressed archive; see [`Decoder`](crate::Decoder).
    ///
    /// Reads whole blocks and fills the caller's buffers directly, so buffering `input` pays when it
    /// is a file.
    pub fn new(input: R) -> Self {
        Self::with_limits(input, Limits::default())
    }

    /// Starts with limits of the caller's choice.
    pub fn with_limits(input: R, limits: Limits) -> Self {
        Self {
            input,
            limits,
            offset: 0,
            content: 0,
            padding: 0,
            entries: 0,
            state: State::Reading,
            header: Header::file(*b"none", 0),
            header_offset: 0,
        }
    }

    /// Goes on to the next entry, skipping what was not read of the current one.
    ///
    /// Returns `None` after the end of the archive, for which the input is read to *its* end: a
    /// [`Decoder`](crate::Decoder) below has then checked its checksums.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Malformed`], [`ErrorKind::Unsupported`], [`ErrorKind::TooLarge`] and
    /// [`ErrorKind::Truncated`] as described for the type; [`ErrorKind::Io`] from the input.
    pub fn next_entry(&mut self) -> Result<Option<Entry<'_, R>>, Error> {
        match self.state {
            State::Ended => return Ok(None),
            State::Failed => {
                return Err(Error::new(
                    ErrorKind::InvalidInput,
                    "this tar reader has already failed",
                ));
            }
            State::Reading => {}
        }
        // Stands until this call has succeeded.
        self.state = State::Failed;
        self.skip_rest()?;
        let Some(header) = self.read_entry()? else {
            self.read_end()?;
            self.state = State::Ended;
            return Ok(None);
        };
        self.content = header.size;
        self.padding = padding(header.size) as u64;
        self.header = header;
        self.state = State::Reading;
        Ok(Some(Entry { reader: self }))
    }

    /// Gives the input back, wherever it stands.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Reads extended headers and the header that they extend.
    fn read_entry(&mut self) -> Result<Option<Header>, Error> {
        let mut extended = Extended::default();
        loop {
            let offset = self.offset;
            let Some(block) = self.read_block()? else {
                if extended.is_empty() {
                    return Ok(None);
                }
                return Err(malformed_at(
                    offset,
                    "an extended header has no entry to extend",
                ));
            };
            self.header_offset = offset;
            self.entries += 1;
            if self.entries > self.limits.entries {
                let text = format!("has more than {} headers", self.limits.entries);
                return Err(Error::new(ErrorKind::TooLarge, text).at(place(offset)));
            }
            let name = block::text(&block[block::NAME]);
            let named =
                |error: Error| error.at(entry_place(extended.path().unwrap_or(name), offset));
            header::check_block(&block).map_err(|error| match offset {
                0 if !header::has_magic(&block) => no_archive(),
                _ => named(error),
            })?;
            let flag = block[block::TYPE_FLAG];
            if !matches!(flag, b'L' | b'K' | b'x' | b'g') {
                return header::parse(&block, &extended).map(Some).map_err(named);
            }
            let size = header::size_of(&block).map_err(named)?;
            let bytes = self.read_extended(size)?;
            let added = extended.add(flag, &bytes);
            added.map_err(|error| error.at(entry_place(name, offset)))?;
        }
    }

    /// Reads the content of an extended header; the buffer grows with what is there, not with `size`.
    fn read_extended(&mut self, size: u64) -> Result<Vec<u8>, Error> {
        let offset = self.offset;
        if size > self.limits.extended_bytes {
            let text = format!(
                "an extended header of {size} bytes is beyond the limit of {}",
                self.limits.extended_bytes
            );
            return Err(Error::new(ErrorKind::TooLarge, text).at(place(offset)));
        }
        let mut bytes = Vec::new();
        let padded = size + padding(size) as u64;
        let read = self
            .input
            .by_ref()
            .take(padded)
            .read_to_end(&mut bytes)
            .map_err(|error| Error::from_io(error, || format!("reading {}", place(offset))))?;
        self.offset += read as u64;
        if (read as u64) < padded {
            return Err(truncated(self.offset, "within an extended header"));
        }
        bytes.truncate(bytes.len() - padding(size));
        Ok(bytes)
    }

    /// Reads a header block; `None` for a zero block, or for the end where that is allowed.
    fn read_block(&mut self) -> Result<Option<Block>, Error> {
        let mut block: Block = [0; BLOCK_SIZE];
        match self.fill(&mut block)? {
            0 if self.limits.missing_end => Ok(None),
            0 => Err(truncated(
                self.offset,
                "without the zero blocks that end an archive",
            )),
            BLOCK_SIZE if block == [0; BLOCK_SIZE] => Ok(None),
            BLOCK_SIZE => Ok(Some(block)),
            _ => Err(truncated(self.offset, "within a header")),
        }
    }

    /// Checks that nothing but zeros follows the zero block that was read.
    ///
    /// The second zero block may be missing: nothing can hide in its absence.
    fn read_end(&mut self) -> Result<(), Error> {
        let mut buffer = [0; 16 * BLOCK_SIZE];
        loop {
            let offset = self.offset;
            let read = self.fill(&mut buffer)?;
            if let Some(index) = buffer[..read].iter().position(|&byte| byte != 0) {
                let text = "there is data after the end of the archive";
                return Err(malformed_at(offset + index as u64, text));
            }
            if read < buffer.len() {
                return Ok(());
            }
        }
    }

    fn skip_rest(&mut self) -> Result<(), Error> {
        let mut rest = self.content + self.padding;
        let mut buffer = [0; 16 * BLOCK_SIZE];
        while rest > 0 {
            let wanted = buffer
                .len()
                .min(usize::try_from(rest).unwrap_or(buffer.len()));
            let read = self.fill(&mut buffer[..wanted])?;
            rest -= read as u64;
            if read < wanted {
                return Err(self.truncated_content(rest.saturating_sub(self.padding)));
            }
        }
        self.content = 0;
        self.padding = 0;
        Ok(())
    }

    /// Reads until the buffer is full or the input ends.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.input.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let offset = self.offset + filled as u64;
                    return Err(Error::from_io(error, || {
                        format!("reading {}", place(offset))
                    }));
                }
            }
        }
        self.offset += filled as u64;
        Ok(filled)
    }

    fn truncated_content(&self, missing: u64) -> Error {
        let text = match missing {
            0 => "in the padding of its content".to_owned(),
            _ => format!("{missing} bytes before the end of its content"),
        };
        truncated(self.offset, &text).at(entry_place(&self.header.path, self.header_offset))
    }
}

impl<R: Read + Seek> Reader<R> {
    /// Goes to the end of the current entry's content without reading what is in between.
    ///
    /// [`next_entry`](Self::next_entry) then goes on from there. A content that is cut short is found all the same.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] if the input cannot go there, [`ErrorKind::Truncated`] if it ends before.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::Cursor;
    ///
    /// use imgtar::{END_OF_ARCHIVE, Header, Reader};
    ///
    /// let mut archive = Vec::new();
    /// for name in ["large", "small"] {
    ///     Header::file(name, 4096).encode(&mut archive)?;
    ///     archive.extend_from_slice(&[b'x'; 4096]);
    /// }
    /// archive.extend_from_slice(&END_OF_ARCHIVE);
    /// let mut reader = Reader::new(Cursor::new(archive));
    /// let mut names = Vec::new();
    /// while let Some(entry) = reader.next_entry()? {
    ///     names.push(entry.header().path.clone());
    ///     reader.skip_content()?;
    /// }
    /// assert_eq!(names, [b"large", b"small"]);
    /// # Ok::<(), imgtar::Error>(())
    /// ```
    pub fn skip_content(&mut self) -> Result<(), Error> {
        let rest = self.content + self.padding;
        // The last block is read, which shows whether it is there.
        let far = rest.saturating_sub(BLOCK_SIZE as u64);
        let Ok(distance) = i64::try_from(far) else {
            return self.skip_rest();
        };
        if self.state != State::Reading || far == 0 {
            return Ok(());
        }
        self.state = State::Failed;
        let end = self.offset + self.content;
        let failed = |error| Error::from_io(error, || format!("reading {}", place(end)));
        self.input.seek_relative(distance).map_err(failed)?;
        self.offset += far;
        let mut block = [0; BLOCK_SIZE];
        if self.fill(&mut block)? < block.len() {
            self.offset = self.input.seek(SeekFrom::End(0)).map_err(failed)?;
            return Err(self.truncated_content(end.saturating_sub(self.offset)));
        }
        (self.content, self.padding) = (0, 0);
        self.state = State::Reading;
        Ok(())
    }
}

/// One entry of an archive: its header, and its content as a [`Read`].
///
/// Errors while reading are [`Error`]s inside [`io::Error`]s.
#[derive(Debug)]
pub struct Entry<'a, R> {
    reader: &'a mut Reader<R>,
}

impl<R> Entry<'_, R> {
    /// Returns what the entry says about itself, extended headers applied.
    pub fn header(&self) -> &Header {
        &self.reader.header
    }

    /// Returns where the entry's own header block starts, in bytes from the archive's start.
    pub fn header_offset(&self) -> u64 {
        self.reader.header_offset
    }

    /// Returns where the entry's content starts, in bytes from the archive's start.
    pub fn content_offset(&self) -> u64 {
        self.reader.header_offset + BLOCK_SIZE as u64
    }
}

impl<R: Read> Read for Entry<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let reader = &mut *self.reader;
        let wanted = buffer
            .len()
            .min(usize::try_from(reader.content).unwrap_or(buffer.len()));
        if wanted == 0 {
            return Ok(0);
        }
        let read = reader.input.read(&mut buffer[..wanted])?;
        if read == 0 {
            return Err(reader.truncated_content(reader.content).into());
        }
        reader.content -= read as u64;
        reader.offset += read as u64;
        Ok(read)
    }
}

fn place(offset: u64) -> String {
    format!("tar archive at offset {offset}")
}

fn entry_place(path: &[u8], offset: u64) -> String {
    format!("tar entry \"{}\" at offset {offset}", path.escape_ascii())
}

/// What starts with no header has no name that is worth showing.
fn no_archive() -> Error {
    let text = "the input is no tar archive: it does not start with a header";
    Error::new(ErrorKind::Malformed, text)
}

fn malformed_at(offset: u64, text: &str) -> Error {
    Error::new(ErrorKind::Malformed, text).at(place(offset))
}

fn truncated(offset: u64, text: &str) -> Error {
    Error::new(
        ErrorKind::Truncated,
        format!("the input ends at offset {offset}, {text}"),
    )
}
