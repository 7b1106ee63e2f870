//! Watches the raw bytes of an archive while a reader takes them.

use std::cell::RefCell;
use std::io::{self, Read};
use std::rc::Rc;

use imgtar::{BLOCK_SIZE, padding};

/// What has passed since the end of the last entry.
#[derive(Debug, Default)]
pub(super) struct Tap {
    /// Header blocks, extended ones with their content; at the end, the end of the archive.
    headers: Vec<u8>,
    /// Bytes that were not kept because the end is implausibly long.
    dropped: usize,
    content: u64,
    padding: usize,
    has_dirty_padding: bool,
}

/// More than the headers of one entry within the reader's limits.
const MAX_KEPT: usize = 8 << 20;

#[derive(Debug)]
pub(super) struct Tapped<R> {
    inner: R,
    tap: Rc<RefCell<Tap>>,
}

impl Tap {
    pub(super) fn around<R: Read>(inner: R) -> (Tapped<R>, Rc<RefCell<Self>>) {
        let tap = Rc::new(RefCell::new(Self::default()));
        let reader = Tapped {
            inner,
            tap: Rc::clone(&tap),
        };
        (reader, tap)
    }

    /// Ends the headers of an entry, checks their padding and that of the content before them;
    /// returns the size field of the last header.
    pub(super) fn end_headers(&mut self, size: u64, report: &mut dyn FnMut(String)) -> u64 {
        self.report_padding(report);
        let headers = std::mem::take(&mut self.headers);
        let mut rest = headers.as_slice();
        let mut declared = 0;
        while let Some((header, after)) = rest.split_at_checked(BLOCK_SIZE) {
            declared = octal(&header[124..136]);
            rest = after;
            if rest.is_empty() {
                break;
            }
            let size = usize::try_from(declared).unwrap_or(usize::MAX);
            let pad = padding(declared);
            let Some((_, after)) = rest.split_at_checked(size) else {
                break;
            };
            let Some((zeros, after)) = after.split_at_checked(pad) else {
                break;
            };
            if zeros.iter().any(|&byte| byte != 0) {
                report("has an extended header whose padding is not zero".into());
            }
            rest = after;
        }
        self.content = size;
        self.padding = padding(size);
        declared
    }

    pub(super) fn end_archive(&mut self, report: &mut dyn FnMut(String)) {
        self.report_padding(report);
        let length = self.headers.len() + self.dropped;
        if length != 2 * BLOCK_SIZE {
            report(format!(
                "ends with {length} zero bytes instead of two blocks"
            ));
        }
    }

    fn report_padding(&mut self, report: &mut dyn FnMut(String)) {
        if std::mem::take(&mut self.has_dirty_padding) {
            report("follows content whose padding is not zero".into());
        }
    }

    fn see(&mut self, mut bytes: &[u8]) {
        let content = bytes
            .len()
            .min(usize::try_from(self.content).unwrap_or(usize::MAX));
        self.content -= content as u64;
        bytes = &bytes[content..];
        let (padding, headers) = bytes.split_at(bytes.len().min(self.padding));
        self.padding -= padding.len();
        self.has_dirty_padding |= padding.iter().any(|&byte| byte != 0);
        let kept = headers
            .len()
            .min(MAX_KEPT.saturating_sub(self.headers.len()));
        self.headers.extend_from_slice(&headers[..kept]);
        self.dropped += headers.len() - kept;
    }
}

impl<R: Read> Read for Tapped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.tap.borrow_mut().see(&buffer[..read]);
        Ok(read)
    }
}

/// Our own layers have octal numbers only, and the reader has refused what is none.
fn octal(field: &[u8]) -> u64 {
    let digits = field.iter().filter(|byte| (b'0'..=b'7').contains(*byte));
    digits.fold(0, |sum, digit| sum << 3 | u64::from(digit - b'0'))
}
