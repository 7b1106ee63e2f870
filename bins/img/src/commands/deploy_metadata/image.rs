//! The documents of an image that is deployed.

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use imgcore::deploy::{Command, ImageManifest, LayerBlob, Operation, RootKind, Source};
use imgcore::digest::HashingWriter;
use imgcore::json::{Fields, Limits, Strictness, Value};
use imgcore::{Descriptor, Digest, Document, Error, LayerMetadata, Manifest, Raw};

use crate::cli::value::{IndexAndFile, IndexesAndFile};
use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// An image's root, and the manifests that are known of it.
#[derive(Debug)]
pub(super) struct DeployedImage {
    kind: RootKind,
    root: LayerMetadata,
    manifests: Vec<ImageManifest>,
    /// What the root says something about.
    pub(super) subject: Option<Digest>,
}

/// What is known of layers beside what their manifests say.
#[derive(Debug, Default)]
pub(super) struct Extras {
    /// By the places of manifest and layer.
    sources: BTreeMap<usize, Vec<Vec<Source>>>,
    compact_streams: BTreeMap<(usize, usize), LayerMetadata>,
}

impl DeployedImage {
    pub(super) fn read(
        context: &Context,
        kind: RootKind,
        root: &Path,
        manifests: &[IndexAndFile],
        extras: &Extras,
    ) -> Result<Self, Failure> {
        let place = || root.display().to_string();
        let bytes = fs::read(context.path(root))?;
        let document = Document::classify(&bytes, None).explain(place)?;
        let (found, subject, children) = match &document {
            Document::Index(index) => (
                RootKind::Index,
                index.subject.as_ref(),
                Some(
                    index
                        .manifests
                        .iter()
                        .map(|child| child.digest)
                        .collect::<Vec<_>>(),
                ),
            ),
            Document::Manifest(manifest) => (RootKind::Manifest, manifest.subject.as_ref(), None),
        };
        if found != kind {
            let message = format!("{}: it is an image {found} and no {kind}", place());
            return Err(Failure::new(message));
        }
        let image = Self {
            kind,
            root: plain(&document.descriptor()),
            subject: subject.map(|subject| subject.digest),
            manifests: match &document {
                Document::Manifest(manifest) if manifests.is_empty() => {
                    vec![extras.manifest(0, manifest)]
                }
                _ => read_manifests(context, manifests, extras)?,
            },
        };
        image.check_children(children.as_deref(), &place())?;
        Ok(image)
    }

    /// Makes the operation that deploys the image, without a destination.
    pub(super) fn operation(&self, command: Command) -> Operation {
        let mut operation = Operation::new(command, self.kind, self.root.clone());
        operation.manifests.clone_from(&self.manifests);
        operation
    }

    pub(super) fn kind(&self) -> RootKind {
        self.kind
    }

    /// The manifest at a place in the index.
    pub(super) fn manifest(&self, index: usize) -> Option<&LayerMetadata> {
        self.manifests
            .get(index)
            .map(|manifest| &manifest.descriptor)
    }

    /// Whether the image has a document or blob of this digest.
    pub(super) fn contains(&self, digest: Digest) -> bool {
        self.root.digest == digest
            || self.manifests.iter().any(|manifest| {
                manifest.descriptor.digest == digest
                    || manifest.config.digest == digest
                    || manifest
                        .layer_blobs
                        .iter()
                        .any(|blob| blob.layer.digest == digest)
            })
    }

    /// A manifest that is not the root's would be pushed for nothing, and another be missing.
    fn check_children(&self, children: Option<&[Digest]>, place: &str) -> Result<(), Failure> {
        let belongs = |digest: &Digest| match children {
            Some(children) => children.contains(digest),
            None => self.root.digest == *digest,
        };
        match self
            .manifests
            .iter()
            .find(|manifest| !belongs(&manifest.descriptor.digest))
        {
            Some(manifest) => {
                let digest = manifest.descriptor.digest;
                let message = format!(
                    "{place}: the manifest {digest} is none of this {}",
                    self.kind
                );
                Err(Failure::new(message))
            }
            None => Ok(()),
        }
    }
}

fn read_manifests(
    context: &Context,
    paths: &[IndexAndFile],
    extras: &Extras,
) -> Result<Vec<ImageManifest>, Failure> {
    // Of two paths for one place the later one counts.
    let paths: BTreeMap<usize, &Path> = paths
        .iter()
        .map(|IndexAndFile { index, file }| (*index, file.as_path()))
        .collect();
    let mut manifests = Vec::with_capacity(paths.len());
    for (expected, (index, path)) in paths.into_iter().enumerate() {
        if index != expected {
            let message =
                format!("--manifest-path: there is one for {index} and none for {expected}");
            return Err(Failure::new(message).hint("number the manifests from 0 without a gap"));
        }
        let bytes = fs::read(context.path(path))?;
        let manifest = Raw::<Manifest>::parse(&bytes).explain(|| path.display().to_string())?;
        manifests.push(extras.manifest(index, &manifest));
    }
    Ok(manifests)
}

impl Extras {
    pub(super) fn read(
        context: &Context,
        sources: Option<&Path>,
        streams: &[IndexesAndFile],
    ) -> Result<Self, Failure> {
        let mut extras = Self::default();
        if let Some(path) = sources {
            let bytes = fs::read(context.path(path))?;
            extras.sources =
                parse_sources(&bytes).explain(|| format!("layer sources {}", path.display()))?;
        }
        for stream in streams {
            let descriptor = describe_file(context, &stream.file)?;
            extras
                .compact_streams
                .insert((stream.first, stream.second), descriptor);
        }
        Ok(extras)
    }

    fn manifest(&self, index: usize, manifest: &Raw<Manifest>) -> ImageManifest {
        let config = plain(&manifest.config);
        let mut image = ImageManifest::new(plain(&manifest.descriptor()), config);
        for (place, layer) in manifest.layers.iter().enumerate() {
            let mut blob = LayerBlob::new(plain(layer));
            let sources = self
                .sources
                .get(&index)
                .and_then(|layers| layers.get(place));
            blob.sources = sources.cloned().unwrap_or_default();
            blob.compact_stream = self.compact_streams.get(&(index, place)).cloned();
            image.layer_blobs.push(blob);
        }
        image
    }
}

/// The three members that a deploy manifest has of a descriptor.
fn plain(descriptor: &Descriptor) -> LayerMetadata {
    LayerMetadata::new(
        None,
        descriptor.media_type.clone(),
        descriptor.digest,
        descriptor.size,
    )
}

/// Describes a file of no particular type.
fn describe_file(context: &Context, path: &Path) -> Result<LayerMetadata, Failure> {
    let mut file = fs::File::open(context.path(path))?;
    let mut hash = HashingWriter::new(std::io::sink());
    std::io::copy(&mut file, &mut hash).explain(|| path.display().to_string())?;
    let (digest, size, _) = hash.finish();
    Ok(LayerMetadata::new(None, "".into(), digest, size))
}

fn parse_sources(bytes: &[u8]) -> Result<BTreeMap<usize, Vec<Vec<Source>>>, Error> {
    let value = Value::parse(bytes, &Limits::default())?;
    let object = value.as_object().unwrap_or_default();
    let mut fields = Fields::of(&value, "document")?;
    let mut sources = BTreeMap::new();
    for (key, _) in object.iter() {
        let index = key
            .parse()
            .map_err(|_| fields.error(&format!("{key:?}"), "is no place of a manifest"))?;
        let layers = fields.list(key, |value, place| {
            // A list within a list: each element is read as the only member of an object.
            let members = [("sources", value.clone())];
            Fields::of_object(members.into_iter().collect(), place).list("sources", source)
        })?;
        sources.insert(index, layers);
    }
    Ok(sources)
}

fn source(value: &Value, place: String) -> Result<Source, Error> {
    let mut fields = Fields::of(value, place)?;
    let source = Source::new(fields.string("registry")?, fields.string("repository")?);
    fields.finish(Strictness::Lenient)?;
    Ok(source)
}
