//! What a person points at: an image in a layout or an archive, or a single layer.

use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use imgcore::document::{Config, Manifest, Raw};
use imgcore::{Descriptor, Platform};
use imglayer::filesystem::{Contents, Entry, FileSystem, entries_of};
use imgstore::archive::{ArchiveLimits, Image as ImageFile};
use imgstore::blocking::block_on;
use imgstore::{BlobSource, DirectoryOptions, LocalSourceExt as _, OutsideLinks, Selector, walk};

use crate::context::Context;
use crate::report::{Explain as _, Failure};

/// A layout or archive, and which of its images are meant.
#[derive(Debug)]
pub(crate) struct Images {
    path: PathBuf,
    file: ImageFile,
    /// The entries of the index that were asked for.
    pub(crate) roots: Vec<Descriptor>,
}

/// One image: its documents, and the store with its layers.
#[derive(Debug)]
pub(crate) struct Image {
    file: ImageFile,
    pub(crate) descriptor: Descriptor,
    pub(crate) manifest: Raw<Manifest>,
    /// `None` for an artifact that is no image.
    pub(crate) config: Option<Raw<Config>>,
}

/// What a path names.
#[derive(Debug)]
pub(crate) enum Subject {
    Images(Box<Images>),
    Layer(PathBuf),
}

impl Subject {
    /// Opens what `text` names: a layout directory, an archive or a layer; of several images in one place, `PATH:NAME` or
    /// `PATH@DIGEST` is one.
    ///
    /// # Errors
    ///
    /// Fails if there is nothing, or nothing that is understood.
    pub(crate) fn open(context: &Context, text: &str) -> Result<Self, Failure> {
        let (path, selector) = split(context, text);
        if fs::metadata(&path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
            return Err(Failure::new(format!(
                "{text}: there is no such file or directory"
            )));
        }
        // A build links its outputs to where they are; what is read is checked wherever it lies.
        let options = DirectoryOptions::default().with_outside_links(OutsideLinks::Follow);
        let file = match ImageFile::open_with(&path, options, &ArchiveLimits::default()) {
            Ok(file) => file,
            Err(error) if error.kind() == imgstore::ErrorKind::Malformed && is_layer(&path) => {
                refuse_selector(&path, &selector)?;
                return Ok(Self::Layer(path));
            }
            Err(error) if error.kind() == imgstore::ErrorKind::Malformed && !path.is_dir() => {
                let message = format!("{} is neither an image nor a layer", path.display());
                return Err(Failure::new(message).because(error));
            }
            Err(error) => return Err(error.into()),
        };
        let roots = file
            .index()
            .select(&selector)
            .explain(|| path.display().to_string())?;
        Ok(Self::Images(Box::new(Images { path, file, roots })))
    }

    /// Returns the layers that one image has, or the one that was named.
    ///
    /// # Errors
    ///
    /// Fails if several images are meant and the platform does not decide.
    pub(crate) fn layers(&self, platform: Option<&Platform>) -> Result<Layers, Failure> {
        match self {
            Self::Images(images) => Ok(Layers::Image(Box::new(images.only(platform)?))),
            Self::Layer(path) => Ok(Layers::File(path.clone())),
        }
    }
}

/// Why an index may lead to images that are not there.
const LEFT_OUT: &str = "an index that was pulled for some of its platforms leads to the others as well; \
                        pull it for this one too, or without --platform";

impl Images {
    /// Reads every image, in the order of the indexes.
    ///
    /// # Errors
    ///
    /// Fails if a document is missing or broken.
    pub(crate) fn all(&self) -> Result<Vec<Image>, Failure> {
        let contents = block_on(walk::Contents::read(&self.file, &self.roots))?;
        self.images(contents)
    }

    /// Reads every image that is there, and returns the entries of indexes whose image is not, too.
    ///
    /// # Errors
    ///
    /// Fails if a document is broken.
    pub(crate) fn present(&self) -> Result<(Vec<Image>, Vec<Descriptor>), Failure> {
        let mut contents = block_on(walk::Contents::read_present(&self.file, &self.roots))?;
        let missing = std::mem::take(&mut contents.missing);
        Ok((self.images(contents)?, missing))
    }

    fn images(&self, contents: walk::Contents) -> Result<Vec<Image>, Failure> {
        let images = contents.manifests.into_iter();
        images
            .map(|(descriptor, manifest)| self.image(descriptor, manifest))
            .collect()
    }

    /// Reads the image for a platform, or the only one, which may be an artifact.
    ///
    /// # Errors
    ///
    /// Fails if there is none, or several and no platform to choose by.
    pub(crate) fn only(&self, platform: Option<&Platform>) -> Result<Image, Failure> {
        let descriptor = match block_on(walk::find_image(&self.file, &self.roots, platform)) {
            Ok(descriptor) => descriptor,
            Err(error) if error.kind() == imgstore::ErrorKind::InvalidInput => {
                let failure = Failure::from(error).in_front(self.path.display());
                return Err(failure.hint(self.how_to_choose()));
            }
            Err(error) => {
                // An artifact is for no platform, but it may be the only thing that is there.
                let all = self.all().ok().filter(|_| platform.is_none());
                let [artifact] = all
                    .and_then(|all| <[Image; 1]>::try_from(all).ok())
                    .ok_or_else(|| Failure::from(error).in_front(self.path.display()))?;
                return Ok(artifact);
            }
        };
        let read = self
            .file
            .read_all_blocking(&descriptor, imgstore::MAX_DOCUMENT);
        let bytes = read.map_err(|error| {
            let is_left_out = error.kind() == imgstore::ErrorKind::NotFound;
            let failure = Failure::from(error);
            match &descriptor.platform {
                Some(platform) if is_left_out => failure
                    .in_front(format!("the image for {platform}"))
                    .hint(LEFT_OUT),
                _ => failure,
            }
        })?;
        let manifest = Raw::parse(&bytes)?;
        self.image(descriptor, manifest)
    }

    /// Returns what is meant as a whole: an index stays one.
    ///
    /// # Errors
    ///
    /// Fails if several things are meant.
    pub(crate) fn root(&self) -> Result<Descriptor, Failure> {
        let Some(first) = self.roots.first() else {
            return Err(Failure::new(format!(
                "there is no image in {}",
                self.path.display()
            )));
        };
        if self.roots.iter().any(|root| root.digest != first.digest) {
            let count = self.roots.len();
            let message = format!("{} has {count} images", self.path.display());
            return Err(Failure::new(message).hint(self.how_to_choose()));
        }
        Ok(Descriptor::new(
            first.media_type.clone(),
            first.digest,
            first.size,
        ))
    }

    /// Returns the store with all blobs.
    pub(crate) fn store(&self) -> Arc<dyn BlobSource> {
        Arc::new(self.file.clone())
    }

    /// Returns the names in the index that an entry has; none if it has only its digest.
    pub(crate) fn names_of(&self, root: &Descriptor) -> Vec<&str> {
        let names = self.file.index().names();
        let own = names.filter(|(_, named)| named.digest == root.digest);
        own.map(|(name, _)| name).collect()
    }

    fn how_to_choose(&self) -> String {
        let [first, _, ..] = &*self.roots else {
            return "choose with --platform, like --platform linux/amd64".to_owned();
        };
        let path = self.path.display();
        let named = |name: &str| self.file.index().names().filter(|it| it.0 == name).count();
        match self.names_of(first).first() {
            Some(name) if named(name) == 1 => {
                format!("choose with PATH:NAME, like {path}:{name}")
            }
            _ => format!("choose with PATH@DIGEST, like {path}@{}", first.digest),
        }
    }

    fn image(&self, descriptor: Descriptor, manifest: Raw<Manifest>) -> Result<Image, Failure> {
        let config = if manifest.is_image() {
            Some(block_on(walk::config(&self.file, &manifest))?)
        } else {
            None
        };
        Ok(Image {
            file: self.file.clone(),
            descriptor,
            manifest,
            config,
        })
    }
}

impl Image {
    /// Returns the platform as the index says it, or else the config.
    pub(crate) fn platform(&self) -> Option<&Platform> {
        let of_config = self.config.as_ref().map(|config| config.platform());
        self.descriptor.platform.as_ref().or(of_config)
    }
}

/// The layers of an image, lowest first, or one layer by itself.
#[derive(Debug)]
pub(crate) enum Layers {
    File(PathBuf),
    Image(Box<Image>),
}

impl Layers {
    /// Reads the entries of every layer.
    ///
    /// # Errors
    ///
    /// Fails if a layer is missing or broken.
    pub(crate) fn entries(&self, contents: Contents) -> Result<Vec<Vec<Entry>>, Failure> {
        match self {
            Self::File(path) => {
                let file = fs::File::open(path)?;
                Ok(vec![
                    read(file, contents).explain(|| path.display().to_string())?,
                ])
            }
            Self::Image(image) => {
                let layers = image.manifest.layers.iter();
                layers
                    .map(|layer| image_layer(image, layer, contents))
                    .collect()
            }
        }
    }

    /// Reads the entries of every layer that is a tar, and passes over other blobs.
    ///
    /// # Errors
    ///
    /// Fails if a layer is missing or broken.
    pub(crate) fn tar_entries(&self, contents: Contents) -> Result<Vec<Vec<Entry>>, Failure> {
        let Self::Image(image) = self else {
            return self.entries(contents);
        };
        let layers = image
            .manifest
            .layers
            .iter()
            .filter(|layer| layer.media_type.is_layer());
        layers
            .map(|layer| image_layer(image, layer, contents))
            .collect()
    }

    /// Puts all layers on top of each other.
    ///
    /// # Errors
    ///
    /// Fails if a layer is missing or broken.
    pub(crate) fn files(&self, contents: Contents) -> Result<FileSystem, Failure> {
        let mut files = FileSystem::default();
        for layer in self.entries(contents)? {
            files.apply(layer)?;
        }
        Ok(files)
    }
}

fn image_layer(
    image: &Image,
    layer: &Descriptor,
    contents: Contents,
) -> Result<Vec<Entry>, Failure> {
    let reader = image.file.open_blocking(layer).map_err(|error| {
        let is_missing = error.kind() == imgstore::ErrorKind::NotFound;
        let failure = Failure::from(error);
        if is_missing {
            failure.hint("the image is here without its layers")
        } else {
            failure
        }
    })?;
    read(reader, contents).explain(|| format!("layer {}", layer.digest))
}

fn read(input: impl Read, contents: Contents) -> Result<Vec<Entry>, imglayer::Error> {
    entries_of(BufReader::with_capacity(1 << 17, input), contents)
}

/// A layer is one thing: there is nothing in it to choose by name or digest.
///
/// # Errors
///
/// Fails if something was chosen.
pub(crate) fn refuse_selector(layer: &Path, selector: &Selector) -> Result<(), Failure> {
    if matches!(selector, Selector::Only) {
        return Ok(());
    }
    let message = format!(
        "{} is a layer, and has no images to choose from",
        layer.display()
    );
    Err(Failure::new(message).hint("name the file alone"))
}

/// Cuts `PATH:NAME` or `PATH@DIGEST`, unless there is a file of the whole name.
pub(crate) fn split(context: &Context, text: &str) -> (PathBuf, Selector) {
    let whole = context.path(text);
    if fs::symlink_metadata(&whole).is_ok() {
        return (whole, Selector::Only);
    }
    // A name may have colons of its own: the first cut behind which there is a file is the one.
    let colons = text
        .match_indices(':')
        .map(|(place, _)| (&text[..place], &text[place + 1..]));
    for (path, name) in text.split_once('@').into_iter().chain(colons) {
        let path = context.path(path);
        if !name.is_empty() && fs::symlink_metadata(&path).is_ok() {
            return (path, Selector::parse(name));
        }
    }
    // There is nothing: let the one who opens it say so.
    (whole, Selector::Only)
}

/// Tells whether a file starts like a layer: with a tar header, or compressed.
pub(crate) fn is_layer(path: &Path) -> bool {
    let Ok(file) = fs::File::open(path) else {
        return false;
    };
    let Ok(decoder) = imgtar::Decoder::new(file, imgtar::DecodeLimits::default()) else {
        return false;
    };
    // A layer of another tool may have no entries and no end.
    let mut limits = imgtar::Limits::default();
    limits.missing_end = decoder.codec() != imgtar::Codec::None;
    let mut reader = imgtar::Reader::with_limits(decoder, limits);
    reader.next_entry().is_ok()
}
