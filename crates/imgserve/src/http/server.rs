//! A server that calls a handler for what comes over sockets.

use std::convert::Infallible;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::Handler;
use super::pace::{PacedBody, PacedStart, PacedStream};
use super::tls;
use crate::{Error, ErrorKind, Result};

/// How long the listener rests when the system has no sockets left.
const EXHAUSTED: Duration = Duration::from_millis(100);

/// How a [`Server`] treats its connections.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Certificate and key; plain HTTP without. Where the configuration names no protocols, HTTP/2 and HTTP/1.1 are
    /// offered.
    pub tls: Option<rustls::ServerConfig>,
    /// How many connections are served at a time; more of them wait. 1024 unless told otherwise.
    pub connections: usize,
    /// How many requests one HTTP/2 connection may have open. 128 unless told otherwise.
    pub streams: u32,
    /// How many bytes the head of a request may have. 64 KiB unless told otherwise, and never less than 8 KiB.
    pub header_bytes: usize,
    /// How long a TLS handshake and the head of a request may take, and how long an idle connection is kept. 30
    /// seconds unless told otherwise.
    pub header_timeout: Duration,
    /// How long a peer may send and take nothing in the middle of a body. 60 seconds unless told otherwise.
    pub stall_timeout: Duration,
    /// How long open requests may go on once the server should end. 10 seconds unless told otherwise.
    pub drain_timeout: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            tls: None,
            connections: 1024,
            streams: 128,
            header_bytes: 64 * 1024,
            header_timeout: Duration::from_secs(30),
            stall_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(10),
        }
    }
}

impl ServerOptions {
    /// Serves TLS with this configuration.
    #[must_use]
    pub fn with_tls(mut self, tls: rustls::ServerConfig) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Serves TLS with a certificate, and those that lead from it to a root, and its private key, all as PEM.
    ///
    /// The cryptography is that of `ring`, whatever else the process has chosen.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] when one of them cannot be used, or both do not belong together.
    pub fn with_certificate(self, certificates: &[u8], key: &[u8]) -> Result<Self> {
        Ok(self.with_tls(tls::configuration(certificates, key)?))
    }

    /// Chooses how many connections are served at a time.
    #[must_use]
    pub fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Chooses how long a TLS handshake and the head of a request may take.
    #[must_use]
    pub fn with_header_timeout(mut self, timeout: Duration) -> Self {
        self.header_timeout = timeout;
        self
    }

    /// Chooses how long a peer may send and take nothing in the middle of a body.
    #[must_use]
    pub fn with_stall_timeout(mut self, timeout: Duration) -> Self {
        self.stall_timeout = timeout;
        self
    }

    /// Chooses how long open requests may go on once the server should end.
    #[must_use]
    pub fn with_drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }
}

/// A handler behind a socket: HTTP/1.1 and HTTP/2, told apart by what the peer sends (or agrees to under TLS).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use imgserve::http::{Handler, Server, ServerOptions};
///
/// # async fn serve(handler: Arc<dyn Handler>) -> imgserve::Result<()> {
/// let address = "127.0.0.1:0".parse().expect("because this is an address");
/// let server = Server::bind(address, handler, ServerOptions::default()).await?;
/// println!("http://{}", server.local_address());
/// server.serve(std::future::pending()).await
/// # }
/// ```
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Opens the socket. Port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the address cannot be listened on.
    pub async fn bind(
        address: SocketAddr,
        handler: Arc<dyn Handler>,
        options: ServerOptions,
    ) -> Result<Self> {
        let failed = |error| Error::from_io(format!("listening on {address}"), error);
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let shared = Arc::new(Shared::new(handler, options)?);
        Ok(Self {
            listener,
            address,
            shared,
        })
    }

    /// Returns where the server listens.
    pub fn local_address(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` is there, then finishes the open ones, as long as the options allow.
    ///
    /// A failing connection ends by itself and disturbs no other.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Io`] when the socket itself fails.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the socket and every connection.
    pub async fn serve(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let slots = Arc::new(Semaphore::new(self.shared.options.connections));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        let mut shutdown = std::pin::pin!(shutdown);
        loop {
            let accept = async {
                let slot = Arc::clone(&slots).acquire_owned().await;
                (slot, self.listener.accept().await)
            };
            let (slot, accepted) = tokio::select! {
                () = &mut shutdown => break,
                Some(_) = connections.join_next(), if !connections.is_empty() => continue,
                accepted = accept => accepted,
            };
            match accepted {
                Ok((stream, _)) => {
                    let shared = Arc::clone(&self.shared);
                    let watcher = graceful.watcher();
                    connections.spawn(async move {
                        shared.connection(stream, watcher).await;
                        drop(slot);
                    });
                }
                Err(error) => self.rest_after(error).await?,
            }
        }
        drop(self.listener);
        // Whoever is still there after that is cut off with the set.
        let _ = timeout(self.shared.options.drain_timeout, graceful.shutdown()).await;
        Ok(())
    }

    /// Goes on after the errors of single connections, and waits where the system has run out of something.
    async fn rest_after(&self, error: io::Error) -> Result<()> {
        match error.kind() {
            io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted => Ok(()),
            io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported => Err(Error::from_io(
                format!("accepting on {}", self.address),
                error,
            )),
            // Out of file descriptors or memory: connections that end give some back.
            _ => {
                sleep(EXHAUSTED).await;
                Ok(())
            }
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What every connection needs.
struct Shared {
    handler: Arc<dyn Handler>,
    options: ServerOptions,
    protocol: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
}

impl Shared {
    fn new(handler: Arc<dyn Handler>, mut options: ServerOptions) -> Result<Self> {
        if options.connections == 0 || options.connections > Semaphore::MAX_PERMITS {
            let text = format!("{} connections cannot be served", options.connections);
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        let tls = options.tls.take().map(|mut config| {
            if config.alpn_protocols.is_empty() {
                config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
            }
            TlsAcceptor::from(Arc::new(config))
        });
        Ok(Self {
            handler,
            protocol: protocol(&options),
            options,
            tls,
        })
    }

    async fn connection(&self, stream: TcpStream, watcher: Watcher) {
        // Small answers must not wait for the peer's acknowledgement of the ones before.
        let _ = stream.set_nodelay(true);
        let stream = PacedStream::new(stream, self.options.stall_timeout);
        match &self.tls {
            None => self.talk(stream, watcher).await,
            Some(acceptor) => {
                let handshake = timeout(self.options.header_timeout, acceptor.accept(stream));
                if let Ok(Ok(stream)) = handshake.await {
                    self.talk(stream, watcher).await;
                }
            }
        }
    }

    async fn talk(
        &self,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
        watcher: Watcher,
    ) {
        let stream = PacedStart::new(stream, self.options.header_timeout);
        let patience = self.options.stall_timeout;
        let service = service_fn(|request: http::Request<Incoming>| {
            let request = request.map(|body| PacedBody::new(body, patience).boxed_unsync());
            let response = Arc::clone(&self.handler).handle(request);
            async { Ok::<_, Infallible>(response.await) }
        });
        let connection = self
            .protocol
            .serve_connection(TokioIo::new(stream), service);
        // The peer's faults are the peer's: there is nobody to tell them to.
        let _ = watcher.watch(connection).await;
    }
}

fn protocol(options: &ServerOptions) -> Builder<TokioExecutor> {
    // Below that hyper refuses to work.
    let header_bytes = options.header_bytes.max(8 * 1024);
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_buf_size(header_bytes)
        .half_close(true);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(options.streams)
        .max_header_list_size(u32::try_from(header_bytes).unwrap_or(u32::MAX))
        .keep_alive_interval(options.header_timeout)
        .keep_alive_timeout(options.header_timeout);
    builder
}
