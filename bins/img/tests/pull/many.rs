//! Many operations at once, and how many requests are in flight: counted by the registry.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fs_err as fs;
use futures_util::future::BoxFuture;
use http::Method;
use imgcore::Digest;
use imgserve::distribution::Registry;
use imgserve::http::{Handler, Request, Response};
use imgtar::Codec;
use imgtest::image::{Image, ImageBuilder, write_layout};
use imgtest::noise;
use imgtest::oracle::tool;
use imgtest::registry::{Exchange, Recorder, RequestClass, Running, query_value, repository_of};
use imgtest::tar::{file, tar_of};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use super::deploy::{push, request};
use super::{runtime, succeed};

const IMAGES: usize = 1500;
const LAYERS: usize = 3;
/// What the program may hold at its peak, in KiB.
const MOST_MEMORY: u64 = 512_000_000 >> 10;

/// A registry on a port of its own that writes down what it is asked.
struct Counted {
    registry: Arc<Recorder>,
    running: Running,
    /// Last, because it is dropped after what runs on it.
    _runtime: Runtime,
}

impl Counted {
    fn start(handler: Arc<dyn Handler>) -> Self {
        let registry = Recorder::new(handler);
        let runtime = runtime();
        let handler: Arc<dyn Handler> = Arc::<Recorder>::clone(&registry);
        let running = runtime.block_on(Running::plain(handler));
        Self {
            registry,
            running,
            _runtime: runtime,
        }
    }
}

/// Images that differ in their configs alone.
fn images() -> Vec<Image> {
    let layers = (0..LAYERS as u64).map(|seed| tar_of([file("content", noise(seed, 2000))]));
    let layers: Vec<_> = layers.collect();
    let built = (0..IMAGES).map(|number| {
        let builder = ImageBuilder::new().config("User", number.to_string());
        let builder = layers
            .iter()
            .fold(builder, |it, tar| it.layer(tar, Codec::None));
        builder.build()
    });
    built.collect()
}

/// Writes every blob into a directory that `--oci-layout` takes.
fn write_blobs(directory: &Path, images: &[Image]) {
    let directory = directory.join("blobs/sha256");
    fs::create_dir_all(&directory).unwrap();
    let mut written = HashSet::new();
    for (digest, bytes) in images.iter().flat_map(|image| &image.blobs) {
        if written.insert(*digest) {
            fs::write(directory.join(digest.hex()), bytes).unwrap();
        }
    }
}

fn write_request(file: &Path, host: &str, images: &[Image]) {
    let operations = images.iter().enumerate().map(|(number, image)| {
        let repository = format!("team/app-{number:04}");
        let to = (host, &*repository);
        push(&image.manifest, std::slice::from_ref(image), to, &["v1"])
    });
    let operations: Vec<Value> = operations.collect();
    fs::write(file, request(&operations).to_string()).unwrap();
}

#[test]
fn a_deploy_of_1500_images_sends_their_layers_once() {
    let counted = Counted::start(Arc::new(Registry::in_memory()));
    let directory = TempDir::new().unwrap();
    let work = directory.path();
    let images = images();
    write_blobs(&work.join("blobs"), &images);
    for (name, count) in [("few.json", IMAGES / 10), ("all.json", IMAGES)] {
        write_request(&work.join(name), &counted.running.host(), &images[..count]);
        let words = format!("deploy --request-file {name} --oci-layout blobs --dry-run");
        let plan = succeed(work, &words);
        let ways = |way: &str| plan.lines().filter(|line| line.contains(way)).count();
        // Of each repository: its name, three layers, a config and a tag.
        assert_eq!(plan.lines().count(), count * (LAYERS + 3));
        assert_eq!(ways(": sent"), LAYERS + count);
        assert_eq!(ways("mounted from"), LAYERS * (count - 1));
        assert_asked_once(&counted.registry);
        let reads = |it: &Exchange| matches!(it.method, Method::GET | Method::HEAD);
        assert!(counted.registry.exchanges().iter().all(reads));
        counted.registry.clear();
    }
    let words = "deploy --request-file all.json --oci-layout blobs";
    let memory = deploy_under_time(work, words);
    assert_counted(&counted.registry, &images);
    if let Some(memory) = memory {
        assert!(memory < MOST_MEMORY, "{memory} KiB");
    }
    counted.registry.clear();
    succeed(work, words);
    assert_eq!(
        counted.registry.len(),
        IMAGES,
        "only the tags are asked for"
    );
}

/// Runs the program, and returns the peak of its memory in KiB where GNU time is here.
fn deploy_under_time(work: &Path, words: &str) -> Option<u64> {
    let Some(time) = tool("time") else {
        succeed(work, words);
        return None;
    };
    let mut command = Command::new(time);
    command.args(["--format", "%M", env!("CARGO_BIN_EXE_img")]);
    command.args(words.split(' ')).current_dir(work).env_clear();
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), IMAGES);
    stderr.lines().last()?.parse().ok()
}

fn assert_counted(registry: &Recorder, images: &[Image]) {
    let sent = registry.of(RequestClass::FinishUpload);
    let sent_times = |digest: &Digest| {
        let digest = digest.to_string();
        let of = |it: &Exchange| query_value(it.uri.query()?, "digest");
        sent.iter()
            .filter(|it| of(it).as_ref() == Some(&digest))
            .count()
    };
    for layer in &images[0].layers {
        assert_eq!(sent_times(&layer.digest), 1, "{}", layer.digest);
    }
    assert_eq!(sent.len(), LAYERS + images.len());
    let mounts = LAYERS * (images.len() - 1);
    assert_eq!(registry.count(RequestClass::Mount), mounts);
    assert_eq!(registry.count(RequestClass::PutManifest), images.len());
    let asked = assert_asked_once(registry);
    assert_eq!(asked, images.len() * (LAYERS + 1));
}

/// Checks that no repository was asked twice for a blob, and returns how many questions there were.
fn assert_asked_once(registry: &Recorder) -> usize {
    let mut asked: HashMap<(String, String), usize> = HashMap::new();
    for head in registry.of(RequestClass::HeadBlob) {
        let path = head.uri.path();
        let repository = repository_of(path).unwrap().to_owned();
        let digest = path.rsplit('/').next().unwrap().to_owned();
        *asked.entry((repository, digest)).or_default() += 1;
    }
    assert!(asked.values().all(|times| *times == 1));
    asked.len()
}

/// Holds the first questions for blobs back until so many are there at once, and leaves time for one too many.
struct Gate {
    registry: Arc<Registry>,
    jobs: usize,
    waiting: AtomicUsize,
    open: Notify,
}

impl Gate {
    fn new(jobs: usize) -> Self {
        Self {
            registry: Arc::new(Registry::in_memory()),
            jobs,
            waiting: AtomicUsize::new(0),
            open: Notify::new(),
        }
    }

    async fn pass(&self) {
        let mut opens = pin!(self.open.notified());
        // From here on a call is not missed.
        opens.as_mut().enable();
        let place = self.waiting.fetch_add(1, Ordering::SeqCst) + 1;
        if place == self.jobs {
            for _ in 0..1000 {
                tokio::task::yield_now().await;
            }
            self.open.notify_waiters();
        } else if place < self.jobs {
            // A program that never gets so far is to fail, and not to hang.
            let waited = tokio::time::timeout(Duration::from_secs(30), opens).await;
            assert!(waited.is_ok(), "there are never {} requests", self.jobs);
        }
    }
}

impl Handler for Gate {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        Box::pin(async move {
            let (method, uri) = (request.method(), request.uri());
            let class = RequestClass::of(method, uri.path(), uri.query());
            if class == RequestClass::HeadBlob {
                self.pass().await;
            }
            Arc::clone(&self.registry).handle(request).await
        })
    }
}

#[test]
fn no_more_requests_are_in_flight_than_the_command_line_says() {
    let layers: Vec<_> = (0..30)
        .map(|seed| tar_of([file("content", noise(seed, 500))]))
        .collect();
    let builder = layers
        .iter()
        .fold(ImageBuilder::new(), |it, tar| it.layer(tar, Codec::None));
    let image = builder.build();
    let directory = TempDir::new().unwrap();
    let work = directory.path();
    write_layout(&work.join("layout"), &image.blobs, &image.manifest, "image");
    for jobs in [1, 4, 16] {
        let counted = Counted::start(Arc::new(Gate::new(jobs)));
        let host = counted.running.host();
        succeed(work, &format!("push layout {host}/app:1 --jobs {jobs}"));
        assert_eq!(counted.registry.most_in_flight(), jobs, "push");

        let counted = Counted::start(Arc::new(Gate::new(jobs)));
        let host = counted.running.host();
        write_request(
            &work.join("request.json"),
            &host,
            std::slice::from_ref(&image),
        );
        let words = "deploy --request-file request.json --oci-layout layout";
        succeed(work, &format!("{words} --jobs {jobs}"));
        assert_eq!(counted.registry.most_in_flight(), jobs, "deploy");
    }
}
