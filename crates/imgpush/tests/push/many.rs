//! Many images on the same layers, each to a repository of its own.

use std::collections::HashMap;

use imgpush::{Image, Sources};
use imgstore::MemoryStore;
use imgtar::Codec;
use imgtest::image::ImageBuilder;
use imgtest::registry::{RequestClass, repository_of};

use super::world::{World, layer, location};

const IMAGES: usize = 1500;
const LAYERS: usize = 3;

/// Images that differ in their configs alone.
fn images() -> Vec<Image> {
    let store = MemoryStore::new();
    let layers: Vec<Vec<u8>> = (0..LAYERS as u64).map(|seed| layer(seed, 2000)).collect();
    let built: Vec<_> = (0..IMAGES)
        .map(|number| {
            let builder = ImageBuilder::new().config("User", number.to_string());
            let built = layers
                .iter()
                .fold(builder, |it, tar| it.layer(tar, Codec::None))
                .build();
            for bytes in built.blobs.values() {
                store.insert(bytes.clone());
            }
            built.manifest
        })
        .collect();
    let sources = Sources::of("memory", std::sync::Arc::new(store));
    (0..IMAGES)
        .zip(built)
        .map(|(number, root)| {
            let to = location(&format!("team/app-{number:04}"));
            let mut image = Image::new(root, to, sources.clone());
            image.tags.push("v1".parse().unwrap());
            image
        })
        .collect()
}

#[tokio::test]
async fn shared_layers_of_1500_images_are_sent_once() {
    let world = World::new();
    let report = world.push(images()).await;
    assert_eq!(report.sent.blobs, (LAYERS + IMAGES) as u64);
    assert_eq!(report.mounted.blobs, (LAYERS * (IMAGES - 1)) as u64);
    assert_eq!(
        world.registry.count(RequestClass::StartUpload),
        LAYERS + IMAGES
    );
    assert_eq!(
        world.registry.count(RequestClass::Mount),
        LAYERS * (IMAGES - 1)
    );
    assert_eq!(world.registry.count(RequestClass::PutManifest), IMAGES);

    let mut asked: HashMap<(String, String), usize> = HashMap::new();
    for head in world.registry.of(RequestClass::HeadBlob) {
        let repository = repository_of(head.uri.path()).unwrap().to_owned();
        let digest = head.uri.path().rsplit('/').next().unwrap().to_owned();
        *asked.entry((repository, digest)).or_default() += 1;
    }
    assert_eq!(asked.len(), IMAGES * (LAYERS + 1));
    assert!(asked.values().all(|times| *times == 1));

    let again = world.push(images()).await;
    assert_eq!(again.total_requests(), IMAGES as u64);
}
