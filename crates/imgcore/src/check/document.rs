//! Documents against the descriptors that lead to them.

use super::{Fault, Mismatch};
use crate::media_type::Family;
use crate::{Descriptor, Digest, Document, Hasher, Index, Raw};

/// Checks the bytes of a manifest or index against the descriptor that led to it, and reads it.
///
/// The document comes back whenever it can be read, so that the check can go on behind a wrong digest. `place` is what
/// the mismatches call it.
///
/// # Examples
///
/// ```
/// use imgcore::check::check_document;
/// use imgcore::{Descriptor, MediaType};
///
/// let descriptor = Descriptor::of(MediaType::OCI_INDEX, b"{}");
/// let (document, mismatches) = check_document("root", &descriptor, b"[]");
/// assert!(document.is_none());
/// assert_eq!(mismatches.len(), 2, "the digest is wrong, and it is no document");
/// ```
pub fn check_document(
    place: &str,
    descriptor: &Descriptor,
    bytes: &[u8],
) -> (Option<Document>, Vec<Mismatch>) {
    let mut mismatches = Vec::new();
    check_content(place, descriptor, bytes, &mut mismatches);
    match Document::classify(bytes, Some(&descriptor.media_type)) {
        Ok(document) => (Some(document), mismatches),
        Err(error) => {
            mismatches.push(Mismatch::new(place, Fault::unreadable(error)));
            (None, mismatches)
        }
    }
}

/// Checks what an index says about its entries without reading them.
///
/// The entries themselves go through [`check_document`], and then [`check_image`](super::check_image) or this function
/// again; [`Nesting`](crate::document::Nesting) keeps that from going on for ever.
pub fn check_index(place: &str, index: &Raw<Index>) -> Vec<Mismatch> {
    let mut mismatches = Vec::new();
    for (position, entry) in index.manifests.iter().enumerate() {
        let place = format!("{place}: entry {position}");
        let is_document = entry.media_type.is_manifest() || entry.media_type.is_index();
        if !is_document && entry.media_type.family() != Family::Other {
            let media_type = entry.media_type.clone();
            mismatches.push(Mismatch::new(&place, Fault::Kind { media_type }));
        }
        // An OCI index may list Docker manifests: rewriting them would change their digests.
        if index.media_type.family() == Family::Docker && entry.media_type.family() == Family::Oci {
            let fault = Fault::Family {
                document: index.media_type.clone(),
                part: entry.media_type.clone(),
            };
            mismatches.push(Mismatch::new(&place, fault));
        }
    }
    mismatches
}

/// Checks bytes in memory against their descriptor.
pub(super) fn check_content(
    place: &str,
    descriptor: &Descriptor,
    bytes: &[u8],
    mismatches: &mut Vec<Mismatch>,
) {
    let mut hasher = Hasher::new(descriptor.digest.algorithm());
    hasher.update(bytes);
    check_measured(
        place,
        descriptor,
        hasher.finish(),
        bytes.len() as u64,
        mismatches,
    );
}

/// Checks what was measured against the descriptor.
pub(super) fn check_measured(
    place: &str,
    descriptor: &Descriptor,
    digest: Digest,
    size: u64,
    mismatches: &mut Vec<Mismatch>,
) {
    if size != descriptor.size {
        let fault = Fault::Size {
            expected: descriptor.size,
            actual: size,
        };
        mismatches.push(Mismatch::new(place, fault));
    }
    if digest != descriptor.digest {
        let fault = Fault::Digest {
            expected: descriptor.digest,
            actual: digest,
        };
        mismatches.push(Mismatch::new(place, fault));
    }
}
