//! A column encoder of our own for all but maps and lists of numbers (docs/performance.md).
//!
//! The parquet crate hashes and compares the value of every row, also where it is given dictionaries. Here a batch's
//! few distinct values are looked up, and rows are translated as integers: [`dictionary`] numbers values, [`hybrid`] and
//! [`delta`] write numbers, [`levels`] tells which rows have one, [`range`] keeps the least and the greatest, [`compress`]
//! compresses what a [`page`] holds, [`alike`] keeps pages that other columns have, too, and [`chunk`] makes a column chunk of
//! [`pages`]. Pages and metadata are serialized by the parquet crate.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub mod alike;
pub mod chunk;
pub mod compress;
pub mod delta;
pub mod dictionary;
pub mod hybrid;
pub mod levels;
pub mod page;
pub mod pages;
pub mod range;
pub mod scratch;

/// How times and record numbers are encoded. What stands here is the help of `--encodings`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Encodings {
    /// Delta encoding, smaller
    Default,
    /// Plain, for readers that lack delta encoding
    Compatible,
}
