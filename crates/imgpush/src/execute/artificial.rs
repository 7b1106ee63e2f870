//! Manifests of our own, that make registries mount what they refer to.

use imgcore::json::{Object, Value};
use imgcore::{Descriptor, Digest, MediaType};
use imgregistry::{Remote, TagOrDigest};

use crate::report::Effect;
use crate::{Artificial, Error, Result};

/// What the manifests say that they are.
const ARTIFACT_TYPE: &str = "application/vnd.imgkit.blob-reference.v1";

/// Writes a manifest that refers to one blob. It has no tag: it is there for the registry alone.
pub(super) async fn write(step: &Artificial, remote: &Remote) -> Result<Effect> {
    let bytes = document(&step.blob);
    let at = TagOrDigest::Digest(Digest::sha256_of(&bytes));
    let media_type = MediaType::OCI_MANIFEST;
    match remote.put_manifest(&at, &media_type, bytes.into()).await {
        Ok(_) => Ok(Effect::Written),
        Err(error) => {
            let what = format!(
                "no manifest for {} gets to {}",
                step.blob.digest,
                remote.repository()
            );
            Err(Error::registry(what, error))
        }
    }
}

/// The same blob gives the same document.
fn document(blob: &Descriptor) -> Vec<u8> {
    let layer = Descriptor::new(blob.media_type.clone(), blob.digest, blob.size);
    let config = Descriptor::of(MediaType::OCI_EMPTY, b"{}");
    let mut object = Object::new();
    object.set("schemaVersion", 2_u64);
    object.set("mediaType", MediaType::OCI_MANIFEST.as_str());
    object.set("artifactType", ARTIFACT_TYPE);
    object.set("config", config.to_json());
    object.set("layers", vec![Value::from(layer.to_json())]);
    object.to_compact()
}
