//! Pull and push on a double of every registry.

use std::sync::Arc;

use bytes::Bytes;
use imgauth::{Fixed, RegistryCredential};
use imgcore::{Descriptor, Repository};
use imgregistry::{Client, ErrorKind, Mount, Remote, Uploaded};
use imgserve::http::Handler;
use imgtar::Codec;
use imgtest::image::{Image, ImageBuilder};
use imgtest::registry::customs::Mounts;
use imgtest::registry::{Login, PASSWORD, Profile, RequestClass, USER, World};
use imgtest::tar::{file, tar_of};

use super::world::{
    Ear, Failed, blob, client, feed, image, image_with, noise, pull, push, registry, repository_of,
    seed, tag, write,
};

const MIB: usize = 1024 * 1024;

/// A profile with a registry behind it and a client before it.
struct Stage {
    profile: Profile,
    registry: Arc<dyn Handler>,
    world: World,
    client: Client,
    ear: Arc<Ear>,
}

impl Stage {
    fn new(profile: &Profile) -> Self {
        let registry = registry();
        let world = profile.start(Arc::clone(&registry));
        let (builder, ear) = client(&world.network);
        let mut keychain = Fixed::default();
        if !matches!(profile.login, Login::Open) {
            let host = profile.host.parse().unwrap();
            keychain = keychain.with(host, RegistryCredential::basic(USER, PASSWORD));
        }
        let client = builder.keychain(Arc::new(keychain)).build().unwrap();
        Self {
            profile: profile.clone(),
            registry,
            world,
            client,
            ear,
        }
    }

    fn remote(&self) -> Remote {
        repository_of(&self.client, self.profile.host, self.profile.repository)
    }

    fn sibling(&self) -> Remote {
        repository_of(&self.client, self.profile.host, self.profile.sibling)
    }

    fn end(&self) {
        self.ear.assert_clean();
        let label = self.profile.label();
        if let Some(storage) = &self.world.storage {
            let leaked = storage.with_credentials();
            assert!(
                leaked.is_empty(),
                "{label}: storage was shown credentials: {leaked:?}"
            );
        }
        let missing = self.world.network.unreached();
        assert!(
            missing.is_empty(),
            "{label}: the client went to {missing:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn every_registry_can_be_pulled_from() {
    for profile in Profile::all() {
        let stage = Stage::new(&profile);
        let image = image();
        seed(&stage.registry, profile.repository, &image, "v1").await;
        let remote = stage.remote();
        let outcome = pull(&remote, "v1", &image).await;
        outcome.unwrap_or_else(|failed| panic!("{}: {}", profile.label(), failed.as_dyn()));
        let found = remote.head_manifest(&tag("v1")).await.unwrap();
        assert_eq!(
            found.unwrap().digest,
            image.manifest.digest,
            "{}",
            profile.label()
        );
        let tags = remote.tags().all().await.unwrap();
        assert_eq!(tags.len(), 1, "{}", profile.label());
        let referrers = remote
            .referrers(&image.manifest.digest, None)
            .await
            .unwrap();
        assert_eq!(referrers.manifests, [], "{}", profile.label());
        stage.end();
    }
}

#[tokio::test(start_paused = true)]
async fn public_images_can_be_pulled_without_a_login() {
    for profile in Profile::all() {
        let Login::Tokens { options, .. } = &profile.login else {
            continue;
        };
        if !options.anonymous {
            continue;
        }
        let registry = registry();
        let image = image();
        seed(&registry, profile.repository, &image, "v1").await;
        let world = profile.start(registry);
        let (builder, _) = client(&world.network);
        let client = builder.build().unwrap();
        let remote = repository_of(&client, profile.host, profile.repository);
        let outcome = pull(&remote, "v1", &image).await;
        outcome.unwrap_or_else(|failed| panic!("{}: {}", profile.label(), failed.as_dyn()));
    }
}

#[tokio::test(start_paused = true)]
async fn every_registry_can_be_pushed_to() {
    for profile in Profile::all() {
        let stage = Stage::new(&profile);
        let image = image_for(&profile);
        let outcome = push(&stage.remote(), "v1", &image).await;
        outcome.unwrap_or_else(|failed| panic!("{}: {}", profile.label(), failed.as_dyn()));
        pull(&stage.remote(), "v1", &image).await.unwrap();
        // What a profile does to uploads must not cost the blob twice.
        let sizes: u64 = image.layers.iter().map(|layer| layer.size).sum();
        let received = stage.world.registry.received();
        assert!(
            received <= 2 * sizes + MIB as u64,
            "{}: {received} of {sizes}",
            profile.label()
        );
        stage.end();
    }
}

/// An image with a layer beyond the registry's limits.
fn image_for(profile: &Profile) -> Image {
    let uploads = &profile.customs.uploads;
    let limits = [uploads.max_chunk, uploads.max_put, uploads.min_chunk];
    let most = limits.into_iter().flatten().max().unwrap_or(0);
    let large = usize::try_from(most).unwrap() + MIB;
    image_with(&[500, large])
}

#[tokio::test(start_paused = true)]
async fn an_empty_blob_can_be_pushed_to_every_registry() {
    for profile in Profile::all() {
        let stage = Stage::new(&profile);
        let outcome = write(&stage.remote(), &blob(b""), b"").await;
        outcome.unwrap_or_else(|failed| panic!("{}: {}", profile.label(), failed.as_dyn()));
    }
}

#[tokio::test(start_paused = true)]
async fn pushing_the_same_image_again_sends_no_blob() {
    for profile in Profile::all() {
        if profile.customs.manifests.immutable_tags.is_some() {
            continue;
        }
        let stage = Stage::new(&profile);
        push(&stage.remote(), "v1", &image()).await.unwrap();
        stage.world.registry.clear();
        push(&stage.remote(), "v1", &image()).await.unwrap();
        let label = profile.label();
        assert_eq!(
            stage.world.registry.count(RequestClass::StartUpload),
            0,
            "{label}"
        );
        assert!(
            stage.world.registry.received() < 5000,
            "{label}: only the manifest"
        );
        stage.end();
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_must_not_move_is_an_error_that_says_so() {
    for profile in Profile::all() {
        let Some((status, code)) = profile.customs.manifests.immutable_tags else {
            continue;
        };
        let stage = Stage::new(&profile);
        push(&stage.remote(), "v1", &image()).await.unwrap();
        let other = image_with(&[1234]);
        let failed = push(&stage.remote(), "v1", &other).await.unwrap_err();
        let error = failed.error();
        assert_eq!(
            error.kind(),
            ErrorKind::Immutable,
            "{}: {error}",
            profile.label()
        );
        assert_eq!(error.status().map(|status| status.as_u16()), Some(status));
        assert_eq!(error.code(), Some(code));
        stage.ear.error(&failed);
        stage.end();
    }
}

#[tokio::test(start_paused = true)]
async fn docker_types_are_refused_where_they_are_not_taken() {
    for profile in Profile::all() {
        let stage = Stage::new(&profile);
        let layer = tar_of([file("hello", "world")]);
        let image = ImageBuilder::new()
            .docker()
            .layer(&layer, Codec::Gzip)
            .build();
        let outcome = push(&stage.remote(), "v1", &image).await;
        match (profile.customs.manifests.refuses_docker_types, outcome) {
            (false, outcome) => outcome.unwrap(),
            (true, Ok(())) => panic!("{}: the manifest was taken", profile.label()),
            (true, Err(failed)) => {
                let status = failed.error().status();
                assert_eq!(status.map(|status| status.as_u16()), Some(415));
            }
        }
        stage.end();
    }
}

#[tokio::test(start_paused = true)]
async fn a_mount_is_a_mount_or_an_upload_on_every_registry() {
    for profile in Profile::all() {
        let stage = Stage::new(&profile);
        let content = noise(3, 10_000);
        let descriptor = blob(&content);
        let image = image();
        push(&stage.sibling(), "v1", &image).await.unwrap();
        let layer = &image.layers[0];
        let from = profile.sibling.parse().unwrap();
        let mounts = !matches!(profile.customs.mounts, Mounts::Ignored | Mounts::Refused(_));
        for (descriptor, bytes, expected) in [
            (layer, image.blob(layer), mounts),
            (&descriptor, &content[..], false),
        ] {
            let outcome = mount(&stage.remote(), descriptor, bytes, &from).await;
            let mounted =
                outcome.unwrap_or_else(|failed| panic!("{}: {}", profile.label(), failed.as_dyn()));
            assert_eq!(mounted, expected, "{}", profile.label());
            let read = super::world::read(&stage.remote(), descriptor)
                .await
                .unwrap();
            assert_eq!(read, Bytes::copy_from_slice(bytes), "{}", profile.label());
        }
        for exchange in stage.world.registry.of(RequestClass::Mount) {
            let query = exchange.uri.query().unwrap_or_default();
            assert!(!query.contains("origin="), "{}: {query}", profile.label());
        }
        stage.end();
    }
}

/// Wants a blob mounted, and writes it where it is not.
async fn mount(
    remote: &Remote,
    descriptor: &Descriptor,
    bytes: &[u8],
    from: &Repository,
) -> Result<bool, Failed> {
    match remote.mount(descriptor, from).await? {
        Mount::Mounted => Ok(true),
        Mount::Writer(ingest) => feed(ingest, bytes).await.map(|()| false),
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_blob_that_can_be_read_again_goes_to_every_registry() {
    for profile in Profile::all() {
        let stage = Stage::new(&profile);
        let content = noise(77, 21 * MIB);
        let descriptor = blob(&content);
        let source = imgstore::MemoryStore::new();
        source.insert(content.clone());
        let outcome = stage.remote().upload(&descriptor, &source, None).await;
        let uploaded = outcome.unwrap_or_else(|error| panic!("{}: {error}", profile.label()));
        assert_eq!(uploaded, Uploaded::Sent);
        let received = stage.world.registry.received();
        let most = 2 * descriptor.size + MIB as u64;
        assert!(received <= most, "{}: {received} bytes", profile.label());
        stage.end();
    }
}

#[tokio::test(start_paused = true)]
async fn a_mount_from_where_docker_hub_knows_nothing_is_an_upload() {
    let all = Profile::all();
    let hub = all
        .iter()
        .find(|profile| profile.name == "Docker Hub")
        .unwrap();
    let stage = Stage::new(hub);
    let content = noise(3, 10_000);
    // The scope for it makes the whole request for a token fail.
    let from = "elsewhere/base".parse().unwrap();
    let mounted = mount(&stage.remote(), &blob(&content), &content, &from)
        .await
        .unwrap();
    assert!(!mounted);
    assert_eq!(
        super::world::read(&stage.remote(), &blob(&content))
            .await
            .unwrap(),
        content
    );
    stage.end();
}
