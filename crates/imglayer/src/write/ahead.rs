//! Small files, read before they are written: many at a time, and by other threads where there are some.
//!
//! ```text
//!  batches in order ──▶ taken by whoever is free: lanes, or the writer itself ──▶ written in order
//!        ▲                                                                              │
//!        └───────────────────────────── buffers come back ──────────────────────────────┘
//! ```
//!
//! Opening and closing a small file costs more than its bytes do, and it is work for the kernel that any core can do.
//! A batch is big enough that handing it over costs nothing beside it. Errors wait in their batch until the writer
//! comes to the file, so that the first one in the order of the layer is told.

use std::collections::{HashSet, VecDeque};
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};

use sha2::{Digest, Sha256};

use super::duplicates::{Hash, Suspects};
use crate::plan::{Body, FileBody, Group, Plan};
use crate::source::{ContentReader, Source};
use crate::{Error, ErrorKind};

/// Content of fewer bytes is read with its neighbours.
const SMALL: u64 = 128 << 10;
/// A batch has no more files than this.
const BATCH_FILES: usize = 64;
/// A batch has no more bytes than this, which is the most of what its buffer takes.
const BATCH_BYTES: u64 = 512 << 10;
/// So many batches are worth a thread.
const BATCHES_OF_A_LANE: usize = 4;
/// More threads than this do not open files faster.
const MOST_LANES: usize = 4;

/// The small files of a layer, in the order of their entries.
pub(super) struct SmallFiles<'p> {
    plan: &'p Plan,
    files: Vec<Planned>,
    /// Where each batch ends in `files`.
    ends: Vec<usize>,
    state: Mutex<State>,
    /// Somebody may wait for what has just changed.
    changed: Condvar,
}

/// A file to read.
#[derive(Clone, Copy)]
struct Planned {
    record: u32,
    /// Another file may have the same content, or its hash is wanted for something else.
    is_hashed: bool,
}

#[derive(Default)]
struct State {
    /// The first batch that nobody has taken to read.
    untaken: usize,
    /// The batch that the writer wants next.
    wanted: usize,
    /// What was read, by its distance from `wanted`.
    read: VecDeque<Option<Batch>>,
    /// Buffers to use again.
    free: Vec<Batch>,
    /// How many batches may be taken beyond the one that is wanted.
    most_ahead: usize,
    /// The writer needs nothing more, or a lane panicked.
    is_over: bool,
}

/// Contents of neighbours.
#[derive(Default)]
struct Batch {
    bytes: Vec<u8>,
    files: Vec<SmallFile>,
    /// What kept the file after the last of `files` from being read.
    failure: Option<Error>,
}

#[derive(Clone, Copy)]
struct SmallFile {
    record: u32,
    start: usize,
    end: usize,
    hash: Option<Hash>,
}

/// One content.
#[derive(Clone, Copy)]
pub(super) struct SmallContent<'a> {
    pub(super) bytes: &'a [u8],
    /// The hash of it, if another file may have the same, or all are hashed.
    pub(super) hash: Option<Hash>,
}

/// Returns how many threads read beside the writer; a layer of few files has none.
fn lanes(batches: usize, threads: usize) -> usize {
    (batches / BATCHES_OF_A_LANE)
        .min(threads.saturating_sub(1))
        .min(MOST_LANES)
}

/// Returns whether the content is read with its neighbours.
pub(super) fn is_small(file: &FileBody) -> bool {
    file.size < SMALL && matches!(file.source, Source::Disk(_) | Source::Spool { .. })
}

impl<'p> SmallFiles<'p> {
    /// Cuts the small files of `order` into batches, without files of which a name is written.
    pub(super) fn new(
        plan: &'p Plan,
        order: &[u32],
        suspects: &Suspects,
        is_written: impl Fn(Group) -> bool,
    ) -> Self {
        let (mut files, mut ends) = (Vec::new(), Vec::new());
        let mut groups = HashSet::new();
        let (mut start, mut bytes) = (0, 0);
        for &record in order {
            let Body::File(file) = &plan.records[record as usize].body else {
                continue;
            };
            // Of a file with several names the first one is read.
            let is_first =
                (file.group).is_none_or(|group| !is_written(group) && groups.insert(group));
            if !is_small(file) || !is_first {
                continue;
            }
            if files.len() - start == BATCH_FILES || bytes + file.size > BATCH_BYTES {
                ends.push(files.len());
                (start, bytes) = (files.len(), 0);
            }
            bytes += file.size;
            files.push(Planned {
                record,
                is_hashed: suspects.contains(record),
            });
        }
        if files.len() > start {
            ends.push(files.len());
        }
        Self {
            plan,
            files,
            ends,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Says whether the contents of all files are hashed, and not only of those that may be equal to others.
    pub(super) fn with_hashes(mut self, all: bool) -> Self {
        if all {
            self.files.iter_mut().for_each(|file| file.is_hashed = true);
        }
        self
    }

    /// Starts lanes, if there is enough to do for them, and returns where the contents come out.
    ///
    /// `threads` is how many threads the caller may keep busy, itself among them.
    pub(super) fn start<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
        threads: usize,
    ) -> SmallReader<'scope> {
        let lanes = lanes(self.ends.len(), threads);
        self.lock().most_ahead = 3 * lanes;
        for _ in 0..lanes {
            let lane = thread::Builder::new().name("imglayer-read".to_owned());
            // A machine that is short of threads gets by without: the writer reads what nobody else does.
            if lane.spawn_scoped(scope, || self.run_lane()).is_err() {
                break;
            }
        }
        SmallReader {
            shared: self,
            current: Batch::default(),
            next: 0,
        }
    }

    fn run_lane(&self) {
        let mut state = self.lock();
        loop {
            if state.is_over || state.untaken == self.ends.len() {
                return;
            }
            if !state.may_take(self.ends.len()) {
                state = self.wait(state);
                continue;
            }
            let (number, batch) = state.take();
            drop(state);
            let read = panic::catch_unwind(AssertUnwindSafe(|| self.read(number, batch)));
            state = self.lock();
            match read {
                Ok(batch) => state.put(number, batch),
                Err(_) => state.is_over = true,
            }
            self.changed.notify_all();
        }
    }

    /// Returns the next batch in order.
    fn next_batch(&self, used: Batch) -> Result<Batch, Error> {
        let mut state = self.lock();
        if used.bytes.capacity() > 0 {
            state.free.push(used);
        }
        loop {
            if state.is_over {
                return Err(Error::new(ErrorKind::Bug, "a thread that reads files died"));
            }
            if state.wanted == self.ends.len() {
                let message = "more small files are written than were planned";
                return Err(Error::new(ErrorKind::Bug, message));
            }
            if let Some(batch) = state.read.front_mut().and_then(Option::take) {
                state.read.pop_front();
                state.wanted += 1;
                self.changed.notify_all();
                return Ok(batch);
            }
            // To wait for a lane would leave a core idle: there is always a batch to read, up to the last ones.
            if state.may_take(self.ends.len()) {
                let (number, batch) = state.take();
                drop(state);
                let batch = self.read(number, batch);
                state = self.lock();
                state.put(number, batch);
                continue;
            }
            state = self.wait(state);
        }
    }

    fn read(&self, number: usize, mut batch: Batch) -> Batch {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        batch.files.clear();
        let mut end = 0;
        for file in &self.files[start..self.ends[number]] {
            match self.read_file(*file, end, &mut batch.bytes) {
                Ok(read) => {
                    end = read.end;
                    batch.files.push(read);
                }
                Err(error) => {
                    batch.failure = Some(error);
                    break;
                }
            }
        }
        batch
    }

    fn read_file(
        &self,
        planned: Planned,
        start: usize,
        bytes: &mut Vec<u8>,
    ) -> Result<SmallFile, Error> {
        let Planned { record, is_hashed } = planned;
        let entry = &self.plan.records[record as usize];
        let Body::File(file) = &entry.body else {
            let message = format!("{} is read and no file", entry.path);
            return Err(Error::new(ErrorKind::Bug, message));
        };
        let end = start
            + usize::try_from(file.size)
                .map_err(|_| Error::new(ErrorKind::Bug, "a small file is large"))?;
        // One more, for a read that finds the end where it was planned.
        if bytes.len() <= end {
            bytes.resize(end + 1, 0);
        }
        let space = &mut bytes[start..=end];
        ContentReader::read_whole(&self.plan.sources, &entry.path, &file.source, space)?;
        let hash = is_hashed.then(|| Sha256::digest(&bytes[start..end]).into());
        Ok(SmallFile {
            record,
            start,
            end,
            hash,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'g>(&self, state: MutexGuard<'g, State>) -> MutexGuard<'g, State> {
        self.changed
            .wait(state)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns whether a batch may be taken now: there is one, and it is not too far from the writer.
    fn may_take(&self, batches: usize) -> bool {
        self.untaken < batches && self.untaken - self.wanted <= self.most_ahead
    }

    fn take(&mut self) -> (usize, Batch) {
        let number = self.untaken;
        self.untaken += 1;
        (number, self.free.pop().unwrap_or_default())
    }

    fn put(&mut self, number: usize, batch: Batch) {
        let place = number - self.wanted;
        if self.read.len() <= place {
            self.read.resize_with(place + 1, || None);
        }
        self.read[place] = Some(batch);
    }
}

/// Where the contents of small files come out, in order. Dropping it ends the lanes.
pub(super) struct SmallReader<'s> {
    shared: &'s SmallFiles<'s>,
    current: Batch,
    next: usize,
}

impl SmallReader<'_> {
    /// Returns the next content, which must be that of `record`.
    pub(super) fn next(&mut self, record: u32) -> Result<SmallContent<'_>, Error> {
        while self.next == self.current.files.len() {
            if let Some(error) = self.current.failure.take() {
                return Err(error);
            }
            self.current = self.shared.next_batch(mem::take(&mut self.current))?;
            self.next = 0;
        }
        let file = self.current.files[self.next];
        self.next += 1;
        if file.record != record {
            let message = "a small file was read for another one";
            return Err(Error::new(ErrorKind::Bug, message));
        }
        Ok(SmallContent {
            bytes: &self.current.bytes[file.start..file.end],
            hash: file.hash,
        })
    }
}

impl Drop for SmallReader<'_> {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{self, AssertUnwindSafe};
    use std::thread;
    use std::time::Duration;

    use super::{Planned, SmallFiles, State, Suspects, lanes};
    use crate::plan::{Plan, PlanBuilder, PlanOptions};
    use crate::{Error, ErrorKind};

    /// Batches of one file each, of which no plan has one: reading them panics.
    fn unreadable(plan: &Plan) -> SmallFiles<'_> {
        let mut files = SmallFiles::new(plan, &[], &Suspects::new(plan, [&[], &[]]), |_| false);
        files.ends = (1..=8).collect();
        let (record, is_hashed) = (u32::MAX, false);
        files.files = vec![Planned { record, is_hashed }; 8];
        files
    }

    #[test]
    fn a_lane_that_panics_is_an_error_of_the_writer() -> Result<(), Error> {
        let plan = PlanBuilder::new(PlanOptions::default()).finish()?;
        let files = unreadable(&plan);
        let error = thread::scope(|scope| {
            let mut reader = files.start(scope, 2);
            let state = files.lock();
            let died = |state: &mut State| !state.is_over;
            let (state, waited) = (files.changed)
                .wait_timeout_while(state, Duration::from_secs(60), died)
                .unwrap();
            assert!(!waited.timed_out(), "the lane lives");
            drop(state);
            reader.next(0).err()
        });
        let error = error.unwrap();
        assert_eq!(error.kind(), ErrorKind::Bug);
        assert_eq!(error.to_string(), "a thread that reads files died");
        Ok(())
    }

    #[test]
    fn a_writer_that_panics_over_a_file_ends_the_lanes() -> Result<(), Error> {
        let plan = PlanBuilder::new(PlanOptions::default()).finish()?;
        for threads in [1, 2, 16] {
            let files = unreadable(&plan);
            let ended = panic::catch_unwind(AssertUnwindSafe(|| {
                thread::scope(|scope| files.start(scope, threads).next(0).is_ok())
            }));
            // With a lane, whoever takes the first file decides between a panic and an error.
            assert!(!matches!(ended, Ok(true)), "{threads} threads");
            assert!(threads > 1 || ended.is_err());
        }
        Ok(())
    }

    #[test]
    fn lanes_are_started_where_there_is_work_and_room_for_them() {
        fn check(batches: usize, threads: usize, expected: usize) {
            let lanes = lanes(batches, threads);
            assert_eq!(lanes, expected, "{batches} batches, {threads} threads");
        }
        check(0, 16, 0);
        check(1, 16, 0);
        check(3, 16, 0);
        check(4, 16, 1);
        check(1000, 1, 0);
        check(1000, 2, 1);
        check(1000, 16, 4);
    }
}
