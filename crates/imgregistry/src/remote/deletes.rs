//! Removing manifests, tags and blobs.

use http::{Method, StatusCode};
use imgcore::Digest;

use super::Remote;
use crate::TagOrDigest;
use crate::client::Lane;
use crate::error::{ErrorKind, Operation, Place, Result};
use crate::exchange::Call;
use crate::protocol::scope::Actions;

impl Remote {
    /// Removes a manifest by its digest, or a tag. Tags that point to a removed manifest go with it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Denied`], and [`ErrorKind::Unsupported`] where the registry removes
    /// nothing, or no tags.
    pub async fn delete_manifest(&self, at: &TagOrDigest) -> Result<()> {
        let site = self.origin();
        let place = Place {
            digest: at.digest(),
            ..site.place(Operation::DeleteManifest, Some(at.to_string()))
        };
        let url = site.session.endpoint().manifest(&site.repository, at);
        self.delete(site.call(place, Method::DELETE, url, Actions::DELETE))
            .await
    }

    /// Removes a blob.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotFound`], [`ErrorKind::Denied`], and [`ErrorKind::Unsupported`] where the registry removes no
    /// blobs.
    pub async fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let site = self.origin();
        let place = site.place_of(Operation::DeleteBlob, digest);
        let url = site.session.endpoint().blob(&site.repository, digest);
        self.delete(site.call(place, Method::DELETE, url, Actions::DELETE))
            .await
    }

    async fn delete(&self, mut call: Call) -> Result<()> {
        call.lane = Lane::Writing;
        let site = self.origin();
        let exchange = site.exchange(self);
        let (answer, is_in_doubt) = exchange.call_and_doubt(&call).await?;
        // What is not there any more may be gone because of the attempt whose answer was lost.
        let is_gone = is_in_doubt && answer.status == StatusCode::NOT_FOUND;
        if answer.status.is_success() || is_gone {
            return Ok(());
        }
        let error = exchange.refused(answer, &site.repository).await;
        Err(match error.kind() {
            ErrorKind::Unsupported => {
                error.with_next_step("deleting may have to be turned on in the registry's settings")
            }
            _ => error,
        })
    }
}
