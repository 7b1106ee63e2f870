//! What every engine can do.

use futures_core::future::BoxFuture;
use imgcore::{Digest, Reference};

use crate::{Image, Progress, Report, Result};

/// A place that runs images: it takes them under names.
///
/// # Contract
///
/// * A name stands for an image only when all of the image that was chosen is there: names are given last, and what a
///   load leaves that failed has no name.
/// * What the engine has is not sent again. Loading what is loaded writes nothing.
/// * What was loaded stays when the engine collects garbage.
/// * Dropping a future cancels the load, and keeps the promises above.
/// * [`conformance`](crate::conformance) checks them.
pub trait Engine: Send + Sync {
    /// Says which engine this is and where, for messages and reports.
    fn name(&self) -> String;

    /// Loads an image: blobs that are missing, then names.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) and
    /// [`ErrorKind::NoPlatform`](crate::ErrorKind::NoPlatform) before anything is sent;
    /// [`ErrorKind::Source`](crate::ErrorKind::Source) where the source is to blame, and the other kinds for what the
    /// engine does not do.
    fn load<'a>(
        &'a self,
        image: &'a Image,
        progress: &'a Progress,
    ) -> BoxFuture<'a, Result<Report>>;

    /// Returns the digest of the root that a name stands for; `None` if there is no such name.
    ///
    /// # Errors
    ///
    /// When the engine does not answer.
    fn find<'a>(&'a self, name: &'a Reference) -> BoxFuture<'a, Result<Option<Digest>>>;
}
