//! Compression levels by name, and the one table from names to encoder parameters.

use std::fmt;

use imgtar::Codec;
use zstd::zstd_safe::CParameter;

use crate::Error;

/// How hard to compress.
///
/// A level stands for the same encoder parameters everywhere: no build mode, thread count or CPU changes them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "three points that every codec has; ordered by effort"
)]
pub enum Level {
    /// For blobs that live for minutes.
    Fast,
    /// Faster than Go's encoders at their default, and no larger.
    #[default]
    Default,
    /// For blobs that are written once and pulled often: gzip is smaller than zlib's 9.
    Best,
}

impl Level {
    /// All levels, by effort.
    pub const ALL: [Self; 3] = [Self::Fast, Self::Default, Self::Best];

    /// Takes a level as the peer's command line has it.
    ///
    /// | codec | `fast` | `default` | `best` |
    /// |---|---|---|---|
    /// | gzip | `fastest`, 0, 1 | `auto`, −1, 2–6 | 7–9 |
    /// | zstd | `fastest`, 1 | `auto`, −1, 2 | 3, 4 |
    /// | none | all of gzip's words and numbers are taken, and change nothing | | |
    ///
    /// The peer's level 0 of gzip does not compress; here it is as fast as compressing gets.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for any other text.
    ///
    /// # Examples
    ///
    /// ```
    /// use imglayer::encode::{Codec, Level};
    ///
    /// assert_eq!(Level::from_peer(Codec::Gzip, "6")?, Level::Default);
    /// assert_eq!(Level::from_peer(Codec::Zstd, "4")?, Level::Best);
    /// assert!(Level::from_peer(Codec::Zstd, "9").is_err());
    /// # Ok::<(), imglayer::Error>(())
    /// ```
    pub fn from_peer(codec: Codec, text: &str) -> Result<Self, Error> {
        match text {
            "auto" | "default" => return Ok(Self::Default),
            "best" => return Ok(Self::Best),
            "fast" | "fastest" => return Ok(Self::Fast),
            _ => {}
        }
        match (codec, text.parse::<i8>()) {
            (Codec::Gzip | Codec::None, Ok(0..=1)) | (Codec::Zstd, Ok(1)) => Ok(Self::Fast),
            (Codec::Gzip | Codec::None, Ok(-1 | 2..=6)) | (Codec::Zstd, Ok(-1 | 2)) => {
                Ok(Self::Default)
            }
            (Codec::Gzip | Codec::None, Ok(7..=9)) | (Codec::Zstd, Ok(3..=4)) => Ok(Self::Best),
            _ => {
                let (name, range) = match codec {
                    Codec::Zstd => ("zstd", "1 to 4"),
                    Codec::Gzip | Codec::None => ("gzip", "0 to 9"),
                };
                Err(Error::invalid(format!(
                    "{text:?} is no compression level of {name}: use `fast`, `default`, `best`, -1 or {range}"
                )))
            }
        }
    }

    /// The level of libdeflate, 0 to 12.
    ///
    /// 3 is smaller than Go's encoders at their default and faster; 5 is as small as zlib's 6, for a quarter more time.
    /// 9 takes 2.7 times as long as 7 for 0.5 % of the size, and 10 ten times as long for 3 %. The default of seekable
    /// formats is compared with tools that compress as hard as zlib can, and 6 is smaller than that.
    pub(super) fn libdeflate(self, seekable: bool) -> i32 {
        match (self, seekable) {
            (Self::Fast, _) => 1,
            (Self::Default, false) => 3,
            (Self::Default, true) => 6,
            (Self::Best, _) => 7,
        }
    }

    /// The level of zstd, 1 to 22.
    pub(super) const fn zstd(self) -> i32 {
        match self {
            Self::Fast => 1,
            Self::Default => 3,
            Self::Best => 9,
        }
    }

    /// Parameters of zstd whose value at its level is not the best for our blocks.
    ///
    /// Level 1 looks for matches of 7 bytes; with 6 the output is 2 to 3 % smaller at the same speed. The tables of
    /// level 3 do not stay in the cache; those of half the size are a tenth faster, for 0.6 % of the size.
    pub(super) const fn zstd_parameters(self) -> &'static [ZstdParameter] {
        const FAST: &[ZstdParameter] = &[ZstdParameter::new("match", CParameter::MinMatch, 6)];
        const DEFAULT: &[ZstdParameter] = &[
            ZstdParameter::new("chain", CParameter::ChainLog, 15),
            ZstdParameter::new("hash", CParameter::HashLog, 16),
        ];
        match self {
            Self::Fast => FAST,
            Self::Default => DEFAULT,
            Self::Best => &[],
        }
    }
}

/// A parameter that is set beside the level.
#[derive(Clone, Copy)]
pub(super) struct ZstdParameter {
    /// What an identity calls it.
    pub(super) name: &'static str,
    pub(super) set: fn(u32) -> CParameter,
    pub(super) value: u32,
}

impl ZstdParameter {
    const fn new(name: &'static str, set: fn(u32) -> CParameter, value: u32) -> Self {
        Self { name, set, value }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Best => "best",
            Self::Default => "default",
            Self::Fast => "fast",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(codec: Codec, texts: &[&str], level: Option<Level>) {
        for text in texts {
            assert_eq!(
                Level::from_peer(codec, text).ok(),
                level,
                "{codec} {text:?}"
            );
        }
    }

    #[test]
    fn the_peers_levels_map_onto_ours() {
        use Level::{Best, Default, Fast};
        for codec in [Codec::Gzip, Codec::None] {
            check(codec, &["0", "1", "fast", "fastest"], Some(Fast));
            check(
                codec,
                &["-1", "2", "3", "4", "5", "6", "auto", "default"],
                Some(Default),
            );
            check(codec, &["7", "8", "9", "best"], Some(Best));
            check(codec, &["10", "-2", "", "six", "1.5", " 1", "999"], None);
        }
        check(Codec::Zstd, &["1", "fast", "fastest"], Some(Fast));
        check(Codec::Zstd, &["-1", "2", "auto", "default"], Some(Default));
        check(Codec::Zstd, &["3", "4", "best"], Some(Best));
        check(Codec::Zstd, &["0", "5", "9", "-2", "", "Best"], None);
    }

    #[test]
    fn a_refused_level_is_told_with_what_to_use_instead() {
        let error = Level::from_peer(Codec::Zstd, "9").unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
        insta::assert_snapshot!(error, @r#""9" is no compression level of zstd: use `fast`, `default`, `best`, -1 or 1 to 4"#);
    }
}
