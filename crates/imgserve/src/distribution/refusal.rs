//! Answers that say no: a status, and the specification's error document.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, StatusCode};
use imgcore::json::{Object, Value};

use crate::http::{Response, body};

/// A response that says no, and why.
///
/// Its body is the document of the distribution specification 1.1, section "Error Codes".
#[derive(Clone, Debug)]
pub struct Refusal(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    status: StatusCode,
    code: Code,
    message: String,
    headers: HeaderMap,
}

/// Why, in one word. Those of the specification, and three that Docker's registry has beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Code {
    /// The repository does not have the blob.
    BlobUnknown,
    /// Bytes of an upload do not fit to what is there.
    BlobUploadInvalid,
    /// There is no such upload.
    BlobUploadUnknown,
    /// A digest is none, or not that of the bytes.
    DigestInvalid,
    /// A manifest refers to content that the repository does not have.
    ManifestBlobUnknown,
    /// The bytes are no manifest.
    ManifestInvalid,
    /// The repository does not have the manifest.
    ManifestUnknown,
    /// A repository name is none.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// The number of tags to list is none.
    PaginationNumberInvalid,
    /// There are more or fewer bytes than announced, or more than are taken.
    SizeInvalid,
    /// A tag is none.
    TagInvalid,
    /// The registry itself failed.
    Unknown,
    /// The registry does not do that.
    Unsupported,
}

impl Code {
    /// Returns the word as it stands in the document.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::PaginationNumberInvalid => "PAGINATION_NUMBER_INVALID",
            Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::Unknown => "UNKNOWN",
            Self::Unsupported => "UNSUPPORTED",
        }
    }
}

impl Refusal {
    /// Makes a refusal with a text for people.
    pub fn new(status: StatusCode, code: Code, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            status,
            code,
            message: message.into(),
            headers: HeaderMap::new(),
        }))
    }

    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// Returns why, in one word.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// Returns the text for people.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Makes the response. Answers to `HEAD` have its head alone.
    pub fn into_response(self, is_head: bool) -> Response {
        let mut error = Object::new();
        error.set("code", self.0.code.as_str());
        error.set("message", self.0.message.as_str());
        let mut document = Object::new();
        document.set("errors", vec![Value::from(error)]);
        let bytes = document.to_compact();

        let length = bytes.len();
        let mut response = Response::new(if is_head {
            body::empty()
        } else {
            body::full(bytes)
        });
        *response.status_mut() = self.0.status;
        *response.headers_mut() = self.0.headers;
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, length.into());
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }

    pub(super) fn bad(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn missing(code: Code, message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn unknown_upload() -> Self {
        let text = "the repository has no such upload";
        Self::missing(Code::BlobUploadUnknown, text)
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        // What is put in is made here, of valid names and numbers.
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.headers.insert(name, value);
        }
        self
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.0.code.as_str(), self.0.message)
    }
}

impl std::error::Error for Refusal {}
