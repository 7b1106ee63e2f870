//! Where an upload goes on: the header `Location` of its answers.
//!
//! [distribution-spec 1.1, "Pushing blobs"][spec]: the URL is absolute or relative, and what is in its query belongs to
//! the registry. The digest is added to it.
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-blobs

use imgcore::Digest;
use url::Url;

use super::address::Rules;
use super::named::{RefusedUrl, check_host, resolve as resolve_url};
use super::url::Origin;

/// What is allowed of the place of an upload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocationRules {
    /// Where the registry itself is: the only place that gets credentials. Without it no place does.
    pub registry: Option<Origin>,
    /// Which addresses other hosts may have.
    pub addresses: Rules,
    /// Whether other hosts are refused.
    pub same_host_only: bool,
}

impl LocationRules {
    /// Allows other hosts, with the addresses that the rules allow.
    pub fn new(registry: Option<Origin>, addresses: Rules) -> Self {
        Self {
            registry,
            addresses,
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
        check_host(&url, rules.addresses)?;
    }
    Ok(UploadLocation {
        url,
        sends_credentials,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &str = "https://r.example/v2/a/blobs/uploads/";

    fn locate(request: &str, header: &str) -> Result<UploadLocation, RefusedUrl> {
        let registry = Origin::of(&REQUEST.parse().unwrap());
        let rules = LocationRules::new(registry, Rules::strict());
        resolve(&request.parse().unwrap(), header, &rules)
    }

    #[test]
    fn every_form_of_location_is_resolved() {
        for (header, expected, credentials) in [
            (
                "https://r.example/v2/a/blobs/uploads/1",
                "https://r.example/v2/a/blobs/uploads/1",
                true,
            ),
            (
                "https://R.example:443/u/1?s=1",
                "https://r.example/u/1?s=1",
                true,
            ),
            (
                "/v2/a/blobs/upload/1",
                "https://r.example/v2/a/blobs/upload/1",
                true,
            ),
            (
                "1?_state=x",
                "https://r.example/v2/a/blobs/uploads/1?_state=x",
                true,
            ),
            (
                "?_state=x",
                "https://r.example/v2/a/blobs/uploads/?_state=x",
                true,
            ),
            (
                "/u?_nouploadcache=false&_state=a/b+c==",
                "https://r.example/u?_nouploadcache=false&_state=a/b+c==",
                true,
            ),
            (" /u ", "https://r.example/u", true),
            ("/u#top", "https://r.example/u", true),
            (
                "https://r.example:8443/u",
                "https://r.example:8443/u",
                false,
            ),
            (
                "//storage.example/u?sig=%2f",
                "https://storage.example/u?sig=%2f",
                false,
            ),
        ] {
            let location = locate(REQUEST, header).unwrap();
            assert_eq!(location.url().as_str(), expected, "{header}");
            assert_eq!(location.sends_credentials(), credentials, "{header}");
        }
    }

    #[test]
    fn what_leads_astray_is_refused() {
        for (header, expected) in [
            ("", "the server sent something that is no URL"),
            ("https://", "the server sent something that is no URL"),
            (
                "https:\\\\evil.example\\",
                "the server sent something that is no URL",
            ),
            ("/a\tb", "the server sent something that is no URL"),
            (
                "ftp://r.example/u",
                "`ftp://r.example/u` is not followed: it is neither http nor https",
            ),
            (
                "file:///etc/passwd",
                "`file:[redacted]` is not followed: it is neither http nor https",
            ),
            (
                "javascript:alert(1)",
                "`javascript:[redacted]` is not followed: it is neither http nor https",
            ),
            (
                "https://u@r.example/u",
                "`https://r.example/u` is not followed: it has a user or a password in it",
            ),
            (
                "https://:imgkit-canary-1@r.example/u?sig=imgkit-canary-2",
                "`https://r.example/u?sig=[redacted]` is not followed: it has a user or a password in it",
            ),
            (
                "http://r.example/u",
                "`http://r.example/u` is not followed: it would leave encryption behind",
            ),
            ("https://10.0.0.1/u", "`https://10.0.0.1/u` is not followed"),
            ("https://127.1/u", "`https://127.0.0.1/u` is not followed"),
            ("https://[::1]/u", "`https://[::1]/u` is not followed"),
            (
                "https://localhost/u",
                "`https://localhost/u` is not followed",
            ),
            (
                "https://2852039166/latest",
                "`https://169.254.169.254/latest` is not followed",
            ),
        ] {
            let error = locate(REQUEST, header).unwrap_err();
            assert_eq!(error.to_string(), expected, "{header}");
        }
        let long = format!("/{}", "a".repeat(20_000));
        assert_eq!(locate(REQUEST, &long), Err(RefusedUrl::TooLong));
    }

    #[test]
    fn other_hosts_can_be_refused_altogether() {
        let request = REQUEST.parse().unwrap();
        let rules = LocationRules {
            same_host_only: true,
            ..LocationRules::new(Origin::of(&request), Rules::anywhere())
        };
        assert!(resolve(&request, "/u", &rules).is_ok());
        assert_eq!(
            resolve(&request, "https://s.example/u?k=v", &rules)
                .unwrap_err()
                .to_string(),
            "`https://s.example/u?k=[redacted]` is not followed: it is not on https://r.example:443"
        );
    }

    #[test]
    fn a_registry_in_a_private_network_may_name_itself() {
        let request: Url = "http://10.0.0.5:5000/v2/a/blobs/uploads/".parse().unwrap();
        let rules = LocationRules::new(Origin::of(&request), Rules::strict());
        assert!(resolve(&request, "http://10.0.0.5:5000/u", &rules).is_ok());
        assert!(resolve(&request, "http://10.0.0.5:5001/u", &rules).is_err());
        assert!(resolve(&request, "http://10.0.0.6:5000/u", &rules).is_err());
    }

    #[test]
    fn the_digest_goes_behind_the_query() {
        let digest = Digest::sha256_of(b"");
        let escaped = digest.to_string().replace(':', "%3A");
        for (header, expected) in [
            ("/u", format!("https://r.example/u?digest={escaped}")),
            ("/u?", format!("https://r.example/u?digest={escaped}")),
            (
                "/u?a=b",
                format!("https://r.example/u?a=b&digest={escaped}"),
            ),
            (
                "/u?a=b&",
                format!("https://r.example/u?a=b&digest={escaped}"),
            ),
        ] {
            let location = locate(REQUEST, header).unwrap();
            assert_eq!(location.with_digest(&digest).as_str(), expected);
        }
    }

    proptest! {
        #[test]
        fn the_query_stays_byte_for_byte(query in "[a-zA-Z0-9%=&+/?:@!$()*,;._~^|{}-]{1,60}") {
            let location = locate(REQUEST, &format!("/u?{query}")).unwrap();
            prop_assert_eq!(location.url().query(), Some(query.as_str()));
            let ended = location.with_digest(&Digest::sha256_of(b""));
            prop_assert!(ended.query().unwrap().starts_with(&query));
        }

        #[test]
        fn no_header_takes_credentials_elsewhere(header in ".{0,40}|(https?:)?//[a-z.@:0-9/]{0,20}") {
            if let Ok(location) = locate(REQUEST, &header) {
                let is_registry = location.url().origin() == REQUEST.parse::<Url>().unwrap().origin();
                prop_assert_eq!(location.sends_credentials(), is_registry);
                prop_assert_eq!(location.url().scheme(), "https");
                prop_assert!(location.url().username().is_empty());
            }
        }
    }
}
