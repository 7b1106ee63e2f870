//! The identity of an encoder: everything that decides its bytes, in one line of text.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Mutex, OnceLock, PoisonError};

use imgcore::Digest;
use imgtar::Codec;

use super::block::Block;
use super::codec::{CodecFactory, Kind};
use super::level::Level;
use super::options::EncodeOptions;
use super::output::{Layout, Output};
use super::store::STORE_RULE;
use super::zstd::WINDOW_LOG;
use crate::Error;

/// The version of the rule that says where blocks end.
const CUT_RULE: u32 = 1;

/// Everything that decides the bytes of a blob beside its content.
///
/// Two equal identities encode the same content to the same bytes. It is computed at run time from the codecs that
/// are linked: where a library does not tell its version, the digest of an encoded test vector stands for it, and
/// with it for everything that could change bytes without changing a version.
///
/// # Examples
///
/// ```
/// use imglayer::encode::{EncodeOptions, EncoderIdentity};
///
/// let identity = EncoderIdentity::of(&EncodeOptions::default())?;
/// assert!(identity.to_string().starts_with("gzip libdeflate level=3 members=single block=1048576 cut=1 store=1 vector=sha256:"));
/// # Ok::<(), imglayer::Error>(())
/// ```
#[derive(Clone)]
pub struct EncoderIdentity {
    encoder: Encoder,
    /// What a format decides beside the encoder.
    choices: String,
    /// Computed when it is asked for: the vector takes as long to encode as a small layer.
    text: OnceLock<String>,
}

/// What a vector is encoded with, and kept by.
type Encoder = (Kind, Layout);

impl EncoderIdentity {
    /// Takes the identity of the encoder that `options` choose.
    ///
    /// # Errors
    ///
    /// None at present.
    pub fn of(options: &EncodeOptions) -> Result<Self, Error> {
        Ok(Self::with_layout(
            options,
            Layout::plain(options.codec, options.gzip_members),
        ))
    }

    /// Takes the identity of the encoder of a [seekable](super::BlobWriter::seekable) blob.
    ///
    /// It does not tell where a format begins members: a format with choices adds them.
    ///
    /// # Errors
    ///
    /// As [`of`](Self::of).
    pub fn of_seekable(options: &EncodeOptions) -> Result<Self, Error> {
        Ok(Self::with_layout(options, Layout::Seekable(options.codec)))
    }

    fn with_layout(options: &EncodeOptions, layout: Layout) -> Self {
        Self {
            encoder: (Kind::new(options, layout.is_seekable()), layout),
            choices: String::new(),
            text: OnceLock::new(),
        }
    }

    /// Adds what a format decides beside the encoder.
    pub(crate) fn with(self, choices: &str) -> Self {
        Self {
            encoder: self.encoder,
            choices: format!("{} {choices}", self.choices),
            text: OnceLock::new(),
        }
    }

    /// Returns the identity as text, to record and to compare later.
    ///
    /// The first call in a process encodes a test vector, which takes some milliseconds. A codec that refuses the
    /// vector, and with it every blob, has the error in its place.
    pub fn as_str(&self) -> &str {
        self.text.get_or_init(|| self.compute())
    }

    fn compute(&self) -> String {
        let (kind, layout) = self.encoder;
        let encoder = match kind.codec {
            Codec::Gzip => {
                let level = kind.level.libdeflate(kind.seekable);
                format!("gzip libdeflate level={level}")
            }
            // The blob is the tar: no block can be seen in it.
            Codec::None => return format!("none{}", self.choices),
            Codec::Zstd => format!(
                "zstd zstd={} level={}{} window={WINDOW_LOG}",
                zstd::zstd_safe::version_number(),
                kind.level.zstd(),
                parameters(kind.level),
            ),
        };
        let members = match (kind.codec, layout) {
            (_, Layout::Seekable(_)) => " members=seekable",
            (Codec::Gzip, Layout::Stitched) => " members=single",
            (Codec::Gzip, _) => " members=multi",
            (Codec::None | Codec::Zstd, _) => "",
        };
        let vector = match vector_digest(self.encoder) {
            Ok(digest) => digest.to_string(),
            Err(error) => error.to_string(),
        };
        let (choices, block_size) = (&self.choices, kind.block_size());
        format!(
            "{encoder}{members} block={block_size} cut={CUT_RULE} store={STORE_RULE} vector={vector}{choices}"
        )
    }
}

/// What is set of zstd beside the level, each with a space in front.
fn parameters(level: Level) -> String {
    let parameters = level.zstd_parameters().iter();
    parameters.fold(String::new(), |text, parameter| {
        format!("{text} {}={}", parameter.name, parameter.value)
    })
}

impl fmt::Debug for EncoderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EncoderIdentity")
            .field(&self.as_str())
            .finish()
    }
}

impl fmt::Display for EncoderIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl PartialEq for EncoderIdentity {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for EncoderIdentity {}

impl PartialOrd for EncoderIdentity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EncoderIdentity {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_str().cmp(other.as_str())
    }
}

impl Hash for EncoderIdentity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

/// Encodes the vector, once a process for each kind of encoder.
fn vector_digest(encoder: Encoder) -> Result<Digest, Error> {
    static KNOWN: Mutex<BTreeMap<Encoder, Digest>> = Mutex::new(BTreeMap::new());
    // Nothing in here panics half-way through a change.
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(&digest) = known().get(&encoder) {
        return Ok(digest);
    }
    let digest = encode_vector(encoder)?;
    known().insert(encoder, digest);
    Ok(digest)
}

fn encode_vector((kind, layout): Encoder) -> Result<Digest, Error> {
    let mut output = Output::new(std::io::sink(), layout);
    if let Some(factory) = CodecFactory::of(kind) {
        let mut codec = factory.make()?;
        for size in VECTOR_SIZES {
            let mut block = Block::new(0);
            block.input = vector(size);
            block.filled = size;
            block.set_single_piece(layout.part_of_block());
            block.encode(codec.as_mut())?;
            output.write_block(&mut block)?;
        }
    }
    // Where bytes stay as they are there is no vector.
    let (digest, _, _) = output.finish(&imgcore::Hasher::default())?;
    Ok(digest)
}

/// Codecs choose parameters by the size of their input, so the vector has blocks of several sizes.
const VECTOR_SIZES: [usize; 4] = [300 << 10, 100 << 10, 12 << 10, 100];

/// Bytes with repetitions near and far, runs, text and noise, from a generator that is written out here.
fn vector(size: usize) -> Vec<u8> {
    const WORDS: [&[u8]; 8] = [
        b"/usr/lib/",
        b"\0\0\0\0\0\0\0\0",
        b".so.6",
        b"include",
        b"\x7fELF",
        b"return ",
        b"the ",
        b"\xff\xfe",
    ];
    let mut state = 0x2545_f491_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize
    };
    let mut bytes = Vec::with_capacity(size + 512);
    while bytes.len() < size {
        match random() % 8 {
            0 => (0..random() % 64).for_each(|_| bytes.push(random().to_le_bytes()[0])),
            1 => bytes.extend(std::iter::repeat_n(
                random().to_le_bytes()[0],
                random() % 300,
            )),
            2 if bytes.len() > 512 => {
                let start = random() % (bytes.len() - 512);
                bytes.extend_from_within(start..start + random() % 512);
            }
            _ => bytes.extend_from_slice(WORDS[random() % WORDS.len()]),
        }
    }
    bytes.truncate(size);
    bytes
}

#[cfg(test)]
mod tests {
    use super::super::options::GzipMembers;
    use super::*;

    #[test]
    fn what_decides_bytes_decides_the_identity_and_threads_do_not() {
        let mut seen = std::collections::BTreeSet::new();
        for codec in [Codec::Gzip, Codec::Zstd] {
            for level in Level::ALL {
                let options = EncodeOptions::new(codec, level);
                seen.insert(EncoderIdentity::of(&options).unwrap().to_string());
            }
        }
        assert_eq!(seen.len(), 6);
        let mut options = EncodeOptions::default();
        let identity = EncoderIdentity::of(&options).unwrap();
        options.threads = 7.try_into().unwrap();
        assert_eq!(EncoderIdentity::of(&options).unwrap(), identity);
        options.gzip_members = GzipMembers::Multi;
        assert_ne!(EncoderIdentity::of(&options).unwrap(), identity);
    }

    #[test]
    fn the_text_is_one_line_of_words() {
        let options = EncodeOptions::new(Codec::None, Level::Best);
        assert_eq!(EncoderIdentity::of(&options).unwrap().to_string(), "none");
        let zstd = EncoderIdentity::of(&EncodeOptions::new(Codec::Zstd, Level::Fast)).unwrap();
        let (before, vector) = zstd.as_str().split_once(" vector=").unwrap();
        assert_eq!(
            before.replace(&zstd::zstd_safe::version_number().to_string(), "V"),
            "zstd zstd=V level=1 match=6 window=21 block=2097152 cut=1 store=1"
        );
        assert!(vector.parse::<Digest>().is_ok());
    }
}
