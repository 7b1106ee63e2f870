//! Blobs that go to several repositories: sent once, mounted elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use imgcore::{Descriptor, Digest};
use imgpush::{Batch, Dedup, ErrorKind, Image, ImageReport, MountMode, Options, Sources, dry_run};
use imgserve::distribution::Registry;
use imgserve::http::{Handler, Request, Response};
use imgtest::image::Image as Built;
use imgtest::registry::customs::{Accustomed, Customs, Mounts};
use imgtest::registry::{Exchange, RequestClass, query_value, repository_of};

use super::world::{HOST, ORIGIN, WRITING, World, built, location, store_of, to};

/// Three images on the same two layers, each with one of its own.
fn three() -> [Built; 3] {
    [10, 11, 12].map(|own| built(&[1, 2, own]))
}

fn pushes(images: &[Built]) -> Vec<Image> {
    let repositories = ["team/b", "team/a", "team/c"].iter();
    images
        .iter()
        .zip(repositories)
        .map(|(image, repository)| to(image, repository, "v1"))
        .collect()
}

/// A registry with a way of its own to take wishes for mounts.
fn with_mounts(mounts: Mounts) -> World {
    let mut customs = Customs::default();
    customs.mounts = mounts;
    let registry = Arc::new(Registry::in_memory());
    World::with(Accustomed::new(registry, ORIGIN, customs))
}

/// Returns where a blob was to be mounted from.
fn from(mount: &Exchange) -> String {
    query_value(mount.uri.query().unwrap(), "from").unwrap()
}

async fn assert_all(world: &World, images: &[Built]) {
    for (image, push) in images.iter().zip(pushes(images)) {
        let repository = push.destination.repository.as_str();
        world
            .assert_has(repository, "v1", &image.manifest, &image.blobs)
            .await;
    }
}

#[tokio::test]
async fn what_images_share_is_sent_once_and_mounted_elsewhere() {
    let world = World::new();
    let images = three();
    let report = world.push(pushes(&images)).await;
    assert_eq!(report.sent.blobs, 2 + 3 + 3, "layers, own layers, configs");
    assert_eq!(report.mounted.blobs, 4);
    assert_eq!(world.registry.count(RequestClass::Mount), 4);
    assert_eq!(world.registry.count(RequestClass::HeadBlob), 12);
    for mount in world.registry.of(RequestClass::Mount) {
        assert_eq!(from(&mount), "team/a");
        assert_eq!(mount.status.unwrap(), 201);
    }
    assert_all(&world, &images).await;
    let again = world.push(pushes(&images)).await;
    assert_eq!((again.total_requests(), world.count(&WRITING)), (3, 0));
}

#[tokio::test]
async fn without_deduplication_each_repository_gets_all() {
    let world = World::new();
    let images = three();
    let mut options = Options::default();
    options.dedup = Dedup::Off;
    let report = world.push_with(pushes(&images), &options).await;
    assert_eq!((report.sent.blobs, report.mounted.blobs), (12, 0));
    assert_eq!(world.registry.count(RequestClass::Mount), 0);
    assert_all(&world, &images).await;
}

#[tokio::test]
async fn a_refused_mount_is_an_upload_or_an_error() {
    for mounts in [Mounts::Ignored, Mounts::Refused(401), Mounts::Refused(404)] {
        let world = with_mounts(mounts.clone());
        let images = three();
        let report = world.push(pushes(&images)).await;
        assert_eq!((report.sent.blobs, report.mounted.blobs), (12, 0));
        assert_all(&world, &images).await;

        let world = with_mounts(mounts.clone());
        let mut options = Options::default();
        options.dedup = Dedup::Strict;
        let report = world.try_push(pushes(&images), &options).await;
        let failed: Vec<bool> = report.images.iter().map(|it| !it.is_pushed()).collect();
        assert_eq!(failed, [true, false, true], "{mounts:?}: {report}");
        for error in &report.images[0].errors {
            let refused = matches!(error.kind(), ErrorKind::MountRefused { .. });
            assert!(refused, "{mounts:?}: {error}");
        }
    }
}

#[tokio::test]
async fn sessions_of_refused_mounts_are_used() {
    let world = with_mounts(Mounts::Ignored);
    let images = three();
    world.push(pushes(&images)).await;
    let started = world.registry.count(RequestClass::StartUpload);
    assert_eq!(started, 8, "the other four have one from their mount");
    assert_eq!(world.registry.count(RequestClass::Mount), 4);
    assert_eq!(world.registry.count(RequestClass::FinishUpload), 12);
}

#[tokio::test]
async fn a_repository_that_has_the_image_already_is_mounted_from() {
    let world = World::new();
    let images = three();
    let pushes = pushes(&images);
    world.push([pushes[2].clone()]).await;
    let report = world.push(pushes).await;
    assert_eq!(report.sent.blobs, 4, "own layers and configs");
    for mount in world.registry.of(RequestClass::Mount) {
        assert_eq!(from(&mount), "team/c");
    }
}

#[tokio::test]
async fn all_blobs_go_through_a_staging_repository() {
    let world = World::new();
    let images = three();
    let mut options = Options::default();
    options.blob_repository = Some("stage/pool".parse().unwrap());
    options.stage_all = true;
    let report = world.push_with(pushes(&images), &options).await;
    assert_eq!(report.sent.blobs, 8);
    assert_eq!(report.mounted.blobs, 12);
    for start in world.registry.of(RequestClass::StartUpload) {
        assert_eq!(repository_of(start.uri.path()), Some("stage/pool"));
    }
    assert_all(&world, &images).await;

    // What is staged is not sent, and where it is, the stage is not asked.
    let mut more = pushes(&images);
    more.push(to(&images[0], "team/d", "v1"));
    let report = world.push_with(more, &options).await;
    assert_eq!((report.sent.blobs, report.mounted.blobs), (0, 4));
}

#[tokio::test]
async fn a_pinned_repository_gets_only_what_is_shared() {
    let world = World::new();
    let images = three();
    let mut options = Options::default();
    options.blob_repository = Some("stage/pool".parse().unwrap());
    let report = world.push_with(pushes(&images), &options).await;
    assert_eq!((report.sent.blobs, report.mounted.blobs), (8, 6));
    let staged = world.registry.of(RequestClass::StartUpload);
    let staged = staged
        .iter()
        .filter(|start| repository_of(start.uri.path()) == Some("stage/pool"));
    assert_eq!(staged.count(), 2);
}

#[tokio::test]
async fn layers_that_are_staged_need_no_source() {
    let world = World::new();
    let image = built(&[1, 2]);
    world.push([to(&image, "stage/pool", "v1")]).await;
    let mut documents = image.blobs.clone();
    documents.retain(|digest, _| image.layers.iter().all(|layer| layer.digest != *digest));
    let mut options = Options::default();
    options.blob_repository = Some("stage/pool".parse().unwrap());
    options.stage_all = true;
    options.forbid_layer_push = true;
    let mut wanted = to(&image, "team/app", "v1");
    wanted.sources = Sources::of("documents", store_of(&documents));
    let report = world.push_with([wanted], &options).await;
    assert_eq!(report.mounted.blobs, 3);
    world
        .assert_has("team/app", "v1", &image.manifest, &image.blobs)
        .await;
}

#[tokio::test]
async fn registries_that_mount_only_what_is_referred_to_get_manifests_for_it() {
    let world = with_mounts(Mounts::CommittedOnly);
    let images = three();
    let mut options = Options::default();
    options.artificial_manifests = true;
    options.dedup = Dedup::Strict;
    options.blob_repository = Some("stage/pool".parse().unwrap());
    let report = world.push_with(pushes(&images), &options).await;
    assert_eq!(report.mounted.blobs, 6);
    let manifests = world.registry.of(RequestClass::PutManifest);
    let artificial = manifests
        .iter()
        .filter(|it| repository_of(it.uri.path()) == Some("stage/pool"));
    assert_eq!(artificial.count(), 2, "one for each shared layer");
    assert_all(&world, &images).await;
}

#[tokio::test]
async fn a_layer_source_of_the_same_registry_is_mounted() {
    let world = World::new();
    let base = built(&[1]);
    world.push([to(&base, "base/os", "v1")]).await;
    let image = built(&[1, 2]);
    let mut wanted = to(&image, "team/app", "v1");
    let shared = image.layers[0].digest;
    wanted.layer_sources = BTreeMap::from([(shared, vec![location("base/os")])]);
    wanted.sources = without(&image, &[shared]);
    let report = world.push([wanted.clone()]).await;
    assert_eq!((report.mounted.blobs, report.sent.blobs), (1, 2));
    assert_eq!(world.registry.count(RequestClass::GetBlob), 0);

    // Without mounts it is read from there.
    wanted.destination = location("team/other");
    let mut options = Options::default();
    options.mount = MountMode::Off;
    options.jobs = 1;
    let report = world.push_with([wanted], &options).await;
    assert_eq!((report.mounted.blobs, report.sent.blobs), (0, 3));
    assert_eq!(world.registry.count(RequestClass::GetBlob), 1);
    let source = format!("{HOST}/base/os");
    assert_eq!(report.bytes_by_source[&source], image.layers[0].size);
}

fn without(image: &Built, digests: &[Digest]) -> Sources {
    let mut blobs = image.blobs.clone();
    blobs.retain(|digest, _| !digests.contains(digest));
    Sources::of("memory", store_of(&blobs))
}

#[tokio::test]
async fn a_dry_run_asks_and_changes_nothing() {
    let world = World::new();
    let images = three();
    world.push([pushes(&images)[0].clone()]).await;
    world.registry.clear();
    let changed = built(&[1, 2, 20]);
    let wanted = [to(&changed, "team/b", "v1"), pushes(&images)[1].clone()];
    let batch = Batch::read(wanted).await;
    let plan = dry_run(&world.client, &batch, &Options::default()).await;
    assert_eq!(world.count(&WRITING), 0);
    assert_eq!(world.registry.count(RequestClass::HeadBlob), 8);
    let text = anonymous(&plan.to_string(), &[&changed, &images[0], &images[1]]);
    insta::assert_snapshot!(text, @r"
    registry.example.com/team/b
      layer <layer 0.0> of 22016 bytes: there
      layer <layer 0.1> of 22016 bytes: there
      layer <layer 0.2> of 22016 bytes: sent from memory
      config <config 0> of 398 bytes: sent from memory
      tag v1 = <manifest 0>: written, was <manifest 1>
    registry.example.com/team/a
      layer <layer 0.0> of 22016 bytes: mounted from team/b or sent from memory
      layer <layer 0.1> of 22016 bytes: mounted from team/b or sent from memory
      layer <layer 2.2> of 22016 bytes: sent from memory
      config <config 2> of 398 bytes: sent from memory
      tag v1 = <manifest 2>: written
    ");
    let json: serde_json::Value = serde_json::from_slice(&plan.to_json()).unwrap();
    assert_eq!(json["steps"].as_array().unwrap().len(), plan.steps().len());
}

#[tokio::test]
async fn a_dry_run_refuses_what_nobody_has() {
    let world = World::new();
    let images = three();
    world.push([pushes(&images)[0].clone()]).await;
    let changed = built(&[1, 2, 20, 21]);
    let mut wanted = to(&changed, "team/b", "v1");
    // The first is there, and the second can be mounted; nobody has the fourth.
    wanted.sources = without(
        &changed,
        &[0, 1, 3].map(|place| changed.layers[place].digest),
    );
    let batch = Batch::read([wanted]).await;
    let plan = dry_run(&world.client, &batch, &Options::default()).await;
    let refusals: Vec<_> = plan
        .refusals()
        .map(|(_, error)| error.to_string())
        .collect();
    let text = anonymous(&refusals.join("\n"), &[&changed]);
    insta::assert_snapshot!(text, @"registry.example.com/team/b does not have <layer 0.3>, and no source has it; name one that does");
}

/// Calls digests by what they are, so that a snapshot can be read.
fn anonymous(text: &str, images: &[&Built]) -> String {
    let mut text = text.to_owned();
    for (number, image) in images.iter().enumerate() {
        let mut name = |descriptor: &Descriptor, name: String| {
            text = text.replace(&descriptor.digest.to_string(), &format!("<{name}>"));
        };
        name(&image.manifest, format!("manifest {number}"));
        name(&image.config, format!("config {number}"));
        for (place, layer) in image.layers.iter().enumerate() {
            name(layer, format!("layer {number}.{place}"));
        }
    }
    text
}

/// Lets nobody write to one repository.
struct Closed(Arc<Registry>, &'static str);

impl Handler for Closed {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        let is_here = repository_of(request.uri().path()) == Some(self.1);
        if is_here && request.method() == http::Method::POST {
            let refused = imgtest::registry::refusal(403, "DENIED", "nobody writes here");
            return Box::pin(std::future::ready(refused));
        }
        Arc::clone(&self.0).handle(request)
    }
}

#[tokio::test]
async fn a_first_repository_that_fails_does_not_keep_others_from_being_pushed() {
    let closed = || Closed(Arc::new(Registry::in_memory()), "team/a");
    let images = three();
    let world = World::with(Arc::new(closed()));
    let report = world.try_push(pushes(&images), &Options::default()).await;
    let pushed: Vec<bool> = report.images.iter().map(ImageReport::is_pushed).collect();
    assert_eq!(pushed, [true, false, true], "{report}");

    let world = World::with(Arc::new(closed()));
    let mut options = Options::default();
    options.dedup = Dedup::Strict;
    let report = world.try_push(pushes(&images), &options).await;
    let pushed: Vec<bool> = report.images.iter().map(ImageReport::is_pushed).collect();
    assert_eq!(pushed, [false, false, false], "{report}");
    let [shared, ..] = report.images[0].errors.as_slice() else {
        panic!("{report}");
    };
    let same = report.images[2].errors.iter();
    assert!(same.clone().any(|error| error.is_same(shared)), "{report}");
    assert_eq!(
        *shared.kind(),
        ErrorKind::Registry(imgregistry::ErrorKind::Denied)
    );
}
