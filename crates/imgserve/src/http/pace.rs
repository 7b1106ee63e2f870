//! Peers that stop in the middle: a body that does not come, and a response that is not taken.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::BoxError;

/// A body that ends with an error when its next bytes take longer than `patience`.
pub(super) struct PacedBody<B> {
    inner: B,
    wait: Wait,
}

impl<B> PacedBody<B> {
    pub(super) fn new(inner: B, patience: Duration) -> Self {
        Self {
            inner,
            wait: Wait::new(patience),
        }
    }
}

impl<B> Body for PacedBody<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        match Pin::new(&mut this.inner).poll_frame(context) {
            Poll::Ready(frame) => {
                this.wait.over();
                Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
            }
            Poll::Pending if this.wait.is_too_long(context) => {
                Poll::Ready(Some(Err(Box::new(Stalled))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A connection that fails when the peer takes nothing of what is written for longer than `patience`.
///
/// Reading is not watched here: a peer that waits for its response has nothing to send.
pub(super) struct PacedStream<S> {
    inner: S,
    wait: Wait,
}

impl<S> PacedStream<S> {
    pub(super) fn new(inner: S, patience: Duration) -> Self {
        Self {
            inner,
            wait: Wait::new(patience),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> PacedStream<S> {
    fn watch<T>(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut S>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let this = self.get_mut();
        match write(Pin::new(&mut this.inner), context) {
            Poll::Ready(written) => {
                this.wait.over();
                Poll::Ready(written)
            }
            Poll::Pending if this.wait.is_too_long(context) => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, Stalled)))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.watch(context, |inner, context| inner.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(context, AsyncWrite::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.watch(context, AsyncWrite::poll_shutdown)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.watch(context, |inner, context| {
            inner.poll_write_vectored(context, slices)
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// A connection that fails when its first bytes take longer than `patience`.
///
/// They say which protocol the peer speaks, and until that is known nobody else looks at the clock.
pub(super) struct PacedStart<S> {
    inner: S,
    /// How many bytes are still missing, and the clock; `None` once they have come.
    start: Option<(usize, Wait)>,
}

/// The length of what HTTP/2 begins with. No request of HTTP/1.1 that is worth an answer is shorter.
const PREFACE: usize = 24;

impl<S> PacedStart<S> {
    pub(super) fn new(inner: S, patience: Duration) -> Self {
        Self {
            inner,
            start: Some((PREFACE, Wait::new(patience))),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for PacedStart<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.inner).poll_read(context, buffer);
        let Some((missing, wait)) = &mut this.start else {
            return read;
        };
        let came = buffer.filled().len() - before;
        if came >= *missing {
            this.start = None;
            return read;
        }
        *missing -= came;
        // Bytes that come one by one do not begin it anew.
        if read.is_pending() && wait.is_too_long(context) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, Stalled)));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for PacedStart<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

/// How long one thing has been waited for.
struct Wait {
    patience: Duration,
    /// Made at the first wait and moved on after that: timers are not free.
    alarm: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Wait {
    fn new(patience: Duration) -> Self {
        Self {
            patience,
            alarm: None,
            waiting: false,
        }
    }

    fn over(&mut self) {
        self.waiting = false;
    }

    fn is_too_long(&mut self, context: &mut Context<'_>) -> bool {
        let patience = self.patience;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(patience)));
        if !self.waiting {
            self.waiting = true;
            // Far beyond any clock is never.
            if let Some(until) = Instant::now().checked_add(patience) {
                alarm.as_mut().reset(until);
            }
        }
        alarm.as_mut().poll(context).is_ready()
    }
}

/// What a connection or body ends with when the peer stops in the middle.
#[derive(Debug)]
struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the peer stopped in the middle and was given up")
    }
}

impl std::error::Error for Stalled {}

#[cfg(test)]
mod tests {
    use futures_util::stream::{self, StreamExt};
    use http_body_util::{BodyExt, StreamBody};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stalls_ends_with_an_error() {
        let chunk = Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"ab")));
        let stalling = StreamBody::new(stream::iter([chunk]).chain(stream::pending()).boxed());
        let mut body = PacedBody::new(stalling, PATIENCE);
        let start = Instant::now();
        assert!(body.frame().await.unwrap().is_ok());
        let error = body.frame().await.unwrap().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the peer stopped in the middle and was given up"
        );
        assert_eq!(start.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_body_is_waited_for_as_long_as_it_moves() {
        let slow = stream::iter(0..10).then(|_| async {
            sleep(Duration::from_secs(29)).await;
            Ok::<_, BoxError>(Frame::data(Bytes::from_static(b"a")))
        });
        let body = PacedBody::new(StreamBody::new(slow.boxed()), PATIENCE);
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_does_not_say_what_it_speaks_is_given_up() {
        for beginning in ["", "PRI * HTTP/2"] {
            let (near, mut far) = tokio::io::duplex(64);
            far.write_all(beginning.as_bytes()).await.unwrap();
            let mut taken = Vec::new();
            let mut stream = PacedStart::new(near, PATIENCE);
            let error = stream.read_to_end(&mut taken).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            assert_eq!(taken, beginning.as_bytes());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_said_it_may_be_silent() {
        let (near, mut far) = tokio::io::duplex(64);
        far.write_all(&[b'x'; PREFACE]).await.unwrap();
        let mut stream = PacedStart::new(near, PATIENCE);
        stream.read_exact(&mut [0; PREFACE]).await.unwrap();
        let more = tokio::time::timeout(10 * PATIENCE, stream.read_u8());
        assert!(more.await.is_err(), "it goes on waiting");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_nothing_is_given_up() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut stream = PacedStream::new(near, PATIENCE);
        let error = stream.write_all(b"more than four").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        // What was taken is still there, and reading is not watched.
        let mut taken = [0; 4];
        far.read_exact(&mut taken).await.unwrap();
        assert_eq!(&taken, b"more");
    }
}
