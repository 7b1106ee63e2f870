//! The documents of images, read before anything is planned.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use imgcore::document::{Document, Nesting};
use imgcore::{Descriptor, Digest};
use imgstore::{BlobSourceExt, ErrorKind as StoreKind, MAX_DOCUMENT};

use crate::error::Attempt;
use crate::{Error, ErrorKind, Image, Result};

/// More documents than any image has that was not made to hurt.
const MAX_DOCUMENTS: usize = 10_000;
/// More bytes than all documents of an image have that was not made to hurt: they are kept in memory.
const MAX_BYTES: u64 = 8 * MAX_DOCUMENT;

/// Images with their documents: all that a plan is made of, but for what the registries hold.
#[derive(Debug)]
pub struct Batch(Vec<Member>);

/// One image.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) image: Image,
    /// Its documents, or why they cannot be pushed.
    pub(crate) documents: Result<Documents>,
}

/// The documents of an image, each digest once, each after those that it leads to: the root comes last.
#[derive(Debug)]
pub(crate) struct Documents(Vec<Node>);

/// One manifest or index.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) descriptor: Descriptor,
    /// `None` where no source has it: the registry may.
    pub(crate) body: Option<Body>,
}

/// What a document says.
#[derive(Debug)]
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    pub(crate) config: Option<Descriptor>,
    pub(crate) layers: Vec<Descriptor>,
    /// The places of the documents that it leads to.
    pub(crate) children: Vec<usize>,
    pub(crate) refers: Option<Refers>,
}

/// What a document says of another that it refers to, as signatures do.
#[derive(Debug)]
pub(crate) struct Refers {
    /// The other's digest.
    pub(crate) subject: Digest,
    /// What a list of referrers says about the document.
    pub(crate) entry: Descriptor,
}

impl Batch {
    /// Reads the documents of images: manifests and indexes, no configs and no layers.
    ///
    /// An image whose documents cannot be read, or are none, fails by itself: the report says so.
    pub async fn read(images: impl IntoIterator<Item = Image>) -> Self {
        let mut members = Vec::new();
        for image in images {
            let documents = read(&image).await;
            members.push(Member { image, documents });
        }
        Self(members)
    }

    /// Returns how many images there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn members(&self) -> &[Member] {
        &self.0
    }
}

impl Member {
    /// Returns the documents, of an image that has them.
    pub(crate) fn nodes(&self) -> &[Node] {
        self.documents.as_ref().map_or(&[], |it| it.0.as_slice())
    }

    /// Returns whether the root refers to another manifest, as signatures do.
    pub(crate) fn is_referrer(&self) -> bool {
        let root = self.nodes().last().and_then(|root| root.body.as_ref());
        root.is_some_and(|root| root.refers.is_some())
    }
}

impl Body {
    /// Returns the blobs that must be in the repository before the document, and whether they are layers. Layers that
    /// are had from elsewhere by their license are not among them.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = (&Descriptor, bool)> {
        let layers = self.layers.iter();
        let layers = layers.filter(|it| !it.media_type.is_foreign_layer() || it.urls.is_empty());
        let layers = layers.map(|it| (it, true));
        layers.chain(self.config.iter().map(|it| (it, false)))
    }
}

async fn read(image: &Image) -> Result<Documents> {
    let mut reader = Reader {
        image,
        nodes: Vec::new(),
        places: HashMap::new(),
        bytes: 0,
    };
    reader.read_all().await?;
    let known: HashSet<Digest> = reader.nodes.iter().map(|it| it.descriptor.digest).collect();
    for digest in image.child_tags.keys() {
        if !known.contains(digest) {
            let root = image.root.digest;
            let text = format!("{root} does not lead to {digest}, which is to have tags");
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
    }
    Ok(Documents(reader.nodes))
}

/// Follows indexes.
struct Reader<'a> {
    image: &'a Image,
    nodes: Vec<Node>,
    /// Where each document that was read stands.
    places: HashMap<Digest, usize>,
    bytes: u64,
}

/// A document that is being read: its entries are read before it gets its place.
struct Open {
    descriptor: Descriptor,
    body: Body,
    nesting: Nesting,
    /// What it leads to and is still to be read, the next one last.
    waiting: Vec<Descriptor>,
}

impl Reader<'_> {
    async fn read_all(&mut self) -> Result<()> {
        let root = self.image.root.clone();
        let nesting = Nesting::new(root.digest);
        let (body, entries) = self.body(&root).await?;
        let Some(body) = body else {
            return Err(self.missing(&root).await);
        };
        let mut open = vec![Open {
            descriptor: root,
            body,
            nesting,
            waiting: entries,
        }];
        while let Some(top) = open.last_mut() {
            let Some(entry) = top.waiting.pop() else {
                self.close(&mut open);
                continue;
            };
            if let Some(&place) = self.places.get(&entry.digest) {
                top.body.children.push(place);
                continue;
            }
            let nesting = if entry.media_type.is_index() {
                let entered = top.nesting.enter(entry.digest);
                entered.map_err(|error| invalid(&top.descriptor, error))?
            } else {
                top.nesting.clone()
            };
            let (body, waiting) = self.body(&entry).await?;
            let Some(body) = body else {
                let place = self.add(entry, None);
                top.body.children.push(place);
                continue;
            };
            open.push(Open {
                descriptor: entry,
                body,
                nesting,
                waiting,
            });
        }
        Ok(())
    }

    /// Gives the innermost document its place.
    fn close(&mut self, open: &mut Vec<Open>) {
        if let Some(done) = open.pop() {
            let place = self.add(done.descriptor, Some(done.body));
            if let Some(parent) = open.last_mut() {
                parent.body.children.push(place);
            }
        }
    }

    fn add(&mut self, descriptor: Descriptor, body: Option<Body>) -> usize {
        let place = self.nodes.len();
        self.places.insert(descriptor.digest, place);
        self.nodes.push(Node { descriptor, body });
        place
    }

    /// Reads a document; returns what it says, and what it leads to in reverse order.
    async fn body(&mut self, descriptor: &Descriptor) -> Result<(Option<Body>, Vec<Descriptor>)> {
        self.check_limits(descriptor)?;
        let Some(bytes) = self.bytes(descriptor).await? else {
            return Ok((None, Vec::new()));
        };
        let document = Document::classify(&bytes, Some(&descriptor.media_type))
            .map_err(|error| invalid(descriptor, error))?;
        let mut body = Body {
            bytes,
            config: None,
            layers: Vec::new(),
            children: Vec::new(),
            refers: None,
        };
        let mut described = document.descriptor();
        described.digest = descriptor.digest;
        let (subject, entries) = match document {
            Document::Manifest(manifest) => {
                body.config = Some(manifest.config.clone());
                body.layers.clone_from(&manifest.layers);
                described.annotations.clone_from(&manifest.annotations);
                let of_config = manifest.config.media_type.clone();
                described.artifact_type = manifest.artifact_type.clone().or(Some(of_config));
                (manifest.subject.clone(), Vec::new())
            }
            Document::Index(index) => {
                described.annotations.clone_from(&index.annotations);
                described.artifact_type.clone_from(&index.artifact_type);
                let entries = index.manifests.iter().rev().cloned().collect();
                (index.subject.clone(), entries)
            }
        };
        body.refers = subject.map(|subject| Refers {
            subject: subject.digest,
            entry: described,
        });
        Ok((Some(body), entries))
    }

    fn check_limits(&mut self, descriptor: &Descriptor) -> Result<()> {
        self.bytes = self.bytes.saturating_add(descriptor.size);
        let root = self.image.root.digest;
        let text = if self.places.len() >= MAX_DOCUMENTS {
            format!("{root} leads to more than {MAX_DOCUMENTS} documents")
        } else if self.bytes > MAX_BYTES {
            format!("{root} leads to documents of more than {MAX_BYTES} bytes")
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::Source(StoreKind::TooLarge), text))
    }

    /// Reads a document from the first source that has it.
    async fn bytes(&self, descriptor: &Descriptor) -> Result<Option<Bytes>> {
        let mut failed = None;
        for source in self.image.sources.iter() {
            match source.blobs.read_all(descriptor, MAX_DOCUMENT).await {
                Ok(bytes) => return Ok(Some(bytes)),
                Err(error) if error.kind() == StoreKind::NotFound => {}
                Err(error) => {
                    let what = format!("document {} of {}", descriptor.digest, source.name);
                    failed = failed.or(Some(Error::store(what, error)));
                }
            }
        }
        failed.map_or(Ok(None), Err)
    }

    async fn missing(&self, descriptor: &Descriptor) -> Error {
        let mut attempts = Vec::new();
        for source in self.image.sources.iter() {
            if let Err(error) = source.blobs.read_all(descriptor, MAX_DOCUMENT).await {
                attempts.push(Attempt {
                    source: source.name.to_string(),
                    reason: imgstore::with_causes(&error),
                });
            }
        }
        let digest = descriptor.digest;
        let text = format!("no source has the document {digest}");
        Error::with_attempts(ErrorKind::NoSource { digest }, text, attempts)
    }
}

fn invalid(descriptor: &Descriptor, error: imgcore::Error) -> Error {
    let error = imgstore::Error::from(error);
    Error::store(format!("document {}", descriptor.digest), error)
}
