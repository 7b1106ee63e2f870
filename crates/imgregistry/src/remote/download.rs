//! A blob on its way in: a body that goes on where it broke off.

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use http::header::{CONTENT_RANGE, HeaderValue, RANGE};
use http::{Method, StatusCode};
use imgcore::Descriptor;

use super::{Remote, Site};
use crate::error::{Error, ErrorKind, Operation, Place, Result};
use crate::exchange::{Answer, Call, Failure};
use crate::pending::range::ContentRange;
use crate::protocol::retry::Class;
use crate::protocol::scope::Actions;

/// After so many bytes without trouble, earlier trouble is forgotten: a large blob may be interrupted more often than a
/// small one.
const FORGIVING: u64 = 64 * 1024 * 1024;

/// The part of a blob that is wanted, and what of it is still to come.
pub(super) struct Download {
    remote: Remote,
    descriptor: Descriptor,
    /// Which of the sites is asked.
    site: usize,
    /// The next byte of the blob.
    offset: u64,
    end: u64,
    body: Option<Open>,
    /// The number of the attempt that is running.
    attempt: u32,
    /// The offset at which the last attempt began.
    began: u64,
    /// Why the sites before did not help.
    earlier: Vec<String>,
}

/// An answer that is being read.
struct Open {
    answer: Answer,
    /// How many bytes to pass over, where a server sends the blob from its start whatever is asked.
    skip: u64,
}

impl Download {
    /// Opens the bytes `start..end` of a blob at the first site that has it.
    pub(super) async fn open(
        remote: &Remote,
        descriptor: &Descriptor,
        start: u64,
        end: u64,
    ) -> Result<Self> {
        let mut download = Self {
            remote: remote.clone(),
            descriptor: descriptor.clone(),
            site: 0,
            offset: start,
            end,
            body: None,
            attempt: 1,
            began: start,
            earlier: Vec::new(),
        };
        download.reopen().await?;
        Ok(download)
    }

    /// Gives the bytes as they come. What breaks off goes on with a range, at the same site or at the next one.
    pub(super) fn into_stream(self) -> impl Stream<Item = imgstore::Result<Bytes>> + Send {
        stream::unfold(Some(self), |state| async move {
            let mut download = state?;
            match download.next().await {
                None => None,
                Some(Ok(bytes)) => Some((Ok(bytes), Some(download))),
                Some(Err(error)) => Some((Err(error.into()), None)),
            }
        })
    }

    async fn next(&mut self) -> Option<Result<Bytes>> {
        loop {
            let Some(open) = &mut self.body else {
                if let Err(error) = self.reopen().await {
                    return Some(Err(error));
                }
                continue;
            };
            let failure = match open.answer.next_data().await {
                Some(Ok(data)) => match self.take(data) {
                    Some(bytes) => return Some(Ok(bytes)),
                    None => continue,
                },
                Some(Err(error)) => Failure::of_body(&self.place(), error),
                None if self.offset >= self.end => return None,
                None => self.ended_early(),
            };
            self.body = None;
            if let Err(error) = self.recover(failure).await {
                return Some(Err(error));
            }
        }
    }

    /// Takes what is wanted of the next bytes. More than was announced is passed on, for the check to find.
    fn take(&mut self, mut data: Bytes) -> Option<Bytes> {
        let open = self.body.as_mut()?;
        if open.skip > 0 {
            let count = usize::try_from(open.skip).map_or(data.len(), |skip| skip.min(data.len()));
            open.skip -= count as u64;
            data = data.split_off(count);
        }
        let is_whole = self.end == self.descriptor.size;
        if !is_whole {
            let room = usize::try_from(self.end - self.offset).unwrap_or(usize::MAX);
            data.truncate(room);
        }
        self.offset += data.len() as u64;
        (!data.is_empty()).then_some(data)
    }

    fn ended_early(&self) -> Failure {
        let detail = format!("the blob ended at byte {} of {}", self.offset, self.end);
        let kind = ErrorKind::SizeMismatch {
            expected: self.end,
            actual: self.offset,
        };
        Failure::truncated(Error::new(kind, &self.place(), detail))
    }

    /// Waits before the next attempt, or goes on to the next site.
    async fn recover(&mut self, failure: Failure) -> Result<()> {
        if self.offset - self.began >= FORGIVING {
            self.attempt = 1;
        }
        let site = &self.remote.sites()[self.site];
        let exchange = site.exchange(&self.remote);
        if exchange
            .wait(Class::Repeatable, &failure, self.attempt)
            .await
        {
            self.attempt += 1;
            return Ok(());
        }
        self.next_site(failure.error.with_attempts(self.attempt))
    }

    /// Goes on to the next site, or fails with what the last one said.
    fn next_site(&mut self, error: Error) -> Result<()> {
        if self.site + 1 == self.remote.sites().len() {
            return Err(error.with_earlier(std::mem::take(&mut self.earlier)));
        }
        self.earlier.push(error.to_string());
        self.site += 1;
        self.attempt = 1;
        Ok(())
    }

    /// Asks for the bytes from the offset on.
    ///
    /// It is the registry that is asked, every time: the URL that it led to may have ended with its signature.
    async fn reopen(&mut self) -> Result<()> {
        loop {
            self.began = self.offset;
            let site = &self.remote.sites()[self.site];
            let call = self.call(site);
            let opened = match site.exchange(&self.remote).call(&call).await {
                Ok(answer) => {
                    let wanted = (self.offset, self.end, self.descriptor.size);
                    check(&self.remote, site, answer, wanted).await
                }
                Err(error) => Err(error.into()),
            };
            let failure = match opened {
                Ok(open) => {
                    self.body = Some(open);
                    return Ok(());
                }
                Err(failure) => failure,
            };
            self.recover(failure).await?;
        }
    }

    fn call(&self, site: &Site) -> Call {
        let digest = &self.descriptor.digest;
        let place = site.place_of(Operation::ReadBlob, digest);
        let url = site.session.endpoint().blob(&site.repository, digest);
        let mut call = site.call(place, Method::GET, url, Actions::PULL);
        if self.offset > 0 || self.end < self.descriptor.size {
            let range = match self.end == self.descriptor.size {
                true => format!("bytes={}-", self.offset),
                false => format!("bytes={}-{}", self.offset, self.end - 1),
            };
            if let Ok(range) = HeaderValue::from_str(&range) {
                call.headers.insert(RANGE, range);
            }
        }
        call
    }

    fn place(&self) -> Place {
        match &self.body {
            Some(open) => open.answer.place.clone(),
            None => self.remote.sites()[self.site]
                .place_of(Operation::ReadBlob, &self.descriptor.digest),
        }
    }
}

/// Finds out what a server is about to send.
async fn check(
    remote: &Remote,
    site: &Site,
    answer: Answer,
    (offset, end, size): (u64, u64, u64),
) -> Result<Open, Failure> {
    let skip = match answer.status {
        StatusCode::OK => offset,
        StatusCode::PARTIAL_CONTENT => {
            let range = answer
                .header(CONTENT_RANGE)
                .and_then(|text| ContentRange::parse(text).ok());
            let starts_there = range.is_some_and(|range| {
                range.start() == offset && range.total().is_none_or(|total| total == size)
            });
            if !starts_there {
                let detail = format!(
                    "asked for the bytes from {} of {size}, the server sends others",
                    offset
                );
                let error = Error::new(ErrorKind::Protocol, &answer.place, detail);
                return Err(error.into());
            }
            0
        }
        // A signed URL that the registry just gave out is as good as new: it was for a moment that has passed.
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !answer.is_from_registry() => {
            return Err(Failure::of_answer(answer).await.into_transient());
        }
        _ => {
            let exchange = site.exchange(remote);
            let error = exchange.refused(answer, &site.repository).await;
            return Err(error.into());
        }
    };
    // A part of 200 starts at the blob's beginning, one of 206 at the offset.
    let expected = if answer.status == StatusCode::OK {
        size
    } else {
        end - offset
    };
    if let Some(actual) = answer.content_length()
        && actual != expected
    {
        let kind = ErrorKind::SizeMismatch { expected, actual };
        let detail = format!("the server announces {actual} bytes, expected were {expected}");
        return Err(Error::new(kind, &answer.place, detail).into());
    }
    Ok(Open { answer, skip })
}
