//! URLs and texts as they may be printed.

use std::borrow::Cow;

use url::Url;

/// What stands in the place of a value that is not printed.
const BLANK: &str = "[redacted]";

/// The query's keys whose values the protocol itself defines, none of them secret. Everything else (signatures of
/// storage services, sessions of uploads, keys) is blanked: no list of secret names would ever be whole.
const PLAIN_KEYS: [&str; 8] = [
    "artifactType",
    "digest",
    "from",
    "last",
    "mount",
    "n",
    "scope",
    "service",
];

/// Returns the URL as it may be printed: without user and fragment, values of the query blanked unless the protocol
/// defines them.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::url::redacted;
///
/// let url = "https://me:word@r.example/v2/a/blobs/uploads/1?_state=xyz&digest=sha256%3A00#top".parse()?;
/// assert_eq!(
///     redacted(&url),
///     "https://r.example/v2/a/blobs/uploads/1?_state=[redacted]&digest=sha256%3A00",
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn redacted(url: &Url) -> String {
    let Some(host) = url.host() else {
        // `data:` and their like: nothing in them is known to be harmless.
        return format!("{}:{BLANK}", url.scheme());
    };
    let mut text = format!("{}://{host}", url.scheme());
    if let Some(port) = url.port() {
        text.push(':');
        text.push_str(&port.to_string());
    }
    text.push_str(url.path());
    if let Some(query) = url.query() {
        text.push('?');
        let pairs: Vec<_> = query.split('&').map(redacted_pair).collect();
        text.push_str(&pairs.join("&"));
    }
    text
}

/// A part without `=` is a value whose key is not known.
fn redacted_pair(pair: &str) -> Cow<'_, str> {
    match pair.split_once('=') {
        Some((key, _)) if PLAIN_KEYS.contains(&key) => pair.into(),
        Some((key, _)) => format!("{}={BLANK}", short(key)).into(),
        None if pair.is_empty() => pair.into(),
        None => BLANK.into(),
    }
}

/// A key that is longer than any known one may well be a value.
fn short(key: &str) -> &str {
    if key.len() <= 40 { key } else { BLANK }
}

/// Returns a foreign text as it may be printed: on one line, without control characters, its URLs [`redacted`], and
/// what follows `Basic` and `Bearer` blanked unless it is a plain word (`Basic authentication`).
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::url::redacted_text;
///
/// assert_eq!(
///     redacted_text("see https://s3.example/b?sig=abc,\nnot 'Bearer ey.x'"),
///     "see https://s3.example/b?sig=[redacted] not 'Bearer [redacted]",
/// );
/// ```
pub fn redacted_text(text: &str) -> String {
    let mut words = Vec::new();
    let mut is_credential = false;
    for word in text.split(|it: char| it.is_whitespace() || it.is_control()) {
        if word.is_empty() {
            continue;
        }
        let is_plain = word.bytes().all(|byte| byte.is_ascii_lowercase());
        words.push(if is_credential && !is_plain {
            BLANK.into()
        } else {
            redacted_word(word)
        });
        let bare = word.trim_matches(|it: char| !it.is_ascii_alphanumeric());
        is_credential = ["basic", "bearer"]
            .iter()
            .any(|scheme| bare.to_ascii_lowercase().ends_with(scheme));
    }
    words.join(" ")
}

/// Redacts from the scheme of a URL to the end of the word.
fn redacted_word(word: &str) -> Cow<'_, str> {
    let Some(slashes) = word.find("://") else {
        return word.into();
    };
    let start = word[..slashes]
        .rfind(|it: char| !it.is_ascii_alphanumeric())
        .map_or(0, |at| {
            at + word[at..].chars().next().map_or(1, char::len_utf8)
        });
    let (before, url) = word.split_at(start);
    match Url::parse(url) {
        // One URL in another's path: nobody knows where the second one's user would be.
        Ok(_) if url.matches("://").count() > 1 => format!("{before}{BLANK}").into(),
        Ok(url) => format!("{before}{}", redacted(&url)).into(),
        Err(_) => format!("{before}{BLANK}").into(),
    }
}
