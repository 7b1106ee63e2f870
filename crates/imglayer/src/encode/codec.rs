//! What a codec does to the pieces of a block.

use imgtar::Codec;

use super::block::{Encoding, Part};
use super::gzip::Gzip;
use super::level::Level;
use super::options::EncodeOptions;
use super::zstd::Zstd;
use crate::Error;

/// How long a block may be: 1 MiB.
pub(super) const BLOCK_SIZE: usize = 1 << 20;

/// Encodes pieces by themselves. One is made for each thread and reused from piece to piece.
pub(super) trait BlockCodec: Send {
    /// Writes the encoding of `input`, which depends on nothing but `input` and `part`, to `output` from `start` on.
    ///
    /// `output` grows where it must and is never cut, so that a recycled buffer is not cleared again. What is in it
    /// behind the encoding means nothing.
    fn encode(
        &mut self,
        input: &[u8],
        part: Part,
        output: &mut Vec<u8>,
        start: usize,
    ) -> Result<Encoding, Error>;
}

/// Makes the codecs of threads.
pub(super) struct CodecFactory {
    kind: Kind,
    make: MakeCodec,
}

/// Codecs of one kind give the same encodings.
pub(super) type Kind = (Codec, Level);

type MakeCodec = Box<dyn Fn() -> Result<Box<dyn BlockCodec>, Error> + Send + Sync>;

impl CodecFactory {
    pub(super) fn new(kind: Kind, make: MakeCodec) -> Self {
        Self { kind, make }
    }

    /// Returns how pieces are encoded; `None` when bytes stay as they are.
    pub(super) fn of(options: &EncodeOptions) -> Option<Self> {
        let level = options.level;
        let make: MakeCodec = match options.codec {
            Codec::Gzip => Box::new(move || Ok(Box::new(Gzip::new(level)?))),
            Codec::None => return None,
            Codec::Zstd => Box::new(move || Ok(Box::new(Zstd::new(level)?))),
        };
        Some(Self::new((options.codec, level), make))
    }

    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn make(&self) -> Result<Box<dyn BlockCodec>, Error> {
        (self.make)()
    }
}

/// Makes room for `size` bytes from `start` on.
pub(super) fn make_room(output: &mut Vec<u8>, start: usize, size: usize) {
    /// A buffer that grew by a little for each of many small pieces would be copied as often.
    const STEP: usize = 64 << 10;
    let needed = start + size;
    if output.len() < needed {
        output.resize(needed.next_multiple_of(STEP), 0);
    }
}
