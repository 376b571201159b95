//! The next blocks of a file, found and inflated while the records of one are read.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rayon::FnContext;

use super::codec::{Codec, InflateError, Inflater};
use super::container::{Step, Walk};
use super::reader::KEPT_BUFFER;

/// The next steps of a walk.
pub(super) struct Ahead {
    /// In order; nothing comes behind an error or the end.
    found: VecDeque<io::Result<Option<Found>>>,
    /// Bytes of memory of the inflated blocks among them.
    bytes: usize,
    /// For blocks of at most [`KEPT_BUFFER`] bytes.
    inflater: Inflater,
    compressed: Vec<u8>,
    spare: Vec<Vec<u8>>,
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
    /// Steps that are found before anybody asks for them, and bytes of inflated blocks.
    const MOST: usize = 64;
    const MOST_BYTES: usize = 4 << 20;

    /// No block may be larger than `limit` bytes.
    pub fn new(codec: Codec, limit: usize) -> Ahead {
        Ahead {
            found: VecDeque::new(),
            bytes: 0,
            inflater: Inflater::new(codec, limit.min(KEPT_BUFFER)),
            compressed: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// Looks ahead while this thread does something else: at as much as another thread has time for, or at one step.
    pub fn while_reading<T: Send>(&mut self, walk: &mut Walk, file: &File, read: impl FnOnce() -> T + Send) -> T {
        let waiting = AtomicBool::new(false);
        let read = |_| {
            let result = read();
            waiting.store(true, Relaxed);
            result
        };
        let look = |thread: FnContext| {
            while !self.is_full() && (self.found.is_empty() || thread.migrated() && !waiting.load(Relaxed)) {
                self.look(walk, file);
            }
        };
        rayon::join_context(read, look).0
    }

    fn is_full(&self) -> bool {
        self.found.len() >= Ahead::MOST
            || self.bytes >= Ahead::MOST_BYTES
            || !self.found.back().is_none_or(|found| matches!(found, Ok(Some(_))))
    }

    fn look(&mut self, walk: &mut Walk, file: &File) {
        let found = self.find(walk, file);
        self.found.push_back(found);
    }

    fn find(&mut self, walk: &mut Walk, file: &File) -> io::Result<Option<Found>> {
        let Some(step) = walk.step()? else { return Ok(None) };
        let mut inflated = None;
        if let Step::Block(frame) = step
            && frame.data_len <= KEPT_BUFFER as u64
        {
            self.compressed.resize(frame.data_len as usize, 0);
            file.read_exact_at(&mut self.compressed, frame.data_offset)?;
            let mut buffer = self.spare.pop().unwrap_or_default();
            inflated = match self.inflater.inflate(&self.compressed, &mut buffer) {
                // One that is larger is left to those who know the limit.
                Err(InflateError::TooLarge(_)) => None,
                inflated => Some(inflated.map(|()| buffer)),
            };
        }
        self.bytes += Ahead::bytes(&inflated);
        Ok(Some(Found { step, pos: walk.pos(), inflated }))
    }

    /// The next step, if it was found already.
    pub fn take(&mut self) -> Option<io::Result<Option<Found>>> {
        let found = self.found.pop_front()?;
        if let Ok(Some(Found { inflated, .. })) = &found {
            self.bytes -= Ahead::bytes(inflated);
        }
        Some(found)
    }

    /// Takes a buffer that was read for another block, unless there are enough.
    pub fn keep(&mut self, buffer: Vec<u8>) {
        let bytes: usize = self.spare.iter().map(Vec::capacity).sum();
        if bytes + buffer.capacity() <= KEPT_BUFFER {
            self.spare.push(buffer);
        }
    }

    fn bytes(inflated: &Option<Result<Vec<u8>, InflateError>>) -> usize {
        inflated.as_ref().and_then(|inflated| inflated.as_ref().ok()).map_or(0, Vec::capacity)
    }
}
