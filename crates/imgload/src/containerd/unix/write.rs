//! Writing one blob: only what is not there, in order, and committed under its digest.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use futures_util::StreamExt;
use imgcore::Descriptor;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use tonic::{Code, Status, Streaming};

use super::client::Session;
use super::labels::Labels;
use super::proto::content::{
    AbortRequest, StatusRequest, WriteAction, WriteRequest, WriteResponse,
};
use super::supply::{DEPTH, Payload, Rest};
use crate::{Error, ErrorKind, Event, How, Progress, Result};

/// How often a write begins again: after what somebody else left proved wrong, or after somebody else was faster.
const ATTEMPTS: usize = 4;
/// How long somebody else's write of the same blob may stand still.
const STALL: Duration = Duration::from_secs(60);
/// The shortest and the longest time between two looks at somebody else's write.
const WAITS: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(500)];

/// A blob that containerd is to have.
pub(super) struct Write<'a> {
    pub(super) session: &'a Session,
    pub(super) progress: &'a Progress,
    pub(super) blob: &'a Descriptor,
    pub(super) payload: &'a Payload,
    /// The labels that the blob gets if it is new.
    pub(super) labels: &'a Labels,
    /// How many bytes have arrived, those that had to be sent again included.
    pub(super) written: AtomicU64,
}

/// How an attempt ended.
enum Attempt {
    /// The blob is there.
    Done,
    /// Somebody else is writing it.
    Busy,
    /// Somebody else has written it meanwhile.
    Again,
    /// What is there now is not what the digest says.
    Wrong {
        /// Whether some of it was there before.
        is_resumed: bool,
        status: Status,
    },
}

impl Write<'_> {
    /// Brings the blob there, or finds it there. Either way the lease of the session holds it then.
    pub(super) async fn run(&self) -> Result<How> {
        let mut waiting = Waiting::default();
        let mut attempts = 0;
        while attempts < ATTEMPTS {
            match self.attempt().await? {
                Attempt::Done => {
                    let how = self.how();
                    self.progress.tell(Event::BlobDone {
                        blob: Box::new(self.blob.clone()),
                        how,
                    });
                    return Ok(how);
                }
                Attempt::Busy => self.wait(&mut waiting).await?,
                Attempt::Again => attempts += 1,
                Attempt::Wrong { is_resumed, status } => {
                    self.abort().await;
                    if !is_resumed {
                        return Err(self.blame(&status).await);
                    }
                    attempts += 1;
                }
            }
        }
        let name = self.session.name();
        let text = format!("{}: {name} begins it again and again", self.what());
        Err(Error::new(ErrorKind::Refused, text))
    }

    /// Returns how the blob came there. An empty one that is new is not told from one that was there.
    fn how(&self) -> How {
        match self.written.load(Ordering::Relaxed) {
            0 => How::Present,
            bytes => How::Sent { bytes },
        }
    }

    async fn attempt(&self) -> Result<Attempt> {
        let (sender, receiver) = mpsc::channel(DEPTH);
        let first = WriteRequest {
            action: WriteAction::Stat.into(),
            r#ref: reference(self.blob),
            total: i64::try_from(self.blob.size).unwrap_or(i64::MAX),
            expected: self.blob.digest.to_string(),
            ..WriteRequest::default()
        };
        // There is room for it: nothing was sent.
        let _ = sender.try_send(first);
        let request = self.session.request("Content.Write", Requests(receiver));
        let opened = async {
            let mut answers = self.session.content().write(request).await?.into_inner();
            let first = answers.message().await?;
            Ok::<_, Status>((answers, first.unwrap_or_default()))
        };
        let (answers, first) = match opened.await {
            Ok(opened) => opened,
            Err(status) => return self.not_opened(&status),
        };
        let offset = u64::try_from(first.offset).unwrap_or_default();
        if offset > self.blob.size {
            let status = Status::failed_precondition("more was written than the blob has");
            return Ok(Attempt::Wrong {
                is_resumed: true,
                status,
            });
        }
        self.progress.tell(Event::BlobStarted {
            blob: Box::new(self.blob.clone()),
            offset,
        });
        let rest = Rest {
            blob: self.blob.clone(),
            payload: self.payload.clone(),
            offset,
            labels: self.labels.clone(),
        };
        self.follow(answers, Feed(rest.spawn(sender)), offset).await
    }

    fn not_opened(&self, status: &Status) -> Result<Attempt> {
        match status.code() {
            Code::AlreadyExists => Ok(Attempt::Done),
            Code::Unavailable if status.message().contains("locked") => Ok(Attempt::Busy),
            _ => Err(self.session.error(self.what(), status)),
        }
    }

    /// Reads the answers while the blob is sent.
    async fn follow(
        &self,
        mut answers: Streaming<WriteResponse>,
        feed: Feed,
        start: u64,
    ) -> Result<Attempt> {
        let mut last = start;
        loop {
            match answers.message().await {
                Ok(Some(answer)) => {
                    let offset = u64::try_from(answer.offset).unwrap_or_default();
                    let more = offset.saturating_sub(last);
                    self.written.fetch_add(more, Ordering::Relaxed);
                    last = offset;
                    if answer.action() == WriteAction::Commit {
                        return Ok(Attempt::Done);
                    }
                    self.progress.tell(Event::BlobProgress {
                        digest: self.blob.digest,
                        offset,
                    });
                }
                // What reads the blob gave up.
                Ok(None) => return Err(self.unfed(feed).await),
                Err(status) => {
                    return match status.code() {
                        Code::AlreadyExists => Ok(Attempt::Again),
                        Code::FailedPrecondition => Ok(Attempt::Wrong {
                            is_resumed: start > 0,
                            status,
                        }),
                        _ => Err(self.session.error(self.what(), &status)),
                    };
                }
            }
        }
    }

    async fn unfed(&self, mut feed: Feed) -> Error {
        match (&mut feed.0).await {
            Ok(Err(error)) => Error::store(self.what(), error),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            _ => {
                let name = self.session.name();
                let text = format!("{}: {name} ended the write early", self.what());
                Error::new(ErrorKind::Refused, text)
            }
        }
    }

    /// Waits a little for somebody else, as long as that one gets on.
    async fn wait(&self, waiting: &mut Waiting) -> Result<()> {
        if waiting.delay == Duration::ZERO {
            let digest = self.blob.digest;
            self.progress.tell(Event::Waiting { digest });
        }
        waiting.delay = (waiting.delay * 2).clamp(WAITS[0], WAITS[1]);
        sleep(waiting.delay).await;
        let name = reference(self.blob);
        let request = StatusRequest {
            r#ref: name.clone(),
        };
        let request = self.session.request("Content.Status", request);
        let offset = match self.session.content().status(request).await {
            Ok(answer) => answer.into_inner().status.map(|it| it.offset),
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(self.session.error(self.what(), &status)),
        };
        if offset != waiting.offset {
            waiting.offset = offset;
            waiting.since = Instant::now();
        }
        if waiting.since.elapsed() > STALL {
            let (digest, seconds) = (self.blob.digest, STALL.as_secs());
            let text = format!(
                "{}: somebody else writes it to {} as {name}, and has not got on for {seconds} seconds; end that one, or wait for it",
                self.what(),
                self.session.name(),
            );
            return Err(Error::new(ErrorKind::Busy { digest }, text));
        }
        Ok(())
    }

    /// Throws away what was written. If that does not work, the next attempt says so.
    async fn abort(&self) {
        let request = AbortRequest {
            r#ref: reference(self.blob),
        };
        let request = self.session.request("Content.Abort", request);
        drop(self.session.content().abort(request).await);
    }

    /// Finds out who is to blame for wrong bytes: reads the source again, and checks.
    async fn blame(&self, status: &Status) -> Error {
        let read = async {
            if let Payload::Source(source) = self.payload
                && self.blob.data.is_none()
            {
                let mut bytes = source.open(self.blob).await?;
                while let Some(piece) = bytes.next().await {
                    piece?;
                }
            }
            imgstore::Result::Ok(())
        };
        match read.await {
            Err(error) => Error::store(self.what(), error),
            Ok(()) => self.session.error(self.what(), status),
        }
    }

    fn what(&self) -> String {
        format!("blob {}", self.blob.digest)
    }
}

/// The requests of one write.
struct Requests(mpsc::Receiver<WriteRequest>);

impl Stream for Requests {
    type Item = WriteRequest;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<WriteRequest>> {
        self.0.poll_recv(context)
    }
}

/// Reads a blob, until it is dropped.
struct Feed(JoinHandle<imgstore::Result<()>>);

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// How long somebody else has been waited for.
struct Waiting {
    delay: Duration,
    /// How far that one was.
    offset: Option<i64>,
    since: Instant,
}

impl Default for Waiting {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            offset: None,
            since: Instant::now(),
        }
    }
}

/// Names a write, as containerd's own clients name theirs: two writes of one blob are one.
fn reference(blob: &Descriptor) -> String {
    let media_type = &blob.media_type;
    let kind = if media_type.is_manifest() {
        "manifest"
    } else if media_type.is_index() {
        "index"
    } else if media_type.is_layer() {
        "layer"
    } else if media_type.is_image_config() {
        "config"
    } else {
        "unknown"
    };
    format!("{kind}-{}", blob.digest)
}

#[cfg(test)]
mod tests {
    use imgcore::MediaType;

    use super::*;

    #[test]
    fn writes_are_named_as_containerds_clients_name_them() {
        let check = |media_type: MediaType, kind: &str| {
            let blob = Descriptor::of(media_type, b"");
            let expected = format!("{kind}-{}", blob.digest);
            assert_eq!(reference(&blob), expected);
        };
        check(MediaType::OCI_MANIFEST, "manifest");
        check(MediaType::OCI_INDEX, "index");
        check(MediaType::OCI_LAYER_ZSTD, "layer");
        check(MediaType::OCI_CONFIG, "config");
        check(MediaType::OCI_EMPTY, "unknown");
    }
}
