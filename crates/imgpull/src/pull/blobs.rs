//! Fetching blobs from the first origin that has them, through the cache if there is one.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use imgcore::{Descriptor, Digest, Document, MediaType};
use imgregistry::protocol::url::TagOrDigest;
use imgstore::{Begin, BlobSink, BlobSourceExt, ErrorKind, LocalSource, MAX_DOCUMENT, Presence};

use super::ask::Origins;
use super::store_target::StoreTarget;
use super::{Digests, Store};
use crate::cache::{Claim, is_damage};
use crate::transfer::{self, Failed, Target};
use crate::wait::off_the_runtime;
use crate::{Cache, Error, Event, From, Origin, Result, sys};

/// Gets blobs and documents into a store.
pub(super) struct Fetcher {
    origins: Origins,
    cache: Option<Cache>,
    store: Arc<dyn Store>,
}

/// Why a blob did not come.
enum Failure {
    /// The cache is of no use: without it the blob may come.
    Cache(imgstore::Error),
    /// No origin gave it.
    Origins(Error),
    /// The store has it and cannot read it, or cannot write it.
    Store(Error),
}

impl Fetcher {
    pub(super) fn new(origins: Origins, cache: Option<Cache>, store: Arc<dyn Store>) -> Self {
        Self {
            origins,
            cache,
            store,
        }
    }

    pub(super) fn origins(&self) -> &[Origin] {
        self.origins.list()
    }

    /// Asks the origins in order for a document. Those that do not have it are asked last from now on.
    pub(super) async fn first_document(&mut self, at: &TagOrDigest) -> Result<(Document, String)> {
        let (document, place) = self.origins.document(at).await?;
        self.origins.start_at(place);
        let name = self.origins().first().map(|it| it.name().to_owned());
        Ok((document, name.unwrap_or_default()))
    }

    /// Gets a document that an index names: from the store, the cache, or the first origin that has it.
    pub(super) async fn document(&self, descriptor: &Descriptor) -> Result<Document> {
        if let Some((document, from)) = self.document_nearby(descriptor).await? {
            self.finished(descriptor, from);
            return Ok(document);
        }
        let at = TagOrDigest::Digest(descriptor.digest);
        let (document, place) = self.origins.document(&at).await?;
        let (digest, size) = (&descriptor.digest, document.bytes().len() as u64);
        transfer::check_size(digest, descriptor.size, size)?;
        // What the index says of it decides, as it does for whoever reads the store.
        let document = classify(document.bytes(), &descriptor.media_type)
            .map_err(|error| Error::because(format!("document {digest}"), error))?;
        self.keep(descriptor, document.bytes()).await?;
        let name = self.origins()[place].name().to_owned();
        self.finished(descriptor, From::Origin(name));
        Ok(document)
    }

    /// Finds a document by its digest alone, without asking an origin.
    pub(super) async fn find(&self, digest: &Digest) -> Result<Option<(Document, From)>> {
        let stored = self.store.stat_one(digest).await;
        let size = match (stored, &self.cache) {
            (Ok(Presence::Present { size }), _) => Some(size),
            (_, Some(cache)) => cache.size_of(digest).ok().flatten(),
            _ => None,
        };
        let Some(size) = size else {
            return Ok(None);
        };
        let any = Descriptor::new(MediaType::from(""), *digest, size);
        self.document_nearby(&any).await
    }

    async fn document_nearby(&self, descriptor: &Descriptor) -> Result<Option<(Document, From)>> {
        if let Some(document) = self.document_of_store(descriptor).await? {
            return Ok(Some((document, From::Store)));
        }
        let Some(document) = self.document_of_cache(descriptor).await else {
            return Ok(None);
        };
        self.keep(descriptor, document.bytes()).await?;
        Ok(Some((document, From::Cache)))
    }

    /// Reads a document that the store has, unless it is damaged.
    async fn document_of_store(&self, descriptor: &Descriptor) -> Result<Option<Document>> {
        if !self.has(&descriptor.digest, descriptor.size).await {
            return Ok(None);
        }
        match self.store.read_all(descriptor, MAX_DOCUMENT).await {
            Ok(bytes) => Ok(classify(&bytes, &descriptor.media_type).ok()),
            Err(error) => {
                self.make_room(&descriptor.digest, error)?;
                Ok(None)
            }
        }
    }

    /// Reads a document that the cache has, unless it is damaged.
    async fn document_of_cache(&self, descriptor: &Descriptor) -> Option<Document> {
        let cache = self.cache.as_ref()?;
        cache.size_of(&descriptor.digest).ok()??;
        match cache.read_all(descriptor, MAX_DOCUMENT).await {
            Ok(bytes) => classify(&bytes, &descriptor.media_type).ok(),
            Err(error) => {
                if is_damage(error.kind()) {
                    let _ = cache.discard(&descriptor.digest);
                }
                None
            }
        }
    }

    /// Puts a document that is in memory into the store, and into the cache: there, a digest leads to a whole image.
    pub(super) async fn keep(&self, descriptor: &Descriptor, bytes: &[u8]) -> Result<()> {
        put(&*self.store, descriptor, bytes).await?;
        if let Some(cache) = &self.cache
            && let Err(error) = put(cache, descriptor, bytes).await
        {
            self.origins
                .failed(descriptor.digest, cache.place(), &error);
        }
        Ok(())
    }

    /// Reads a small blob that is in the store.
    pub(super) async fn read(&self, descriptor: &Descriptor, limit: u64) -> Result<Bytes> {
        Ok(self.store.read_all(descriptor, limit).await?)
    }

    /// Gets a blob into the store. One that the specification lets be elsewhere may be missing: that no place has it is
    /// no error, but any other reason is.
    pub(super) async fn fetch(&self, descriptor: &Descriptor) -> Result<()> {
        match self.fetch_from_anywhere(descriptor).await {
            Ok(from) => {
                self.finished(descriptor, from);
                Ok(())
            }
            Err(Failure::Origins(error))
                if descriptor.media_type.is_foreign_layer()
                    && error.kind() == ErrorKind::NotFound =>
            {
                self.tell(Event::Skipped {
                    digest: descriptor.digest,
                    size: descriptor.size,
                });
                Ok(())
            }
            Err(Failure::Origins(error) | Failure::Store(error)) => Err(error),
            Err(Failure::Cache(error)) => Err(error.into()),
        }
    }

    async fn fetch_from_anywhere(&self, descriptor: &Descriptor) -> Result<From, Failure> {
        if self.has(&descriptor.digest, descriptor.size).await {
            let is_sound = self.is_sound(descriptor).await;
            if is_sound.map_err(Failure::Store)? {
                return Ok(From::Store);
            }
        }
        self.tell(Event::Started {
            digest: descriptor.digest,
            size: descriptor.size,
        });
        if let Some(data) = &descriptor.data {
            let written = put(&*self.store, descriptor, data).await;
            written.map_err(unwritable)?;
            return Ok(From::Store);
        }
        if let Some(cache) = &self.cache {
            match self.through_cache(cache, descriptor).await {
                Err(Failure::Cache(error)) => {
                    self.origins
                        .failed(descriptor.digest, cache.place(), &error);
                }
                other => return other,
            }
        }
        match self.target(descriptor).await? {
            Some(mut target) => self.ask_origins(descriptor, &mut target, unwritable).await,
            None => Ok(From::Store),
        }
    }

    /// Starts a blob of the store; `None` if the store has it meanwhile.
    async fn target<'a>(
        &'a self,
        descriptor: &'a Descriptor,
    ) -> Result<Option<StoreTarget<'a>>, Failure> {
        let target = StoreTarget::new(&self.store, descriptor).await;
        target.map_err(unwritable)
    }

    async fn through_cache(&self, cache: &Cache, descriptor: &Descriptor) -> Result<From, Failure> {
        let from = self.fill_cache(cache, descriptor).await?;
        match self.store_cached(cache, descriptor).await {
            // Once more, for the cache had it damaged.
            Err(Failure::Cache(error)) if is_damage(error.kind()) => {
                cache.discard(&descriptor.digest).map_err(Failure::Cache)?;
                let from = self.fill_cache(cache, descriptor).await?;
                self.store_cached(cache, descriptor).await?;
                Ok(from)
            }
            stored => stored.map(|()| from),
        }
    }

    /// Copies a blob of the cache into the store.
    async fn store_cached(&self, cache: &Cache, descriptor: &Descriptor) -> Result<(), Failure> {
        let Some(mut target) = self.target(descriptor).await? else {
            return Ok(());
        };
        let copied = transfer::from_one(cache, descriptor, &mut target).await;
        copied.map_err(|failed| match failed {
            Failed::Source(error) => Failure::Cache(error),
            Failed::Target(error) => unwritable(error),
        })
    }

    async fn fill_cache(&self, cache: &Cache, descriptor: &Descriptor) -> Result<From, Failure> {
        match cache.claim(descriptor).await.map_err(Failure::Cache)? {
            Claim::Present => Ok(From::Cache),
            Claim::Fetch(mut partial) => {
                let fetched = self
                    .ask_origins(descriptor, &mut partial, Failure::Cache)
                    .await;
                if matches!(fetched, Err(Failure::Cache(_))) {
                    partial.give_up().await;
                }
                fetched
            }
        }
    }

    /// Fetches a blob from the first origin that gives all of it. Where one stops, the next goes on. `target_failed` says
    /// what it means that the target does not take it.
    async fn ask_origins(
        &self,
        descriptor: &Descriptor,
        target: &mut impl Target,
        target_failed: fn(imgstore::Error) -> Failure,
    ) -> Result<From, Failure> {
        let digest = descriptor.digest;
        let tick = |offset| self.tell(Event::Progress { digest, offset });
        let mut attempts = Vec::new();
        for origin in self.origins() {
            match transfer::fetch(origin.blobs(), descriptor, target, tick).await {
                Ok(()) => return Ok(From::Origin(origin.name().to_owned())),
                Err(Failed::Target(error)) => return Err(target_failed(error)),
                Err(Failed::Source(error)) => {
                    self.origins.note(digest, origin, error, &mut attempts);
                }
            }
        }
        let what = format!("no source has {digest}");
        Err(Failure::Origins(Error::no_origin(what, attempts)))
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
    async fn is_sound(&self, descriptor: &Descriptor) -> Result<bool> {
        let read = async {
            let mut stream = self.store.open(descriptor).await?;
            while let Some(chunk) = stream.next().await {
                chunk?;
            }
            Ok(())
        };
        match read.await {
            Ok(()) => Ok(true),
            Err(error) => {
                self.make_room(&descriptor.digest, error)?;
                Ok(false)
            }
        }
    }

    /// Lets a blob be written that could not be read. A sink says of one of the right size that it has it: a damaged
    /// one must go first, and one that cannot be read for another reason must not count as fetched.
    fn make_room(&self, digest: &Digest, error: imgstore::Error) -> Result<()> {
        if error.kind() == ErrorKind::NotFound {
            return Ok(());
        }
        let what = || format!("{digest} is in the store and cannot be read");
        let path = is_damage(error.kind()).then(|| self.store.local_path(digest));
        let Some(path) = path.flatten() else {
            return Err(Error::because(what(), error));
        };
        match fs_err::remove_file(path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                let error = imgstore::Error::from_io("removing a damaged blob", error);
                Err(Error::because(what(), error))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn finished(&self, descriptor: &Descriptor, from: From) {
        self.tell(Event::Finished {
            digest: descriptor.digest,
            size: descriptor.size,
            from,
        });
    }

    fn tell(&self, event: Event) {
        self.origins.progress.tell(event);
    }

    pub(super) fn resolved(&self, root: &Descriptor, origin: String) {
        self.tell(Event::Resolved {
            root: Box::new(root.clone()),
            origin,
        });
    }
}

fn unwritable(error: imgstore::Error) -> Failure {
    Failure::Store(error.into())
}

/// Reads a document as what its descriptor says; as whatever it is, where that says nothing.
fn classify(bytes: &[u8], media_type: &MediaType) -> imgstore::Result<Document> {
    let told = !media_type.as_str().is_empty();
    Ok(Document::classify(bytes, told.then_some(media_type))?)
}

async fn put(
    sink: &(impl BlobSink + ?Sized),
    descriptor: &Descriptor,
    bytes: &[u8],
) -> imgstore::Result<()> {
    if let Begin::Writer(mut ingest) = sink.writer(descriptor).await? {
        ingest.write(Bytes::copy_from_slice(bytes)).await?;
        ingest.commit().await?;
    }
    Ok(())
}
