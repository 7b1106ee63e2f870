//! A base on a registry: its documents are read at once, its layers when an output needs their bytes.

use std::collections::HashSet;
use std::sync::Arc;

use imgcore::{Descriptor, Digest, Platform, Reference, Tag};
use imgpull::{PullOptions, Pulled, TagOrDigest, pull};
use imgpush::Location;
use imgstore::{DirectoryStore, LocalSource as _, MemoryStore, OciLayout, Placement};

use super::BuildOptions;
use super::base::BaseImage;
use super::file::{Base, BuildFile};
use super::lock::{Change, Lock};
use crate::context::Context;
use crate::network::{Display, Network};
use crate::report::Failure;

/// An image on a registry that layers are put on.
#[derive(Debug)]
pub(super) struct RegistryBase {
    location: Location,
    network: Network,
    pulled: Pulled,
    options: PullOptions,
    display: Display,
    /// A layout that the build writes, which may have some layers already.
    layout: Option<OciLayout>,
}

impl RegistryBase {
    /// Reads the documents of the image that a build file names, as its lock file says.
    pub(super) fn find(
        context: &Context,
        file: &BuildFile,
        base: &Base,
        image: &Reference,
        options: &BuildOptions,
    ) -> Result<(Self, Option<Change>), Failure> {
        let reference = image.docker_normalized()?.or_latest();
        let pins = match reference.digest() {
            Some(_) => None,
            None => Some(Lock::read(file, options.policy)?),
        };
        let pinned = pins.as_ref().and_then(|pins| pins.pinned(base));
        if let (Some(pins), None) = (&pins, pinned) {
            pins.check_may_change(base)?;
        }
        let at = match (reference.digest().or(pinned), reference.tag()) {
            (Some(digest), _) => TagOrDigest::Digest(digest),
            (None, tag) => TagOrDigest::Tag(tag.cloned().unwrap_or_else(Tag::latest)),
        };
        let host = reference.host().cloned();
        let host = host.ok_or_else(|| Failure::new(format!("{image} has no registry")))?;
        let hosts = [host.clone()];
        let network = Network::open(context, &options.network, &hosts)?;
        let origins = hosts.iter();
        let origins = origins.map(|host| network.origin(host, reference.repository()));
        let origins = origins.collect::<Result<Vec<_>, _>>()?;
        let mut pulling = PullOptions::default();
        pulling.cache.clone_from(&network.cache);
        let platforms = file.build.platforms.iter();
        pulling.platforms = platforms.map(|platform| platform.0.clone()).collect();
        let pulled = network.watch(context, options.display, |progress| {
            let store = Arc::new(MemoryStore::new());
            let pulling = pull(&origins, &at, &pulling, store, progress);
            network.run(pulling).map_err(|error| match (pinned, &pins) {
                (Some(_), Some(pins)) => Failure::from(error)
                    .in_front(format!("the base that {} names", pins.path().display()))
                    .hint("build with --update to take what the name means now"),
                _ => Failure::from(error),
            })
        })?;
        let lock = match pins {
            Some(pins) => pins.change(base, pulled.root.digest)?,
            None => None,
        };
        let layout = file.build.output.get_ref().layout.as_ref();
        let found = Self {
            location: Location::new(host, reference.repository().clone()),
            // A directory without a layout in it is refused when it is written.
            layout: layout.and_then(|path| OciLayout::open(file.path(path)).ok()),
            display: options.display,
            options: pulling,
            network,
            pulled,
        };
        Ok((found, lock))
    }

    /// Returns the repository that it is in.
    pub(super) fn location(&self) -> &Location {
        &self.location
    }

    /// Returns whether a layer is one of its.
    pub(super) fn has(&self, layer: &Digest) -> bool {
        let mut layers = self.pulled.layers.iter();
        layers.any(|it| it.descriptor.digest == *layer)
    }

    /// Returns the image for one of the platforms that the file is built for.
    pub(super) fn image_for(&self, platform: &Platform) -> Result<BaseImage, Failure> {
        let mut wanted = self.options.platforms.iter();
        let place = wanted.position(|it| it == platform);
        let images = &self.pulled.images;
        let image = match images.as_slice() {
            [only] => Some(only),
            all => place.and_then(|place| all.get(place)),
        };
        let Some(image) = image else {
            let message = format!(
                "base {} has no image for {platform}",
                self.pulled.root.digest
            );
            return Err(Failure::new(message));
        };
        let (manifest, config) = (image.manifest.clone(), image.config.clone());
        BaseImage::new(&image.descriptor.digest, manifest, config)
    }

    /// Fetches those of the layers that are the base's into a store.
    pub(super) fn bring(
        &self,
        context: &Context,
        layers: &[Descriptor],
        staging: &DirectoryStore,
    ) -> Result<(), Failure> {
        let own = self.pulled.layers.iter();
        let own: HashSet<_> = own.map(|layer| layer.descriptor.digest).collect();
        let mut missing = Vec::new();
        for layer in layers {
            if own.contains(&layer.digest)
                && staging.size_of(&layer.digest)?.is_none()
                && !self.is_taken_from_layout(layer, staging)
            {
                missing.push(layer.clone());
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.network.watch(context, self.display, |progress| {
            let store = Arc::new(staging.clone());
            let fetching = self
                .pulled
                .fetch_layers(&missing, &self.options, store, progress);
            Ok(self.network.run(fetching)?)
        })?;
        self.network.trim_cache(context);
        Ok(())
    }

    /// Takes a layer from the layout that an earlier build wrote.
    fn is_taken_from_layout(&self, layer: &Descriptor, staging: &DirectoryStore) -> bool {
        let there = self
            .layout
            .as_ref()
            .and_then(|it| it.path_of(&layer.digest));
        there.is_some_and(|file| staging.place_file(layer, &file, Placement::Link).is_ok())
    }
}
