//! Every kind of request against every kind of fault: once, and for ever. Time is paused, so nothing waits.
//!
//! Once is no more than a nuisance: the operation succeeds, and of a blob at most a piece is moved twice. For ever is one
//! typed error that names the host and the subject. The few pairs for which neither holds are in [`once_end`] and
//! [`last_end`], each with its reason.

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use imgcore::{Descriptor, Digest};
use imgregistry::protocol::retry::Policy;
use imgregistry::{ErrorKind, Remote, TagOrDigest, Uploaded};
use imgserve::http::Handler;
use imgstore::{BlobSourceExt as _, MemoryStore, Presence};
use imgtest::registry::{
    Fault, Faults, Guard, InProcess, Recorder, RequestClass, Rule, TokenOptions, TokenServer,
    answer, overloads,
};

use super::world::{
    Ear, Failed, blob, client, image, login, noise, read, registry, repository_of, seed, seed_blob,
    tag, write,
};

pub(crate) const HOST: &str = "registry.example.com";
pub(crate) const ORIGIN: &str = "https://registry.example.com";
const STORAGE: &str = "storage.example.com";
const REALM: &str = "https://auth.example.com/token";
const USER: &str = "robot";
const PASSWORD: &str = "imgkit-canary-fault-password";

/// Large enough for several pieces, small enough for thousands of runs.
pub(crate) const BLOB: usize = 300_000;

/// What may be moved twice: what was on its way between two looks at the offset.
const PIECE: u64 = 64 * 1024;

/// The kinds of requests that the client makes: all but listing repositories, which it does not.
pub(crate) const CLASSES: [RequestClass; 18] = [
    RequestClass::CancelUpload,
    RequestClass::DeleteBlob,
    RequestClass::DeleteManifest,
    RequestClass::FinishUpload,
    RequestClass::GetBlob,
    RequestClass::GetManifest,
    RequestClass::HeadBlob,
    RequestClass::HeadManifest,
    RequestClass::Mount,
    // A blob's bytes at the storage that the registry redirects to.
    RequestClass::Other,
    RequestClass::PatchUpload,
    RequestClass::Ping,
    RequestClass::PutManifest,
    RequestClass::Referrers,
    RequestClass::StartUpload,
    RequestClass::Tags,
    RequestClass::Token,
    RequestClass::UploadStatus,
];

/// A registry with a token server and a storage, and a script of faults for each.
pub(crate) struct World {
    pub(crate) registry: Arc<Recorder>,
    /// What a class needs so that there are such requests. Nothing in it counts as a fault.
    scene: Arc<Faults>,
    faults: Arc<Faults>,
    token_faults: Arc<Faults>,
    storage: Arc<Recorder>,
    storage_faults: Arc<Faults>,
    pub(crate) server: Arc<TokenServer>,
    pub(crate) remote: Remote,
    pub(crate) ear: Arc<Ear>,
    blob: Descriptor,
    pub(crate) content: Vec<u8>,
}

impl World {
    /// Makes a world in which [`act`] makes requests of a class.
    pub(crate) async fn of(class: RequestClass) -> Self {
        let world = Self::new().await;
        let script =
            |class, fault, times| world.scene.script(Rule::new(fault).on(class).times(times));
        match class {
            // The registry hides what strangers may not see: only at its door it says how to log in.
            RequestClass::Ping => script(RequestClass::GetManifest, Fault::status(404), 1),
            RequestClass::Other => {
                let location = format!("https://{STORAGE}/of/{}", world.blob.digest.hex());
                script(
                    RequestClass::GetBlob,
                    Fault::redirect(307, &location),
                    usize::MAX,
                );
            }
            // A proxy does not take the blob in the request that ends the upload.
            RequestClass::PatchUpload => script(RequestClass::FinishUpload, Fault::status(413), 1),
            RequestClass::UploadStatus => {
                script(RequestClass::FinishUpload, Fault::status(413), 1);
                script(
                    RequestClass::PatchUpload,
                    Fault::CutRequest { after: 1000 },
                    1,
                );
            }
            RequestClass::CancelUpload => {
                script(RequestClass::FinishUpload, Fault::status(403), usize::MAX);
            }
            _ => {}
        }
        world
    }

    pub(crate) async fn new() -> Self {
        let inner = registry();
        let content = OWN.clone();
        let blob = blob(&content);
        seed(&inner, "team/app", &image(), "v1").await;
        seed_blob(&inner, "team/app", &blob.digest, &content).await;
        let (base, base_content) = base();
        seed_blob(&inner, "team/base", &base.digest, &base_content).await;
        let mut options = TokenOptions::default();
        options.users.insert(USER.into(), PASSWORD.into());
        let server = TokenServer::new(options);
        let guard: Arc<dyn Handler> = Arc::new(Guard::bearer(inner, &server, REALM));
        let faults = Faults::new(guard);
        let scene = Faults::new(Arc::clone(&faults) as _);
        let token_faults = Faults::new(Arc::clone(&server) as _);
        let storage_faults = Faults::new(answer(200, content.clone()));
        let storage = Recorder::new(Arc::clone(&storage_faults) as _);
        let registry = Recorder::new(Arc::clone(&scene) as _);
        let network = InProcess::new()
            .with(ORIGIN, Arc::clone(&registry))
            .with(&format!("https://{STORAGE}"), Arc::clone(&storage))
            .with("https://auth.example.com", Arc::clone(&token_faults));
        let (builder, ear) = client(&network);
        let client = builder
            .keychain(Arc::new(login(HOST, USER, PASSWORD)))
            .patience(Duration::from_secs(30))
            .build()
            .unwrap();
        let remote = repository_of(&client, HOST, "team/app");
        Self {
            registry,
            scene,
            faults,
            token_faults,
            storage,
            storage_faults,
            server,
            remote,
            ear,
            blob,
            content,
        }
    }

    /// Lets the client get its token, so that faults strike requests that carry one.
    pub(crate) async fn warm_up(&self, class: RequestClass) {
        if !matches!(class, RequestClass::Token | RequestClass::Ping) {
            act(self, RequestClass::GetManifest).await.unwrap();
            self.registry.clear();
        }
    }

    pub(crate) fn script(&self, class: RequestClass, rule: Rule) {
        let faults = match class {
            RequestClass::Token => &self.token_faults,
            RequestClass::Other => &self.storage_faults,
            _ => &self.faults,
        };
        faults.script(rule.on(class));
    }

    pub(crate) fn struck(&self) -> usize {
        self.faults.struck() + self.token_faults.struck() + self.storage_faults.struck()
    }
}

/// What the repository has, what is written to it, and what another repository of the registry has.
static OWN: LazyLock<Vec<u8>> = LazyLock::new(|| noise(11, BLOB));
static WRITTEN: LazyLock<Vec<u8>> = LazyLock::new(|| noise(23, BLOB));
static BASE: LazyLock<Vec<u8>> = LazyLock::new(|| noise(31, BLOB));

/// A blob that another repository of the registry has.
fn base() -> (Descriptor, Vec<u8>) {
    (blob(&BASE), BASE.clone())
}

/// Does what makes requests of a class, and checks what comes of it.
pub(crate) async fn act(world: &World, class: RequestClass) -> Result<(), Failed> {
    let remote = &world.remote;
    match class {
        RequestClass::HeadBlob => {
            let found = remote.stat_one(&world.blob.digest).await?;
            assert_eq!(found, Presence::Present { size: BLOB as u64 });
        }
        RequestClass::GetBlob | RequestClass::Other => {
            let bytes = read(remote, &world.blob).await?;
            assert_eq!(bytes, world.content);
        }
        RequestClass::GetManifest | RequestClass::Ping | RequestClass::Token => {
            let fetched = remote.manifest(&tag("v1")).await?;
            assert_eq!(fetched.descriptor.digest, image().manifest.digest);
        }
        RequestClass::HeadManifest => {
            let found = remote.head_manifest(&tag("v1")).await?;
            assert_eq!(
                found.map(|found| found.digest),
                Some(image().manifest.digest)
            );
        }
        RequestClass::Tags => {
            let tags = remote.tags().all().await?;
            assert_eq!(tags.len(), 1);
        }
        RequestClass::Referrers => {
            let referrers = remote.referrers(&image().manifest.digest, None).await?;
            assert_eq!(referrers.manifests, []);
        }
        RequestClass::CancelUpload
        | RequestClass::StartUpload
        | RequestClass::PatchUpload
        | RequestClass::FinishUpload
        | RequestClass::UploadStatus => {
            let content = WRITTEN.clone();
            let descriptor = blob(&content);
            write(remote, &descriptor, &content).await?;
            let found = stored(world, &descriptor.digest).await;
            assert_eq!(found, Some(content.into()));
        }
        RequestClass::Mount => {
            let (descriptor, content) = base();
            let source = MemoryStore::new();
            source.insert(content.clone());
            let from = "team/base".parse().unwrap();
            let uploaded = remote.upload(&descriptor, &source, Some(&from)).await?;
            assert_ne!(uploaded, Uploaded::AlreadyThere);
            let found = stored(world, &descriptor.digest).await;
            assert_eq!(found, Some(content.into()));
        }
        RequestClass::PutManifest => {
            let image = image();
            let bytes = Bytes::copy_from_slice(image.blob(&image.manifest));
            let put = remote
                .put_manifest(&tag("v2"), &image.manifest.media_type, bytes)
                .await?;
            assert_eq!(put.digest, image.manifest.digest);
        }
        RequestClass::DeleteBlob => {
            remote.delete_blob(&world.blob.digest).await?;
            assert_eq!(stored(world, &world.blob.digest).await, None);
        }
        RequestClass::DeleteManifest => {
            let manifest = TagOrDigest::from(image().manifest.digest);
            remote.delete_manifest(&manifest).await?;
            world.faults.clear();
            assert_eq!(remote.head_manifest(&manifest).await?, None);
        }
        _ => unreachable!("no test makes requests of class {class}"),
    }
    Ok(())
}

/// Reads what the registry has, when no fault is left in the script.
async fn stored(world: &World, digest: &Digest) -> Option<Bytes> {
    world.faults.clear();
    let descriptor = Descriptor::new(imgcore::MediaType::OCI_LAYER_TAR, *digest, BLOB as u64);
    read(&world.remote, &descriptor).await.ok()
}

/// How an operation ends that meets a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// As if there had been none.
    Success,
    /// With an error that says the server is in trouble, after as many attempts as the policy has.
    Trouble,
    /// With an error that says what is wrong with what came: another attempt would not change it, or did not.
    Damage,
    /// With the error that it would have had anyway.
    Unchanged,
}

/// Returns how an operation ends that meets a fault once.
#[allow(clippy::match_same_arms, reason = "each has a reason of its own")]
fn once_end(class: RequestClass, fault: &Fault) -> End {
    match (class, fault) {
        // The error that made the client give the upload up. Whether that works is nobody's concern.
        (RequestClass::CancelUpload, _) => End::Unchanged,
        // The bytes went to whoever reads, and only their end shows that they were wrong.
        (
            RequestClass::GetBlob | RequestClass::Other,
            Fault::Corrupt | Fault::Extend { .. } | Fault::Endless,
        ) => End::Damage,
        // Nobody who means well sends more than the limits allow: that is not asked for again.
        (_, Fault::Endless) if reads_body(class) => End::Damage,
        // All that HEAD says of a blob is its length: nobody can tell that it is wrong.
        (RequestClass::HeadBlob, Fault::WrongLength { .. }) => End::Unchanged,
        _ => End::Success,
    }
}

/// Returns how an operation ends that meets a fault at every attempt.
#[allow(clippy::match_same_arms, reason = "each has a reason of its own")]
fn last_end(class: RequestClass, fault: &Fault) -> End {
    let once = once_end(class, fault);
    if once != End::Success {
        return once;
    }
    match (class, fault) {
        // The bytes are sent instead.
        (RequestClass::Mount, _) => End::Success,
        // The registry still says that it has not what a stranger asks for.
        (RequestClass::Ping, _) if is_before_the_answer(fault) => End::Unchanged,
        // The blob is there, only nobody said so: the client looks, and is content.
        (RequestClass::FinishUpload | RequestClass::PatchUpload, Fault::LostAnswer) => End::Success,
        // A little comes through every time.
        (RequestClass::PatchUpload, Fault::CutRequest { after: 1.. }) => End::Success,
        _ if is_before_the_answer(fault) => End::Trouble,
        // Of most answers only the head is of interest.
        _ if !reads_body(class) => End::Success,
        // White space behind a document that no digest holds.
        (
            RequestClass::Tags | RequestClass::Referrers | RequestClass::Token,
            Fault::Extend { .. },
        ) => End::Success,
        (RequestClass::GetBlob | RequestClass::Other, Fault::WrongLength { .. })
        | (_, Fault::Corrupt | Fault::Extend { .. } | Fault::WrongLength { by: ..0 }) => {
            End::Damage
        }
        _ => End::Trouble,
    }
}

fn reads_body(class: RequestClass) -> bool {
    matches!(
        class,
        RequestClass::GetBlob
            | RequestClass::GetManifest
            | RequestClass::Other
            | RequestClass::Referrers
            | RequestClass::Tags
            | RequestClass::Token
    )
}

fn is_before_the_answer(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::Answer { .. }
            | Fault::CutRequest { .. }
            | Fault::LostAnswer
            | Fault::Reset
            | Fault::Stall
    )
}

/// Faults before an answer, of which one stands for all of its status here and there.
fn before_the_answer() -> Vec<Fault> {
    let mut faults = overloads(SystemTime::now());
    faults.extend([
        Fault::Reset,
        Fault::LostAnswer,
        Fault::Stall,
        Fault::CutRequest { after: 0 },
        Fault::CutRequest { after: 100_000 },
    ]);
    faults
}

/// Faults within an answer.
fn within_the_answer() -> [Fault; 11] {
    [
        Fault::StallBody { after: 0 },
        Fault::StallBody { after: 10 },
        Fault::Truncate { after: 0 },
        Fault::Truncate { after: 10 },
        Fault::Break { after: 0 },
        Fault::Break { after: 10 },
        Fault::WrongLength { by: 5 },
        Fault::WrongLength { by: -5 },
        Fault::Corrupt,
        Fault::Extend { by: 2 },
        Fault::Endless,
    ]
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Often {
    Always,
    Once,
}

/// Lets every kind of request meet some faults, and lists what should not have come of it.
async fn meet_all(faults: impl IntoIterator<Item = Fault>, often: Often) {
    let mut wrong = Vec::new();
    for fault in faults {
        for class in CLASSES {
            if let Err(what) = meet(class, fault.clone(), often).await {
                wrong.push(format!("{class} meets {fault:?} {often:?}: {what}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn meet(class: RequestClass, fault: Fault, often: Often) -> Result<(), String> {
    let (end, times) = match often {
        Often::Always => (last_end(class, &fault), usize::MAX),
        Often::Once => (once_end(class, &fault), 1),
    };
    if end == End::Unchanged && class == RequestClass::HeadBlob {
        return Ok(());
    }
    let is_endless = matches!(fault, Fault::Endless);
    let world = World::of(class).await;
    world.warm_up(class).await;
    world.script(class, Rule::new(fault).times(times));
    let outcome = act(&world, class).await;
    if world.struck() == 0 {
        return Err("the fault did not strike".into());
    }
    match (end, outcome) {
        (End::Success, Ok(())) => {}
        (End::Success, Err(failed)) => return Err(failed.as_dyn().to_string()),
        (_, Ok(())) => return Err(format!("it came to a good end instead of {end:?}")),
        (end, Err(failed)) => check_error(&world, class, end, &failed)?,
    }
    // A body without end is read up to a limit, which other tests look at.
    if often == Often::Once && !is_endless {
        check_bytes(&world, class)?;
    }
    world.ear.assert_clean();
    Ok(())
}

fn check_error(
    world: &World,
    class: RequestClass,
    end: End,
    failed: &Failed,
) -> Result<(), String> {
    world.ear.error(failed);
    let blob = world.blob.digest.to_string();
    let (error, text) = match failed {
        // Found by who checks the bytes, which is not the client.
        Failed::Store(error) if std::error::Error::source(error).is_none() => {
            let is_right = end == End::Damage && error.to_string().contains(&blob);
            return is_right.then_some(()).ok_or_else(|| error.to_string());
        }
        _ => (failed.error(), failed.error().to_string()),
    };
    let kind = error.kind();
    let is_right = match end {
        End::Success => false,
        End::Trouble => {
            error.attempts() == Policy::default().max_attempts
                && matches!(kind, ErrorKind::Unavailable | ErrorKind::Throttled)
        }
        End::Damage => matches!(
            kind,
            ErrorKind::SizeMismatch { .. }
                | ErrorKind::DigestMismatch { .. }
                | ErrorKind::Protocol
                | ErrorKind::TooLarge
        ),
        End::Unchanged => matches!(kind, ErrorKind::Denied | ErrorKind::NotFound),
    };
    if !is_right {
        return Err(format!("{kind:?} instead of {end:?}: {text}"));
    }
    let host = match class {
        RequestClass::Token => "auth.example.com",
        RequestClass::Other => STORAGE,
        _ => HOST,
    };
    let subject = match class {
        RequestClass::DeleteBlob
        | RequestClass::GetBlob
        | RequestClass::HeadBlob
        | RequestClass::Other => blob,
        RequestClass::GetManifest | RequestClass::HeadManifest | RequestClass::Ping => "v1".into(),
        RequestClass::DeleteManifest | RequestClass::Referrers => {
            image().manifest.digest.to_string()
        }
        _ => "team/app".into(),
    };
    for needed in [host, &subject] {
        if !text.contains(needed) {
            return Err(format!("{needed} is not named: {text}"));
        }
    }
    Ok(())
}

/// Checks that bytes which arrived are not moved again, those of one piece excepted.
fn check_bytes(world: &World, class: RequestClass) -> Result<(), String> {
    let sent = |recorder: &Recorder| -> u64 {
        let exchanges = recorder.of(class);
        exchanges.iter().map(|exchange| exchange.sent).sum()
    };
    let (moved, times) = match class {
        RequestClass::GetBlob => (sent(&world.registry), 1),
        RequestClass::Other => (sent(&world.storage), 1),
        RequestClass::Mount => (sent_bytes(world), 1),
        // The blob fits into one chunk, so all of it may go again.
        RequestClass::FinishUpload | RequestClass::StartUpload => (sent_bytes(world), 2),
        // And once more for the request that the scene refuses.
        RequestClass::PatchUpload | RequestClass::UploadStatus => (sent_bytes(world), 3),
        _ => return Ok(()),
    };
    if moved > times * BLOB as u64 + PIECE {
        return Err(format!("{moved} bytes were moved for {BLOB}"));
    }
    Ok(())
}

/// Counts what came as parts of blobs.
pub(crate) fn sent_bytes(world: &World) -> u64 {
    let classes = [
        RequestClass::Mount,
        RequestClass::StartUpload,
        RequestClass::PatchUpload,
        RequestClass::FinishUpload,
    ];
    let all = world.registry.exchanges();
    let uploads = all
        .iter()
        .filter(|exchange| classes.contains(&exchange.class));
    uploads.map(|exchange| exchange.received).sum()
}

#[tokio::test(start_paused = true)]
async fn every_request_survives_one_fault_before_the_answer() {
    meet_all(before_the_answer(), Often::Once).await;
}

#[tokio::test(start_paused = true)]
async fn every_request_survives_one_fault_within_the_answer() {
    meet_all(within_the_answer(), Often::Once).await;
}

#[tokio::test(start_paused = true)]
async fn trouble_before_every_answer_is_one_typed_error() {
    meet_all(before_the_answer(), Often::Always).await;
}

#[tokio::test(start_paused = true)]
async fn trouble_within_every_answer_is_one_typed_error() {
    meet_all(within_the_answer(), Often::Always).await;
}
