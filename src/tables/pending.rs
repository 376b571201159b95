//! Rows that wait to be written, by table and date, until they are many enough to encode.

use std::collections::{BTreeMap, BTreeSet};

use super::chunk::{Chunk, Rows};
use super::column::{Column, ColumnData};
use super::records;
use super::schema::{TableId, with_tables};
use super::spare::{Recycle, Room, Spares};
use super::{
    containers, experiment_events, files, k8s_events, k8s_items, k8s_service_ports, pod_service_ports, pods, processes,
    rejects, traces,
};
use crate::time::Date;

/// Rows of a batch, which are those of a page: parquet's customary limit (docs/performance.md).
const BATCH_ROWS: usize = 20_000;
/// Rows of other dates after which a date has passed, if one more begins: its rows need not wait for the end.
const PASSED: usize = 2 * BATCH_ROWS;

/// Rows of a table, each an `R`.
struct RowsOf<R: 'static> {
    columns: &'static [Column<R>],
    rows: Vec<R>,
}

impl<R: Send + Sync> Rows for RowsOf<R> {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn column(&self, index: usize) -> ColumnData<'_> {
        self.columns[index].get.build(self.rows.iter()).into()
    }
}

impl<R: Send + Sync> Recycle for RowsOf<R> {
    fn clear(&mut self) {
        self.rows.clear();
    }
}

/// The rows of one date.
struct Waiting<B> {
    rows: B,
    /// Bytes of memory, roughly.
    bytes: usize,
    inputs: BTreeSet<u32>,
    /// That of the last row.
    input: Option<u32>,
    /// Rows that the table had when the last of these came.
    touched: usize,
}

/// Batches of a table's rows, by date.
struct Dates<B> {
    table: TableId,
    /// The date of the last row, which mostly is the next one's, too.
    current: Option<(Date, Waiting<B>)>,
    others: BTreeMap<Date, Waiting<B>>,
    /// Of all rows so far, whether they wait or not.
    earliest: Option<Date>,
    /// Bytes of memory that the rows of all dates take, roughly.
    bytes: usize,
    /// Rows so far, whether they wait or not.
    rows: usize,
    /// Whether a date has begun with the last row.
    began: bool,
    spares: Spares<B>,
}

/// Bytes of memory that a row takes, roughly, besides its strings and lists.
const ROW: usize = 256;
/// How many times their bytes the strings of a record take about, most of which are short.
pub const TEXT: usize = 2;
/// Bytes of memory that a date takes before it has any rows, roughly: a batch of `records` has vectors by the dozen.
const DATE: usize = 4096;

/// Takes chunks when too many wait.
pub type Overflow = Box<dyn FnMut(Vec<Chunk>) + Send>;

/// Chunks that are large enough to write, and the size at which they are.
pub struct Ready {
    pub chunks: Vec<Chunk>,
    /// Bytes of memory that the chunks take, roughly.
    bytes: usize,
    /// Bytes of memory at which a batch is full, however few its rows.
    batch_bytes: usize,
    overflow: Option<Overflow>,
}

impl Ready {
    fn push(&mut self, chunk: Chunk) {
        self.bytes += chunk.bytes;
        self.chunks.push(chunk);
        if self.bytes > 2 * self.batch_bytes
            && let Some(mut overflow) = self.overflow.take()
        {
            overflow(self.take());
            self.overflow = Some(overflow);
        }
    }

    /// All chunks that are ready.
    pub fn take(&mut self) -> Vec<Chunk> {
        self.bytes = 0;
        std::mem::take(&mut self.chunks)
    }
}

impl<B: Recycle + 'static> Dates<B> {
    fn new(table: TableId, room: &Room) -> Self {
        let (others, spares) = (BTreeMap::new(), Spares::new(room));
        Dates { table, current: None, others, earliest: None, bytes: 0, rows: 0, began: false, spares }
    }

    /// Where the next row goes.
    fn rows_of(&mut self, date: Date, input: u32, new: impl FnOnce() -> B) -> &mut B {
        if self.current.as_ref().is_none_or(|(current, _)| *current != date) {
            self.put_back();
            self.earliest = self.earliest.into_iter().chain([date]).min();
            let waiting = self.others.remove(&date);
            self.began = waiting.is_none();
            let rows = || self.spares.take().unwrap_or_else(new);
            let begin = || Waiting { rows: rows(), bytes: 0, inputs: BTreeSet::new(), input: None, touched: 0 };
            self.current = Some((date, waiting.unwrap_or_else(begin)));
        }
        let Some((_, waiting)) = &mut self.current else { unreachable!("it was just set") };
        if waiting.input != Some(input) {
            waiting.input = Some(input);
            waiting.inputs.insert(input);
        }
        &mut waiting.rows
    }

    fn put_back(&mut self) {
        if let Some((date, waiting)) = self.current.take() {
            self.others.insert(date, Waiting { touched: self.rows, ..waiting });
        }
    }

    /// Takes note that a row was added where the last one goes, with about `bytes` bytes of strings and lists.
    fn added(&mut self, bytes: usize, ready: &mut Ready) {
        let Some((_, waiting)) = &mut self.current else { return };
        let bytes = bytes + ROW + if self.began { DATE } else { 0 };
        waiting.bytes += bytes;
        self.bytes += bytes;
        self.rows += 1;
        if waiting.rows.len() >= BATCH_ROWS || waiting.bytes >= ready.batch_bytes {
            let full = self.current.take();
            full.into_iter().for_each(|full| self.end(full, ready));
        } else if self.bytes >= self.room(ready) {
            self.flush(ready);
        }
        if std::mem::take(&mut self.began) {
            let passed = self.others.iter().filter(|(_, waiting)| waiting.touched + PASSED < self.rows);
            let passed: Vec<Date> = passed.map(|(date, _)| *date).collect();
            for date in passed {
                self.others.remove(&date).into_iter().for_each(|waiting| self.end((date, waiting), ready));
            }
        }
    }

    /// Bytes that the rows of all dates may take. `records` has the most: where they jump between days, the batch of each
    /// must not be small.
    fn room(&self, ready: &Ready) -> usize {
        if self.table == TableId::Records { 2 * ready.batch_bytes } else { ready.batch_bytes }
    }

    fn end(&mut self, (date, waiting): (Date, Waiting<B>), ready: &mut Ready) {
        let Waiting { rows, bytes, inputs, .. } = waiting;
        self.bytes -= bytes;
        // Others may have little room.
        let is_full = rows.len() >= BATCH_ROWS;
        let rows = if is_full { self.spares.lend(rows, bytes) } else { Box::new(rows) };
        ready.push(Chunk { table: self.table, date, inputs, rows, bytes });
    }
}

/// The waiting rows of a table, whatever these are.
trait Table {
    /// Of all rows so far, whether they wait or not.
    fn earliest(&self) -> Option<Date>;
    /// Makes all of them ready.
    fn flush(&mut self, ready: &mut Ready);
}

impl<B: Recycle + 'static> Table for Dates<B> {
    fn earliest(&self) -> Option<Date> {
        self.earliest
    }

    fn flush(&mut self, ready: &mut Ready) {
        self.put_back();
        for of_date in std::mem::take(&mut self.others) {
            self.end(of_date, ready);
        }
    }
}

/// A table's rows, by date.
pub struct ByDate<R: 'static> {
    columns: &'static [Column<R>],
    dates: Dates<RowsOf<R>>,
}

impl<R: Send + Sync + 'static> ByDate<R> {
    fn new(table: TableId, columns: &'static [Column<R>], room: &Room) -> Self {
        ByDate { columns, dates: Dates::new(table, room) }
    }

    fn push(&mut self, date: Date, input: u32, row: R, bytes: usize, ready: &mut Ready) {
        let columns = self.columns;
        self.dates.rows_of(date, input, || RowsOf { columns, rows: Vec::new() }).rows.push(row);
        self.dates.added(bytes, ready);
    }
}

/// The rows of `records`, by date.
pub struct RecordsByDate {
    dates: Dates<records::Batch>,
    /// The date and shape of the last batch that was full: its next one will probably be alike.
    full: Option<(Date, records::Shape)>,
}

impl RecordsByDate {
    /// The batch that takes the next row of this date.
    pub fn batch(&mut self, date: Date, input: u32) -> &mut records::Batch {
        let RecordsByDate { dates, full } = self;
        let first = dates.rows == 0;
        dates.rows_of(date, input, || {
            records::Batch::new(&match full {
                Some((full, shape)) if *full == date => *shape,
                _ if first => records::Shape::of_any(BATCH_ROWS),
                _ => records::Shape::default(),
            })
        })
    }

    /// Takes note that a row was added to the last batch, with about `bytes` bytes of strings, lists and new entities.
    pub fn added(&mut self, bytes: usize, ready: &mut Ready) {
        let Some((date, waiting)) = &self.dates.current else { return };
        if waiting.rows.len() == BATCH_ROWS {
            self.full = Some((*date, waiting.rows.shape()));
        }
        self.dates.added(bytes, ready);
    }
}

/// A row of a table. That of `records` is none: it is pushed piece by piece.
pub trait TableRow: Send + Sync + Sized + 'static {
    const TABLE: TableId;

    /// The rows of its table, and what takes them.
    fn rows(pending: &mut Pending) -> (&mut ByDate<Self>, &mut Ready);
}

/// Declares what waits of `records` and all other tables.
macro_rules! pending {
    (Records = records, $($table:ident = $module:ident,)*) => {
        /// The waiting rows of all tables.
        pub struct Pending {
            pub records: RecordsByDate,
            $($module: ByDate<$module::Row>,)*
            pub ready: Ready,
        }

        impl Pending {
            /// Rows wait until they are a batch or take `batch_bytes` bytes of memory; chunks wait until they are taken, or
            /// too many.
            pub fn new(batch_bytes: usize, overflow: Option<Overflow>) -> Pending {
                let room = &Room::new(2 * batch_bytes);
                Pending {
                    records: RecordsByDate { dates: Dates::new(TableId::Records, room), full: None },
                    $($module: ByDate::new(TableId::$table, $module::COLUMNS, room),)*
                    ready: Ready { chunks: Vec::new(), bytes: 0, batch_bytes, overflow },
                }
            }

            /// All tables, and what takes their rows.
            fn tables(&mut self) -> ([&mut dyn Table; TableId::COUNT], &mut Ready) {
                ([&mut self.records.dates, $(&mut self.$module.dates,)*], &mut self.ready)
            }
        }

        $(
            impl TableRow for $module::Row {
                const TABLE: TableId = TableId::$table;

                fn rows(pending: &mut Pending) -> (&mut ByDate<Self>, &mut Ready) {
                    (&mut pending.$module, &mut pending.ready)
                }
            }
        )*
    };
}

with_tables!(pending);

impl Pending {
    /// Takes a row of any table but `records`, with about `bytes` bytes of memory behind it.
    pub fn push<R: TableRow>(&mut self, date: Date, input: u32, row: R, bytes: usize) {
        let (rows, ready) = R::rows(self);
        rows.push(date, input, row, bytes, ready);
    }

    /// Bytes of memory at which a batch is full.
    pub fn batch_bytes(&self) -> usize {
        self.ready.batch_bytes
    }

    /// The earliest date of any row so far, but for rejects, which may have none of their own.
    pub fn earliest_date(&mut self) -> Option<Date> {
        let (tables, _) = self.tables();
        let tables = TableId::ALL.into_iter().zip(tables).filter(|(table, _)| *table != TableId::Rejects);
        tables.filter_map(|(_, rows)| rows.earliest()).min()
    }

    /// Makes everything ready. Nobody is asked to take chunks any more: all are written in parallel.
    pub fn end(&mut self) {
        self.ready.overflow = None;
        self.flush();
    }

    /// Makes everything ready, full or not.
    pub fn flush(&mut self) {
        let (tables, ready) = self.tables();
        tables.into_iter().for_each(|rows| rows.flush(ready));
    }
}
