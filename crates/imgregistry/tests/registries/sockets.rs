//! The real transport over loopback: HTTP/1.1 and HTTP/2, plain and under TLS.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::StreamExt as _;
use imgregistry::{Client, ClientBuilder, Clock, ErrorKind, Security};
use imgserve::http::Handler;
use imgstore::{Begin, BlobSink as _, BlobSource as _};
use imgtest::registry::{
    Fault, Faults, Guard, Protocols, Recorder, RequestClass, Rule, Running, TokenOptions,
    TokenServer,
};

use super::world::{
    Ear, blob, image, image_with, login, noise, pull, push, read, registry, repository_of, seed,
    seed_blob, tag,
};

const USER: &str = "robot";
const PASSWORD: &str = "imgkit-canary-socket-password";

/// A clock whose waits are over at once, so that real connections can be tested without waiting.
struct Hasty;

impl Clock for Hasty {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::ready(()))
    }

    fn patience(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn jitter(&self) -> f64 {
        0.5
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Plain,
    Tls1,
    Tls2,
}

const WIRES: [Wire; 3] = [Wire::Plain, Wire::Tls1, Wire::Tls2];

async fn run(wire: Wire, handler: Arc<dyn Handler>) -> Running {
    match wire {
        Wire::Plain => Running::plain(handler).await,
        Wire::Tls1 => Running::tls(handler, Protocols::Http1).await,
        Wire::Tls2 => Running::tls(handler, Protocols::Http2).await,
    }
}

fn builder(wire: Wire, servers: &[&Running]) -> (ClientBuilder, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    let mut builder = Client::builder()
        .clock(Arc::new(Hasty))
        .observer(Arc::clone(&ear) as _);
    for server in servers {
        if wire != Wire::Plain {
            let host = server.host().parse().unwrap();
            builder = builder.extra_roots(server.pem().as_bytes()).unwrap();
            builder = builder.security(host, Security::Tls);
        }
    }
    (builder, ear)
}

#[tokio::test]
async fn images_are_pulled_and_pushed_with_tokens_over_every_wire() {
    for wire in WIRES {
        let inner = registry();
        let image = image();
        seed(&inner, "team/app", &image, "v1").await;
        let mut options = TokenOptions::default();
        options.users.insert(USER.into(), PASSWORD.into());
        let server = TokenServer::new(options);
        let tokens = run(wire, Arc::clone(&server) as _).await;
        let realm = format!("{}/token", tokens.origin());
        let recorder = Recorder::new(Arc::new(Guard::bearer(inner, &server, &realm)));
        let running = run(wire, Arc::clone(&recorder) as _).await;
        let (builder, ear) = builder(wire, &[&running, &tokens]);
        let keychain = Arc::new(login(&running.host(), USER, PASSWORD));
        let client = builder.keychain(keychain).build().unwrap();
        let remote = repository_of(&client, &running.host(), "team/app");
        pull(&remote, "v1", &image).await.unwrap();
        push(&remote, "v2", &image_with(&[100, 3_000_000]))
            .await
            .unwrap();
        assert_eq!(recorder.containing(PASSWORD).len(), 0, "{wire:?}");
        let encodings: Vec<_> = recorder
            .exchanges()
            .iter()
            .filter_map(|exchange| exchange.header("accept-encoding").map(str::to_owned))
            .collect();
        assert_eq!(encodings, [""; 0], "{wire:?}: blobs are wanted as they are");
        ear.assert_clean();
    }
}

#[tokio::test]
async fn a_stream_that_breaks_is_gone_on_with_over_every_wire() {
    for wire in WIRES {
        let inner = registry();
        let content = noise(3, 2_000_000);
        let descriptor = blob(&content);
        seed_blob(&inner, "team/app", &descriptor.digest, &content).await;
        let faults = Faults::new(inner);
        for after in [700_000, 0, 300_000] {
            // Over HTTP/2 this is a reset of the stream, over HTTP/1.1 the end of the connection.
            let rule = Rule::new(Fault::Break { after })
                .on(RequestClass::GetBlob)
                .times(1);
            faults.script(rule);
        }
        let recorder = Recorder::new(Arc::clone(&faults) as _);
        let running = run(wire, Arc::clone(&recorder) as _).await;
        let (builder, _) = builder(wire, &[&running]);
        let remote = repository_of(&builder.build().unwrap(), &running.host(), "team/app");
        let bytes = read(&remote, &descriptor).await.unwrap();
        assert_eq!(bytes, content, "{wire:?}");
        assert_eq!(faults.struck(), 3, "{wire:?}");
        let ranges = recorder.of(RequestClass::GetBlob);
        let ranges = ranges
            .iter()
            .filter(|exchange| exchange.header("range").is_some())
            .count();
        assert!(ranges >= 1, "{wire:?}");
    }
}

#[tokio::test]
async fn requests_survive_resets_over_every_wire() {
    // Not HEAD: an answer without a body cannot break off in it.
    let classes = [
        RequestClass::GetBlob,
        RequestClass::GetManifest,
        RequestClass::StartUpload,
        RequestClass::FinishUpload,
        RequestClass::PutManifest,
    ];
    for wire in WIRES {
        for class in classes {
            for fault in [Fault::Reset, Fault::LostAnswer, Fault::status(503)] {
                let name = format!("{wire:?} {class} {fault:?}");
                let inner = registry();
                let image = image();
                let faults = Faults::new(inner);
                let running = run(wire, Arc::clone(&faults) as _).await;
                let (builder, _) = builder(wire, &[&running]);
                let client = builder.build().unwrap();
                let remote = repository_of(&client, &running.host(), "team/app");
                // The scheme is known when the fault strikes.
                remote.head_manifest(&tag("v1")).await.unwrap();
                faults.once(class, fault);
                let outcome = push(&remote, "v1", &image).await;
                outcome.unwrap_or_else(|failed| panic!("{name}: {}", failed.as_dyn()));
                let outcome = pull(&remote, "v1", &image).await;
                outcome.unwrap_or_else(|failed| panic!("{name}: {}", failed.as_dyn()));
                assert_eq!(faults.struck(), 1, "{name}");
            }
        }
    }
}

#[tokio::test]
async fn content_encoding_is_not_undone() {
    let inner = registry();
    let content = noise(3, 5_000);
    let descriptor = blob(&content);
    seed_blob(&inner, "team/app", &descriptor.digest, &content).await;
    let faults = Faults::new(inner);
    faults.always(
        RequestClass::GetBlob,
        Fault::set_header("content-encoding", "gzip"),
    );
    let running = Running::plain(faults).await;
    let (builder, _) = builder(Wire::Plain, &[&running]);
    let remote = repository_of(&builder.build().unwrap(), &running.host(), "team/app");
    assert_eq!(read(&remote, &descriptor).await.unwrap(), content);
}

#[tokio::test]
async fn a_certificate_that_nobody_vouches_for_is_refused() {
    let recorder = Recorder::new(registry());
    let running = Running::tls(Arc::clone(&recorder) as _, Protocols::Http2).await;
    let host: imgcore::RegistryHost = running.host().parse().unwrap();
    let client = Client::builder().security(host.clone(), Security::Tls);
    let client = client.clock(Arc::new(Hasty)).build().unwrap();
    let remote = repository_of(&client, host.as_str(), "team/app");
    let error = remote.manifest(&tag("v1")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        error
            .next_step()
            .is_some_and(|step| step.contains("CA file")),
        "{error}"
    );
    assert!(recorder.is_empty());
    // The user's word for this one host is enough.
    let client = Client::builder()
        .security(host.clone(), Security::Insecure)
        .build()
        .unwrap();
    let remote = repository_of(&client, host.as_str(), "team/app");
    assert_eq!(
        remote.manifest(&tag("v1")).await.unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert!(!recorder.is_empty());
}

#[tokio::test]
async fn a_server_that_says_goodbye_in_the_middle_is_gone_on_with() {
    for wire in WIRES {
        let inner = registry();
        let content = noise(3, 20_000_000);
        let descriptor = blob(&content);
        seed_blob(&inner, "team/app", &descriptor.digest, &content).await;
        let mut running = run(wire, inner).await;
        let (builder, _) = builder(wire, &[&running]);
        let remote = repository_of(&builder.build().unwrap(), &running.host(), "team/app");

        let mut stream = remote.open(&descriptor).await.unwrap();
        let mut bytes = stream.next().await.unwrap().unwrap().to_vec();
        running.restart().await;
        while let Some(piece) = stream.next().await {
            bytes.extend_from_slice(&piece.unwrap_or_else(|error| panic!("{wire:?}: {error:?}")));
        }
        assert_eq!(bytes, content, "{wire:?}");

        let content = noise(4, 20_000_000);
        let descriptor = blob(&content);
        let Begin::Writer(mut ingest) = remote.writer(&descriptor).await.unwrap() else {
            panic!("{wire:?}: nobody has this blob");
        };
        let (first, rest) = content.split_at(10_000_000);
        ingest.write(Bytes::copy_from_slice(first)).await.unwrap();
        running.restart().await;
        ingest.write(Bytes::copy_from_slice(rest)).await.unwrap();
        ingest.commit().await.unwrap();
        assert_eq!(
            read(&remote, &descriptor).await.unwrap(),
            content,
            "{wire:?}"
        );
    }
}
