//! Part files as manifests list them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use arrow_schema::Schema;
use parquet::arrow::ArrowSchemaConverter;
use parquet::file::metadata::ParquetMetaData;
use parquet::schema::types::SchemaDescriptor;
use serde::{Deserialize, Serialize};

use crate::input;
use crate::progress::Meter;
use crate::tables::schema::TableInfo;

/// A part file as a manifest lists it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct PartFile {
    /// Relative to the dataset.
    pub path: String,
    pub table: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
    /// Earliest and latest `ts_uts`, nanoseconds; absent for tables without time.
    pub min_ts: Option<i64>,
    pub max_ts: Option<i64>,
    /// Which of the run's inputs have rows in it.
    pub inputs: BTreeSet<u32>,
    /// Keys of inputs of earlier runs whose rows it took over from a part file that was replaced.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub kept: BTreeSet<String>,
}

impl PartFile {
    /// How a file of so many bytes differs from what was written, if it does.
    ///
    /// # Errors
    /// The file cannot be read, or the run was asked to stop.
    pub fn difference(&self, file: &File, size: u64, meter: &Meter) -> io::Result<Option<String>> {
        if size != self.bytes {
            return Ok(Some(format!("the file has {size} bytes, it was written with {}", self.bytes)));
        }
        let hash = input::sha256(file, 0..size, meter)?;
        let differs = hash != self.sha256;
        Ok(differs.then(|| "the file's content is not what was written: its SHA-256 differs".to_owned()))
    }
}

/// The schema of a part file.
///
/// # Errors
/// Parquet has none for it.
pub fn parquet_schema(schema: &Schema) -> parquet::errors::Result<SchemaDescriptor> {
    ArrowSchemaConverter::new().schema_root("schema").convert(schema)
}

/// Said of a part file that has not.
pub const OTHER_COLUMNS: &str = "its columns are not those of this version's contract: another version wrote it";

/// Whether a part file has the columns of the contract. That of a version with another contract has others.
pub fn has_columns_of(table: &TableInfo, file: &ParquetMetaData) -> bool {
    let contract = parquet_schema(&table.arrow_schema());
    contract.is_ok_and(|contract| contract.root_schema() == file.file_metadata().schema_descr().root_schema())
}
