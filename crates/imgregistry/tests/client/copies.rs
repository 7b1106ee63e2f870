//! Copies from one repository to another with one client: each reads and writes at the same time.

use std::sync::Arc;
use std::time::Duration;

use imgcore::{Descriptor, MediaType};
use imgregistry::{Client, ErrorKind, Remote, TagOrDigest};
use imgserve::distribution::Registry;
use imgserve::http::Handler;
use imgstore::{BlobSource as _, BlobSourceExt as _, MemoryStore};
use imgtest::registry::{
    Fault, Faults, Guard, InProcess, Recorder, RequestClass, Rule, TokenOptions, TokenServer,
    in_pieces, slow,
};

use crate::network::{HOST, PASSWORD, patient, user};

const REALM: &str = "https://auth.example.com/token";

/// A registry that gives its blobs in pieces and wants a token for everything.
struct Scene {
    registry: Arc<Recorder>,
    faults: Arc<Faults>,
    network: InProcess,
}

fn scene() -> Scene {
    let mut options = TokenOptions::default();
    options.users.insert("user".to_owned(), PASSWORD.to_owned());
    let server = TokenServer::new(options);
    let registry: Arc<dyn Handler> = Arc::new(Registry::in_memory());
    let faults = Faults::new(in_pieces(registry, 10_000));
    let guard = Guard::bearer(Arc::clone(&faults) as _, &server, REALM);
    let registry = Recorder::new(slow(Arc::new(guard), Duration::from_millis(1)));
    let network = InProcess::new()
        .with("https://registry.example.com", Arc::clone(&registry))
        .with("https://auth.example.com", server);
    Scene {
        registry,
        faults,
        network,
    }
}

fn client(scene: &Scene, ceiling: usize) -> Client {
    let builder = patient(scene.network.clone()).keychain(Arc::new(user(HOST)));
    builder.max_requests_in_flight(ceiling).build().unwrap()
}

fn repository(client: &Client, name: &str) -> Remote {
    client
        .repository(&HOST.parse().unwrap(), &name.parse().unwrap())
        .unwrap()
}

/// Fills a repository with layers of these sizes.
async fn fill(scene: &Scene, name: &str, sizes: &[usize]) -> Vec<Descriptor> {
    let filled = repository(&client(scene, 16), name);
    let memory = MemoryStore::new();
    let mut layers = Vec::new();
    for (number, size) in (0_u8..).zip(sizes) {
        let content = vec![number; *size];
        layers.push(Descriptor::of(MediaType::OCI_LAYER_TAR, &content));
        memory.insert(content);
    }
    for layer in &layers {
        imgstore::copy(&memory, &filled, layer).await.unwrap();
    }
    scene.registry.clear();
    layers
}

/// Runs what must not wait for ever.
async fn in_time<T>(work: impl Future<Output = T>) -> T {
    let much = Duration::from_secs(24 * 60 * 60);
    tokio::time::timeout(much, work).await.expect("it hangs")
}

#[tokio::test(start_paused = true)]
async fn copies_do_not_wait_for_each_other_at_any_ceiling() {
    for ceiling in [1, 2, 3] {
        let scene = scene();
        let layers = fill(&scene, "team/one", &[300_000, 9 << 20, 17 << 20, 50_000]).await;
        for after in [20_000, 100_000, 40_000] {
            let broken = Rule::new(Fault::Break { after }).times(1);
            scene.faults.script(broken.on(RequestClass::GetBlob));
        }
        let client = client(&scene, ceiling);
        let (one, two) = (
            repository(&client, "team/one"),
            repository(&client, "team/two"),
        );
        let copies = layers.iter().map(|layer| imgstore::copy(&one, &two, layer));
        for copied in in_time(futures_util::future::join_all(copies)).await {
            copied.unwrap();
        }
        for layer in &layers {
            assert!(two.read_all(layer, u64::MAX).await.is_ok());
        }
        let most = scene.registry.most_in_flight();
        assert!(most <= 2 * ceiling, "{most} at {ceiling}");
    }
}

#[tokio::test(start_paused = true)]
async fn uploads_from_a_repository_do_not_wait_for_each_other_at_any_ceiling() {
    for ceiling in [1, 2, 3] {
        let scene = scene();
        let layers = fill(&scene, "team/one", &[300_000, 9 << 20, 400_000, 50_000]).await;
        for after in [20_000, 100_000, 40_000] {
            let broken = Rule::new(Fault::Break { after }).times(1);
            scene.faults.script(broken.on(RequestClass::GetBlob));
        }
        let client = client(&scene, ceiling);
        let (one, two) = (
            repository(&client, "team/one"),
            repository(&client, "team/two"),
        );
        let uploads = layers.iter().map(|layer| two.upload(layer, &one, None));
        for uploaded in in_time(futures_util::future::join_all(uploads)).await {
            uploaded.unwrap();
        }
        let most = scene.registry.most_in_flight();
        assert!(most <= 2 * ceiling, "{most} at {ceiling}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_opens_blobs_and_does_not_read_them_is_told() {
    let scene = scene();
    let layers = fill(&scene, "team/one", &[300_000]).await;
    let one = repository(&client(&scene, 1), "team/one");
    let open = one.open(&layers[0]).await.unwrap();
    let at = TagOrDigest::from(imgcore::Tag::latest());
    let error = in_time(one.manifest(&at)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    insta::assert_snapshot!(error, @"reading manifest latest of team/one at registry registry.example.com: as many requests as are allowed at once wait for this program; read or drop the blobs that are open, or allow more requests");
    drop(open);
    let error = in_time(one.manifest(&at)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
