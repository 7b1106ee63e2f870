//! Asking origins one after the other, and keeping why each did not help.

use std::fmt;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::try_join_all;
use imgcore::{Descriptor, Document, MediaType};
use imgregistry::protocol::url::TagOrDigest;
use imgstore::BlobStream;

use crate::{Attempt, Error, Event, Origin, Progress, Result};

/// Origins in the order in which they are asked.
#[derive(Clone, Debug)]
pub(super) struct Origins {
    list: Vec<Origin>,
    pub(super) progress: Progress,
}

/// Reads a manifest or an index from the first origin that has it.
///
/// # Errors
///
/// That no origin has it, with every origin's reason.
pub async fn document(
    origins: &[Origin],
    at: &TagOrDigest,
    progress: &Progress,
) -> Result<Document> {
    let origins = Origins::new(origins.to_vec(), progress.clone());
    Ok(origins.document(at).await?.0)
}

/// Reads manifests and indexes side by side, each from the first of its own origins that has it.
///
/// # Errors
///
/// That no origin has one of them, with every origin's reason.
pub async fn documents(
    wanted: &[(Vec<Origin>, TagOrDigest)],
    progress: &Progress,
) -> Result<Vec<Document>> {
    let wanted = wanted.iter();
    try_join_all(wanted.map(|(origins, at)| document(origins, at, progress))).await
}

impl Origins {
    pub(super) fn new(list: Vec<Origin>, progress: Progress) -> Self {
        Self { list, progress }
    }

    pub(super) fn list(&self) -> &[Origin] {
        &self.list
    }

    /// Asks the origins before `place` last from now on.
    pub(super) fn start_at(&mut self, place: usize) {
        self.list.rotate_left(place);
    }

    /// Reads a document, and returns the place of the origin that had it.
    pub(super) async fn document(&self, at: &TagOrDigest) -> Result<(Document, usize)> {
        let mut attempts = Vec::new();
        for (place, origin) in self.list.iter().enumerate() {
            let answered = origin.manifests().manifest(at).await;
            match answered.and_then(|document| check(document, at)) {
                Ok(document) => return Ok((document, place)),
                Err(error) => self.note(at, origin, error, &mut attempts),
            }
        }
        let what = match self.list.as_slice() {
            [only] => format!("cannot pull {}", joined(only.name(), at)),
            _ => format!("no source has {at}"),
        };
        Err(Error::no_origin(what, attempts))
    }

    /// Tells and keeps why an origin did not help.
    pub(super) fn note(
        &self,
        what: impl fmt::Display,
        origin: &Origin,
        error: imgstore::Error,
        attempts: &mut Vec<Attempt>,
    ) {
        self.failed(what, origin.name(), &error);
        attempts.push(Attempt {
            origin: origin.name().to_owned(),
            error,
        });
    }

    /// Tells that some place did not help.
    pub(super) fn failed(
        &self,
        what: impl fmt::Display,
        place: impl Into<String>,
        error: &imgstore::Error,
    ) {
        self.progress.tell(Event::Failed {
            what: what.to_string(),
            origin: place.into(),
            reason: imgstore::with_causes(error),
        });
    }
}

/// Checks that a document is the one that was asked for.
fn check(document: Document, at: &TagOrDigest) -> imgstore::Result<Document> {
    let Some(expected) = at.digest() else {
        return Ok(document);
    };
    let bytes = Bytes::copy_from_slice(document.bytes());
    let wanted = Descriptor::new(MediaType::from(""), expected, bytes.len() as u64);
    let mut check = BlobStream::of_bytes(&wanted, bytes);
    imgstore::blocking::block_on(async {
        while let Some(chunk) = check.next().await {
            chunk?;
        }
        Ok(document)
    })
}

/// Writes `repository@registry` with what is meant in it, as references are written.
fn joined(name: &str, at: &TagOrDigest) -> String {
    let name = match name.split_once('@') {
        Some((repository, registry)) => format!("{registry}/{repository}"),
        None => name.to_owned(),
    };
    match at {
        TagOrDigest::Digest(digest) => format!("{name}@{digest}"),
        TagOrDigest::Tag(tag) => format!("{name}:{tag}"),
    }
}
