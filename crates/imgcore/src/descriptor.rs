//! Descriptors: typed, sized, verifiable references to content.

use std::collections::BTreeMap;

use crate::{Digest, MediaType, Platform};

/// A reference to content ([OCI image-spec, descriptor.md][spec]).
///
/// [spec]: https://github.com/opencontainers/image-spec/blob/v1.1.1/descriptor.md
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Descriptor {
    /// What the content is.
    pub media_type: MediaType,
    /// The digest of the content.
    pub digest: Digest,
    /// The size of the content in bytes.
    pub size: u64,
    /// Other places to have the content from. Never followed unasked.
    pub urls: Vec<String>,
    /// Free text about the content.
    pub annotations: BTreeMap<String, String>,
    /// The content itself, when it is small.
    pub data: Option<Vec<u8>>,
    /// The platform of the image that the descriptor points to.
    pub platform: Option<Platform>,
    /// What kind of artifact the manifest is that the descriptor points to.
    pub artifact_type: Option<MediaType>,
}

impl Descriptor {
    /// Makes a descriptor with the three members that every descriptor has.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type,
            digest,
            size,
            urls: Vec::new(),
            annotations: BTreeMap::new(),
            data: None,
            platform: None,
            artifact_type: None,
        }
    }

    /// Describes bytes in memory.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::sha256_of(bytes), bytes.len() as u64)
    }
}
