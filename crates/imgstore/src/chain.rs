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
/// A source counts for a blob only after it proved that it has it: it said so in [`BlobSource::stat`], with the right size,
/// or could not say, it opened the blob, and its first bytes arrived. Until then the next one takes over. A source that fails later
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
pub struct Chain(Vec<Link>);

/// One source of a chain, with its name for messages.
#[derive(Clone)]
struct Link {
    name: String,
    source: Arc<dyn BlobSource>,
}

impl Chain {
    /// Makes a chain of sources without names; the first one is asked first.
    pub fn new(sources: impl IntoIterator<Item = Arc<dyn BlobSource>>) -> Self {
        let mut chain = Self::default();
        for source in sources {
            chain.push(source);
        }
        chain
    }

    /// Adds a source that is asked after the others.
    pub fn push(&mut self, source: Arc<dyn BlobSource>) {
        let name = format!("source {}", self.0.len() + 1);
        self.push_named(name, source);
    }

    /// Adds a source that is asked after the others. The error of a blob that is to be had nowhere names it: the name
    /// must hold no secret.
    pub fn push_named(&mut self, name: impl Into<String>, source: Arc<dyn BlobSource>) {
        let name = name.into();
        self.0.push(Link { name, source });
    }

    /// Returns the sources with their names, in order.
    pub fn named(&self) -> impl Iterator<Item = (&str, &Arc<dyn BlobSource>)> {
        self.0.iter().map(|link| (&*link.name, &link.source))
    }

    /// Goes through the sources that may have the blob until `attempt` works with one.
    async fn first<'a, T>(
        &'a self,
        descriptor: &'a Descriptor,
        attempt: impl Fn(&'a dyn BlobSource) -> BoxFuture<'a, Result<T>>,
    ) -> Result<T> {
        let mut search = Search::default();
        for link in &self.0 {
            let source = &*link.source;
            let tried = match source.stat_one(&descriptor.digest).await {
                Ok(Presence::Absent) => {
                    search.lacked_by(link);
                    continue;
                }
                Ok(Presence::Present { size }) if size != descriptor.size => {
                    search.has_another_size(link, descriptor.size, size);
                    continue;
                }
                Ok(_) => attempt(source).await,
                // It could not say: some answer no questions and have the blob all the same.
                Err(unanswered) => match attempt(source).await {
                    Err(error) if error.kind() == ErrorKind::NotFound => Err(unanswered),
                    tried => tried,
                },
            };
            match tried {
                Ok(found) => return Ok(found),
                Err(error) => search.failed(link, &error),
            }
        }
        Err(search.into_error(&descriptor.digest))
    }

    async fn stat_all(&self, digests: &[Digest]) -> Result<Vec<Presence>> {
        let mut answers = vec![Presence::Absent; digests.len()];
        let mut open: Vec<usize> = (0..digests.len()).collect();
        for Link { source, .. } in &self.0 {
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

/// Why the sources of a chain could not help with one blob.
#[derive(Default)]
struct Search {
    reasons: Vec<String>,
    /// What kept the first source that should have worked: it says more than the absence from the others.
    kind: Option<ErrorKind>,
}

impl Search {
    fn lacked_by(&mut self, link: &Link) {
        self.note(link, "it is not there");
    }

    fn has_another_size(&mut self, link: &Link, expected: u64, actual: u64) {
        self.tell(ErrorKind::SizeMismatch { expected, actual });
        self.note(
            link,
            format_args!("it has {actual} bytes instead of {expected}"),
        );
    }

    fn failed(&mut self, link: &Link, error: &Error) {
        if error.kind() != ErrorKind::NotFound {
            self.tell(error.kind());
        }
        self.note(link, error);
    }

    fn tell(&mut self, kind: ErrorKind) {
        self.kind = self.kind.or(Some(kind));
    }

    fn note(&mut self, link: &Link, reason: impl fmt::Display) {
        self.reasons.push(format!("{}: {reason}", link.name));
    }

    fn into_error(self, digest: &Digest) -> Error {
        let tried = match self.reasons.as_slice() {
            [] => "there is no place to look".to_owned(),
            reasons => reasons.join("; "),
        };
        let text = format!("{digest} is to be had nowhere: {tried}");
        Error::new(self.kind.unwrap_or(ErrorKind::NotFound), text)
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
        let mut links = self.0.iter();
        links.find_map(|link| link.source.local_path(digest))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|link| &link.name);
        f.debug_list().entries(names).finish()
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
        insta::assert_snapshot!(error, @"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 is to be had nowhere: there is no place to look");
    }

    #[test]
    fn each_source_that_did_not_help_is_named_with_its_reason() {
        let (short, empty) = (MemoryStore::new(), MemoryStore::new());
        short.insert_unchecked(hello().digest, "hell");
        let mut chain = Chain::new([Arc::new(empty) as _]);
        chain.push_named("short", Arc::new(short));
        let error = blocking::read_all(&chain, &hello(), 5).unwrap_err();
        insta::assert_snapshot!(error, @"sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 is to be had nowhere: source 1: it is not there; short: it has 4 bytes instead of 5");
    }
}
