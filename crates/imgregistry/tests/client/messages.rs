//! What errors say.

use std::sync::Arc;

use imgcore::{Descriptor, Digest, MediaType, Tag};
use imgregistry::TagOrDigest;
use imgserve::http::Handler;
use imgstore::BlobSourceExt;
use imgtest::registry::{
    Guard, InProcess, TokenOptions, TokenServer, answer, handler, refusal, respond,
};

use crate::network::{HOST, PASSWORD, hasty, patient, remote, user};

fn tag() -> TagOrDigest {
    TagOrDigest::from(Tag::latest())
}

/// Reads a manifest, and returns what the error says.
async fn manifest(registry: Arc<dyn Handler>) -> String {
    let network = InProcess::new().with("https://registry.example.com", registry);
    let repository = remote(hasty(network));
    repository.manifest(&tag()).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_missing_manifest() {
    let registry = handler(|_| refusal(404, "MANIFEST_UNKNOWN", "manifest unknown"));
    insta::assert_snapshot!(manifest(registry).await, @"reading manifest latest of team/app at registry registry.example.com: answered 404 Not Found (MANIFEST_UNKNOWN: manifest unknown); check the repository and the tag");
}

#[tokio::test]
async fn a_refusal_without_credentials() {
    let registry: Arc<dyn Handler> = Arc::new(Guard::basic(answer(200, ""), &[("user", PASSWORD)]));
    insta::assert_snapshot!(manifest(registry).await, @"reading manifest latest of team/app at registry registry.example.com: answered 401 Unauthorized (UNAUTHORIZED: authentication required); log in to registry.example.com: no credentials were found");
}

#[tokio::test]
async fn a_refusal_of_credentials() {
    let registry: Arc<dyn Handler> = Arc::new(Guard::basic(answer(200, ""), &[("user", "other")]));
    let network = InProcess::new().with("https://registry.example.com", registry);
    let repository = remote(hasty(network).keychain(Arc::new(user(HOST))));
    let error = repository.manifest(&tag()).await.unwrap_err();
    insta::assert_snapshot!(error, @"reading manifest latest of team/app at registry registry.example.com: answered 401 Unauthorized (UNAUTHORIZED: authentication required); check that these credentials are right (looked in: program: found: user name and password)");
}

#[tokio::test]
async fn a_refusal_of_the_token_server() {
    let server = TokenServer::new({
        let mut options = TokenOptions::default();
        options.anonymous = false;
        options
    });
    let guard = Guard::bearer(answer(200, ""), &server, "https://auth.example.com/token");
    let network = InProcess::new()
        .with("https://registry.example.com", Arc::new(guard))
        .with("https://auth.example.com", server);
    let repository = remote(hasty(network).keychain(Arc::new(user(HOST))));
    let error = repository.manifest(&tag()).await.unwrap_err();
    insta::assert_snapshot!(error, @"getting a token for team/app at token server auth.example.com: answered 401 Unauthorized (UNAUTHORIZED: incorrect username or password); check that these credentials are right (looked in: program: found: user name and password)");
}

#[tokio::test(start_paused = true)]
async fn a_server_in_trouble() {
    let registry = handler(|_| respond(503, &[("Content-Type", "text/html")], "<html>busy</html>"));
    let network = InProcess::new().with("https://registry.example.com", registry);
    let error = remote(patient(network)).manifest(&tag()).await.unwrap_err();
    insta::assert_snapshot!(error, @"reading manifest latest of team/app at registry registry.example.com: answered 503 Service Unavailable (busy) after 6 attempts; try again later; if it stays so, tell whoever runs the host");
}

#[tokio::test]
async fn a_host_that_cannot_be_reached() {
    let error = remote(hasty(InProcess::new()))
        .manifest(&tag())
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"reading manifest latest of team/app at registry registry.example.com: no host https://registry.example.com:443 in this test; check the host's name, port and proxy");
}

#[tokio::test]
async fn a_missing_blob() {
    let registry = handler(|_| refusal(404, "BLOB_UNKNOWN", "blob unknown to registry"));
    let network = InProcess::new().with("https://registry.example.com", registry);
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"hello");
    let error = remote(hasty(network))
        .read_all(&layer, 10)
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"not found at registry registry.example.com");
    insta::assert_snapshot!(std::error::Error::source(&error).unwrap(), @"reading blob sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 of team/app at registry registry.example.com: answered 404 Not Found (BLOB_UNKNOWN: blob unknown to registry); check the repository and the digest; what is there may have been removed since");
}

#[tokio::test]
async fn a_blob_with_other_bytes() {
    let network = InProcess::new().with("https://registry.example.com", answer(200, "hellp"));
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, b"hello");
    let error = remote(hasty(network))
        .read_all(&layer, 10)
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"content of sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 has the digest sha256:fdd7585e08c4e2afd71dcabdb4636c89d557a3f42db9e2040c8bbd1708aa4ce7");
}

#[tokio::test]
async fn a_manifest_with_another_digest() {
    let network = InProcess::new().with("https://registry.example.com", answer(200, "{}"));
    let asked = Digest::sha256_of(b"other");
    let error = remote(hasty(network))
        .manifest(&asked.into())
        .await
        .unwrap_err();
    insta::assert_snapshot!(error, @"reading manifest sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa of team/app at registry registry.example.com: the content has the digest sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a, expected was sha256:d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa; try again; if it stays so, the content is damaged there: tell whoever runs the host");
}

#[tokio::test]
async fn a_redirect_to_this_machine() {
    let registry = handler(|_| {
        let location = "https://127.0.0.1:6443/?token=imgkit-canary-query";
        respond(307, &[("Location", location)], "")
    });
    insta::assert_snapshot!(manifest(registry).await, @"reading manifest latest of team/app at registry registry.example.com: the answer redirects where the client does not go: `https://127.0.0.1:6443/?token=[redacted]` is not followed: 127.0.0.1 is a loopback address, where a registry may not send a client, answered 307 Temporary Redirect; the client does not go there: ask whoever runs the registry to lead to a public address, by https");
}

#[tokio::test]
async fn nothing_that_can_be_printed_has_a_secret() {
    let registry: Arc<dyn Handler> = Arc::new(Guard::basic(answer(200, ""), &[("user", "other")]));
    let network = InProcess::new().with("https://registry.example.com", registry);
    let builder = hasty(network).keychain(Arc::new(user(HOST)));
    let printed = format!("{builder:?}");
    let client = builder.build().unwrap();
    let repository = client
        .repository(&HOST.parse().unwrap(), &"team/app".parse().unwrap())
        .unwrap();
    let error = repository.manifest(&tag()).await.unwrap_err();
    let printed = format!("{printed} {client:?} {repository:?} {error:?} {error}");
    assert!(!printed.contains("canary"), "{printed}");
}
