//! Whether a redirect is followed, and what goes along.
//!
//! Redirects are followed by hand, hop by hop ([RFC 9110, section 15.4][rfc]). Credentials stay with the origin that they
//! are for: once a hop has left it they are gone for good, also when a later hop comes back.
//!
//! Token servers are not followed at all.
//!
//! [rfc]: https://www.rfc-editor.org/rfc/rfc9110#section-15.4

use url::Url;

use super::address::Reach;
use super::named::{RefusedUrl, check_host, resolve};
use super::url::Origin;

/// The most redirects that one request follows.
pub const MAX_HOPS: u32 = 5;

/// What the request can stand, by its method and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Movable {
    /// GET and HEAD: every redirect is followed.
    Freely,
    /// The body, if any, is at hand and can be sent again: redirects that keep the method (307, 308) are followed.
    KeepingMethod,
    /// The body is a stream that has been read: no redirect is followed.
    Never,
}

/// The hop before this one.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "required data: a new part must be given by all callers"
)]
pub struct Hop<'a> {
    /// The URL that answered.
    pub url: &'a Url,
    /// How many redirects led there: 0 for the first request.
    pub count: u32,
    /// Whether it had credentials.
    pub has_credentials: bool,
    /// What the request can stand.
    pub movable: Movable,
}

/// Where the request goes next.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Follow {
    /// The URL.
    pub url: Url,
    /// Whether the credentials go along. When not, no later hop may have any.
    pub keep_credentials: bool,
}

/// Why a redirect is not followed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectError {
    /// The answer has no header `Location`, or several.
    #[error("the answer is a redirect that does not say where to")]
    NoLocation,
    /// The request cannot be sent again as it was.
    #[error("the answer redirects a request that cannot be sent again")]
    NotMovable,
    /// The URL is none that the client goes to.
    #[error("the answer redirects where the client does not go")]
    Refused(#[from] RefusedUrl),
    /// Too many, or a circle.
    #[error("more than {MAX_HOPS} redirects")]
    TooMany,
}

/// Returns whether a status is a redirect.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::redirect::is_redirect;
///
/// assert!(is_redirect(307));
/// assert!(!is_redirect(304));
/// ```
pub fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Decides about an answer with a [redirect's](is_redirect) status.
///
/// `registry` is the origin of the registry, whose own addresses are not checked; `reach` has the rules for all others.
///
/// # Errors
///
/// [`RedirectError`].
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::address::Rules;
/// use imgregistry::protocol::redirect::{decide, Hop, Movable};
/// use imgregistry::protocol::url::Origin;
///
/// let url = "https://r.example/v2/a/blobs/sha256:00".parse()?;
/// let registry = Origin::of(&url).unwrap();
/// let hop = Hop { url: &url, count: 0, has_credentials: true, movable: Movable::Freely };
/// let follow = decide(hop, 307, Some("https://s3.example/b?sig=1"), &registry, Rules::strict())?;
/// assert!(!follow.keep_credentials);
/// assert!(decide(hop, 307, Some("http://r.example/"), &registry, Rules::strict()).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn decide(
    hop: Hop<'_>,
    status: u16,
    location: Option<&str>,
    registry: &Origin,
    reach: impl Into<Reach>,
) -> Result<Follow, RedirectError> {
    let may_move = match hop.movable {
        Movable::Freely => is_redirect(status),
        Movable::KeepingMethod => matches!(status, 307 | 308),
        Movable::Never => false,
    };
    if !may_move {
        return Err(RedirectError::NotMovable);
    }
    if hop.count >= MAX_HOPS {
        return Err(RedirectError::TooMany);
    }
    let location = location.ok_or(RedirectError::NoLocation)?;
    let mut url = resolve(hop.url, location)?;
    url.set_fragment(None);
    let origin = Origin::of(&url);
    if origin.as_ref() != Some(registry) {
        check_host(&url, reach.into().rules_for(&url))?;
    }
    Ok(Follow {
        keep_credentials: hop.has_credentials && origin == Origin::of(hop.url),
        url,
    })
}

#[cfg(test)]
mod tests {
    use super::super::address::Rules;
    use super::*;

    fn follow(from: &str, to: &str, credentials: bool) -> Result<Follow, RedirectError> {
        let url: Url = from.parse().unwrap();
        let registry = Origin::of(&"https://r.example/".parse().unwrap()).unwrap();
        let hop = Hop {
            url: &url,
            count: 0,
            has_credentials: credentials,
            movable: Movable::Freely,
        };
        decide(hop, 302, Some(to), &registry, Rules::strict())
    }

    #[test]
    fn credentials_stay_with_scheme_host_and_port() {
        for (from, to, expected) in [
            ("https://r.example/a", "/b", true),
            ("https://r.example/a", "https://R.EXAMPLE:443/b", true),
            ("https://r.example/a", "https://r.example:8443/b", false),
            ("https://r.example/a", "https://cdn.r.example/b", false),
            ("https://r.example/a", "//evil.example/b", false),
            ("http://r.example/a", "https://r.example/b", false),
            ("http://r.example:5000/a", "http://r.example:5000/b", true),
        ] {
            let with = follow(from, to, true).unwrap();
            assert_eq!(with.keep_credentials, expected, "{from} → {to}");
            let without = follow(from, to, false).unwrap();
            assert!(!without.keep_credentials, "they do not come back");
        }
    }

    #[test]
    fn hostile_redirects_are_refused() {
        for to in [
            "",
            "http://r.example/b",
            "https://u:p@r.example/b",
            "https://u@storage.example/b",
            "ftp://r.example/b",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://10.0.0.1/",
            "https://169.254.169.254/",
            "https://[::1]/",
            "https://[::ffff:10.0.0.1]/",
            "https://r.example\\.evil.example/",
        ] {
            let error = follow("https://r.example/a", to, true).unwrap_err();
            assert!(matches!(error, RedirectError::Refused(_)), "{to}");
        }
    }

    #[test]
    fn hops_have_an_end() {
        let url: Url = "https://r.example/a".parse().unwrap();
        let registry = Origin::of(&url).unwrap();
        let at = |count| Hop {
            url: &url,
            count,
            has_credentials: true,
            movable: Movable::Freely,
        };
        let go = |count| decide(at(count), 307, Some("/a"), &registry, Rules::strict());
        assert!(go(MAX_HOPS - 1).is_ok());
        assert_eq!(go(MAX_HOPS), Err(RedirectError::TooMany));
        let nowhere = decide(at(0), 307, None, &registry, Rules::strict());
        assert_eq!(nowhere, Err(RedirectError::NoLocation));
    }

    #[test]
    fn requests_with_a_body_move_only_with_their_method() {
        let url: Url = "https://r.example/a".parse().unwrap();
        let registry = Origin::of(&url).unwrap();
        for (movable, status, expected) in [
            (Movable::Freely, 301, true),
            (Movable::Freely, 303, true),
            (Movable::Freely, 308, true),
            (Movable::KeepingMethod, 301, false),
            (Movable::KeepingMethod, 302, false),
            (Movable::KeepingMethod, 303, false),
            (Movable::KeepingMethod, 307, true),
            (Movable::KeepingMethod, 308, true),
            (Movable::Never, 307, false),
        ] {
            let hop = Hop {
                url: &url,
                count: 0,
                has_credentials: false,
                movable,
            };
            let found = decide(hop, status, Some("/b"), &registry, Rules::strict());
            assert_eq!(found.is_ok(), expected, "{movable:?} {status}");
        }
    }

    #[test]
    fn a_private_registry_redirects_to_itself() {
        let url: Url = "http://10.0.0.5:5000/a".parse().unwrap();
        let registry = Origin::of(&url).unwrap();
        let hop = Hop {
            url: &url,
            count: 0,
            has_credentials: true,
            movable: Movable::Freely,
        };
        let own = "10.0.0.5:5000".parse().unwrap();
        let go = |to: &str, allowed: &[&str]| {
            let allowed: Vec<_> = allowed.iter().map(|text| text.parse().unwrap()).collect();
            let reach = Reach::from(Rules::strict()).allowing(&own, &allowed);
            decide(hop, 302, Some(to), &registry, reach).is_ok()
        };
        assert!(go("http://10.0.0.5:5000/b", &[]));
        assert!(!go("http://10.0.0.5:9000/b", &[]));
        assert!(!go("http://10.0.0.6:9000/b", &[]));
        let to = "http://10.0.0.6:9000/b";
        assert!(go(to, &["10.0.0.5:5000=10.0.0.6:9000"]));
        assert!(go(to, &["10.0.0.5:5000=10.0.0.6"]));
        assert!(!go(to, &["10.0.0.5:5000=10.0.0.6:9001"]));
        assert!(!go(to, &["registry.corp=10.0.0.6:9000"]));
        let metadata = "http://169.254.169.254/latest";
        assert!(!go(metadata, &["10.0.0.5:5000=169.254.169.254"]));
    }
}
