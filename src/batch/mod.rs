//! A batch: planned first, then run, then committed.
//!
//! [`plan`] settles by the [`options`] which inputs are read and what the run is called, as [`check`] finds them new or [`growth`]
//! grown, [`source`] makes rows of them, which go through the [`pipe`] to the writer, [`rewrite`] takes rows out of part files,
//! [`run`] puts it together, and [`summary`] tells what happened.

pub mod check;
pub mod growth;
pub mod options;
pub mod pipe;
pub mod plan;
pub mod rewrite;
pub mod run;
pub mod source;
pub mod summary;
