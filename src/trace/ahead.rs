//! The next blocks of a file, found and inflated by a thread that has time, while the records of one are read.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::codec::{Codec, InflateError, Inflater};
use super::container::{Marker, Step, Walk};
use super::reader::KEPT_BUFFER;

/// The next steps of a walk.
pub(super) struct Ahead {
    state: Mutex<State>,
    /// Told of each step that another thread has found.
    one_more: Condvar,
}

struct State {
    /// Is away while a thread looks for the next step.
    looker: Option<Looker>,
    /// What was found, in order; nothing comes behind an error or the end.
    found: VecDeque<io::Result<Option<Found>>>,
    /// Bytes of memory of the inflated blocks among them, and at which they are enough.
    bytes: usize,
    most_bytes: usize,
    spare: Vec<Vec<u8>>,
    /// Whether a thread looks, or will when one has time.
    called: bool,
    /// Whether the last step found is a block of which it depends on its data where the walk goes on.
    undecided: bool,
}

struct Looker {
    walk: Walk,
    file: Arc<File>,
    /// For blocks of at most [`KEPT_BUFFER`] bytes.
    inflater: Inflater,
    compressed: Vec<u8>,
}

/// A step, and its block.
pub(super) struct Found {
    pub step: Step,
    /// Where the walk goes on.
    pub pos: u64,
    /// The inflated block, or why it is none, if that was tried.
    pub inflated: Option<Result<Vec<u8>, InflateError>>,
}

impl Ahead {
    /// Steps that are found before anybody asks for them.
    const MOST: usize = 256;
    /// Bytes of them (docs/performance.md), if the limit to blocks allows for it.
    const MOST_BYTES: usize = 16 << 20;

    /// No block may be larger than `limit` bytes.
    pub fn new(walk: Walk, file: Arc<File>, codec: Codec, limit: usize) -> Ahead {
        let inflater = Inflater::new(codec, limit.min(KEPT_BUFFER));
        let looker = Some(Looker { walk, file, inflater, compressed: Vec::new() });
        let state = State {
            looker,
            found: VecDeque::new(),
            bytes: 0,
            most_bytes: Ahead::MOST_BYTES.min(limit / 8),
            spare: Vec::new(),
            called: false,
            undecided: false,
        };
        Ahead { state: Mutex::new(state), one_more: Condvar::new() }
    }

    /// The next step. Its block is inflated if another thread had the time.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&self) -> io::Result<Option<Found>> {
        let mut state = self.lock();
        loop {
            if let Some(found) = state.found.pop_front() {
                state.bytes -= bytes(&found);
                return found;
            }
            if let Some(looker) = &mut state.looker {
                let found = looker.step();
                state.undecided = is_undecided(&found);
                return found;
            }
            // The step that another thread is at is the next one.
            state = self.one_more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Goes on behind the last block, whose data is whole, or at `next`.
    pub fn decide(&self, next: Option<u64>) {
        let mut state = self.lock();
        state.undecided = false;
        // Nobody looks further before.
        if let (Some(looker), Some(next)) = (&mut state.looker, next) {
            looker.walk.go_to(next);
        }
    }

    /// Has a thread of the current pool look on until enough is found, as soon as one has time.
    pub fn call(self: &Arc<Ahead>) {
        let mut state = self.lock();
        if !state.called && !state.has_enough() {
            state.called = true;
            drop(state);
            self.spawn();
        }
    }

    /// Whether all is found that is in the file.
    pub fn is_at_end(&self) -> bool {
        self.lock().is_at_end()
    }

    /// Takes a buffer that was read for another block, unless there are enough.
    pub fn keep(&self, buffer: Vec<u8>) {
        let spare = &mut self.lock().spare;
        let bytes: usize = spare.iter().map(Vec::capacity).sum();
        if bytes + buffer.capacity() <= KEPT_BUFFER {
            spare.push(buffer);
        }
    }

    /// One step is a job, so that what is more urgent comes between two.
    fn spawn(self: &Arc<Ahead>) {
        let ahead = self.clone();
        rayon::spawn(move || ahead.look());
    }

    fn look(self: &Arc<Ahead>) {
        let mut state = self.lock();
        // The reader may have come to the end meanwhile.
        let Some(mut looker) = (if state.has_enough() { None } else { state.looker.take() }) else {
            state.called = false;
            return;
        };
        let buffer = state.spare.pop().unwrap_or_default();
        drop(state);
        let found = looker.find(buffer);
        let mut state = self.lock();
        state.looker = Some(looker);
        state.bytes += bytes(&found);
        state.undecided = is_undecided(&found);
        state.found.push_back(found);
        self.one_more.notify_one();
        state.called = !state.has_enough();
        if state.called {
            drop(state);
            self.spawn();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn has_enough(&self) -> bool {
        self.found.len() >= Ahead::MOST || self.bytes >= self.most_bytes || self.is_at_end() || self.undecided
    }

    fn is_at_end(&self) -> bool {
        self.found.back().is_some_and(|found| !matches!(found, Ok(Some(_))))
    }
}

impl Looker {
    fn step(&mut self) -> io::Result<Option<Found>> {
        let step = self.walk.step()?;
        Ok(step.map(|step| Found { step, pos: self.walk.pos(), inflated: None }))
    }

    fn find(&mut self, mut buffer: Vec<u8>) -> io::Result<Option<Found>> {
        let Some(mut found) = self.step()? else { return Ok(None) };
        if let Step::Block(frame) = found.step
            && frame.data_len <= KEPT_BUFFER as u64
        {
            self.compressed.resize(frame.data_len as usize, 0);
            self.file.read_exact_at(&mut self.compressed, frame.data_offset)?;
            found.inflated = match self.inflater.inflate(&self.compressed, &mut buffer) {
                // One that is larger is left to those who know the limit.
                Err(InflateError::TooLarge(_)) => None,
                inflated => Some(inflated.map(|()| buffer)),
            };
        }
        Ok(Some(found))
    }
}

fn is_undecided(found: &io::Result<Option<Found>>) -> bool {
    let Ok(Some(Found { step: Step::Block(frame), .. })) = found else { return false };
    matches!(frame.marker, Marker::Missing { .. })
}

fn bytes(found: &io::Result<Option<Found>>) -> usize {
    match found {
        Ok(Some(Found { inflated: Some(Ok(block)), .. })) => block.capacity(),
        _ => 0,
    }
}
