//! The suite of the doubles on real registries, where they can be had.

use std::sync::Arc;

use imgregistry::{Client, ErrorKind, Mount, Remote, Security, TagOrDigest, Uploaded};
use imgtest::peer::{Access, DockerRegistry, RealRegistry, Setup};

use super::world::{
    Ear, Failed, blob, feed, image, image_with, login, noise, pull, push, read, repository_of, tag,
    write,
};

const MIB: usize = 1024 * 1024;

fn client(registry: &RealRegistry, password: Option<&str>) -> (Client, Arc<Ear>) {
    let ear = Arc::new(Ear::default());
    let host: imgcore::RegistryHost = registry.address().parse().unwrap();
    let mut builder = Client::builder().observer(Arc::clone(&ear) as _);
    if let Some(pem) = registry.certificate_pem() {
        builder = builder.extra_roots(pem.as_bytes()).unwrap();
        builder = builder.security(host, Security::Tls);
    }
    if let Some(password) = password {
        let keychain = login(registry.address(), DockerRegistry::USER, password);
        builder = builder.keychain(Arc::new(keychain));
    }
    (builder.build().unwrap(), ear)
}

#[tokio::test]
async fn everything_works_on_real_registries_too() {
    for setup in Setup::ALL {
        let directory = tempfile::tempdir().unwrap();
        let Some(registry) = RealRegistry::start(setup, directory.path()) else {
            continue;
        };
        let password = setup.has_password().then_some(DockerRegistry::PASSWORD);
        let (client, ear) = client(&registry, password);
        let remote = repository_of(&client, registry.address(), "team/app");
        let outcome = suite(&client, &remote, registry.address(), setup).await;
        if let Err(failed) = &outcome {
            ear.error(failed);
        }
        outcome.unwrap_or_else(|failed| panic!("{setup:?}: {failed:?}"));
        ear.assert_clean();
    }
}

async fn suite(
    client: &Client,
    remote: &Remote,
    address: &str,
    setup: Setup,
) -> Result<(), Failed> {
    let image = image_with(&[0, 500, 12 * MIB]);
    push(remote, "v1", &image).await?;
    pull(remote, "v1", &image).await?;
    push(remote, "v1", &image).await?;
    assert_eq!(remote.tags().all().await?.len(), 1);
    let referrers = remote.referrers(&image.manifest.digest, None).await?;
    assert_eq!(referrers.from_tag, !setup.lists_referrers());

    if setup.takes_empty_blobs() {
        write(remote, &blob(b""), b"").await?;
    }
    let content = noise(8, 9 * MIB);
    let descriptor = blob(&content);
    let source = imgstore::MemoryStore::new();
    source.insert(content.clone());
    let uploaded = remote.upload(&descriptor, &source, None).await?;
    assert_eq!(uploaded, Uploaded::Sent);
    assert_eq!(read(remote, &descriptor).await?, content);

    let other = repository_of(client, address, "team/other");
    let from = "team/app".parse().unwrap();
    match other.mount(&descriptor, &from).await? {
        Mount::Mounted => {}
        Mount::Writer(_) => assert!(setup.shares_blobs(), "it mounts"),
    }
    let nowhere = noise(9, 1000);
    match other.mount(&blob(&nowhere), &from).await? {
        Mount::Mounted => panic!("there is nothing to mount"),
        Mount::Writer(ingest) => feed(ingest, &nowhere).await?,
    }

    let deleted = TagOrDigest::from(image.manifest.digest);
    remote.delete_manifest(&deleted).await?;
    assert_eq!(remote.head_manifest(&deleted).await?, None);
    if setup.deletes_tags() {
        assert_eq!(remote.head_manifest(&tag("v1")).await?, None);
    }
    Ok(())
}

#[tokio::test]
async fn docker_registry_refuses_who_has_no_password_and_the_message_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let setup = Setup::Docker(Access::Password);
    let Some(registry) = RealRegistry::start(setup, directory.path()) else {
        return;
    };
    for password in [None, Some("imgkit-canary-wrong")] {
        let (client, ear) = client(&registry, password);
        let remote = repository_of(&client, registry.address(), "team/app");
        let failed = push(&remote, "v1", &image()).await.unwrap_err();
        assert_eq!(failed.error().kind(), ErrorKind::Denied);
        assert!(failed.error().next_step().is_some(), "{}", failed.error());
        ear.error(&failed);
        ear.assert_clean();
    }
}
