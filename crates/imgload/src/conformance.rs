//! What every engine must do, as functions that its tests call.
//!
//! ```no_run
//! # async fn example(engine: &dyn imgload::Engine) {
//! imgload::conformance::all(engine, "run-1").await;
//! # }
//! ```
//!
//! This module is outside of semantic versioning: a release may add checks that an engine fails.
//!
//! # Panics
//!
//! All of it, by design, where an engine does not behave.
#![expect(clippy::unwrap_used, reason = "these are assertions of tests")]

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use futures_util::future::{join, select};
use futures_util::{FutureExt, pin_mut};
use imgcore::{Descriptor, DiffId, Digest, MediaType, Platform, Reference};
use imgstore::{ErrorKind as StoreKind, MemoryStore};

use crate::{Amount, Change, Engine, ErrorKind, Event, How, Image, Platforms, Progress};

/// Checks an engine. `seed` goes into names and layers: with another one at each call, the engine may be one that ran before.
pub async fn all(engine: &dyn Engine, seed: &str) {
    let suite = Suite { engine, seed };
    suite.what_was_loaded_has_its_names().await;
    suite.what_is_there_is_not_written_again().await;
    suite.a_changed_layer_is_sent_alone().await;
    suite
        .an_index_stays_whole_without_the_layers_of_others()
        .await;
    suite.a_platform_that_is_not_there_is_an_error().await;
    suite.a_layer_that_is_missing_leaves_no_name().await;
    suite.a_damaged_layer_is_blamed_on_its_source().await;
    suite.two_loads_at_once_both_work().await;
    suite.a_load_that_is_dropped_leaves_no_name().await;
    suite.names_of_other_images_are_refused().await;
}

struct Suite<'a> {
    engine: &'a dyn Engine,
    seed: &'a str,
}

impl Suite<'_> {
    async fn what_was_loaded_has_its_names(&self) {
        let sample = self.sample("named", &["a", "b"]);
        let names = [self.name("named", "1"), self.name("named", "2")];
        let image = sample.image(&names);
        let (events, progress) = recorder();
        let report = self.engine.load(&image, &progress).await.unwrap();
        assert_eq!(report.names.len(), 2);
        assert!(report.names.iter().all(|it| it.change == Change::Created));
        assert_eq!(report.sent.blobs, 4);
        for name in &names {
            assert_eq!(self.find(name).await, Some(sample.root.digest), "{name}");
        }
        let events = events.lock().unwrap();
        let mut sent = Amount::default();
        for event in events.iter() {
            if let Event::BlobDone {
                blob,
                how: How::Sent { .. },
            } = event
            {
                sent.blobs += 1;
                sent.bytes += blob.size;
            }
        }
        assert_eq!(sent, report.sent);
        assert!(matches!(events.last(), Some(Event::Named { .. })));
    }

    async fn what_is_there_is_not_written_again(&self) {
        let sample = self.sample("again", &["a", "b"]);
        let image = sample.image(&[self.name("again", "1")]);
        self.load(&image).await;
        let report = self.load(&image).await;
        assert!(report.is_unchanged(), "{report}");
        assert_eq!(report.present.blobs, 4);
        let report = self
            .load(&sample.image(&[self.name("again", "1"), self.name("again", "2")]))
            .await;
        assert_eq!(
            (report.sent.blobs, report.bytes_written),
            (0, 0),
            "{report}"
        );
        let changes: Vec<Change> = report.names.iter().map(|it| it.change).collect();
        assert_eq!(changes, [Change::Unchanged, Change::Created]);
    }

    async fn a_changed_layer_is_sent_alone(&self) {
        let name = [self.name("changed", "1")];
        self.load(&self.sample("changed", &["a", "b"]).image(&name))
            .await;
        let changed = self.sample("changed", &["a", "c"]);
        let report = self.load(&changed.image(&name)).await;
        // The layer, the config and the manifest.
        assert_eq!(
            (report.sent.blobs, report.present.blobs),
            (3, 1),
            "{report}"
        );
        assert_eq!(report.names[0].change, Change::Moved);
        assert_eq!(self.find(&name[0]).await, Some(changed.root.digest));
    }

    async fn an_index_stays_whole_without_the_layers_of_others(&self) {
        let amd64 = self.sample("index", &["a"]);
        let arm64 = self.sample_for("index", &["b"], "arm64");
        let index = amd64.with("index", &[("amd64", &amd64), ("arm64", &arm64)]);
        let name = [self.name("index", "1")];
        let mut image = index.image(&name);
        image.platforms = Platforms::Only(vec![Platform::new("linux", "amd64")]);
        let report = self.load(&image).await;
        assert_eq!((report.left_out, report.sent.blobs), (1, 4), "{report}");
        assert_eq!(self.find(&name[0]).await, Some(index.root.digest));
        assert!(self.load(&image).await.is_unchanged());
        image.platforms = Platforms::All;
        let report = self.load(&image).await;
        assert_eq!((report.left_out, report.sent.blobs), (0, 3), "{report}");
        assert_eq!(self.find(&name[0]).await, Some(index.root.digest));
    }

    async fn a_platform_that_is_not_there_is_an_error(&self) {
        let amd64 = self.sample("platform", &["a"]);
        let index = amd64.with("platform", &[("amd64", &amd64)]);
        let name = [self.name("platform", "1")];
        let mut image = index.image(&name);
        image.platforms = Platforms::Only(vec![Platform::new("linux", "s390x")]);
        let error = self.engine.load(&image, &Progress::default()).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::NoPlatform);
        assert_eq!(self.find(&name[0]).await, None);
    }

    async fn a_layer_that_is_missing_leaves_no_name(&self) {
        let sample = self.sample("missing", &["a", "b"]);
        let poor = MemoryStore::new();
        for blob in [&sample.root, &sample.config, &sample.layers[0]] {
            poor.insert(sample.store.get(&blob.digest).unwrap());
        }
        let name = [self.name("missing", "1")];
        let mut image = sample.image(&name);
        image.source = Arc::new(poor);
        let error = self.engine.load(&image, &Progress::default()).await;
        let kind = error.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Source(StoreKind::NotFound));
        assert_eq!(self.find(&name[0]).await, None);
        self.load(&sample.image(&name)).await;
        assert_eq!(self.find(&name[0]).await, Some(sample.root.digest));
    }

    async fn a_damaged_layer_is_blamed_on_its_source(&self) {
        let sample = self.sample("damaged", &["a", "b"]);
        let damaged = sample.store.clone();
        let layer = &sample.layers[1];
        let mut bytes = damaged.get(&layer.digest).unwrap().to_vec();
        bytes[600] ^= 1;
        damaged.insert_unchecked(layer.digest, bytes);
        let name = [self.name("damaged", "1")];
        let mut image = sample.image(&name);
        image.source = Arc::new(damaged);
        let error = self.engine.load(&image, &Progress::default()).await;
        let kind = error.unwrap_err().kind();
        let is_blamed = matches!(kind, ErrorKind::Source(StoreKind::DigestMismatch { .. }));
        assert!(is_blamed, "{kind:?}");
        assert_eq!(self.find(&name[0]).await, None);
        let sample = self.sample("damaged", &["a", "b"]);
        self.load(&sample.image(&name)).await;
        assert_eq!(self.find(&name[0]).await, Some(sample.root.digest));
    }

    async fn two_loads_at_once_both_work(&self) {
        let sample = self.sample("twice", &["a", "b", "c"]);
        let name = [self.name("twice", "1")];
        let image = sample.image(&name);
        let (first, second) = join(self.load(&image), self.load(&image)).await;
        assert!(first.sent.blobs + second.sent.blobs >= 5);
        assert_eq!(self.find(&name[0]).await, Some(sample.root.digest));
        assert!(self.load(&image).await.is_unchanged());
    }

    async fn a_load_that_is_dropped_leaves_no_name(&self) {
        let sample = self.sample("dropped", &["a", "b"]);
        let name = [self.name("dropped", "1")];
        let image = sample.image(&name);
        let (started, progress) = signal();
        let load = self.engine.load(&image, &progress);
        let started = started.map(drop);
        pin_mut!(started);
        drop(select(load, started).await);
        assert_eq!(self.find(&name[0]).await, None);
        self.load(&image).await;
        assert_eq!(self.find(&name[0]).await, Some(sample.root.digest));
    }

    async fn names_of_other_images_are_refused(&self) {
        let sample = self.sample("foreign", &["a"]);
        let name = format!("foreign@{}", Digest::sha256_of(self.seed.as_bytes()));
        let image = sample.image(&[name.parse().unwrap()]);
        let error = self.engine.load(&image, &Progress::default()).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    async fn load(&self, image: &Image) -> crate::Report {
        let loaded = self.engine.load(image, &Progress::default()).await;
        loaded.unwrap_or_else(|error| panic_with(&error))
    }

    async fn find(&self, name: &Reference) -> Option<Digest> {
        let full = name.docker_normalized().unwrap().or_latest();
        self.engine.find(&full).await.unwrap()
    }

    fn name(&self, what: &str, tag: &str) -> Reference {
        let seed = self.seed;
        format!("imgload-conformance/{seed}/{what}:{tag}")
            .parse()
            .unwrap()
    }

    fn sample(&self, what: &str, layers: &[&str]) -> Sample {
        self.sample_for(what, layers, "amd64")
    }

    fn sample_for(&self, what: &str, layers: &[&str], architecture: &str) -> Sample {
        let contents = layers.iter();
        let contents = contents.map(|layer| format!("{} {what} {layer}", self.seed));
        Sample::new(&contents.collect::<Vec<_>>(), architecture)
    }
}

#[expect(clippy::panic, reason = "these are assertions of tests")]
fn panic_with(error: &crate::Error) -> ! {
    panic!("{}", imgstore::with_causes(error))
}

fn recorder() -> (Arc<Mutex<Vec<Event>>>, Progress) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let all = Arc::clone(&events);
    let progress = Progress::new(move |event| all.lock().unwrap().push(event));
    (events, progress)
}

/// Makes a signal that the first blob gives which is sent.
fn signal() -> (impl Future, Progress) {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let progress = Progress::new(move |event| {
        if matches!(event, Event::BlobStarted { .. })
            && let Some(sender) = sender.lock().unwrap().take()
        {
            let _ = sender.send(());
        }
    });
    (receiver, progress)
}

/// A small image in memory.
#[derive(Clone)]
struct Sample {
    store: MemoryStore,
    root: Descriptor,
    config: Descriptor,
    layers: Vec<Descriptor>,
}

impl Sample {
    fn new(contents: &[String], architecture: &str) -> Self {
        let store = MemoryStore::new();
        let put = |media_type: MediaType, bytes: Vec<u8>| {
            let descriptor = Descriptor::of(media_type, &bytes);
            store.insert(bytes);
            descriptor
        };
        let tars: Vec<Vec<u8>> = contents.iter().map(|it| tar(it)).collect();
        let diff_ids = tars
            .iter()
            .map(|tar| format!("\"{}\"", DiffId::sha256_of(tar)));
        let diff_ids: Vec<String> = diff_ids.collect();
        let layers = tars.into_iter();
        let layers: Vec<_> = layers
            .map(|tar| put(MediaType::OCI_LAYER_TAR, tar))
            .collect();
        let diff_ids = diff_ids.join(",");
        let config = format!(
            r#"{{"architecture":"{architecture}","os":"linux","config":{{}},"rootfs":{{"type":"layers","diff_ids":[{diff_ids}]}}}}"#
        );
        let config = put(MediaType::OCI_CONFIG, config.into_bytes());
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]}}"#,
            MediaType::OCI_MANIFEST,
            json(&config),
            layers.iter().map(json).collect::<Vec<_>>().join(",")
        );
        let root = put(MediaType::OCI_MANIFEST, manifest.into_bytes());
        Self {
            store,
            root,
            config,
            layers,
        }
    }

    /// Makes an index of images, in a store with all of them.
    fn with(&self, title: &str, images: &[(&str, &Self)]) -> Self {
        let mut entries = String::new();
        let store = MemoryStore::new();
        for (architecture, image) in images {
            let mut entry = image.root.clone();
            entry.platform = Some(Platform::new("linux", *architecture));
            let comma = if entries.is_empty() { "" } else { "," };
            write!(entries, "{comma}{}", json(&entry)).unwrap();
            let own = [&image.root, &image.config];
            for blob in own.into_iter().chain(&image.layers) {
                store.insert(image.store.get(&blob.digest).unwrap());
            }
        }
        let index = format!(
            r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{entries}],"annotations":{{"title":"{title}"}}}}"#,
            MediaType::OCI_INDEX
        );
        let root = Descriptor::of(MediaType::OCI_INDEX, index.as_bytes());
        store.insert(index);
        Self {
            store,
            root,
            ..self.clone()
        }
    }

    fn image(&self, names: &[Reference]) -> Image {
        let names = names.iter().cloned();
        Image::new(self.root.clone(), names, Arc::new(self.store.clone()))
    }
}

fn json(descriptor: &Descriptor) -> String {
    String::from_utf8(descriptor.to_json().to_compact()).unwrap()
}

/// Writes an archive of one file of less than a block, as POSIX has it (`pax`, ustar interchange format).
fn tar(content: &str) -> Vec<u8> {
    let mut header = [0; 512];
    let mut put =
        |at: usize, text: &str| header[at..at + text.len()].copy_from_slice(text.as_bytes());
    put(0, "file");
    put(100, "0000644\0");
    put(108, "0000000\0");
    put(116, "0000000\0");
    put(124, &format!("{:011o}\0", content.len()));
    put(136, "00000000000\0");
    put(148, "        ");
    put(156, "0");
    put(257, "ustar\x0000");
    let sum: u32 = header.iter().map(|it| u32::from(*it)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(content.as_bytes());
    archive.resize(4 * 512, 0);
    archive
}
