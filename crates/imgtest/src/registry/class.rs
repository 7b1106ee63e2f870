//! Which kind of request this is, told from its method and its path alone.

use std::fmt;

use http::Method;

/// The kinds of requests that a client of a registry makes.
///
/// Faults are scripted by it, and recorders count by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum RequestClass {
    /// Gives an upload session up.
    CancelUpload,
    /// Lists repositories.
    Catalog,
    /// Removes a blob.
    DeleteBlob,
    /// Removes a manifest or a tag.
    DeleteManifest,
    /// Ends an upload, with or without bytes.
    FinishUpload,
    /// Reads a blob.
    GetBlob,
    /// Reads a manifest.
    GetManifest,
    /// Asks for a blob.
    HeadBlob,
    /// Asks for a manifest.
    HeadManifest,
    /// Starts an upload by naming another repository that has the blob.
    Mount,
    /// Anything that is none of the others: what storage behind a registry is asked for.
    Other,
    /// Sends a chunk, or a stream.
    PatchUpload,
    /// Asks whether this is a registry.
    Ping,
    /// Writes a manifest.
    PutManifest,
    /// Lists what refers to a manifest.
    Referrers,
    /// Starts an upload.
    StartUpload,
    /// Lists tags.
    Tags,
    /// Asks a token server for a token.
    Token,
    /// Asks how far an upload is.
    UploadStatus,
}

impl RequestClass {
    /// Tells the class of a request.
    ///
    /// ```
    /// use http::Method;
    /// use imgtest::registry::RequestClass;
    ///
    /// let class = RequestClass::of(&Method::HEAD, "/v2/team/app/manifests/latest", None);
    /// assert_eq!(class, RequestClass::HeadManifest);
    /// ```
    pub fn of(method: &Method, path: &str, query: Option<&str>) -> Self {
        match path.trim_end_matches('/') {
            "/v2" => return Self::Ping,
            "/v2/_catalog" => return Self::Catalog,
            "/v2/auth" | "/v2/token" => return Self::Token,
            _ => {}
        }
        let Some(inside) = path.strip_prefix("/v2/") else {
            return if is_token_path(path) {
                Self::Token
            } else {
                Self::Other
            };
        };
        // The last place where a word can stand decides, as repositories may be called `blobs`.
        if inside.ends_with("/tags/list") {
            return Self::Tags;
        }
        if split_repository(inside, &["/blobs/uploads", "/blobs/upload"]).is_some() {
            return upload_class(method, query);
        }
        let words = ["/blobs/", "/manifests/", "/referrers/"];
        let Some((_, word, _)) = split_repository(inside, &words) else {
            return Self::Other;
        };
        match (word, method) {
            ("/blobs/", &Method::HEAD) => Self::HeadBlob,
            ("/blobs/", &Method::GET) => Self::GetBlob,
            ("/blobs/", &Method::DELETE) => Self::DeleteBlob,
            ("/manifests/", &Method::HEAD) => Self::HeadManifest,
            ("/manifests/", &Method::GET) => Self::GetManifest,
            ("/manifests/", &Method::PUT) => Self::PutManifest,
            ("/manifests/", &Method::DELETE) => Self::DeleteManifest,
            ("/referrers/", &Method::GET) => Self::Referrers,
            _ => Self::Other,
        }
    }

    /// Returns what a token must allow for such a request.
    pub fn needs(self) -> &'static [&'static str] {
        match self {
            Self::CancelUpload
            | Self::FinishUpload
            | Self::Mount
            | Self::PatchUpload
            | Self::PutManifest
            | Self::StartUpload
            | Self::UploadStatus => &["pull", "push"],
            Self::DeleteBlob | Self::DeleteManifest => &["delete"],
            Self::GetBlob
            | Self::GetManifest
            | Self::HeadBlob
            | Self::HeadManifest
            | Self::Referrers
            | Self::Tags => &["pull"],
            Self::Catalog | Self::Other | Self::Ping | Self::Token => &[],
        }
    }
}

impl fmt::Display for RequestClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Returns the repository in the path of a request, where there is one.
pub fn repository_of(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("/v2/")?;
    let words = [
        "/blobs/uploads",
        "/blobs/upload",
        "/blobs/",
        "/manifests/",
        "/referrers/",
        "/tags/",
    ];
    split_repository(inside, &words).map(|(repository, _, _)| repository)
}

/// Returns the first value of a key in a query or a form.
pub fn query_value(query: &str, key: &str) -> Option<String> {
    query_values(query, key).into_iter().next()
}

/// Returns all values of a key in a query or a form.
pub fn query_values(query: &str, key: &str) -> Vec<String> {
    url::form_urlencoded::parse(query.as_bytes())
        .filter(|(name, _)| name == key)
        .map(|(_, value)| value.into_owned())
        .collect()
}

fn upload_class(method: &Method, query: Option<&str>) -> RequestClass {
    match *method {
        Method::POST if query.is_some_and(|query| query_value(query, "mount").is_some()) => {
            RequestClass::Mount
        }
        Method::POST => RequestClass::StartUpload,
        Method::PATCH => RequestClass::PatchUpload,
        Method::PUT => RequestClass::FinishUpload,
        Method::GET | Method::HEAD => RequestClass::UploadStatus,
        Method::DELETE => RequestClass::CancelUpload,
        _ => RequestClass::Other,
    }
}

fn split_repository<'a>(
    inside: &'a str,
    words: &[&'static str],
) -> Option<(&'a str, &'static str, &'a str)> {
    words.iter().find_map(|word| {
        let (repository, rest) = inside.rsplit_once(word)?;
        Some((repository, *word, rest))
    })
}

fn is_token_path(path: &str) -> bool {
    ["/token", "/jwt/auth", "/oauth2/exchange"]
        .iter()
        .any(|end| path.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_is_told_from_the_request_line() {
        let table = [
            ("GET", "/v2/", RequestClass::Ping),
            ("GET", "/v2", RequestClass::Ping),
            ("GET", "/v2/_catalog?n=1", RequestClass::Catalog),
            ("GET", "/token?service=s", RequestClass::Token),
            ("POST", "/oauth2/token", RequestClass::Token),
            ("GET", "/service/token", RequestClass::Token),
            ("GET", "/jwt/auth?scope=x", RequestClass::Token),
            ("GET", "/v2/auth?scope=x", RequestClass::Token),
            ("HEAD", "/v2/a/b/blobs/sha256:1", RequestClass::HeadBlob),
            ("GET", "/v2/a/blobs/sha256:1", RequestClass::GetBlob),
            ("GET", "/v2/blobs/blobs/sha256:1", RequestClass::GetBlob),
            ("DELETE", "/v2/a/blobs/sha256:1", RequestClass::DeleteBlob),
            ("POST", "/v2/a/blobs/uploads/", RequestClass::StartUpload),
            (
                "POST",
                "/v2/a/blobs/uploads/?mount=d&from=b",
                RequestClass::Mount,
            ),
            (
                "PATCH",
                "/v2/a/blobs/uploads/7?_state=x",
                RequestClass::PatchUpload,
            ),
            (
                "PUT",
                "/v2/a/blobs/upload/7?digest=x",
                RequestClass::FinishUpload,
            ),
            ("GET", "/v2/a/blobs/uploads/7", RequestClass::UploadStatus),
            (
                "DELETE",
                "/v2/a/blobs/uploads/7",
                RequestClass::CancelUpload,
            ),
            ("HEAD", "/v2/a/manifests/t", RequestClass::HeadManifest),
            ("GET", "/v2/a/manifests/t", RequestClass::GetManifest),
            ("PUT", "/v2/a/manifests/t", RequestClass::PutManifest),
            ("DELETE", "/v2/a/manifests/t", RequestClass::DeleteManifest),
            ("GET", "/v2/a/tags/list?n=2", RequestClass::Tags),
            ("GET", "/v2/a/referrers/sha256:1", RequestClass::Referrers),
            ("GET", "/storage/ab/cd", RequestClass::Other),
        ];
        for (method, target, expected) in table {
            let method: Method = method.parse().unwrap();
            let (path, query) = match target.split_once('?') {
                Some((path, query)) => (path, Some(query)),
                None => (target, None),
            };
            let class = RequestClass::of(&method, path, query);
            assert_eq!(class, expected, "{method} {target}");
        }
    }

    #[test]
    fn repositories_are_found_in_paths() {
        assert_eq!(repository_of("/v2/a/b/blobs/uploads/7"), Some("a/b"));
        assert_eq!(repository_of("/v2/blobs/manifests/t"), Some("blobs"));
        assert_eq!(repository_of("/v2/"), None);
    }
}
