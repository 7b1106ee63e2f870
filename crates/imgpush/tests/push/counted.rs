//! What a push asks for and sends: no more than it must.

use imgpush::{Options, VerifyExisting};
use imgregistry::TagOrDigest;
use imgtest::image::index_of;
use imgtest::registry::RequestClass;

use super::world::{WRITING, World, built, built_for, index_to, sources_of, to};

#[tokio::test]
async fn first_push_asks_once_and_sends_once() {
    let world = World::new();
    let image = built(&[1, 2, 3]);
    let report = world.push([to(&image, "team/app", "v1")]).await;
    world
        .assert_has("team/app", "v1", &image.manifest, &image.blobs)
        .await;
    world.registry.clear();
    assert_eq!((report.sent.blobs, report.skipped.blobs), (4, 0));
    assert_eq!(report.written, 1, "one tag, one PUT");
    // The GET is the question whether this is a registry.
    insta::assert_json_snapshot!(report.requests, @r#"
    {
      "GET": 1,
      "HEAD": 6,
      "POST": 4,
      "PUT": 5
    }
    "#);
}

#[tokio::test]
async fn second_push_of_an_image_is_one_head() {
    let world = World::new();
    let image = built(&[1, 2, 3]);
    world.push([to(&image, "team/app", "v1")]).await;
    let report = world.push([to(&image, "team/app", "v1")]).await;
    assert_eq!(world.registry.count(RequestClass::HeadManifest), 1);
    assert_eq!(world.registry.len(), 1);
    assert_eq!(report.total_requests(), 1);
    assert_eq!((report.written, report.unchanged), (0, 1));
}

#[tokio::test]
async fn a_new_tag_of_a_known_image_asks_for_no_blob() {
    let world = World::new();
    let image = built(&[1, 2, 3]);
    world.push([to(&image, "team/app", "v1")]).await;
    world.push([to(&image, "team/app", "v2")]).await;
    assert_eq!(world.registry.count(RequestClass::HeadManifest), 2);
    assert_eq!(world.registry.count(RequestClass::PutManifest), 1);
    assert_eq!(world.registry.len(), 3);
}

#[tokio::test]
async fn a_changed_layer_is_all_that_is_sent() {
    let world = World::new();
    world.push([to(&built(&[1, 2, 3]), "team/app", "v1")]).await;
    let changed = built(&[1, 2, 4]);
    let report = world.push([to(&changed, "team/app", "v1")]).await;
    assert_eq!(report.sent.blobs, 2, "the layer and the config");
    assert_eq!(report.skipped.blobs, 2);
    assert_eq!(world.registry.count(RequestClass::StartUpload), 2);
    assert_eq!(world.registry.count(RequestClass::FinishUpload), 2);
    assert_eq!(world.registry.count(RequestClass::PutManifest), 1);
    assert_eq!(world.registry.count(RequestClass::HeadBlob), 4);
    let documents = 4096;
    let layer = changed.blob(&changed.layers[2]).len() as u64;
    let received = world.registry.received();
    assert!((layer..layer + documents).contains(&received), "{received}");
    world
        .assert_has("team/app", "v1", &changed.manifest, &changed.blobs)
        .await;
}

#[tokio::test]
async fn several_tags_are_put_once_each() {
    let world = World::new();
    let image = built(&[1]);
    let mut wanted = to(&image, "team/app", "v1");
    for tag in ["v1", "v1.2", "latest"] {
        wanted.tags.push(tag.parse().unwrap());
    }
    let report = world.push([wanted.clone()]).await;
    assert_eq!(world.registry.count(RequestClass::PutManifest), 3);
    assert_eq!(report.written, 3);
    world.push([wanted]).await;
    assert_eq!(world.registry.len(), 3, "a HEAD for each");
}

#[tokio::test]
async fn an_image_without_tags_is_written_under_its_digest() {
    let world = World::new();
    let image = built(&[1]);
    let mut wanted = to(&image, "team/app", "v1");
    wanted.tags.clear();
    world.push([wanted.clone()]).await;
    let at = TagOrDigest::Digest(image.manifest.digest);
    let found = world.remote("team/app").head_manifest(&at).await.unwrap();
    assert!(found.is_some());
    world.push([wanted]).await;
    assert_eq!(world.registry.len(), 1);
}

#[tokio::test]
async fn what_is_asked_below_an_index_that_is_there_is_a_choice() {
    let world = World::new();
    let images = ["amd64", "arm64", "riscv64"].map(|it| built_for(it, &[1, 2], 3000));
    let index = index_of(&images);
    world.push([index_to(&index, "team/app", "v1")]).await;
    world
        .assert_has("team/app", "v1", &index.index, &index.blobs)
        .await;
    for (verify, manifests, blobs) in [
        (VerifyExisting::None, 1, 0),
        (VerifyExisting::Children, 4, 0),
        // Three configs, and two layers that the images share.
        (VerifyExisting::All, 4, 5),
    ] {
        let mut options = Options::default();
        options.verify_existing = verify;
        world
            .push_with([index_to(&index, "team/app", "v1")], &options)
            .await;
        assert_eq!(world.count(&WRITING), 0, "{verify:?}");
        let asked = world.registry.count(RequestClass::HeadManifest);
        assert_eq!(asked, manifests, "{verify:?}");
        let asked = world.registry.count(RequestClass::HeadBlob);
        assert_eq!(asked, blobs, "{verify:?}");
        assert_eq!(world.registry.len(), manifests + blobs, "{verify:?}");
    }
}

#[tokio::test]
async fn a_child_that_the_registry_lost_is_restored() {
    let world = World::new();
    let images = ["amd64", "arm64"].map(|it| built_for(it, &[1], 3000));
    let index = index_of(&images);
    world.push([index_to(&index, "team/app", "v1")]).await;
    let lost = TagOrDigest::Digest(images[1].manifest.digest);
    world
        .remote("team/app")
        .delete_manifest(&lost)
        .await
        .unwrap();
    let report = world.push([index_to(&index, "team/app", "v1")]).await;
    assert_eq!(world.registry.count(RequestClass::PutManifest), 1);
    assert_eq!(report.sent.blobs, 0, "its blobs were there");
    assert_eq!(
        world.registry.count(RequestClass::HeadBlob),
        1,
        "its config; the layer is the other image's as well"
    );
    world
        .assert_has("team/app", "v1", &index.index, &index.blobs)
        .await;
}

#[tokio::test]
async fn all_that_is_verified_is_restored() {
    let world = World::new();
    let image = built(&[1, 2]);
    world.push([to(&image, "team/app", "v1")]).await;
    let lost = image.layers[0].digest;
    world.remote("team/app").delete_blob(&lost).await.unwrap();
    let mut options = Options::default();
    options.verify_existing = VerifyExisting::All;
    let report = world
        .push_with([to(&image, "team/app", "v1")], &options)
        .await;
    assert_eq!(report.sent.blobs, 1);
    assert_eq!(world.registry.count(RequestClass::PutManifest), 0);
}

#[tokio::test]
async fn a_report_is_a_text_and_json() {
    let world = World::new();
    let (good, bad) = (built(&[1, 2]), built(&[1, 3]));
    let mut broken = to(&bad, "team/broken", "v1");
    let mut documents = bad.blobs.clone();
    documents.remove(&bad.layers[1].digest);
    broken.sources = sources_of(&documents);
    let images = [to(&good, "team/app", "v1"), broken];
    let report = world.try_push(images, &Options::default()).await;
    let named = |text: String| {
        text.replace(&good.manifest.digest.to_string(), "good")
            .replace(&bad.manifest.digest.to_string(), "bad")
            .replace(&bad.layers[1].digest.to_string(), "layer")
    };
    insta::assert_snapshot!(named(report.to_string()), @r"
    registry.example.com/team/app:v1@good: pushed
    registry.example.com/team/broken:v1@bad: failed
      registry.example.com/team/broken does not have layer, and no source has it
        memory: no blob layer in memory
    blobs: 4 sent (44630 bytes), 1 mounted (22016 bytes), 0 skipped (0 bytes)
    manifests and tags: 1 written, 0 unchanged
    from memory: 44630 bytes
    requests: 21 (1 GET, 10 HEAD, 5 POST, 5 PUT)
    ");
    let json = String::from_utf8(report.to_json()).unwrap();
    insta::assert_snapshot!(named(json), @r#"{"images":[{"destination":"registry.example.com/team/app","digest":"good","tags":["v1"],"pushed":true,"errors":[]},{"destination":"registry.example.com/team/broken","digest":"bad","tags":["v1"],"pushed":false,"errors":["registry.example.com/team/broken does not have layer, and no source has it\n  memory: no blob layer in memory"]}],"skipped":{"blobs":0,"bytes":0},"mounted":{"blobs":1,"bytes":22016},"sent":{"blobs":4,"bytes":44630},"manifests":{"written":1,"unchanged":0},"bytes_by_source":{"memory":44630},"requests":{"GET":1,"HEAD":10,"POST":5,"PUT":5}}"#);
}
