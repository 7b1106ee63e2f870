//! Images as files: written as a tar stream or a directory, and read back from either.
//!
//! [`Export`] writes three forms: an OCI layout, a Docker archive (which is an OCI layout with a `manifest.json`), and
//! a sparse layout (documents without layers). [`Image::open`] reads the first two, and what older versions of Docker
//! and Podman wrote.

mod docker;
mod export;
mod image;
mod index;
mod old;
mod output;
mod store;
#[cfg(test)]
mod tests;

pub use docker::{
    DockerImage, describe_index, describe_manifest, docker_index, docker_manifest, layout_index,
};
pub use export::{Content, Export};
pub use image::{ArchiveLimits, Image};
pub use store::ArchiveStore;

/// The manifest of a Docker archive.
const DOCKER_MANIFEST: &str = "manifest.json";
/// The marker of a sparse layout.
const SPARSE_MARKER: &str = "sparse-oci-layout";
/// The descriptor of the image in a sparse layout.
const SPARSE_ROOT: &str = "root.descriptor.json";
