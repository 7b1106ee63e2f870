//! What a codec does to the pieces of a block.

use imgtar::Codec;

use super::block::{Encoding, Part};
use super::gzip::Gzip;
use super::level::Level;
use super::options::EncodeOptions;
use super::zstd::{self, Zstd};
use crate::Error;

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

/// What decides the encoding of a piece beside its bytes: codecs of one kind give the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Kind {
    pub(super) codec: Codec,
    pub(super) level: Level,
    /// Whether the members are a format's, which are small and of which single ones are read.
    pub(super) seekable: bool,
}

impl Kind {
    /// Takes what the options say of a blob that is not seekable, or is.
    pub(super) fn new(options: &EncodeOptions, seekable: bool) -> Self {
        Self {
            codec: options.codec,
            level: options.level,
            seekable,
        }
    }

    /// How long a block may be.
    ///
    /// zstd is given more to look back at, which is worth 1 % of the size; deflate looks back 32 KiB.
    pub(super) const fn block_size(self) -> usize {
        match self.codec {
            Codec::Gzip | Codec::None => 1 << 20,
            Codec::Zstd => zstd::BLOCK_SIZE,
        }
    }
}

type MakeCodec = Box<dyn Fn() -> Result<Box<dyn BlockCodec>, Error> + Send + Sync>;

impl CodecFactory {
    pub(super) fn new(kind: Kind, make: MakeCodec) -> Self {
        Self { kind, make }
    }

    /// Returns how pieces are encoded; `None` when bytes stay as they are.
    pub(super) fn of(kind: Kind) -> Option<Self> {
        let make: MakeCodec = match kind.codec {
            Codec::Gzip => Box::new(move || Ok(Box::new(Gzip::new(kind)?))),
            Codec::None => return None,
            Codec::Zstd => Box::new(move || Ok(Box::new(Zstd::new(kind.level)?))),
        };
        Some(Self::new(kind, make))
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
