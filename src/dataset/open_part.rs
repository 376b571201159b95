//! One part file that is being written: rows of one table and date, encoded column by column in parallel.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{Field, Fields, Schema, SchemaRef};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::Compression;
use parquet::column::writer::ColumnCloseResult;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescriptor;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::encode::Encodings;
use super::encode::chunk::ChunkWriter;
use super::encode::pages::Pages;
use super::encode::range::min_max;
use super::layout::staged_name;
use super::part::{PartFile, parquet_schema};
use super::sync::Syncs;
use crate::error::{Error, IoContext, Result};
use crate::fault;
use crate::tables::chunk::Rows;
use crate::tables::column::{ColumnData, ColumnType, Values};
use crate::tables::schema::{ColumnInfo, TableInfo};
use crate::text::hex;

/// How all part files of a table are encoded.
#[derive(Debug, Clone)]
pub struct Encoder {
    schema: SchemaRef,
    parquet: Arc<SchemaDescriptor>,
    /// The columns that the parquet crate writes, if there are any: its writers come all at once, each with buffers.
    others: Option<(SchemaRef, Arc<SchemaDescriptor>)>,
    properties: Arc<WriterProperties>,
    compression: Compression,
    encodings: Encodings,
    columns: Vec<ColumnInfo>,
    ts_column: Option<usize>,
}

impl Encoder {
    /// # Errors
    /// Only if the contract's schema is none of Parquet's.
    pub fn new(table: &TableInfo, compression: Compression, encodings: Encodings) -> Result<Encoder> {
        let schema = table.arrow_schema();
        let convert = |schema: &Schema| {
            let parquet = parquet_schema(schema).map(Arc::new);
            parquet.map_err(|cause| Error::of_parquet("encode", Path::new(table.name), cause))
        };
        let parquet = convert(&schema)?;
        let is_other = |(i, _): &(usize, _)| !ChunkWriter::writes(table.columns[*i].column_type);
        let others: Fields = schema.fields().iter().cloned().enumerate().filter(is_other).map(|(_, f)| f).collect();
        let others = match others.is_empty() {
            true => None,
            false => {
                let others = Arc::new(Schema::new(others));
                let parquet = convert(&others)?;
                Some((others, parquet))
            }
        };
        let properties = WriterProperties::builder()
            .set_created_by(concat!("sf-parquet version ", env!("CARGO_PKG_VERSION")).to_owned())
            .set_compression(compression)
            .set_max_row_group_row_count(None)
            .set_statistics_enabled(EnabledStatistics::Page);
        let ts_column = table.columns.iter().position(|c| c.name == "ts_uts");
        let properties = Arc::new(properties.build());
        let columns = table.columns.clone();
        Ok(Encoder { schema, parquet, others, properties, compression, encodings, columns, ts_column })
    }
}

/// Writes, counts and hashes.
struct HashingFile {
    file: BufWriter<Arc<File>>,
    hash: Sha256,
    bytes: u64,
}

impl Write for HashingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The writer of one column's chunk: our own, or the parquet crate's for maps and lists of numbers.
enum Column {
    Own(Box<ChunkWriter>),
    Arrow(Vec<ArrowColumnWriter>),
}

/// A finished chunk.
enum Chunk {
    Own(Pages, Box<ColumnCloseResult>),
    Arrow(Box<ArrowColumnChunk>),
}

/// Bytes of memory that the footer's entries for a column chunk and for a page take until the file ends, at most: 45 million rows in
/// pages of 300 took 19 bytes each.
const CHUNK_ENTRY: usize = 1024;
const PAGE_ENTRY: usize = 128;

/// Bytes that are synced before the file's end: fewer are no work for the disk then, and would be more now.
const SYNCED: usize = 2 << 20;

/// A part file that is being written.
pub struct OpenPart {
    path: PathBuf,
    encoder: Arc<Encoder>,
    file: SerializedFileWriter<HashingFile>,
    columns: Vec<Column>,
    group_rows: usize,
    groups: usize,
    /// Bytes of memory that the footer will be made of.
    footer: usize,
    /// Bytes of which a sync has begun.
    synced: usize,
    part: PartFile,
}

impl OpenPart {
    /// Creates the file that will be `relative` to the dataset in the folder `staging`.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn create(staging: &Path, relative: String, table: &str, encoder: Arc<Encoder>) -> Result<OpenPart> {
        let path = staging.join(staged_name(&relative));
        let file = File::create_new(&path).during("create", &path)?;
        fault::point("part created");
        let file = BufWriter::with_capacity(16 << 10, Arc::new(file));
        let file = HashingFile { file, hash: Sha256::new(), bytes: 0 };
        let file = SerializedFileWriter::new(file, encoder.parquet.root_schema_ptr(), encoder.properties.clone())
            .map_err(|cause| Error::of_parquet("write", &path, cause))?;
        Ok(OpenPart {
            path,
            encoder,
            file,
            columns: Vec::new(),
            group_rows: 0,
            groups: 0,
            footer: 0,
            synced: 0,
            part: PartFile { path: relative, table: table.to_owned(), ..PartFile::default() },
        })
    }

    /// Appends rows to the current row group. Columns are built and encoded in parallel.
    ///
    /// # Errors
    /// A column cannot be encoded.
    pub fn write(&mut self, rows: &dyn Rows, inputs: &BTreeSet<u32>) -> Result<()> {
        if self.columns.is_empty() {
            self.start_group()?;
        }
        let ts_column = self.encoder.ts_column;
        let fields = self.encoder.schema.fields();
        let ranges: Vec<Option<(i64, i64)>> = self
            .columns
            .par_iter_mut()
            .enumerate()
            .map(|(i, writers)| {
                let data = rows.column(i);
                let range = if ts_column == Some(i) { range(&data) } else { None };
                match writers {
                    Column::Own(writer) => writer.write(&data),
                    Column::Arrow(writers) => encode(writers, &fields[i], &data),
                }
                .map(|()| range)
            })
            .collect::<std::result::Result<_, _>>()
            .map_err(|cause| Error::of_parquet("write", &self.path, cause))?;
        for (min, max) in ranges.into_iter().flatten() {
            self.part.min_ts = Some(self.part.min_ts.map_or(min, |m| m.min(min)));
            self.part.max_ts = Some(self.part.max_ts.map_or(max, |m| m.max(max)));
        }
        self.group_rows += rows.len();
        self.part.rows += rows.len() as u64;
        self.part.inputs.extend(inputs);
        Ok(())
    }

    fn start_group(&mut self) -> Result<()> {
        let Encoder { parquet, others, properties, columns, compression, encodings, .. } = &*self.encoder;
        let others = match others {
            None => Vec::new(),
            Some((schema, parquet)) => {
                SerializedFileWriter::new(io::sink(), parquet.root_schema_ptr(), properties.clone())
                    .and_then(|file| {
                        ArrowRowGroupWriterFactory::new(&file, schema.clone()).create_column_writers(self.groups)
                    })
                    .map_err(|cause| Error::of_parquet("write", &self.path, cause))?
            }
        };
        let mut others = others.into_iter();
        let mut leaf = 0;
        let column = |column: &ColumnInfo| {
            let leaves = if column.column_type == ColumnType::MapStringString { 2 } else { 1 };
            let first = parquet.column(leaf);
            leaf += leaves;
            match ChunkWriter::writes(column.column_type) {
                true => Column::Own(Box::new(ChunkWriter::new(first, column, *compression, *encodings))),
                false => Column::Arrow(others.by_ref().take(leaves).collect()),
            }
        };
        self.columns = columns.iter().map(column).collect();
        Ok(())
    }

    /// Begins to sync what is in the file so far if that is much, so that its end waits for less.
    pub fn sync(&mut self, syncs: &Syncs) {
        if self.file_bytes() - self.synced >= SYNCED {
            self.synced = self.file_bytes();
            syncs.file(self.file.inner().file.get_ref().clone(), self.path.clone());
        }
    }

    /// Rows of the row group that is not yet in the file.
    pub fn group_rows(&self) -> usize {
        self.group_rows
    }

    /// Bytes of memory that the current row group takes.
    pub fn memory(&self) -> usize {
        let memory = |column: &Column| match column {
            Column::Own(writer) => writer.memory(),
            Column::Arrow(writers) => writers.iter().map(ArrowColumnWriter::memory_size).sum(),
        };
        self.columns.iter().map(memory).sum()
    }

    /// Bytes of memory that the footer is made of, so far. They are free only when the file ends.
    pub fn footer(&self) -> usize {
        self.footer
    }

    /// Bytes in the file so far.
    pub fn file_bytes(&self) -> usize {
        self.file.bytes_written()
    }

    /// Writes the current row group, if any, to the file.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn end_group(&mut self) -> Result<()> {
        if self.columns.is_empty() {
            return Ok(());
        }
        let entry = |column: &Column| match column {
            Column::Own(writer) => CHUNK_ENTRY + PAGE_ENTRY * writer.page_count(),
            Column::Arrow(writers) => writers.len() * CHUNK_ENTRY,
        };
        self.footer += self.columns.iter().map(entry).sum::<usize>();
        let path = &self.path;
        let error = |cause| Error::of_parquet("write", path, cause);
        let chunks: Vec<_> = std::mem::take(&mut self.columns)
            .into_par_iter()
            .flat_map_iter(|column| match column {
                Column::Own(writer) => {
                    vec![writer.close().map(|(pages, close)| Chunk::Own(pages, Box::new(close)))]
                }
                Column::Arrow(writers) => {
                    writers.into_iter().map(|w| w.close().map(|c| Chunk::Arrow(Box::new(c)))).collect()
                }
            })
            .collect::<std::result::Result<_, _>>()
            .map_err(error)?;
        let mut group = self.file.next_row_group().map_err(error)?;
        for chunk in chunks {
            match chunk {
                Chunk::Own(pages, close) => group.append_column(&pages, *close),
                Chunk::Arrow(chunk) => chunk.append_to_row_group(&mut group),
            }
            .map_err(error)?;
        }
        group.close().map_err(error)?;
        self.group_rows = 0;
        self.groups += 1;
        Ok(())
    }

    /// Writes the footer, begins to sync the file to disk and says what is in it.
    ///
    /// # Errors
    /// The file cannot be written. Whether it could be synced, `syncs` tells at the end.
    pub fn close(mut self, syncs: &Syncs) -> Result<PartFile> {
        self.end_group()?;
        let OpenPart { path, mut file, part, .. } = self;
        file.finish().map_err(|cause| Error::of_parquet("write", &path, cause))?;
        // The parquet crate would hand it out, but make a text of an error of the disk.
        let HashingFile { file: written, hash, bytes } = file.inner_mut();
        let (written, hash, bytes) = (written.get_ref().clone(), std::mem::take(hash), *bytes);
        drop(file);
        fault::point("part written");
        syncs.file(written, path);
        Ok(PartFile { bytes, sha256: hex(&hash.finalize()), ..part })
    }
}

fn range(data: &ColumnData) -> Option<(i64, i64)> {
    let Values::Numbers(numbers) = &data.values else { return None };
    min_max(&numbers.values)
}

fn encode(writers: &mut [ArrowColumnWriter], field: &Field, data: &ColumnData) -> parquet::errors::Result<()> {
    let Values::Array(array) = &data.values else { unreachable!("all else has a writer of its own") };
    for (writer, leaf) in writers.iter_mut().zip(compute_leaves(field, array)?) {
        writer.write(&leaf)?;
    }
    Ok(())
}
