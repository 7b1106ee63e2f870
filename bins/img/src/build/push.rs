//! Pushing what was built: `img build --push`.

use std::sync::Arc;

use imgcore::{Descriptor, Reference, Tag};
use imgpush::{Image, Sources};
use imgstore::{DirectoryStore, MemoryStore};

use super::base::BaseSource;
use super::file::{Build, BuildFile};
use super::{BuildOptions, Built};
use crate::context::Context;
use crate::network::{Direction, Network};
use crate::push::{self, PushArguments};
use crate::report::Failure;

/// Lists the names under which a build file is pushed, before anything is built.
///
/// # Errors
///
/// Fails if there is none.
pub(super) fn names(file: &BuildFile) -> Result<Vec<Reference>, Failure> {
    let build = &file.build;
    let pushed = &build.output.get_ref().push;
    let tags = own_tags(build);
    if pushed.is_empty() {
        let Some(name) = &build.name else {
            return Err(
                Failure::new("--push: the build file gives the image no name")
                    .hint("write push = [\"registry.example/team/app\"] below [output]"),
            );
        };
        if name.0.host().is_none() {
            let message = format!("--push: the name {} has no registry", name.0);
            return Err(Failure::new(message)
                .hint("write push = [\"registry.example/team/app\"] below [output], or the registry into `name`"));
        }
        return Ok(with_tags(&name.0, &tags));
    }
    let names = pushed.iter().map(|name| &name.0);
    let names = names.flat_map(|name| match name.tag() {
        Some(_) => vec![name.clone()],
        None => with_tags(name, &tags),
    });
    Ok(names.collect())
}

/// The tags of the image's own name.
fn own_tags(build: &Build) -> Vec<Tag> {
    let own = build.name.as_ref().and_then(|name| name.0.tag().cloned());
    let more = build.tags.iter().map(|tag| tag.0.clone());
    own.into_iter().chain(more).collect()
}

fn with_tags(name: &Reference, tags: &[Tag]) -> Vec<Reference> {
    let tagged = tags.iter().map(|tag| name.clone().with_tag(tag.clone()));
    match tags {
        [] => vec![name.clone()],
        _ => tagged.collect(),
    }
}

/// Pushes an image. Layers of a base that is on a registry go from there to here, if they are not mounted.
///
/// # Errors
///
/// Fails if it is not everywhere as it should be.
pub(super) fn push(
    context: &Context,
    names: &[Reference],
    options: &BuildOptions,
    built: &Built,
    base: Option<&BaseSource>,
    staging: &DirectoryStore,
) -> Result<(), Failure> {
    let root = &built.root;
    let root = Descriptor::new(root.media_type.clone(), root.digest, root.size);
    let place = base.and_then(BaseSource::location);
    let destinations = push::destinations(names, &[], &root)?;
    let hosts = destinations.keys().map(|to| to.registry.clone());
    let hosts: Vec<_> = hosts
        .chain(place.iter().map(|it| it.registry.clone()))
        .collect();
    let network = Network::open_for(Direction::Push, context, &options.network, &hosts)?;
    let mut sources = Sources::of("the build", Arc::new(documents(built)))
        .with("new layers", Arc::new(staging.clone()));
    if let Some((name, store)) = base.and_then(BaseSource::store) {
        sources = sources.with(&name, store);
    }
    if let Some(cache) = &network.cache {
        let name = format!("cache {}", cache.root().display());
        sources = sources.with(&name, Arc::new(cache.clone()));
    }
    let images = destinations.into_iter().map(|(to, tags)| {
        let mut image = Image::new(root.clone(), to, sources.clone());
        image.tags = tags;
        if let Some(place) = &place {
            let layers = built.images.iter().flat_map(|it| &it.manifest.layers);
            let of_base = layers.map(|layer| (layer.digest, vec![place.clone()]));
            let is_of_base = |digest: &imgcore::Digest| base.is_some_and(|it| it.has(digest));
            image.layer_sources = of_base.filter(|(digest, _)| is_of_base(digest)).collect();
        }
        image
    });
    let images = images.collect();
    let settings = PushArguments::default().options();
    let report = push::push(context, &network, images, &settings, options.display)?;
    push::tell(context, &report, false)?;
    push::check(context, &report)
}

fn documents(built: &Built) -> MemoryStore {
    let store = MemoryStore::new();
    for image in &built.images {
        store.insert(image.image.config.clone());
        store.insert(image.image.manifest.clone());
    }
    if let Some(index) = &built.index {
        store.insert(index.clone());
    }
    store
}
