//! Batches whose rows are written leave their room to those that follow: fresh memory is slow (docs/performance.md).

use std::sync::{Arc, Mutex, PoisonError};

use super::column::ColumnData;
use crate::dataset::part::Rows;

/// Batches that are kept at most: about as many as wait between the reader and the writer.
const KEPT: usize = 8;

/// Rows that can be taken out of their memory.
pub trait Recycle: Rows {
    fn clear(&mut self);
}

/// Full batches of a table that were written, without their rows.
pub struct Spares<B>(Arc<Mutex<Vec<B>>>);

impl<B> Default for Spares<B> {
    fn default() -> Self {
        Spares(Arc::default())
    }
}

impl<B: Recycle + 'static> Spares<B> {
    pub fn take(&self) -> Option<B> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Rows that come back here when they are written, if the batch is `full`: others may have little room.
    pub fn lend(&self, rows: B, full: bool) -> Box<dyn Rows> {
        match full {
            true => Box::new(Lent { rows, home: self.0.clone() }),
            false => Box::new(rows),
        }
    }
}

struct Lent<B> {
    rows: B,
    home: Arc<Mutex<Vec<B>>>,
}

impl<B: Recycle> Rows for Lent<B> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn column(&self, index: usize) -> ColumnData<'_> {
        self.rows.column(index)
    }

    fn written(self: Box<Self>) {
        let Lent { mut rows, home } = *self;
        rows.clear();
        let mut home = home.lock().unwrap_or_else(PoisonError::into_inner);
        if home.len() < KEPT {
            home.push(rows);
        }
    }
}
