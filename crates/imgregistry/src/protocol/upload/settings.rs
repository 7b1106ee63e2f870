//! How a blob is to be sent.

use imgcore::Repository;

/// A way to send a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// One POST with the digest and the blob.
    Post,
    /// A session, and one PUT with the blob.
    Whole,
    /// A session, one PATCH with the blob, and a PUT without a body.
    Streamed,
    /// A session, a PATCH for each chunk, and a PUT without a body.
    Chunked,
}

/// How a blob is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// The form that is tried first; the others follow, [`Form::Post`] excepted. Default [`Form::Whole`].
    ///
    /// A driver that cannot go back to the blob's start takes [`Form::Chunked`], where no more than a chunk is sent
    /// again.
    pub first: Form,
    /// The length of a chunk in bytes. Default 8 MiB: Amazon ECR wants at least 5.
    pub chunk: u64,
    /// The longest chunk that the driver can keep. Default 64 MiB; a registry that wants longer ones gets another form.
    pub max_chunk: u64,
    /// A repository of the same registry that has the blob.
    pub mount_from: Option<Repository>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            first: Form::Whole,
            chunk: 8 << 20,
            max_chunk: 64 << 20,
            mount_from: None,
        }
    }
}
