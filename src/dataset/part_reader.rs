//! Reads part files in the batches in which they were written.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::reader::{ChunkReader, Length};

/// A part file and its length. Of a bare `File` the parquet crate asks the length each time, and takes 0 if that fails.
#[derive(Clone)]
pub struct PartReader {
    pub file: Arc<File>,
    pub len: u64,
}

impl PartReader {
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path) -> io::Result<PartReader> {
        let file = File::open(path)?;
        Ok(PartReader { len: file.metadata()?.len(), file: Arc::new(file) })
    }

    /// What is in it, with strings as dictionaries: one that many rows have is in memory once.
    ///
    /// # Errors
    /// The file is none of Parquet, or has no offset index.
    pub fn metadata(&self) -> parquet::errors::Result<ArrowReaderMetadata> {
        let options = ArrowReaderOptions::new().with_offset_index_policy(PageIndexPolicy::Required);
        let metadata = ArrowReaderMetadata::load(self, options.clone())?;
        let fields = metadata.schema().fields().iter().map(|field| match field.data_type() {
            DataType::Utf8 => {
                let keyed = DataType::Dictionary(DataType::Int32.into(), DataType::Utf8.into());
                Arc::new(Field::clone(field).with_data_type(keyed))
            }
            _ => field.clone(),
        });
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        ArrowReaderMetadata::try_new(metadata.metadata().clone(), options.with_schema(schema))
    }

    /// Reads rows that were written together.
    ///
    /// # Errors
    /// As [`PartReader::metadata`].
    pub fn read(
        &self,
        metadata: &ArrowReaderMetadata,
        batch: Written,
    ) -> parquet::errors::Result<ParquetRecordBatchReader> {
        let Written { group, rows, at_once } = batch;
        ParquetRecordBatchReaderBuilder::new_with_metadata(self.clone(), metadata.clone())
            .with_row_groups(vec![group])
            .with_batch_size(at_once)
            .with_row_selection(RowSelection::from_consecutive_ranges([rows.clone()].into_iter(), rows.end))
            .build()
    }
}

/// Rows of a row group that were written together, which took no more memory than a batch may.
pub struct Written {
    group: usize,
    rows: Range<usize>,
    /// So many rows are read together: strings that are not in the dictionary are there as often as rows have them.
    at_once: usize,
}

/// Pages of a column that are read together, if a batch has more: those of long strings, of 1 MiB each.
const PAGES: usize = 8;

/// The batches in which rows were written. Each has a page of its own in every column, or several of long strings.
pub fn written(metadata: &ParquetMetaData) -> impl Iterator<Item = Written> {
    (0..metadata.num_row_groups()).flat_map(|group| {
        let index = metadata.page_index_for_row_group(group);
        let starts = |column: usize| {
            let pages = index.page_locations(column).into_iter().flatten();
            pages.map(|page| page.first_row_index as usize).collect::<Vec<_>>()
        };
        let of_group = metadata.row_group(group);
        let of_columns: Vec<Vec<usize>> = (0..of_group.num_columns()).map(starts).collect();
        let mut bounds = of_columns.first().cloned().unwrap_or_default();
        bounds.push(of_group.num_rows() as usize);
        let batch = |pair: &[usize]| {
            let rows = pair[0]..pair[1];
            let pages = |starts: &Vec<usize>| starts.iter().filter(|start| rows.contains(start)).count();
            let most = of_columns.iter().map(pages).max().unwrap_or_default();
            let at_once = rows.len().div_ceil(most.div_ceil(PAGES).max(1));
            Written { group, rows, at_once }
        };
        bounds.windows(2).map(batch).collect::<Vec<_>>()
    })
}

impl Length for PartReader {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for PartReader {
    type T = <File as ChunkReader>::T;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        self.file.get_read(start)
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.file.get_bytes(start, length)
    }
}
