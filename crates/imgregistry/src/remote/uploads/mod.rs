//! Blobs on their way to the registry.

mod driver;
mod flight;
mod writer;

use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;
use imgcore::{Descriptor, Repository};
use imgstore::{Begin, BlobSink, BlobSource, Ingest, Presence};

use self::driver::{Driver, Step};
use self::writer::Writer;
use super::Remote;
use crate::client::Lane;
use crate::error::{Error, ErrorKind, Operation, Place, Result};
use crate::protocol::upload::{Done, Form, Settings};
use crate::{RequestBody, TransportError, TransportErrorKind};

/// The length of a chunk, in bytes: what is kept of a blob that comes once, and at most sent again.
const CHUNK: u64 = 8 * 1024 * 1024;

/// How a repository came to have a blob.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Uploaded {
    /// It had it.
    AlreadyThere,
    /// The registry took it over from another repository.
    Mounted,
    /// Its bytes were sent.
    Sent,
}

/// What a registry says to the wish to take a blob over from another repository.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "a caller must handle both answers")]
#[expect(clippy::large_enum_variant, reason = "it is moved once a blob")]
pub enum Mount {
    /// It has taken it over.
    Mounted,
    /// It has not, and waits for the bytes.
    Writer(Ingest),
}

impl BlobSink for Remote {
    /// Starts a blob. Small ones are kept until they are committed, of large ones a chunk of 8 MiB is.
    fn writer<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, imgstore::Result<Begin>> {
        Box::pin(async move {
            if self.has_blob(descriptor).await? {
                return Ok(Begin::AlreadyExists);
            }
            Ok(Begin::Writer(self.ingest(descriptor, None).await))
        })
    }
}

impl Remote {
    /// Sends a blob from a source that can be read again: what breaks off is read from there once more.
    ///
    /// With `from`, the registry is asked first to take the blob over from that repository of its own.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`], [`ErrorKind::NotFound`] when there is no such repository, what the registry finds wrong,
    /// and an error of the source as [`ErrorKind::InvalidInput`] with that as its cause.
    pub async fn upload(
        &self,
        descriptor: &Descriptor,
        source: &dyn BlobSource,
        from: Option<&Repository>,
    ) -> Result<Uploaded> {
        if self.has_blob(descriptor).await? {
            return Ok(Uploaded::AlreadyThere);
        }
        self.upload_missing(descriptor, source, from).await
    }

    /// Sends a blob that the registry was asked for and does not have, as [`upload`](Self::upload) does otherwise.
    ///
    /// # Errors
    ///
    /// Those of [`upload`](Self::upload).
    pub async fn upload_missing(
        &self,
        descriptor: &Descriptor,
        source: &dyn BlobSource,
        from: Option<&Repository>,
    ) -> Result<Uploaded> {
        let site = self.origin();
        let settings = Settings {
            mount_from: from.map(|from| site.session.name(from)),
            ..Settings::default()
        };
        let mut driver = Driver::new(self, descriptor, settings).await;
        loop {
            let request = match driver.advance().await? {
                Step::Done(Done::Mounted) => return Ok(Uploaded::Mounted),
                Step::Done(_) => return Ok(Uploaded::Sent),
                Step::Bytes(request) => request,
            };
            let range = request.body.clone().unwrap_or_default();
            let length = range.end - range.start;
            let opened = source.open_range(descriptor, range).await;
            let bytes = opened.map_err(|error| source_error(driver.place(), error))?;
            let frames = bytes.map(|bytes| match bytes {
                Ok(bytes) => Ok(Frame::data(bytes)),
                Err(error) => Err(TransportError::new(
                    TransportErrorKind::Body,
                    format!("the blob's source: {error}"),
                )
                .with_source(error)),
            });
            let body = RequestBody::stream(StreamBody::new(frames), Some(length));
            driver.send(&request, body).await;
        }
    }

    /// Asks the registry to take a blob over from another repository of its own.
    ///
    /// Where it does not, for whatever reason, the blob can be written as any other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`], and those of the way there.
    pub async fn mount(&self, descriptor: &Descriptor, from: &Repository) -> Result<Mount> {
        let from = self.origin().session.name(from);
        let mut driver = Driver::new(self, descriptor, settings(descriptor, Some(from))).await;
        if driver.mount().await? {
            Ok(Mount::Mounted)
        } else {
            Ok(Mount::Writer(Ingest::new(
                descriptor,
                Box::new(Writer::new(driver, descriptor)),
            )))
        }
    }

    /// Asks the registry itself whether it has a blob.
    ///
    /// Some registries forbid the question where there is no such repository yet: then writing will tell.
    async fn has_blob(&self, descriptor: &Descriptor) -> Result<bool> {
        let site = self.origin();
        let asked = site
            .stat_blob(self, &descriptor.digest, Lane::Writing)
            .await;
        match asked {
            Ok(presence) => Ok(matches!(presence, Presence::Present { .. })),
            Err(error) if error.status() == Some(StatusCode::FORBIDDEN) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn ingest(&self, descriptor: &Descriptor, from: Option<Repository>) -> Ingest {
        let driver = Driver::new(self, descriptor, settings(descriptor, from)).await;
        Ingest::new(descriptor, Box::new(Writer::new(driver, descriptor)))
    }
}

/// The settings for a blob that comes once: what fits into a chunk can be sent in any form, again and again; of more, a
/// chunk at a time is kept.
fn settings(descriptor: &Descriptor, from: Option<Repository>) -> Settings {
    let first = if descriptor.size <= CHUNK {
        Form::Whole
    } else {
        Form::Chunked
    };
    Settings {
        first,
        chunk: CHUNK,
        mount_from: from,
        ..Settings::default()
    }
}

fn source_error(place: &Place, error: imgstore::Error) -> Error {
    let detail = "the blob's source cannot give it";
    Error::new(ErrorKind::InvalidInput, place, detail).with_source(error)
}

/// Returns where a blob is being written.
fn place(remote: &Remote, descriptor: &Descriptor) -> Place {
    remote
        .origin()
        .place_of(Operation::WriteBlob, &descriptor.digest)
}
