//! The same over sockets: HTTP/1.1 and HTTP/2, peers that stop in the middle, and the end of a server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use imgcore::Digest;
use imgserve::distribution::Registry;
use imgserve::http::{Server, ServerOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

type Bytes = Full<bytes::Bytes>;

/// A server that ends when told, or with the test.
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<imgserve::Result<()>>,
}

async fn run(options: ServerOptions) -> Running {
    let registry = Arc::new(Registry::in_memory());
    let address = "127.0.0.1:0".parse().unwrap();
    let server = Server::bind(address, registry, options).await.unwrap();
    let (stop, stopped) = oneshot::channel();
    Running {
        address: server.local_address(),
        stop,
        ended: tokio::spawn(server.serve(async { drop(stopped.await) })),
    }
}

fn request(method: &str, url: &str, body: &[u8]) -> http::Request<Bytes> {
    http::Request::builder()
        .method(method)
        .uri(format!("http://registry.test{url}"))
        .header("host", "registry.test")
        .body(Full::new(bytes::Bytes::copy_from_slice(body)))
        .unwrap()
}

#[tokio::test]
async fn http_1_keeps_its_connection() {
    let server = run(ServerOptions::default()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let body = vec![7; 300_000];
    let url = format!("/v2/app/blobs/uploads/?digest={}", Digest::sha256_of(&body));
    let reply = sender
        .send_request(request("POST", &url, &body))
        .await
        .unwrap();
    assert_eq!(reply.status(), 201);
    let location = reply.headers()["location"].to_str().unwrap().to_owned();
    drop(reply.into_body().collect().await);
    // A refused body is read, so that the connection can go on.
    let wrong = request("PUT", "/v2/App/manifests/x", &vec![0; 100_000]);
    let reply = sender.send_request(wrong).await.unwrap();
    assert_eq!(reply.status(), 400);
    drop(reply.into_body().collect().await);
    let reply = sender
        .send_request(request("HEAD", &location, b""))
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    assert_eq!(reply.headers()["content-length"], "300000");
    drop(reply.into_body().collect().await);
    let reply = sender
        .send_request(request("GET", &location, b""))
        .await
        .unwrap();
    assert_eq!(reply.into_body().collect().await.unwrap().to_bytes(), body);
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[tokio::test]
async fn http_2_answers_many_requests_at_once() {
    let server = run(ServerOptions::default()).await;
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let calls = (0..20_u8).map(|number| {
        let mut sender = sender.clone();
        async move {
            let body = vec![number; 200_000];
            let url = format!("/v2/app/blobs/uploads/?digest={}", Digest::sha256_of(&body));
            let reply = sender
                .send_request(request("POST", &url, &body))
                .await
                .unwrap();
            assert_eq!(reply.status(), 201);
            let location = reply.headers()["location"].to_str().unwrap().to_owned();
            let reply = sender
                .send_request(request("GET", &location, b""))
                .await
                .unwrap();
            assert_eq!(reply.version(), http::Version::HTTP_2);
            let bytes = reply.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(bytes, body);
        }
    });
    futures_util::future::join_all(calls).await;
}

#[tokio::test]
async fn a_server_that_should_end_finishes_what_it_began() {
    let server = run(ServerOptions::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let digest = Digest::sha256_of(b"0123456789");
    let head = format!(
        "POST /v2/app/blobs/uploads/?digest={digest} HTTP/1.1\r\nHost: x\r\n\
         Expect: 100-continue\r\nContent-Length: 10\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The answer says that the request has begun.
    let mut begun = [0; 25];
    stream.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100 Continue\r\n\r\n");
    server.stop.send(()).unwrap();
    stream.write_all(b"0123456789").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
    server.ended.await.unwrap().unwrap();
    TcpStream::connect(server.address).await.unwrap_err();
}

#[tokio::test]
async fn a_server_that_should_end_waits_for_nobody_for_ever() {
    let options = ServerOptions::default().with_drain_timeout(Duration::ZERO);
    let server = run(options).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /v2/app/manifests/x HTTP/1.1\r\nHost: x\r\n\
                Expect: 100-continue\r\nContent-Length: 10\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.read_exact(&mut [0; 25]).await.unwrap();
    server.stop.send(()).unwrap();
    server.ended.await.unwrap().unwrap();
    let mut rest = Vec::new();
    // The connection ends, well or badly, without an answer.
    let _ = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
}

#[tokio::test]
async fn who_sends_no_request_is_let_go() {
    let patience = Duration::from_millis(50);
    let server = run(ServerOptions::default().with_header_timeout(patience)).await;
    for beginning in ["", "GET /v2/ HTTP/1.1\r\nHost"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(beginning.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(!String::from_utf8_lossy(&rest).contains("200 OK"));
    }
}

#[tokio::test]
async fn a_body_that_stops_is_answered() {
    let patience = Duration::from_millis(50);
    let server = run(ServerOptions::default().with_stall_timeout(patience)).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = "PUT /v2/app/manifests/x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("MANIFEST_INVALID"), "{answer}");
}

#[tokio::test]
async fn a_head_has_a_limit() {
    let server = run(ServerOptions::default()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "GET /v2/ HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(80 * 1024)
    );
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
}

#[tokio::test]
async fn no_connections_and_taken_addresses_are_errors() {
    let registry = Arc::new(Registry::in_memory());
    let address = "127.0.0.1:0".parse().unwrap();
    let options = ServerOptions::default().with_connections(0);
    let error = Server::bind(address, Arc::clone(&registry) as _, options)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), imgserve::ErrorKind::InvalidInput);
    let first = Server::bind(
        address,
        Arc::clone(&registry) as _,
        ServerOptions::default(),
    )
    .await
    .unwrap();
    let taken = first.local_address();
    let error = Server::bind(taken, registry, ServerOptions::default())
        .await
        .unwrap_err();
    assert_eq!(error.kind(), imgserve::ErrorKind::Io);
    assert_eq!(error.to_string(), format!("listening on {taken}"));
}

#[tokio::test]
async fn tls_agrees_on_http_2() {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let options = ServerOptions::default()
        .with_certificate(certificate.as_bytes(), key.as_bytes())
        .unwrap();
    let server = run(options).await;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = TcpStream::connect(server.address).await.unwrap();
    let name = "localhost".try_into().unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    tokio::spawn(connection);
    let reply = sender
        .send_request(request("GET", "/v2/", b""))
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
}
