//! Every registry of others that there is here, behind one interface.

use std::path::Path;

use super::{Access, Answered, DockerRegistry, GoRegistry};
use crate::oracle::wants_all;

/// Which registry a test starts, and how it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "tests go over all of them")]
pub enum Setup {
    /// go-containerregistry's: plain HTTP, blobs that all repositories share, and an API for referrers.
    Go,
    /// docker-registry with files.
    Docker(Access),
    /// docker-registry over plain HTTP with its blobs in S3; whoever reads one is sent there.
    DockerOnS3,
}

impl Setup {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Go,
        Self::Docker(Access::Open),
        Self::Docker(Access::Password),
        Self::Docker(Access::Token),
        Self::DockerOnS3,
    ];

    /// Returns those that a test of many requests goes over: S3 answers them slowly, and is left to
    /// `cargo xtask test --all`.
    pub fn chosen() -> impl Iterator<Item = Self> {
        let is_chosen = |setup: &Self| *setup != Self::DockerOnS3 || wants_all();
        Self::ALL.into_iter().filter(is_chosen)
    }

    /// Returns whether there is a password, which is [`DockerRegistry::PASSWORD`].
    pub fn has_password(self) -> bool {
        matches!(self, Self::Docker(Access::Password | Access::Token))
    }

    /// Returns whether it lists referrers, so that nobody has to keep the list as a tag.
    pub fn lists_referrers(self) -> bool {
        self == Self::Go
    }

    /// Returns whether what one repository has is in all of them, so that there is nothing to mount.
    pub fn shares_blobs(self) -> bool {
        self == Self::Go
    }

    /// Returns whether a blob may be empty: S3 knows no upload in parts without a part, and distribution 2.8 asks for one.
    pub fn takes_empty_blobs(self) -> bool {
        self != Self::DockerOnS3
    }

    /// Returns whether the tags of a manifest go when it is deleted by its digest.
    pub fn deletes_tags(self) -> bool {
        self != Self::Go
    }
}

/// A registry of others that a test starts for itself.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    clippy::large_enum_variant,
    reason = "tests take it apart, and have one"
)]
pub enum RealRegistry {
    /// Of go-containerregistry.
    Go(GoRegistry),
    /// Debian's.
    Docker(DockerRegistry),
}

impl RealRegistry {
    /// Starts one with its files in `directory`; `None` where a program is missing, which has then been said.
    pub fn start(setup: Setup, directory: &Path) -> Option<Self> {
        match setup {
            Setup::Go => GoRegistry::start(directory).map(Self::Go),
            Setup::Docker(access) => DockerRegistry::start(access, directory).map(Self::Docker),
            Setup::DockerOnS3 => DockerRegistry::start_on_s3(directory).map(Self::Docker),
        }
    }

    /// Returns host and port, the first part of the names of its images.
    pub fn address(&self) -> &str {
        match self {
            Self::Go(registry) => registry.address(),
            Self::Docker(registry) => registry.address(),
        }
    }

    /// Returns the certificate to trust, as PEM, when it speaks TLS.
    pub fn certificate_pem(&self) -> Option<String> {
        match self {
            Self::Go(_) => None,
            Self::Docker(registry) => registry.certificate_pem(),
        }
    }

    /// Reads the log: what was answered so far.
    pub fn answered(&self) -> Vec<Answered> {
        match self {
            Self::Go(registry) => registry.answered(),
            Self::Docker(registry) => registry.answered(),
        }
    }
}
