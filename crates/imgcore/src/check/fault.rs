//! What can be wrong with an image.

use std::fmt;

use crate::media_type::Compression;
use crate::{DiffId, Digest, Error, MediaType};

/// One thing that is wrong with an image, and where.
#[derive(Debug)]
#[non_exhaustive]
pub struct Mismatch {
    /// Which part of the image: `image: layer 2`.
    pub place: String,
    /// What is wrong with it.
    pub fault: Fault,
}

impl Mismatch {
    /// Says that something is wrong at a place.
    ///
    /// Drivers use it for what only they see, such as a layer that cannot be decompressed
    /// ([`Fault::Unreadable`]).
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::check::{Fault, Mismatch};
    ///
    /// let mismatch = Mismatch::new("image: layer 2", Fault::Missing);
    /// assert_eq!(mismatch.to_string(), "image: layer 2: is missing");
    /// ```
    pub fn new(place: impl Into<String>, fault: Fault) -> Self {
        Self {
            place: place.into(),
            fault,
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.fault)
    }
}

/// What is wrong with a part of an image.
#[derive(Debug)]
#[non_exhaustive]
pub enum Fault {
    /// An artifact with the empty config does not say what it is (image-spec, manifest.md, "artifactType").
    ArtifactTypeMissing,
    /// The media type names another compression than the bytes have.
    Compression {
        /// What the media type says.
        expected: Compression,
        /// What the bytes are.
        actual: Compression,
    },
    /// The uncompressed content of a layer is not the one that the config names.
    DiffId {
        /// What the config says.
        expected: DiffId,
        /// What the uncompressed bytes have.
        actual: DiffId,
    },
    /// The config names more or fewer layers than the manifest has.
    DiffIdCount {
        /// How many layers the manifest has.
        layers: usize,
        /// How many the config has.
        diff_ids: usize,
    },
    /// The layers are those of the config, in another order.
    DiffIdOrder {
        /// Which layer of the manifest, from 0, has the content that the config names here.
        found_in: usize,
    },
    /// The bytes are not the ones that the digest names.
    Digest {
        /// What the descriptor says.
        expected: Digest,
        /// What the bytes have.
        actual: Digest,
    },
    /// A part is of the other family of media types than the manifest or index that lists it.
    Family {
        /// The media type of the document that lists the part.
        document: MediaType,
        /// The media type of the part.
        part: MediaType,
    },
    /// The history does not have one entry for each layer.
    HistoryCount {
        /// How many layers the config has.
        layers: usize,
        /// How many entries made a layer.
        entries: usize,
    },
    /// The media type of an entry says one kind of document, and it is another, or it is no document.
    Kind {
        /// What the descriptor says.
        media_type: MediaType,
    },
    /// The content is not there.
    Missing,
    /// The descriptor says another platform than the config.
    Platform {
        /// What the descriptor says.
        expected: String,
        /// What the config says.
        actual: String,
    },
    /// The config does not say for which operating system or architecture the image is.
    PlatformMissing,
    /// `rootfs.type` of the config is not `layers`.
    RootfsType,
    /// There are more or fewer bytes than the descriptor says.
    Size {
        /// What the descriptor says.
        expected: u64,
        /// How many there are.
        actual: u64,
    },
    /// The content cannot be read as what it is.
    Unreadable(Box<dyn std::error::Error + Send + Sync>),
    /// A zstd layer stands under a manifest of Docker's schema 2, which has none.
    ZstdUnderDocker,
}

impl Fault {
    /// Says that content cannot be read.
    pub fn unreadable(error: Error) -> Self {
        Self::Unreadable(Box::new(error))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ArtifactTypeMissing => {
                f.write_str("has the empty config and no artifactType, which says what it is")
            }
            Self::Compression { expected, actual } => {
                write!(
                    f,
                    "is {} although its media type says {}",
                    name(*actual),
                    name(*expected)
                )
            }
            Self::DiffId { expected, actual } => {
                write!(
                    f,
                    "uncompressed content has the digest {actual} instead of {expected}"
                )
            }
            Self::DiffIdCount { layers, diff_ids } => {
                write!(
                    f,
                    "config has {diff_ids} diff_ids for the {layers} layers of the manifest"
                )
            }
            Self::DiffIdOrder { found_in } => {
                write!(
                    f,
                    "uncompressed content that the config names here is in layer {found_in}"
                )
            }
            Self::Digest { expected, actual } => {
                write!(f, "has the digest {actual} instead of {expected}")
            }
            Self::Family { document, part } => write!(f, "is {part} under {document}"),
            Self::HistoryCount { layers, entries } => {
                write!(
                    f,
                    "history has {entries} entries that made a layer for {layers} layers"
                )
            }
            Self::Kind { media_type } => write!(f, "is not what its media type {media_type} says"),
            Self::Missing => f.write_str("is missing"),
            Self::Platform { expected, actual } => {
                write!(f, "is for {actual} although its descriptor says {expected}")
            }
            Self::PlatformMissing => f.write_str("says no os or no architecture"),
            Self::RootfsType => f.write_str("rootfs is not of the type \"layers\""),
            Self::Size { expected, actual } => {
                write!(f, "has {actual} bytes instead of {expected}")
            }
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::ZstdUnderDocker => {
                f.write_str("is a zstd layer under a Docker manifest, which has no such layers")
            }
        }
    }
}

fn name(compression: Compression) -> &'static str {
    match compression {
        Compression::Gzip => "gzip",
        Compression::None => "an uncompressed tar",
        Compression::Zstd => "zstd",
    }
}
