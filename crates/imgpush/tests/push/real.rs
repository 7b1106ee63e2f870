//! Pushes to real registries, in each of the ways that they are set up, where they can be had.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use imgauth::{Fixed, RegistryCredential};
use imgcore::{Descriptor, MediaType};
use imgpush::{Image, Location, Options, Progress, Report, push};
use imgregistry::{Client, Security};
use imgstore::{BlobSourceExt as _, MemoryStore, OciLayout};
use imgtest::image::{ImageIndex, index_of};
use imgtest::oracle::tool;
use imgtest::peer::{Access, Answered, DockerRegistry, RealRegistry, Setup};

use super::world::{assert_has, built_for, remote, sources_of};

fn client(registry: &RealRegistry, setup: Setup) -> Client {
    let host: imgcore::RegistryHost = registry.address().parse().unwrap();
    let mut builder = Client::builder();
    if let Some(pem) = registry.certificate_pem() {
        builder = builder.extra_roots(pem.as_bytes()).unwrap();
        builder = builder.security(host.clone(), Security::Tls);
    }
    if setup.has_password() {
        let credential = RegistryCredential::basic(DockerRegistry::USER, DockerRegistry::PASSWORD);
        builder = builder.keychain(Arc::new(Fixed::default().with(host, credential)));
    }
    builder.build().unwrap()
}

/// Three images on one layer of several chunks, with one of its own each.
fn index(own: u64) -> ImageIndex {
    let architectures = ["amd64", "arm64", "riscv64"];
    let images = architectures.iter().zip(own..);
    let images: Vec<_> = images
        .map(|(architecture, own)| built_for(architecture, &[1, 10 + own], 5 << 20))
        .collect();
    index_of(&images)
}

fn to(registry: &RealRegistry, repository: &str, index: &ImageIndex) -> Image {
    let (host, repository) = (registry.address().parse(), repository.parse());
    let to = Location::new(host.unwrap(), repository.unwrap());
    let mut image = Image::new(index.index.clone(), to, sources_of(&index.blobs));
    image.tags.push("v1".parse().unwrap());
    image
}

async fn pushed(client: &Client, images: impl IntoIterator<Item = Image>) -> Report {
    let report = push(client, images, &Options::default(), &Progress::default()).await;
    assert!(report.is_success(), "{report}");
    report
}

#[tokio::test]
async fn an_index_goes_to_two_repositories_of_a_real_registry() {
    for setup in Setup::chosen() {
        let directory = tempfile::tempdir().unwrap();
        let Some(registry) = RealRegistry::start(setup, directory.path()) else {
            continue;
        };
        let client = client(&registry, setup);
        let first = index(0);
        let both = || ["team/app", "team/other"].map(|it| to(&registry, it, &first));
        let report = pushed(&client, both()).await;
        // Four layers and three configs: sent once, mounted once.
        if setup.shares_blobs() {
            // Whether the second is asked before the first has it is up to chance.
            let (sent, skipped) = (report.sent.blobs, report.skipped.blobs);
            assert!(sent >= 7 && sent + skipped == 14, "{report}");
        } else {
            let brought = (report.sent.blobs, report.mounted.blobs);
            assert_eq!(brought, (7, 7), "{setup:?}");
        }
        for repository in ["team/app", "team/other"] {
            let there = remote(&client, registry.address(), repository);
            assert_has(&there, "v1", &first.index, &first.blobs).await;
        }

        let before = registry.answered().len();
        let again = pushed(&client, both()).await;
        let answered = registry.answered().split_off(before);
        assert_eq!(writes(&answered), 0, "{setup:?}: {answered:#?}");
        assert_eq!(again.total_requests(), 8, "{setup:?}: {again}");

        // Two of the images have the layers of before.
        let changed = index(1);
        let report = pushed(&client, [to(&registry, "team/app", &changed)]).await;
        let there = remote(&client, registry.address(), "team/app");
        assert_has(&there, "v1", &changed.index, &changed.blobs).await;
        assert_eq!(report.sent.blobs, 1 + 3, "a layer, and the configs");
        read_back(&client, &registry, &changed).await;
        copied_by_skopeo(&registry, &changed, directory.path());
    }
}

fn writes(answered: &[Answered]) -> usize {
    let writes = ["POST", "PUT", "PATCH"];
    let wrote = answered.iter();
    wrote.filter(|it| writes.contains(&&*it.method)).count()
}

/// Reads every blob, which checks its digest.
async fn read_back(client: &Client, registry: &RealRegistry, index: &ImageIndex) {
    let there = remote(client, registry.address(), "team/app");
    for (digest, bytes) in &index.blobs {
        if imgcore::Document::classify(bytes, None).is_err() {
            let size = bytes.len() as u64;
            let blob = Descriptor::new(MediaType::OCI_LAYER_TAR, *digest, size);
            assert_eq!(there.read_all(&blob, size).await.unwrap(), *bytes);
        }
    }
}

/// Another program copies what was pushed, and checks it on the way.
fn copied_by_skopeo(registry: &RealRegistry, index: &ImageIndex, work: &Path) {
    let Some(skopeo) = tool("skopeo") else {
        return;
    };
    let layout = work.join("copied");
    let credentials = format!("{}:{}", DockerRegistry::USER, DockerRegistry::PASSWORD);
    let output = Command::new(skopeo)
        .args([
            "--insecure-policy",
            "copy",
            "--all",
            "--quiet",
            "--preserve-digests",
        ])
        .args(["--src-tls-verify=false", "--src-creds", &credentials])
        .arg(format!("docker://{}/team/app:v1", registry.address()))
        .arg(format!("oci:{}:v1", layout.display()))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let copied = OciLayout::open(layout).unwrap();
    for digest in index.blobs.keys() {
        assert!(copied.blobs().blob_path(digest).exists(), "{digest}");
    }
}

#[tokio::test]
async fn a_referrer_of_an_image_is_listed_whoever_keeps_the_list() {
    for setup in [Setup::Go, Setup::Docker(Access::Open)] {
        let directory = tempfile::tempdir().unwrap();
        let Some(registry) = RealRegistry::start(setup, directory.path()) else {
            continue;
        };
        let client = client(&registry, setup);
        let index = index(0);
        let subject = to(&registry, "team/app", &index);
        let artifact = super::referrers::artifact(&index.index, "application/x-signature");
        let mut referrer = Image::new(
            artifact.root.clone(),
            subject.destination.clone(),
            artifact.sources.clone(),
        );
        pushed(&client, [subject, referrer.clone()]).await;
        let there = remote(&client, registry.address(), "team/app");
        let listed = there.referrers(&index.index.digest, None).await.unwrap();
        assert_eq!(listed.from_tag, !setup.lists_referrers());
        assert_eq!(listed.manifests.len(), 1);
        assert_eq!(listed.manifests[0].digest, artifact.root.digest);
        // Nothing changes when it is pushed again, with whatever sources.
        referrer.sources = referrer
            .sources
            .with("nothing", Arc::new(MemoryStore::new()));
        let before = registry.answered().len();
        pushed(&client, [referrer]).await;
        assert_eq!(writes(&registry.answered().split_off(before)), 0);
    }
}
