//! Rejects that wait for a date until the run has one.

use std::path::Path;

use super::spill::Spill;
use crate::error::Result;
use crate::tables::rejects;

/// Rejects of inputs that have no trace, and so no date. They wait for the end of the run: on disk, if they are many.
pub struct Dateless {
    rows: Vec<(u32, rejects::Row)>,
    spill: Spill,
    /// Where [`DATELESS`] rows each are.
    places: Vec<u64>,
}

/// Rejects without a date that wait in memory.
const DATELESS: usize = 4_096;

impl Dateless {
    /// None yet. Those that memory has no room for go to a file in this folder.
    pub fn within(folder: &Path) -> Dateless {
        Dateless { rows: Vec::new(), spill: Spill::within(folder), places: Vec::new() }
    }

    /// Takes a reject of the input with this ordinal.
    pub fn push(&mut self, input: u32, row: rejects::Row) {
        if self.rows.len() == DATELESS {
            self.places.push(self.spill.append(&self.rows));
            self.rows.clear();
        }
        self.rows.push((input, row));
    }

    /// Hands out all rows in order.
    ///
    /// # Errors
    /// The file cannot be written or read.
    pub fn drain(&mut self, mut each: impl FnMut(u32, rejects::Row)) -> Result<()> {
        for place in std::mem::take(&mut self.places) {
            let rows: Vec<(u32, rejects::Row)> = self.spill.read(place);
            rows.into_iter().for_each(|(input, row)| each(input, row));
        }
        std::mem::take(&mut self.rows).into_iter().for_each(|(input, row)| each(input, row));
        self.check()
    }

    /// # Errors
    /// The file could not be written or read.
    pub fn check(&mut self) -> Result<()> {
        self.spill.failure.take().map_or(Ok(()), Err)
    }
}
