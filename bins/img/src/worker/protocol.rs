//! Bazel's JSON worker protocol: one object a request, one line a response.
//!
//! Members that are not known are ignored: newer Bazel versions add some.

use std::collections::BTreeMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

/// What Bazel asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) arguments: Vec<String>,
    pub(super) inputs: Vec<Input>,
    /// 0 where one request runs at a time.
    #[serde(rename = "requestId")]
    pub(super) number: i64,
    /// Whether this asks to stop an earlier request of the same number.
    pub(super) cancel: bool,
    pub(super) verbosity: i64,
    /// The directory that relative paths start at.
    pub(super) sandbox_dir: String,
}

/// An input of an action.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Input {
    path: PathBuf,
    /// Base64 of the digest's hexadecimal text.
    digest: String,
}

/// The answer to one request.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Response {
    pub(super) exit_code: u8,
    pub(super) output: String,
    pub(super) request_id: i64,
    #[serde(rename = "was_cancelled", skip_serializing_if = "std::ops::Not::not")]
    pub(super) was_cancelled: bool,
}

impl Request {
    /// The SHA-256 digests of the inputs in hexadecimal; others are left out.
    pub(super) fn input_digests(&self) -> BTreeMap<PathBuf, String> {
        self.inputs
            .iter()
            .filter_map(|input| Some((input.path.clone(), sha256_hex(&input.digest)?)))
            .collect()
    }
}

fn sha256_hex(digest: &str) -> Option<String> {
    let hex = String::from_utf8(BASE64_STANDARD.decode(digest).ok()?).ok()?;
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (hex.len() == 64 && hex.bytes().all(is_digit)).then_some(hex)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digests_that_are_sha256_are_taken() {
        let hex = "a1".repeat(32);
        assert_eq!(sha256_hex(&BASE64_STANDARD.encode(&hex)), Some(hex.clone()));
        assert_eq!(sha256_hex(&BASE64_STANDARD.encode(&hex[..40])), None);
        assert_eq!(
            sha256_hex(&BASE64_STANDARD.encode(hex.to_uppercase())),
            None
        );
        assert_eq!(sha256_hex(&hex), None);
        assert_eq!(sha256_hex(""), None);
    }

    #[test]
    fn response_has_the_members_that_bazel_reads() {
        let mut response = Response {
            exit_code: 0,
            output: String::new(),
            request_id: 4,
            was_cancelled: false,
        };
        let json = |response: &Response| serde_json::to_string(response).unwrap();
        assert_eq!(
            json(&response),
            r#"{"exitCode":0,"output":"","requestId":4}"#
        );
        response.was_cancelled = true;
        assert_eq!(
            json(&response),
            r#"{"exitCode":0,"output":"","requestId":4,"was_cancelled":true}"#
        );
    }
}
