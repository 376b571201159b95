//! Chunks on their way from the reader to the writer, in order.
//!
//! The writer takes them while the reader goes on, and encodes their columns in parallel. When too many wait, the reader
//! writes itself, or helps with columns where the writer is at it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use crate::dataset::writer::DatasetWriter;
use crate::error::Result;
use crate::fault;
use crate::tables::chunk::Chunk;

/// What goes through the pipe.
pub enum Item {
    Rows(Chunk),
    /// Files end here: what follows lies in files of its own.
    Cut,
}

/// Batches on their way from the reader to the writer, of which a few may wait.
pub struct Pipe {
    queue: Mutex<Queue>,
    writer: Mutex<DatasetWriter>,
    reader: ThreadId,
    /// Bytes that may wait.
    limit: usize,
}

struct Queue {
    items: VecDeque<Item>,
    bytes: usize,
    ended: bool,
    /// How writing went so far.
    result: Result<()>,
}

impl Pipe {
    /// A pipe in which about `limit` bytes may wait, and of which this thread is the reader.
    pub fn new(writer: DatasetWriter, limit: usize) -> Pipe {
        let queue = Mutex::new(Queue { items: VecDeque::new(), bytes: 0, ended: false, result: Ok(()) });
        Pipe { queue, writer: Mutex::new(writer), reader: thread::current().id(), limit }
    }

    /// Appends, and comes back when there is room for more. `false` when writing has failed.
    pub fn push(&self, items: impl IntoIterator<Item = Item>) -> bool {
        let mut queue = lock(&self.queue);
        for item in items {
            queue.bytes += item.bytes();
            queue.items.push_back(item);
        }
        drop(queue);
        loop {
            let queue = lock(&self.queue);
            if queue.bytes <= self.limit || queue.result.is_err() {
                return queue.result.is_ok();
            }
            drop(queue);
            self.write_or_help();
        }
    }

    /// Says that nothing will be pushed any more.
    pub fn end(&self) {
        lock(&self.queue).ended = true;
    }

    /// Writes what comes, to the end. Only the reader's own thread does not wait for itself: what it has left is written
    /// by [`Pipe::finish`].
    pub fn write_to_the_end(&self) {
        while thread::current().id() != self.reader {
            self.write_or_help();
            let queue = lock(&self.queue);
            if queue.items.is_empty() {
                if queue.ended {
                    return;
                }
                drop(queue);
                help();
            }
        }
    }

    /// Writes what is left, and hands the writer out.
    ///
    /// # Errors
    /// What went wrong with any item.
    pub fn finish(self) -> Result<DatasetWriter> {
        self.drain(&mut lock(&self.writer));
        let Pipe { queue, writer, .. } = self;
        queue.into_inner().unwrap_or_else(PoisonError::into_inner).result?;
        Ok(writer.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    fn write_or_help(&self) {
        match self.writer.try_lock() {
            Ok(mut writer) => self.drain(&mut writer),
            Err(TryLockError::Poisoned(poisoned)) => self.drain(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => help(),
        }
    }

    fn drain(&self, writer: &mut DatasetWriter) {
        loop {
            let mut queue = lock(&self.queue);
            let Some(item) = queue.items.pop_front() else { return };
            queue.bytes -= item.bytes();
            let failed = queue.result.is_err();
            drop(queue);
            if failed {
                continue;
            }
            let result = match item {
                Item::Rows(chunk) => writer.write(&chunk).map(|()| chunk.rows.written()),
                Item::Cut => writer.cut(),
            };
            fault::point("rows written");
            if result.is_err() {
                lock(&self.queue).result = result;
            }
        }
    }
}

impl Item {
    /// The rows, if it is some.
    pub fn rows(self) -> Option<Chunk> {
        match self {
            Item::Rows(chunk) => Some(chunk),
            Item::Cut => None,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Item::Rows(chunk) => chunk.bytes,
            Item::Cut => 0,
        }
    }
}

/// Does something of what others have to do, or nothing for a moment.
fn help() {
    if rayon::yield_now() != Some(rayon::Yield::Executed) {
        thread::sleep(Duration::from_micros(50));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
