//! What imgcore reads.

use imgcore::deploy::DeployManifest;
use imgcore::json::{Limits, Strictness, Value};
use imgcore::reference::Reference;
use imgcore::{Config, Digest, Document, LayerMetadata, Platform, Raw};

/// The strict JSON parser: compact and indented writing say the same again.
pub fn json(bytes: &[u8]) {
    let limits = Limits::default();
    let Ok(value) = Value::parse(bytes, &limits) else {
        return;
    };
    assert!(
        serde_json::from_slice::<serde_json::Value>(bytes).is_ok(),
        "ours takes less"
    );
    for written in [value.to_compact(), value.to_indented()] {
        let again = Value::parse(&written, &limits.clone()).expect("what was written is read");
        assert_eq!(again.to_compact(), value.to_compact());
    }
}

/// Manifests and indexes: the bytes stay as they came.
pub fn document(bytes: &[u8]) {
    if let Ok(document) = Document::classify(bytes, None) {
        assert_eq!(document.bytes(), bytes);
        let descriptor = document.descriptor();
        assert_eq!(descriptor.digest, Digest::sha256_of(bytes));
        assert!(Document::classify(bytes, Some(&descriptor.media_type)).is_ok());
    }
}

/// Configs of images.
pub fn config(bytes: &[u8]) {
    if let Ok(config) = Raw::<Config>::parse(bytes) {
        assert_eq!(config.bytes(), bytes);
        let _ = config.diff_ids();
    }
}

/// The metadata beside a layer.
pub fn layer_metadata(bytes: &[u8]) {
    for strictness in [Strictness::Lenient, Strictness::Strict] {
        let Ok(layer) = LayerMetadata::parse(bytes, strictness) else {
            continue;
        };
        let again = LayerMetadata::parse(&layer.to_json_bytes(), strictness);
        assert_eq!(again.expect("what was written is read"), layer);
    }
}

/// Deploy manifests and the operations in them.
pub fn deploy_manifest(bytes: &[u8]) {
    let Ok(manifest) = DeployManifest::parse(bytes, Strictness::Lenient) else {
        return;
    };
    for request in &manifest.operations {
        let _ = request.decode();
    }
    let written = manifest.to_json_bytes();
    let again = DeployManifest::parse(&written, Strictness::Lenient);
    assert_eq!(
        again.expect("what was written is read").to_json_bytes(),
        written
    );
}

/// References of images: the text is read as the same reference again.
pub fn reference(bytes: &[u8]) {
    let Some(reference) = parse::<Reference>(bytes) else {
        return;
    };
    let again = parse::<Reference>(reference.to_string().as_bytes());
    assert_eq!(again.expect("what was written is read"), reference);
}

/// Platforms: normalised once is normalised.
pub fn platform(bytes: &[u8]) {
    let Some(platform) = parse::<Platform>(bytes) else {
        return;
    };
    let again = parse::<Platform>(platform.to_string().as_bytes());
    assert_eq!(
        again.expect("what was written is read").to_string(),
        platform.to_string()
    );
}

/// Digests have one form.
pub fn digest(bytes: &[u8]) {
    if let Some(digest) = parse::<Digest>(bytes) {
        assert_eq!(digest.to_string().as_bytes(), bytes);
    }
}

fn parse<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}
