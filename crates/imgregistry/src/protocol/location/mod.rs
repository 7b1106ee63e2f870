//! Where an upload goes on: the header `Location` of its answers.
//!
//! [distribution-spec 1.1, "Pushing blobs"][spec]: the URL is absolute or relative, and what is in its query belongs to
//! the registry. The digest is added to it.
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs

#[cfg(test)]
mod tests;

use imgcore::Digest;
use url::Url;

use super::address::Reach;
use super::named::{RefusedUrl, check_host, resolve as resolve_url};
use super::url::Origin;

/// What is allowed of the place of an upload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocationRules {
    /// Where the registry itself is: the only place that gets credentials. Without it no place does.
    pub registry: Option<Origin>,
    /// Which addresses other hosts may have.
    pub addresses: Reach,
    /// Whether other hosts are refused.
    pub same_host_only: bool,
}

impl LocationRules {
    /// Allows other hosts, with the addresses that the rules allow.
    pub fn new(registry: Option<Origin>, addresses: impl Into<Reach>) -> Self {
        Self {
            registry,
            addresses: addresses.into(),
            same_host_only: false,
        }
    }
}

/// The URL of an upload's session.
///
/// # Examples
///
/// ```
/// use imgcore::Digest;
/// use imgregistry::protocol::address::Rules;
/// use imgregistry::protocol::location::{resolve, LocationRules};
/// use imgregistry::protocol::url::Origin;
///
/// let request = "https://r.example/v2/a/blobs/uploads/".parse()?;
/// let rules = LocationRules::new(Origin::of(&request), Rules::strict());
/// let location = resolve(&request, "/v2/a/blobs/uploads/1?_state=a%2Fb==", &rules)?;
/// assert!(location.sends_credentials());
/// assert!(location
///     .with_digest(&Digest::sha256_of(b""))
///     .as_str()
///     .starts_with("https://r.example/v2/a/blobs/uploads/1?_state=a%2Fb==&digest=sha256%3Ae3b0c4"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadLocation {
    url: Url,
    sends_credentials: bool,
}

impl UploadLocation {
    /// Returns the URL, for chunks and for the status.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Returns whether it is on the registry itself, which then gets its credentials.
    pub fn sends_credentials(&self) -> bool {
        self.sends_credentials
    }

    /// Returns the URL that ends the upload: with the digest behind what is in the query already.
    pub fn with_digest(&self, digest: &Digest) -> Url {
        let digest = digest.to_string().replace(':', "%3A");
        let query = match self.url.query() {
            None | Some("") => format!("digest={digest}"),
            Some(query) if query.ends_with('&') => format!("{query}digest={digest}"),
            Some(query) => format!("{query}&digest={digest}"),
        };
        let mut url = self.url.clone();
        url.set_query(Some(&query));
        url
    }
}

/// Reads `Location` of an answer to a request with this URL.
///
/// # Errors
///
/// [`RefusedUrl`]: for what is no URL, for one with a user, for one that leaves https, and for another host where none is
/// allowed or with an address that is forbidden.
pub fn resolve(
    request: &Url,
    header: &str,
    rules: &LocationRules,
) -> Result<UploadLocation, RefusedUrl> {
    let mut url = resolve_url(request, header)?;
    url.set_fragment(None);
    let sends_credentials = rules.registry.is_some() && Origin::of(&url) == rules.registry;
    if !sends_credentials {
        if rules.same_host_only {
            return Err(RefusedUrl::other_origin(&url, rules.registry.clone()));
        }
        check_host(&url, rules.addresses.rules_for(&url))?;
    }
    Ok(UploadLocation {
        url,
        sends_credentials,
    })
}
