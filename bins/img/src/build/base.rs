//! The base image: found in a layout, an archive or [on a registry](super::registry), read, and checked.

use std::path::Path;
use std::sync::Arc;

use fs_err as fs;
use imgcore::document::{Config, Document, Manifest, Raw};
use imgcore::{Descriptor, Digest, LayerMetadata, MediaType, Platform};
use imgpush::Location;
use imgstore::archive::{Content, Image};
use imgstore::{
    BlobSource, DirectoryStore, LocalSource as _, MAX_DOCUMENT, Selector, blocking, walk,
};

use super::file::{self, BuildFile};
use super::lock::{Change, Lock};
use super::registry::RegistryBase;
use super::{BuildOptions, reason};
use crate::context::Context;
use crate::report::Failure;

/// The base of a build: one image for all platforms, or an index of several.
#[derive(Debug)]
pub(crate) struct BaseSource {
    place: Place,
    /// What the lock file must become; `None` if it stays as it is.
    pub(crate) lock: Option<Change>,
}

/// Where the base is.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one in a build")]
enum Place {
    Local { images: Images, root: Descriptor },
    Registry(RegistryBase),
}

/// A layout or archive.
#[derive(Debug)]
struct Images {
    store: Arc<Image>,
    /// How it is called in messages.
    name: String,
}

/// The base image for one platform.
#[derive(Debug)]
pub(crate) struct BaseImage {
    pub(crate) manifest: Raw<Manifest>,
    pub(crate) config: Raw<Config>,
    /// Its layers, lowest first.
    pub(crate) layers: Vec<LayerMetadata>,
}

impl BaseSource {
    /// Finds the base of a build file, as its lock file says; `None` for an image that starts empty.
    ///
    /// # Errors
    ///
    /// Fails if there is no such image, or if the lock file must not change and would have to.
    pub(crate) fn find(
        context: &Context,
        file: &BuildFile,
        options: &BuildOptions,
    ) -> Result<Option<Self>, Failure> {
        let Some(base) = &file.build.base else {
            return Ok(None);
        };
        let place = file.say(base.span(), "base");
        let base = base.get_ref();
        if let Some(image) = &base.image {
            let (found, lock) = RegistryBase::find(context, file, base, &image.0, options)
                .map_err(|failure| failure.in_front(&place))?;
            let place = Place::Registry(found);
            return Ok(Some(Self { place, lock }));
        }
        // Without a path the file was refused.
        let images = Images::open(&file.path(base.path.as_deref().unwrap_or("".as_ref())))
            .map_err(|failure| failure.in_front(&place))?;
        if let Some(digest) = base.digest {
            let root = images.by_digest(digest.0);
            let root = root.map_err(|failure| failure.in_front(&place))?;
            let place = Place::Local { images, root };
            return Ok(Some(Self { place, lock: None }));
        }
        let pins = Lock::read(file, options.policy)?;
        let named = images.by_name(base);
        let named = named.map_err(|failure| failure.in_front(&place));
        let root = match pins.pinned(base) {
            Some(pinned) => images.follow(context, &pins, pinned, named.ok())?,
            None => named?,
        };
        let lock = pins.change(base, root.digest)?;
        let place = Place::Local { images, root };
        Ok(Some(Self { place, lock }))
    }

    /// Reads the image for a platform.
    ///
    /// # Errors
    ///
    /// Fails if there is none for it, or what is there is no whole image.
    pub(crate) fn image_for(&self, platform: &Platform) -> Result<BaseImage, Failure> {
        match &self.place {
            Place::Local { images, root } => images
                .read(root, platform)
                .map_err(|failure| failure.in_front(format!("base {}", images.name))),
            Place::Registry(base) => base.image_for(platform),
        }
    }

    /// Fetches layers that are on a registry into a store; others stay where they are.
    ///
    /// # Errors
    ///
    /// Fails if a layer cannot be fetched.
    pub(crate) fn bring(
        &self,
        context: &Context,
        layers: &[Descriptor],
        staging: &DirectoryStore,
    ) -> Result<(), Failure> {
        match &self.place {
            Place::Local { .. } => Ok(()),
            Place::Registry(base) => base.bring(context, layers, staging),
        }
    }

    /// Returns the layout or archive, with its name for messages.
    pub(super) fn store(&self) -> Option<(String, Arc<dyn BlobSource>)> {
        match &self.place {
            Place::Local { images, .. } => {
                let store: Arc<Image> = Arc::clone(&images.store);
                Some((format!("base {}", images.name), store))
            }
            Place::Registry(_) => None,
        }
    }

    /// Returns the repository that the base is in.
    pub(super) fn location(&self) -> Option<Location> {
        match &self.place {
            Place::Local { .. } => None,
            Place::Registry(base) => Some(base.location().clone()),
        }
    }

    /// Returns whether a layer is one of a base on a registry.
    pub(super) fn has(&self, layer: &Digest) -> bool {
        match &self.place {
            Place::Local { .. } => false,
            Place::Registry(base) => base.has(layer),
        }
    }

    /// Finds the bytes of a layer in a layout or archive.
    ///
    /// # Errors
    ///
    /// Fails if the layout or archive cannot be read.
    pub(crate) fn content(&self, digest: &Digest) -> Result<Option<Content>, Failure> {
        let Place::Local { images, .. } = &self.place else {
            return Ok(None);
        };
        let store = &images.store;
        if store.size_of(digest)?.is_none() {
            return Ok(None);
        }
        if let Some(path) = store.path_of(digest) {
            return Ok(Some(Content::File(path)));
        }
        let image: Arc<Image> = Arc::clone(store);
        Ok(Some(Content::Store(image)))
    }
}

impl BaseImage {
    /// Puts together what the documents of an image say of its layers.
    ///
    /// # Errors
    ///
    /// Fails if they do not say the same.
    pub(super) fn new(
        digest: &Digest,
        manifest: Raw<Manifest>,
        config: Raw<Config>,
    ) -> Result<Self, Failure> {
        let (layers, diff_ids) = (&manifest.layers, config.diff_ids());
        if layers.len() != diff_ids.len() {
            return Err(Failure::new(format!(
                "image {digest} has {} layers, and its config lists {}",
                layers.len(),
                diff_ids.len()
            )));
        }
        let metadata = layers.iter().zip(diff_ids).map(|(layer, diff_id)| {
            let media_type = layer.media_type.clone();
            let mut metadata =
                LayerMetadata::new(Some(*diff_id), media_type, layer.digest, layer.size);
            metadata.annotations.clone_from(&layer.annotations);
            metadata
        });
        let layers = metadata.collect();
        Ok(Self {
            manifest,
            config,
            layers,
        })
    }
}

impl Images {
    fn open(path: &Path) -> Result<Self, Failure> {
        let name = path.display().to_string();
        fs::metadata(path)
            .map_err(|error| Failure::new(format!("cannot read {name}: {}", reason(&error))))?;
        Ok(Self {
            store: Arc::new(Image::open(path)?),
            name,
        })
    }

    fn read(&self, root: &Descriptor, platform: &Platform) -> Result<BaseImage, Failure> {
        let source = &*self.store;
        let roots = std::slice::from_ref(root);
        let descriptor = blocking::block_on(walk::find_image(source, roots, Some(platform)))?;
        let document = blocking::block_on(walk::document(source, &descriptor))?;
        let Document::Manifest(manifest) = document else {
            return Err(Failure::new(format!("{} is no image", descriptor.digest)));
        };
        let config = blocking::block_on(walk::config(source, &manifest))?;
        BaseImage::new(&descriptor.digest, manifest, config)
    }

    /// Finds the image that the build file names, or the only one.
    fn by_name(&self, base: &file::Base) -> Result<Descriptor, Failure> {
        let selector = base.tag.clone().map_or(Selector::Only, Selector::Tag);
        let roots = self.store.index().select(&selector)?;
        match roots.as_slice() {
            [root] => Ok(root.clone()),
            roots => {
                let digests: Vec<_> = roots.iter().map(|root| root.digest.to_string()).collect();
                let message = format!("{} has several images: {}", self.name, digests.join(", "));
                Err(Failure::new(message).hint("say which one with `tag` or `digest`"))
            }
        }
    }

    /// Finds the image that the lock file names, and warns if the build file now means another one.
    fn follow(
        &self,
        context: &Context,
        lock: &Lock,
        pinned: Digest,
        named: Option<Descriptor>,
    ) -> Result<Descriptor, Failure> {
        let lock = lock.path().display();
        let root = self.by_digest(pinned).map_err(|failure| {
            failure
                .in_front(format!("the base that {lock} names"))
                .hint("build with --update to take what is there now")
        })?;
        if named.is_some_and(|named| named.digest != pinned) {
            context.report.warn(format_args!(
                "{} has another base than {lock} names, which is taken; --update takes the other one",
                self.name
            ));
        }
        Ok(root)
    }

    /// Finds an image by its digest, which need not have a name any more.
    fn by_digest(&self, digest: Digest) -> Result<Descriptor, Failure> {
        if let Ok(roots) = self.store.index().select(&Selector::Digest(digest))
            && let [root] = roots.as_slice()
        {
            return Ok(root.clone());
        }
        let Some(size) = self.store.size_of(&digest)? else {
            let message = format!("image {digest} is not in {}", self.name);
            return Err(Failure::new(message));
        };
        let blob = Descriptor::new(MediaType::from(""), digest, size);
        let bytes = blocking::read_all(&*self.store, &blob, MAX_DOCUMENT)?;
        Ok(Document::classify(&bytes, None)?.descriptor())
    }
}
