//! Batches whose rows are written leave their room to those that follow: fresh memory is slow (docs/performance.md).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::chunk::Rows;
use super::column::ColumnData;

/// Rows that can be taken out of their memory.
pub trait Recycle: Rows {
    fn clear(&mut self);
}

/// Bytes of memory that the spare batches of all tables may still take.
#[derive(Clone)]
pub struct Room(Arc<AtomicUsize>);

impl Room {
    pub fn new(bytes: usize) -> Room {
        Room(Arc::new(AtomicUsize::new(bytes)))
    }

    /// Whether there were as many.
    fn take(&self, bytes: usize) -> bool {
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(bytes)).is_ok()
    }

    fn give(&self, bytes: usize) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

struct Spare<B> {
    rows: B,
    /// Of memory, roughly.
    bytes: usize,
}

/// Batches of a table that were written, without their rows.
pub struct Spares<B> {
    room: Room,
    home: Arc<Mutex<Vec<Spare<B>>>>,
}

impl<B: Recycle + 'static> Spares<B> {
    /// None yet. They share `room` with those of other tables.
    pub fn new(room: &Room) -> Self {
        Spares { room: room.clone(), home: Arc::default() }
    }

    pub fn take(&self) -> Option<B> {
        let Spare { rows, bytes } = self.home.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        self.room.give(bytes);
        Some(rows)
    }

    /// Rows of about `bytes` bytes that come back here when they are written, if there is room for them.
    pub fn lend(&self, rows: B, bytes: usize) -> Box<dyn Rows> {
        Box::new(Lent { spare: Spare { rows, bytes }, room: self.room.clone(), home: self.home.clone() })
    }
}

struct Lent<B> {
    spare: Spare<B>,
    room: Room,
    home: Arc<Mutex<Vec<Spare<B>>>>,
}

impl<B: Recycle> Rows for Lent<B> {
    fn len(&self) -> usize {
        self.spare.rows.len()
    }

    fn column(&self, index: usize) -> ColumnData<'_> {
        self.spare.rows.column(index)
    }

    fn written(self: Box<Self>) {
        let Lent { mut spare, room, home } = *self;
        if room.take(spare.bytes) {
            spare.rows.clear();
            home.lock().unwrap_or_else(PoisonError::into_inner).push(spare);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers(Vec<u64>);

    impl Rows for Numbers {
        fn len(&self) -> usize {
            self.0.len()
        }

        fn column(&self, _: usize) -> ColumnData<'_> {
            unreachable!("nobody writes them")
        }
    }

    impl Recycle for Numbers {
        fn clear(&mut self) {
            self.0.clear();
        }
    }

    #[test]
    fn what_is_written_comes_back_empty_with_its_memory() {
        let spares = Spares::new(&Room::new(100));
        assert!(spares.take().is_none());
        spares.lend(Numbers(vec![7; 10]), 80).written();
        let Numbers(spare) = spares.take().unwrap();
        assert!(spare.is_empty() && spare.capacity() >= 10);
        assert!(spares.take().is_none());
    }

    #[test]
    fn all_tables_share_the_room() {
        let room = Room::new(100);
        let (one, other) = (Spares::new(&room), Spares::new(&room));
        one.lend(Numbers(Vec::new()), 60).written();
        other.lend(Numbers(Vec::new()), 60).written();
        assert!(other.take().is_none(), "there was no room for it");
        assert!(one.take().is_some());
        other.lend(Numbers(Vec::new()), 60).written();
        assert!(other.take().is_some());
    }
}
