//! How a layer's archive is compressed, and the bounded way back.

mod decoder;
mod gzip;
mod input;
mod zstd;

pub use decoder::{DecodeLimits, Decoder};

use std::fmt;

/// How an archive is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the compressions that the OCI image specification names for layers"
)]
pub enum Codec {
    /// gzip, RFC 1952: one member or many.
    Gzip,
    /// No compression.
    None,
    /// Zstandard, RFC 8878: one frame or many, skippable frames among them.
    Zstd,
}

impl Codec {
    /// Tells the codec from the first bytes of a stream; four are enough.
    ///
    /// What is neither gzip nor Zstandard counts as uncompressed; [`Decoder::new`] looks further
    /// and refuses the compressions that no layer may have.
    ///
    /// ```
    /// use imgtar::Codec;
    ///
    /// assert_eq!(Codec::detect(&[0x1f, 0x8b, 8, 0]), Codec::Gzip);
    /// assert_eq!(Codec::detect(&[0x28, 0xb5, 0x2f, 0xfd]), Codec::Zstd);
    /// assert_eq!(Codec::detect(b"etc/"), Codec::None);
    /// ```
    pub fn detect(prefix: &[u8]) -> Self {
        if prefix.starts_with(&gzip::MAGIC) {
            return Self::Gzip;
        }
        let is_zstd = prefix
            .first_chunk()
            .is_some_and(|&magic| zstd::FrameKind::of(u32::from_le_bytes(magic)).is_some());
        if is_zstd { Self::Zstd } else { Self::None }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gzip => "gzip",
            Self::None => "uncompressed",
            Self::Zstd => "zstd",
        })
    }
}

/// Names a compression that is refused, from a stream's first [`LONGEST_MAGIC`] bytes.
fn refused_codec(prefix: &[u8]) -> Option<&'static str> {
    const BZIP2_BLOCK: [u8; 6] = [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
    const BZIP2_END: [u8; 6] = [0x17, 0x72, 0x45, 0x38, 0x50, 0x90];
    if prefix.starts_with(&[0xfd, b'7', b'z', b'X', b'Z', 0]) {
        return Some("xz");
    }
    // An archive may start with a file called "BZh1": only the block's magic makes it certain.
    let block = prefix.strip_prefix(b"BZh").and_then(|rest| rest.get(1..7));
    if block.is_some_and(|block| block == BZIP2_BLOCK || block == BZIP2_END) {
        return Some("bzip2");
    }
    None
}

/// Bytes that [`refused_codec`] looks at.
const LONGEST_MAGIC: usize = 10;
