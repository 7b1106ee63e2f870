//! Pushes to a double of every registry.

use std::sync::Arc;

use imgauth::{Fixed, RegistryCredential};
use imgpush::{Error, ErrorKind, Image, Location, Options, Progress, Report, push};
use imgregistry::{Client, Remote};
use imgserve::distribution::Registry;
use imgtest::image::{Image as Built, index_of};
use imgtest::registry::customs::Mounts;
use imgtest::registry::{Login, PASSWORD, Profile, USER, Wire, World};

use super::world::{WRITING, assert_has, built, built_for, remote, sources_of};

/// A profile with a registry behind it and a client before it.
struct Stage {
    profile: Profile,
    world: World,
    client: Client,
}

impl Stage {
    fn new(profile: Profile) -> Self {
        let world = profile.start(Arc::new(Registry::in_memory()));
        let mut keychain = Fixed::default();
        if !matches!(profile.login, Login::Open) {
            let credential = RegistryCredential::basic(USER, PASSWORD);
            keychain = keychain.with(profile.host.parse().unwrap(), credential);
        }
        let client = Client::builder()
            .transport(Arc::new(Wire(world.network.clone())))
            .keychain(Arc::new(keychain))
            .build()
            .unwrap();
        Self {
            profile,
            world,
            client,
        }
    }

    fn image(&self, built: &Built, repository: &str, tag: &str) -> Image {
        let (host, repository) = (self.profile.host.parse(), repository.parse());
        let to = Location::new(host.unwrap(), repository.unwrap());
        let mut image = Image::new(built.manifest.clone(), to, sources_of(&built.blobs));
        image.tags.push(tag.parse().unwrap());
        image
    }

    async fn try_push(&self, images: impl IntoIterator<Item = Image>) -> Report {
        self.world.registry.clear();
        push(
            &self.client,
            images,
            &Options::default(),
            &Progress::default(),
        )
        .await
    }

    async fn push(&self, images: impl IntoIterator<Item = Image>) -> Report {
        let report = self.try_push(images).await;
        let label = self.profile.label();
        assert!(report.is_success(), "{label}: {report}");
        report
    }

    fn writes(&self) -> usize {
        let count = |class: &_| self.world.registry.count(*class);
        WRITING.iter().map(count).sum()
    }

    fn remote(&self, repository: &str) -> Remote {
        remote(&self.client, self.profile.host, repository)
    }
}

#[tokio::test(start_paused = true)]
async fn an_image_and_an_index_get_to_every_registry() {
    for profile in Profile::all() {
        let (label, repository) = (profile.label(), profile.repository);
        let stage = Stage::new(profile);
        let image = built(&[1, 2]);
        let push = || [stage.image(&image, repository, "v1")];
        let report = stage.push(push()).await;
        assert_eq!(report.sent.blobs, 3, "{label}");
        let there = stage.remote(repository);
        assert_has(&there, "v1", &image.manifest, &image.blobs).await;

        let again = stage.push(push()).await;
        assert_eq!((stage.writes(), again.unchanged), (0, 1), "{label}");

        let index = index_of(&["amd64", "arm64"].map(|it| built_for(it, &[1, 7], 20_000)));
        let mut wanted = push()[0].clone();
        wanted.root = index.index.clone();
        wanted.sources = sources_of(&index.blobs);
        wanted.tags = vec!["v2".parse().unwrap()];
        let report = stage.push([wanted]).await;
        assert_eq!((report.sent.blobs, report.skipped.blobs), (3, 1), "{label}");
        assert_has(&there, "v2", &index.index, &index.blobs).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_two_repositories_share_is_mounted_where_the_registry_mounts() {
    for profile in Profile::all() {
        let (label, repository, sibling) = (profile.label(), profile.repository, profile.sibling);
        let mounts = profile.customs.mounts.clone();
        let stage = Stage::new(profile);
        let (one, other) = (built(&[1, 2, 3]), built(&[1, 2, 4]));
        let images = [
            stage.image(&one, repository, "v1"),
            stage.image(&other, sibling, "v1"),
        ];
        let report = stage.push(images).await;
        let mounted = match mounts {
            Mounts::Ignored | Mounts::Refused(_) | Mounts::CommittedOnly => 0,
            _ => report.mounted.blobs.max(2),
        };
        assert_eq!(report.mounted.blobs, mounted, "{label}");
        assert_eq!(report.mounted.blobs + report.sent.blobs, 8, "{label}");
        assert_has(&stage.remote(repository), "v1", &one.manifest, &one.blobs).await;
        assert_has(&stage.remote(sibling), "v1", &other.manifest, &other.blobs).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_tag_that_must_not_move_is_told_in_the_words_of_every_registry() {
    let mut seen = 0;
    for profile in Profile::all() {
        if profile.customs.manifests.immutable_tags.is_none() {
            continue;
        }
        seen += 1;
        let (label, repository) = (profile.label(), profile.repository);
        let stage = Stage::new(profile);
        let (old, new) = (built(&[1]), built(&[2]));
        stage.push([stage.image(&old, repository, "v1")]).await;
        // The same digest again is nothing to do.
        stage.push([stage.image(&old, repository, "v1")]).await;
        let report = stage.try_push([stage.image(&new, repository, "v1")]).await;
        let expected = ErrorKind::ImmutableTag {
            tag: "v1".parse().unwrap(),
            have: Some(old.manifest.digest),
            want: new.manifest.digest,
        };
        let kinds: Vec<_> = report.images[0].errors.iter().map(Error::kind).collect();
        assert_eq!(kinds, [&expected], "{label}");
    }
    assert!(seen > 1);
}
