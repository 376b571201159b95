//! What the integration tests share: the program, folders, a small trace writer, and a look into datasets.
#![allow(dead_code)]

pub mod batches;
pub mod collected;
pub mod reading;
pub mod trace;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sha2::{Digest, Sha256};

/// The program with these arguments.
pub fn program<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sf-parquet"));
    command.args(arguments);
    command
}

/// Runs the program.
pub fn run<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Output {
    program(arguments).output().expect("the program starts")
}

/// `convert` of these inputs into `out`, with more arguments.
pub fn convert(inputs: &[&Path], out: &Path, more: &[&str]) -> Output {
    let mut command = program(["convert"]);
    command.args(inputs).arg("--out").arg(out).args(more);
    command.output().expect("the program starts")
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Requires an exit status, and shows what was said if it is another.
#[track_caller]
pub fn expect_status(output: &Output, status: i32) {
    assert_eq!(output.status.code(), Some(status), "stdout:\n{}\nstderr:\n{}", stdout(output), stderr(output));
}

/// A temporary folder in memory where there is one: tests that convert thousands of times need not wait for a disk.
pub fn fast_folder() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// The folder of real traces, or `None`, loudly.
pub fn shared_traces() -> Option<PathBuf> {
    let folder = std::env::var_os("SF_PARQUET_TRACES")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/traces"), PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: the real traces are not in {}; set SF_PARQUET_TRACES", folder.display());
    None
}

/// The real traces.
pub fn shared_trace_files() -> Vec<PathBuf> {
    let Some(folder) = shared_traces() else { return Vec::new() };
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| fs::read(p).unwrap().starts_with(b"Obj\x01"))
        .collect();
    files.sort();
    files
}

pub fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

/// Every file below a folder, relative to it.
pub fn files(root: &Path) -> Vec<String> {
    let mut files = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|e| e.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(root).unwrap().display().to_string());
            }
        }
    }
    files.sort();
    files
}

/// SHA-256 of every file below a folder, by relative path.
pub fn tree(root: &Path) -> BTreeMap<String, String> {
    let hash =
        |file: &String| Sha256::digest(fs::read(root.join(file)).unwrap()).iter().map(|b| format!("{b:02x}")).collect();
    files(root).into_iter().map(|file| (file.clone(), hash(&file))).collect()
}

/// The part files of a table.
pub fn parts(out: &Path, table: &str) -> Vec<PathBuf> {
    let prefix = format!("{table}/");
    files(out).iter().filter(|p| p.starts_with(&prefix) && p.ends_with(".parquet")).map(|p| out.join(p)).collect()
}

/// All rows of a table.
pub fn read(out: &Path, table: &str) -> Vec<RecordBatch> {
    parts(out, table)
        .into_iter()
        .flat_map(|path| {
            let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
            reader.build().unwrap().map(|b| b.unwrap()).collect::<Vec<_>>()
        })
        .collect()
}

pub fn row_count(out: &Path, table: &str) -> usize {
    read(out, table).iter().map(RecordBatch::num_rows).sum()
}

/// A column of a table, an array for each batch. Other columns are not even read.
fn arrays(out: &Path, table: &str, column: &str) -> Vec<ArrayRef> {
    let mut arrays = Vec::new();
    for path in parts(out, table) {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let mask = ProjectionMask::columns(builder.parquet_schema(), [column]);
        let reader = builder.with_projection(mask).build().unwrap();
        let one = |batch: RecordBatch| batch.columns().first().unwrap_or_else(|| panic!("no column {column}")).clone();
        arrays.extend(reader.map(|batch| one(batch.unwrap())));
    }
    arrays
}

/// The values of a STRING column.
pub fn strings(out: &Path, table: &str, column: &str) -> Vec<Option<String>> {
    let texts = |array: &ArrayRef| array.as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect::<Vec<_>>();
    arrays(out, table, column).iter().flat_map(texts).collect()
}

/// The values of an INT64 column.
pub fn longs(out: &Path, table: &str, column: &str) -> Vec<Option<i64>> {
    let numbers = |array: &ArrayRef| array.as_primitive::<Int64Type>().iter().collect::<Vec<_>>();
    arrays(out, table, column).iter().flat_map(numbers).collect()
}

/// The sum of an INT64 column.
pub fn sum(out: &Path, table: &str, column: &str) -> i64 {
    longs(out, table, column).into_iter().flatten().sum()
}

/// Every row of a table as text, sorted, without the columns named: to compare datasets row by row.
pub fn rows(out: &Path, table: &str, without: &[&str]) -> Vec<String> {
    let mut rows = Vec::new();
    for batch in read(out, table) {
        let schema = batch.schema();
        for row in 0..batch.num_rows() {
            let cells: Vec<String> = schema
                .fields()
                .iter()
                .zip(batch.columns())
                .filter(|(f, _)| !without.contains(&f.name().as_str()))
                .map(|(f, c)| format!("{}={:?}", f.name(), c.slice(row, 1)))
                .collect();
            rows.push(cells.join(" "));
        }
    }
    rows.sort();
    rows
}

/// Whether an array has no value at all.
pub fn all_null(array: &dyn Array) -> bool {
    array.null_count() == array.len()
}
