//! The next page of a list: the header `Link`.
//!
//! [distribution-spec 1.1, "Listing tags"][spec] and [RFC 8288][rfc]: `<url>; rel="next"`.
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
//! [rfc]: https://www.rfc-editor.org/rfc/rfc8288#section-3

use url::Url;

use super::named::{RefusedUrl, resolve};
use super::url::Origin;

/// The most bytes of a header that are looked at.
const MAX_BYTES: usize = 32 * 1024;

/// Returns the next page of a list, from all the `Link` headers of the answer to a request with this URL.
///
/// The page is on the same origin: a list has no reason to go elsewhere.
///
/// # Errors
///
/// [`RefusedUrl`] when there is a next page, and it is not one that the client goes to.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::link::next;
///
/// let request = "https://r.example/v2/a/tags/list?n=2".parse()?;
/// let page = next(&request, [r#"</v2/a/tags/list?n=2&last=b>; rel="next""#])?.unwrap();
/// assert_eq!(page.as_str(), "https://r.example/v2/a/tags/list?n=2&last=b");
/// assert!(next(&request, ["<https://evil.example/>; rel=next"]).is_err());
/// assert!(next(&request, [])?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn next<'a>(
    request: &Url,
    headers: impl IntoIterator<Item = &'a str>,
) -> Result<Option<Url>, RefusedUrl> {
    let Some(target) = headers.into_iter().find_map(next_target) else {
        return Ok(None);
    };
    let mut url = resolve(request, target)?;
    url.set_fragment(None);
    let origin = Origin::of(request);
    if origin.is_none() || Origin::of(&url) != origin {
        return Err(RefusedUrl::other_origin(&url, origin));
    }
    Ok(Some(url))
}

/// Finds the target of the first link whose relations have `next` among them.
fn next_target(header: &str) -> Option<&str> {
    if header.len() > MAX_BYTES {
        return None;
    }
    let mut rest = header;
    loop {
        // What stands before a link is the comma that ends the last one, or junk.
        let (_, behind) = rest.split_once('<')?;
        let (target, behind) = behind.split_once('>')?;
        let end = end_before(',', behind);
        let (parameters, behind) = behind.split_at(end);
        if is_next(parameters) {
            return Some(target);
        }
        rest = behind;
    }
}

/// Returns where the separator is, one in quotes being none; the end of the text when there is none.
fn end_before(separator: char, text: &str) -> usize {
    let mut is_quoted = false;
    let mut is_escaped = false;
    for (at, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if character == separator && !is_quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// Only the first `rel` counts (RFC 8288, section 3.3). A quote that never closes belongs to no value.
fn is_next(parameters: &str) -> bool {
    let mut rest = parameters;
    while let Some(behind) = rest.trim_start().strip_prefix(';') {
        let (parameter, behind) = behind.split_at(end_before(';', behind));
        rest = behind;
        let Some((name, value)) = parameter.split_once('=') else {
            continue;
        };
        if name.trim().eq_ignore_ascii_case("rel") {
            return value
                .trim()
                .trim_matches('"')
                .split_ascii_whitespace()
                .any(|relation| relation.eq_ignore_ascii_case("next"));
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REQUEST: &str = "https://r.example/v2/a/tags/list?n=2";

    fn page(headers: &[&str]) -> Result<Option<String>, RefusedUrl> {
        next(&REQUEST.parse().unwrap(), headers.iter().copied()).map(|url| url.map(String::from))
    }

    #[test]
    fn the_next_page_is_found_in_every_form() {
        for headers in [
            &[r#"</v2/a/tags/list?n=2&last=b>; rel="next""#][..],
            &["</v2/a/tags/list?n=2&last=b>;rel=next"],
            &["<https://r.example/v2/a/tags/list?n=2&last=b> ; REL = NEXT"],
            &[
                "<https://r.example:443/v2/a/tags/list?n=2&last=b>; title=\"a, <b>; rel=prev\"; rel=\"last next\"",
            ],
            &["<list?n=2&last=b>; rel=next"],
            &["<?n=2&last=b>; rel=next"],
            &["</first>; rel=first, </v2/a/tags/list?n=2&last=b>; rel=next"],
            &[
                "</first>; rel=first",
                "</v2/a/tags/list?n=2&last=b>; rel=next",
            ],
            &["junk </v2/a/tags/list?n=2&last=b>; rel=next; rel=prev"],
        ] {
            let expected = "https://r.example/v2/a/tags/list?n=2&last=b";
            assert_eq!(
                page(headers).unwrap().as_deref(),
                Some(expected),
                "{headers:?}"
            );
        }
    }

    #[test]
    fn without_a_next_page_the_list_ends() {
        for headers in [
            &[][..],
            &[""],
            &["</v2/>; rel=prev"],
            &["</v2/>"],
            &["</v2/; rel=next"],
            &["/v2/; rel=next"],
            &["</v2/>; rel=prev; rel=next"],
            &["</a>; title=\"open, </b>; rel=next"],
        ] {
            assert_eq!(page(headers), Ok(None), "{headers:?}");
        }
        let long = format!("<{}>; rel=next", "a".repeat(MAX_BYTES));
        assert_eq!(page(&[&long]), Ok(None));
    }

    #[test]
    fn a_page_elsewhere_is_refused() {
        for target in [
            "https://evil.example/v2/a/tags/list",
            "//evil.example/",
            "https://r.example:8443/v2/",
            "http://r.example/v2/",
            "https://me@r.example/v2/",
            "http://169.254.169.254/",
            "file:///etc/passwd",
            "https://r.example\\@evil.example/",
            "",
        ] {
            assert!(
                page(&[&format!("<{target}>; rel=next")]).is_err(),
                "{target}"
            );
        }
        assert_eq!(
            page(&["<https://evil.example/?token=imgkit-canary-1>; rel=next"])
                .unwrap_err()
                .to_string(),
            "`https://evil.example/?token=[redacted]` is not followed: it is not on https://r.example:443"
        );
    }

    proptest! {
        #[test]
        fn a_page_is_always_on_the_same_origin(header in ".{0,40}|<(https?:)?//[a-z.@:/]{0,12}>; rel=next") {
            let request: Url = REQUEST.parse().unwrap();
            if let Ok(Some(url)) = next(&request, [header.as_str()]) {
                prop_assert_eq!(url.origin(), request.origin());
            }
        }
    }
}
