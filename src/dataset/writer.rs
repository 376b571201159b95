//! All part files of a run: one open file for each table and date in use, rolled by size, closed when there are too many.
//!
//! What is closed when depends on the rows alone, never on time or threads, so that the same input gives the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use parquet::basic::Compression;
use rayon::prelude::*;
use rustix::process::{Resource, getrlimit};

use super::encode::Encodings;
use super::layout::part_path;
use super::open_part::{Encoder, OpenPart};
use super::part::PartFile;
use super::sync::Syncs;
use crate::error::Result;
use crate::fault;
use crate::memory::Memory;
use crate::tables::chunk::Chunk;
use crate::tables::schema::TableId;
use crate::time::Date;

/// Sizes at which groups and files end.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub group_rows: usize,
    /// Memory of one open row group.
    pub group_bytes: usize,
    /// Memory of all open row groups together.
    pub open_bytes: usize,
    /// Memory that the footers of all open files are made of.
    pub footer_bytes: usize,
    pub file_bytes: usize,
    pub open_files: usize,
}

/// How many files the process may have open (`ulimit -n`).
fn open_files_allowed() -> usize {
    getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok()).unwrap_or(usize::MAX)
}

impl Limits {
    /// Limits that keep the writer within its shares of memory.
    pub fn within(memory: Memory) -> Limits {
        Limits {
            group_rows: 500_000,
            group_bytes: memory.group(),
            open_bytes: memory.groups(),
            footer_bytes: memory.footers(),
            file_bytes: 256 << 20,
            open_files: memory.open_files().min(open_files_allowed() / 2).max(8),
        }
    }
}

/// What a part file has rows of.
type Place = (TableId, Date);

/// The file that is open for each place, if one is, and what else is to be written to it.
type Last = BTreeMap<Place, (Option<OpenPart>, Vec<Chunk>)>;

/// Writes part files into a staging folder.
pub struct DatasetWriter {
    staging: PathBuf,
    run: String,
    limits: Limits,
    encoders: BTreeMap<TableId, Arc<Encoder>>,
    /// The tables whose rows are written.
    wanted: BTreeSet<TableId>,
    open: BTreeMap<Place, Open>,
    /// Part files so far of each table and date.
    numbers: BTreeMap<Place, usize>,
    /// Counts writes, to find what was not used for longest.
    clock: u64,
    parts: Vec<PartFile>,
    syncs: Syncs,
}

struct Open {
    part: OpenPart,
    used: u64,
    memory: usize,
}

impl DatasetWriter {
    /// A writer for `run`, which stages below `staging`.
    ///
    /// # Errors
    /// The contract's schema is none of Parquet's.
    pub fn new(
        staging: PathBuf,
        run: &str,
        tables: &BTreeSet<TableId>,
        compression: Compression,
        encodings: Encodings,
        limits: Limits,
    ) -> Result<DatasetWriter> {
        let encoders = tables
            .par_iter()
            .map(|&table| Ok((table, Arc::new(Encoder::new(&table.info(), compression, encodings)?))))
            .collect::<Result<_>>()?;
        Ok(DatasetWriter {
            staging,
            run: run.to_owned(),
            limits,
            encoders,
            wanted: tables.clone(),
            open: BTreeMap::new(),
            numbers: BTreeMap::new(),
            clock: 0,
            parts: Vec::new(),
            syncs: Syncs::default(),
        })
    }

    /// From here on only rows of these tables are wanted.
    pub fn want_only(&mut self, tables: &BTreeSet<TableId>) {
        self.wanted.retain(|table| tables.contains(table));
    }

    /// Writes rows to the part file of their table and date. Tables that are not wanted are passed over.
    ///
    /// # Errors
    /// A part file cannot be made or written.
    pub fn write(&mut self, chunk: &Chunk) -> Result<()> {
        if !self.wanted.contains(&chunk.table) {
            return Ok(());
        }
        let place = (chunk.table, chunk.date);
        let encoder = self.encoders[&chunk.table].clone();
        if !self.open.contains_key(&place) {
            self.make_room()?;
            let part = self.create(place, encoder)?;
            self.open.insert(place, Open { part, used: 0, memory: 0 });
        }
        let limits = self.limits;
        self.clock += 1;
        let Some(open) = self.open.get_mut(&place) else { unreachable!("it was just opened") };
        open.used = self.clock;
        open.part.write(&*chunk.rows, &chunk.inputs)?;
        fault::point("chunk written");
        open.memory = open.part.memory();
        if open.part.group_rows() >= limits.group_rows || open.memory >= limits.group_bytes {
            self.end_group(place)?;
        }
        while self.open.values().map(|o| o.memory).sum::<usize>() > limits.open_bytes {
            // Large ones first, and those that were not used for long, such as yesterday's.
            let clock = self.clock;
            let weight = |open: &Open| open.memory as u64 * (1 + clock - open.used);
            let Some((&place, _)) = self.open.iter().max_by_key(|(_, open)| weight(open)) else { break };
            self.end_group(place)?;
        }
        while self.open.values().map(|o| o.part.footer()).sum::<usize>() > limits.footer_bytes {
            let Some((&place, _)) = self.open.iter().max_by_key(|(_, open)| open.part.footer()) else { break };
            self.close(place)?;
        }
        Ok(())
    }

    /// Ends the row group of an open file, and the file if another group would make it too large.
    fn end_group(&mut self, place: Place) -> Result<()> {
        let Some(open) = self.open.get_mut(&place) else { return Ok(()) };
        open.part.end_group()?;
        open.memory = 0;
        if open.part.file_bytes() + self.limits.group_bytes > self.limits.file_bytes {
            self.close(place)?;
        } else {
            open.part.sync(&self.syncs);
        }
        Ok(())
    }

    /// Ends all open files, so that what comes next lies in files of its own, after some last rows are written to them or
    /// to new ones. Each of the tables `needed` that has no file yet gets one without rows, of the `earliest` date or that of
    /// an earlier file. Files are written and ended in parallel.
    ///
    /// # Errors
    /// A part file cannot be made or written.
    pub fn write_last(&mut self, chunks: Vec<Chunk>, needed: BTreeSet<TableId>, earliest: Option<Date>) -> Result<()> {
        let mut last = self.take_open();
        for chunk in chunks.into_iter().filter(|chunk| self.wanted.contains(&chunk.table)) {
            last.entry((chunk.table, chunk.date)).or_default().1.push(chunk);
        }
        let mut missing = needed;
        missing.retain(|table| !last.keys().chain(self.numbers.keys()).any(|(there, _)| there == table));
        let dates = last.keys().chain(self.numbers.keys()).map(|(_, date)| *date);
        let date = dates.chain(earliest).min().unwrap_or_default();
        last.extend(missing.into_iter().map(|table| ((table, date), Default::default())));
        self.end(last)
    }

    /// Ends all open files, so that what comes next lies in files of its own.
    ///
    /// # Errors
    /// A part file cannot be written.
    pub fn cut(&mut self) -> Result<()> {
        let open = self.take_open();
        self.end(open)
    }

    fn take_open(&mut self) -> Last {
        let open = std::mem::take(&mut self.open).into_iter();
        open.map(|(place, open)| (place, (Some(open.part), Vec::new()))).collect()
    }

    /// Writes what is left for each place to its file, or to a new one, and ends that.
    fn end(&mut self, last: Last) -> Result<()> {
        // The names do not depend on the order in which files are made.
        let work: Vec<_> = last
            .into_iter()
            .map(|(place, (part, chunks))| (place, part.ok_or_else(|| self.next_path(place)), chunks))
            .collect();
        let DatasetWriter { staging, encoders, syncs, .. } = self;
        let closed: Vec<PartFile> = work
            .into_par_iter()
            .with_max_len(1)
            .map(|((table, _), part, chunks)| {
                let mut part = match part {
                    Ok(part) => part,
                    Err(path) => OpenPart::create(staging, path, table.name(), encoders[&table].clone())?,
                };
                for chunk in &chunks {
                    part.write(&*chunk.rows, &chunk.inputs)?;
                    fault::point("chunk written");
                }
                part.close(syncs)
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
            self.parts.push(open.part.close(&self.syncs)?);
        }
        Ok(())
    }

    /// Files ended so far.
    pub fn ended(&self) -> usize {
        self.parts.len()
    }

    /// Ends all open files. They, and those that were ended since there were `first` of them, hold rows that earlier runs
    /// took from the inputs with these keys.
    ///
    /// # Errors
    /// A part file cannot be written.
    pub fn cut_kept(&mut self, first: usize, kept: &BTreeSet<String>) -> Result<()> {
        self.cut()?;
        for part in &mut self.parts[first..] {
            part.kept.clone_from(kept);
        }
        Ok(())
    }

    /// Closes all files and lists them by path. They are on disk when the syncs are finished.
    ///
    /// # Errors
    /// A part file cannot be written.
    pub fn finish(mut self) -> Result<(Vec<PartFile>, Syncs)> {
        self.cut()?;
        self.parts.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((self.parts, self.syncs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reject::{Code, Severity};
    use crate::tables::pending::Pending;
    use crate::tables::rejects::Row;

    fn chunk() -> Chunk {
        let mut pending = Pending::new(1 << 20, None);
        let (input, code, message) = ("input".into(), Code::Unreadable, "message".to_owned());
        let (record_no, byte_offset, records_lost) = (None, None, None);
        let severity = Severity::Notice;
        let row = Row { trace_id: None, input, record_no, byte_offset, severity, code, message, records_lost };
        pending.push(Date::default(), 0, row, 0);
        pending.flush();
        pending.ready.take().remove(0)
    }

    #[test]
    fn files_end_at_their_size_whyever_their_groups_end() {
        let folder = tempfile::tempdir().unwrap();
        let staging = || tempfile::tempdir_in(folder.path()).unwrap().keep();
        let tables = BTreeSet::from([TableId::Rejects]);
        // The next group might make the file too large, or not.
        for (file_bytes, files) in [(0, 3), (1 << 20, 1)] {
            for limits in [
                Limits { group_rows: 1, group_bytes: 1, file_bytes, ..Limits::within(Memory::USUAL) },
                Limits { open_bytes: 0, group_bytes: 1 << 10, file_bytes, ..Limits::within(Memory::USUAL) },
            ] {
                let (compression, encodings) = (Compression::UNCOMPRESSED, Encodings::Default);
                let mut writer = DatasetWriter::new(staging(), "run", &tables, compression, encodings, limits).unwrap();
                (0..3).for_each(|_| writer.write(&chunk()).unwrap());
                assert_eq!(writer.finish().unwrap().0.len(), files, "{limits:?}");
            }
        }
    }

    #[test]
    fn files_end_when_their_footers_take_too_much_memory() {
        let folder = tempfile::tempdir().unwrap();
        let (tables, compression) = (BTreeSet::from([TableId::Rejects]), Compression::UNCOMPRESSED);
        for (footer_bytes, files) in [(0, 3), (1 << 20, 1)] {
            let staging = tempfile::tempdir_in(folder.path()).unwrap().keep();
            let limits = Limits { group_rows: 1, footer_bytes, ..Limits::within(Memory::USUAL) };
            let mut writer =
                DatasetWriter::new(staging, "run", &tables, compression, Encodings::Default, limits).unwrap();
            (0..3).for_each(|_| writer.write(&chunk()).unwrap());
            assert_eq!(writer.finish().unwrap().0.len(), files);
        }
    }

    #[test]
    fn all_files_of_kept_rows_say_so_also_those_that_were_full() {
        let folder = tempfile::tempdir().unwrap();
        let limits = Limits { group_rows: 1, file_bytes: 0, ..Limits::within(Memory::USUAL) };
        let tables = BTreeSet::from([TableId::Rejects]);
        let (staging, compression) = (folder.path().to_owned(), Compression::UNCOMPRESSED);
        let mut writer = DatasetWriter::new(staging, "run", &tables, compression, Encodings::Default, limits).unwrap();
        writer.write(&chunk()).unwrap();
        let first = writer.ended();
        assert_eq!(first, 1);
        writer.write(&chunk()).unwrap();
        writer.write(&chunk()).unwrap();
        let kept = BTreeSet::from(["key".to_owned()]);
        writer.cut_kept(first, &kept).unwrap();
        let (parts, _) = writer.finish().unwrap();
        let of_parts: Vec<usize> = parts.iter().map(|part| part.kept.len()).collect();
        assert_eq!(of_parts, [0, 1, 1]);
    }
}
