//! What a conversion is asked to do, with everything resolved.

use std::collections::BTreeSet;
use std::path::PathBuf;

use parquet::basic::Compression;

use crate::dataset::encode::Encodings;
use crate::dataset::manifest::Content;
use crate::memory::Memory;
use crate::tables::schema::TableId;
use crate::time::Window;

/// Options of `convert`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The dataset's folder.
    pub out: PathBuf,
    pub tables: BTreeSet<TableId>,
    pub window: Window,
    pub memory: Memory,
    /// Publish nothing if any input is damaged.
    pub strict: bool,
    /// Convert inputs again that were converted before.
    pub reconvert: bool,
    /// Plan only.
    pub dry_run: bool,
    /// Wait for another run on the dataset to end.
    pub wait: bool,
    pub compression: Compression,
    pub encodings: Encodings,
}

impl Options {
    /// The options that decide which rows a dataset has.
    pub fn content(&self) -> Content {
        Content {
            tables: self.tables.iter().map(|t| t.name().to_owned()).collect(),
            since: self.window.since,
            until: self.window.until,
        }
    }
}
