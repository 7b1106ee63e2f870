//! Registries that are said to have certain layers: streamed from there when no nearer place has them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::PathBuf;

use futures_core::future::BoxFuture;
use imgcore::deploy::Operation;
use imgcore::{Descriptor, Digest};
use imgpull::{LayerSource, Origin, Progress};
use imgpush::Location;
use imgstore::{BlobSource, BlobStream, Error, Presence, Result, UnverifiedStream};

use crate::deploy::request::{Request, Step};
use crate::network::Network;
use crate::report::{Explain as _, Failure};

/// The registries of each layer, best first.
#[derive(Debug, Default)]
pub(super) struct Registries {
    by_digest: BTreeMap<Digest, LayerSource>,
}

impl Registries {
    /// Takes what a request says of its layers, and of the images that they were pulled with.
    pub(super) fn of(request: &Request, network: &Network) -> std::result::Result<Self, Failure> {
        let mut sources: BTreeMap<Vec<Location>, LayerSource> = BTreeMap::new();
        let mut by_digest = BTreeMap::new();
        for (digest, places) in &request.layer_places {
            let source = if let Some(known) = sources.get(places) {
                known.clone()
            } else {
                let origins = places
                    .iter()
                    .map(|it| network.origin(&it.registry, &it.repository));
                let origins: Vec<Origin> = origins.collect::<std::result::Result<_, _>>()?;
                let source = LayerSource::new(origins, None, Progress::default());
                sources.insert(places.clone(), source.clone());
                source
            };
            by_digest.insert(*digest, source);
        }
        Ok(Self { by_digest })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_digest.is_empty()
    }

    fn of_blob(&self, digest: &Digest) -> Result<&LayerSource> {
        let source = self.by_digest.get(digest);
        source.ok_or_else(|| Error::not_found(digest, "any registry that is named for it"))
    }
}

/// Lists all registries that operations name as places of layers.
pub(in crate::deploy) fn layer_places(
    steps: &[Step],
) -> std::result::Result<BTreeMap<Digest, Vec<Location>>, Failure> {
    let mut by_digest: BTreeMap<Digest, Vec<Location>> = BTreeMap::new();
    for step in steps {
        let what = || format!("operation {}: the source of a layer", step.place);
        let originals = originals(&step.operation).map_err(|failure| failure.in_front(what()))?;
        let layers = step.operation.manifests.iter();
        for layer in layers.flat_map(|manifest| &manifest.layer_blobs) {
            let own = layer.sources.iter();
            let own = own.map(|it| place(&it.registry, &it.repository));
            let own: Vec<Location> = own
                .collect::<std::result::Result<_, Failure>>()
                .map_err(|failure| failure.in_front(what()))?;
            let known = by_digest.entry(layer.layer.digest).or_default();
            for place in own.into_iter().chain(originals.iter().cloned()) {
                if !known.contains(&place) {
                    known.push(place);
                }
            }
        }
    }
    by_digest.retain(|_, places| !places.is_empty());
    Ok(by_digest)
}

/// The places that the base image was pulled from, which may have any layer of the image.
fn originals(operation: &Operation) -> std::result::Result<Vec<Location>, Failure> {
    let original = &operation.original;
    if original.repository.is_empty() {
        return Ok(Vec::new());
    }
    let registries = original.registries.iter();
    registries
        .map(|registry| place(registry, &original.repository))
        .collect()
}

fn place(registry: &str, repository: &str) -> std::result::Result<Location, Failure> {
    let text = || format!("{repository}@{registry}");
    let registry = registry.parse().explain(text)?;
    Ok(Location::new(registry, repository.parse().explain(text)?))
}

impl BlobSource for Registries {
    fn stat<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Presence>>> {
        // Asking would cost a request a blob, and reading tells as well.
        let answer = |digest| {
            if self.by_digest.contains_key(digest) {
                Presence::Unknown
            } else {
                Presence::Absent
            }
        };
        Box::pin(std::future::ready(Ok(digests.iter().map(answer).collect())))
    }

    fn open<'a>(&'a self, descriptor: &'a Descriptor) -> BoxFuture<'a, Result<BlobStream>> {
        Box::pin(async move { self.of_blob(&descriptor.digest)?.open(descriptor).await })
    }

    fn open_range<'a>(
        &'a self,
        descriptor: &'a Descriptor,
        range: Range<u64>,
    ) -> BoxFuture<'a, Result<UnverifiedStream>> {
        Box::pin(async move {
            let source = self.of_blob(&descriptor.digest)?;
            source.open_range(descriptor, range).await
        })
    }

    fn local_path(&self, _digest: &Digest) -> Option<PathBuf> {
        None
    }
}
