//! What decides how a blob is encoded.

use std::num::NonZeroUsize;
use std::thread;

use imgtar::Codec;

use super::level::Level;
use super::threads::Threads;

/// More threads than this gain nothing by default: the hash of the uncompressed bytes is one chain that no second
/// core helps with, and this many encoders keep it busy.
const MOST_DEFAULT_THREADS: usize = 16;

/// How a blob is encoded.
///
/// All but [`threads`](Self::threads) and [`shared_threads`](Self::shared_threads) decide the bytes, and are part of the
/// [`EncoderIdentity`](super::EncoderIdentity).
///
/// # Examples
///
/// ```
/// use imglayer::encode::{Codec, EncodeOptions, Level};
///
/// let mut options = EncodeOptions::new(Codec::Zstd, Level::Fast);
/// options.threads = 2.try_into()?;
/// # Ok::<(), std::num::TryFromIntError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EncodeOptions {
    /// The compression.
    pub codec: Codec,
    /// How hard to compress; without meaning for [`Codec::None`].
    pub level: Level,
    /// How the blocks stand in a gzip file; without meaning for other codecs.
    pub gzip_members: GzipMembers,
    /// How many blocks are encoded at the same time, at most; more than 1024 count as 1024, and with 1 no thread is
    /// started at all. Never changes a byte. Memory grows with it, by 2 MiB each, with zstd by 4 MiB.
    pub threads: NonZeroUsize,
    /// Threads that other writers use as well, instead of own ones. Those that have nothing else to do may encode a few
    /// more blocks at a time than [`threads`](Self::threads) says. Never changes a byte.
    pub shared_threads: Option<Threads>,
}

impl EncodeOptions {
    /// Takes codec and level, and the defaults for the rest.
    pub fn new(codec: Codec, level: Level) -> Self {
        Self {
            codec,
            level,
            ..Self::default()
        }
    }
}

impl Default for EncodeOptions {
    /// gzip at the default level, in a single member, with a thread for each CPU up to 16.
    fn default() -> Self {
        let cpus = thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let most = NonZeroUsize::new(MOST_DEFAULT_THREADS).unwrap_or(NonZeroUsize::MIN);
        Self {
            codec: Codec::Gzip,
            level: Level::default(),
            gzip_members: GzipMembers::default(),
            threads: cpus.min(most),
            shared_threads: None,
        }
    }
}

/// How the blocks stand in a gzip file.
///
/// Either way each block can be inflated by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(clippy::exhaustive_enums, reason = "there is no third way")]
pub enum GzipMembers {
    /// Each block is a member: faster by a twentieth, and cut short by readers that stop at the first member.
    Multi,
    /// One member of all blocks, which everything that reads gzip reads whole.
    #[default]
    Single,
}
