//! One image: manifest, config and layers against each other.

use super::document::{check_content, check_measured};
use super::{Fault, Mismatch};
use crate::json::Value;
use crate::media_type::{Compression, Family};
use crate::{Config, Descriptor, DiffId, Digest, Manifest, MediaType, Platform, Raw};

/// What a driver found out about a blob by reading it.
///
/// Digests must be made with the algorithm of the digest that they are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Measured {
    /// The digest of the bytes.
    pub digest: Digest,
    /// How many bytes there are.
    pub size: u64,
    /// The digest of the uncompressed bytes, when the blob is a layer and could be decompressed.
    pub diff_id: Option<DiffId>,
    /// How the bytes are compressed, when the blob is a layer.
    pub compression: Option<Compression>,
}

impl Measured {
    /// Describes a blob of which only digest and size are known.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::check::Measured;
    /// use imgcore::Digest;
    ///
    /// let measured = Measured::new(Digest::sha256_of(b"blob"), 4);
    /// assert_eq!(measured.diff_id, None);
    /// ```
    pub fn new(digest: Digest, size: u64) -> Self {
        Self {
            digest,
            size,
            diff_id: None,
            compression: None,
        }
    }

    /// Adds what decompressing it showed.
    ///
    /// # Examples
    ///
    /// ```
    /// use imgcore::check::Measured;
    /// use imgcore::media_type::Compression;
    /// use imgcore::{DiffId, Digest};
    ///
    /// let measured = Measured::new(Digest::sha256_of(b"tar"), 3)
    ///     .with_content(DiffId::sha256_of(b"tar"), Compression::None);
    /// assert_eq!(measured.compression, Some(Compression::None));
    /// ```
    #[must_use]
    pub fn with_content(mut self, diff_id: DiffId, compression: Compression) -> Self {
        self.diff_id = Some(diff_id);
        self.compression = Some(compression);
        self
    }
}

/// The parts of an image, as far as a driver has them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ImageParts<'a> {
    /// The manifest.
    pub manifest: &'a Raw<Manifest>,
    /// The descriptor that led to the manifest, for its platform.
    pub descriptor: Option<&'a Descriptor>,
    /// The bytes of the config; `None` when it is not there.
    pub config: Option<&'a [u8]>,
    /// What was measured of each layer, in the order of the manifest; `None` for one that is not there. Layers beyond the
    /// end of the list count as not there.
    pub layers: Vec<Option<Measured>>,
}

impl<'a> ImageParts<'a> {
    /// Starts with a manifest and nothing else.
    pub fn new(manifest: &'a Raw<Manifest>) -> Self {
        Self {
            manifest,
            descriptor: None,
            config: None,
            layers: Vec::new(),
        }
    }

    /// Adds the descriptor that led to the manifest.
    #[must_use]
    pub fn with_descriptor(mut self, descriptor: &'a Descriptor) -> Self {
        self.descriptor = Some(descriptor);
        self
    }

    /// Adds the bytes of the config, when it is there.
    #[must_use]
    pub fn with_config(mut self, config: Option<&'a [u8]>) -> Self {
        self.config = config;
        self
    }

    /// Adds what was measured of the layers.
    #[must_use]
    pub fn with_layers(mut self, layers: Vec<Option<Measured>>) -> Self {
        self.layers = layers;
        self
    }
}

/// Checks an image whose manifest was [checked](super::check_document) already, and lists every mismatch.
///
/// `place` is what the mismatches call the image.
pub fn check_image(place: &str, parts: &ImageParts<'_>) -> Vec<Mismatch> {
    let mut checker = Checker {
        place,
        parts,
        mismatches: Vec::new(),
    };
    checker.families();
    checker.artifact_type();
    let config = checker.config();
    checker.blobs();
    if let Some(config) = config {
        checker.layers(&config);
        checker.history(&config);
        checker.platform(&config);
    }
    checker.mismatches
}

struct Checker<'a> {
    place: &'a str,
    parts: &'a ImageParts<'a>,
    mismatches: Vec<Mismatch>,
}

impl Checker<'_> {
    fn families(&mut self) {
        let manifest = self.parts.manifest;
        let family = manifest.media_type.family();
        let layers = manifest.layers.iter().enumerate();
        let parts = layers.map(|(index, layer)| (format!("layer {index}"), &layer.media_type));
        let config = std::iter::once(("config".to_owned(), &manifest.config.media_type));
        for (name, part) in config.chain(parts) {
            let is_docker = family == Family::Docker;
            if is_docker && part.compression() == Some(Compression::Zstd) {
                self.fault(&name, Fault::ZstdUnderDocker);
            } else if !matches!(part.family(), Family::Other) && part.family() != family {
                let fault = Fault::Family {
                    document: manifest.media_type.clone(),
                    part: part.clone(),
                };
                self.fault(&name, fault);
            }
        }
    }

    fn artifact_type(&mut self) {
        let manifest = self.parts.manifest;
        if manifest.config.media_type == MediaType::OCI_EMPTY && manifest.artifact_type.is_none() {
            self.fault("manifest", Fault::ArtifactTypeMissing);
        }
    }

    /// Checks the bytes of the config, and reads it when this is a container image.
    fn config(&mut self) -> Option<Raw<Config>> {
        let descriptor = &self.parts.manifest.config;
        let bytes = self.parts.config.or(descriptor.data.as_deref());
        let Some(bytes) = bytes else {
            self.fault("config", Fault::Missing);
            return None;
        };
        let place = self.at("config");
        check_content(&place, descriptor, bytes, &mut self.mismatches);
        if !self.parts.manifest.is_image() {
            return None;
        }
        match Raw::parse(bytes) {
            Ok(config) => Some(config),
            Err(error) => {
                self.fault("config", Fault::unreadable(error));
                None
            }
        }
    }

    fn blobs(&mut self) {
        for (index, descriptor) in self.parts.manifest.layers.iter().enumerate() {
            let name = format!("layer {index}");
            let Some(measured) = self.measured(index) else {
                // The content of a foreign layer is elsewhere, and that of a small one in its descriptor.
                let is_elsewhere =
                    descriptor.media_type.is_foreign_layer() && !descriptor.urls.is_empty();
                if !is_elsewhere && descriptor.data.is_none() {
                    self.fault(&name, Fault::Missing);
                }
                continue;
            };
            let place = self.at(&name);
            check_measured(
                &place,
                descriptor,
                measured.digest,
                measured.size,
                &mut self.mismatches,
            );
            if let (Some(expected), Some(actual)) =
                (descriptor.media_type.compression(), measured.compression)
                && expected != actual
            {
                self.fault(&name, Fault::Compression { expected, actual });
            }
        }
    }

    fn layers(&mut self, config: &Raw<Config>) {
        let rootfs = config.object().get("rootfs").and_then(Value::as_object);
        let kind = rootfs
            .as_ref()
            .and_then(|rootfs| rootfs.get("type")?.as_str());
        if kind.as_deref() != Some("layers") {
            self.fault("config", Fault::RootfsType);
        }
        let (layers, diff_ids) = (self.parts.manifest.layers.len(), config.diff_ids().len());
        if layers != diff_ids {
            self.fault("config", Fault::DiffIdCount { layers, diff_ids });
        }
        for (index, expected) in config.diff_ids().iter().take(layers).enumerate() {
            let Some(actual) = self.measured(index).and_then(|measured| measured.diff_id) else {
                continue;
            };
            if actual == *expected {
                continue;
            }
            let diff_id_of = |index: usize| self.measured(index)?.diff_id;
            let fault = match (0..layers).find(|other| diff_id_of(*other) == Some(*expected)) {
                Some(found_in) => Fault::DiffIdOrder { found_in },
                None => Fault::DiffId {
                    expected: *expected,
                    actual,
                },
            };
            self.fault(&format!("layer {index}"), fault);
        }
    }

    fn history(&mut self, config: &Config) {
        let made_layer = |entry: &&crate::HistoryEntry| !entry.empty_layer;
        let entries = config.history().iter().filter(made_layer).count();
        let layers = config.diff_ids().len();
        if !config.history().is_empty() && entries != layers {
            self.fault("config", Fault::HistoryCount { layers, entries });
        }
    }

    fn platform(&mut self, config: &Config) {
        let actual = config.platform();
        if actual.os.is_empty() || actual.architecture.is_empty() {
            self.fault("config", Fault::PlatformMissing);
        }
        let Some(expected) = self.parts.descriptor.and_then(|it| it.platform.as_ref()) else {
            return;
        };
        // What builders call what belongs to an image and runs nowhere.
        if expected.os == "unknown" || is_same(expected, actual) {
            return;
        }
        let fault = Fault::Platform {
            expected: expected.to_string(),
            actual: actual.to_string(),
        };
        self.fault("config", fault);
    }

    fn measured(&self, index: usize) -> Option<Measured> {
        self.parts.layers.get(index).copied().flatten()
    }

    fn at(&self, name: &str) -> String {
        format!("{}: {name}", self.place)
    }

    fn fault(&mut self, name: &str, fault: Fault) {
        let place = self.at(name);
        self.mismatches.push(Mismatch::new(place, fault));
    }
}

/// A descriptor may say less than the config (its variant, its version), but nothing else.
fn is_same(descriptor: &Platform, config: &Platform) -> bool {
    let (descriptor, config) = (descriptor.normalized(), config.normalized());
    descriptor.os == config.os
        && descriptor.architecture == config.architecture
        && (descriptor.variant == config.variant
            || descriptor.variant.is_none()
            || config.variant.is_none())
        && (descriptor.os_version == config.os_version
            || descriptor.os_version.is_none()
            || config.os_version.is_none())
}
