//! The media types that are known, and what they name.

use super::{Compression, Family, MediaType};

/// What a known media type names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Config,
    Empty,
    /// A layer; foreign ones have their content elsewhere and may not be redistributed.
    Layer {
        compression: Compression,
        is_foreign: bool,
    },
    Index,
    Manifest,
}

pub(super) struct Known {
    pub(super) media_type: MediaType,
    pub(super) family: Family,
    pub(super) role: Role,
}

const fn known(media_type: MediaType, family: Family, role: Role) -> Known {
    Known {
        media_type,
        family,
        role,
    }
}

const fn layer(
    media_type: MediaType,
    family: Family,
    compression: Compression,
    is_foreign: bool,
) -> Known {
    let role = Role::Layer {
        compression,
        is_foreign,
    };
    known(media_type, family, role)
}

/// Every type that this crate knows: a role has one type in the OCI family, and at most one in Docker's.
pub(super) static TABLE: [Known; 18] = [
    known(MediaType::OCI_MANIFEST, Family::Oci, Role::Manifest),
    known(MediaType::OCI_INDEX, Family::Oci, Role::Index),
    known(MediaType::OCI_CONFIG, Family::Oci, Role::Config),
    known(MediaType::OCI_EMPTY, Family::Oci, Role::Empty),
    layer(
        MediaType::OCI_LAYER_TAR,
        Family::Oci,
        Compression::None,
        false,
    ),
    layer(
        MediaType::OCI_LAYER_GZIP,
        Family::Oci,
        Compression::Gzip,
        false,
    ),
    layer(
        MediaType::OCI_LAYER_ZSTD,
        Family::Oci,
        Compression::Zstd,
        false,
    ),
    layer(
        MediaType::OCI_FOREIGN_LAYER_TAR,
        Family::Oci,
        Compression::None,
        true,
    ),
    layer(
        MediaType::OCI_FOREIGN_LAYER_GZIP,
        Family::Oci,
        Compression::Gzip,
        true,
    ),
    layer(
        MediaType::OCI_FOREIGN_LAYER_ZSTD,
        Family::Oci,
        Compression::Zstd,
        true,
    ),
    known(MediaType::DOCKER_MANIFEST, Family::Docker, Role::Manifest),
    known(MediaType::DOCKER_MANIFEST_LIST, Family::Docker, Role::Index),
    known(MediaType::DOCKER_CONFIG, Family::Docker, Role::Config),
    layer(
        MediaType::DOCKER_LAYER_TAR,
        Family::Docker,
        Compression::None,
        false,
    ),
    layer(
        MediaType::DOCKER_LAYER_GZIP,
        Family::Docker,
        Compression::Gzip,
        false,
    ),
    layer(
        MediaType::DOCKER_LAYER_ZSTD,
        Family::Docker,
        Compression::Zstd,
        false,
    ),
    layer(
        MediaType::DOCKER_FOREIGN_LAYER_TAR,
        Family::Docker,
        Compression::None,
        true,
    ),
    layer(
        MediaType::DOCKER_FOREIGN_LAYER_GZIP,
        Family::Docker,
        Compression::Gzip,
        true,
    ),
];
