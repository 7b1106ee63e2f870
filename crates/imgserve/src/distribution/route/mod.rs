//! What a request asks for: method, path and query become one typed operation, and nothing else reads a path.

use std::borrow::Cow;

use http::{Method, StatusCode};
use imgcore::{Digest, Repository, Tag};

use super::refusal::{Code, Refusal};

/// The most tags that one request may name beside the digest of a manifest.
const MAX_TAGS: usize = 10;

/// What a request asks for. Names and digests in it are valid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Is there a registry? (`GET /v2/`)
    Base,
    /// Removes a blob from a repository.
    BlobDelete {
        /// The repository.
        repository: Repository,
        /// The blob.
        digest: Digest,
    },
    /// Sends a blob or a part of it, or (`HEAD`) only says what it would send.
    BlobRead {
        /// The repository.
        repository: Repository,
        /// The blob.
        digest: Digest,
    },
    /// Removes a tag, or a manifest with all its tags.
    ManifestDelete {
        /// The repository.
        repository: Repository,
        /// The tag or the manifest.
        reference: ManifestReference,
    },
    /// Sends a manifest, or (`HEAD`) only says what it would send.
    ManifestRead {
        /// The repository.
        repository: Repository,
        /// The manifest.
        reference: ManifestReference,
    },
    /// Takes a manifest.
    ManifestWrite {
        /// The repository.
        repository: Repository,
        /// What the manifest should be called.
        reference: ManifestReference,
        /// More tags for it.
        tags: Vec<Tag>,
    },
    /// Lists the manifests that refer to a manifest.
    Referrers {
        /// The repository.
        repository: Repository,
        /// What they refer to.
        subject: Digest,
        /// Lists only those of this type.
        artifact_type: Option<String>,
        /// Lists only what comes after this one.
        last: Option<Digest>,
    },
    /// Lists tags.
    Tags {
        /// The repository.
        repository: Repository,
        /// How many at most.
        limit: Option<usize>,
        /// Lists only what comes after this text.
        last: Option<String>,
    },
    /// Takes more bytes of a blob.
    UploadAppend {
        /// Which upload.
        upload: UploadName,
    },
    /// Throws an unfinished upload away.
    UploadCancel {
        /// Which upload.
        upload: UploadName,
    },
    /// Takes the last bytes of a blob, if there are any left, and makes the blob visible.
    UploadFinish {
        /// Which upload.
        upload: UploadName,
        /// What the bytes should be.
        digest: Digest,
    },
    /// Starts an upload, or takes a small blob at once.
    UploadStart {
        /// The repository.
        repository: Repository,
        /// What the bytes of this request are, when they are the whole blob.
        digest: Option<Digest>,
        /// A blob that another repository may have.
        mount: Option<Mount>,
    },
    /// Says how far an upload is.
    UploadStatus {
        /// Which upload.
        upload: UploadName,
    },
}

/// How a request names a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "the specification has these two")]
pub enum ManifestReference {
    /// By what it is.
    Digest(Digest),
    /// By a name that may move.
    Tag(Tag),
}

/// A blob that need not be sent, because the registry has it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// The blob.
    pub digest: Digest,
    /// The repository that has it; any one, where none is named.
    pub from: Option<Repository>,
}

/// The name of an unfinished upload: bound to its repository, and not to be guessed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct UploadName {
    /// The repository.
    pub repository: Repository,
    /// 32 lower-case hex digits.
    pub id: String,
}

/// Finds out what a request asks for.
///
/// The rules are those of the distribution specification 1.1, section "Endpoints". Names may be escaped only where
/// clients do it: the colon of a digest.
///
/// # Examples
///
/// ```
/// use http::Method;
/// use imgserve::distribution::{Operation, route};
///
/// let operation = route(&Method::GET, "/v2/team/app/tags/list", Some("n=2"))?;
/// assert!(matches!(operation, Operation::Tags { limit: Some(2), .. }));
/// assert_eq!(route(&Method::GET, "/v2/Team/tags/list", None).unwrap_err().status(), 400);
/// # Ok::<(), imgserve::distribution::Refusal>(())
/// ```
///
/// # Errors
///
/// What is to be answered instead: 404 for paths that the registry does not have, 405 for methods that a path does not
/// have, and 400 for names, digests and numbers that are none.
pub fn route(method: &Method, path: &str, query: Option<&str>) -> Result<Operation, Refusal> {
    let query = Query(query.unwrap_or_default());
    let rest = match path.strip_prefix("/v2") {
        Some("" | "/") => return base(method),
        Some(rest) => rest.strip_prefix('/').ok_or_else(unknown_path)?,
        None => return Err(unknown_path()),
    };
    let (name, resource) = resource(rest).ok_or_else(unknown_path)?;
    let allowed = resource.methods();
    if !allowed.split(", ").any(|one| one == method.as_str()) {
        return Err(not_allowed(method, allowed));
    }
    let repository = repository(name)?;
    resource.operation(method, repository, query)
}

/// The part of a path behind the repository.
#[derive(Clone, Copy)]
enum Resource<'a> {
    Blob(&'a str),
    Manifest(&'a str),
    Referrers(&'a str),
    Tags,
    Upload(&'a str),
    Uploads,
}

/// Splits a path from its end: a repository may have components that are called like resources.
fn resource(path: &str) -> Option<(&str, Resource<'_>)> {
    for uploads in ["/blobs/uploads/", "/blobs/uploads"] {
        if let Some(name) = path.strip_suffix(uploads) {
            return Some((name, Resource::Uploads));
        }
    }
    let (front, last) = path.rsplit_once('/')?;
    if let Some(name) = front.strip_suffix("/blobs/uploads") {
        return Some((name, Resource::Upload(last)));
    }
    let (name, kind) = front.rsplit_once('/')?;
    let resource = match (kind, last) {
        ("blobs", digest) => Resource::Blob(digest),
        ("manifests", reference) => Resource::Manifest(reference),
        ("referrers", digest) => Resource::Referrers(digest),
        ("tags", "list") => Resource::Tags,
        _ => return None,
    };
    Some((name, resource))
}

impl Resource<'_> {
    /// Returns what may be done with it, as the `Allow` header has it.
    fn methods(self) -> &'static str {
        match self {
            Self::Blob(_) => "GET, HEAD, DELETE",
            Self::Manifest(_) => "GET, HEAD, PUT, DELETE",
            Self::Referrers(_) | Self::Tags => "GET, HEAD",
            Self::Upload(_) => "GET, HEAD, PATCH, PUT, DELETE",
            Self::Uploads => "POST",
        }
    }

    fn operation(
        self,
        method: &Method,
        repository: Repository,
        query: Query<'_>,
    ) -> Result<Operation, Refusal> {
        Ok(match self {
            Self::Blob(text) => {
                let digest = digest(text)?;
                match *method {
                    Method::DELETE => Operation::BlobDelete { repository, digest },
                    _ => Operation::BlobRead { repository, digest },
                }
            }
            Self::Manifest(text) => {
                let reference = reference(text)?;
                match *method {
                    Method::DELETE => Operation::ManifestDelete {
                        repository,
                        reference,
                    },
                    Method::PUT => Operation::ManifestWrite {
                        repository,
                        reference,
                        tags: query.tags()?,
                    },
                    _ => Operation::ManifestRead {
                        repository,
                        reference,
                    },
                }
            }
            Self::Referrers(text) => Operation::Referrers {
                repository,
                subject: digest(text)?,
                artifact_type: query.first("artifactType").map(Cow::into_owned),
                last: query.digest("last")?,
            },
            Self::Tags => Operation::Tags {
                repository,
                limit: query.limit()?,
                last: query.first("last").map(Cow::into_owned),
            },
            Self::Upload(id) => upload(method, repository, id, query)?,
            Self::Uploads => Operation::UploadStart {
                repository,
                digest: query.digest("digest")?,
                mount: query.mount()?,
            },
        })
    }
}

fn base(method: &Method) -> Result<Operation, Refusal> {
    match *method {
        Method::GET | Method::HEAD => Ok(Operation::Base),
        _ => Err(not_allowed(method, "GET, HEAD")),
    }
}

fn upload(
    method: &Method,
    repository: Repository,
    id: &str,
    query: Query<'_>,
) -> Result<Operation, Refusal> {
    if id.len() != 32 || !id.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(Refusal::unknown_upload());
    }
    let upload = UploadName {
        repository,
        id: id.to_owned(),
    };
    Ok(match *method {
        Method::DELETE => Operation::UploadCancel { upload },
        Method::PATCH => Operation::UploadAppend { upload },
        Method::PUT => Operation::UploadFinish {
            upload,
            digest: query.digest("digest")?.ok_or_else(|| {
                Refusal::bad(Code::DigestInvalid, "an upload is finished with its digest")
            })?,
        },
        _ => Operation::UploadStatus { upload },
    })
}

fn repository(name: &str) -> Result<Repository, Refusal> {
    name.parse()
        .map_err(|error| Refusal::bad(Code::NameInvalid, format!("repository name: {error}")))
}

fn digest(text: &str) -> Result<Digest, Refusal> {
    unescaped(text)
        .parse()
        .map_err(|error| Refusal::bad(Code::DigestInvalid, format!("digest: {error}")))
}

fn reference(text: &str) -> Result<ManifestReference, Refusal> {
    let text = unescaped(text);
    if text.contains(':') {
        return digest(&text).map(ManifestReference::Digest);
    }
    tag(&text).map(ManifestReference::Tag)
}

fn tag(text: &str) -> Result<Tag, Refusal> {
    text.parse()
        .map_err(|error| Refusal::bad(Code::TagInvalid, format!("tag: {error}")))
}

/// Some clients escape the colon of a digest. Nothing else that may stand in a path needs escaping.
fn unescaped(text: &str) -> Cow<'_, str> {
    if text.contains('%') {
        return text.replace("%3A", ":").replace("%3a", ":").into();
    }
    text.into()
}

/// The part of a URL behind the question mark.
#[derive(Clone, Copy)]
struct Query<'a>(&'a str);

impl<'a> Query<'a> {
    fn all(self, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
        let pairs = url::form_urlencoded::parse(self.0.as_bytes());
        pairs.filter_map(move |(key, value)| (key == name).then_some(value))
    }

    /// An empty value is none: clients write `from=` when they have nothing to say.
    fn first(self, name: &str) -> Option<Cow<'a, str>> {
        self.all(name).next().filter(|value| !value.is_empty())
    }

    fn digest(self, name: &str) -> Result<Option<Digest>, Refusal> {
        self.first(name).map(|text| digest(&text)).transpose()
    }

    fn mount(self) -> Result<Option<Mount>, Refusal> {
        let Some(digest) = self.digest("mount")? else {
            return Ok(None);
        };
        let from = self.first("from").map(|name| repository(&name));
        Ok(Some(Mount {
            digest,
            from: from.transpose()?,
        }))
    }

    fn tags(self) -> Result<Vec<Tag>, Refusal> {
        let tags: Vec<_> = self
            .all("tag")
            .take(MAX_TAGS + 1)
            .map(|text| tag(&text))
            .collect::<Result<_, _>>()?;
        if tags.len() > MAX_TAGS {
            let text = format!("more than {MAX_TAGS} tags");
            return Err(Refusal::new(
                StatusCode::URI_TOO_LONG,
                Code::TagInvalid,
                text,
            ));
        }
        Ok(tags)
    }

    fn limit(self) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.first("n") else {
            return Ok(None);
        };
        // A plus sign is a number to Rust, and to nobody else here.
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            let text = "n is how many tags to list";
            return Err(Refusal::bad(Code::PaginationNumberInvalid, text));
        }
        // Who wants more than fit into a number wants all.
        Ok(Some(text.parse().unwrap_or(usize::MAX)))
    }
}

fn unknown_path() -> Refusal {
    let text = "the registry has no such path";
    Refusal::new(StatusCode::NOT_FOUND, Code::Unsupported, text)
}

fn not_allowed(method: &Method, allowed: &'static str) -> Refusal {
    // The text goes into a document: a method is an arbitrary token.
    let text = format!("{method} is not for this path, which takes {allowed}");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, Code::Unsupported, text)
        .with_header(http::header::ALLOW, allowed)
}

#[cfg(test)]
mod tests;
