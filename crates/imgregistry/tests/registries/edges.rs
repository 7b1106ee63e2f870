//! The corners of the protocol: every form that registries were seen to use, whoever uses it.

use std::sync::Arc;

use bytes::Bytes;
use imgregistry::{Mount, Remote};
use imgserve::http::Handler;
use imgstore::{BlobSourceExt as _, Presence};
use imgtest::registry::customs::{Accustomed, Customs, LocationForm, Mounts, Patch, RangeSays};
use imgtest::registry::{Fault, Faults, InProcess, Recorder, RequestClass, Rule};

use super::world::{
    blob, client, feed, image, noise, pull, push, read, registry, repository_of, seed, seed_blob,
    tag, write,
};

const HOST: &str = "registry.example.com";
const ORIGIN: &str = "https://registry.example.com";
const MIB: usize = 1024 * 1024;

/// A registry with customs, and a client.
struct Place {
    registry: Arc<dyn Handler>,
    faults: Arc<Faults>,
    recorder: Arc<Recorder>,
    network: InProcess,
}

impl Place {
    fn new(change: impl FnOnce(&mut Customs)) -> Self {
        let registry = registry();
        let mut customs = Customs::default();
        change(&mut customs);
        let storage = customs.blobs.storage.clone();
        let accustomed = Accustomed::new(Arc::clone(&registry), ORIGIN, customs);
        let faults = Faults::new(Arc::clone(&accustomed) as _);
        let recorder = Recorder::new(Arc::clone(&faults) as _);
        let mut network = InProcess::new().with(ORIGIN, Arc::clone(&recorder));
        if let Some(storage) = storage {
            network = network.with(&storage, accustomed.storage());
        }
        Self {
            registry,
            faults,
            recorder,
            network,
        }
    }

    fn remote(&self) -> Remote {
        let (builder, _) = client(&self.network);
        repository_of(&builder.build().unwrap(), HOST, "team/app")
    }
}

/// Writes a small blob in one request, and a large one that comes once in chunks; reads both again.
async fn check_uploads(name: &str, change: impl Fn(&mut Customs)) {
    for size in [0, 1, 5000, 20 * MIB] {
        let place = Place::new(&change);
        let content = noise(size as u64 + 1, size);
        let descriptor = blob(&content);
        let remote = place.remote();
        let outcome = write(&remote, &descriptor, &content).await;
        outcome.unwrap_or_else(|failed| panic!("{name}, {size} bytes: {}", failed.as_dyn()));
        assert_eq!(
            read(&remote, &descriptor).await.unwrap(),
            content,
            "{name}, {size} bytes"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_form_of_location_is_followed() {
    for location in [
        LocationForm::Untouched,
        LocationForm::Absolute,
        LocationForm::Relative,
        LocationForm::Bare,
        LocationForm::QueryOnly,
        LocationForm::Singular,
        LocationForm::TwoParameters,
    ] {
        let set = |customs: &mut Customs| customs.uploads.location = location;
        check_uploads(&format!("{location:?}"), set).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_status_of_a_chunk_is_taken() {
    for status in [200, 201, 202, 204] {
        let set = |customs: &mut Customs| customs.uploads.patch = Patch::Answered(status);
        check_uploads(&format!("PATCH answers {status}"), set).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_form_of_range_is_taken() {
    for range in [
        RangeSays::Truth,
        RangeSays::Nothing,
        RangeSays::FirstChunk,
        RangeSays::WithUnit,
    ] {
        let set = |customs: &mut Customs| {
            customs.uploads.range = range;
            customs.uploads.location = LocationForm::Bare;
        };
        check_uploads(&format!("{range:?}"), set).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_registry_may_refuse_the_form_that_is_tried_first() {
    type Change = fn(&mut Customs);
    let changes: [(&str, Change); 6] = [
        ("no PATCH", |customs| {
            customs.uploads.patch = Patch::Refused(405);
        }),
        ("no PUT with the blob", |customs| {
            customs.uploads.refuses_whole_put = true;
        }),
        ("small PUTs", |customs| customs.uploads.max_put = Some(1000)),
        ("bare ranges", |customs| {
            customs.uploads.wants_bare_content_range = true;
        }),
        ("strict PUTs", |customs| customs.uploads.strict_put = true),
        ("no Accept", |customs| customs.uploads.refuses_accept = true),
    ];
    for (name, change) in changes {
        let place = Place::new(|customs| {
            customs.uploads.location = LocationForm::Absolute;
            change(customs);
        });
        let content = noise(5, 3 * MIB);
        let descriptor = blob(&content);
        let outcome = write(&place.remote(), &descriptor, &content).await;
        outcome.unwrap_or_else(|failed| panic!("{name}: {}", failed.as_dyn()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_least_chunk_that_is_announced_is_kept() {
    let place = Place::new(|customs| {
        customs.uploads.location = LocationForm::Absolute;
        customs.uploads.min_chunk = Some(10_000_000);
        customs.uploads.announces_min_chunk = true;
    });
    let content = noise(5, 25_000_000);
    let descriptor = blob(&content);
    write(&place.remote(), &descriptor, &content).await.unwrap();
    let chunks = place.recorder.of(RequestClass::PatchUpload);
    let sizes: Vec<u64> = chunks.iter().map(|chunk| chunk.received).collect();
    let all_but_last = &sizes[..sizes.len() - 1];
    assert!(
        all_but_last.iter().all(|size| *size >= 10_000_000),
        "{sizes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn every_answer_to_a_mount_ends_with_the_blob_there() {
    let mut all = vec![
        Mounts::Done,
        Mounts::Ignored,
        Mounts::SameOwner,
        Mounts::CommittedOnly,
    ];
    for status in [400, 401, 403, 404, 405, 500] {
        all.push(Mounts::Refused(status));
        all.push(Mounts::UnknownSource(status));
    }
    for mounts in all {
        let place = Place::new(|customs| customs.mounts = mounts.clone());
        let there = noise(5, 5000);
        seed_blob(&place.registry, "team/base", &blob(&there).digest, &there).await;
        let nowhere = noise(6, 5000);
        for content in [&there, &nowhere] {
            let descriptor = blob(content);
            let from = "team/base".parse().unwrap();
            let remote = place.remote();
            match remote.mount(&descriptor, &from).await {
                Ok(Mount::Mounted) => assert_eq!(content, &there, "{mounts:?}"),
                Ok(Mount::Writer(ingest)) => feed(ingest, content).await.unwrap(),
                Err(error) => panic!("{mounts:?}: {error}"),
            }
            assert_eq!(
                read(&remote, &descriptor).await.unwrap(),
                *content,
                "{mounts:?}"
            );
        }
        let starts = place.recorder.count(RequestClass::StartUpload);
        if mounts == Mounts::Ignored {
            assert_eq!(starts, 0, "the session that a mount opened is used");
        }
        for mount in place.recorder.of(RequestClass::Mount) {
            let query = mount.uri.query().unwrap_or_default();
            let mut keys: Vec<_> = query
                .split('&')
                .filter_map(|pair| pair.split('=').next())
                .collect();
            keys.sort_unstable();
            assert_eq!(keys, ["from", "mount"], "{query}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_blob_is_found_whatever_head_leaves_out() {
    type Change = fn(&mut Customs);
    let changes: [(&str, Change); 4] = [
        ("no length", |customs| customs.blobs.no_length = true),
        ("no HEAD", |customs| customs.blobs.no_head = true),
        ("storage", |customs| {
            customs.blobs.storage = Some("https://storage.test".into());
        }),
        ("HEAD at storage", |customs| {
            customs.blobs.storage = Some("https://storage.test".into());
            customs.blobs.redirects_head = true;
        }),
    ];
    for (name, change) in changes {
        let place = Place::new(change);
        let content = noise(5, 5000);
        let descriptor = blob(&content);
        seed_blob(&place.registry, "team/app", &descriptor.digest, &content).await;
        let remote = place.remote();
        let found = remote.stat_one(&descriptor.digest).await.unwrap();
        assert_eq!(found, Presence::Present { size: 5000 }, "{name}");
        let missing = remote.stat_one(&blob(b"missing").digest).await.unwrap();
        assert_eq!(missing, Presence::Absent, "{name}");
        assert_eq!(read(&remote, &descriptor).await.unwrap(), content, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_signed_url_that_has_ended_is_asked_for_again() {
    let place = Place::new(|customs| customs.blobs.storage = Some("https://storage.test".into()));
    let content = noise(5, 100_000);
    let descriptor = blob(&content);
    seed_blob(&place.registry, "team/app", &descriptor.digest, &content).await;
    let (builder, _) = client(&place.network);
    // Storage takes each signature once, so whoever comes back with the old one is refused.
    let broken = Faults::new(place.network.handler("https://storage.test").unwrap());
    broken.once(RequestClass::Other, Fault::Break { after: 40_000 });
    let network = place.network.clone().without("https://storage.test");
    let storage = Recorder::new(Arc::clone(&broken) as _);
    let network = network.with("https://storage.test", Arc::clone(&storage));
    drop(builder);
    let (builder, _) = client(&network);
    let remote = repository_of(&builder.build().unwrap(), HOST, "team/app");
    assert_eq!(read(&remote, &descriptor).await.unwrap(), content);
    let ranges: Vec<_> = storage
        .exchanges()
        .iter()
        .map(|exchange| exchange.header("range").map(str::to_owned))
        .collect();
    assert_eq!(ranges, [None, Some("bytes=40000-".to_owned())]);
    assert_eq!(storage.sent(), content.len() as u64, "no byte twice");
}

#[tokio::test(start_paused = true)]
async fn tags_may_be_null_and_in_pages() {
    let place = Place::new(|customs| customs.manifests.null_tags = true);
    let body = r#"{"name":"team/app","tags":null}"#;
    let null = Fault::Answer {
        status: 200,
        headers: vec![("Content-Type".into(), "application/json".into())],
        body: Bytes::from_static(body.as_bytes()),
    };
    place.faults.once(RequestClass::Tags, null);
    assert_eq!(place.remote().tags().all().await.unwrap(), []);

    let place = Place::new(|_| {});
    for name in ["a", "b", "c", "d", "e"] {
        seed(&place.registry, "team/app", &image(), name).await;
    }
    let pages: [(&str, Option<&str>); 3] = [
        (
            r#"{"name":"team/app","tags":["a","b"]}"#,
            Some("</v2/team/app/tags/list?n=2&last=b>; rel=\"next\""),
        ),
        (
            r#"{"name":"team/app","tags":["c","d"]}"#,
            Some("<?n=2&last=d>; rel=next"),
        ),
        (r#"{"name":"team/app","tags":["e"]}"#, None),
    ];
    for (body, link) in pages {
        let mut fault = Fault::status(200).with_body("application/json", body);
        if let Some(link) = link {
            fault = fault.with_header("Link", link);
        }
        place
            .faults
            .script(Rule::new(fault).on(RequestClass::Tags).times(1));
    }
    let tags = place.remote().tags().all().await.unwrap();
    let tags: Vec<_> = tags.iter().map(ToString::to_string).collect();
    assert_eq!(tags, ["a", "b", "c", "d", "e"]);
    let asked = place.recorder.of(RequestClass::Tags);
    let queries: Vec<_> = asked
        .iter()
        .map(|it| it.uri.query().unwrap_or_default())
        .collect();
    assert_eq!(queries[1..], ["n=2&last=b", "n=2&last=d"]);
}

#[tokio::test(start_paused = true)]
async fn referrers_come_from_the_tag_where_there_is_no_api() {
    let place = Place::new(|customs| customs.manifests.no_referrers = true);
    let subject = image();
    seed(&place.registry, "team/app", &subject, "v1").await;
    let remote = place.remote();
    let found = remote
        .referrers(&subject.manifest.digest, None)
        .await
        .unwrap();
    assert!(found.from_tag && found.manifests.is_empty());
    let index = imgtest::image::index_of(&[image()]);
    let name = subject.manifest.digest.to_string().replace(':', "-");
    let bytes = &index.blobs[&index.index.digest];
    let name = tag(&name);
    let put = remote.put_manifest(&name, &index.index.media_type, bytes.clone().into());
    put.await.unwrap();
    let found = remote
        .referrers(&subject.manifest.digest, None)
        .await
        .unwrap();
    assert!(found.from_tag);
    assert_eq!(found.manifests.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_image_with_the_same_layer_twice_and_an_empty_one_goes_there_and_back() {
    let place = Place::new(|_| {});
    let layer = imgtest::tar::tar_of([imgtest::tar::file("a", "b")]);
    let empty: Vec<u8> = Vec::new();
    let twice = imgtest::image::ImageBuilder::new()
        .layer(&layer, imgtar::Codec::None)
        .layer(&layer, imgtar::Codec::None)
        .layer(&empty, imgtar::Codec::None)
        .layer(&layer, imgtar::Codec::Gzip)
        .build();
    push(&place.remote(), "v1", &twice).await.unwrap();
    pull(&place.remote(), "v1", &twice).await.unwrap();
    assert_eq!(
        place.recorder.count(RequestClass::FinishUpload),
        4,
        "each blob once"
    );
}
