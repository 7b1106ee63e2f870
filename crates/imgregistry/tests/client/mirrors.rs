//! Mirrors, gateways, and the scheme that a host speaks.

use std::sync::Arc;

use imgcore::{Descriptor, MediaType, Tag};
use imgregistry::{Gateway, Mirror, Security, TagOrDigest};
use imgstore::BlobSourceExt;
use imgtest::registry::{
    Fault, Faults, Guard, InProcess, Recorder, RequestClass, answer, handler, respond,
};

use crate::network::{HOST, PASSWORD, hasty, patient, remote, remote_at, user};

const INDEX: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

fn tag() -> TagOrDigest {
    TagOrDigest::from(Tag::latest())
}

#[tokio::test]
async fn a_mirror_is_asked_first_and_gets_no_credentials_of_the_registry() {
    let mirror = Recorder::new(Arc::new(Guard::basic(
        answer(200, INDEX),
        &[("user", PASSWORD)],
    )));
    let origin = Recorder::new(Arc::new(Guard::basic(
        answer(200, INDEX),
        &[("user", PASSWORD)],
    )));
    let network = InProcess::new()
        .with("https://mirror.example", mirror.clone())
        .with("https://registry.example.com", origin.clone());
    let builder = hasty(network).keychain(Arc::new(user(HOST))).mirror(
        HOST.parse().unwrap(),
        Mirror::new("mirror.example".parse().unwrap()),
    );
    remote(builder).manifest(&tag()).await.unwrap();
    assert_eq!(mirror.len(), 1);
    assert!(mirror.with_credentials().is_empty());
    assert_eq!(origin.with_credentials().len(), 1);
}

#[tokio::test]
async fn a_mirror_has_its_own_names_and_may_leave_tags_to_the_registry() {
    let mirror = Recorder::new(answer(200, INDEX));
    let origin = Recorder::new(answer(200, INDEX));
    let network = InProcess::new()
        .with("https://mirror.example", mirror.clone())
        .with("https://registry.example.com", origin.clone());
    let place = Mirror::new("mirror.example".parse().unwrap())
        .under("hub".parse().unwrap())
        .digests_only();
    let repository = remote(hasty(network).mirror(HOST.parse().unwrap(), place));
    repository.manifest(&tag()).await.unwrap();
    assert_eq!((mirror.len(), origin.len()), (0, 1));
    let digest = imgcore::Digest::sha256_of(INDEX);
    repository.manifest(&digest.into()).await.unwrap();
    assert_eq!((mirror.len(), origin.len()), (1, 1));
    let path = format!("/v2/hub/team/app/manifests/{digest}");
    assert_eq!(mirror.exchanges()[0].uri.path(), path);
}

#[tokio::test]
async fn the_last_error_says_why_the_mirrors_did_not_help() {
    let network = InProcess::new()
        .with("https://mirror.example", answer(404, ""))
        .with("https://registry.example.com", answer(500, ""));
    let mirror = Mirror::new("mirror.example".parse().unwrap());
    let repository = remote(hasty(network).mirror(HOST.parse().unwrap(), mirror));
    let error = repository.manifest(&tag()).await.unwrap_err();
    assert_eq!(error.host(), HOST);
    assert_eq!(error.earlier().len(), 1);
    assert!(error.earlier()[0].contains("mirror.example"), "{error}");
}

#[tokio::test]
async fn a_gateway_gets_the_host_and_no_credential() {
    let gateway = Recorder::new(answer(200, INDEX));
    let network = InProcess::new().with("http://gateway.example:8080", gateway.clone());
    let address: Gateway = "http://gateway.example:8080/proxy".parse().unwrap();
    let builder = hasty(network)
        .keychain(Arc::new(user("docker.io")))
        .gateway(address);
    let client = builder.build().unwrap();
    let host = "docker.io".parse().unwrap();
    let repository = client
        .repository(&host, &"debian".parse().unwrap())
        .unwrap();
    repository.manifest(&tag()).await.unwrap();
    let seen = &gateway.exchanges()[0];
    assert_eq!(seen.uri.path(), "/proxy/v2/library/debian/manifests/latest");
    assert_eq!(seen.header("x-rules_img-original-host"), Some("docker.io"));
    assert!(gateway.with_credentials().is_empty());
}

#[tokio::test]
async fn each_host_is_spoken_to_as_the_user_says() {
    let check = async |host: &str, security: Security, served: &str, works: bool| {
        let network = InProcess::new().with(served, answer(200, INDEX));
        let builder = hasty(network).security(host.parse().unwrap(), security);
        let read = remote_at(builder, host).manifest(&tag()).await;
        assert_eq!(
            read.is_ok(),
            works,
            "{host} {security:?} {served}: {read:?}"
        );
    };
    let (plain, tls) = (
        "http://registry.example.com",
        "https://registry.example.com",
    );
    check(HOST, Security::Default, tls, true).await;
    check(HOST, Security::Default, plain, false).await;
    check(HOST, Security::Insecure, tls, true).await;
    check(HOST, Security::Insecure, plain, true).await;
    check(HOST, Security::PlainHttp, plain, true).await;
    check(HOST, Security::PlainHttp, tls, false).await;
    check(
        "localhost:5000",
        Security::Default,
        "http://localhost:5000",
        true,
    )
    .await;
    check(
        "localhost:5000",
        Security::Default,
        "https://localhost:5000",
        true,
    )
    .await;
    check(
        "localhost:5000",
        Security::Tls,
        "http://localhost:5000",
        false,
    )
    .await;
    check(
        "127.0.0.1:5000",
        Security::Default,
        "http://127.0.0.1:5000",
        true,
    )
    .await;
    check(
        "localhost.example",
        Security::Default,
        "http://localhost.example",
        false,
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_blob_that_a_mirror_cannot_finish_comes_from_the_registry() {
    let content: Vec<u8> = [1, 2, 3, 5].repeat(10_000);
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    let whole = content.clone();
    let bad = Faults::new(answer(200, content.clone()));
    bad.always(RequestClass::GetBlob, Fault::Break { after: 100 });
    let origin = Recorder::new(handler(move |request| {
        let range = request.headers["range"].to_str().unwrap();
        let start = range
            .strip_prefix("bytes=")
            .and_then(|it| it.strip_suffix('-'));
        let start: usize = start.unwrap().parse().unwrap();
        let header = format!("bytes {start}-{}/{}", whole.len() - 1, whole.len());
        respond(206, &[("Content-Range", &header)], whole[start..].to_vec())
    }));
    let network = InProcess::new()
        .with("https://mirror.example", bad)
        .with("https://registry.example.com", origin.clone());
    let mirror = Mirror::new("mirror.example".parse().unwrap());
    let repository = remote(patient(network).mirror(HOST.parse().unwrap(), mirror));
    let read = repository.read_all(&layer, u64::MAX).await.unwrap();
    assert_eq!(read, content);
    // What the mirror gave was not asked for again.
    assert_eq!(origin.exchanges()[0].header("range"), Some("bytes=100-"));
}
