//! Converts SysFlow telemetry traces to normalized, typed Parquet datasets.
//!
//! The way of the data:
//!
//! ```text
//!  input ──► trace ────────► flatten ───────► tables ────────► dataset
//!  discover   container       entity state     a file for       part files,
//!  + finger-  blocks,         per header:      each table:      stage, journal,
//!  print      inflate,        pod ◄ container  columns and      publish, manifest
//!             typed records   ◄ process ◄ file rows             (all or nothing)
//!                             k8s: fix ► parse
//!                             ► items, ports
//! ```
//!
//! [`batch`] plans a run, runs it and commits it; [`cli`] is what the user types, and alone prints and exits. [`concat`](mod@concat),
//! [`inspect`] and [`repair`] are the tools for traces, [`dataset::verify`] that for datasets, and [`experiment`] reads the log of an
//! experiment.
//!
//! All use [`mod@time`], [`text`] (what people see), [`varint`], [`memory`] (its shares), [`reject`] (the codes of what was not taken
//! over), [`error`], [`progress`] (and being stopped), [`whole_file`] (files that appear when they are whole) and [`fault`] (where
//! tests make a run fail).
#![forbid(unsafe_code)]

pub mod batch;
pub mod cli;
pub mod concat;
pub mod dataset;
pub mod error;
pub mod experiment;
pub mod fault;
pub mod flatten;
pub mod input;
pub mod inspect;
pub mod k8s;
pub mod memory;
pub mod progress;
pub mod reject;
pub mod repair;
pub mod tables;
pub mod text;
pub mod time;
pub mod trace;
pub mod varint;
pub mod whole_file;
