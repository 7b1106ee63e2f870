//! Small images as documents and blobs in memory.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use imgcore::{Descriptor, DiffId, Digest, MediaType};
use imgstore::OciLayout;
use imgtar::Codec;
use serde_json::{Map, Value, json};

/// Makes one image for one platform.
///
/// ```
/// use imgtar::Codec;
/// use imgtest::image::ImageBuilder;
/// use imgtest::tar::{file, tar_of};
///
/// let image = ImageBuilder::new()
///     .layer(&tar_of([file("hello", "world")]), Codec::Gzip)
///     .platform("linux", "arm64", Some("v8"))
///     .config("Cmd", ["/hello"])
///     .build();
/// assert_eq!(image.blobs.len(), 3);
/// assert_eq!(image.layers[0].media_type.as_str(), "application/vnd.oci.image.layer.v1.tar+gzip");
/// ```
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    is_docker: bool,
    os: String,
    architecture: String,
    variant: Option<String>,
    layers: Vec<(Vec<u8>, Codec)>,
    config: Map<String, Value>,
    annotations: BTreeMap<String, String>,
}

impl Default for ImageBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl ImageBuilder {
    /// Starts an OCI image for linux/amd64 without layers.
    pub fn new() -> Self {
        Self {
            is_docker: false,
            os: "linux".into(),
            architecture: "amd64".into(),
            variant: None,
            layers: Vec::new(),
            config: Map::new(),
            annotations: BTreeMap::new(),
        }
    }

    /// Writes documents of Docker's schema 2 instead.
    #[must_use]
    pub fn docker(mut self) -> Self {
        self.is_docker = true;
        self
    }

    /// Adds a layer on top, from its uncompressed tar.
    #[must_use]
    pub fn layer(mut self, tar: &[u8], codec: Codec) -> Self {
        self.layers.push((tar.to_vec(), codec));
        self
    }

    /// Sets the platform.
    #[must_use]
    pub fn platform(mut self, os: &str, architecture: &str, variant: Option<&str>) -> Self {
        self.os = os.into();
        self.architecture = architecture.into();
        self.variant = variant.map(Into::into);
        self
    }

    /// Sets a member of the config's `config` object, such as `Cmd`.
    #[must_use]
    pub fn config(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.config.insert(key.into(), value.into());
        self
    }

    /// Adds an annotation to the manifest.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.into(), value.into());
        self
    }

    /// Makes the image.
    pub fn build(self) -> Image {
        let mut blobs = BTreeMap::new();
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for (tar, codec) in &self.layers {
            let bytes = compress(tar, *codec);
            diff_ids.push(DiffId::sha256_of(tar));
            layers.push(add(&mut blobs, self.layer_type(*codec), bytes));
        }
        let config = add(
            &mut blobs,
            self.config_type(),
            self.config_document(&diff_ids),
        );
        let document = self.manifest_document(&config, &layers);
        let manifest = add(&mut blobs, self.manifest_type(), document);
        let mut platform = json!({"architecture": self.architecture, "os": self.os});
        if let Some(variant) = &self.variant {
            platform["variant"] = json!(variant);
        }
        Image {
            blobs,
            manifest,
            config,
            layers,
            diff_ids,
            platform,
            is_docker: self.is_docker,
        }
    }

    fn config_document(&self, diff_ids: &[DiffId]) -> Vec<u8> {
        let diff_ids: Vec<_> = diff_ids.iter().map(ToString::to_string).collect();
        let history: Vec<_> = diff_ids
            .iter()
            .map(|_| json!({"created_by": "imgtest"}))
            .collect();
        let mut document = json!({
            "architecture": self.architecture,
            "config": self.config,
            "history": history,
            "os": self.os,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        if let Some(variant) = &self.variant {
            document["variant"] = json!(variant);
        }
        document.to_string().into_bytes()
    }

    fn manifest_document(&self, config: &Descriptor, layers: &[Descriptor]) -> Vec<u8> {
        let layers: Vec<_> = layers.iter().map(descriptor).collect();
        let mut document = json!({
            "schemaVersion": 2,
            "mediaType": self.manifest_type().as_str(),
            "config": descriptor(config),
            "layers": layers,
        });
        if !self.annotations.is_empty() {
            document["annotations"] = json!(self.annotations);
        }
        document.to_string().into_bytes()
    }

    fn manifest_type(&self) -> MediaType {
        if self.is_docker {
            DOCKER_MANIFEST
        } else {
            MediaType::OCI_MANIFEST
        }
    }

    fn config_type(&self) -> MediaType {
        if self.is_docker {
            MediaType::from_static("application/vnd.docker.container.image.v1+json")
        } else {
            MediaType::OCI_CONFIG
        }
    }

    fn layer_type(&self, codec: Codec) -> MediaType {
        match (self.is_docker, codec) {
            (false, Codec::Gzip) => MediaType::OCI_LAYER_GZIP,
            (false, Codec::None) => MediaType::OCI_LAYER_TAR,
            (false, Codec::Zstd) => MediaType::OCI_LAYER_ZSTD,
            (true, Codec::Gzip) => {
                MediaType::from_static("application/vnd.docker.image.rootfs.diff.tar.gzip")
            }
            (true, Codec::None) => {
                MediaType::from_static("application/vnd.docker.image.rootfs.diff.tar")
            }
            (true, Codec::Zstd) => {
                MediaType::from_static("application/vnd.docker.image.rootfs.diff.tar.zstd")
            }
        }
    }
}

const DOCKER_MANIFEST: MediaType =
    MediaType::from_static("application/vnd.docker.distribution.manifest.v2+json");
const DOCKER_INDEX: MediaType =
    MediaType::from_static("application/vnd.docker.distribution.manifest.list.v2+json");

/// An image in memory.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Image {
    /// Every blob, the manifest among them.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// The manifest.
    pub manifest: Descriptor,
    /// The config.
    pub config: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<Descriptor>,
    /// The diff ids of the layers.
    pub diff_ids: Vec<DiffId>,
    platform: Value,
    is_docker: bool,
}

impl Image {
    /// Returns the bytes of a blob of this image.
    ///
    /// # Panics
    ///
    /// When it has no such blob.
    pub fn blob(&self, descriptor: &Descriptor) -> &[u8] {
        &self.blobs[&descriptor.digest]
    }
}

/// Several images under one index.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageIndex {
    /// Every blob of every image, and the index.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// The index.
    pub index: Descriptor,
    /// The manifests in their order.
    pub manifests: Vec<Descriptor>,
}

/// Puts images under an index, with their platforms; a manifest list when they are Docker's.
pub fn index_of(images: &[Image]) -> ImageIndex {
    let mut blobs = BTreeMap::new();
    let mut entries = Vec::new();
    for image in images {
        blobs.extend(image.blobs.clone());
        let mut entry = descriptor(&image.manifest);
        entry["platform"] = image.platform.clone();
        entries.push(entry);
    }
    let is_docker = images.first().is_some_and(|image| image.is_docker);
    let kind = if is_docker {
        DOCKER_INDEX
    } else {
        MediaType::OCI_INDEX
    };
    let document = json!({
        "schemaVersion": 2,
        "mediaType": kind.as_str(),
        "manifests": entries,
    });
    let index = add(&mut blobs, kind, document.to_string().into_bytes());
    let manifests = images.iter().map(|image| image.manifest.clone()).collect();
    ImageIndex {
        blobs,
        index,
        manifests,
    }
}

/// Writes blobs as an OCI layout in which `root` has the name.
///
/// # Panics
///
/// When the directory cannot be written.
pub fn write_layout(
    directory: &Path,
    blobs: &BTreeMap<Digest, Vec<u8>>,
    root: &Descriptor,
    name: &str,
) {
    let layout = OciLayout::create(directory).expect("because the test owns the directory");
    for bytes in blobs.values() {
        let inserted = layout.blobs().insert(bytes);
        inserted.expect("because the test owns the directory");
    }
    let added = layout.add(root, Some(name));
    added.expect("because the test owns the directory");
}

/// Compresses at the library's default level: one gzip member or one zstd frame.
///
/// # Panics
///
/// When a codec fails on memory, which it does not.
pub fn compress(bytes: &[u8], codec: Codec) -> Vec<u8> {
    match codec {
        Codec::Gzip => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder
                .write_all(bytes)
                .expect("because memory takes all bytes");
            encoder.finish().expect("because memory takes all bytes")
        }
        Codec::None => bytes.to_vec(),
        Codec::Zstd => zstd::encode_all(bytes, 3).expect("because memory takes all bytes"),
    }
}

fn add(blobs: &mut BTreeMap<Digest, Vec<u8>>, kind: MediaType, bytes: Vec<u8>) -> Descriptor {
    let descriptor = Descriptor::of(kind, &bytes);
    blobs.insert(descriptor.digest, bytes);
    descriptor
}

fn descriptor(descriptor: &Descriptor) -> Value {
    json!({
        "mediaType": descriptor.media_type.as_str(),
        "digest": descriptor.digest.to_string(),
        "size": descriptor.size,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tar::{file, tar_of};

    #[test]
    fn documents_name_every_blob_by_its_digest() {
        let tar = tar_of([file("a", "b")]);
        let image = ImageBuilder::new()
            .layer(&tar, Codec::Zstd)
            .layer(&tar, Codec::None)
            .annotation("k", "v")
            .build();
        let manifest: Value = serde_json::from_slice(image.blob(&image.manifest)).unwrap();
        assert_eq!(
            manifest["config"]["digest"],
            image.config.digest.to_string()
        );
        assert_eq!(manifest["layers"][0]["size"], image.layers[0].size);
        assert_eq!(manifest["annotations"]["k"], "v");
        let config: Value = serde_json::from_slice(image.blob(&image.config)).unwrap();
        assert_eq!(
            config["rootfs"]["diff_ids"][1],
            image.diff_ids[1].to_string()
        );
        assert!(
            image
                .blobs
                .iter()
                .all(|(digest, bytes)| *digest == Digest::sha256_of(bytes))
        );
    }

    #[test]
    fn an_index_holds_the_blobs_of_its_images() {
        let arm = ImageBuilder::new()
            .platform("linux", "arm", Some("v7"))
            .docker()
            .build();
        let index = index_of(&[ImageBuilder::new().docker().build(), arm]);
        let document: Value = serde_json::from_slice(&index.blobs[&index.index.digest]).unwrap();
        assert_eq!(document["manifests"][1]["platform"]["variant"], "v7");
        assert_eq!(index.index.media_type, DOCKER_INDEX);
        assert_eq!(index.blobs.len(), 5);
    }
}
