//! One reader over every codec, with one place for the limits.

use std::io::{self, Read};

use super::gzip::Gzip;
use super::input::Input;
use super::zstd::Zstd;
use super::{Codec, LONGEST_MAGIC, refused_codec};
use crate::error::{Error, ErrorKind};

/// How much a [`Decoder`] gives out and takes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeLimits {
    /// Bytes of output. Default: no limit, since nothing is held; set it where the size is known.
    pub output: u64,
    /// gzip members, or zstd frames with skippable ones. Default: 16 Mi.
    pub members: u64,
    /// Largest ratio of output to input, checked after the first MiB of output. Default: no limit,
    /// since a file of zeros in an honest layer reaches a thousand.
    pub ratio: Option<u32>,
    /// Bytes of a zstd window, rounded down to a power of two. Default: 128 MiB, what the `zstd`
    /// program takes without being told.
    pub window: u32,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            output: u64::MAX,
            members: 1 << 24,
            ratio: None,
            window: 128 << 20,
        }
    }
}

/// Decompresses a layer, whole: every gzip member and every zstd frame.
///
/// Checksums and lengths are verified, so the bytes are good once `read` has returned 0; an input
/// that ends within a member is an error. After the last gzip member zeros are passed over, as
/// `gzip` does (tapes and block devices pad with them); anything else there is an error. Errors are
/// [`Error`]s inside [`io::Error`]s, and every further read fails.
///
/// Memory is a fixed buffer and the codec's window, which the limits bound.
///
/// ```
/// use std::io::Read;
///
/// use imgtar::{Codec, DecodeLimits, Decoder};
///
/// let mut decoder = Decoder::new(&b"etc/motd"[..], DecodeLimits::default())?;
/// assert_eq!(decoder.codec(), Codec::None);
/// let mut bytes = Vec::new();
/// decoder.read_to_end(&mut bytes)?;
/// assert_eq!(bytes, b"etc/motd");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Decoder<R> {
    input: Input<R>,
    stage: Stage,
    limits: DecodeLimits,
    codec: Codec,
    output: u64,
}

#[derive(Debug)]
enum Stage {
    Failed,
    Gzip(Gzip),
    Plain,
    Zstd(Zstd),
}

/// Output that the ratio guard does not look at.
const RATIO_GRACE: u64 = 1 << 20;

impl<R: Read> Decoder<R> {
    /// Reads the first bytes and picks the codec.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] for xz and bzip2, [`ErrorKind::Io`] from the reader.
    pub fn new(reader: R, limits: DecodeLimits) -> Result<Self, Error> {
        let mut input = Input::new(reader);
        let prefix = input.peek(LONGEST_MAGIC)?;
        if let Some(name) = refused_codec(prefix) {
            let text = format!("the input is compressed with {name}, and no layer may be");
            return Err(Error::new(ErrorKind::Unsupported, text));
        }
        let codec = Codec::detect(prefix);
        Self::start(input, codec, limits)
    }

    /// Decodes with a codec that is known from elsewhere, such as a media type.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] for limits that the codec cannot be given.
    pub fn with_codec(reader: R, codec: Codec, limits: DecodeLimits) -> Result<Self, Error> {
        Self::start(Input::new(reader), codec, limits)
    }

    fn start(input: Input<R>, codec: Codec, limits: DecodeLimits) -> Result<Self, Error> {
        let stage = match codec {
            Codec::Gzip => Stage::Gzip(Gzip::new(limits.members)),
            Codec::None => Stage::Plain,
            Codec::Zstd => Stage::Zstd(Zstd::new(limits.members, limits.window)?),
        };
        Ok(Self {
            input,
            stage,
            limits,
            codec,
            output: 0,
        })
    }

    /// Returns the codec that is decoded.
    pub fn codec(&self) -> Codec {
        self.codec
    }

    fn decode(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let read = match &mut self.stage {
            Stage::Failed => {
                let text = "this decoder has already failed";
                return Err(Error::new(ErrorKind::InvalidInput, text));
            }
            Stage::Gzip(gzip) => gzip.read(&mut self.input, buffer)?,
            Stage::Plain => {
                let available = self.input.available()?;
                let read = available.len().min(buffer.len());
                buffer[..read].copy_from_slice(&available[..read]);
                self.input.consume(read);
                read
            }
            Stage::Zstd(zstd) => zstd.read(&mut self.input, buffer)?,
        };
        self.output += read as u64;
        self.check_limits()?;
        Ok(read)
    }

    fn check_limits(&self) -> Result<(), Error> {
        if self.output > self.limits.output {
            let text = format!("the output is larger than {} bytes", self.limits.output);
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        let Some(ratio) = self.limits.ratio else {
            return Ok(());
        };
        let allowed = self.input.offset().saturating_mul(u64::from(ratio));
        if self.output > allowed.max(RATIO_GRACE) {
            let text = format!("the output is more than {ratio} times as large as the input");
            return Err(Error::new(ErrorKind::TooLarge, text));
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        self.decode(buffer).map_err(|error| {
            self.stage = Stage::Failed;
            let codec = self.codec;
            error.at(format_args!("{codec} stream")).into()
        })
    }
}
