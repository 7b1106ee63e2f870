use super::*;
use crate::assemble::{Base, Image, ImageOptions, assemble_image};
use crate::json::{Limits, Object, Value};
use crate::media_type::Compression;
use crate::{
    Descriptor, DiffId, Digest, Document, HistoryEntry, Index, LayerMetadata, Manifest, MediaType,
    Platform, Raw,
};

const TARS: [&[u8]; 2] = [b"first tar", b"second tar"];

/// An image of two uncompressed layers.
fn image() -> Image {
    let layers = TARS.map(|tar| {
        let diff_id = Some(DiffId::sha256_of(tar));
        let size = tar.len() as u64;
        let mut layer = LayerMetadata::new(
            diff_id,
            MediaType::OCI_LAYER_TAR,
            Digest::sha256_of(tar),
            size,
        );
        layer.history.push(HistoryEntry::created_by("make"));
        layer
    });
    let mut options = ImageOptions::default();
    options.config.platform = Some(Platform::new("linux", "arm64"));
    assemble_image(&Base::default(), &layers, &options).unwrap()
}

fn measured(tar: &[u8]) -> Measured {
    let measured = Measured::new(Digest::sha256_of(tar), tar.len() as u64);
    measured.with_content(DiffId::sha256_of(tar), Compression::None)
}

/// Replaces text in the config and has the manifest point to the result.
fn with_config(image: &Image, from: &str, to: &str) -> Image {
    let config = std::str::from_utf8(&image.config)
        .unwrap()
        .replace(from, to)
        .into_bytes();
    let manifest = Raw::<Manifest>::parse(&image.manifest).unwrap();
    let mut object = manifest.object().clone();
    object.set(
        "config",
        Descriptor::of(manifest.config.media_type.clone(), &config),
    );
    let mut image = image.clone();
    image.config = config;
    image.manifest = object.to_compact();
    image
}

fn with_manifest(image: &Image, from: &str, to: &str) -> Image {
    let mut image = image.clone();
    image.manifest = std::str::from_utf8(&image.manifest)
        .unwrap()
        .replace(from, to)
        .into_bytes();
    image
}

/// Checks an image and its layers, and compares all mismatches, one a line.
fn check(image: &Image, layers: Vec<Option<Measured>>, expected: &[&str]) {
    let manifest = Raw::<Manifest>::parse(&image.manifest).unwrap();
    let parts = ImageParts::new(&manifest)
        .with_descriptor(&image.descriptor)
        .with_config(Some(&image.config))
        .with_layers(layers);
    let mismatches = check_image("image", &parts);
    let lines: Vec<_> = mismatches.iter().map(ToString::to_string).collect();
    assert_eq!(lines, expected);
}

fn both() -> Vec<Option<Measured>> {
    TARS.map(|tar| Some(measured(tar))).to_vec()
}

#[test]
fn an_image_that_is_as_it_says_has_no_mismatch() {
    check(&image(), both(), &[]);
}

#[test]
fn every_mismatch_is_listed_not_the_first_only() {
    let mut image = image();
    image.config[0] = b' ';
    let digest = Digest::sha256_of(&image.config);
    let expected = Raw::<Manifest>::parse(&image.manifest)
        .unwrap()
        .config
        .digest;
    check(
        &image,
        vec![Some(measured(b"first tax"))],
        &[
            &format!("image: config: has the digest {digest} instead of {expected}"),
            "image: config: cannot be read: JSON document goes on after its end at byte 15",
            &format!(
                "image: layer 0: has the digest {} instead of {}",
                Digest::sha256_of(b"first tax"),
                Digest::sha256_of(TARS[0])
            ),
            "image: layer 1: is missing",
        ],
    );
}

#[test]
fn a_layer_whose_content_is_not_the_configs_is_listed() {
    let other = DiffId::sha256_of(b"other");
    let mut layers = both();
    layers[1] = layers[1].map(|layer| layer.with_content(other, Compression::Gzip));
    check(
        &image(),
        layers,
        &[
            "image: layer 1: is gzip although its media type says an uncompressed tar",
            &format!(
                "image: layer 1: uncompressed content has the digest {other} instead of {}",
                DiffId::sha256_of(TARS[1])
            ),
        ],
    );
}

#[test]
fn diff_ids_in_another_order_are_told_from_wrong_ones() {
    let [first, second] = TARS.map(|tar| DiffId::sha256_of(tar).to_string());
    let swapped = with_config(&image(), &first, "FIRST");
    let swapped = with_config(&swapped, &second, &first);
    let swapped = with_config(&swapped, "FIRST", &second);
    check(
        &swapped,
        both(),
        &[
            "image: layer 0: uncompressed content that the config names here is in layer 1",
            "image: layer 1: uncompressed content that the config names here is in layer 0",
        ],
    );
}

#[test]
fn counts_in_the_config_must_be_those_of_the_manifest() {
    let second = format!(",\"{}\"", DiffId::sha256_of(TARS[1]));
    check(
        &with_config(&image(), &second, ""),
        both(),
        &[
            "image: config: config has 1 diff_ids for the 2 layers of the manifest",
            "image: config: history has 2 entries that made a layer for 1 layers",
        ],
    );
    check(
        &with_config(
            &image(),
            r#","history":[{"created_by":"make"},{"created_by":"make"}]"#,
            "",
        ),
        both(),
        &[],
    );
    check(
        &with_config(&image(), r#""type":"layers","#, ""),
        both(),
        &[r#"image: config: rootfs is not of the type "layers""#],
    );
}

#[test]
fn the_config_must_be_for_the_platform_of_the_descriptor() {
    check(
        &with_config(&image(), "arm64", "amd64"),
        both(),
        &["image: config: is for linux/amd64/v8 although its descriptor says linux/arm64/v8"],
    );
    // The variant that arm64 has anyway need not be said.
    check(
        &with_config(&image(), r#","variant":"v8""#, ""),
        both(),
        &[],
    );
    check(
        &with_config(&image(), r#""os":"linux""#, r#""os":"""#),
        both(),
        &[
            "image: config: says no os or no architecture",
            "image: config: is for unknown although its descriptor says linux/arm64/v8",
        ],
    );
}

#[test]
fn media_types_of_both_families_do_not_mix() {
    let docker = with_manifest(
        &image(),
        MediaType::OCI_MANIFEST.as_str(),
        MediaType::DOCKER_MANIFEST.as_str(),
    );
    let docker = with_manifest(
        &docker,
        MediaType::OCI_LAYER_TAR.as_str(),
        MediaType::DOCKER_LAYER_ZSTD.as_str(),
    );
    let layers = both().into_iter().flatten();
    let layers = layers.map(|mut layer| {
        layer.compression = Some(Compression::Zstd);
        Some(layer)
    });
    check(
        &docker,
        layers.collect(),
        &[
            "image: config: is application/vnd.oci.image.config.v1+json under \
             application/vnd.docker.distribution.manifest.v2+json",
            "image: layer 0: is a zstd layer under a Docker manifest, which has no such layers",
            "image: layer 1: is a zstd layer under a Docker manifest, which has no such layers",
        ],
    );
}

#[test]
fn a_foreign_layer_may_be_elsewhere() {
    let foreign = with_manifest(
        &image(),
        MediaType::OCI_LAYER_TAR.as_str(),
        MediaType::OCI_FOREIGN_LAYER_TAR.as_str(),
    );
    check(
        &foreign,
        Vec::new(),
        &["image: layer 0: is missing", "image: layer 1: is missing"],
    );
    let with_urls = with_manifest(
        &foreign,
        r#""size":9"#,
        r#""size":9,"urls":["https://a.example"]"#,
    );
    check(&with_urls, Vec::new(), &["image: layer 1: is missing"]);
}

#[test]
fn an_artifact_must_say_what_it_is() {
    let options = ImageOptions {
        config_media_type: Some(MediaType::OCI_EMPTY),
        ..ImageOptions::default()
    };
    let artifact = assemble_image(&Base::default(), &[], &options).unwrap();
    let manifest = Raw::<Manifest>::parse(&artifact.manifest).unwrap();
    // The config is in its descriptor.
    let mismatches = check_image("artifact", &ImageParts::new(&manifest));
    let [mismatch] = &mismatches[..] else {
        panic!("{mismatches:?} is one");
    };
    assert!(matches!(mismatch.fault, Fault::ArtifactTypeMissing));
    assert_eq!(
        mismatch.to_string(),
        "artifact: manifest: has the empty config and no artifactType, which says what it is"
    );
}

#[test]
fn a_missing_config_is_listed() {
    let image = image();
    let manifest = Raw::<Manifest>::parse(&image.manifest).unwrap();
    let mismatches = check_image("image", &ImageParts::new(&manifest).with_layers(both()));
    assert_eq!(mismatches.len(), 1);
    assert_eq!(mismatches[0].to_string(), "image: config: is missing");
}

#[test]
fn a_document_is_checked_against_what_led_to_it() {
    let image = image();
    let (document, mismatches) = check_document("root", &image.descriptor, &image.manifest);
    assert!(matches!(document, Some(Document::Manifest(_))));
    assert!(mismatches.is_empty());

    let mut longer = image.manifest.clone();
    longer.push(b'\n');
    let (document, mismatches) = check_document("root", &image.descriptor, &longer);
    // It can be read, so that the check can go on.
    assert!(document.is_some());
    let lines: Vec<_> = mismatches.iter().map(ToString::to_string).collect();
    let (expected, size) = (image.descriptor.digest, image.descriptor.size);
    assert_eq!(
        lines,
        [
            format!("root: has {} bytes instead of {size}", size + 1),
            format!(
                "root: has the digest {} instead of {expected}",
                Digest::sha256_of(&longer)
            ),
        ]
    );

    let descriptor = Descriptor::of(MediaType::OCI_INDEX, &image.manifest);
    let (document, mismatches) = check_document("root", &descriptor, &image.manifest);
    assert!(document.is_none());
    assert_eq!(
        mismatches[0].to_string(),
        "root: cannot be read: document calls itself application/vnd.oci.image.manifest.v1+json but came as \
         application/vnd.oci.image.index.v1+json"
    );
}

#[test]
fn entries_of_an_index_are_documents_of_its_family() {
    let entries = [
        MediaType::DOCKER_MANIFEST,
        MediaType::OCI_MANIFEST,
        MediaType::OCI_LAYER_GZIP,
    ];
    let entries = entries.map(|media_type| Value::from(Descriptor::of(media_type, b"{}")));
    let mut index = Object::new();
    index.set("mediaType", MediaType::DOCKER_MANIFEST_LIST.as_str());
    index.set("manifests", entries.into_iter().collect::<Value>());
    let check = |index: &Object| {
        let index = Raw::<Index>::parse(&index.to_compact()).unwrap();
        let mismatches = check_index("root", &index);
        mismatches
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        check(&index),
        [
            "root: entry 1: is application/vnd.oci.image.manifest.v1+json under \
             application/vnd.docker.distribution.manifest.list.v2+json",
            "root: entry 2: is not what its media type application/vnd.oci.image.layer.v1.tar+gzip says",
            "root: entry 2: is application/vnd.oci.image.layer.v1.tar+gzip under \
             application/vnd.docker.distribution.manifest.list.v2+json",
        ]
    );
    index.set("mediaType", MediaType::OCI_INDEX.as_str());
    assert_eq!(check(&index).len(), 1);
    Value::parse(&index.to_compact(), &Limits::default()).unwrap();
}
