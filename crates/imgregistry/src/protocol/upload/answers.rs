//! What each answer changes.

use imgcore::Digest;

use super::{
    Answer, Done, Form, Head, MAX_DOUBTS, MAX_REWINDS, MAX_SESSIONS, Machine, Resume, State,
    UploadError,
};
use crate::protocol::location;
use crate::protocol::named::RefusedUrl;
use crate::protocol::range::{chunk_minimum, uploaded};
use crate::protocol::retry::{Class, Outcome, may_pass};

impl Machine {
    /// Takes how the request of [`next`](Self::next) ended, or that the driver has waited.
    ///
    /// What does not belong to what was to do is ignored.
    pub fn answer(&mut self, answer: Answer<'_>) {
        let state = match (answer, &self.state) {
            (Answer::Waited, State::Waiting(resume)) => resumed(*resume),
            (_, State::Done(_) | State::Failed(_) | State::Waiting(_))
            | (Answer::Waited | Answer::Renewed, _) => return,
            (Answer::Broken, _) => State::Waiting(self.after_trouble()),
            (Answer::Head(head), _) => self.head(&head),
        };
        self.state = state;
    }

    fn head(&mut self, head: &Head<'_>) -> State {
        // Whatever is wrong with a mount: the bytes are there to be sent.
        if self.state == State::Mounting {
            return self.mounting(head);
        }
        if is_trouble(head.status) {
            return State::Waiting(self.after_trouble());
        }
        match self.state {
            State::Beginning => self.beginning(head),
            State::Sending if self.is_put() => self.putting(head),
            State::Sending => self.patching(head),
            State::Asking => self.asking(head),
            State::Finishing => self.finishing(head),
            State::Checking(is_confirmed) => self.checking(head, is_confirmed),
            _ => State::Failed(UploadError::Status(head.status)),
        }
    }

    /// Returns how to find out where the upload stands.
    fn after_trouble(&self) -> Resume {
        match self.state {
            // The blob may be there, and only the answer lost.
            State::Finishing => Resume::Check(false),
            State::Sending if self.is_put() => Resume::Check(false),
            State::Beginning if self.form == Form::Post => Resume::Check(false),
            State::Sending | State::Asking => Resume::Ask,
            State::Checking(is_confirmed) => Resume::Check(is_confirmed),
            _ => Resume::Begin,
        }
    }

    fn mounting(&mut self, head: &Head<'_>) -> State {
        match head.status {
            201 => State::Done(Done::Mounted),
            202 if head.location.is_some() => self.begun(head),
            _ => State::Beginning,
        }
    }

    fn beginning(&mut self, head: &Head<'_>) -> State {
        let is_post = self.form == Form::Post;
        match head.status {
            201 if is_post => self.confirmed(head),
            // The body was not looked at: there is a session now.
            202 if is_post && self.change_form() => self.begun(head),
            status if is_post && is_other_form(status) => self.next_form(status),
            200 | 201 | 202 | 204 => self.begun(head),
            status => State::Failed(UploadError::Status(status)),
        }
    }

    /// A session has begun.
    fn begun(&mut self, head: &Head<'_>) -> State {
        if head.location.is_none() {
            return State::Failed(UploadError::NoLocation);
        }
        if let Err(error) = self.moved(head) {
            return State::Failed(error.into());
        }
        if let Some(least) = head.chunk_minimum.and_then(chunk_minimum) {
            self.least_chunk = self.least_chunk.max(least);
            self.chunk = self.chunk.max(least);
        }
        // The session is as good for another form.
        let is_too_long = self.form == Form::Chunked && self.chunk > self.max_chunk;
        if is_too_long && !self.change_form() {
            return State::Failed(UploadError::Status(head.status));
        }
        self.onwards()
    }

    /// Sends what is left, or ends the session.
    fn onwards(&self) -> State {
        if self.offset < self.size || self.is_put() {
            State::Sending
        } else {
            State::Finishing
        }
    }

    fn putting(&mut self, head: &Head<'_>) -> State {
        match head.status {
            200 | 201 | 202 | 204 => self.confirmed(head),
            status if is_other_form(status) => self.next_form(status),
            status => State::Failed(UploadError::Status(status)),
        }
    }

    fn patching(&mut self, head: &Head<'_>) -> State {
        match head.status {
            // What `Range` says is not looked at: it may lag behind. If it tells the truth, the next request shows it.
            200 | 201 | 202 | 204 => {
                if let Err(error) = self.moved(head) {
                    return State::Failed(error.into());
                }
                self.offset = self.part().end;
                self.parts += 1;
                self.doubts = 0;
                self.onwards()
            }
            416 => self.doubt(416),
            // Some registries answer so when a chunk does not begin where theirs ended.
            400 if self.form == Form::Chunked => self.doubt(400),
            413 if self.cut_chunk() => State::Sending,
            404 if self.offset > 0 => self.restart(),
            status if is_other_form(status) => self.next_form(status),
            status => State::Failed(UploadError::Status(status)),
        }
    }

    /// Registry and machine disagree about the offset, or the registry means something else by its status.
    fn doubt(&mut self, status: u16) -> State {
        self.doubts += 1;
        self.doubted = status;
        if self.doubts > MAX_DOUBTS {
            return self.next_form(status);
        }
        State::Asking
    }

    fn asking(&mut self, head: &Head<'_>) -> State {
        match head.status {
            200 | 202 | 204 => {}
            404 => return self.restart(),
            // It cannot be asked.
            _ if self.doubts > 0 => return self.next_form(self.doubted),
            _ if self.form == Form::Chunked => return self.onwards(),
            // It was asked after trouble, and how often that may be, the retry policy says.
            _ => return self.forget(),
        }
        if let Err(error) = self.moved(head) {
            return State::Failed(error.into());
        }
        let stored = head.range.and_then(uploaded);
        // "0-0" is how distribution says "nothing".
        let stored = stored.map(|stored| match stored {
            1 if self.offset == 0 => 0,
            stored => stored,
        });
        if self.doubts > 0 {
            self.after_refusal(stored)
        } else {
            self.after_break(stored)
        }
    }

    /// Goes on after a part that was refused for what may be its offset.
    fn after_refusal(&mut self, stored: Option<u64>) -> State {
        let stored = stored.filter(|stored| *stored <= self.part().end);
        match stored {
            Some(stored) if stored > self.offset => self.offset = stored,
            Some(stored) if stored < self.offset && self.rewinds < MAX_REWINDS => {
                self.rewinds += 1;
                self.offset = stored;
            }
            // With the same offset on both sides, the part was not refused for its offset.
            _ => return self.next_form(self.doubted),
        }
        self.onwards()
    }

    /// Goes on after a part of which nobody knows whether it arrived.
    fn after_break(&mut self, stored: Option<u64>) -> State {
        match stored {
            Some(stored) if stored > self.offset && stored <= self.part().end => {
                self.offset = stored;
                self.parts += 1;
            }
            // A chunk names its range: what is there already is refused. A stream would be appended.
            _ if self.form == Form::Chunked || self.offset == self.size => {}
            _ => return self.forget(),
        }
        self.onwards()
    }

    fn finishing(&mut self, head: &Head<'_>) -> State {
        match head.status {
            200 | 201 | 202 | 204 => self.confirmed(head),
            // It may have ended before, without the answer coming through.
            404 => {
                self.doubts += 1;
                self.doubted = 404;
                if self.doubts > MAX_DOUBTS {
                    self.restart()
                } else {
                    State::Checking(false)
                }
            }
            416 => self.doubt(416),
            // The parts do not make the blob: they may not have been put together as they were sent.
            400 if self.parts > 1 => self.next_form(400),
            status => State::Failed(UploadError::Status(status)),
        }
    }

    /// The registry says that it has the blob.
    fn confirmed(&mut self, head: &Head<'_>) -> State {
        let named = head
            .digest
            .and_then(|digest| digest.trim().parse::<Digest>().ok())
            .filter(|named| named.algorithm() == self.digest.algorithm());
        self.offset = self.size;
        match named {
            Some(actual) if actual != self.digest => State::Failed(UploadError::Digest {
                expected: self.digest,
                actual,
            }),
            // Registries have lost all but the last of several parts.
            Some(_) if self.parts <= 1 => State::Done(Done::Uploaded),
            _ => State::Checking(true),
        }
    }

    fn checking(&mut self, head: &Head<'_>, is_confirmed: bool) -> State {
        match (head.status, head.content_length) {
            (200, Some(actual)) if actual != self.size => self.lost_parts(UploadError::Size {
                digest: self.digest,
                expected: self.size,
                actual,
            }),
            (200, _) => State::Done(Done::Uploaded),
            (404, _) if is_confirmed => self.lost_parts(UploadError::Missing {
                digest: self.digest,
            }),
            // Not every registry can be asked, and not everyone may.
            _ if is_confirmed => State::Done(Done::Uploaded),
            _ if self.location.is_some() => State::Asking,
            _ => self.restart(),
        }
    }

    /// What the registry has is not the blob. If it came in parts, it may go in one.
    fn lost_parts(&mut self, error: UploadError) -> State {
        if self.parts > 1 && self.change_form() {
            self.forget()
        } else {
            State::Failed(error)
        }
    }

    /// Follows the session to where it goes on.
    fn moved(&mut self, head: &Head<'_>) -> Result<(), RefusedUrl> {
        let Some(header) = head.location else {
            return Ok(());
        };
        let request = match &self.location {
            Some(location) => location.url(),
            None => &self.places.begin,
        };
        self.location = Some(location::resolve(request, header, &self.rules)?);
        Ok(())
    }

    /// Makes the chunks smaller, if they can be.
    fn cut_chunk(&mut self) -> bool {
        let can_be = self.form == Form::Chunked && self.chunk > self.least_chunk;
        if can_be {
            self.chunk = (self.chunk / 4).max(self.least_chunk);
        }
        can_be
    }

    /// Tries the next form in a new session, or fails with the status that refused the last one.
    fn next_form(&mut self, status: u16) -> State {
        if self.change_form() {
            self.forget()
        } else {
            State::Failed(UploadError::Status(status))
        }
    }

    /// Takes the next form, if there is one.
    fn change_form(&mut self) -> bool {
        let is_left = !self.forms.is_empty();
        if is_left {
            self.form = self.forms.remove(0);
        }
        is_left
    }

    /// Begins anew after a session was lost.
    fn restart(&mut self) -> State {
        if self.sessions >= MAX_SESSIONS {
            return State::Failed(UploadError::Lost);
        }
        self.sessions += 1;
        self.forget()
    }

    fn forget(&mut self) -> State {
        self.location = None;
        self.offset = 0;
        self.parts = 0;
        self.doubts = 0;
        State::Beginning
    }
}

fn resumed(resume: Resume) -> State {
    match resume {
        Resume::Begin => State::Beginning,
        Resume::Ask => State::Asking,
        Resume::Check(is_confirmed) => State::Checking(is_confirmed),
    }
}

/// Statuses by which registries and the proxies before them refuse a form: no such method or route, a body that is too
/// large or of a kind they do not take.
fn is_other_form(status: u16) -> bool {
    matches!(status, 404 | 405 | 411 | 413 | 415 | 416 | 501)
}

/// Statuses after which the same may succeed; 416 has a meaning of its own here.
fn is_trouble(status: u16) -> bool {
    let outcome = Outcome::Status {
        status,
        retry_after: None,
        body: "",
    };
    may_pass(Class::Repeatable, outcome)
}
