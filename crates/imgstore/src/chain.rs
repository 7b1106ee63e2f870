//! Several sources as one.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_util::StreamExt;
use futures_util::stream;
use imgcore::{Descriptor, Digest};

use crate::{
    BlobSource, BlobSourceExt, BlobStream, Error, ErrorKind, Presence, Result, UnverifiedStream,
};

/// Sources that are asked in order: the near and cheap ones come first.
///
/// A source counts for a blob only after it proved that it has it: it said so in [`BlobSource::stat`] or could not
/// say, it opened the blob, and its first bytes arrived. Until then the next one takes over. A source that fails later
/// fails the read, for its first bytes are already with the caller.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use imgcore::{Descriptor, MediaType};
/// use imgstore::{Chain, MemoryStore, blocking};
///
/// let (near, far) = (MemoryStore::new(), MemoryStore::new());
/// far.insert("hello");
/// let chain = Chain::new([Arc::new(near) as _, Arc::new(far) as _]);
/// let descriptor = Descriptor::of(MediaType::OCI_EMPTY, b"hello");
/// assert_eq!(blocking::read_all(&chain, &descriptor, 5)?, "hello");
/// # Ok::<(), imgstore::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Chain(Vec<Arc<dyn BlobSource>>);

impl Chain {
    /// Makes a chain; the first source is asked first.
    pub fn new(sources: impl IntoIterator<Item = Arc<dyn BlobSource>>) -> Self {
        Self(sources.into_iter().collect())
    }

    /// Adds a source that is asked after the others.
    pub fn push(&mut self, source: Arc<dyn BlobSource>) {
        self.0.push(source);
    }

    /// Goes through the sources that may have the blob until `attempt` works with one.
    async fn first<'a, T>(
        &'a self,
        descriptor: &'a Descriptor,
        attempt: impl Fn(&'a dyn BlobSource) -> BoxFuture<'a, Result<T>>,
    ) -> Result<T> {
        let mut first_error = None;
        for source in &self.0 {
            let tried = match source.stat_one(&descriptor.digest).await {
                Ok(Presence::Absent) => continue,
                Ok(_) => attempt(&**source).await,
                // It could not say: some answer no questions and have the blob all the same.
                Err(unanswered) => match attempt(&**source).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => Err(unanswered),
                    tried => tried,
                },
            };
            match tried {
                Ok(found) => return Ok(found),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // The error of a source that should have worked says more than the absence from the others.
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        let place = format_args!("any of {} sources", self.0.len());
        Err(first_error.unwrap_or_else(|| Error::not_found(&descriptor.digest, place)))
    }

    async fn stat_all(&self, digests: &[Digest]) -> Result<Vec<Presence>> {
        let mut answers = vec![Presence::Absent; digests.len()];
        let mut open: Vec<usize> = (0..digests.len()).collect();
        for source in &self.0 {
            if open.is_empty() {
                break;
            }
            let asked: Vec<Digest> = open.iter().map(|&index| digests[index]).collect();
            // A source that cannot answer may still have the blob.
            let found = source.stat(&asked).await.unwrap_or_default();
            for (place, &index) in open.iter().enumerate() {
                match found.get(place).copied().unwrap_or(Presence::Unknown) {
                    Presence::Absent => {}
                    better => answers[index] = better,
                }
            }
            open.retain(|&index| !matches!(answers[index], Presence::Present { .. }));
        }
        Ok(answers)
    }
}

impl BlobSource for Chain {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Presence>>> {
        Box::pin(self.stat_all(digests))
    }

    fn open<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream>> {
        Box::pin(self.first(descriptor, move |source| {
            Box::pin(async move {
                let mut stream = source.open(descriptor).await?;
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
        Box::pin(self.first(descriptor, move |source| {
            let range = range.clone();
            Box::pin(async move {
                let mut rest = source.open_range(descriptor, range).await?;
                let first = rest.next().await.transpose()?;
                Ok(UnverifiedStream::new(
                    stream::iter(first.map(Ok)).chain(rest),
                ))
            })
        }))
    }

    fn local_path(&self, digest: &Digest) -> Option<PathBuf> {
        self.0.iter().find_map(|source| source.local_path(digest))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chain of {} sources", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;

    use super::*;
    use crate::{MemoryStore, blocking, conformance};

    /// A store that answers no questions.
    struct Silent(MemoryStore);

    impl BlobSource for Silent {
        fn stat<'a>(&'a self, _digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Presence>>> {
            let error = Error::new(ErrorKind::Denied, "no questions are answered");
            Box::pin(std::future::ready(Err(error)))
        }

        fn open<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream>> {
            self.0.open(descriptor)
        }

        fn open_range<'a>(
            &'a self,
            descriptor: &'a Descriptor,
            range: Range<u64>,
        ) -> BoxFuture<'a, Result<UnverifiedStream>> {
            self.0.open_range(descriptor, range)
        }

        fn local_path(&self, _digest: &Digest) -> Option<PathBuf> {
            None
        }
    }

    #[test]
    fn a_source_that_answers_no_questions_is_tried() {
        let store = MemoryStore::new();
        let chain = Chain::new([Arc::new(Silent(store.clone())) as Arc<dyn BlobSource>]);
        let error = blocking::read_all(&chain, &hello(), 5).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Denied);
        store.insert("hello");
        assert_eq!(blocking::read_all(&chain, &hello(), 5).unwrap(), "hello");
    }

    fn chain<const N: usize>(stores: [&MemoryStore; N]) -> Chain {
        Chain::new(stores.map(|store| Arc::new(store.clone()) as Arc<dyn BlobSource>))
    }

    fn hello() -> Descriptor {
        Descriptor::of(MediaType::OCI_EMPTY, b"hello")
    }

    #[test]
    fn it_conforms_wherever_the_blob_is() {
        let (full, empty) = (MemoryStore::new(), MemoryStore::new());
        full.insert("hello");
        for chain in [chain([&full, &empty]), chain([&empty, &full])] {
            conformance::source(&chain, b"hello");
        }
    }

    #[test]
    fn a_source_whose_first_bytes_are_wrong_does_not_count() {
        let (bad, good) = (MemoryStore::new(), MemoryStore::new());
        bad.insert_unchecked(hello().digest, "");
        good.insert("hello");
        let read = blocking::read_all(&chain([&bad, &good]), &hello(), 5);
        assert_eq!(read.unwrap(), "hello");
    }

    #[test]
    fn the_error_of_a_broken_source_is_told_rather_than_absence() {
        let (bad, empty) = (MemoryStore::new(), MemoryStore::new());
        bad.insert_unchecked(hello().digest, "");
        let read = blocking::read_all(&chain([&empty, &bad, &empty]), &hello(), 5);
        let kind = read.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::SizeMismatch { .. }), "{kind:?}");
    }

    #[test]
    fn an_empty_chain_has_nothing() {
        let error = blocking::read_all(&Chain::default(), &hello(), 5).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(
            error.to_string().ends_with("in any of 0 sources"),
            "{error}"
        );
    }
}
