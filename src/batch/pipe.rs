//! Chunks on their way from the reader to the writer, in order. Usually the writer takes them while the reader goes on;
//! when too many wait, the reader writes them first: one block, or one message, can make rows of gigabytes.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::dataset::writer::{Chunk, DatasetWriter};
use crate::error::Result;

pub struct Pipe {
    queue: Mutex<VecDeque<Chunk>>,
    /// The writer, and how it went so far.
    writer: Mutex<(DatasetWriter, Result<()>)>,
}

impl Pipe {
    pub fn new(writer: DatasetWriter) -> Pipe {
        Pipe { queue: Mutex::default(), writer: Mutex::new((writer, Ok(()))) }
    }

    pub fn push(&self, chunks: Vec<Chunk>) {
        lock(&self.queue).extend(chunks);
    }

    /// Writes what waits, after what is being written. Errors are kept for [`Pipe::written`].
    pub fn write(&self) {
        self.drain(lock(&self.writer));
    }

    /// Writes what waits, unless somebody is doing so. A thread that waits for the columns of a chunk may come here in
    /// the middle of it, and must not wait for itself.
    pub fn write_unless_busy(&self) {
        match self.writer.try_lock() {
            Ok(writer) => self.drain(writer),
            Err(TryLockError::Poisoned(poisoned)) => self.drain(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => {}
        }
    }

    fn drain(&self, mut writer: MutexGuard<(DatasetWriter, Result<()>)>) {
        let (writer, result) = &mut *writer;
        loop {
            // Not in the condition of a loop, where the queue would stay locked meanwhile.
            let next = lock(&self.queue).pop_front();
            let Some(chunk) = next else { return };
            if result.is_ok() {
                *result = writer.write(&chunk);
            }
        }
    }

    /// Writes what waits, and hands the writer out for what else is to be done.
    ///
    /// # Errors
    /// What went wrong with any chunk so far.
    pub fn written<T>(&self, and: impl FnOnce(&mut DatasetWriter) -> Result<T>) -> Result<T> {
        self.write();
        let (writer, result) = &mut *lock(&self.writer);
        std::mem::replace(result, Ok(())).and_then(|()| and(writer))
    }

    /// The writer, when nothing waits any more.
    pub fn into_writer(self) -> DatasetWriter {
        self.writer.into_inner().unwrap_or_else(PoisonError::into_inner).0
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
