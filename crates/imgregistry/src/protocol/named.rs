//! URLs that a server gives the client: what all of them must be before the client goes there.

use url::Url;

use super::address::{Class, ForbiddenAddress, Rules};
use super::url::{Origin, Scheme, redacted};

/// The longest URL that is taken from a server. Signed ones have a few kilobytes.
const MAX_LENGTH: usize = 16 * 1024;

/// Why the client does not go where a server sends it.
///
/// The URL in the text is redacted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RefusedUrl {
    /// The host is an address that is forbidden.
    #[error("`{url}` is not followed")]
    Address {
        /// The URL.
        url: String,
        /// Which address, and why.
        source: ForbiddenAddress,
    },
    /// From https to http.
    #[error("`{url}` is not followed: it would leave encryption behind")]
    Downgrade {
        /// The URL.
        url: String,
    },
    /// It has no form that a URL has.
    #[error("the server sent something that is no URL")]
    Invalid,
    /// It leads to another host, where it must not.
    #[error("`{url}` is not followed: it is not on {origin}")]
    OtherOrigin {
        /// Where it would have to be.
        origin: String,
        /// The URL.
        url: String,
    },
    /// Neither http nor https.
    #[error("`{url}` is not followed: it is neither http nor https")]
    Scheme {
        /// The URL.
        url: String,
    },
    /// Longer than anything that is meant well.
    #[error("the server sent a URL of more than 16 KiB")]
    TooLong,
    /// It has a user or a password in it.
    #[error("`{url}` is not followed: it has a user or a password in it")]
    User {
        /// The URL.
        url: String,
    },
}

impl RefusedUrl {
    /// Returns the host, with the port where it is not the scheme's, if its being on a private network is all that is
    /// wrong: the user could allow that.
    pub fn private_host(&self) -> Option<String> {
        match self {
            Self::Address { url, source } if source.class() == Class::Private => {
                let url = Url::parse(url).ok()?;
                let host = url.host_str()?;
                Some(match url.port() {
                    Some(port) => format!("{host}:{port}"),
                    None => host.to_owned(),
                })
            }
            _ => None,
        }
    }

    pub(super) fn other_origin(url: &Url, expected: Option<Origin>) -> Self {
        Self::OtherOrigin {
            origin: expected.map_or_else(|| "the registry".to_owned(), |it| it.to_string()),
            url: redacted(url),
        }
    }
}

/// Makes the URL of what stands in a header, absolute or relative to the request's, and checks everything but the host.
///
/// The query stays as it came, byte for byte, as far as its characters may stand in a query at all.
pub(super) fn resolve(request: &Url, header: &str) -> Result<Url, RefusedUrl> {
    let header = header.trim();
    if header.len() > MAX_LENGTH {
        return Err(RefusedUrl::TooLong);
    }
    // A URL parser drops some of these and turns others into slashes: two readers could see two hosts.
    let is_odd = header.contains(|it: char| it.is_control() || it == '\\');
    if header.is_empty() || is_odd {
        return Err(RefusedUrl::Invalid);
    }
    let url = request.join(header).map_err(|_| RefusedUrl::Invalid)?;
    let text = || redacted(&url);
    let Some(scheme) = Scheme::of(&url).filter(|_| url.has_host()) else {
        return Err(RefusedUrl::Scheme { url: text() });
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err(RefusedUrl::User { url: text() });
    }
    if scheme == Scheme::Http && Scheme::of(request) == Some(Scheme::Https) {
        return Err(RefusedUrl::Downgrade { url: text() });
    }
    Ok(url)
}

/// Checks the host of a URL, if it is an address.
pub(super) fn check_host(url: &Url, rules: Rules) -> Result<(), RefusedUrl> {
    let host = url.host().ok_or(RefusedUrl::Invalid)?;
    rules
        .check_literal(&host)
        .map_err(|source| RefusedUrl::Address {
            url: redacted(url),
            source,
        })
}
