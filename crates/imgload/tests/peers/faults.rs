//! Loads that go wrong: they say why, and leave nothing by halves.

use std::process::Command;
use std::sync::{Arc, Mutex};

use imgcore::Descriptor;
use imgload::containerd::{Containerd, Options, default_sockets};
use imgload::{Engine as _, ErrorKind, Event, Image, Progress};
use imgtar::Codec;
use imgtest::peer::Containerd as Daemon;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::daemon::Engine;
use crate::sample::{Sample, Stopping, load};

const MIB: usize = 1 << 20;
/// Some whole requests of a layer arrive, and not all.
const STOP: u64 = 3 << 20;

/// Makes an image of a large layer whose source stops in the middle of it.
fn stopping(sample: &Sample) -> Image {
    let mut image = sample.image("hello");
    image.source = Arc::new(Stopping {
        store: sample.store.clone(),
        blob: large(sample).digest,
        after: STOP,
    });
    image
}

fn large(sample: &Sample) -> &Descriptor {
    &sample.built.layers[0]
}

/// Makes a signal that comes when so much of the large layer has arrived as its source gives in whole requests.
fn arrival() -> (oneshot::Receiver<()>, Progress) {
    let (sender, arrived) = oneshot::channel();
    let sender = Mutex::new(Some(sender));
    let progress = Progress::new(move |event| {
        if let Event::BlobProgress { offset, .. } = event
            && offset >= STOP - MIB as u64
            && let Some(sender) = sender.lock().unwrap().take()
        {
            let _ = sender.send(());
        }
    });
    (arrived, progress)
}

/// Begins a load, and drops it in the middle.
async fn begin(client: &Containerd, image: &Image) {
    let (arrived, progress) = arrival();
    tokio::select! {
        loaded = client.load(image, &progress) => panic!("{loaded:?}"),
        it = arrived => it.unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_that_was_dropped_is_gone_on_with() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let client = engine.client().await;
    let sample = Sample::new(1, &[(8 * MIB, Codec::None)]);
    begin(&client, &stopping(&sample)).await;
    let report = load(&client, &sample.image("hello")).await;
    println!(
        "{} of {} bytes were sent",
        report.bytes_written, report.sent.bytes
    );
    assert!(report.bytes_written + 2 * MIB as u64 <= report.sent.bytes);
    assert_eq!(engine.daemon.blobs("default"), sample.digests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_dies_in_the_middle_is_told_and_the_load_is_gone_on_with() {
    let Some(mut engine) = Engine::start() else {
        return;
    };
    let client = engine.client().await;
    let sample = Sample::new(1, &[(8 * MIB, Codec::None), (1000, Codec::Gzip)]);
    let image = stopping(&sample);
    let (arrived, progress) = arrival();
    let loading = client.load(&image, &progress);
    let killing = async {
        arrived.await.unwrap();
        engine.daemon.kill();
    };
    let (loaded, ()) = tokio::join!(loading, killing);
    let error = loaded.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone, "{error}");
    assert!(error.to_string().contains("stopped answering"), "{error}");
    let error = client
        .load(&sample.image("hello"), &Progress::default())
        .await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Gone);

    engine.daemon.start_again();
    assert_eq!(engine.daemon.ctr(&["images", "ls", "--quiet"]), "");
    // The same client connects anew.
    let report = load(&client, &sample.image("hello")).await;
    println!(
        "{} of {} bytes were sent",
        report.bytes_written, report.sent.bytes
    );
    assert!(
        report.bytes_written + 2 * MIB as u64 <= report.sent.bytes,
        "{report}"
    );
    engine.daemon.collect_garbage("default");
    assert_eq!(engine.daemon.blobs("default"), sample.digests());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_left_of_other_bytes_is_thrown_away() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let client = engine.client().await;
    let sample = Sample::new(1, &[(8 * MIB, Codec::None)]);
    let damaged = Sample::new(1, &[(8 * MIB, Codec::None)]);
    let layer = large(&damaged).digest;
    damaged.store.insert_unchecked(layer, vec![0; 8 * MIB]);
    begin(&client, &stopping(&damaged)).await;
    let report = load(&client, &sample.image("hello")).await;
    // What the damaged one has left was gone on with first.
    assert!(report.bytes_written > report.sent.bytes, "{report}");
    assert_eq!(engine.daemon.blobs("default"), sample.digests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_given_back() {
    let work = TempDir::new().unwrap();
    let Some(disk) = SmallDisk::mount(work.path().join("disk")) else {
        return;
    };
    let Some(daemon) = Daemon::start_on(work.path(), &disk.0, "") else {
        return;
    };
    let client = Containerd::connect(&[daemon.socket()], Options::default()).await;
    let client = client.unwrap();
    let sample = Sample::new(1, &[(64 * MIB, Codec::None)]);
    let error = client
        .load(&sample.image("hello"), &Progress::default())
        .await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::DiskFull, "{error}");
    assert_eq!(daemon.leases("default"), [""; 0]);
    assert_eq!(daemon.ctr(&["images", "ls", "--quiet"]), "");
    let sample = Sample::new(1, &[(8 * MIB, Codec::None)]);
    load(&client, &sample.image("hello")).await;
    assert_eq!(daemon.blobs("default"), sample.digests());
}

/// A file system in memory, too small for a large image.
struct SmallDisk(std::path::PathBuf);

impl SmallDisk {
    fn mount(at: std::path::PathBuf) -> Option<Self> {
        fs_err::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=32m", "tmpfs"])
            .arg(&at);
        if !mount.output().is_ok_and(|it| it.status.success()) {
            imgtest::oracle::skip("a small file system: mounting needs root");
            return None;
        }
        Some(Self(at))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // The daemon has it open until it has ended.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_at_once_send_each_layer_once() {
    let Some(engine) = Engine::start() else {
        return;
    };
    let sample = Sample::new(1, &[(16 * MIB, Codec::None), (8 * MIB, Codec::None)]);
    let image = sample.image("hello");
    let (first, second) = (engine.client().await, engine.client().await);
    let (first, second) = tokio::join!(load(&first, &image), load(&second, &image));
    let layers = sample.built.layers.iter().map(|it| it.size).sum::<u64>();
    let sent = first.bytes_written + second.bytes_written;
    println!("{sent} bytes were sent for layers of {layers}");
    assert!(sent < layers + MIB as u64);
    engine.daemon.collect_garbage("default");
    assert_eq!(engine.daemon.blobs("default"), sample.digests());
    assert_eq!(engine.daemon.leases("default"), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_is_not_there_is_told_with_all_that_was_tried() {
    let work = TempDir::new().unwrap();
    let at = |name: &str| work.path().join(name);
    fs_err::write(at("file"), "").unwrap();
    let dead = std::os::unix::net::UnixListener::bind(at("dead")).unwrap();
    drop(dead);
    let sockets = [at("nowhere"), at("file"), at("./nowhere"), at("dead")];
    let error = Containerd::connect(&sockets, Options::default()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoEngine);
    assert_eq!(error.attempts().len(), 3);
    let text = error
        .to_string()
        .replace(&work.path().display().to_string(), "DIR");
    insta::assert_snapshot!(text, @r"
    no containerd answers; start it, or name the socket of one that runs
      DIR/nowhere: there is no such socket
      DIR/file: nobody listens there
      DIR/dead: nobody listens there
    ");
    assert!(error.kind().is_retryable());
    assert!(!default_sockets(None).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_is_no_containerd_is_told() {
    let work = TempDir::new().unwrap();
    let socket = work.path().join("other");
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            use std::io::Write as _;
            let _ = (&stream).write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let error = Containerd::connect(&[socket], Options::default()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoEngine, "{error}");
}
