//! A blob on its way in: a body that goes on where it broke off.

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use http::header::{CONTENT_RANGE, HeaderValue, RANGE};
use http::{Method, StatusCode};
use imgcore::Descriptor;

use super::{Remote, Site};
use crate::client::{Lane, Permit};
use crate::error::{Error, ErrorKind, Operation, Place, Result};
use crate::exchange::{Answer, Call, Failure};
use crate::protocol::download::{DownloadError, Head, Plan};
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
    plan: Plan,
    /// Behind the last byte that is wanted.
    end: u64,
    body: Option<Answer>,
    /// The place below the ceiling, until everything has come: a part that is asked for once more must not wait behind
    /// those who wait for this one.
    permit: Option<Permit>,
    /// The number of the attempt that is running.
    attempt: u32,
    /// Where the last attempt began.
    began: u64,
    /// Why the sites before did not help.
    earlier: Vec<String>,
}

impl Download {
    /// Opens the bytes `start..end` of a blob at the first site that has it.
    pub(super) async fn open(
        remote: &Remote,
        descriptor: &Descriptor,
        start: u64,
        end: u64,
    ) -> Result<Self> {
        let site = &remote.sites()[0];
        let place = site.place_of(Operation::ReadBlob, &descriptor.digest);
        let permit = site.exchange(remote).enter(Lane::Reading, &place).await?;
        let mut download = Self {
            remote: remote.clone(),
            descriptor: descriptor.clone(),
            site: 0,
            plan: Plan::new(descriptor.size, start..end),
            end,
            body: None,
            permit: Some(permit),
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
            // Behind the end of a part nothing is wanted. Behind the end of a blob nothing may come.
            if self.plan.is_done() && self.end < self.descriptor.size {
                return None;
            }
            let Some(answer) = &mut self.body else {
                if let Err(error) = self.reopen().await {
                    return Some(Err(error));
                }
                continue;
            };
            let failure = match answer.next_data().await {
                Some(Ok(data)) => {
                    let wanted = data.slice(self.plan.take(data.len()));
                    if self.plan.is_done() {
                        self.permit = None;
                    }
                    if wanted.is_empty() {
                        continue;
                    }
                    return Some(Ok(wanted));
                }
                // All of it came, and whether it is right the digest says: how the connection ended is of no interest.
                Some(Err(_)) | None if self.plan.is_done() => return None,
                Some(Err(error)) => Failure::of_body(&answer.place, error),
                None => ended_early(&answer.place, self.plan.offset(), self.end),
            };
            self.body = None;
            if let Err(error) = self.recover(failure).await {
                return Some(Err(error));
            }
        }
    }

    /// Waits before the next attempt, or goes on to the next site.
    async fn recover(&mut self, failure: Failure) -> Result<()> {
        if self.plan.offset() - self.began >= FORGIVING {
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
        self.earlier.push(self.remote.mirror_failed(&error));
        self.site += 1;
        self.attempt = 1;
        Ok(())
    }

    /// Asks for the bytes that are still to come.
    ///
    /// It is the registry that is asked, every time: the URL that it led to may have ended with its signature.
    async fn reopen(&mut self) -> Result<()> {
        loop {
            self.began = self.plan.offset();
            let remote = self.remote.clone();
            let site = &remote.sites()[self.site];
            let call = self.call(site);
            let opened = match site.exchange(&remote).call(&call).await {
                Ok(answer) => self.check(&remote, site, answer).await,
                Err(error) => Err(error.into()),
            };
            match opened {
                Ok(answer) => {
                    self.body = Some(answer);
                    return Ok(());
                }
                Err(failure) => self.recover(failure).await?,
            }
        }
    }

    fn call(&self, site: &Site) -> Call {
        let digest = &self.descriptor.digest;
        let place = site.place_of(Operation::ReadBlob, digest);
        let url = site.session.endpoint().blob(&site.repository, digest);
        let mut call = site.call(place, Method::GET, url, Actions::PULL);
        call.permit.clone_from(&self.permit);
        let range = self.plan.request_range();
        if let Some(Ok(range)) = range.map(|range| HeaderValue::from_str(&range.to_string())) {
            call.headers.insert(RANGE, range);
        }
        call
    }

    /// Finds out whether a server is about to send what is wanted.
    async fn check(
        &mut self,
        remote: &Remote,
        site: &Site,
        answer: Answer,
    ) -> Result<Answer, Failure> {
        let opened = self.plan.open(&Head {
            status: answer.status.as_u16(),
            content_range: answer.header(CONTENT_RANGE),
            content_length: answer.content_length(),
        });
        match opened {
            Ok(()) => Ok(answer),
            // A signed URL that the registry just gave out is as good as new: it was for a moment that has passed.
            Err(DownloadError::Status(_)) if is_expired(&answer) => {
                Err(Failure::of_answer(answer).await.into_transient())
            }
            Err(DownloadError::Status(_)) => {
                let exchange = site.exchange(remote);
                let error = exchange.refused(answer, &site.repository).await;
                Err(error.into())
            }
            Err(error @ DownloadError::Length { expected, actual }) => {
                let kind = ErrorKind::SizeMismatch { expected, actual };
                let error = Error::new(kind, &answer.place, error.to_string());
                // A proxy may have had a bad moment; a registry with another blob says the same again.
                Err(match self.attempt {
                    1 => Failure::truncated(error),
                    _ => error.into(),
                })
            }
            Err(error) => {
                let error = Error::new(ErrorKind::Protocol, &answer.place, error.to_string());
                Err(error.into())
            }
        }
    }
}

fn is_expired(answer: &Answer) -> bool {
    let is_refusal = matches!(
        answer.status,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
    );
    is_refusal && !answer.is_from_registry()
}

fn ended_early(place: &Place, actual: u64, expected: u64) -> Failure {
    let detail = format!("the blob ended at byte {actual} of {expected}");
    Failure::truncated(Error::new(ErrorKind::Unavailable, place, detail))
}
