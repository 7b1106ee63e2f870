//! The client's transport over handlers: no sockets, any host name, paused time.

use std::io;
use std::sync::Arc;

use futures_core::future::BoxFuture;
use http_body_util::BodyExt;
use imgauth::Fixed;
use imgregistry::protocol::retry::Policy;
use imgregistry::{
    Client, ClientBuilder, Remote, RequestBody, ResponseBody, Route, Transport, TransportError,
    TransportErrorKind,
};
use imgtest::registry::InProcess;

/// Where the registry of these tests is.
pub(crate) const HOST: &str = "registry.example.com";

pub(crate) struct Network(pub(crate) InProcess);

impl Transport for Network {
    fn send(
        &self,
        request: http::Request<RequestBody>,
        _route: Route,
    ) -> BoxFuture<'_, Result<http::Response<ResponseBody>, TransportError>> {
        let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
        Box::pin(async move {
            let response = self.0.send(request).await.map_err(|error| {
                let kind = match error.kind() {
                    io::ErrorKind::ConnectionRefused => TransportErrorKind::Connect,
                    _ => TransportErrorKind::Reset,
                };
                TransportError::new(kind, error.to_string())
            })?;
            let broken = |error: Box<dyn std::error::Error + Send + Sync>| {
                TransportError::new(TransportErrorKind::Body, error.to_string())
            };
            Ok(response.map(|body| body.map_err(broken).boxed_unsync()))
        })
    }
}

/// Starts a client of a network, in which every failure is final.
pub(crate) fn hasty(network: InProcess) -> ClientBuilder {
    patient(network).retry_policy(Policy::never())
}

/// Starts a client of a network. Its waits take no time where the runtime's time is paused.
pub(crate) fn patient(network: InProcess) -> ClientBuilder {
    Client::builder().transport(Arc::new(Network(network)))
}

/// Names the repository of these tests.
pub(crate) fn remote(builder: ClientBuilder) -> Remote {
    remote_at(builder, HOST)
}

/// Names the repository of these tests at a host.
pub(crate) fn remote_at(builder: ClientBuilder, host: &str) -> Remote {
    let client = builder.build().unwrap();
    client
        .repository(&host.parse().unwrap(), &"team/app".parse().unwrap())
        .unwrap()
}

/// A keychain with one user, whose password is a canary.
pub(crate) fn user(host: &str) -> Fixed {
    let credential = imgauth::RegistryCredential::basic("user", PASSWORD);
    Fixed::default().with(host.parse().unwrap(), credential)
}

pub(crate) const PASSWORD: &str = "imgkit-canary-password";
