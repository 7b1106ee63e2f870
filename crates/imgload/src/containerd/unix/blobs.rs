//! Everything that is to be there: blobs and documents alike, with their labels.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use imgcore::{Descriptor, Digest};

use super::client::Session;
use super::labels::{self, Labels};
use super::presence::Found;
use super::proto::content::{Info, Mask, UpdateRequest};
use super::supply::Payload;
use crate::contents::Contents;
use crate::{Error, ErrorKind, Image, Origin, Result};

/// A blob or document.
pub(super) struct Item<'a> {
    pub(super) blob: &'a Descriptor,
    pub(super) payload: Payload,
    /// What its labels must name.
    references: BTreeMap<String, String>,
    origins: &'a [Origin],
}

/// Lists blobs, the largest first, so that no large one is alone at the end; and documents.
pub(super) fn items<'a>(
    contents: &'a Contents,
    image: &'a Image,
) -> (Vec<Item<'a>>, Vec<Item<'a>>) {
    let origins = |digest: &Digest| image.origins.get(digest).map_or(&[][..], Vec::as_slice);
    let blobs = contents.blobs.iter().map(|blob| Item {
        blob,
        payload: Payload::Source(Arc::clone(&image.source)),
        references: BTreeMap::new(),
        origins: origins(&blob.digest),
    });
    let mut blobs: Vec<_> = blobs.collect();
    blobs.sort_by_key(|it| std::cmp::Reverse(it.blob.size));
    let documents = contents.documents.iter().map(|document| Item {
        blob: &document.descriptor,
        payload: Payload::Bytes(document.bytes.clone()),
        references: labels::references(&document.children),
        origins: origins(&document.descriptor.digest),
    });
    (blobs, documents.collect())
}

impl Item<'_> {
    /// Returns the labels of the blob where it is new.
    pub(super) fn labels(&self) -> Labels {
        labels::missing(&HashMap::new(), &self.references, self.origins)
    }

    /// Returns the labels that a blob lacks which is there.
    ///
    /// # Errors
    ///
    /// Fails if it has another size, which its descriptor must then have wrong.
    pub(super) fn missing_labels(&self, found: &Found) -> Result<Labels> {
        let (expected, actual) = (self.blob.size, found.size);
        if expected != actual {
            let digest = self.blob.digest;
            let text = format!("{digest} has {actual} bytes, and the image says {expected}");
            let kind = imgstore::ErrorKind::SizeMismatch { expected, actual };
            return Err(Error::new(ErrorKind::Source(kind), text));
        }
        Ok(labels::missing(
            &found.labels,
            &self.references,
            self.origins,
        ))
    }

    /// Adds labels to a blob that is there; others stay.
    pub(super) async fn repair(&self, session: &Session, labels: Labels) -> Result<()> {
        let paths = labels.keys().map(|key| format!("labels.{key}")).collect();
        let request = UpdateRequest {
            info: Some(Info {
                digest: self.blob.digest.to_string(),
                size: 0,
                labels,
            }),
            update_mask: Some(Mask { paths }),
        };
        let request = session.request("Content.Update", request);
        let updated = session.content().update(request).await;
        let what = format!("labels of {}", self.blob.digest);
        updated.map_err(|status| session.error(what, &status))?;
        Ok(())
    }
}
