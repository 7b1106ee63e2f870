//! All members of a gzip stream, RFC 1952.

use std::io::Read;

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::input::Input;
use crate::error::{Error, ErrorKind};

/// Identification and the only compression method there is.
pub(super) const MAGIC: [u8; 3] = [0x1f, 0x8b, 8];

const FLAG_HEADER_CRC: u8 = 1 << 1;
const FLAG_EXTRA: u8 = 1 << 2;
const FLAG_NAME: u8 = 1 << 3;
const FLAG_COMMENT: u8 = 1 << 4;
const RESERVED_FLAGS: u8 = 0b1110_0000;

/// A file name or a comment in a header is not longer than this.
const MAX_TEXT: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Gzip {
    state: State,
    inflate: Decompress,
    crc: Crc,
    members: u64,
    max_members: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Body,
    End,
    Header,
}

impl Gzip {
    pub(super) fn new(max_members: u64) -> Self {
        Self {
            state: State::Header,
            inflate: Decompress::new(false),
            crc: Crc::new(),
            members: 0,
            max_members,
        }
    }

    /// Fills some of `buffer`, which is not empty; 0 at the end.
    pub(super) fn read(
        &mut self,
        input: &mut Input<impl Read>,
        buffer: &mut [u8],
    ) -> Result<usize, Error> {
        loop {
            match self.state {
                State::End => return Ok(0),
                State::Header => self.start_member(input)?,
                State::Body => {
                    let read = self.inflate(input, buffer)?;
                    if read > 0 {
                        return Ok(read);
                    }
                }
            }
        }
    }

    fn start_member(&mut self, input: &mut Input<impl Read>) -> Result<(), Error> {
        if self.members > 0 && skip_zeros(input)? {
            self.state = State::End;
            return Ok(());
        }
        self.members += 1;
        if self.members > self.max_members {
            let text = format!("there are more than {} members", self.max_members);
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        if self.members > 1 && !input.peek(MAGIC.len())?.starts_with(&MAGIC[..2]) {
            return Err(input.malformed("there is something else after the last member"));
        }
        read_header(input)?;
        self.inflate.reset(false);
        self.crc.reset();
        self.state = State::Body;
        Ok(())
    }

    fn inflate(&mut self, input: &mut Input<impl Read>, buffer: &mut [u8]) -> Result<usize, Error> {
        let available = input.available()?;
        let is_at_end = available.is_empty();
        let (before_in, before_out) = (self.inflate.total_in(), self.inflate.total_out());
        let status = self
            .inflate
            .decompress(available, buffer, FlushDecompress::None);
        // Both differences are within slices, so they fit.
        let used = usize::try_from(self.inflate.total_in() - before_in).unwrap_or(usize::MAX);
        let read = usize::try_from(self.inflate.total_out() - before_out).unwrap_or(usize::MAX);
        input.consume(used);
        let status = status.map_err(|_| input.malformed("the compressed data is damaged"))?;
        self.crc.update(&buffer[..read]);
        if status == Status::StreamEnd {
            self.check_trailer(input)?;
            self.state = State::Header;
        } else if read == 0 && is_at_end {
            return Err(input.truncated("a member"));
        } else if read == 0 && used == 0 {
            return Err(input.malformed("the compressed data leads nowhere"));
        }
        Ok(read)
    }

    fn check_trailer(&self, input: &mut Input<impl Read>) -> Result<(), Error> {
        let sum = u32::from_le_bytes(input.take("a member's checksum")?);
        let length = u32::from_le_bytes(input.take("a member's length")?);
        if sum != self.crc.sum() {
            return Err(input.malformed("a member has the wrong checksum"));
        }
        // The low 32 bits of the length: `Crc` counts them the same way.
        if length != self.crc.amount() {
            return Err(input.malformed("a member has the wrong length"));
        }
        Ok(())
    }
}

/// Passes over zeros; returns whether the input ends after them.
fn skip_zeros(input: &mut Input<impl Read>) -> Result<bool, Error> {
    let mut has_skipped = false;
    loop {
        let available = input.available()?;
        if available.is_empty() {
            return Ok(true);
        }
        let zeros = available.iter().take_while(|&&byte| byte == 0).count();
        let is_all = zeros == available.len();
        input.consume(zeros);
        has_skipped |= zeros > 0;
        if !is_all {
            if has_skipped {
                return Err(input.malformed("there is something else after the last member"));
            }
            return Ok(false);
        }
    }
}

fn read_header(input: &mut Input<impl Read>) -> Result<(), Error> {
    let mut crc = Crc::new();
    let fixed: [u8; 10] = input.take("a member's header")?;
    crc.update(&fixed);
    if !fixed.starts_with(&MAGIC) {
        return Err(input.malformed("a member does not start with the gzip magic"));
    }
    let flags = fixed[3];
    if flags & RESERVED_FLAGS != 0 {
        return Err(input.malformed("a member's header has reserved flags"));
    }
    if flags & FLAG_EXTRA != 0 {
        let length: [u8; 2] = input.take("a member's header")?;
        crc.update(&length);
        skip_extra(input, u16::from_le_bytes(length).into(), &mut crc)?;
    }
    for flag in [FLAG_NAME, FLAG_COMMENT] {
        if flags & flag != 0 {
            skip_text(input, &mut crc)?;
        }
    }
    if flags & FLAG_HEADER_CRC != 0 {
        let sum = u16::from_le_bytes(input.take("a member's header")?);
        if u32::from(sum) != crc.sum() & 0xffff {
            return Err(input.malformed("a member's header has the wrong checksum"));
        }
    }
    Ok(())
}

fn skip_extra(input: &mut Input<impl Read>, length: usize, crc: &mut Crc) -> Result<(), Error> {
    let extra = input.peek(length)?;
    let Some(extra) = extra.get(..length) else {
        return Err(input.truncated("a member's header"));
    };
    crc.update(extra);
    input.consume(length);
    Ok(())
}

fn skip_text(input: &mut Input<impl Read>, crc: &mut Crc) -> Result<(), Error> {
    let mut rest = MAX_TEXT;
    loop {
        let available = input.available()?;
        if available.is_empty() {
            return Err(input.truncated("a member's header"));
        }
        let end = available.iter().position(|&byte| byte == 0);
        let used = end.map_or(available.len(), |end| end + 1);
        crc.update(&available[..used]);
        input.consume(used);
        rest = rest.saturating_sub(used);
        if end.is_some() {
            return Ok(());
        }
        if rest == 0 {
            let text = format!("a member's header has a text of more than {MAX_TEXT} bytes");
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
    }
}
