//! The bytes of one blob, from the first source that proves to have them; another goes on where one fails.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::{StreamExt, stream};
use imgcore::{Descriptor, Digest};
use imgstore::{
    BlobSource, BlobSourceExt, BlobStream, ErrorKind as StoreKind, Presence, UnverifiedStream,
};

use crate::ahead::{WORTHWHILE, ahead};
use crate::error::Attempt;
use crate::sources::Source;
use crate::{Error, ErrorKind, Event, Location, Progress};

/// A source of one blob for one upload.
#[derive(Clone)]
pub(crate) struct Supply(Arc<Parts>);

struct Parts {
    to: Arc<Location>,
    sources: Vec<Source>,
    /// How many of the sources are near; those behind are other registries.
    near: usize,
    state: Mutex<State>,
    tally: Arc<Tally>,
    progress: Progress,
}

impl Parts {
    fn has_far(&self) -> bool {
        self.sources.len() > self.near
    }
}

#[derive(Default)]
struct State {
    /// The sources that failed, with the reason. They are not asked again.
    failed: BTreeMap<usize, Attempt>,
    /// What kind the most telling failure was.
    kind: Option<StoreKind>,
    /// The place of the source that gave bytes last.
    used: Option<usize>,
}

/// How many bytes came from each source.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<BTreeMap<Arc<str>, Arc<AtomicU64>>>);

impl Tally {
    /// Returns what counts the bytes of a source. Whoever has it adds without waiting for others.
    fn of(&self, name: &Arc<str>) -> Arc<AtomicU64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(all.entry(Arc::clone(name)).or_default())
    }

    pub(crate) fn by_source(&self) -> BTreeMap<String, u64> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = all.iter();
        let counts = counts.map(|(name, it)| (name.to_string(), it.load(Ordering::Relaxed)));
        counts.filter(|(_, bytes)| *bytes > 0).collect()
    }
}

impl Supply {
    pub(crate) fn new(
        to: &Arc<Location>,
        near: Vec<Source>,
        far: Vec<Source>,
        tally: &Arc<Tally>,
        progress: &Progress,
    ) -> Self {
        let count = near.len();
        Self(Arc::new(Parts {
            to: Arc::clone(to),
            sources: near.into_iter().chain(far).collect(),
            near: count,
            state: Mutex::default(),
            tally: Arc::clone(tally),
            progress: progress.clone(),
        }))
    }

    /// Returns whether the blob will probably be read from another registry, which takes a request of its own.
    pub(crate) async fn is_far(&self, blob: &Descriptor) -> bool {
        self.0.has_far() && self.near_lack(blob).await
    }

    /// Asks the sources, and returns whether all of them say that they lack the blob.
    pub(crate) async fn lacks(&self, blob: &Descriptor) -> bool {
        let lack = !self.0.has_far() && self.near_lack(blob).await;
        if lack {
            for (place, source) in self.0.sources.iter().enumerate() {
                let error = imgstore::Error::not_found(&blob.digest, &source.name);
                self.failed(place, blob.digest, &error);
            }
        }
        lack
    }

    /// Asks the near sources, and returns whether all of them say that they lack the blob.
    async fn near_lack(&self, blob: &Descriptor) -> bool {
        if blob.data.is_some() {
            return false;
        }
        for source in &self.0.sources[..self.0.near] {
            let found = source.blobs.stat_one(&blob.digest).await;
            if !matches!(found, Ok(Presence::Absent)) {
                return false;
            }
        }
        true
    }

    /// Returns the name of the source that gave bytes last.
    pub(crate) fn used(&self) -> String {
        let used = self.state().used;
        let used = used.and_then(|place| self.0.sources.get(place));
        used.map(|source| source.name.to_string())
            .unwrap_or_default()
    }

    /// Reads the whole blob from the source that gave bytes last, and returns whether they are wrong. That source is not
    /// asked again then.
    pub(crate) async fn is_damaged(&self, blob: &Descriptor) -> bool {
        let used = self.state().used;
        let Some((place, source)) = used.and_then(|it| Some((it, self.0.sources.get(it)?))) else {
            return false;
        };
        let read = async {
            let mut bytes = source.blobs.open(blob).await?;
            while let Some(piece) = bytes.next().await {
                piece?;
            }
            imgstore::Result::Ok(())
        };
        match read.await {
            Ok(()) => false,
            Err(error) => {
                self.failed(place, blob.digest, &error);
                true
            }
        }
    }

    /// Returns why the blob cannot be had, if all sources failed.
    pub(crate) fn error(&self, blob: &Descriptor) -> Option<Error> {
        let state = self.state();
        if blob.data.is_some() || state.failed.len() < self.0.sources.len() {
            return None;
        }
        let digest = blob.digest;
        let attempts = state.failed.values();
        let attempts: Vec<Attempt> = attempts
            .map(|it| Attempt {
                source: it.source.clone(),
                reason: it.reason.clone(),
            })
            .collect();
        Some(match state.kind {
            Some(kind) => {
                let text = format!("no source gives {digest} for {} as it should be", self.0.to);
                Error::with_attempts(ErrorKind::Source(kind), text, attempts)
            }
            None => Error::no_source(&self.0.to, digest, attempts),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a source did not help.
    fn failed(&self, place: usize, digest: Digest, error: &imgstore::Error) {
        let source = self.0.sources[place].name.to_string();
        let reason = imgstore::with_causes(error);
        self.0.progress.tell(Event::SourceFailed {
            digest,
            source: source.clone(),
            reason: reason.clone(),
        });
        let mut state = self.state();
        if error.kind() != StoreKind::NotFound {
            state.kind = state.kind.or(Some(error.kind()));
        }
        state.failed.insert(place, Attempt { source, reason });
    }

    /// Opens the blob at the first source that gives its first bytes.
    async fn open_first(
        &self,
        blob: &Descriptor,
        range: Range<u64>,
    ) -> imgstore::Result<UnverifiedStream> {
        for (place, source) in self.0.sources.iter().enumerate() {
            if self.state().failed.contains_key(&place) {
                continue;
            }
            match open(source, blob, range.clone()).await {
                Ok((first, rest)) => {
                    self.state().used = Some(place);
                    return Ok(self.watched(place, blob, range.start, first, rest));
                }
                Err(error) => self.failed(place, blob.digest, &error),
            }
        }
        let place = format_args!("{} sources", self.0.sources.len());
        Err(imgstore::Error::not_found(&blob.digest, place))
    }

    /// Counts what passes, and notes a source that breaks off.
    fn watched(
        &self,
        place: usize,
        blob: &Descriptor,
        start: u64,
        first: Option<Bytes>,
        rest: UnverifiedStream,
    ) -> UnverifiedStream {
        let supply = self.clone();
        let digest = blob.digest;
        let count = self.0.tally.of(&self.0.sources[place].name);
        let mut offset = start;
        let is_local = self.0.sources[place].blobs.local_path(&digest).is_some();
        let rest = if blob.size.saturating_sub(start) > WORTHWHILE {
            ahead(rest, is_local)
        } else {
            rest
        };
        let bytes = stream::iter(first.map(Ok)).chain(rest);
        UnverifiedStream::new(bytes.inspect(move |piece| match piece {
            Ok(bytes) => {
                let parts = &supply.0;
                offset += bytes.len() as u64;
                count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                parts.progress.tell(Event::BlobProgress {
                    digest,
                    to: Arc::clone(&parts.to),
                    offset,
                });
            }
            Err(error) => supply.failed(place, digest, error),
        }))
    }
}

/// Opens a blob, and waits for its first bytes.
async fn open(
    source: &Source,
    blob: &Descriptor,
    range: Range<u64>,
) -> imgstore::Result<(Option<Bytes>, UnverifiedStream)> {
    let mut stream = source.blobs.open_range(blob, range).await?;
    let first = stream.next().await.transpose()?;
    Ok((first, stream))
}

impl BlobSource for Supply {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, imgstore::Result<Vec<Presence>>> {
        Box::pin(std::future::ready(Ok(vec![
            Presence::Unknown;
            digests.len()
        ])))
    }

    fn open<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> BoxFuture<'a, imgstore::Result<BlobStream>> {
        Box::pin(async move {
            let bytes = self.open_range(descriptor, 0..descriptor.size).await?;
            Ok(BlobStream::verify(descriptor, bytes))
        })
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, imgstore::Result<UnverifiedStream>> {
        Box::pin(async move {
            match &descriptor.data {
                Some(data) => Ok(embedded(data, &range)),
                None => self.open_first(descriptor, range).await,
            }
        })
    }

    fn local_path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}

/// Returns a part of the content that a descriptor carries.
fn embedded(data: &[u8], range: &Range<u64>) -> UnverifiedStream {
    let place = |offset: u64| {
        usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(data.len())
    };
    let part = &data[place(range.start)..place(range.end)];
    UnverifiedStream::new(stream::iter([Ok(Bytes::copy_from_slice(part))]))
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.sources.iter().map(|source| &source.name))
            .finish()
    }
}
