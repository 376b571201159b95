//! Rows that wait to be written, by table and date, until they are many enough to encode.

use std::collections::{BTreeMap, BTreeSet};

use super::column::{Column, ColumnData};
use super::records;
use super::schema::TableId;
use super::{
    containers, experiment_events, files, k8s_events, k8s_items, k8s_service_ports, pod_service_ports, pods, processes,
    rejects, traces,
};
use crate::dataset::part::Rows;
use crate::dataset::writer::Chunk;
use crate::flatten::time::Date;

/// Rows of a batch, which are those of a page: parquet's customary limit (docs/performance.md).
const BATCH_ROWS: usize = 20_000;
/// Rows of one table that may wait at a time, of all dates together, if there is memory.
const MAX_WAITING: usize = 8 * BATCH_ROWS;

/// A table's rows, by date.
pub struct ByDate<R: 'static> {
    table: TableId,
    columns: &'static [Column<R>],
    waiting: BTreeMap<Date, Waiting<Vec<R>>>,
    all: Waited,
}

/// Sums over the dates of a table.
#[derive(Debug, Default)]
struct Waited {
    rows: usize,
    bytes: usize,
}

impl Waited {
    fn add(&mut self, bytes: usize) {
        self.rows += 1;
        self.bytes += bytes;
    }

    fn remove(&mut self, rows: usize, bytes: usize) {
        self.rows -= rows;
        self.bytes -= bytes;
    }

    fn is_full(&self, ready: &Ready) -> bool {
        self.rows >= ready.most_waiting() || self.bytes >= 2 * ready.batch_bytes
    }
}

struct Waiting<B> {
    rows: B,
    bytes: usize,
    /// Those of the bytes that entities take.
    entities: usize,
    inputs: BTreeSet<u32>,
}

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

impl Rows for records::Batch {
    fn len(&self) -> usize {
        records::Batch::len(self)
    }

    fn column(&self, index: usize) -> ColumnData<'_> {
        records::Batch::column(self, index)
    }
}

/// Bytes of memory that a row takes, roughly, besides its strings and lists.
const ROW: usize = 256;

/// Takes chunks when too many wait.
pub type Overflow = Box<dyn FnMut(Vec<Chunk>) + Send>;

/// Chunks that are large enough to write, and the size at which they are.
pub struct Ready {
    pub chunks: Vec<Chunk>,
    /// Bytes of memory that the chunks take, roughly.
    bytes: usize,
    /// Bytes of source records at which a batch is full, however few its rows.
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

    /// Rows of one table that may wait at a time. Batches of many dates are smaller than others, but a trace whose rows
    /// jump between hundreds of days must not come to a batch each.
    fn most_waiting(&self) -> usize {
        (4 * self.batch_bytes / ROW).clamp(BATCH_ROWS, MAX_WAITING)
    }
}

impl<R: Send + Sync + 'static> ByDate<R> {
    fn new(table: TableId, columns: &'static [Column<R>]) -> Self {
        ByDate { table, columns, waiting: BTreeMap::new(), all: Waited::default() }
    }

    /// Takes a row of about `bytes` bytes.
    pub fn push(&mut self, date: Date, input: u32, row: R, bytes: usize, ready: &mut Ready) {
        let waiting = self.waiting.entry(date).or_insert_with(|| Waiting {
            rows: Vec::new(),
            bytes: 0,
            entities: 0,
            inputs: BTreeSet::new(),
        });
        waiting.rows.push(row);
        waiting.bytes += bytes;
        waiting.inputs.insert(input);
        self.all.add(bytes);
        if waiting.rows.len() >= BATCH_ROWS || waiting.bytes >= ready.batch_bytes {
            self.flush_date(date, ready);
        } else if self.all.is_full(ready) {
            self.flush(ready);
        }
    }

    fn flush_date(&mut self, date: Date, ready: &mut Ready) {
        if let Some(Waiting { rows, inputs, bytes, .. }) = self.waiting.remove(&date) {
            self.all.remove(rows.len(), bytes);
            let bytes = ROW * rows.len() + bytes;
            let rows = Box::new(RowsOf { columns: self.columns, rows });
            ready.push(Chunk { table: self.table, date, inputs, rows, bytes });
        }
    }

    fn flush(&mut self, ready: &mut Ready) {
        let dates: Vec<_> = self.waiting.keys().copied().collect();
        dates.into_iter().for_each(|date| self.flush_date(date, ready));
    }
}

/// The rows of `records`, by date.
#[derive(Default)]
pub struct RecordsByDate {
    waiting: BTreeMap<Date, Waiting<records::Batch>>,
    all: Waited,
    /// Batches begun so far.
    batches: u64,
    /// The date of the last batch that was full: its next one will probably be, too.
    full: Option<Date>,
}

impl RecordsByDate {
    /// The batch that takes the next row of this date.
    pub fn batch(&mut self, date: Date, input: u32) -> &mut records::Batch {
        let waiting = self.waiting.entry(date).or_insert_with(|| {
            self.batches += 1;
            let rows = if self.full == Some(date) { BATCH_ROWS } else { 0 };
            Waiting { rows: records::Batch::new(self.batches, rows), bytes: 0, entities: 0, inputs: BTreeSet::new() }
        });
        if waiting.inputs.last() != Some(&input) {
            waiting.inputs.insert(input);
        }
        &mut waiting.rows
    }

    /// Takes note that a row of about `bytes` bytes was pushed to the batch of this date.
    pub fn pushed(&mut self, date: Date, bytes: usize, ready: &mut Ready) {
        if let Some(waiting) = self.waiting.get_mut(&date) {
            let entities = waiting.rows.entity_bytes();
            let bytes = bytes + entities - std::mem::replace(&mut waiting.entities, entities);
            waiting.bytes += bytes;
            self.all.add(bytes);
            if waiting.rows.len() >= BATCH_ROWS || waiting.bytes >= ready.batch_bytes {
                self.full = Some(date);
                self.flush_date(date, ready);
            } else if self.all.is_full(ready) {
                self.flush(ready);
            }
        }
    }

    fn flush_date(&mut self, date: Date, ready: &mut Ready) {
        if let Some(Waiting { rows, inputs, bytes, .. }) = self.waiting.remove(&date) {
            self.all.remove(rows.len(), bytes);
            let bytes = ROW * rows.len() + bytes;
            ready.push(Chunk { table: TableId::Records, date, inputs, rows: Box::new(rows), bytes });
        }
    }

    fn flush(&mut self, ready: &mut Ready) {
        let dates: Vec<_> = self.waiting.keys().copied().collect();
        dates.into_iter().for_each(|date| self.flush_date(date, ready));
    }
}

/// The waiting rows of all tables.
pub struct Pending {
    pub records: RecordsByDate,
    pub processes: ByDate<processes::Row>,
    pub files: ByDate<files::Row>,
    pub containers: ByDate<containers::Row>,
    pub pods: ByDate<pods::Row>,
    pub pod_service_ports: ByDate<pod_service_ports::Row>,
    pub k8s_events: ByDate<k8s_events::Row>,
    pub k8s_items: ByDate<k8s_items::Row>,
    pub k8s_service_ports: ByDate<k8s_service_ports::Row>,
    pub experiment_events: ByDate<experiment_events::Row>,
    pub traces: ByDate<traces::Row>,
    pub rejects: ByDate<rejects::Row>,
    pub ready: Ready,
}

impl Pending {
    /// Rows wait until they are a batch or come from `batch_bytes` bytes of records; chunks wait until they are taken, or
    /// too many.
    pub fn new(batch_bytes: usize, overflow: Option<Overflow>) -> Pending {
        Pending {
            records: RecordsByDate::default(),
            processes: ByDate::new(TableId::Processes, processes::COLUMNS),
            files: ByDate::new(TableId::Files, files::COLUMNS),
            containers: ByDate::new(TableId::Containers, containers::COLUMNS),
            pods: ByDate::new(TableId::Pods, pods::COLUMNS),
            pod_service_ports: ByDate::new(TableId::PodServicePorts, pod_service_ports::COLUMNS),
            k8s_events: ByDate::new(TableId::K8sEvents, k8s_events::COLUMNS),
            k8s_items: ByDate::new(TableId::K8sItems, k8s_items::COLUMNS),
            k8s_service_ports: ByDate::new(TableId::K8sServicePorts, k8s_service_ports::COLUMNS),
            experiment_events: ByDate::new(TableId::ExperimentEvents, experiment_events::COLUMNS),
            traces: ByDate::new(TableId::Traces, traces::COLUMNS),
            rejects: ByDate::new(TableId::Rejects, rejects::COLUMNS),
            ready: Ready { chunks: Vec::new(), bytes: 0, batch_bytes, overflow },
        }
    }

    /// The earliest date of a waiting row.
    pub fn earliest_date(&self) -> Option<Date> {
        let dates = [
            self.records.waiting.keys().next(),
            self.processes.waiting.keys().next(),
            self.files.waiting.keys().next(),
            self.containers.waiting.keys().next(),
            self.pods.waiting.keys().next(),
            self.traces.waiting.keys().next(),
        ];
        dates.into_iter().flatten().min().copied()
    }

    /// Makes everything ready, full or not.
    pub fn flush(&mut self) {
        let ready = &mut self.ready;
        self.records.flush(ready);
        self.processes.flush(ready);
        self.files.flush(ready);
        self.containers.flush(ready);
        self.pods.flush(ready);
        self.pod_service_ports.flush(ready);
        self.k8s_events.flush(ready);
        self.k8s_items.flush(ready);
        self.k8s_service_ports.flush(ready);
        self.experiment_events.flush(ready);
        self.traces.flush(ready);
        self.rejects.flush(ready);
    }
}
