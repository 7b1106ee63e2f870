//! Handlers behind real sockets, on 127.0.0.1 and a port of their own.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use imgserve::http::{Handler, Server, ServerOptions};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::peer::Certificate;

/// A handler that is served until this is dropped. It lives on the runtime that started it.
pub struct Running {
    address: SocketAddr,
    certificate: Option<Certificate>,
    handler: Arc<dyn Handler>,
    options: ServerOptions,
    /// Ends the server when it is dropped: it takes no more requests, and finishes those that it has.
    goodbye: Option<oneshot::Sender<()>>,
    tasks: Vec<JoinHandle<()>>,
}

/// Which protocols a TLS server offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two")]
pub enum Protocols {
    /// HTTP/1.1 and nothing else.
    Http1,
    /// HTTP/2 and nothing else.
    Http2,
}

impl Running {
    /// Serves plain HTTP.
    pub async fn plain(handler: Arc<dyn Handler>) -> Self {
        Self::start(handler, ServerOptions::default(), None).await
    }

    /// Serves TLS with a certificate that only [`pem`](Self::pem) vouches for.
    pub async fn tls(handler: Arc<dyn Handler>, protocols: Protocols) -> Self {
        let certificate = Certificate::generate();
        let mut config = server_config(&certificate);
        config.alpn_protocols = match protocols {
            Protocols::Http1 => vec![b"http/1.1".to_vec()],
            Protocols::Http2 => vec![b"h2".to_vec()],
        };
        let options = ServerOptions::default().with_tls(config);
        Self::start(handler, options, Some(certificate)).await
    }

    async fn start(
        handler: Arc<dyn Handler>,
        options: ServerOptions,
        certificate: Option<Certificate>,
    ) -> Self {
        let mut running = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            certificate,
            handler,
            options,
            goodbye: None,
            tasks: Vec::new(),
        };
        running.listen().await;
        running
    }

    /// Ends the server as operators do, and starts another in its place: open requests go on, connections are told to
    /// take no new ones (GOAWAY, or `Connection: close`).
    pub async fn restart(&mut self) {
        self.goodbye = None;
        self.listen().await;
    }

    async fn listen(&mut self) {
        let mut tries = 0;
        let server = loop {
            let (handler, options) = (Arc::clone(&self.handler), self.options.clone());
            match Server::bind(self.address, handler, options).await {
                Ok(server) => break server,
                // The one before has not let go of the port yet.
                Err(error) => assert!(tries < 100_000, "{error}"),
            }
            tries += 1;
            tokio::task::yield_now().await;
        };
        self.address = server.local_address();
        let (goodbye, heard) = oneshot::channel();
        self.goodbye = Some(goodbye);
        self.tasks.push(tokio::spawn(async move {
            let end = async { drop(heard.await) };
            server
                .serve(end)
                .await
                .expect("because nothing closes its socket");
        }));
    }

    /// Returns the host as a reference writes it, such as `127.0.0.1:40001`.
    pub fn host(&self) -> String {
        self.address.to_string()
    }

    /// Returns scheme, host and port.
    pub fn origin(&self) -> String {
        let scheme = if self.certificate.is_some() {
            "https"
        } else {
            "http"
        };
        format!("{scheme}://{}", self.address)
    }

    /// Returns the certificate as PEM, which clients must be told to trust. Empty without TLS.
    pub fn pem(&self) -> String {
        self.certificate
            .as_ref()
            .map(Certificate::pem)
            .unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Running").field(&self.origin()).finish()
    }
}

fn server_config(certificate: &Certificate) -> rustls::ServerConfig {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from(certificate.der().to_vec())];
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(certificate.key_der().to_vec()));
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("because ring knows TLS 1.2 and 1.3")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("because the key is the certificate's")
}
