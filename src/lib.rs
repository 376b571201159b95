//! Converts SysFlow telemetry traces to normalized, typed Parquet datasets.
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
pub mod repair;
pub mod tables;
pub mod text;
pub mod trace;
pub mod whole_file;
