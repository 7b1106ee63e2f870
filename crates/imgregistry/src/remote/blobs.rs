//! Blobs: asked for and read.

use std::ops::Range;
use std::path::PathBuf;

use futures_core::future::BoxFuture;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::{CONTENT_RANGE, HeaderValue, RANGE};
use http::{Method, StatusCode};
use imgcore::{Descriptor, Digest};
use imgstore::{BlobSource, BlobStream, Presence, UnverifiedStream};

use super::download::Download;
use super::{Remote, Site, foreign};
use crate::client::Lane;
use crate::error::{ErrorKind, Operation, Result};
use crate::protocol::range::ContentRange;
use crate::protocol::scope::Actions;

/// How many blobs are asked for at once, below the client's own ceiling.
const ASKED_AT_ONCE: usize = 16;

impl BlobSource for Remote {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, imgstore::Result<Vec<Presence>>> {
        Box::pin(async move {
            let found: Result<Vec<Presence>> = stream::iter(digests.iter().copied())
                .map(|digest| async move { self.head_blob(&digest).await })
                .buffered(ASKED_AT_ONCE)
                .try_collect()
                .await;
            Ok(found?)
        })
    }

    fn open<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, imgstore::Result<BlobStream>> {
        Box::pin(async move {
            match Download::open(self, descriptor, 0, descriptor.size).await {
                Ok(download) => Ok(BlobStream::verify(descriptor, download.into_stream())),
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    foreign::open(self, descriptor, error).await
                }
                Err(error) => Err(error.into()),
            }
        })
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, imgstore::Result<UnverifiedStream>> {
        Box::pin(async move {
            if range.start > range.end || range.end > descriptor.size {
                let text = format!(
                    "{} has no bytes {} to {}: its size is {}",
                    descriptor.digest, range.start, range.end, descriptor.size
                );
                return Err(imgstore::Error::new(
                    imgstore::ErrorKind::InvalidInput,
                    text,
                ));
            }
            if range.is_empty() {
                // No range of HTTP is empty, but that there is such a blob must be true.
                return match self.head_blob(&descriptor.digest).await? {
                    Presence::Absent => {
                        Err(imgstore::Error::not_found(&descriptor.digest, self.host()))
                    }
                    _ => Ok(UnverifiedStream::new(stream::empty())),
                };
            }
            let download = Download::open(self, descriptor, range.start, range.end).await?;
            Ok(UnverifiedStream::new(download.into_stream()))
        })
    }

    fn local_path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}

impl Remote {
    /// Asks whether there is a blob, without reading it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Denied`], and those of the way there. That there is none is no error.
    pub async fn head_blob(&self, digest: &Digest) -> Result<Presence> {
        let mut earlier = Vec::new();
        let mut found = Presence::Absent;
        for (position, site) in self.sites().iter().enumerate() {
            let is_last = position + 1 == self.sites().len();
            match site.stat_blob(self, digest, Lane::Reading).await {
                Ok(Presence::Present { size }) => return Ok(Presence::Present { size }),
                Ok(presence) => found = presence,
                Err(error) if is_last => return Err(error.with_earlier(earlier)),
                Err(error) => earlier.push(error.summary()),
            }
        }
        Ok(found)
    }
}

impl Site {
    /// Asks this site for a blob.
    pub(super) async fn stat_blob(
        &self,
        remote: &Remote,
        digest: &Digest,
        lane: Lane,
    ) -> Result<Presence> {
        let place = self.place_of(Operation::CheckBlob, digest);
        let url = self.session.endpoint().blob(&self.repository, digest);
        let mut call = self.call(place, Method::HEAD, url, Actions::PULL);
        call.lane = lane;
        let exchange = self.exchange(remote);
        let mut answer = exchange.call(&call).await?;
        let is_vague = answer.status == StatusCode::METHOD_NOT_ALLOWED
            || (answer.status == StatusCode::OK && answer.content_length().is_none());
        if is_vague {
            // The first byte alone tells the size as well.
            drop(answer);
            call.method = Method::GET;
            call.headers
                .insert(RANGE, HeaderValue::from_static("bytes=0-0"));
            answer = exchange.call(&call).await?;
        }
        match answer.status {
            StatusCode::OK => Ok(match answer.content_length() {
                Some(size) => Presence::Present { size },
                None => Presence::Unknown,
            }),
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.header(CONTENT_RANGE).and_then(ContentRange::parse);
                Ok(match range.and_then(|range| range.size) {
                    Some(size) => Presence::Present { size },
                    None => Presence::Unknown,
                })
            }
            // A blob without bytes has no first one.
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Presence::Unknown),
            StatusCode::NOT_FOUND => Ok(Presence::Absent),
            _ => {
                let error = exchange.refused(answer, &self.repository).await;
                match error.kind() {
                    ErrorKind::NotFound => Ok(Presence::Absent),
                    _ => Err(error),
                }
            }
        }
    }
}
