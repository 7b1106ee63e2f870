//! Where something happened.

use std::fmt;

use imgcore::Digest;

use crate::Role;

/// What the client was doing when an [`Error`](super::Error) happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// Asking a token server for a token.
    Authorize,
    /// Asking whether a blob is there.
    CheckBlob,
    /// Asking which manifest a name stands for.
    CheckManifest,
    /// Making a client of its settings.
    Configure,
    /// Removing a blob.
    DeleteBlob,
    /// Removing a manifest or a tag.
    DeleteManifest,
    /// Reading which manifests refer to another.
    ListReferrers,
    /// Reading the tags of a repository.
    ListTags,
    /// Taking a blob over from another repository.
    MountBlob,
    /// Finding out how a registry is reached.
    Ping,
    /// Reading a blob.
    ReadBlob,
    /// Reading a manifest or an index.
    ReadManifest,
    /// Writing a blob.
    WriteBlob,
    /// Writing a manifest or an index.
    WriteManifest,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Authorize => "getting a token",
            Self::CheckBlob => "checking blob",
            Self::CheckManifest => "checking manifest",
            Self::Configure => "setting up a registry client",
            Self::DeleteBlob => "deleting blob",
            Self::DeleteManifest => "deleting manifest",
            Self::ListReferrers => "listing referrers",
            Self::ListTags => "listing tags",
            Self::MountBlob => "mounting blob",
            Self::Ping => "connecting",
            Self::ReadBlob => "reading blob",
            Self::ReadManifest => "reading manifest",
            Self::WriteBlob => "writing blob",
            Self::WriteManifest => "writing manifest",
        })
    }
}

/// Where something happened: what was done, to which thing, at which host.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) operation: Operation,
    /// The repository, where the operation is about one.
    pub(crate) repository: Option<String>,
    /// A tag or a digest.
    pub(crate) subject: Option<String>,
    pub(crate) digest: Option<Digest>,
    pub(crate) host: String,
    pub(crate) role: Role,
}

impl Place {
    /// Returns the same place at another host, which a redirect or a challenge led to.
    pub(crate) fn at(&self, host: impl Into<String>, role: Role) -> Self {
        Self {
            host: host.into(),
            role,
            ..self.clone()
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.operation)?;
        if let Some(subject) = &self.subject {
            write!(f, " {subject}")?;
        }
        if let Some(repository) = &self.repository {
            let word = match self.operation {
                Operation::Authorize => "for",
                _ => "of",
            };
            write!(f, " {word} {repository}")?;
        }
        if !self.host.is_empty() {
            write!(f, " at {} {}", self.role, self.host)?;
        }
        Ok(())
    }
}
