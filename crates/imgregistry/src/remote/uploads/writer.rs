//! A blob that comes once, from a writer: as much of it is kept as may have to be sent again.

use std::collections::VecDeque;
use std::ops::Range;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use imgcore::Descriptor;
use imgstore::BlobWrite;

use super::CHUNK;
use super::driver::{Driver, Step};
use super::flight::Flight;
use crate::error::{Error, ErrorKind, Result};
use crate::protocol::upload::Request;

/// Gives the upload's machine the bytes that it wants as they come.
pub(super) struct Writer {
    driver: Driver,
    size: u64,
    window: Window,
    /// A request that takes more than what is kept.
    flight: Option<Flight>,
    /// Whether there is nothing more to do: the registry has the blob, or the session was given up.
    is_done: bool,
}

/// What comes after a look at what the machine wants.
enum Next {
    /// Another look.
    Again,
    /// More bytes, or the end.
    Return,
}

impl Writer {
    pub(super) fn new(driver: Driver, descriptor: &Descriptor) -> Self {
        Self {
            driver,
            size: descriptor.size,
            window: Window::default(),
            flight: None,
            is_done: false,
        }
    }

    /// Sends what can be sent. Only the last time does the blob's last byte go out: nothing is to be visible before.
    async fn pump(&mut self, is_last: bool) -> Result<()> {
        while !self.is_done {
            let next = match self.flight.take() {
                Some(flight) => self.fly(flight, is_last).await?,
                None => self.look(is_last).await?,
            };
            if matches!(next, Next::Return) {
                break;
            }
        }
        Ok(())
    }

    /// Asks the machine what it wants, and gives it that if it is here.
    async fn look(&mut self, is_last: bool) -> Result<Next> {
        let waiting = self.window.end.saturating_sub(self.driver.offset());
        if !is_last && (waiting < CHUNK || self.size <= CHUNK) {
            return Ok(Next::Return);
        }
        let request = match self.driver.advance().await? {
            Step::Done(_) => {
                self.is_done = true;
                return Ok(Next::Return);
            }
            Step::Bytes(request) => request,
        };
        let range = request.body.clone().unwrap_or_default();
        let is_here = range.end <= self.window.end && (is_last || range.end < self.size);
        if is_here {
            let pieces = self.bytes(&range)?;
            self.driver
                .send(&request, crate::RequestBody::pieces(pieces))
                .await;
            self.window.forget_before(self.driver.offset());
            return Ok(Next::Again);
        }
        let is_chunk = range.end - range.start <= CHUNK || range.end < self.size;
        if is_chunk {
            return Ok(Next::Return);
        }
        self.start(request, &range)?;
        Ok(Next::Again)
    }

    fn start(&mut self, request: Request, range: &Range<u64>) -> Result<()> {
        if range.start < self.window.start {
            return Err(self.gone(range.start));
        }
        let remote = self.driver.remote().clone();
        self.flight = Some(Flight::start(&self.driver, &remote, request));
        Ok(())
    }

    /// Feeds a request with what is here.
    async fn fly(&mut self, mut flight: Flight, is_last: bool) -> Result<Next> {
        while let Some((piece, end)) = self.window.piece_at(flight.next) {
            if end == self.size && !is_last {
                break;
            }
            let sent = flight.feed(piece).await;
            self.window.forget_before(flight.next.saturating_sub(CHUNK));
            if let Some(sent) = sent {
                self.driver.sent(&flight.call, &flight.request, sent).await;
                return Ok(Next::Again);
            }
        }
        if !is_last {
            self.flight = Some(flight);
            return Ok(Next::Return);
        }
        let sent = flight.finish().await;
        self.driver.sent(&flight.call, &flight.request, sent).await;
        Ok(Next::Again)
    }

    fn bytes(&self, range: &Range<u64>) -> Result<Vec<Bytes>> {
        self.window
            .slice(range)
            .ok_or_else(|| self.gone(range.start))
    }

    /// The registry wants bytes again that are no longer kept.
    fn gone(&self, start: u64) -> Error {
        let detail = format!("the upload must go on from byte {start}, which is no longer at hand");
        let error = Error::new(ErrorKind::Unavailable, self.driver.place(), detail);
        let error = match self.driver.trouble() {
            Some(trouble) => error.with_earlier(vec![trouble]),
            None => error,
        };
        error.with_next_step("write the blob once more")
    }
}

impl BlobWrite for Writer {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, imgstore::Result<()>> {
        Box::pin(async move {
            self.window.push(bytes);
            Ok(self.pump(false).await?)
        })
    }

    fn commit(mut self: Box<Self>) -> BoxFuture<'static, imgstore::Result<()>> {
        Box::pin(async move {
            let result = self.pump(true).await;
            if result.is_err() {
                self.driver.cancel().await;
            }
            self.is_done = true;
            Ok(result?)
        })
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // The registry need not keep what came of a blob that nobody finishes.
        if !self.is_done {
            self.driver.cancel_later();
        }
    }
}

/// The part of a blob that is kept.
#[derive(Debug, Default)]
struct Window {
    start: u64,
    end: u64,
    pieces: VecDeque<Bytes>,
}

impl Window {
    fn push(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.end += bytes.len() as u64;
            self.pieces.push_back(bytes);
        }
    }

    /// Drops the pieces that lie wholly before an offset.
    fn forget_before(&mut self, offset: u64) {
        while let Some(first) = self.pieces.front() {
            let end = self.start + first.len() as u64;
            if end > offset {
                break;
            }
            self.start = end;
            self.pieces.pop_front();
        }
    }

    /// Returns the rest of the piece at an offset, and where it ends.
    fn piece_at(&self, offset: u64) -> Option<(Bytes, u64)> {
        let mut start = self.start;
        for piece in &self.pieces {
            let end = start + piece.len() as u64;
            if (start..end).contains(&offset) {
                let skip = usize::try_from(offset - start).ok()?;
                return Some((piece.slice(skip..), end));
            }
            start = end;
        }
        None
    }

    /// Returns the bytes of a range without copying them; `None` when some are no longer here.
    fn slice(&self, range: &Range<u64>) -> Option<Vec<Bytes>> {
        if range.start < self.start || range.end > self.end {
            return None;
        }
        let mut found = Vec::new();
        let mut start = self.start;
        for piece in &self.pieces {
            let end = start + piece.len() as u64;
            let (from, to) = (range.start.max(start), range.end.min(end));
            if from < to {
                let from = usize::try_from(from - start).ok()?;
                let to = usize::try_from(to - start).ok()?;
                found.push(piece.slice(from..to));
            }
            start = end;
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(pieces: &[&'static str]) -> Window {
        let mut window = Window::default();
        for piece in pieces {
            window.push(Bytes::from_static(piece.as_bytes()));
        }
        window
    }

    #[test]
    fn a_window_gives_what_it_has() {
        let check = |window: &Window, range: Range<u64>, expected: Option<&str>| {
            let found = window.slice(&range).map(|pieces| pieces.concat());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{range:?}");
        };
        let mut kept = window(&["ab", "", "cde", "f"]);
        check(&kept, 0..6, Some("abcdef"));
        check(&kept, 1..4, Some("bcd"));
        check(&kept, 2..2, Some(""));
        check(&kept, 0..7, None);
        kept.forget_before(3);
        assert_eq!((kept.start, kept.end), (2, 6));
        check(&kept, 2..6, Some("cdef"));
        check(&kept, 1..6, None);
    }

    #[test]
    fn a_piece_is_found_by_its_offset() {
        let mut kept = window(&["ab", "cde"]);
        let check = |kept: &Window, offset, expected: Option<(&'static str, u64)>| {
            let expected = expected.map(|(text, end)| (Bytes::from(text), end));
            assert_eq!(kept.piece_at(offset), expected, "{offset}");
        };
        check(&kept, 0, Some(("ab", 2)));
        check(&kept, 1, Some(("b", 2)));
        check(&kept, 3, Some(("de", 5)));
        check(&kept, 5, None);
        kept.forget_before(2);
        check(&kept, 0, None);
    }
}
