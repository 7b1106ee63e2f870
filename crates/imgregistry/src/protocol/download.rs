//! Reading a blob, or a part of one, over as many requests as it takes.
//!
//! [distribution-spec 1.1, "Pulling blobs"][spec]: a registry may know ranges and need not. What was read once is not
//! asked for again; where the whole comes anyway, it is passed over.
//!
//! [spec]: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pulling-blobs

use std::ops::Range;

use super::range::{ContentRange, RequestRange};

/// What an answer that has no body for the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The announced length is not the one of the bytes that are to come.
    #[error("the server announces {actual} bytes, expected were {expected}")]
    Length {
        /// What should come.
        expected: u64,
        /// What is announced.
        actual: u64,
    },
    /// The server sends other bytes than it was asked for.
    #[error("asked for the bytes from {offset} of {size}, the server sends others")]
    OtherBytes {
        /// The first byte that was asked for.
        offset: u64,
        /// The size of the blob.
        size: u64,
    },
    /// The answer is no blob.
    #[error("the server answered with the status {0}")]
    Status(u16),
}

/// What the plan looks at of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a driver fills in what the answer has"
)]
pub struct Head<'a> {
    /// The status.
    pub status: u16,
    /// `Content-Range`.
    pub content_range: Option<&'a str>,
    /// `Content-Length`.
    pub content_length: Option<u64>,
}

/// Which bytes of a blob are still to come.
///
/// # Examples
///
/// ```
/// use imgregistry::protocol::download::{Head, Plan};
///
/// let mut plan = Plan::new(10, 0..10);
/// assert!(plan.request_range().is_none(), "the whole blob");
/// plan.open(&Head { status: 200, content_length: Some(10), ..Head::default() })?;
/// assert_eq!(plan.take(6), 0..6);
///
/// // The connection breaks, and this server knows no ranges.
/// assert_eq!(plan.request_range().unwrap().to_string(), "bytes=6-");
/// plan.open(&Head { status: 200, content_length: Some(10), ..Head::default() })?;
/// assert_eq!(plan.take(10), 6..10);
/// assert!(plan.is_done());
/// # Ok::<(), imgregistry::protocol::download::DownloadError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    size: u64,
    /// The next byte that is wanted.
    offset: u64,
    end: u64,
    /// How many bytes of the body come before it.
    skip: u64,
}

impl Plan {
    /// Plans to read the bytes `wanted` of a blob of `size` bytes; what is behind the blob's end is left out.
    pub fn new(size: u64, wanted: Range<u64>) -> Self {
        let end = wanted.end.min(size);
        Self {
            size,
            offset: wanted.start.min(end),
            end,
            skip: 0,
        }
    }

    /// Returns the next byte that is wanted.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns whether all bytes have come.
    pub fn is_done(&self) -> bool {
        self.offset >= self.end
    }

    /// Returns the header `Range` of the next request; `None` when it needs none.
    pub fn request_range(&self) -> Option<RequestRange> {
        let is_open = self.end == self.size;
        if self.offset == 0 && is_open {
            return None;
        }
        RequestRange::from_to(self.offset, (!is_open).then_some(self.end))
    }

    /// Takes the head of an answer to that request; its body is then for [`take`](Self::take).
    ///
    /// A part that ends before it should is as good as a body that breaks off: what is missing is asked for.
    ///
    /// # Errors
    ///
    /// [`DownloadError`]; the plan is as before.
    pub fn open(&mut self, head: &Head<'_>) -> Result<(), DownloadError> {
        let (skip, expected) = match head.status {
            200 => (self.offset, self.size),
            206 => {
                let range = head.content_range.and_then(ContentRange::parse);
                let range = range.filter(|range| {
                    range.start == self.offset
                        && range.end <= self.end
                        && range.size.is_none_or(|size| size == self.size)
                });
                let Some(range) = range else {
                    return Err(DownloadError::OtherBytes {
                        offset: self.offset,
                        size: self.size,
                    });
                };
                (0, range.end - range.start)
            }
            status => return Err(DownloadError::Status(status)),
        };
        if let Some(actual) = head.content_length.filter(|length| *length != expected) {
            return Err(DownloadError::Length { expected, actual });
        }
        self.skip = skip;
        Ok(())
    }

    /// Takes the next bytes of the body, so many, and returns which of them are wanted.
    ///
    /// What comes behind the end of a part is left out. Behind the end of the whole blob it is not: that the blob is
    /// longer than it should be is for the check of its digest to find.
    pub fn take(&mut self, length: usize) -> Range<usize> {
        let length_64 = length as u64;
        let skipped = self.skip.min(length_64);
        self.skip -= skipped;
        let rest = length_64 - skipped;
        let is_open = self.end == self.size;
        let taken = if is_open {
            rest
        } else {
            rest.min(self.end - self.offset)
        };
        self.offset = self.offset.saturating_add(taken);
        // Neither is more than the length, which is a `usize`.
        let start = usize::try_from(skipped).unwrap_or(length);
        start..start + usize::try_from(taken).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(status: u16, content_range: Option<&str>, content_length: Option<u64>) -> Head<'_> {
        Head {
            status,
            content_range,
            content_length,
        }
    }

    #[test]
    fn only_what_is_missing_is_asked_for() {
        for (size, wanted, expected) in [
            (10, 0..10, None),
            (10, 0..99, None),
            (0, 0..0, None),
            (10, 3..10, Some("bytes=3-")),
            (10, 3..7, Some("bytes=3-6")),
            (10, 0..1, Some("bytes=0-0")),
        ] {
            let range = Plan::new(size, wanted.clone()).request_range();
            assert_eq!(
                range.map(|it| it.to_string()).as_deref(),
                expected,
                "{wanted:?}"
            );
        }
        assert!(Plan::new(10, 4..4).is_done());
        assert!(Plan::new(10, 50..60).is_done());
        assert!(Plan::new(0, 0..0).is_done());
        assert!(!Plan::new(1, 0..1).is_done());
    }

    #[test]
    fn answers_are_what_was_asked_for_or_refused() {
        let others = Err(DownloadError::OtherBytes {
            offset: 3,
            size: 10,
        });
        for (answer, expected) in [
            (head(206, Some("bytes 3-6/10"), Some(4)), Ok(())),
            (head(206, Some("bytes 3-6/*"), None), Ok(())),
            (head(206, Some("bytes 3-4/10"), Some(2)), Ok(())),
            (head(200, None, Some(10)), Ok(())),
            (head(200, None, None), Ok(())),
            (head(206, Some("bytes 3-7/10"), None), others),
            (head(206, Some("bytes 0-6/10"), None), others),
            (head(206, Some("bytes 4-6/10"), None), others),
            (head(206, Some("bytes 3-6/11"), None), others),
            (head(206, Some("3-6"), None), others),
            (head(206, None, Some(4)), others),
            (
                head(206, Some("bytes 3-6/10"), Some(10)),
                Err(DownloadError::Length {
                    expected: 4,
                    actual: 10,
                }),
            ),
            (
                head(200, None, Some(4)),
                Err(DownloadError::Length {
                    expected: 10,
                    actual: 4,
                }),
            ),
            (
                head(416, Some("bytes */10"), None),
                Err(DownloadError::Status(416)),
            ),
            (head(204, None, None), Err(DownloadError::Status(204))),
        ] {
            let mut plan = Plan::new(10, 3..7);
            assert_eq!(plan.open(&answer), expected, "{answer:?}");
        }
    }

    #[test]
    fn more_than_the_blob_is_passed_on_and_more_than_a_part_is_not() {
        let mut whole = Plan::new(4, 0..4);
        whole.open(&head(200, None, None)).unwrap();
        assert_eq!(whole.take(9), 0..9);
        let mut part = Plan::new(10, 3..7);
        part.open(&head(206, Some("bytes 3-6/10"), None)).unwrap();
        assert_eq!(
            (part.take(3), part.take(3), part.take(3)),
            (0..3, 0..1, 0..0)
        );
    }

    proptest! {
        #[test]
        fn however_a_download_breaks_every_byte_comes_once(
            size in 0_usize..60,
            (a, b) in (0_usize..70, 0_usize..70),
            answers in proptest::collection::vec((any::<bool>(), 1_usize..20, 1_usize..5), 0..40),
        ) {
            let blob: Vec<u8> = (0..size).map(|at| u8::try_from(at).unwrap()).collect();
            let wanted = a.min(b)..a.max(b);
            let mut plan = Plan::new(size as u64, wanted.start as u64..wanted.end as u64);
            let mut read = Vec::new();
            let mut answers = answers.into_iter();
            while !plan.is_done() {
                // A server with or without ranges, a body that breaks off, in pieces.
                let (knows_ranges, breaks, piece) = answers.next().unwrap_or((false, usize::MAX, 7));
                let range = plan.request_range();
                let (body, text) = match range.filter(|_| knows_ranges) {
                    None => (&blob[..], None),
                    Some(range) => {
                        let start = usize::try_from(range.start()).unwrap();
                        let end = range.end().map_or(size, |end| usize::try_from(end).unwrap());
                        (&blob[start..end], Some(format!("bytes {start}-{}/{size}", end - 1)))
                    }
                };
                let status = if text.is_some() { 206 } else { 200 };
                plan.open(&head(status, text.as_deref(), Some(body.len() as u64))).unwrap();
                for piece in body[..body.len().min(breaks)].chunks(piece) {
                    read.extend_from_slice(&piece[plan.take(piece.len())]);
                }
            }
            let expected = &blob[wanted.start.min(size)..wanted.end.min(size)];
            prop_assert_eq!(read, expected);
        }
    }
}
