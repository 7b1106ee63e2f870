//! The codecs by themselves, as ours sets them.

use imglayer::encode::Stitcher;
use libdeflater::{CompressionLvl, Compressor};
use zstd::bulk;
use zstd::zstd_safe::{self, CParameter};

use super::value;
use crate::run::Result;

/// What bytes stand around a stream, and how many more a stitcher may need.
const ROOM: usize = 64;

/// What an identity may say of zstd beside the level.
const ZSTD_PARAMETERS: [(&str, Setter); 4] = [
    ("chain", CParameter::ChainLog),
    ("hash", CParameter::HashLog),
    ("match", CParameter::MinMatch),
    ("window", CParameter::WindowLog),
];

type Setter = fn(u32) -> CParameter;

/// A codec with its recycled output.
pub(super) struct Codec {
    kind: Kind,
    output: Vec<u8>,
    length: usize,
}

enum Kind {
    None,
    Gzip {
        compressor: Compressor,
        /// `None` for a member a block.
        stitcher: Option<Box<Stitcher>>,
    },
    Zstd(bulk::Compressor<'static>),
}

impl Codec {
    /// Takes the parameters from an encoder's identity.
    pub(super) fn of(identity: &str) -> Result<Self> {
        let not_understood = || format!("the bench does not understand the encoder {identity:?}");
        let kind = match identity.split(' ').next() {
            Some("gzip") => {
                let level = value(identity, "level").ok_or_else(not_understood)?;
                let level = CompressionLvl::new(level).map_err(|_| not_understood())?;
                Kind::Gzip {
                    compressor: Compressor::new(level),
                    stitcher: identity
                        .contains(" members=single ")
                        .then(|| Box::new(Stitcher::new())),
                }
            }
            Some("none") => Kind::None,
            Some("zstd") => {
                let level = value(identity, "level").ok_or_else(not_understood)?;
                let mut compressor =
                    bulk::Compressor::new(level).map_err(|error| error.to_string())?;
                for (name, parameter) in ZSTD_PARAMETERS {
                    let number = value(identity, name).and_then(|it| u32::try_from(it).ok());
                    if let Some(number) = number {
                        let set = compressor.set_parameter(parameter(number));
                        set.map_err(|error| error.to_string())?;
                    }
                }
                Kind::Zstd(compressor)
            }
            _ => return Err(not_understood()),
        };
        Ok(Self {
            kind,
            output: Vec::new(),
            length: 0,
        })
    }

    pub(super) fn changes_bytes(&self) -> bool {
        !matches!(self.kind, Kind::None)
    }

    /// Encodes a block, with the checksum that gzip has.
    pub(super) fn encode(&mut self, block: &[u8]) -> Result<()> {
        let room = match &mut self.kind {
            Kind::None => return Ok(()),
            Kind::Gzip { compressor, .. } => compressor.deflate_compress_bound(block.len()) + ROOM,
            Kind::Zstd(_) => zstd_safe::compress_bound(block.len()),
        };
        if self.output.len() < room {
            self.output.resize(room, 0);
        }
        self.length = match &mut self.kind {
            Kind::None => 0,
            Kind::Gzip { compressor, .. } => {
                std::hint::black_box(libdeflater::crc32(block));
                let length = compressor.deflate_compress(block, &mut self.output);
                length.map_err(|error| error.to_string())?
            }
            Kind::Zstd(compressor) => {
                let length = compressor.compress_to_buffer(block, self.output.as_mut_slice());
                length.map_err(|error| error.to_string())?
            }
        };
        Ok(())
    }

    pub(super) fn stitches(&self) -> bool {
        matches!(
            self.kind,
            Kind::Gzip {
                stitcher: Some(_),
                ..
            }
        )
    }

    /// Opens the end of the stream for the next one, where one member holds all.
    pub(super) fn stitch(&mut self) -> Result<()> {
        if let Kind::Gzip {
            stitcher: Some(stitcher),
            ..
        } = &mut self.kind
        {
            let length = stitcher.open_end(&mut self.output, self.length);
            self.length = length.ok_or("the stitcher refuses libdeflate's stream")?;
        }
        Ok(())
    }

    /// What was encoded last.
    pub(super) fn output<'a>(&'a self, block: &'a [u8]) -> &'a [u8] {
        match self.kind {
            Kind::None => block,
            _ => &self.output[..self.length],
        }
    }
}
