//! All frames of a Zstandard stream, RFC 8878.

use std::fmt;
use std::io::Read;

use ::zstd::stream::raw::{DParameter, Decoder, Operation};

use super::input::Input;
use crate::error::{Error, ErrorKind};

/// What a frame's magic number announces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Data,
    Skippable,
}

impl FrameKind {
    pub(super) fn of(magic: u32) -> Option<Self> {
        match magic {
            0xfd2f_b528 => Some(Self::Data),
            0x184d_2a50..=0x184d_2a5f => Some(Self::Skippable),
            _ => None,
        }
    }
}

pub(super) struct Zstd {
    decoder: Decoder<'static>,
    state: State,
    frames: u64,
    max_frames: u64,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Between,
    End,
    Frame,
}

impl Zstd {
    pub(super) fn new(max_frames: u64, window: u32) -> Result<Self, Error> {
        let invalid = |error| {
            Error::from_io(error, || {
                format!("starting a zstd decoder with a window of {window}")
            })
        };
        let mut decoder = Decoder::new().map_err(invalid)?;
        // The library takes logarithms from 10 on.
        let log = window.checked_ilog2().unwrap_or(0).clamp(10, 31);
        decoder
            .set_parameter(DParameter::WindowLogMax(log))
            .map_err(invalid)?;
        Ok(Self {
            decoder,
            state: State::Between,
            frames: 0,
            max_frames,
        })
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
                State::Between => self.start_frame(input)?,
                State::Frame => {
                    let read = self.decode(input, buffer)?;
                    if read > 0 {
                        return Ok(read);
                    }
                }
            }
        }
    }

    fn start_frame(&mut self, input: &mut Input<impl Read>) -> Result<(), Error> {
        if input.available()?.is_empty() && self.frames > 0 {
            self.state = State::End;
            return Ok(());
        }
        self.frames += 1;
        if self.frames > self.max_frames {
            let text = format!("there are more than {} frames", self.max_frames);
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        let Some(&magic) = input.peek(4)?.first_chunk() else {
            return Err(input.truncated("a frame's header"));
        };
        match FrameKind::of(u32::from_le_bytes(magic)) {
            Some(FrameKind::Data) => {
                self.decoder
                    .reinit()
                    .map_err(|error| Error::from_io(error, || "starting a frame".to_owned()))?;
                self.state = State::Frame;
                Ok(())
            }
            Some(FrameKind::Skippable) => {
                input.consume(magic.len());
                let size = u32::from_le_bytes(input.take("a skippable frame")?);
                input.skip(size.into(), "a skippable frame")
            }
            None if self.frames == 1 => {
                Err(input.malformed("a frame does not start with the zstd magic"))
            }
            None => Err(input.malformed("there is something else after the last frame")),
        }
    }

    fn decode(&mut self, input: &mut Input<impl Read>, buffer: &mut [u8]) -> Result<usize, Error> {
        let available = input.available()?;
        let is_at_end = available.is_empty();
        let status = self
            .decoder
            .run_on_buffers(available, buffer)
            .map_err(|error| {
                // The library's own words: "Frame requires too much memory for decoding" among them.
                input.malformed(&format!(
                    "a frame is damaged or not for this decoder ({error})"
                ))
            })?;
        input.consume(status.bytes_read);
        if status.remaining == 0 {
            self.state = State::Between;
        } else if is_at_end && status.bytes_written == 0 {
            return Err(input.truncated("a frame"));
        }
        Ok(status.bytes_written)
    }
}

impl fmt::Debug for Zstd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            decoder: _,
            state,
            frames,
            max_frames,
        } = self;
        f.debug_struct("Zstd")
            .field("state", state)
            .field("frames", frames)
            .field("max_frames", max_frames)
            .finish_non_exhaustive()
    }
}
