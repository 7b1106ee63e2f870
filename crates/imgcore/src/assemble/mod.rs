//! Assembly: from layer metadata and a base image to config, manifest and index.
//!
//! Assembly never needs the bytes of a layer, only its [`LayerMetadata`]. What it writes is an OCI image in canonical
//! form, whatever the base was: a base in Docker's schema 2 becomes OCI as a whole (so that zstd never stands under a
//! Docker manifest), foreign layers keep their `urls` under the OCI type, other types are left alone.
//!
//! A config is the base's config, then the *fragment* (an object that has the shape of a config), then the
//! [options](ConfigOptions). Everything that the base says and nobody overrides stays: `Healthcheck`, `Shell`, `OnBuild`,
//! `os.version`, and members that this crate has never heard of. Only `created` does not: it is about another image.
//!
//! # Examples
//!
//! ```
//! use imgcore::assemble::{Base, ImageOptions, Setting, assemble_image};
//! use imgcore::{Config, DiffId, Digest, LayerMetadata, MediaType, Platform, Raw};
//!
//! let tar = [0; 1024];
//! let layer = LayerMetadata::new(
//!     Some(DiffId::sha256_of(&tar)),
//!     MediaType::OCI_LAYER_TAR,
//!     Digest::sha256_of(&tar),
//!     1024,
//! );
//! let mut options = ImageOptions::default();
//! options.config.platform = Some("linux/arm64".parse::<Platform>()?);
//! options.config.entrypoint = Setting::Set(vec!["/app".to_owned()]);
//!
//! let image = assemble_image(&Base::default(), &[layer], &options)?;
//! let config = Raw::<Config>::parse(&image.config)?;
//! assert_eq!(config.platform().variant.as_deref(), Some("v8"));
//! assert_eq!(image.descriptor.digest, Digest::sha256_of(&image.manifest));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod draft;
mod history;
mod image;
mod index;
mod manifest;
mod platform;
mod setting;
mod timestamp;

pub use config::{ConfigOptions, assemble_config};
pub use history::{HISTORY_MISSING, split_history};
pub use image::{Base, Image, ImageOptions, assemble_image};
pub use index::{IndexOptions, assemble_index};
pub use manifest::{ManifestOptions, assemble_manifest};
pub use setting::{INHERIT, Setting};
pub use timestamp::canonical_timestamp;

#[cfg(doc)]
use crate::LayerMetadata;
use crate::{Error, ErrorKind};

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

#[cfg(test)]
mod tests;
