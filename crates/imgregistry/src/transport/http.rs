//! The transport on `reqwest` and `rustls`.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::future::BoxFuture;
use http::{Request, Response};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use url::Url;

use super::resolver::CheckedResolver;
use super::{
    Addresses, Proxies, RequestBody, ResponseBody, Route, TlsOptions, Transport, TransportError,
    TransportErrorKind, Verification, tls,
};
use crate::error::{Error, Result};

/// What one HTTP/2 stream, and a connection, may have on its way to us, in bytes. The protocol's own 64 KiB would wait
/// for the other end of the world after every 64 KiB.
const WINDOW: u32 = 8 * 1024 * 1024;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// More header lines than any registry sends.
const MAX_HEADERS: usize = 128;

/// The most that the headers of an HTTP/2 answer may have, in bytes.
const MAX_HEADER_BYTES: u32 = 64 * 1024;

/// Settings of an [`HttpTransport`].
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HttpOptions {
    /// Which requests go through a proxy.
    pub proxies: Proxies,
    /// What is trusted.
    pub tls: TlsOptions,
    /// What the client calls itself; `imgkit/VERSION` when there is nothing.
    pub user_agent: Option<String>,
}

/// Sends requests over HTTP/1.1 and HTTP/2.
///
/// Connections live on the tokio runtime that the transport was made on; requests may be sent from any thread.
pub struct HttpTransport {
    options: HttpOptions,
    runtime: Handle,
    /// One client for each way of connecting, as `reqwest` ties these settings to the client.
    clients: Mutex<HashMap<Way, reqwest::Client>>,
}

/// A [`Route`] without what makes no difference to connections.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Way {
    verification: Verification,
    addresses: Addresses,
    socket: Option<Arc<std::path::Path>>,
    /// Whether the client's certificate is shown: to hosts that the user named, and to no others.
    has_identity: bool,
}

impl HttpTransport {
    /// Makes a transport on the runtime that the caller is on.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) without a runtime, and for TLS settings that cannot be
    /// used.
    pub fn new(options: HttpOptions) -> Result<Self> {
        let runtime = Handle::try_current().map_err(|_| {
            Error::configuration(
                "there is no tokio runtime here: make the client in one, or give it a transport",
            )
        })?;
        let transport = Self {
            options,
            runtime,
            clients: Mutex::default(),
        };
        // Bad settings are found now and not by the first request.
        transport.client(&Route::new(super::Role::Registry), true)?;
        Ok(transport)
    }

    fn client(&self, route: &Route, has_identity: bool) -> Result<reqwest::Client> {
        let way = Way {
            verification: route.verification,
            addresses: route.addresses,
            socket: route.socket.clone(),
            has_identity,
        };
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&way) {
            return Ok(client.clone());
        }
        let client = self.connect_way(&way)?;
        clients.insert(way, client.clone());
        Ok(client)
    }

    fn connect_way(&self, way: &Way) -> Result<reqwest::Client> {
        let mut options = self.options.tls.clone();
        options.identity = options.identity.filter(|_| way.has_identity);
        let tls = tls::configure(&options, way.verification)?;
        let own_name = concat!("imgkit/", env!("CARGO_PKG_VERSION"));
        let user_agent = self.options.user_agent.as_deref().unwrap_or(own_name);
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .user_agent(user_agent)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .tcp_nodelay(true)
            .connect_timeout(CONNECT_TIMEOUT)
            .http1_max_headers(MAX_HEADERS)
            .http2_max_header_list_size(MAX_HEADER_BYTES)
            .http2_initial_stream_window_size(WINDOW)
            .http2_initial_connection_window_size(2 * WINDOW);
        if !self.options.proxies.is_empty() {
            let proxies = self.options.proxies.clone();
            let choose = move |url: &Url| proxies.proxy_for(url).cloned();
            builder = builder.proxy(reqwest::Proxy::custom(choose));
        }
        if let Addresses::Checked(rules) = way.addresses {
            builder = builder.dns_resolver(CheckedResolver(rules));
        }
        if let Some(socket) = &way.socket {
            builder = use_socket(builder, socket)?;
        }
        let built = builder.build();
        built.map_err(|error| Error::configuration(describe(&error)))
    }
}

#[cfg(unix)]
#[expect(clippy::unnecessary_wraps, reason = "it fails on other systems")]
fn use_socket(
    builder: reqwest::ClientBuilder,
    socket: &Arc<std::path::Path>,
) -> Result<reqwest::ClientBuilder> {
    Ok(builder.unix_socket(Arc::clone(socket)))
}

#[cfg(not(unix))]
fn use_socket(
    _builder: reqwest::ClientBuilder,
    _socket: &Arc<std::path::Path>,
) -> Result<reqwest::ClientBuilder> {
    Err(Error::configuration("this system has no Unix sockets"))
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: Request<RequestBody>,
        mut route: Route,
    ) -> BoxFuture<'_, Result<Response<ResponseBody>, TransportError>> {
        let exchange = async move {
            check_literal(&request, route.addresses)?;
            let has_identity = route.addresses == Addresses::Any;
            // The proxy looks the name up; what would be checked here is the address of the proxy itself.
            if self.options.proxies.is_used_for(&request.uri().to_string()) {
                route.addresses = Addresses::Any;
            }
            let client = self.client(&route, has_identity).map_err(|error| {
                TransportError::new(TransportErrorKind::Connect, error.to_string())
            })?;
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap))
                .map_err(|error| classify(error, TransportErrorKind::Connect))?;
            let answer = client.execute(request).await;
            let answer = answer.map_err(|error| classify(error, TransportErrorKind::Reset))?;
            Ok(Response::from(answer).map(|body| {
                body.map_err(|error| classify(error, TransportErrorKind::Body))
                    .boxed_unsync()
            }))
        };
        Box::pin(OnRuntime {
            runtime: self.runtime.clone(),
            future: Box::pin(exchange),
        })
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// An address that is written out is never looked up, so the resolver does not see it.
fn check_literal(
    request: &Request<RequestBody>,
    addresses: Addresses,
) -> Result<(), TransportError> {
    let Addresses::Checked(rules) = addresses else {
        return Ok(());
    };
    let host = request.uri().host().unwrap_or_default();
    let refused = match url::Host::parse(host) {
        Ok(url::Host::Domain(_)) => None,
        Ok(host) => rules.check_literal(&host).err(),
        Err(error) => {
            let why = error.to_string();
            return Err(TransportError::new(TransportErrorKind::Forbidden, why));
        }
    };
    match refused {
        Some(address) => Err(TransportError::forbidden(&address)),
        None => Ok(()),
    }
}

/// Polls a future as if on the runtime: the caller may be on another one, or on none.
struct OnRuntime<F> {
    runtime: Handle,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for OnRuntime<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        let _on_runtime = this.runtime.enter();
        this.future.as_mut().poll(context)
    }
}

/// Says what broke. `fallback` is for what `reqwest` has no word for.
fn classify(error: reqwest::Error, fallback: TransportErrorKind) -> TransportError {
    // The URL may carry a signature; whoever reads the error knows host and operation from elsewhere.
    let error = error.without_url();
    let text = describe(&error);
    let inner = find::<TransportError>(&error);
    let kind = if let Some(inner) = inner {
        inner.kind()
    } else if let Some(error) = find::<rustls::Error>(&error) {
        match error {
            rustls::Error::InvalidCertificate(_) => TransportErrorKind::Certificate,
            _ => TransportErrorKind::Tls,
        }
    } else if error.is_connect() {
        TransportErrorKind::Connect
    } else if error.is_timeout() {
        TransportErrorKind::Stalled
    } else {
        fallback
    };
    TransportError {
        is_private: inner.is_some_and(TransportError::is_private),
        ..TransportError::new(kind, text)
    }
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        // An error of the standard library hides what it carries from `source`.
        let carried = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        if let Some(found) = carried.and_then(|inner| find::<T>(inner)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// Joins an error's chain, without saying anything twice.
fn describe(error: &reqwest::Error) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next: Option<&(dyn StdError + 'static)> = error.source();
    while let Some(error) = next {
        let text = error.to_string();
        if texts.last().is_none_or(|last| !last.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    if texts.is_empty() {
        return error.to_string();
    }
    texts.join(": ")
}
