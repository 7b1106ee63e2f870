//! Fetching blobs from the first origin that has them, through the cache if there is one.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use imgcore::{Descriptor, Digest, Document, MediaType};
use imgregistry::protocol::url::TagOrDigest;
use imgstore::{Begin, BlobSourceExt, BlobStream, LocalSource, MAX_DOCUMENT, Presence, copy};

use super::store_target::StoreTarget;
use super::{Digests, PullOptions, Store};
use crate::cache::{Claim, is_damage};
use crate::error::chain;
use crate::transfer::{self, Failed, Target};
use crate::wait::off_the_runtime;
use crate::{Attempt, Cache, Error, Event, From, Origin, Progress, Result, sys};

/// Gets blobs and documents into a store.
pub(super) struct Fetcher {
    origins: Vec<Origin>,
    cache: Option<Cache>,
    store: Arc<dyn Store>,
    progress: Progress,
}

/// Why a blob did not come through the cache.
enum Detour {
    /// The cache is of no use: without it the blob may come.
    Cache(imgstore::Error),
    /// No origin has it.
    Origins(Error),
}

impl Fetcher {
    pub(super) fn new(
        origins: &[Origin],
        options: &PullOptions,
        store: Arc<dyn Store>,
        progress: Progress,
    ) -> Self {
        Self {
            origins: origins.to_vec(),
            cache: options.cache.clone(),
            store,
            progress,
        }
    }

    pub(super) fn origins(&self) -> &[Origin] {
        &self.origins
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.origins.iter().map(|it| it.name().to_owned()).collect()
    }

    /// Asks the origins in order for a document. Those that do not have it are asked last from now on.
    pub(super) async fn first_document(&mut self, at: &TagOrDigest) -> Result<(Document, String)> {
        let (document, place) = self.document_at_origins(at).await?;
        self.origins.rotate_left(place);
        let name = self.origins.first().map(|it| it.name().to_owned());
        Ok((document, name.unwrap_or_default()))
    }

    async fn document_at_origins(&self, at: &TagOrDigest) -> Result<(Document, usize)> {
        let mut attempts = Vec::new();
        for (place, origin) in self.origins.iter().enumerate() {
            let answered = origin.manifests().manifest(at).await;
            match answered.and_then(|document| check_document(document, at)) {
                Ok(document) => return Ok((document, place)),
                Err(error) => self.note(at, origin, error, &mut attempts),
            }
        }
        let what = match self.origins.as_slice() {
            [only] => format!("cannot pull {}", joined(only.name(), at)),
            _ => format!("no source has {at}"),
        };
        Err(Error::no_origin(what, attempts))
    }

    /// Gets a document that an index names: from the store, or else from the first origin that has it.
    pub(super) async fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        if let Some(document) = self.document_of_store(descriptor).await {
            self.finished(descriptor, From::Store);
            return Ok(document);
        }
        let at = TagOrDigest::Digest(descriptor.digest);
        let (document, place) = self.document_at_origins(&at).await?;
        let bytes = document.bytes();
        // What the index says of it decides, as it does for whoever reads the store.
        let document = Document::classify(bytes, Some(&descriptor.media_type))
            .map_err(|error| Error::because(format!("{}", descriptor.digest), error.into()))?;
        if descriptor.size != bytes.len() as u64 {
            let found =
                transfer::check_size(&descriptor.digest, descriptor.size, bytes.len() as u64);
            found?;
        }
        self.keep(descriptor, document.bytes()).await?;
        self.finished(
            descriptor,
            From::Origin(self.origins[place].name().to_owned()),
        );
        Ok(document)
    }

    /// Reads a document that the store has, unless it is damaged.
    pub(super) async fn document_of_store(&self, descriptor: &Descriptor) -> Option<Document> {
        if !self.has(&descriptor.digest, descriptor.size).await {
            return None;
        }
        match self.store.read_all(descriptor, MAX_DOCUMENT).await {
            Ok(bytes) => Document::classify(&bytes, Some(&descriptor.media_type)).ok(),
            Err(error) => {
                self.remove_damaged(&descriptor.digest, &error);
                None
            }
        }
    }

    /// Finds a document in the store by its digest alone.
    pub(super) async fn find(&self, digest: &Digest) -> Option<Document> {
        let Ok(Presence::Present { size }) = self.store.stat_one(digest).await else {
            return None;
        };
        let any = Descriptor::new(MediaType::from(""), *digest, size);
        match self.store.read_all(&any, MAX_DOCUMENT).await {
            Ok(bytes) => Document::classify(&bytes, None).ok(),
            Err(error) => {
                self.remove_damaged(digest, &error);
                None
            }
        }
    }

    /// Puts a document that is in memory into the store.
    pub(super) async fn keep(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
        if let Begin::Writer(mut ingest) = self.store.writer(descriptor).await? {
            ingest.write(Bytes::copy_from_slice(bytes)).await?;
            ingest.commit().await?;
        }
        Ok(())
    }

    /// Reads a small blob that is in the store.
    pub(super) async fn read(&self, descriptor: &Descriptor, limit: u64) -> Result<Bytes> {
        Ok(self.store.read_all(descriptor, limit).await?)
    }

    /// Gets a blob into the store. One that the specification lets be elsewhere may be missing.
    pub(super) async fn fetch(&self, descriptor: &Descriptor) -> Result<()> {
        match self.fetch_from_anywhere(descriptor).await {
            Ok(from) => {
                self.finished(descriptor, from);
                Ok(())
            }
            Err(_) if descriptor.media_type.is_foreign_layer() => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn fetch_from_anywhere(&self, descriptor: &Descriptor) -> Result<From> {
        if self.has(&descriptor.digest, descriptor.size).await && self.is_sound(descriptor).await {
            return Ok(From::Store);
        }
        self.progress.tell(Event::Started {
            digest: descriptor.digest,
            size: descriptor.size,
        });
        if let Some(data) = &descriptor.data {
            self.keep(descriptor, data).await?;
            return Ok(From::Store);
        }
        if let Some(cache) = &self.cache {
            match self.through_cache(cache, descriptor).await {
                Ok(from) => return Ok(from),
                Err(Detour::Origins(error)) => return Err(error),
                Err(Detour::Cache(error)) => self.progress.tell(Event::Failed {
                    what: descriptor.digest.to_string(),
                    origin: cache.place(),
                    reason: chain(&error),
                }),
            }
        }
        let Some(mut target) = StoreTarget::new(&self.store, descriptor).await? else {
            return Ok(From::Store);
        };
        let from = self.ask_origins(descriptor, &mut target).await;
        from.map_err(|failed| match failed {
            Detour::Cache(error) => error.into(),
            Detour::Origins(error) => error,
        })
    }

    async fn through_cache(&self, cache: &Cache, descriptor: &Descriptor) -> Result<From, Detour> {
        // Twice, for the cache may have it damaged.
        let mut from = self.fill_cache(cache, descriptor).await?;
        let copied = copy(cache, &*self.store, descriptor).await;
        match copied {
            Err(error) if is_damage(error.kind()) => {
                cache.discard(&descriptor.digest).map_err(Detour::Cache)?;
                from = self.fill_cache(cache, descriptor).await?;
                let copied = copy(cache, &*self.store, descriptor).await;
                copied.map_err(Detour::Cache)?;
            }
            other => {
                other.map_err(Detour::Cache)?;
            }
        }
        Ok(from)
    }

    async fn fill_cache(&self, cache: &Cache, descriptor: &Descriptor) -> Result<From, Detour> {
        match cache.claim(descriptor).await.map_err(Detour::Cache)? {
            Claim::Present => Ok(From::Cache),
            Claim::Fetch(mut partial) => {
                let fetched = self.ask_origins(descriptor, &mut partial).await;
                if matches!(fetched, Err(Detour::Cache(_))) {
                    // A full disk gets its space back.
                    let _ = partial.restart().await;
                }
                fetched
            }
        }
    }

    /// Fetches a blob from the first origin that gives all of it. Where one stops, the next goes on.
    async fn ask_origins(
        &self,
        descriptor: &Descriptor,
        target: &mut impl Target,
    ) -> Result<From, Detour> {
        let digest = descriptor.digest;
        let tick = |offset| self.progress.tell(Event::Progress { digest, offset });
        let mut attempts = Vec::new();
        for origin in &self.origins {
            match transfer::fetch(origin.blobs(), descriptor, target, tick).await {
                Ok(()) => return Ok(From::Origin(origin.name().to_owned())),
                Err(Failed::Target(error)) => return Err(Detour::Cache(error)),
                Err(Failed::Source(error)) => self.note(digest, origin, error, &mut attempts),
            }
        }
        let what = format!("no source has {digest}");
        Err(Detour::Origins(Error::no_origin(what, attempts)))
    }

    /// Says which of some blobs the store does not have.
    pub(super) async fn missing(&self, blobs: &[Descriptor]) -> Result<Digests> {
        let digests: Vec<Digest> = blobs.iter().map(|it| it.digest).collect();
        let answers = self.store.stat(&digests).await?;
        let answers = digests.into_iter().zip(answers);
        let missing = answers.filter(|(_, answer)| *answer == Presence::Absent);
        Ok(missing.map(|(digest, _)| digest).collect())
    }

    /// Makes blobs survive a crash of the machine: first all files, then the directories that name them.
    pub(super) async fn flush(&self, digests: Vec<Digest>) -> Result<()> {
        let files = digests.iter().filter_map(|it| self.store.local_path(it));
        let files: Vec<PathBuf> = files.collect();
        let flushed = off_the_runtime(move || {
            let mut directories: Vec<_> = files.iter().filter_map(|it| it.parent()).collect();
            directories.sort_unstable();
            directories.dedup();
            for file in &files {
                fs_err::File::open(file)?.sync_all()?;
            }
            directories.into_iter().try_for_each(sys::sync_directory)
        });
        let flushed = flushed.await;
        let failed =
            |error| imgstore::Error::from_io("flushing what was pulled to the disk", error);
        Ok(flushed.map_err(failed)?)
    }

    async fn has(&self, digest: &Digest, size: u64) -> bool {
        let answer = self.store.stat_one(digest).await;
        matches!(answer, Ok(Presence::Present { size: found }) if found == size)
    }

    /// Reads a blob of the store to its end, and removes it if it is damaged.
    async fn is_sound(&self, descriptor: &Descriptor) -> bool {
        let read = async {
            let mut stream = self.store.open(descriptor).await?;
            while let Some(chunk) = stream.next().await {
                chunk?;
            }
            Ok(())
        };
        let read = read.await;
        if let Err(error) = &read {
            self.remove_damaged(&descriptor.digest, error);
        }
        read.is_ok()
    }

    /// A sink says of a blob of the right size that it has it, so a damaged one must go before it can be replaced.
    fn remove_damaged(&self, digest: &Digest, error: &imgstore::Error) {
        if is_damage(error.kind())
            && let Some(path) = self.store.local_path(digest)
        {
            let _ = fs_err::remove_file(path);
        }
    }

    fn note(
        &self,
        what: impl std::fmt::Display,
        origin: &Origin,
        error: imgstore::Error,
        attempts: &mut Vec<Attempt>,
    ) {
        self.progress.tell(Event::Failed {
            what: what.to_string(),
            origin: origin.name().to_owned(),
            reason: chain(&error),
        });
        attempts.push(Attempt {
            origin: origin.name().to_owned(),
            error,
        });
    }

    pub(super) fn finished(&self, descriptor: &Descriptor, from: From) {
        self.progress.tell(Event::Finished {
            digest: descriptor.digest,
            size: descriptor.size,
            from,
        });
    }

    pub(super) fn resolved(&self, root: &Descriptor, origin: String) {
        self.progress.tell(Event::Resolved {
            root: Box::new(root.clone()),
            origin,
        });
    }
}

/// Checks that a document is the one that was asked for.
fn check_document(document: Document, at: &TagOrDigest) -> imgstore::Result<Document> {
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

/// Writes a name with what is meant in it.
fn joined(name: &str, at: &TagOrDigest) -> String {
    match at {
        TagOrDigest::Digest(digest) => format!("{name}@{digest}"),
        TagOrDigest::Tag(tag) => format!("{name}:{tag}"),
    }
}
