use imgcore::MediaType;
use imgtar::{END_OF_ARCHIVE, Header};

use super::*;
use crate::MemoryStore;

fn tar(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    Header::file(name, 0).encode(&mut out).unwrap();
    out.extend_from_slice(&END_OF_ARCHIVE);
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

fn json(descriptor: &Descriptor) -> String {
    String::from_utf8(descriptor.to_json().to_compact()).unwrap()
}

/// A store with an image of these layers; each comes with the content that its config names.
fn image(layers: &[(MediaType, &[u8], &[u8])]) -> (MemoryStore, Descriptor) {
    let store = MemoryStore::new();
    let diff_ids: Vec<_> = layers
        .iter()
        .map(|(_, _, content)| format!(r#""{}""#, DiffId::sha256_of(content)))
        .collect();
    let config = format!(
        r#"{{"architecture":"arm64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
        diff_ids.join(",")
    );
    let descriptors: Vec<_> = layers
        .iter()
        .map(|(media_type, blob, _)| {
            store.insert(blob.to_vec());
            json(&Descriptor::of(media_type.clone(), blob))
        })
        .collect();
    let manifest = format!(
        r#"{{"schemaVersion":2,"config":{},"layers":[{}]}}"#,
        json(&Descriptor::of(MediaType::OCI_CONFIG, config.as_bytes())),
        descriptors.join(",")
    );
    store.insert(config);
    let descriptor = Descriptor::of(MediaType::OCI_MANIFEST, manifest.as_bytes());
    store.insert(manifest);
    (store, descriptor)
}

fn check_one(store: &MemoryStore, root: &Descriptor) -> Vec<String> {
    let report = check(store, &[("app".to_owned(), root.clone())]);
    report.mismatches.iter().map(Mismatch::to_string).collect()
}

#[test]
fn a_good_image_has_no_mismatches() {
    let (one, two) = (tar("one"), tar("two"));
    let packed = gzip(&two);
    let (store, root) = image(&[
        (MediaType::OCI_LAYER_TAR, &one, &one),
        (MediaType::OCI_LAYER_GZIP, &packed, &two),
        (MediaType::OCI_LAYER_TAR, &one, &one),
    ]);
    let report = check(&store, &[("app".to_owned(), root)]);
    assert!(report.mismatches.is_empty(), "{:?}", report.mismatches);
    assert_eq!((report.images, report.layers), (1, 2));
    assert_eq!(report.layer_bytes, (one.len() + packed.len()) as u64);
}

#[test]
fn everything_that_is_wrong_is_listed() {
    let (one, two, other) = (tar("one"), tar("two"), tar("other"));
    let packed = gzip(&two);
    let (store, root) = image(&[
        (MediaType::OCI_LAYER_TAR, &one, &one),
        (MediaType::OCI_LAYER_GZIP, &packed, &other),
        (MediaType::OCI_LAYER_TAR, b"no tar", b"no tar"),
        (MediaType::OCI_LAYER_TAR, &packed, &two),
    ]);
    store.insert_unchecked(Digest::sha256_of(&one), one[..512].to_vec());
    insta::assert_snapshot!(check_one(&store, &root).join("\n"), @r"
    app: layer 2: cannot be read: the input ends at offset 6, within a header
    app: layer 0: has 512 bytes instead of 1536
    app: layer 0: has the digest sha256:08df18913ff0482686a05498820d846bb9dcb3150c82430ef050c9f7e928cfda instead of sha256:8eb156a62b6f6fca729a80e750244fcc803e7df58cde82877e22c8a5014dd148
    app: layer 3: is gzip although its media type says an uncompressed tar
    app: layer 0: uncompressed content has the digest sha256:08df18913ff0482686a05498820d846bb9dcb3150c82430ef050c9f7e928cfda instead of sha256:8eb156a62b6f6fca729a80e750244fcc803e7df58cde82877e22c8a5014dd148
    app: layer 1: uncompressed content has the digest sha256:8c39abd6116e4013f3f879dbb499f3b5fab2b85d9947f8f78683cfe58784d050 instead of sha256:d3526577e6b8188ba3743b792a0a2af7b3765607efe73d800ab86c241da4d258
    ");
}

#[test]
fn a_layer_without_the_blocks_that_end_an_archive_is_good() {
    let content = tar("one")[..512].to_vec();
    let packed = gzip(&content);
    for (media_type, blob) in [
        (MediaType::OCI_LAYER_TAR, &content),
        (MediaType::OCI_LAYER_GZIP, &packed),
    ] {
        let (store, root) = image(&[(media_type, blob, &content)]);
        assert_eq!(check_one(&store, &root), [""; 0]);
    }
}

#[test]
fn every_entry_of_one_manifest_is_checked_by_what_it_says() {
    let content = tar("one");
    let (store, image) = image(&[(MediaType::OCI_LAYER_TAR, &content, &content)]);
    let said = |platform: &str| {
        let mut entry = image.clone();
        entry.platform = Some(platform.parse().unwrap());
        entry
    };
    let mut short = said("linux/arm64");
    short.size -= 1;
    let entries = [said("linux/arm64"), said("linux/amd64"), short];
    let entries = entries.each_ref().map(json).join(",");
    let index = format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#);
    let root = Descriptor::of(MediaType::OCI_INDEX, index.as_bytes());
    store.insert(index);
    let found = check_one(&store, &root).join("\n");
    assert!(found.contains("entry 1: config: "), "{found}");
    assert!(found.contains("entry 2: has "), "{found}");
    assert!(!found.contains("entry 0: "), "{found}");
}

#[test]
fn a_layer_that_cannot_be_decompressed_is_listed_with_its_other_faults() {
    let content = tar("one");
    let packed = gzip(&content);
    let (store, root) = image(&[(MediaType::OCI_LAYER_GZIP, &packed, &content)]);
    store.insert_unchecked(Digest::sha256_of(&packed), packed[..20].to_vec());
    insta::assert_snapshot!(check_one(&store, &root).join("\n"), @r"
    app: layer 0: cannot be read: gzip stream: the input ends at offset 20 within a member
    app: layer 0: has 20 bytes instead of 87
    app: layer 0: has the digest sha256:88ff9fb8467dec22c5e29b181cb5af8dd3acf01ecb308464c9644f2262c194e5 instead of sha256:b45ac546447202291d26941b1a332422de55ef692cebc8225130f2f8c13d9377
    ");
}

#[test]
fn what_is_not_there_is_listed() {
    let content = tar("one");
    let (full, root) = image(&[(MediaType::OCI_LAYER_TAR, &content, &content)]);
    let store = MemoryStore::new();
    store.insert(full.get(&root.digest).unwrap());
    insta::assert_snapshot!(check_one(&store, &root).join("\n"), @r"
    app: config: is missing
    app: layer 0: is missing
    ");
}

#[test]
fn a_root_is_no_missing_entry_whatever_it_is_called() {
    let root = Descriptor::of(MediaType::OCI_MANIFEST, b"missing");
    let report = check(&MemoryStore::new(), &[("app: entry 1".to_owned(), root)]);
    assert_eq!((report.mismatches.len(), report.missing_entries), (1, 0));
}

#[test]
fn an_index_is_followed_and_a_circle_is_not() {
    let content = tar("one");
    let (store, good) = image(&[(MediaType::OCI_LAYER_TAR, &content, &content)]);
    let missing = Descriptor::of(MediaType::OCI_MANIFEST, b"missing");
    let mut circle = Descriptor::of(MediaType::OCI_INDEX, b"circle");
    let text = |circle: &Descriptor| {
        let entries = [&good, &missing, circle].map(json).join(",");
        format!(r#"{{"schemaVersion":2,"manifests":[{entries}]}}"#)
    };
    // An index cannot name its own digest; a store that lies about bytes can still lead in a circle.
    let root = Descriptor::of(MediaType::OCI_INDEX, text(&circle).as_bytes());
    circle.digest = root.digest;
    store.insert_unchecked(root.digest, text(&circle));
    let mismatches = check_one(&store, &root);
    let found = mismatches.join("\n");
    assert!(found.contains("app: entry 1: is missing"), "{found}");
    let report = check(&store, &[("app".to_owned(), root)]);
    assert_eq!(report.missing_entries, 1);
    assert!(found.contains("leads back to itself"), "{found}");
}
