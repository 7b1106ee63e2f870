//! Places that images can be had from.

use std::fmt;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use imgcore::Document;
use imgregistry::Remote;
use imgregistry::protocol::url::TagOrDigest;
use imgstore::BlobSource;

/// Where manifests and indexes can be read from. Registries keep them apart from blobs.
pub trait ManifestSource: Send + Sync {
    /// Reads a manifest or an index.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`](imgstore::ErrorKind::NotFound) when it is not there, and whatever else keeps it from
    /// being read.
    fn manifest<'a>(&'a self, at: &'a TagOrDigest) -> BoxFuture<'a, imgstore::Result<Document>>;
}

/// A place that an image can be had from: usually a repository on a registry.
#[derive(Clone)]
pub struct Origin {
    name: String,
    manifests: Arc<dyn ManifestSource>,
    blobs: Arc<dyn BlobSource>,
}

impl Origin {
    /// Makes an origin. The name is for messages: it must hold no secret.
    pub fn new(
        name: impl Into<String>,
        manifests: Arc<dyn ManifestSource>,
        blobs: Arc<dyn BlobSource>,
    ) -> Self {
        Self {
            name: name.into(),
            manifests,
            blobs,
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn manifests(&self) -> &dyn ManifestSource {
        &*self.manifests
    }

    pub(crate) fn blobs(&self) -> &dyn BlobSource {
        &*self.blobs
    }
}

impl ManifestSource for Remote {
    fn manifest<'a>(&'a self, at: &'a TagOrDigest) -> BoxFuture<'a, imgstore::Result<Document>> {
        Box::pin(async move { Ok(Self::manifest(self, at).await?.document) })
    }
}

/// A repository on a registry is called `repository@registry`, as sources are written on command lines.
impl From<Remote> for Origin {
    fn from(remote: Remote) -> Self {
        let name = format!("{}@{}", remote.repository(), remote.host());
        Self::new(name, Arc::new(remote.clone()), Arc::new(remote))
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Origin").field(&self.name).finish()
    }
}
