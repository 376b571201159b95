//! A batch: planned first, then run, then committed.
//!
//! [`nothing_new`] sees whether there is anything to do. If so, [`plan`] settles by the [`options`] which inputs are read and what
//! the run is called, as [`check`] finds them by their [`outline`] new or [`growth`] grown, or a reason to [`skip`] them. [`source`] makes rows of them,
//! which go through the [`pipe`] to the writer, [`rewrite`] takes rows out of part files, [`run`] puts it together, and
//! [`summary`] tells what happened.

pub mod check;
pub mod growth;
pub mod input;
pub mod nothing_new;
pub mod options;
pub mod outline;
pub mod pipe;
pub mod plan;
pub mod rewrite;
pub mod run;
pub mod skip;
pub mod source;
pub mod summary;
pub mod trace_date;
