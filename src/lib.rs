//! Converts SysFlow telemetry traces to normalized, typed Parquet datasets.
//!
//! The way of the data, one module after the other:
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
//! [`batch`] plans a run, runs it and commits it; [`cli`] is what the user types, and alone prints and exits.
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
pub mod trace;
pub mod whole_file;
