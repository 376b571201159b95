//! All part files of a run: one open file for each table and date in use, rolled by size, closed when there are too many.
//!
//! What is closed when depends on the rows alone, never on time or threads, so that the same input gives the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use parquet::basic::Compression;
use rayon::prelude::*;

use super::layout::part_path;
use super::part::{Encoder, Encodings, OpenPart, PartFile, Rows};
use crate::error::Result;
use crate::fault;
use crate::flatten::time::Date;
use crate::tables::schema::TableId;

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

/// Sizes at which groups and files end.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub group_rows: usize,
    /// Memory of one open row group.
    pub group_bytes: usize,
    /// Memory of all open row groups together.
    pub open_bytes: usize,
    pub file_bytes: usize,
    pub open_files: usize,
}

/// Bytes of memory that an open file takes besides its pages: writers of a hundred columns, and their buffers.
const OPEN_FILE: usize = 2 << 20;

/// How many files the process may have open (`ulimit -n`): 1,024 usually, and where the system does not say.
fn open_files_allowed() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(1024)
}

impl Limits {
    /// Limits that keep the writer within `memory` bytes.
    pub fn within(memory: usize) -> Limits {
        Limits {
            group_rows: 500_000,
            group_bytes: (64 << 20).min(memory / 24),
            open_bytes: memory / 24,
            file_bytes: 256 << 20,
            open_files: 500.min(memory / OPEN_FILE).min(open_files_allowed() / 2).max(8),
        }
    }
}

/// What a part file has rows of.
type Place = (TableId, Date);

/// Writes part files into a staging folder.
pub struct DatasetWriter {
    staging: PathBuf,
    run: String,
    limits: Limits,
    tables: BTreeMap<TableId, Table>,
    open: BTreeMap<Place, Open>,
    /// Part files so far of each table and date.
    numbers: BTreeMap<Place, usize>,
    /// Counts writes, to find what was not used for longest.
    clock: u64,
    parts: Vec<PartFile>,
}

/// A table that is wanted.
struct Table {
    encoder: Arc<Encoder>,
    /// Writes to it so far.
    writes: u64,
}

struct Open {
    part: OpenPart,
    used: u64,
    /// [`Table::writes`] when it was used.
    turn: u64,
    memory: usize,
}

impl DatasetWriter {
    /// A writer for `run`, which stages below `staging`.
    pub fn new(
        staging: PathBuf,
        run: &str,
        tables: &BTreeSet<TableId>,
        compression: Compression,
        encodings: Encodings,
        limits: Limits,
    ) -> Result<DatasetWriter> {
        let table = |id: &TableId| {
            let encoder = Arc::new(Encoder::new(&id.info(), compression, encodings)?);
            Ok((*id, Table { encoder, writes: 0 }))
        };
        let tables = tables.iter().map(table).collect::<Result<_>>()?;
        Ok(DatasetWriter {
            staging,
            run: run.to_owned(),
            limits,
            tables,
            open: BTreeMap::new(),
            numbers: BTreeMap::new(),
            clock: 0,
            parts: Vec::new(),
        })
    }

    /// Writes rows to the part file of their table and date. Tables that are not wanted are passed over.
    pub fn write(&mut self, chunk: &Chunk) -> Result<()> {
        let place = (chunk.table, chunk.date);
        let Some(table) = self.tables.get_mut(&chunk.table) else { return Ok(()) };
        table.writes += 1;
        let (encoder, turn) = (table.encoder.clone(), table.writes);
        if !self.open.contains_key(&place) {
            self.close_passed(chunk.table, turn)?;
            self.make_room()?;
            let part = self.create(place, encoder)?;
            self.open.insert(place, Open { part, used: 0, turn, memory: 0 });
        }
        let limits = self.limits;
        self.clock += 1;
        let Some(open) = self.open.get_mut(&place) else { unreachable!("it was just opened") };
        (open.used, open.turn) = (self.clock, turn);
        open.part.write(&*chunk.rows, &chunk.inputs)?;
        fault::point("chunk written");
        open.memory = open.part.memory();
        if open.part.group_rows() >= limits.group_rows || open.memory >= limits.group_bytes {
            open.part.end_group()?;
            open.memory = 0;
            // The next row group may be as large again.
            if open.part.file_bytes() + limits.group_bytes > limits.file_bytes {
                self.close(place)?;
            }
        }
        while self.open.values().map(|o| o.memory).sum::<usize>() > limits.open_bytes {
            // Large ones first, and those that were not used for long, such as yesterday's.
            let clock = self.clock;
            let weight = |open: &Open| open.memory as u64 * (1 + clock - open.used);
            let Some(open) = self.open.values_mut().max_by_key(|o| weight(o)) else { break };
            open.part.end_group()?;
            open.memory = 0;
        }
        Ok(())
    }

    /// Ends all open files, so that what comes next lies in files of its own, after some last rows are written to them or
    /// to new ones. Files are written and ended in parallel.
    pub fn write_last(&mut self, chunks: Vec<Chunk>) -> Result<()> {
        let mut last: BTreeMap<Place, (Option<OpenPart>, Vec<Chunk>)> = BTreeMap::new();
        for (place, open) in std::mem::take(&mut self.open) {
            last.insert(place, (Some(open.part), Vec::new()));
        }
        for chunk in chunks.into_iter().filter(|chunk| self.tables.contains_key(&chunk.table)) {
            last.entry((chunk.table, chunk.date)).or_default().1.push(chunk);
        }
        // The names do not depend on the order in which files are made.
        let work: Vec<_> = last
            .into_iter()
            .map(|(place, (part, chunks))| (place, part.ok_or_else(|| self.next_path(place)), chunks))
            .collect();
        let DatasetWriter { staging, tables, .. } = self;
        let closed: Vec<PartFile> = work
            .into_par_iter()
            .with_max_len(1)
            .map(|((table, _), part, chunks)| {
                let mut part = match part {
                    Ok(part) => part,
                    Err(path) => OpenPart::create(staging, path, table.name(), tables[&table].encoder.clone())?,
                };
                for chunk in &chunks {
                    part.write(&*chunk.rows, &chunk.inputs)?;
                    fault::point("chunk written");
                }
                part.close()
            })
            .collect::<Result<_>>()?;
        self.parts.extend(closed);
        Ok(())
    }

    fn next_path(&mut self, (table, date): Place) -> String {
        let number = self.numbers.entry((table, date)).or_default();
        let path = part_path(table, date, &self.run, *number);
        *number += 1;
        path
    }

    fn create(&mut self, place: Place, encoder: Arc<Encoder>) -> Result<OpenPart> {
        let path = self.next_path(place);
        OpenPart::create(&self.staging, path, place.0.name(), encoder)
    }

    /// Ends files of dates that the input has left behind. Where rows jump between dates, all come in turn.
    fn close_passed(&mut self, table: TableId, turn: u64) -> Result<()> {
        let open: Vec<_> = self.open.iter().filter(|((of, _), _)| *of == table).collect();
        let passed = (open.len() + open.len() / 2 + 16) as u64;
        let passed = open.into_iter().filter(|(_, open)| open.turn + passed < turn).map(|(place, _)| *place);
        passed.collect::<Vec<_>>().into_iter().try_for_each(|place| self.close(place))
    }

    fn make_room(&mut self) -> Result<()> {
        while self.open.len() >= self.limits.open_files {
            let oldest = self.open.iter().min_by_key(|(_, o)| o.used).map(|(place, _)| *place);
            let Some(place) = oldest else { break };
            self.close(place)?;
        }
        Ok(())
    }

    fn close(&mut self, place: Place) -> Result<()> {
        if let Some(open) = self.open.remove(&place) {
            self.parts.push(open.part.close()?);
        }
        Ok(())
    }

    /// Ends all open files, so that what comes next lies in files of its own.
    pub fn cut(&mut self) -> Result<()> {
        self.write_last(Vec::new())
    }

    /// Ends all open files, which hold rows that earlier runs took from the inputs with these keys.
    pub fn cut_kept(&mut self, kept: &BTreeSet<String>) -> Result<()> {
        let first = self.parts.len();
        self.cut()?;
        for part in &mut self.parts[first..] {
            part.kept.clone_from(kept);
        }
        Ok(())
    }

    /// Writes a file without rows.
    pub fn write_empty(&mut self, table: TableId, date: Date) -> Result<()> {
        if let Some(Table { encoder, .. }) = self.tables.get(&table) {
            let part = self.create((table, date), encoder.clone())?.close()?;
            self.parts.push(part);
        }
        Ok(())
    }

    /// Tables of which at least one file was begun.
    pub fn tables(&self) -> BTreeSet<TableId> {
        self.numbers.keys().map(|(table, _)| *table).collect()
    }

    /// Earliest date of any file, if there is one.
    pub fn earliest_date(&self) -> Option<Date> {
        self.numbers.keys().map(|(_, date)| *date).min()
    }

    /// Closes all files and lists them by path.
    pub fn finish(mut self) -> Result<Vec<PartFile>> {
        self.cut()?;
        self.parts.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(self.parts)
    }
}
