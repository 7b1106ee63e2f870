//! The answer to a request, with where it came from.

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName};
use http_body_util::BodyExt;
use url::Url;

use super::Failure;
use super::watched::Watched;
use crate::error::{Error, ErrorKind, Place, Result};
use crate::{Role, TransportError};

/// The most of a refusal's body that is read, in bytes.
pub(super) const MAX_REFUSAL: usize = 64 * 1024;

/// The head of an answer, and a body that holds the request's place under the ceiling until it is done.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Watched,
    /// Where it came from, behind all redirects.
    pub(crate) url: Url,
    pub(crate) place: Place,
}

impl Answer {
    /// Returns whether the registry itself answered, and not a host that it led to.
    pub(crate) fn is_from_registry(&self) -> bool {
        matches!(
            self.place.role,
            Role::Registry | Role::Mirror | Role::Gateway
        )
    }

    /// Returns a header that must be text.
    pub(crate) fn header(&self, name: HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Returns the length that the head announces.
    pub(crate) fn content_length(&self) -> Option<u64> {
        self.header(CONTENT_LENGTH)?.trim().parse().ok()
    }

    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn bytes(self, limit: usize) -> Result<Bytes, Failure> {
        let Self {
            mut body,
            place,
            headers,
            ..
        } = self;
        let announced = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|length| length > limit as u64) {
            return Err(too_large(&place, limit).into());
        }
        // Most documents come in one piece, which is then not copied.
        let mut first = Bytes::new();
        let mut rest = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::of_body(&place, error))?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            if first.len() + rest.len() + data.len() > limit {
                return Err(too_large(&place, limit).into());
            }
            if first.is_empty() {
                first = data;
            } else {
                rest.extend_from_slice(&data);
            }
        }
        let length = (first.len() + rest.len()) as u64;
        if let Some(expected) = announced
            && expected != length
        {
            let detail = format!("the answer ended at byte {length} of {expected}");
            let error = Error::new(ErrorKind::Unavailable, &place, detail);
            return Err(Failure::truncated(error));
        }
        if rest.is_empty() {
            return Ok(first);
        }
        let mut whole = BytesMut::with_capacity(first.len() + rest.len());
        whole.extend_from_slice(&first);
        whole.extend_from_slice(&rest);
        Ok(whole.freeze())
    }

    /// Reads what the server says about its refusal, so that it no longer counts as in flight: what comes next may need
    /// its place under the ceiling.
    pub(crate) async fn at_hand(mut self) -> Self {
        let bytes = self.first_bytes(MAX_REFUSAL).await;
        self.body.replace(bytes);
        self
    }

    /// Reads what the server says about its refusal, and makes the error of it.
    pub(crate) async fn into_error(self) -> Error {
        Failure::of_answer(self).await.error
    }

    /// Reads at most `limit` bytes, and whatever came before the body broke off.
    pub(super) async fn first_bytes(&mut self, limit: usize) -> Bytes {
        let mut bytes = BytesMut::new();
        while let Some(Ok(frame)) = self.body.frame().await {
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let room = limit - bytes.len();
            bytes.extend_from_slice(&data[..data.len().min(room)]);
            if bytes.len() == limit {
                break;
            }
        }
        bytes.freeze()
    }

    /// Returns the next bytes of the body.
    pub(crate) async fn next_data(&mut self) -> Option<Result<Bytes, TransportError>> {
        loop {
            match self.body.frame().await? {
                Err(error) => return Some(Err(error)),
                Ok(frame) => {
                    if let Ok(data) = frame.into_data() {
                        return Some(Ok(data));
                    }
                }
            }
        }
    }
}

fn too_large(place: &Place, limit: usize) -> Error {
    let detail = format!("the answer is larger than {limit} bytes");
    Error::new(ErrorKind::TooLarge, place, detail)
}
