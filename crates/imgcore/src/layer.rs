//! Layer metadata: what assembly needs to know of a layer instead of its bytes.

use std::collections::BTreeMap;

use crate::{DiffId, Digest, MediaType};

/// What is known of a layer without its bytes: the JSON file that stands beside every layer blob.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LayerMetadata {
    /// The digest of the uncompressed tar; `None` for a blob that is no tar.
    pub diff_id: Option<DiffId>,
    /// The media type of the blob.
    pub media_type: MediaType,
    /// The digest of the blob.
    pub digest: Digest,
    /// The size of the blob in bytes.
    pub size: u64,
    /// Annotations of the layer's descriptor.
    pub annotations: BTreeMap<String, String>,
    /// The history entries that belong to the layer, oldest first.
    pub history: Vec<HistoryEntry>,
}

impl LayerMetadata {
    /// Makes metadata without annotations and history.
    pub fn new(diff_id: Option<DiffId>, media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            diff_id,
            media_type,
            digest,
            size,
            annotations: BTreeMap::new(),
            history: Vec::new(),
        }
    }
}

/// One step of an image's history.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// When, in RFC 3339.
    pub created: Option<String>,
    /// Which command made the layer.
    pub created_by: Option<String>,
    /// Who.
    pub author: Option<String>,
    /// Free text.
    pub comment: Option<String>,
    /// Whether the step made no layer.
    pub empty_layer: bool,
}
