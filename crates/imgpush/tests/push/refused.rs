//! What cannot be pushed, and what the report says then.

use std::sync::Arc;

use imgpush::{
    ErrorKind, ExistingTags, Image, Location, MountMode, Options, Progress, Sources, push,
};
use imgstore::{ErrorKind as StoreKind, MemoryStore};
use imgtest::registry::{Fault, Faults, RequestClass, Rule};

use super::world::{WRITING, World, built, heard, location, sources_of, store_of, to};

#[tokio::test]
async fn a_tag_that_must_stay_is_left_alone() {
    let world = World::new();
    let (old, new) = (built(&[1]), built(&[2]));
    world.push([to(&old, "team/app", "v1")]).await;
    let mut options = Options::default();
    options.existing_tags = ExistingTags::Keep;
    let report = world.try_push([to(&new, "team/app", "v1")], &options).await;
    assert_eq!(world.count(&WRITING), 0);
    let error = &report.images[0].errors[0];
    let expected = ErrorKind::ImmutableTag {
        tag: "v1".parse().unwrap(),
        have: Some(old.manifest.digest),
        want: new.manifest.digest,
    };
    assert_eq!(*error.kind(), expected);
    world
        .push_with([to(&old, "team/app", "v1")], &options)
        .await;
}

#[tokio::test]
async fn a_registry_that_keeps_its_tags_is_understood() {
    let old = built(&[1]);
    let registry = Arc::new(imgserve::distribution::Registry::in_memory());
    let faults = Faults::new(registry);
    let world = World::with(Arc::clone(&faults) as _);
    world.push([to(&old, "team/app", "v1")]).await;
    let no = Fault::status(409).with_body(
        "application/json",
        r#"{"errors":[{"code":"TAG_IMMUTABLE","message":"v1 exists"}]}"#,
    );
    faults.script(Rule::new(no).on(RequestClass::PutManifest));
    let new = built(&[2]);
    let report = world
        .try_push([to(&new, "team/app", "v1")], &Options::default())
        .await;
    let errors = &report.images[0].errors;
    let [error] = errors.as_slice() else {
        panic!("{report}");
    };
    let ErrorKind::ImmutableTag { have, .. } = error.kind() else {
        panic!("{error}");
    };
    assert_eq!(*have, Some(old.manifest.digest));
}

#[tokio::test]
async fn one_image_that_fails_does_not_stop_another() {
    let world = World::new();
    let (good, bad) = (built(&[1]), built(&[2]));
    let store = store_of(&bad.blobs);
    let mut blobs = bad.blobs.clone();
    blobs.remove(&bad.layers[0].digest);
    let mut broken = to(&bad, "team/broken", "v1");
    broken.sources = sources_of(&blobs).with("nothing", Arc::new(MemoryStore::new()));
    let images = || [broken.clone(), to(&good, "team/good", "v1")];
    let report = world.try_push(images(), &Options::default()).await;
    assert!(report.images[1].is_pushed());
    let [error] = report.images[0].errors.as_slice() else {
        panic!("{report}");
    };
    let digest = bad.layers[0].digest;
    assert_eq!(*error.kind(), ErrorKind::NoSource { digest });
    let tried: Vec<&str> = error.attempts().iter().map(|it| &*it.source).collect();
    assert_eq!(tried, ["memory", "nothing"]);
    assert_eq!(world.registry.count(RequestClass::PutManifest), 1);

    // What arrived is not sent again.
    let mut whole = broken.clone();
    whole.sources = Sources::of("memory", store);
    let report = world.push([whole]).await;
    assert_eq!(report.sent.blobs, 1);
}

#[tokio::test]
async fn a_source_that_breaks_off_is_followed_by_the_next() {
    let world = World::new();
    let image = built(&[1]);
    let damaged = MemoryStore::new();
    let layer = &image.layers[0];
    damaged.insert_unchecked(layer.digest, image.blob(layer)[..100].to_vec());
    let mut wanted = to(&image, "team/app", "v1");
    wanted.sources =
        Sources::of("damaged", Arc::new(damaged)).with("whole", store_of(&image.blobs));
    let (progress, events) = heard();
    let report = push(&world.client, [wanted], &Options::default(), &progress).await;
    assert!(report.is_success(), "{report}");
    assert!(report.bytes_by_source["whole"] > layer.size);
    let is_told =
        events.lock().unwrap().iter().any(
            |it| matches!(it, imgpush::Event::SourceFailed { source, .. } if source == "damaged"),
        );
    assert!(is_told);
    world
        .assert_has("team/app", "v1", &image.manifest, &image.blobs)
        .await;
}

#[tokio::test]
async fn wrong_bytes_are_the_fault_of_their_source() {
    let image = built(&[1]);
    let layer = &image.layers[0];
    let damaged = Arc::new(MemoryStore::new());
    let mut bytes = image.blob(layer).to_vec();
    bytes[5000] ^= 1;
    damaged.insert_unchecked(layer.digest, bytes);
    let mut documents = image.blobs.clone();
    documents.remove(&layer.digest);
    let sources = Sources::of("damaged", damaged).with("documents", store_of(&documents));

    let world = World::new();
    let mut wanted = to(&image, "team/app", "v1");
    wanted.sources = sources.clone();
    let report = world.try_push([wanted.clone()], &Options::default()).await;
    let [error] = report.images[0].errors.as_slice() else {
        panic!("{report}");
    };
    let kind = error.kind();
    let is_damage = matches!(kind, ErrorKind::Source(StoreKind::DigestMismatch { .. }));
    assert!(is_damage, "{error}");
    assert_eq!(error.attempts()[0].source, "damaged");

    // Another source may have it right.
    wanted.sources = sources.with("whole", store_of(&image.blobs));
    let report = world.push([wanted]).await;
    assert_eq!(report.bytes_by_source["whole"], layer.size);
    world
        .assert_has("team/app", "v1", &image.manifest, &image.blobs)
        .await;
}

#[tokio::test]
async fn layers_that_must_not_be_sent_are_named() {
    let world = World::new();
    let image = built(&[1, 2]);
    let mut options = Options::default();
    options.forbid_layer_push = true;
    let report = world
        .try_push([to(&image, "team/app", "v1")], &options)
        .await;
    let mut named: Vec<_> = report.images[0]
        .errors
        .iter()
        .map(|error| match error.kind() {
            ErrorKind::ForbiddenLayer { layer } => *layer,
            _ => panic!("{error}"),
        })
        .collect();
    named.sort();
    let mut layers: Vec<_> = image.layers.iter().map(|it| it.digest).collect();
    layers.sort();
    assert_eq!(named, layers);
    assert_eq!(world.registry.count(RequestClass::PutManifest), 0);

    // They may be mounted.
    world.push([to(&image, "team/layers", "v1")]).await;
    let mut wanted = to(&image, "team/app", "v1");
    wanted.mount_from.push("team/layers".parse().unwrap());
    wanted.sources = sources_of(
        &image
            .blobs
            .iter()
            .filter(|(digest, _)| !layers.contains(digest))
            .map(|(digest, bytes)| (*digest, bytes.clone()))
            .collect(),
    );
    let report = world.push_with([wanted], &options).await;
    assert_eq!(report.mounted.blobs, 2);
}

#[tokio::test]
async fn a_mount_that_must_be_is_an_error_where_it_is_not() {
    let world = World::new();
    let image = built(&[1]);
    let mut wanted = to(&image, "team/app", "v1");
    wanted.mount_from.push("team/empty".parse().unwrap());
    let mut options = Options::default();
    options.mount = MountMode::Require;
    let report = world.try_push([wanted.clone()], &options).await;
    let errors = &report.images[0].errors;
    assert_eq!(errors.len(), 2, "{report}");
    for error in errors {
        let ErrorKind::MountRefused { from, .. } = error.kind() else {
            panic!("{error}");
        };
        assert_eq!(from.as_str(), "team/empty");
    }
    assert_eq!(world.registry.count(RequestClass::FinishUpload), 0);
    let report = world.push([wanted]).await;
    assert_eq!(report.sent.blobs, 2);
    assert_eq!(
        world.registry.count(RequestClass::StartUpload),
        0,
        "the sessions that the registry offers instead are used"
    );
}

#[tokio::test]
async fn an_image_without_documents_says_where_they_are_not() {
    let world = World::new();
    let image = built(&[1]);
    let sources = Sources::of("nothing", Arc::new(MemoryStore::new()));
    let wanted = Image::new(image.manifest.clone(), location("team/app"), sources);
    let report = world.try_push([wanted], &Options::default()).await;
    assert!(world.registry.is_empty());
    let error = &report.images[0].errors[0];
    assert!(
        matches!(error.kind(), ErrorKind::NoSource { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_document_is_not_pushed() {
    let world = World::new();
    let image = built(&[1]);
    let damaged = MemoryStore::new();
    let mut bytes = image.blob(&image.manifest).to_vec();
    bytes[10] ^= 1;
    damaged.insert_unchecked(image.manifest.digest, bytes);
    let sources = Sources::of("damaged", Arc::new(damaged));
    let wanted = Image::new(image.manifest.clone(), location("team/app"), sources);
    let report = world.try_push([wanted], &Options::default()).await;
    let kind = report.images[0].errors[0].kind().clone();
    let ErrorKind::Source(StoreKind::DigestMismatch { .. }) = kind else {
        panic!("{kind:?}");
    };
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_one_error() {
    let world = World::new();
    let image = built(&[1, 2, 3]);
    let mut wanted = to(&image, "team/app", "v1");
    wanted.destination = Location::new("gone.example.com".parse().unwrap(), "a".parse().unwrap());
    tokio::time::pause();
    let report = push(
        &world.client,
        [wanted],
        &Options::default(),
        &Progress::default(),
    )
    .await;
    let [error] = report.images[0].errors.as_slice() else {
        panic!("{report}");
    };
    assert!(error.kind().is_retryable());
}
