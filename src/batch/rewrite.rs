//! Takes the rows of replaced inputs out of part files that hold rows of others, too.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::{Array, BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{ChunkReader, Length};

use crate::dataset::manifest::{InputEntry, Manifest};
use crate::dataset::part::{PartFile, Rows};
use crate::dataset::writer::{Chunk, DatasetWriter};
use crate::error::{Error, IoContext, Result};
use crate::flatten::time::Date;
use crate::tables::column::{ColumnData, Values};
use crate::tables::schema::TableId;

struct Batch(RecordBatch);

impl Rows for Batch {
    fn len(&self) -> usize {
        self.0.num_rows()
    }

    fn column(&self, index: usize) -> ColumnData<'_> {
        Values::from(self.0.column(index)).into()
    }
}

/// A part file and its length. Of a bare `File` the parquet crate asks the length each time, and takes 0 if that fails.
struct Part {
    file: File,
    len: u64,
}

impl Part {
    fn open(path: &Path) -> io::Result<Part> {
        let file = File::open(path)?;
        Ok(Part { len: file.metadata()?.len(), file })
    }
}

impl Length for Part {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Part {
    type T = <File as ChunkReader>::T;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.file.get_bytes(start, length)
    }
}

/// Inputs whose rows go.
pub struct Gone<'s>(pub &'s [InputEntry]);

impl Gone<'_> {
    /// Keys of the inputs of a part file whose rows stay.
    fn kept(&self, manifest: &Manifest, part: &PartFile) -> BTreeSet<String> {
        let of_run = part.inputs.iter().filter_map(|i| manifest.inputs.get(*i as usize)).map(InputEntry::key);
        let gone: BTreeSet<String> = self.0.iter().map(InputEntry::key).collect();
        of_run.chain(part.kept.iter().cloned()).filter(|key| !gone.contains(key)).collect()
    }

    /// Rows have the beginning of the hash in their trace id; a reject without a trace has only its input's name.
    fn has(&self, trace_id: Option<&str>, input: Option<&str>) -> bool {
        match trace_id {
            Some(id) => {
                let prefix = id.split('-').next().unwrap_or(id);
                self.0.iter().any(|gone| !prefix.is_empty() && gone.sha256.starts_with(prefix))
            }
            None => input.is_some_and(|input| self.0.iter().any(|gone| gone.path == input)),
        }
    }
}

/// Copies the rows of a part file that stay into part files of the run that `writer` writes.
///
/// # Errors
/// The part file is not there or cannot be read, or not written anew.
pub fn rewrite(
    root: &Path,
    manifest: &Manifest,
    part: &PartFile,
    gone: &Gone,
    writer: &mut DatasetWriter,
) -> Result<()> {
    let path = root.join(&part.path);
    let lost = |message: &str| Error::Dataset { path: path.clone(), message: message.into() };
    let table = TableId::by_name(&part.table).ok_or_else(|| lost("it belongs to no table of the contract"))?;
    let date = part.path.split('/').nth(1).and_then(|d| d.strip_prefix("date=")).and_then(|d| d.parse().ok());
    let date: Date = date.ok_or_else(|| lost("its folder names no date"))?;
    let kept = gone.kept(manifest, part);
    // Nothing of it stays, so it need not even be there: that is how a lost or damaged file is mended.
    if kept.is_empty() {
        return Ok(());
    }
    let error = |cause| Error::of_parquet("read", &path, cause);
    let file = Part::open(&path).during("open", &path)?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).map_err(error)?;
    let reader = reader.with_batch_size(16 << 10).build().map_err(error)?;
    let first = writer.ended();
    for batch in reader {
        let batch = batch.map_err(|e| error(e.into()))?;
        let text = |name: &str| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let (ids, names) = (text("trace_id").or_else(|| text("log_id")), text("input"));
        let stays: BooleanArray = (0..batch.num_rows())
            .map(|row| {
                let value = |column: Option<&arrow_array::StringArray>| {
                    column.filter(|c| c.is_valid(row)).map(|c| c.value(row).to_owned())
                };
                Some(!gone.has(value(ids).as_deref(), value(names).as_deref()))
            })
            .collect();
        let batch = filter_record_batch(&batch, &stays).map_err(|e| error(e.into()))?;
        if batch.num_rows() > 0 {
            let bytes = batch.get_array_memory_size();
            let rows = Box::new(Batch(batch));
            writer.write(&Chunk { table, date, inputs: BTreeSet::new(), rows, bytes })?;
        }
    }
    writer.cut_kept(first, &kept)
}
