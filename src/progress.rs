//! How far a run is: counters that the library moves and a front end looks at.

use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Phase {
    /// Reading what is there: inputs, part files or traces.
    Checking,
    Converting,
    Publishing,
    /// Writing a trace.
    Writing,
}

/// Counters of one run.
#[derive(Debug, Default)]
pub struct Meter {
    phase: AtomicUsize,
    pub total_files: AtomicU64,
    pub files: AtomicU64,
    pub total_bytes: AtomicU64,
    pub bytes: AtomicU64,
    pub records: AtomicU64,
    began: Mutex<Option<Instant>>,
    stopper: Stopper,
}

/// Tells what has no meter whether its run was asked to stop.
#[derive(Debug, Clone, Default)]
pub struct Stopper {
    /// Number of the signal that asks for it, or 0.
    signal: Arc<AtomicI32>,
}

impl Stopper {
    /// # Errors
    /// The run was asked to stop.
    pub fn check(&self) -> Result<()> {
        match self.signal.load(Relaxed) {
            0 => Ok(()),
            signal => Err(Error::Interrupted(signal)),
        }
    }

    /// See [`Meter::check_io`].
    pub fn check_io(&self) -> io::Result<()> {
        self.check().map_err(io::Error::other)
    }
}

impl Meter {
    pub fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Checking,
            1 => Phase::Converting,
            2 => Phase::Publishing,
            _ => Phase::Writing,
        }
    }

    /// Begins a phase with this much to do.
    pub fn begin(&self, phase: Phase, files: u64, bytes: u64) {
        for counter in [&self.files, &self.bytes, &self.records] {
            counter.store(0, Relaxed);
        }
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.total_files.store(files, Relaxed);
        self.total_bytes.store(bytes, Relaxed);
        self.phase.store(phase as usize, Relaxed);
    }

    /// Time since the phase began.
    pub fn elapsed(&self) -> Duration {
        self.began.lock().unwrap_or_else(PoisonError::into_inner).map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// Asks the run to stop, as a signal does.
    pub fn stop(&self, signal: i32) {
        self.stopper.signal.store(signal, Relaxed);
    }

    /// # Errors
    /// The run was asked to stop.
    pub fn check(&self) -> Result<()> {
        self.stopper.check()
    }

    /// The same, in the middle of I/O. [`Error::of_io`] takes it out again.
    ///
    /// # Errors
    /// The run was asked to stop.
    pub fn check_io(&self) -> io::Result<()> {
        self.stopper.check_io()
    }

    /// For work that is handed on.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }
}
