//! Bytes to encode, and the options to encode them with.

use imglayer::encode::{Blob, BlobWriter, Codec, EncodeOptions, GzipMembers, Level};

/// How long a block may be, but of zstd.
pub(crate) const BLOCK: usize = 1 << 20;

/// How long a block of a codec may be.
pub(crate) fn block_size(codec: Codec) -> usize {
    match codec {
        Codec::Gzip | Codec::None => BLOCK,
        Codec::Zstd => 2 * BLOCK,
    }
}

/// Every kind of encoder.
pub(crate) fn encoders() -> Vec<EncodeOptions> {
    let mut encoders = Vec::new();
    for level in Level::ALL {
        for (codec, members) in [
            (Codec::Gzip, GzipMembers::Multi),
            (Codec::Gzip, GzipMembers::Single),
            (Codec::None, GzipMembers::Single),
            (Codec::Zstd, GzipMembers::Single),
        ] {
            let mut options = EncodeOptions::new(codec, level);
            options.gzip_members = members;
            encoders.push(options);
        }
    }
    encoders
}

pub(crate) fn with_threads(options: &EncodeOptions, threads: usize) -> EncodeOptions {
    let mut options = options.clone();
    options.threads = threads.try_into().unwrap();
    options
}

/// Text, runs and noise: `length` bytes that always are the same.
pub(crate) fn bytes(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut bytes = Vec::with_capacity(length + 100);
    while bytes.len() < length {
        let value = random();
        match value % 5 {
            0 => bytes.extend_from_slice(&value.to_le_bytes()),
            1 => bytes.extend(std::iter::repeat_n(
                value.to_le_bytes()[1],
                value as usize % 90,
            )),
            2 => bytes.extend_from_slice(b"usr/share/doc/"),
            _ => bytes.extend_from_slice(format!("{value:x} ").as_bytes()),
        }
    }
    bytes.truncate(length);
    bytes
}

/// Bytes that nothing makes smaller: `length` of them that always are the same.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x0123_4567_89ab_cdef_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24).to_le_bytes()[0]
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Encodes bytes with plain blocks.
pub(crate) fn encode(bytes: &[u8], options: &EncodeOptions) -> (Blob, Vec<u8>) {
    let mut writer = BlobWriter::new(Vec::new(), options).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}
