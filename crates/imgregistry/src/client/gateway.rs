//! Gateways: one endpoint that all requests go to, whatever their registry.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use url::Url;

use crate::error::Error;
use crate::protocol::url::Endpoint;

/// A server that stands before the registries and logs in to them itself.
///
/// Requests go to it with the registry's host in the header `X-rules_img-Original-Host`, and with no credential.
///
/// # Examples
///
/// ```
/// use imgregistry::Gateway;
///
/// let gateway: Gateway = "unix:/run/gateway.sock".parse()?;
/// assert_eq!(gateway.to_string(), "unix:/run/gateway.sock");
/// assert!("ftp://gateway.example".parse::<Gateway>().is_err());
/// # Ok::<(), imgregistry::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    endpoint: Endpoint,
    socket: Option<PathBuf>,
}

impl Gateway {
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    pub(crate) fn socket(&self) -> Option<&Path> {
        self.socket.as_deref()
    }

    fn of_url(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text)
            .map_err(|error| Error::configuration(format!("the gateway's address: {error}")))?;
        let endpoint = Endpoint::from_url(&url)
            .map_err(|error| Error::configuration(format!("the gateway's address: {error}")))?;
        Ok(Self {
            endpoint,
            socket: None,
        })
    }
}

impl FromStr for Gateway {
    type Err = Error;

    /// Reads `http://…`, `https://…`, `unix:/path` or `unix:///path`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`](crate::ErrorKind::InvalidInput) for anything else.
    fn from_str(text: &str) -> Result<Self, Error> {
        let Some(path) = text.strip_prefix("unix:") else {
            return Self::of_url(text);
        };
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.starts_with('/') {
            let detail = "the gateway's socket must be an absolute path: `unix:/path`";
            return Err(Error::configuration(detail));
        }
        Ok(Self {
            socket: Some(PathBuf::from(path)),
            // The name is never looked up.
            ..Self::of_url("http://localhost/")?
        })
    }
}

impl fmt::Display for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.socket {
            Some(socket) => write!(f, "unix:{}", socket.display()),
            None => self.endpoint.fmt(f),
        }
    }
}
