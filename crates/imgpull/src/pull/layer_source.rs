//! Blobs of an image that are fetched when somebody reads them.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_util::{StreamExt, stream};
use imgcore::{Descriptor, Digest, MediaType};
use imgstore::{
    BlobSource, BlobSourceExt, BlobStream, ErrorKind, LocalSource, Presence, UnverifiedStream,
};

use super::ask::Origins;
use crate::transfer::check_size;
use crate::{Attempt, Cache, Error, Origin, Progress};

/// The blobs of an image that was pulled without them: each is fetched when it is read, from the first origin that has
/// it, and through the cache if there is one. Where one origin breaks off, the next one goes on.
#[derive(Clone, Debug)]
pub struct LayerSource {
    origins: Arc<Origins>,
    cache: Option<Cache>,
}

impl LayerSource {
    /// Makes a source of what `origins` have, asked in order.
    pub fn new(origins: Vec<Origin>, cache: Option<Cache>, progress: Progress) -> Self {
        Self {
            origins: Arc::new(Origins::new(origins, progress)),
            cache,
        }
    }

    /// Finds out the size of a blob of which only the digest is known. Costs a request unless the cache has it.
    ///
    /// # Errors
    ///
    /// That no origin has the blob, with every origin's reason.
    pub async fn describe(&self, digest: &Digest) -> crate::Result<Descriptor> {
        let describe = |size| Descriptor::new(MediaType::from(""), *digest, size);
        if let Some(cache) = &self.cache
            && let Ok(Some(size)) = cache.size_of(digest)
        {
            return Ok(describe(size));
        }
        let mut attempts = Vec::new();
        for origin in self.origins.list() {
            let error = match origin.blobs().stat_one(digest).await {
                Ok(Presence::Present { size }) => return Ok(describe(size)),
                Ok(Presence::Absent) => {
                    imgstore::Error::new(ErrorKind::NotFound, "it has no such blob")
                }
                Ok(_) => {
                    let text = "it does not say how large the blob is";
                    imgstore::Error::new(ErrorKind::Malformed, text)
                }
                Err(error) => error,
            };
            self.origins.note(digest, origin, error, &mut attempts);
        }
        Err(Error::no_origin(no_source(digest), attempts))
    }

    /// Opens a blob of the cache, fetched before if need be.
    async fn open_cached(
        &self,
        cache: &Cache,
        descriptor: &Descriptor,
    ) -> imgstore::Result<BlobStream> {
        let uncached = Self {
            cache: None,
            ..self.clone()
        };
        match cache.ensure(descriptor, &uncached).await {
            Ok(_) => cache.open(descriptor).await,
            Err(error) if error.kind() == ErrorKind::Io => {
                self.origins
                    .failed(descriptor.digest, cache.place(), &error);
                uncached.open(descriptor).await
            }
            Err(error) => Err(error),
        }
    }

    fn reading(&self, descriptor: &Descriptor, range: Range<u64>) -> Reading {
        Reading {
            origins: Arc::clone(&self.origins),
            descriptor: descriptor.clone(),
            next: 0,
            stream: None,
            offset: range.start,
            end: range.end,
            attempts: Vec::new(),
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
        let answer = |digest| match known(digest) {
            Some(size) => Presence::Present { size },
            None => Presence::Unknown,
        };
        Box::pin(std::future::ready(Ok(digests.iter().map(answer).collect())))
    }

    fn open<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, imgstore::Result<BlobStream>> {
        Box::pin(async move {
            if let Some(cache) = &self.cache {
                return self.open_cached(cache, descriptor).await;
            }
            let mut reading = self.reading(descriptor, 0..descriptor.size);
            reading.open().await?;
            Ok(BlobStream::verify(descriptor, reading.into_stream()))
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
            let mut reading = self.reading(descriptor, range);
            reading.open().await?;
            Ok(UnverifiedStream::new(reading.into_stream()))
        })
    }

    fn local_path(&self, digest: &Digest) -> Option<PathBuf> {
        self.cache.as_ref().and_then(|cache| cache.path_of(digest))
    }
}

/// A read of one blob, which moves on to the next origin where one fails.
struct Reading {
    origins: Arc<Origins>,
    descriptor: Descriptor,
    /// The place of the origin that is asked next.
    next: usize,
    stream: Option<UnverifiedStream>,
    /// The part that is still to come.
    offset: u64,
    end: u64,
    attempts: Vec<Attempt>,
}

impl Reading {
    /// Opens the rest of the blob at the next origin that has it.
    async fn open(&mut self) -> imgstore::Result<()> {
        let origins = Arc::clone(&self.origins);
        while let Some(origin) = origins.list().get(self.next) {
            self.next += 1;
            let is_whole = self.offset == 0 && self.end == self.descriptor.size;
            let opened = if is_whole {
                let opened = origin.blobs().open(&self.descriptor).await;
                opened.map(BlobStream::into_unverified)
            } else {
                let range = self.offset..self.end;
                origin.blobs().open_range(&self.descriptor, range).await
            };
            match opened {
                Ok(stream) => {
                    self.stream = Some(stream);
                    return Ok(());
                }
                // The caller's own mistake: nobody can do better.
                Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(error),
                Err(error) => self.note(origin, error),
            }
        }
        let attempts = std::mem::take(&mut self.attempts);
        let error = Error::no_origin(no_source(&self.descriptor.digest), attempts);
        Err(error.into_store_error())
    }

    async fn next(&mut self) -> Option<imgstore::Result<Bytes>> {
        loop {
            let error = match self.stream.as_mut()?.next().await {
                Some(Ok(bytes)) => {
                    self.offset = self.offset.saturating_add(bytes.len() as u64);
                    return Some(Ok(bytes));
                }
                Some(Err(error)) => error,
                None if self.offset >= self.end => return None,
                None => {
                    let digest = &self.descriptor.digest;
                    check_size(digest, self.end, self.offset).err()?
                }
            };
            self.stream = None;
            let origins = Arc::clone(&self.origins);
            if let Some(origin) = origins.list().get(self.next.saturating_sub(1)) {
                self.note(origin, error);
            }
            if let Err(error) = self.open().await {
                return Some(Err(error));
            }
        }
    }

    fn note(&mut self, origin: &Origin, error: imgstore::Error) {
        let digest = self.descriptor.digest;
        self.origins.note(digest, origin, error, &mut self.attempts);
    }

    fn into_stream(self) -> impl Stream<Item = imgstore::Result<Bytes>> + Send + 'static {
        stream::unfold(self, |mut reading| async move {
            let chunk = reading.next().await?;
            Some((chunk, reading))
        })
    }
}

fn no_source(digest: &Digest) -> String {
    format!("no source has {digest}")
}
