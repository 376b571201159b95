//! Rows as they go from the tables to the dataset.

use std::collections::BTreeSet;

use super::column::ColumnData;
use super::schema::TableId;
use crate::time::Date;

/// Rows of a table that are not yet arrays: each column is built where it is encoded.
pub trait Rows: Send + Sync {
    fn len(&self) -> usize;
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    fn column(&self, index: usize) -> ColumnData<'_>;
    /// Ends the batch, of which all columns are encoded.
    fn written(self: Box<Self>) {}
}

/// Rows of one table and date, on their way to a part file.
pub struct Chunk {
    pub table: TableId,
    pub date: Date,
    /// Ordinals of the inputs that they come from.
    pub inputs: BTreeSet<u32>,
    pub rows: Box<dyn Rows>,
    /// Bytes of memory that they take, roughly.
    pub bytes: usize,
}
