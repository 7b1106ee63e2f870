//! The number of jobs is a ceiling on requests in flight, as the registry counts them.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use imgpush::{MountMode, Options, Sources};
use imgserve::distribution::Registry;
use imgserve::http::{Handler, Request, Response};
use imgtest::image::index_of;
use imgtest::registry::RequestClass;

use super::world::{World, built_for, index_to, location, store_of, to};

/// Lets every other task run before it answers, so that requests meet.
struct Slow(Arc<dyn Handler>);

impl Handler for Slow {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            for _ in 0..50 {
                tokio::task::yield_now().await;
            }
            Arc::clone(&self.0).handle(request).await
        })
    }
}

#[tokio::test]
async fn no_more_requests_are_in_flight_than_there_are_jobs() {
    let images: Vec<_> = ["amd64", "arm64", "riscv64", "s390x"]
        .iter()
        .zip(0..)
        .map(|(it, seed)| built_for(it, &[10 * seed, 10 * seed + 1, 10 * seed + 2], 500))
        .collect();
    let index = index_of(&images);
    for jobs in [1, 4, 16] {
        let world = World::with(Arc::new(Slow(Arc::new(Registry::in_memory()))));
        let mut options = Options::default();
        options.jobs = jobs;
        world
            .push_with([index_to(&index, "team/app", "v1")], &options)
            .await;
        // All of them are used: there are sixteen blobs.
        assert_eq!(world.registry.most_in_flight(), jobs);
    }
}

#[tokio::test]
async fn a_blob_that_is_read_from_a_registry_counts_twice() {
    let image = built_for("amd64", &(0..12).collect::<Vec<_>>(), 200_000);
    for (jobs, most) in [(1, 2), (4, 4), (7, 7)] {
        let world = World::with(Arc::new(Slow(Arc::new(Registry::in_memory()))));
        world.push([to(&image, "base/os", "v1")]).await;
        let mut documents = image.blobs.clone();
        for layer in &image.layers {
            documents.remove(&layer.digest);
        }
        let mut wanted = to(&image, "team/app", "v1");
        wanted.sources = Sources::of("documents", store_of(&documents));
        let from = || vec![location("base/os")];
        let layers = image.layers.iter();
        wanted.layer_sources = layers.map(|layer| (layer.digest, from())).collect();
        let mut options = Options::default();
        options.jobs = jobs;
        options.mount = MountMode::Off;
        let report = world.push_with([wanted], &options).await;
        assert_eq!(report.sent.blobs, 13);
        assert_eq!(world.registry.count(RequestClass::GetBlob), 12);
        assert!(world.registry.most_in_flight() <= most, "{jobs}");
    }
}
