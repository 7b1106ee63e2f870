//! Indexes from descriptors of manifests.

use std::collections::BTreeMap;

use crate::json::Object;
use crate::{Descriptor, MediaType};

/// What an index says besides its entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct IndexOptions {
    /// What kind of artifact this is.
    pub artifact_type: Option<MediaType>,
    /// The manifest that this index says something about.
    pub subject: Option<Descriptor>,
    /// Free text about the index.
    pub annotations: BTreeMap<String, String>,
}

/// Makes an index of `manifests`, in their order.
///
/// # Examples
///
/// ```
/// use imgcore::assemble::{IndexOptions, assemble_index};
/// use imgcore::{Index, Raw};
///
/// let index = assemble_index(&[], &IndexOptions::default());
/// assert!(Raw::<Index>::parse(&index)?.manifests.is_empty());
/// # Ok::<(), imgcore::Error>(())
/// ```
pub fn assemble_index(manifests: &[Descriptor], options: &IndexOptions) -> Vec<u8> {
    let mut index = Object::new();
    index.set("schemaVersion", 2_u64);
    index.set("mediaType", MediaType::OCI_INDEX.as_str());
    if let Some(artifact_type) = &options.artifact_type {
        index.set("artifactType", artifact_type.as_str());
    }
    index.set("manifests", manifests.to_vec());
    if let Some(subject) = &options.subject {
        index.set("subject", subject);
    }
    if !options.annotations.is_empty() {
        index.set("annotations", &options.annotations);
    }
    index.to_compact()
}
