//! Where the blobs of a deploy come from: places that are asked in order, the near ones first.
//!
//! A place counts only after it proved that it has the blob: it has one of the right size, opened it, and its first bytes
//! arrived. A file that only a hint leads to must have the digest as well: a build may have written another one there since.

mod files;
mod flags;
mod registries;

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use imgcore::{Descriptor, Digest};
use imgstore::{
    BlobSource, BlobSourceExt as _, BlobStream, Error, ErrorKind, Presence, Result,
    UnverifiedStream,
};

pub(crate) use self::files::hash_file;
pub(crate) use self::flags::{SourceArguments, files_of};
pub(crate) use self::registries::layer_places;

/// A place, with its name for messages.
#[derive(Clone)]
struct Place {
    name: String,
    blobs: Arc<dyn BlobSource>,
}

/// Places that are asked one after the other, as one source.
#[derive(Clone, Default)]
pub(crate) struct Sources {
    places: Vec<Place>,
}

impl Sources {
    /// Adds a place that is asked after the others.
    pub(crate) fn push(&mut self, name: impl Into<String>, blobs: Arc<dyn BlobSource>) {
        let name = name.into();
        self.places.push(Place { name, blobs });
    }

    /// Returns the places with their names, as a push takes them.
    pub(crate) fn for_push(&self) -> imgpush::Sources {
        let places = self.places.iter();
        places.fold(imgpush::Sources::default(), |all, place| {
            all.with(&place.name, Arc::clone(&place.blobs))
        })
    }

    /// Goes through the places that may have the blob until `attempt` works with one.
    async fn first<'a, T>(
        &'a self,
        descriptor: &'a Descriptor,
        attempt: impl Fn(&'a dyn BlobSource) -> BoxFuture<'a, Result<T>>,
    ) -> Result<T> {
        let mut search = Search::default();
        for place in &self.places {
            let blobs = &*place.blobs;
            let tried = match blobs.stat_one(&descriptor.digest).await {
                Ok(Presence::Absent) => {
                    search.failed(place, "it is not there");
                    continue;
                }
                Ok(Presence::Present { size }) if size != descriptor.size => {
                    let text = format!("it has {size} bytes instead of {}", descriptor.size);
                    search.failed(place, text);
                    continue;
                }
                Ok(_) => attempt(blobs).await,
                Err(error) => Err(error),
            };
            match tried {
                Ok(found) => return Ok(found),
                Err(error) => search.failed_with(place, &error),
            }
        }
        Err(search.into_error(&descriptor.digest))
    }

    async fn stat_all(&self, digests: &[Digest]) -> Result<Vec<Presence>> {
        let mut answers = vec![Presence::Absent; digests.len()];
        let mut open: Vec<usize> = (0..digests.len()).collect();
        for place in &self.places {
            if open.is_empty() {
                break;
            }
            let asked: Vec<Digest> = open.iter().map(|&index| digests[index]).collect();
            // A place that cannot answer may still have the blob.
            let found = place.blobs.stat(&asked).await.unwrap_or_default();
            for (at, &index) in open.iter().enumerate() {
                match found.get(at).copied().unwrap_or(Presence::Unknown) {
                    Presence::Absent => {}
                    better => answers[index] = better,
                }
            }
            open.retain(|&index| !matches!(answers[index], Presence::Present { .. }));
        }
        Ok(answers)
    }
}

/// The places that were tried for one blob.
#[derive(Default)]
struct Search {
    lines: Vec<String>,
    /// What kept the first place that should have worked from it.
    kind: Option<ErrorKind>,
}

impl Search {
    fn failed(&mut self, place: &Place, why: impl fmt::Display) {
        self.lines.push(format!("{}: {why}", place.name));
    }

    fn failed_with(&mut self, place: &Place, error: &Error) {
        if error.kind() != ErrorKind::NotFound {
            self.kind = self.kind.or(Some(error.kind()));
        }
        self.failed(place, error);
    }

    fn into_error(self, digest: &Digest) -> Error {
        let tried = match self.lines.as_slice() {
            [] => "there is no place to look".to_owned(),
            lines => lines.join("; "),
        };
        let text = format!("{digest} is to be had nowhere: {tried}");
        Error::new(self.kind.unwrap_or(ErrorKind::NotFound), text)
    }
}

impl BlobSource for Sources {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Presence>>> {
        Box::pin(self.stat_all(digests))
    }

    fn open<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream>> {
        Box::pin(self.first(descriptor, move |blobs| {
            Box::pin(async move {
                let mut stream = blobs.open(descriptor).await?;
                stream.prime().await?;
                Ok(stream)
            })
        }))
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<UnverifiedStream>> {
        Box::pin(self.first(descriptor, move |blobs| {
            let range = range.clone();
            Box::pin(async move {
                let mut rest = blobs.open_range(descriptor, range).await?;
                let first = rest.next().await.transpose()?;
                let first = stream::iter(first.map(Ok));
                Ok(UnverifiedStream::new(first.chain(rest)))
            })
        }))
    }

    fn local_path(&self, digest: &Digest) -> Option<PathBuf> {
        let mut places = self.places.iter();
        places.find_map(|place| place.blobs.local_path(digest))
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.places.iter().map(|place| &place.name);
        f.debug_list().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;
    use imgstore::{MemoryStore, blocking, conformance};

    use super::*;

    fn hello() -> Descriptor {
        Descriptor::of(MediaType::OCI_EMPTY, b"hello")
    }

    fn sources(stores: &[(&str, &MemoryStore)]) -> Sources {
        let mut sources = Sources::default();
        for (name, store) in stores {
            sources.push(*name, Arc::new((*store).clone()));
        }
        sources
    }

    #[test]
    fn it_conforms_wherever_the_blob_is() {
        let (full, empty) = (MemoryStore::new(), MemoryStore::new());
        full.insert("hello");
        conformance::source(&sources(&[("full", &full), ("empty", &empty)]), b"hello");
        conformance::source(&sources(&[("empty", &empty), ("full", &full)]), b"hello");
    }

    #[test]
    fn each_place_that_did_not_help_is_named_with_its_reason() {
        let (short, empty) = (MemoryStore::new(), MemoryStore::new());
        short.insert_unchecked(hello().digest, "hell");
        let sources = sources(&[("empty", &empty), ("short", &short)]);
        let error = blocking::read_all(&sources, &hello(), 5).unwrap_err();
        insta::assert_snapshot!(error, @"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 is to be had nowhere: empty: it is not there; short: it has 4 bytes instead of 5");
    }
}
