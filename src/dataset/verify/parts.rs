//! The part files that the manifests name: there, unchanged, with the rows and columns that they should have.

use std::collections::{BTreeSet, HashSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;

use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaDataReader;
use rayon::prelude::*;

use super::{Finding, Unfinished, remedy};
use crate::dataset::layout::Layout;
use crate::dataset::manifest::Manifest;
use crate::dataset::part::{OTHER_COLUMNS, PartFile, has_columns_of};
use crate::dataset::state::State;
use crate::error::Result;
use crate::input;
use crate::progress::{Meter, Phase};
use crate::tables::schema::TableId;

/// A part file and the manifest that names it.
pub type Part<'s> = (&'s Manifest, &'s PartFile);

/// Checks every part file of the dataset, in parallel.
///
/// # Errors
/// `meter` says to stop.
pub fn check(layout: &Layout, state: &State, unfinished: &Unfinished, meter: &Meter) -> Result<Vec<Finding>> {
    let parts: Vec<Part> = state.files().filter(|(_, f)| !unfinished.removes(&f.path)).collect();
    meter.begin(Phase::Checking, parts.len() as u64, parts.iter().map(|(_, f)| f.bytes).sum());
    let wrong: Vec<Option<(&'static str, String)>> = parts
        .par_iter()
        .map(|(_, part)| {
            let wrong = look(&layout.root().join(&part.path), part, meter);
            meter.check()?;
            meter.files.fetch_add(1, Relaxed);
            meter.bytes.fetch_add(part.bytes, Relaxed);
            Ok(wrong)
        })
        .collect::<Result<_>>()?;
    let wrong: Vec<_> = parts.into_iter().zip(wrong).filter_map(|(part, wrong)| Some((part, wrong?))).collect();
    let remedies = remedy::reconvert_parts(layout, state, &wrong.iter().map(|(part, _)| *part).collect::<Vec<_>>());
    let findings = wrong.into_iter().zip(remedies).map(|(((_, part), (code, message)), remedy)| {
        let path = part.path.clone();
        Finding { code, path, message, remedy }
    });
    Ok(findings.collect())
}

/// Code and message of what is wrong with a part file.
fn look(path: &Path, part: &PartFile, meter: &Meter) -> Option<(&'static str, String)> {
    let unreadable = |e: io::Error| match e.kind() {
        io::ErrorKind::NotFound => ("lost_file", "the file is not there".to_owned()),
        _ => ("unreadable_file", format!("the file cannot be read: {e}")),
    };
    let file = match input::open(path) {
        Ok(file) => file,
        Err(e) => return Some(unreadable(e)),
    };
    let size = match file.metadata() {
        Ok(metadata) => metadata.len(),
        Err(e) => return Some(unreadable(e)),
    };
    match part.difference(&file, size, meter) {
        Err(e) => Some(unreadable(e)),
        Ok(Some(difference)) => Some(("changed_file", difference)),
        Ok(None) => content(&file, part),
    }
}

/// Tables that conversions were to write and that have no file at all, so that readers do not find their columns.
pub fn lost_tables(layout: &Layout, state: &State, unfinished: &Unfinished) -> Vec<Finding> {
    let there: HashSet<&str> = state.files().map(|(_, part)| part.table.as_str()).collect();
    let wanted: BTreeSet<&String> = state.manifests.iter().flat_map(|run| &run.content.tables).collect();
    let lost = wanted.into_iter().filter(|table| !there.contains(table.as_str()) && unfinished.0.is_empty());
    let lost = lost.map(|table| Finding {
        code: "lost_table",
        path: table.clone(),
        message: "the table has no file, so that readers do not find its columns".to_owned(),
        remedy: remedy::write_tables(layout, state),
    });
    lost.collect()
}

/// Rows and columns, from the Parquet footer.
fn content(file: &File, part: &PartFile) -> Option<(&'static str, String)> {
    let footer = match ParquetMetaDataReader::new().parse_and_finish(file) {
        Ok(footer) => footer,
        Err(ParquetError::External(e)) if e.is::<io::Error>() => {
            return Some(("unreadable_file", format!("the file cannot be read: {e}")));
        }
        Err(e) => return Some(("bad_parquet", format!("the file is no Parquet file: {e}"))),
    };
    let rows = footer.file_metadata().num_rows();
    if u64::try_from(rows) != Ok(part.rows) {
        return Some(("wrong_rows", format!("the file has {rows} rows, its manifest says {}", part.rows)));
    }
    let Some(table) = TableId::by_name(&part.table) else {
        return Some(("unknown_table", format!("there is no table '{}' in the contract", part.table)));
    };
    (!has_columns_of(&table.info(), &footer)).then(|| ("wrong_schema", OTHER_COLUMNS.to_owned()))
}
