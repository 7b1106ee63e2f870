//! A client in a process that has installed a TLS provider of its own: it neither uses nor needs it.

use std::sync::Arc;

use imgcore::Tag;
use imgregistry::{Client, Security, TagOrDigest};
use imgtest::registry::{Protocols, Running, answer};

#[tokio::test]
async fn the_provider_of_the_process_is_left_alone() {
    let index = r#"{"schemaVersion":2,"manifests":[]}"#;
    let server = Running::tls(answer(200, index), Protocols::Http2).await;
    // With this one, no handshake can be made.
    let mut useless = rustls::crypto::ring::default_provider();
    useless.cipher_suites.clear();
    useless.install_default().unwrap();

    let host: imgcore::RegistryHost = server.host().parse().unwrap();
    let client = Client::builder()
        .extra_roots(server.pem().as_bytes())
        .unwrap()
        .security(host.clone(), Security::Tls)
        .build()
        .unwrap();
    let repository = client
        .repository(&host, &"team/app".parse().unwrap())
        .unwrap();
    let at = TagOrDigest::from(Tag::latest());
    repository.manifest(&at).await.unwrap();
    let installed: &Arc<rustls::crypto::CryptoProvider> =
        rustls::crypto::CryptoProvider::get_default().unwrap();
    assert!(installed.cipher_suites.is_empty());
}
