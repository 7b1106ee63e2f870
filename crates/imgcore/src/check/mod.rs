//! Checking: whether the parts of an image say the same about each other.
//!
//! Nothing is read here. A driver that has a store fetches each document, measures each layer as it streams by
//! ([`Measured`]), and hands over what it found; what comes back is the list of *all* mismatches, in the order of the
//! image, and empty for an image that is as it says.
//!
//! # Examples
//!
//! ```
//! use imgcore::assemble::{Base, ImageOptions, assemble_image};
//! use imgcore::check::{self, Fault, ImageParts, Measured};
//! use imgcore::{Digest, DiffId, Document, LayerMetadata, MediaType, Platform};
//!
//! let tar = [0; 1024];
//! let (digest, diff_id) = (Digest::sha256_of(&tar), DiffId::sha256_of(&tar));
//! let layer = LayerMetadata::new(Some(diff_id), MediaType::OCI_LAYER_TAR, digest, 1024);
//! let mut options = ImageOptions::default();
//! options.config.platform = Some(Platform::new("linux", "amd64"));
//! let image = assemble_image(&Base::default(), &[layer], &options)?;
//!
//! let (document, mismatches) = check::check_document("image", &image.descriptor, &image.manifest);
//! assert!(mismatches.is_empty());
//! let Some(Document::Manifest(manifest)) = document else { unreachable!() };
//!
//! // A store that has lost a byte of the layer.
//! let measured = Measured::new(Digest::sha256_of(&tar[1..]), 1023);
//! let parts = ImageParts::new(&manifest)
//!     .with_descriptor(&image.descriptor)
//!     .with_config(Some(&image.config))
//!     .with_layers(vec![Some(measured)]);
//! let mismatches = check::check_image("image", &parts);
//! assert!(matches!(mismatches[0].fault, Fault::Size { expected: 1024, actual: 1023 }));
//! assert_eq!(mismatches[0].to_string(), "image: layer 0: has 1023 bytes instead of 1024");
//! # Ok::<(), imgcore::Error>(())
//! ```

mod document;
mod fault;
mod image;

pub use document::{check_document, check_index};
pub use fault::{Fault, Mismatch};
pub use image::{ImageParts, Measured, check_image};

#[cfg(test)]
mod tests;
