//! Artifacts that refer to images, and tags of an index's manifests.

use std::collections::BTreeMap;
use std::sync::Arc;

use imgcore::{Descriptor, MediaType};
use imgpush::{ErrorKind, Image, Options, VerifyExisting};
use imgregistry::TagOrDigest;
use imgserve::distribution::Registry;
use imgstore::MemoryStore;
use imgtest::image::{Image as Built, index_of};
use imgtest::registry::customs::{Accustomed, Customs};
use imgtest::registry::{Fault, Faults, RequestClass, Rule};

use super::world::{ORIGIN, World, built, built_for, index_to, location, sources_of, to};

/// A signature of an image, say.
pub(crate) fn artifact(subject: &Descriptor, kind: &str) -> Image {
    let manifest = serde_json::json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST.as_str(),
        "artifactType": kind,
        "config": {
            "mediaType": MediaType::OCI_EMPTY.as_str(),
            "digest": imgcore::Digest::sha256_of(b"{}").to_string(),
            "size": 2,
            "data": "e30=",
        },
        "layers": [],
        "subject": {
            "mediaType": subject.media_type.as_str(),
            "digest": subject.digest.to_string(),
            "size": subject.size,
        },
        "annotations": { "kind": kind },
    });
    let bytes = manifest.to_string().into_bytes();
    let root = Descriptor::of(MediaType::OCI_MANIFEST, &bytes);
    let store = MemoryStore::new();
    store.insert(bytes);
    let sources = imgpush::Sources::of("artifact", Arc::new(store));
    Image::new(root, location("team/app"), sources)
}

fn without_referrers() -> (World, Arc<Faults>) {
    let mut customs = Customs::default();
    customs.manifests.no_referrers = true;
    let registry = Accustomed::new(Arc::new(Registry::in_memory()), ORIGIN, customs);
    let faults = Faults::new(registry);
    (World::with(Arc::clone(&faults) as _), faults)
}

async fn assert_listed(world: &World, image: &Built, artifacts: &[&Image], from_tag: bool) {
    let remote = world.remote("team/app");
    let digest = image.manifest.digest;
    let listed = remote.referrers(&digest, None).await.unwrap();
    assert_eq!(listed.from_tag, from_tag);
    let mut digests: Vec<_> = listed.manifests.iter().map(|it| it.digest).collect();
    let mut expected: Vec<_> = artifacts.iter().map(|it| it.root.digest).collect();
    digests.sort();
    expected.sort();
    assert_eq!(digests, expected);
    for entry in listed.manifests {
        let kind = entry.artifact_type.unwrap();
        assert_eq!(entry.annotations["kind"], kind.as_str());
    }
}

async fn assert_tag(world: &World, tag: &str, image: &Built) {
    let at = TagOrDigest::Tag(tag.parse().unwrap());
    let found = world.remote("team/app").head_manifest(&at).await.unwrap();
    assert_eq!(found.unwrap().digest, image.manifest.digest);
}

#[tokio::test]
async fn referrers_follow_their_subject() {
    let world = World::new();
    let image = built(&[1]);
    let (one, other) = (
        artifact(&image.manifest, "application/x-signature"),
        artifact(&image.manifest, "application/x-sbom"),
    );
    // In whatever order they are given.
    let images = [one.clone(), to(&image, "team/app", "v1"), other.clone()];
    let report = world.push(images.clone()).await;
    assert_eq!(report.written, 3);
    let puts = world.registry.of(RequestClass::PutManifest);
    assert!(puts[0].uri.path().ends_with("/v1"), "the subject is first");
    assert_eq!(world.registry.count(RequestClass::Referrers), 0);
    assert_listed(&world, &image, &[&one, &other], false).await;
    world.push(images).await;
    assert_eq!(world.registry.count(RequestClass::PutManifest), 0);
}

#[tokio::test]
async fn a_referrer_fails_with_its_subject() {
    let world = World::new();
    let image = built(&[1]);
    let mut blobs = image.blobs.clone();
    blobs.remove(&image.layers[0].digest);
    let mut broken = to(&image, "team/app", "v1");
    broken.sources = sources_of(&blobs);
    let signature = artifact(&image.manifest, "application/x-signature");
    let images = [broken, signature];
    let report = world.try_push(images, &Options::default()).await;
    assert_eq!(world.registry.count(RequestClass::PutManifest), 0);
    let [of_subject] = report.images[0].errors.as_slice() else {
        panic!("{report}");
    };
    let [of_referrer] = report.images[1].errors.as_slice() else {
        panic!("{report}");
    };
    assert!(of_referrer.is_same(of_subject), "{report}");
}

#[tokio::test]
async fn where_the_registry_keeps_no_list_a_tag_does() {
    let (world, faults) = without_referrers();
    let image = built(&[1]);
    let kinds = ["application/x-a", "application/x-b", "application/x-c"];
    let artifacts = kinds.map(|kind| artifact(&image.manifest, kind));
    let mut images = vec![to(&image, "team/app", "v1")];
    images.extend(artifacts[..2].iter().cloned());
    world.push(images).await;
    assert_listed(&world, &image, &[&artifacts[0], &artifacts[1]], true).await;

    // What others wrote stays.
    world.push([artifacts[2].clone()]).await;
    assert_listed(&world, &image, &artifacts.each_ref(), true).await;
    let size = world.registry.count(RequestClass::PutManifest);
    assert_eq!(size, 2, "the artifact and the list");

    // A push that got no further than the artifact is completed.
    let late = artifact(&image.manifest, "application/x-late");
    let no = Fault::status(400);
    faults.script(
        Rule::new(no)
            .on(RequestClass::PutManifest)
            .after(1)
            .times(1),
    );
    let report = world.try_push([late.clone()], &Options::default()).await;
    assert!(!report.is_success());
    faults.clear();
    world.push([late.clone()]).await;
    let mut all = artifacts.iter().collect::<Vec<_>>();
    all.push(&late);
    assert_listed(&world, &image, &all, true).await;
}

#[tokio::test]
async fn manifests_of_an_index_get_tags_of_their_own() {
    let world = World::new();
    let images = ["amd64", "arm64"].map(|it| built_for(it, &[1], 3000));
    let index = index_of(&images);
    let mut wanted = index_to(&index, "team/app", "v1");
    wanted.child_tags = BTreeMap::from([
        (images[0].manifest.digest, vec!["v1-amd64".parse().unwrap()]),
        (images[1].manifest.digest, vec!["v1-arm64".parse().unwrap()]),
    ]);
    world.push([wanted.clone()]).await;
    for (tag, image) in [("v1-amd64", &images[0]), ("v1-arm64", &images[1])] {
        assert_tag(&world, tag, image).await;
    }
    world.push([wanted]).await;
    assert_eq!(world.registry.len(), 3, "a HEAD for each tag");
}

#[tokio::test]
async fn a_manifest_that_only_the_registry_has_gets_its_tag() {
    let world = World::new();
    let images = ["amd64", "arm64"].map(|it| built_for(it, &[1], 3000));
    let index = index_of(&images);
    world.push([index_to(&index, "team/app", "v1")]).await;
    let child = images[0].manifest.digest;
    let mut blobs = index.blobs.clone();
    blobs.remove(&child);
    let mut wanted = index_to(&index, "team/app", "v1");
    wanted.sources = sources_of(&blobs);
    wanted.child_tags = BTreeMap::from([(child, vec!["v1-amd64".parse().unwrap()])]);
    let report = world.push([wanted]).await;
    assert_eq!(report.written, 1, "{report}");
    assert_tag(&world, "v1-amd64", &images[0]).await;
}

#[tokio::test]
async fn below_an_index_that_is_trusted_tags_are_written() {
    let world = World::new();
    let images = ["amd64", "arm64"].map(|it| built_for(it, &[1], 3000));
    let index = index_of(&images);
    world.push([index_to(&index, "team/app", "v1")]).await;
    let mut wanted = index_to(&index, "team/app", "v1");
    let child = images[0].manifest.digest;
    wanted.child_tags = BTreeMap::from([(child, vec!["v1-amd64".parse().unwrap()])]);
    let mut options = Options::default();
    options.verify_existing = VerifyExisting::None;
    world.push_with([wanted.clone()], &options).await;
    assert_tag(&world, "v1-amd64", &images[0]).await;
    world.push_with([wanted], &options).await;
    assert_eq!(world.registry.len(), 2, "a HEAD for each tag");
}

#[tokio::test]
async fn a_tag_for_a_manifest_that_is_not_in_the_index_is_refused() {
    let world = World::new();
    let index = index_of(&[built(&[1])]);
    let mut wanted = index_to(&index, "team/app", "v1");
    let stranger = built(&[2]).manifest.digest;
    wanted.child_tags = BTreeMap::from([(stranger, vec!["v2".parse().unwrap()])]);
    let report = world.try_push([wanted], &Options::default()).await;
    assert!(world.registry.is_empty());
    let kind = report.images[0].errors[0].kind();
    assert_eq!(*kind, ErrorKind::InvalidInput, "{report}");
}

#[tokio::test]
async fn one_tag_cannot_have_two_digests() {
    let world = World::new();
    let images = [built(&[1]), built(&[2])];
    let wanted = images.each_ref().map(|it| to(it, "team/app", "v1"));
    let report = world.try_push(wanted, &Options::default()).await;
    assert!(report.images[0].is_pushed());
    let kind = report.images[1].errors[0].kind();
    assert_eq!(*kind, ErrorKind::InvalidInput, "{report}");
}
