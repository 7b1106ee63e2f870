//! The transport of this crate: TLS, HTTP/2, proxies and sockets that are files.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use imgcore::{Descriptor, MediaType, Tag};
use imgregistry::protocol::retry::Policy;
use imgregistry::{Client, ClientIdentity, ErrorKind, Proxies, Remote, Security, TagOrDigest};
use imgserve::distribution::Registry;
use imgserve::http::{Handler, Request, Response, Server, ServerOptions};
use imgstore::{BlobSourceExt, MemoryStore};
use imgtest::peer::Certificate;
use imgtest::registry::{
    Challenge, Exchange, Guard, Protocols, Recorder, Running, TokenOptions, TokenServer, answer,
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use crate::network::{remote_at, user};

const INDEX: &[u8] = br#"{"schemaVersion":2,"manifests":[]}"#;

fn tag() -> TagOrDigest {
    TagOrDigest::from(Tag::latest())
}

fn hasty() -> imgregistry::ClientBuilder {
    Client::builder().retry_policy(Policy::never())
}

async fn round_trip(repository: &Remote) {
    let memory = MemoryStore::new();
    let content = [1, 2, 3, 5, 7, 11, 13, 17].repeat(10 << 17);
    memory.insert(content.clone());
    let layer = Descriptor::of(MediaType::OCI_LAYER_TAR, &content);
    imgstore::copy(&memory, repository, &layer).await.unwrap();
    assert_eq!(
        repository.read_all(&layer, u64::MAX).await.unwrap(),
        content
    );
}

#[tokio::test]
async fn blobs_go_over_plain_http_and_both_versions_with_tls() {
    let registry: Arc<dyn Handler> = Arc::new(Registry::in_memory());
    let plain = Running::plain(registry).await;
    round_trip(&remote_at(hasty(), &plain.host())).await;
    for protocols in [Protocols::Http1, Protocols::Http2] {
        let registry: Arc<dyn Handler> = Arc::new(Registry::in_memory());
        let server = Running::tls(registry, protocols).await;
        let builder = hasty()
            .extra_roots(server.pem().as_bytes())
            .unwrap()
            .security(server.host().parse().unwrap(), Security::Tls);
        round_trip(&remote_at(builder, &server.host())).await;
    }
}

#[tokio::test]
async fn a_certificate_must_be_good_unless_the_user_says_otherwise() {
    let server = Running::tls(answer(200, INDEX), Protocols::Http1).await;
    let host = server.host();
    let with = |security| hasty().security(host.parse().unwrap(), security);
    let error = remote_at(with(Security::Tls), &host)
        .manifest(&tag())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("certificate"), "{error}");
    remote_at(with(Security::Insecure), &host)
        .manifest(&tag())
        .await
        .unwrap();
    // On this machine TLS is found where plain HTTP is not spoken.
    let builder = hasty().extra_roots(server.pem().as_bytes()).unwrap();
    remote_at(builder, &host).manifest(&tag()).await.unwrap();
}

#[tokio::test]
async fn a_token_server_on_an_insecure_host_is_as_insecure() {
    let tokens = TokenServer::new(TokenOptions::default());
    let guard = Guard::bearer(answer(200, INDEX), &tokens, "https://unused.example/token")
        .with_challenge(Challenge::RelativeRealm);
    let both = Arc::new(ByPath(tokens, Arc::new(guard)));
    let server = Running::tls(both, Protocols::Http1).await;
    let host = server.host();
    let builder = hasty().security(host.parse().unwrap(), Security::Insecure);
    remote_at(builder, &host).manifest(&tag()).await.unwrap();
}

/// A token server and a registry at one address.
struct ByPath(Arc<TokenServer>, Arc<Guard>);

impl Handler for ByPath {
    fn handle(self: Arc<Self>, request: Request) -> BoxFuture<'static, Response> {
        match request.uri().path() {
            "/token" => Arc::clone(&self.0).handle(request),
            _ => Arc::clone(&self.1).handle(request),
        }
    }
}

#[tokio::test]
async fn requests_go_through_the_proxy_with_its_credentials() {
    let proxy = Recorder::new(answer(200, INDEX));
    let server = Running::plain(Arc::clone(&proxy) as Arc<dyn Handler>).await;
    let setting = format!("http://user:imgkit-canary-proxy@{}", server.host());
    let proxies = Proxies::from_environment(|name| match name {
        "http_proxy" => Some(setting.clone()),
        "no_proxy" => Some("direct.example".to_owned()),
        _ => None,
    });
    let builder = hasty()
        .proxies(proxies.unwrap())
        .security("registry.example.com".parse().unwrap(), Security::PlainHttp);
    remote_at(builder, "registry.example.com")
        .manifest(&tag())
        .await
        .unwrap();
    let seen = &proxy.exchanges()[0];
    assert_eq!(seen.header("host"), Some("registry.example.com"));
    let sent = seen.header("proxy-authorization").unwrap();
    assert!(sent.starts_with("Basic "), "{sent}");
}

#[tokio::test]
async fn tunnels_are_asked_for_with_the_credentials_of_the_proxy() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = read_head(&mut stream).await;
        let refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(refusal).await.unwrap();
        head
    });
    let proxies = Proxies::from_environment(|name| {
        (name == "HTTPS_PROXY").then(|| format!("http://user:word@{proxy}"))
    });
    let repository = remote_at(hasty().proxies(proxies.unwrap()), "registry.example");
    let error = repository.manifest(&tag()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    let head = asked.await.unwrap();
    assert!(head.starts_with("connect registry.example:443 "), "{head}");
    // `user:word`
    assert!(
        head.contains("proxy-authorization: basic dxnlcjp3b3jk"),
        "{head}"
    );
}

#[tokio::test]
async fn a_registry_is_reached_through_a_tunnel() {
    let registry = Recorder::new(Arc::new(Registry::in_memory()) as Arc<dyn Handler>);
    let server = Running::tls(Arc::clone(&registry) as _, Protocols::Http1).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let (tell, mut asked) = tokio::sync::mpsc::unbounded_channel();
    let target = server.host();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tell.send(read_head(&mut client).await).unwrap();
            let mut server = tokio::net::TcpStream::connect(&target).await.unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    let proxies = Proxies::from_environment(|name| {
        (name == "HTTPS_PROXY").then(|| format!("http://user:word@{proxy}"))
    });
    let builder = hasty()
        .proxies(proxies.unwrap())
        .extra_roots(server.pem().as_bytes())
        .unwrap();
    round_trip(&remote_at(builder, "registry.test")).await;
    let head = asked.recv().await.unwrap();
    assert!(head.starts_with("connect registry.test:443 "), "{head}");
    // What is for the proxy stays with the proxy.
    assert!(
        head.contains("proxy-authorization: basic dxnlcjp3b3jk"),
        "{head}"
    );
    assert!(!registry.is_empty());
    assert!(registry.with_credentials().is_empty());
}

#[tokio::test]
async fn a_gateway_may_speak_tls() {
    for protocols in [Protocols::Http1, Protocols::Http2] {
        let registry = Recorder::new(Arc::new(Registry::in_memory()) as Arc<dyn Handler>);
        let server = Running::tls(Arc::clone(&registry) as _, protocols).await;
        let gateway = || server.origin().parse().unwrap();
        let keychain = Arc::new(user("quay.io"));
        let trusting = hasty()
            .gateway(gateway())
            .keychain(keychain)
            .extra_roots(server.pem().as_bytes())
            .unwrap();
        round_trip(&remote_at(trusting, "quay.io")).await;
        let seen = registry.exchanges();
        let meant = |it: &Exchange| it.header("x-rules_img-original-host") == Some("quay.io");
        assert!(!seen.is_empty() && seen.iter().all(meant));
        assert!(registry.with_credentials().is_empty());
        // The certificate must be good, whatever the user says of the registry behind it.
        let insecure = hasty()
            .gateway(gateway())
            .security("quay.io".parse().unwrap(), Security::Insecure);
        let error = remote_at(insecure, "quay.io").manifest(&tag()).await;
        let error = error.unwrap_err();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

/// Reads the head of a request, in small letters.
async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap().to_ascii_lowercase()
}

#[tokio::test]
async fn a_connection_that_nobody_takes_is_named() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = remote_at(hasty(), &host)
        .manifest(&tag())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains(&host), "{error}");
}

#[tokio::test]
async fn a_redirect_to_a_name_for_this_machine_is_found_after_the_look_up() {
    // `localhost` is a name for loopback wherever tests run; a registry elsewhere must not lead there.
    let inside = Recorder::new(answer(200, INDEX));
    let inside_server = Running::plain(Arc::clone(&inside) as Arc<dyn Handler>).await;
    let port = inside_server.host().rsplit(':').next().unwrap().to_owned();
    let route = {
        let mut route = imgregistry::Route::new(imgregistry::Role::Storage);
        let rules = imgregistry::protocol::address::Rules::strict();
        route.addresses = imgregistry::Addresses::Checked(rules);
        route
    };
    let transport = imgregistry::HttpTransport::new(imgregistry::HttpOptions::default()).unwrap();
    let request = http::Request::get(format!("http://localhost:{port}/"))
        .body(imgregistry::RequestBody::empty())
        .unwrap();
    let error = imgregistry::Transport::send(&transport, request, route)
        .await
        .unwrap_err();
    assert_eq!(
        error.kind(),
        imgregistry::TransportErrorKind::Forbidden,
        "{error}"
    );
    assert!(inside.is_empty());
}

#[cfg(unix)]
#[tokio::test]
async fn a_gateway_may_be_a_socket_in_the_file_system() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("gateway.sock");
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let request = read_head(&mut stream).await;
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", INDEX.len());
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(INDEX).await.unwrap();
        request
    });
    let gateway = format!("unix:{}", path.display()).parse().unwrap();
    let repository = remote_at(hasty().gateway(gateway), "quay.io");
    repository.manifest(&tag()).await.unwrap();
    let request = served.await.unwrap();
    assert!(
        request.contains("x-rules_img-original-host: quay.io"),
        "{request}"
    );
    assert!(!request.contains("authorization"), "{request}");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_is_shown_one() {
    let (own, theirs) = (Certificate::generate(), Certificate::generate());
    let directory = tempfile::tempdir().unwrap();
    let (chain, key) = own.write(directory.path());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(own.der().to_vec().into()).unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::clone(&provider),
    );
    let server_key = rustls::pki_types::PrivatePkcs8KeyDer::from(theirs.key_der().to_vec());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![theirs.der().to_vec().into()], server_key.into())
        .unwrap();
    let options = ServerOptions::default().with_tls(config);
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, answer(200, INDEX), options)
        .await
        .unwrap();
    let host = server.local_address().to_string();
    tokio::spawn(server.serve(std::future::pending()));

    let builder = || {
        hasty()
            .extra_roots(theirs.pem().as_bytes())
            .unwrap()
            .security(host.parse().unwrap(), Security::Tls)
    };
    let identity =
        ClientIdentity::from_pem(&fs_err::read(chain).unwrap(), &fs_err::read(key).unwrap());
    let known = builder().client_identity(identity.unwrap());
    remote_at(known, &host).manifest(&tag()).await.unwrap();
    let unknown = remote_at(builder(), &host).manifest(&tag()).await;
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[test]
fn bad_certificates_and_keys_are_refused_without_being_quoted() {
    let error = hasty().extra_roots(b"imgkit-canary-pem").unwrap_err();
    assert_eq!(
        error.to_string(),
        "setting up a registry client: the PEM text has no certificate",
    );
    let certificate = Certificate::generate().pem();
    let error = ClientIdentity::from_pem(certificate.as_bytes(), b"imgkit-canary-key").unwrap_err();
    assert_eq!(
        error.to_string(),
        "setting up a registry client: the client key is no PEM text of a private key",
    );
}
