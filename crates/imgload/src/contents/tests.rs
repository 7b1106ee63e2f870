use std::sync::Arc;

use imgstore::MemoryStore;
use imgstore::blocking::block_on;
use imgtar::Codec;
use imgtest::image::{Image as Built, ImageBuilder, index_of};
use imgtest::tar::{file, tar_of};

use super::*;

fn built(architecture: &str) -> Built {
    let layer = tar_of([file("bin/hello", architecture)]);
    ImageBuilder::new()
        .layer(&layer, Codec::None)
        .platform("linux", architecture, None)
        .build()
}

/// An index of two images, and what is in it.
struct Sample {
    store: MemoryStore,
    root: Descriptor,
    images: [Built; 2],
}

impl Sample {
    fn new() -> Self {
        let images = ["amd64", "arm64"].map(built);
        let index = index_of(&images);
        let store = MemoryStore::new();
        for bytes in index.blobs.values() {
            store.insert(bytes.clone());
        }
        Self {
            store,
            root: index.index,
            images,
        }
    }

    /// The same index, of which the entries say no platforms.
    fn silent(self) -> Self {
        let text = self.store.get(&self.root.digest).unwrap();
        let mut index: serde_json::Value = serde_json::from_slice(&text).unwrap();
        for entry in index["manifests"].as_array_mut().unwrap() {
            entry.as_object_mut().unwrap().remove("platform");
        }
        self.store.remove(&self.root.digest);
        let text = index.to_string();
        let root = Descriptor::of(self.root.media_type.clone(), text.as_bytes());
        self.store.insert(text);
        Self { root, ..self }
    }

    fn read(&self, platforms: Platforms) -> Result<Contents> {
        let name = "hello".parse().unwrap();
        let mut image = Image::new(self.root.clone(), [name], Arc::new(self.store.clone()));
        image.platforms = platforms;
        block_on(read(&image))
    }
}

fn only(platforms: &[&str]) -> Platforms {
    Platforms::Only(platforms.iter().map(|it| it.parse().unwrap()).collect())
}

fn prefer(platform: &str) -> Platforms {
    Platforms::Prefer(platform.parse().unwrap())
}

fn digests(all: &[Node]) -> Vec<Digest> {
    all.iter().map(|it| it.descriptor.digest).collect()
}

#[test]
fn all_of_an_index_is_all_that_it_leads_to() {
    let sample = Sample::new();
    let contents = sample.read(Platforms::All).unwrap();
    let [amd64, arm64] = &sample.images;
    let expected = [
        amd64.manifest.digest,
        arm64.manifest.digest,
        sample.root.digest,
    ];
    assert_eq!(digests(&contents.documents), expected);
    assert_eq!(contents.blobs.len(), 4);
    assert_eq!(contents.left_out, 0);
}

#[test]
fn the_index_stays_whole_and_other_manifests_need_not_be_there() {
    let sample = Sample::new();
    let [amd64, arm64] = &sample.images;
    for gone in [&amd64.manifest, &amd64.config, &amd64.layers[0]] {
        assert!(sample.store.remove(&gone.digest));
    }
    for platforms in [
        only(&["linux/arm64"]),
        only(&["linux/arm64/v8", "linux/arm64"]),
        prefer("linux/arm64"),
    ] {
        let contents = sample.read(platforms).unwrap();
        assert_eq!(
            digests(&contents.documents),
            [arm64.manifest.digest, sample.root.digest]
        );
        assert_eq!(
            contents.blobs,
            [arm64.config.clone(), arm64.layers[0].clone()]
        );
        assert_eq!(contents.left_out, 1);
        // It names what stays behind, too.
        let root = contents.documents.last().unwrap();
        assert_eq!(root.children.len(), 2);
    }
    let error = sample.read(Platforms::All).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Source(StoreKind::NotFound));
}

#[test]
fn entries_that_say_no_platform_bring_their_documents() {
    let sample = Sample::new().silent();
    let contents = sample.read(only(&["linux/arm64"])).unwrap();
    let [amd64, arm64] = &sample.images;
    let expected = [
        amd64.manifest.digest,
        arm64.manifest.digest,
        sample.root.digest,
    ];
    assert_eq!(digests(&contents.documents), expected);
    let expected = [&amd64.config, &arm64.config, &arm64.layers[0]].map(Clone::clone);
    assert_eq!(contents.blobs, expected);
    assert_eq!(contents.left_out, 1);
}

#[test]
fn a_platform_that_is_not_there_is_an_error_that_lists_what_is() {
    let sample = Sample::new();
    let error = sample
        .read(only(&["linux/amd64", "linux/s390x"]))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoPlatform);
    let text = error
        .to_string()
        .replace(&sample.root.digest.to_string(), "DIGEST");
    insta::assert_snapshot!(text, @"DIGEST has no image for linux/s390x; it has images for linux/amd64, linux/arm64");
    assert_eq!(
        sample.read(prefer("linux/s390x")).unwrap_err().kind(),
        ErrorKind::NoPlatform
    );
}

#[test]
fn the_only_image_is_taken_unless_another_platform_is_insisted_on() {
    let arm64 = built("arm64");
    let store = MemoryStore::new();
    for bytes in arm64.blobs.values() {
        store.insert(bytes.clone());
    }
    let mut sample = Sample {
        store,
        root: arm64.manifest.clone(),
        images: [built("amd64"), arm64],
    };
    for _ in 0..2 {
        sample.read(prefer("linux/amd64")).unwrap();
        sample.read(only(&["linux/arm64"])).unwrap();
        let error = sample.read(only(&["linux/amd64"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoPlatform);
        // Then as the only image of an index.
        let index = index_of(&sample.images[1..]);
        sample
            .store
            .insert(index.blobs[&index.index.digest].clone());
        sample.root = index.index;
    }
}
