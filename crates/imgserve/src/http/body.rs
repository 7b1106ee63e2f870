//! Bodies of requests and responses.

use bytes::Bytes;
use futures_core::Stream;
use futures_util::StreamExt;
use http_body::Frame;
use http_body_util::{BodyExt, Empty, Full, StreamBody};

use super::{Body, BoxError};

/// Makes a body without bytes.
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// Makes a body of bytes that are in memory.
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Makes a body of a stream, whose length is not known.
pub fn stream<E>(stream: impl Stream<Item = Result<Bytes, E>> + Send + 'static) -> Body
where
    E: Into<BoxError>,
{
    StreamBody::new(stream.map(|bytes| bytes.map(Frame::data).map_err(Into::into))).boxed_unsync()
}

/// Reads a body into memory.
///
/// # Errors
///
/// [`CollectError::TooLarge`] as soon as there are more than `limit` bytes, and [`CollectError::Broken`] when the body
/// ends with an error.
pub async fn collect(body: &mut Body, limit: usize) -> Result<Bytes, CollectError> {
    let mut bytes = bytes::BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(CollectError::Broken)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if data.len() > limit - bytes.len() {
            return Err(CollectError::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Why [`collect`] gave no bytes.
#[derive(Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a body ends well, badly or not in time"
)]
pub enum CollectError {
    /// The body ended with an error.
    Broken(BoxError),
    /// There are more bytes than allowed.
    TooLarge,
}

impl std::fmt::Display for CollectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken(_) => f.write_str("the body ends early"),
            Self::TooLarge => f.write_str("the body has more bytes than are taken"),
        }
    }
}

impl std::error::Error for CollectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken(cause) => Some(&**cause),
            Self::TooLarge => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream::iter;

    use super::*;

    fn chunks(texts: &[&'static str]) -> Body {
        stream(
            iter(texts.to_vec()).map(|text| Ok::<_, BoxError>(Bytes::from_static(text.as_bytes()))),
        )
    }

    #[tokio::test]
    async fn a_body_is_collected_up_to_its_limit() {
        let bytes = collect(&mut chunks(&["ab", "", "cd"]), 4).await;
        assert_eq!(bytes.ok().as_deref(), Some(b"abcd".as_slice()));
        let refused = collect(&mut chunks(&["ab", "cde"]), 4).await;
        assert!(matches!(refused, Err(CollectError::TooLarge)));
        let none = collect(&mut empty(), 0).await;
        assert_eq!(none.ok().as_deref(), Some(b"".as_slice()));
    }

    #[tokio::test]
    async fn a_body_that_breaks_is_no_body() {
        let mut broken = stream(iter([Ok(Bytes::from_static(b"ab")), Err("cut")]));
        let error = collect(&mut broken, 4).await.unwrap_err();
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("cut"));
    }
}
