//! What a conversion is asked to do, with everything resolved.

use std::collections::BTreeSet;
use std::path::PathBuf;

use parquet::basic::Compression;

use crate::dataset::manifest::Content;
use crate::dataset::part::Encodings;
use crate::flatten::time::Window;
use crate::tables::schema::TableId;

/// Options of `convert`.
#[derive(Debug, Clone)]
pub struct Options {
    /// The dataset's folder.
    pub out: PathBuf,
    pub tables: BTreeSet<TableId>,
    pub window: Window,
    /// Bytes of memory to stay within.
    pub memory: usize,
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

/// Bytes of memory unless something else is asked for.
pub const MEMORY: u64 = 1 << 30;

/// Bytes that a block may have with any memory.
pub const MAX_BLOCK: usize = 1 << 30;

impl Options {
    /// Bytes that a block may have, compressed or inflated. One string may fill it, and is in memory some six times until
    /// its page is written; and pages count their bytes with 31 bits.
    pub fn block_limit(&self) -> usize {
        (self.memory / 8).min(MAX_BLOCK)
    }

    /// Bytes of memory of rows that are encoded together.
    pub fn batch_bytes(&self) -> usize {
        (16 << 20).min(self.memory / 32)
    }

    /// Bytes of the exports of a trace's entities that stay in memory.
    pub fn export_bytes(&self) -> usize {
        self.memory / 8
    }

    /// Bytes of the keys and places of all entities of a trace.
    pub fn index_bytes(&self) -> usize {
        self.memory / 8 * 3
    }

    /// The options that decide which rows a dataset has.
    pub fn content(&self) -> Content {
        Content {
            tables: self.tables.iter().map(|t| t.name().to_owned()).collect(),
            since: self.window.since,
            until: self.window.until,
        }
    }
}
