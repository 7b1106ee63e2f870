//! Blobs of an image that are fetched when somebody reads them.

use std::ops::Range;
use std::path::PathBuf;

use futures_core::future::BoxFuture;
use imgcore::{Descriptor, Digest};
use imgstore::{BlobSource, BlobStream, LocalSource, Presence, UnverifiedStream};

use crate::error::chain;
use crate::{Attempt, Cache, Error, Event, Origin, Progress};

/// The blobs of an image that was pulled without them: each is fetched when it is read, from the first origin that has
/// it, and through the cache if there is one.
#[derive(Clone, Debug)]
pub struct LayerSource {
    origins: Vec<Origin>,
    cache: Option<Cache>,
    progress: Progress,
}

impl LayerSource {
    /// Makes a source of what `origins` have, asked in order.
    pub fn new(origins: Vec<Origin>, cache: Option<Cache>, progress: Progress) -> Self {
        Self {
            origins,
            cache,
            progress,
        }
    }

    /// Asks the origins in order.
    async fn first<'a, T>(
        &'a self,
        descriptor: &'a Descriptor,
        attempt: impl Fn(&'a dyn BlobSource) -> BoxFuture<'a, imgstore::Result<T>>,
    ) -> imgstore::Result<T> {
        let mut attempts = Vec::new();
        for origin in &self.origins {
            match attempt(origin.blobs()).await {
                Ok(found) => return Ok(found),
                // The caller's own mistake: nobody can do better.
                Err(error) if error.kind() == imgstore::ErrorKind::InvalidInput => {
                    return Err(error);
                }
                Err(error) => {
                    self.progress.tell(Event::Failed {
                        what: descriptor.digest.to_string(),
                        origin: origin.name().to_owned(),
                        reason: chain(&error),
                    });
                    attempts.push(Attempt {
                        origin: origin.name().to_owned(),
                        error,
                    });
                }
            }
        }
        let what = format!("no source has {}", descriptor.digest);
        Err(Error::no_origin(what, attempts).into_store_error())
    }

    async fn open_at_origin(&self, descriptor: &Descriptor) -> imgstore::Result<BlobStream> {
        self.first(descriptor, move |source| {
            let descriptor = descriptor.clone();
            Box::pin(async move {
                let mut stream = source.open(&descriptor).await?;
                stream.prime().await?;
                Ok(stream)
            })
        })
        .await
    }

    /// Opens a blob of the cache, fetched before if need be.
    async fn open_cached(
        &self,
        cache: &Cache,
        descriptor: &Descriptor,
    ) -> imgstore::Result<BlobStream> {
        let origins = Self {
            cache: None,
            ..self.clone()
        };
        match cache.ensure(descriptor, &origins).await {
            Ok(_) => cache.open(descriptor).await,
            Err(error) if error.kind() == imgstore::ErrorKind::Io => {
                self.progress.tell(Event::Failed {
                    what: descriptor.digest.to_string(),
                    origin: cache.place(),
                    reason: chain(&error),
                });
                self.open_at_origin(descriptor).await
            }
            Err(error) => Err(error),
        }
    }
}

impl BlobSource for LayerSource {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, imgstore::Result<Vec<Presence>>> {
        // Asking would cost a request a blob, and reading tells as well.
        let known = |digest| match &self.cache {
            Some(cache) => cache.size_of(digest).ok().flatten(),
            None => None,
        };
        let answer =
            |digest| known(digest).map_or(Presence::Unknown, |size| Presence::Present { size });
        Box::pin(std::future::ready(Ok(digests.iter().map(answer).collect())))
    }

    fn open<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, imgstore::Result<BlobStream>> {
        Box::pin(async move {
            match &self.cache {
                Some(cache) => self.open_cached(cache, descriptor).await,
                None => self.open_at_origin(descriptor).await,
            }
        })
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, imgstore::Result<UnverifiedStream>> {
        Box::pin(async move {
            if let Some(cache) = &self.cache
                && let Ok(Some(_)) = cache.size_of(&descriptor.digest)
            {
                return cache.open_range(descriptor, range).await;
            }
            self.first(descriptor, move |source| {
                let (descriptor, range) = (descriptor.clone(), range.clone());
                Box::pin(async move { source.open_range(&descriptor, range).await })
            })
            .await
        })
    }

    fn local_path(&self, digest: &Digest) -> Option<PathBuf> {
        self.cache.as_ref().and_then(|cache| cache.path_of(digest))
    }
}
