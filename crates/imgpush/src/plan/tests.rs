use std::sync::Arc;

use imgcore::{Descriptor, Digest, Tag};
use imgregistry::TagOrDigest;
use imgstore::{MemoryStore, blocking};
use imgtar::Codec;
use imgtest::image::{Image as Built, ImageBuilder, index_of};
use imgtest::tar::{file, tar_of};

use crate::{
    Action, Batch, Dedup, Holdings, Image, Location, MountMode, Options, Plan, Sources, Step,
    VerifyExisting, plan,
};

fn built(architecture: &str, layers: &[&str]) -> Built {
    let builder = ImageBuilder::new().platform("linux", architecture, None);
    let tars = layers.iter().map(|name| tar_of([file(*name, *name)]));
    tars.fold(builder, |it, tar| it.layer(&tar, Codec::None))
        .build()
}

fn at(repository: &str) -> Location {
    let registry = "r.example".parse().unwrap();
    Location::new(registry, repository.parse().unwrap())
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

fn push(
    root: &Descriptor,
    blobs: &std::collections::BTreeMap<Digest, Vec<u8>>,
    to: &str,
    tag: &str,
) -> Image {
    let store = MemoryStore::new();
    for bytes in blobs.values() {
        store.insert(bytes.clone());
    }
    let mut image = Image::new(root.clone(), at(to), Sources::of("store", Arc::new(store)));
    image.tags.push(tag.parse().unwrap());
    image
}

fn of(image: &Built, to: &str) -> Image {
    push(&image.manifest, &image.blobs, to, "v1")
}

fn planned(images: Vec<Image>, holdings: &Holdings, options: &Options) -> Plan {
    let batch = blocking::block_on(Batch::read(images));
    plan(&batch, holdings, options)
}

/// Writes a plan with names for digests.
fn shown(plan: &Plan, images: &[&Built]) -> String {
    let mut text = plan.to_string();
    for (number, image) in images.iter().enumerate() {
        for (place, layer) in image.layers.iter().enumerate() {
            let name = format!("layer-{number}.{place}");
            text = text.replace(&layer.digest.to_string(), &name);
        }
        let config = format!("config-{number}");
        text = text.replace(&image.config.digest.to_string(), &config);
        let manifest = format!("manifest-{number}");
        text = text.replace(&image.manifest.digest.to_string(), &manifest);
    }
    text
}

#[test]
fn blobs_come_first_and_the_tag_last() {
    let image = built("amd64", &["a", "b"]);
    let plan = planned(
        vec![of(&image, "app")],
        &Holdings::default(),
        &Options::default(),
    );
    insta::assert_snapshot!(shown(&plan, &[&image]), @r"
    r.example/app
      layer layer-0.0 of 2048 bytes: sent, unless it is there
      layer layer-0.1 of 2048 bytes: sent, unless it is there
      config config-0 of 299 bytes: sent, unless it is there
      tag v1 = manifest-0: written
    ");
}

#[test]
fn what_is_known_leaves_nothing_open() {
    let image = built("amd64", &["a", "b"]);
    let mut holdings = Holdings::default();
    let to = at("app");
    let old = Digest::sha256_of(b"old");
    holdings.note_manifest(&to, TagOrDigest::Tag(tag("v1")), Some(old));
    holdings.note_blob(&to, image.layers[0].digest, true);
    holdings.note_blob(&to, image.layers[1].digest, false);
    holdings.note_source(image.layers[1].digest, "store");
    let mut wanted = of(&image, "app");
    wanted.mount_from.push("base".parse().unwrap());
    let plan = planned(vec![wanted], &holdings, &Options::default());
    let shown = shown(&plan, &[&image]).replace(&old.to_string(), "old");
    insta::assert_snapshot!(shown, @r"
    r.example/app
      layer layer-0.0 of 2048 bytes: there
      layer layer-0.1 of 2048 bytes: mounted from base or sent from store
      config config-0 of 299 bytes: mounted from base or sent, unless it is there
      tag v1 = manifest-0: written, was old
    ");
}

#[test]
fn shared_blobs_are_mounted_from_the_first_repository() {
    let (one, other) = (built("amd64", &["a", "b"]), built("arm64", &["a", "c"]));
    let images = vec![of(&one, "zoo"), of(&other, "app")];
    let plan = planned(images, &Holdings::default(), &Options::default());
    insta::assert_snapshot!(shown(&plan, &[&one, &other]), @r"
    r.example/zoo
      layer layer-0.0 of 2048 bytes: mounted from app or sent, unless it is there
      layer layer-0.1 of 2048 bytes: sent, unless it is there
      config config-0 of 299 bytes: sent, unless it is there
      tag v1 = manifest-0: written
    r.example/app
      layer layer-0.0 of 2048 bytes: sent, unless it is there
      layer layer-1.1 of 2048 bytes: sent, unless it is there
      config config-1 of 299 bytes: sent, unless it is there
      tag v1 = manifest-1: written
    ");
}

#[test]
fn what_is_staged_comes_last_and_only_if_needed() {
    let image = built("amd64", &["a"]);
    let options = Options {
        blob_repository: Some("stage".parse().unwrap()),
        stage_all: true,
        artificial_manifests: true,
        mount: MountMode::Require,
        ..Options::default()
    };
    let plan = planned(vec![of(&image, "app")], &Holdings::default(), &options);
    let shown = shown(&plan, &[&image]);
    let empty = Digest::sha256_of(b"{}").to_string();
    insta::assert_snapshot!(shown.replace(&empty, "empty"), @r"
    r.example/app
      layer layer-0.0 of 2048 bytes: mounted from stage, unless it is there
      config config-0 of 200 bytes: mounted from stage, unless it is there
      tag v1 = manifest-0: written
    r.example/stage
      layer layer-0.0 of 2048 bytes: sent, unless it is there, if it is needed for a mount
      config empty of 2 bytes: sent, unless it is there, if it is needed for a mount
      manifest for layer-0.0: written, if it is needed for a mount
      config config-0 of 200 bytes: sent, unless it is there, if it is needed for a mount
      manifest for config-0: written, if it is needed for a mount
    ");
}

#[test]
fn children_come_before_their_index() {
    let images = ["amd64", "arm64"].map(|it| built(it, &["a"]));
    let index = index_of(&images);
    let mut holdings = Holdings::default();
    let there = TagOrDigest::Digest(images[1].manifest.digest);
    holdings.note_manifest(&at("app"), there, Some(images[1].manifest.digest));
    let wanted = push(&index.index, &index.blobs, "app", "v1");
    let plan = planned(vec![wanted], &holdings, &Options::default());
    let text = shown(&plan, &images.each_ref());
    let text = text.replace(&index.index.digest.to_string(), "index");
    insta::assert_snapshot!(text, @r"
    r.example/app
      layer layer-0.0 of 2048 bytes: there
      config config-0 of 200 bytes: sent, unless it is there
      manifest manifest-0: written
      manifest manifest-1: there
      tag v1 = index: written
    ");
}

#[test]
fn an_image_that_is_there_is_nothing_to_do() {
    let image = built("amd64", &["a"]);
    let mut holdings = Holdings::default();
    let digest = image.manifest.digest;
    holdings.note_manifest(&at("app"), TagOrDigest::Tag(tag("v1")), Some(digest));
    let mut options = Options::default();
    let done = planned(vec![of(&image, "app")], &holdings, &options);
    assert!(done.is_done());
    assert_eq!(done.steps().len(), 1);
    options.verify_existing = VerifyExisting::All;
    let verified = planned(vec![of(&image, "app")], &holdings, &options);
    assert!(!verified.is_done());
    assert_eq!(verified.steps().len(), 3);
}

#[test]
fn every_step_needs_only_steps_that_can_come_before_it() {
    let images = ["amd64", "arm64", "s390x"].map(|it| built(it, &["a", "b", it]));
    let index = index_of(&images);
    let wanted = || {
        let mut all: Vec<Image> = ["x", "y", "z"]
            .iter()
            .map(|to| push(&index.index, &index.blobs, to, "v1"))
            .collect();
        all.extend(images.iter().map(|it| of(it, "y")));
        all
    };
    for dedup in [Dedup::BestEffort, Dedup::Off, Dedup::Strict] {
        for staged in [None, Some("stage"), Some("x")] {
            for artificial in [false, true] {
                let options = Options {
                    dedup,
                    blob_repository: staged.map(|it| it.parse().unwrap()),
                    stage_all: staged.is_some(),
                    artificial_manifests: artificial,
                    ..Options::default()
                };
                let plan = planned(wanted(), &Holdings::default(), &options);
                assert_order(plan.steps());
            }
        }
    }
}

/// Checks that there is an order in which every step comes after those that it needs, and that no blob is mounted from
/// its own repository.
fn assert_order(steps: &[Step]) {
    let mut seen = std::collections::HashSet::new();
    for (place, step) in steps.iter().enumerate() {
        let mut path = vec![place];
        let mut depth = 0;
        while let Some(next) = path.pop() {
            depth += 1;
            assert!(depth < 10_000, "step {place} needs itself: {step}");
            path.extend(&steps[next].needs);
            if let Action::Blob(blob) = &steps[next].action
                && let Some(mount) = &blob.mount
            {
                assert_ne!(mount.repository, steps[next].to.repository);
                path.extend(mount.after);
            }
        }
        if !step.is_on_demand {
            for &need in &step.needs {
                assert!(seen.contains(&need), "step {need} comes after {place}");
            }
        }
        seen.insert(place);
    }
}
