//! Content digests: the names of blobs.
//!
//! A [`Digest`] names the bytes of a blob as they are stored and moved (so, of a layer, the *compressed* bytes); a
//! [`DiffId`] names the bytes of a layer's uncompressed tar. The two never convert into each other.
//!
//! Grammar and algorithms: [OCI image-spec, descriptor.md, "Digests"][spec]. Of its registered algorithms both are
//! taken, `sha256` and `sha512`; the hex text is exactly as long as the algorithm says, in lower case.
//!
//! [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md#digests

mod hasher;
mod read;

use std::fmt;
use std::str::FromStr;

pub use hasher::{Hasher, HashingWriter};
pub use read::{HashingReader, VerifyingReader};

/// A hash algorithm that may name content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// SHA-256, which every registry and runtime understands.
    Sha256,
    /// SHA-512, which the specification registers and few use.
    Sha512,
}

impl Algorithm {
    /// Returns the name that stands before the colon of a digest.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns how many bytes a hash of this algorithm has.
    #[expect(clippy::len_without_is_empty, reason = "no hash is empty")]
    pub const fn len(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha512 => 64,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            _ => None,
        }
    }
}

/// The digest of a blob's bytes as they are stored.
///
/// Its text form (`sha256:` and 64 lower-case hex digits) is the only one that parses, so a digest is safe to use as a
/// path component or part of a URL.
///
/// # Examples
///
/// ```
/// use imgcore::Digest;
///
/// let digest = Digest::sha256_of(b"hello");
/// assert_eq!(digest, digest.to_string().parse::<Digest>()?);
/// assert!("sha256:../../etc/passwd".parse::<Digest>().is_err());
/// # Ok::<(), imgcore::digest::ParseDigestError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    /// The hash, left-justified; bytes past the algorithm's length are zero.
    bytes: [u8; 64],
}

impl Digest {
    /// Hashes bytes in memory with SHA-256.
    pub fn sha256_of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        hasher.update(bytes);
        hasher.finish()
    }

    /// Makes a digest from a raw hash.
    ///
    /// # Errors
    ///
    /// [`ParseDigestError::Length`] when `hash` is not as long as the algorithm's hashes are.
    pub fn from_bytes(algorithm: Algorithm, hash: &[u8]) -> Result<Self, ParseDigestError> {
        if hash.len() != algorithm.len() {
            return Err(ParseDigestError::Length { algorithm });
        }
        let mut bytes = [0; 64];
        bytes[..hash.len()].copy_from_slice(hash);
        Ok(Self { algorithm, bytes })
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the raw hash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.algorithm.len()]
    }

    /// Returns the hash in lower-case hex, without the algorithm.
    pub fn hex(&self) -> String {
        use fmt::Write;
        let mut hex = String::with_capacity(2 * self.algorithm.len());
        for byte in self.as_bytes() {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, hex) = text.split_once(':').ok_or(ParseDigestError::NoAlgorithm)?;
        let algorithm = Algorithm::from_name(name).ok_or(ParseDigestError::Algorithm)?;
        if hex.len() != 2 * algorithm.len() {
            return Err(ParseDigestError::Length { algorithm });
        }
        let mut bytes = [0; 64];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            *byte = hex_value(pair[0])? << 4 | hex_value(pair[1])?;
        }
        Ok(Self { algorithm, bytes })
    }
}

/// The digest of a layer's uncompressed tar, as a config lists it under `rootfs.diff_ids`.
///
/// It has the grammar of a [`Digest`] and converts to none: the two name different bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiffId(Digest);

impl DiffId {
    /// Names the uncompressed bytes that `hasher` has seen.
    pub fn from_hasher(hasher: Hasher) -> Self {
        Self(hasher.finish())
    }

    /// Hashes an uncompressed tar in memory with SHA-256.
    pub fn sha256_of(bytes: &[u8]) -> Self {
        Self(Digest::sha256_of(bytes))
    }

    /// Returns the raw hash.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> Algorithm {
        self.0.algorithm
    }
}

impl fmt::Display for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for DiffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DiffId({self})")
    }
}

impl FromStr for DiffId {
    type Err = ParseDigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

/// Why a text is not a digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParseDigestError {
    /// The text before the colon names no known algorithm.
    #[error("a digest starts with `sha256:` or `sha512:`")]
    Algorithm,
    /// A character is not a lower-case hex digit.
    #[error("a digest is written in lower-case hex digits")]
    Hex,
    /// The hash is too short or too long for its algorithm.
    #[error("a {} digest has {} hex digits", algorithm.name(), 2 * algorithm.len())]
    Length {
        /// The algorithm that the text names.
        algorithm: Algorithm,
    },
    /// There is no colon.
    #[error("a digest is an algorithm, a colon and a hash, like `sha256:…`")]
    NoAlgorithm,
}

fn hex_value(digit: u8) -> Result<u8, ParseDigestError> {
    match digit {
        b'0'..=b'9' => Ok(digit - b'0'),
        b'a'..=b'f' => Ok(digit - b'a' + 10),
        _ => Err(ParseDigestError::Hex),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_vectors_hash_and_parse() {
        let empty = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Digest::sha256_of(b"").to_string(), empty);
        assert_eq!(empty.parse::<Digest>().unwrap().to_string(), empty);
        assert_eq!(empty.parse::<DiffId>().unwrap(), DiffId::sha256_of(b""));
    }

    #[test]
    fn malformed_texts_are_refused() {
        let upper = format!("sha256:{}", "A".repeat(64));
        let traversal = format!("sha256:{}", "../".repeat(21) + "a");
        let cases = [
            ("", ParseDigestError::NoAlgorithm),
            ("sha256", ParseDigestError::NoAlgorithm),
            ("md5:00", ParseDigestError::Algorithm),
            ("SHA256:00", ParseDigestError::Algorithm),
            (
                "sha256:00",
                ParseDigestError::Length {
                    algorithm: Algorithm::Sha256,
                },
            ),
            (&upper, ParseDigestError::Hex),
            (&traversal, ParseDigestError::Hex),
        ];
        for (text, error) in cases {
            assert_eq!(text.parse::<Digest>(), Err(error), "{text}");
        }
    }
}
